/* Clocks, memory and the one line of output.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

/* The sum of what getrusage(RUSAGE_SELF) calls user and system time, but exact to the ns. */
int64_t cpu_ns(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

int64_t thread_cpu_ns(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

struct bench_clock clock_read(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    struct bench_clock c;
    c.user = (int64_t)u.ru_utime.tv_sec * 1000000000 + (int64_t)u.ru_utime.tv_usec * 1000;
    c.sys = (int64_t)u.ru_stime.tv_sec * 1000000000 + (int64_t)u.ru_stime.tv_usec * 1000;
    c.wall = now_ns();
    c.cpu = cpu_ns();
    return c;
}

struct bench_clock clock_since(const struct bench_clock *start)
{
    struct bench_clock c = clock_read();
    c.wall -= start->wall;
    c.cpu -= start->cpu;
    c.user -= start->user;
    c.sys -= start->sys;
    return c;
}

/* statm is off by what each CPU has not yet added up; smaps_rollup counts the pages. */
long rss_bytes(void)
{
    FILE *f = fopen("/proc/self/smaps_rollup", "re");
    char line[256];
    long kb = -1;
    if (!f)
        return -1;
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "Rss: %ld kB", &kb) == 1)
            break;
    fclose(f);
    return kb < 0 ? -1 : kb * 1024;
}

long heap_bytes(void)
{
    struct mallinfo2 m = mallinfo2();
    return (long)(m.uordblks + m.hblkhd);
}

long sysctl_inotify(const char *name)
{
    char path[128];
    long value = -1;
    snprintf(path, sizeof path, "/proc/sys/fs/inotify/%s", name);
    FILE *f = fopen(path, "re");
    if (f) {
        if (fscanf(f, "%ld", &value) != 1)
            value = -1;
        fclose(f);
    }
    return value;
}

void out_begin(void)
{
    printf("work=%s impl=%s", opt.work, impl.name);
    if (*opt.variant)
        printf(" variant=%s", opt.variant);
    printf(" dirs=%lu files=%lu", opt.dirs, opt.files);
}

void out(const char *key, double value)
{
    printf(" %s=%.10g", key, value);
}

void out_str(const char *key, const char *value)
{
    printf(" %s=%s", key, value);
}

/* CPU and wall time per thing, as cpu_<unit> and wall_<unit>, and the share of system time. */
void out_clock(const struct bench_clock *c, double per, const char *unit, double scale)
{
    printf(" cpu_%s=%.10g wall_%s=%.10g sys_share=%.3f", unit, (double)c->cpu / per / scale, unit,
           (double)c->wall / per / scale,
           c->user + c->sys ? (double)c->sys / (double)(c->user + c->sys) : 0.0);
}

void out_end(void)
{
    uint64_t errors = atomic_load(&told.errors), overflows = atomic_load(&told.overflows);
    if (errors)
        printf(" errors=%llu", (unsigned long long)errors);
    if (overflows)
        printf(" overflows=%llu", (unsigned long long)overflows);
    printf("\n");
    fflush(stdout);
}

_Noreturn void die(const char *what, int error)
{
    fprintf(stderr, "bench_%s: %s: %s: %s\n", impl.name, opt.work ? opt.work : "-", what,
            strerror(error < 0 ? -error : error));
    exit(1);
}
