/* Works in which the watcher runs beside the writer: latency, the storm, removal.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PREPARE = 1, RUN, CLEAN };

static char tree[PATH_MAX];
static int64_t *delay;
static unsigned char *seen;
static unsigned long seen_size;

/* The number in the last component if it is "f" and nine digits, else -1. */
static long file_number(const char *path, size_t len)
{
    long n = 0;
    if (len < BENCH_NAME + 1 || path[len - BENCH_NAME - 1] != '/' || path[len - BENCH_NAME] != 'f')
        return -1;
    for (size_t i = len - BENCH_NAME + 1; i < len; i++) {
        if (path[i] < '0' || path[i] > '9')
            return -1;
        n = n * 10 + (path[i] - '0');
    }
    return n;
}

static void latency_writer(int stage)
{
    char path[PATH_MAX];
    struct timespec next;
    if (stage == PREPARE) {
        tree_make(tree, opt.dirs, opt.files);
    } else if (stage == CLEAN) {
        tree_remove(tree);
    } else {
        clock_gettime(CLOCK_MONOTONIC, &next);
        for (unsigned long i = 0; i < opt.events; i++) {
            size_t len = tree_path(path, sizeof path, tree, opt.dirs ? i % opt.dirs + 1 : 0);
            snprintf(path + len, sizeof path - len, "/f%09lu", i + opt.files);
            next.tv_nsec += 200000;
            if (next.tv_nsec >= 1000000000) {
                next.tv_nsec -= 1000000000;
                next.tv_sec++;
            }
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
            atomic_store_explicit(&shared->stamp[i], now_ns(), memory_order_release);
            int fd = creat(path, 0644);
            if (fd < 0)
                die(path, errno);
            close(fd);
        }
    }
}

static void latency_hook(uint32_t mask, const char *path, size_t len)
{
    int64_t now = now_ns();
    if (!(mask & IN_CREATE))
        return;
    long n = file_number(path, len) - (long)opt.files;
    if (n >= 0 && n < (long)opt.events && !delay[n])
        delay[n] = now - atomic_load_explicit(&shared->stamp[n], memory_order_acquire);
}

static void start(writer_stage stages)
{
    path_join(tree, sizeof tree, opt.dir, BENCH_TREE);
    writer_start(stages);
    writer_run(PREPARE);
    int r = impl.open();
    if (r >= 0)
        r = impl.watch(opt.dir);
    if (r < 0)
        die("watch", r);
    drain_all();
    atomic_store(&told.count, 0);
    atomic_store(&told.bytes, 0);
}

void work_latency(void)
{
    if (!opt.events || opt.events > BENCH_STAMPS)
        opt.events = 5000;
    delay = calloc(opt.events, sizeof *delay);
    if (!delay)
        die("calloc", ENOMEM);
    start(latency_writer);
    told.hook = latency_hook;
    struct bench_clock c = clock_read();
    writer_begin(RUN);
    live_run();
    c = clock_since(&c);
    unsigned long lost = 0;
    qsort(delay, opt.events, sizeof *delay, cmp_i64);
    while (lost < opt.events && !delay[lost])
        lost++;
    unsigned long n = opt.events - lost;
    const int64_t *sorted = delay + lost;
    out_begin();
    out("events", (double)opt.events);
    if (n) {
        out("p50_us", (double)sorted[n / 2] / 1000);
        out("p90_us", (double)sorted[n * 9 / 10] / 1000);
        out("p99_us", (double)sorted[n * 99 / 100] / 1000);
        out("max_us", (double)sorted[n - 1] / 1000);
    }
    out("lost", (double)lost);
    out_clock(&c, (double)opt.events, "us", 1000);
    out_end();
    impl.close();
    writer_run(CLEAN);
    writer_end();
}

static void storm_writer(int stage)
{
    if (stage == PREPARE)
        tree_make(tree, 0, 0);
    else if (stage == RUN)
        tree_storm(tree, opt.dirs, opt.files);
    else
        tree_remove(tree);
}

static void storm_hook(uint32_t mask, const char *path, size_t len)
{
    if (!(mask & (IN_CREATE | IN_MOVED_TO)) || mask & IN_ISDIR)
        return;
    long n = file_number(path, len);
    if (n >= 0 && (unsigned long)n < seen_size && seen[n] < 255)
        seen[n]++;
}

void work_storm(void)
{
    if (!opt.dirs)
        opt.dirs = 2000;
    seen_size = opt.dirs * opt.files;
    seen = calloc(seen_size ? seen_size : 1, 1);
    if (!seen)
        die("calloc", ENOMEM);
    start(storm_writer);
    told.hook = storm_hook;
    struct bench_clock c = clock_read();
    writer_begin(RUN);
    live_run();
    c = clock_since(&c);
    unsigned long once = 0, again = 0;
    for (unsigned long i = 0; i < seen_size; i++) {
        once += seen[i] > 0;
        again += seen[i] > 1 ? seen[i] - 1 : 0;
    }
    out_begin();
    if (opt.delay_us)
        out("delay_us", (double)opt.delay_us);
    out_clock(&c, 1, "ms", 1000000);
    out("told", (double)once);
    out("twice", (double)again);
    out("made", (double)seen_size);
    out("events", (double)atomic_load(&told.count));
    if (impl.watchpoints() >= 0)
        out("watches", (double)impl.watchpoints());
    out_end();
    impl.close();
    writer_run(CLEAN);
    writer_end();
}

static void removal_writer(int stage)
{
    if (stage == PREPARE)
        tree_make(tree, opt.dirs, opt.files);
    else if (stage == RUN)
        tree_remove(tree);
}

static _Atomic int removal_told;

static void removal_hook(uint32_t mask, const char *path, size_t len)
{
    if (mask & IN_DELETE && len == strlen(tree) && !memcmp(path, tree, len))
        atomic_store(&removal_told, 1);
}

void work_removal(void)
{
    if (!opt.dirs)
        opt.dirs = 10000;
    start(removal_writer);
    told.hook = removal_hook;
    struct bench_clock c;
    if (opt.queued) {
        long need = (long)((opt.files + 4) * (opt.dirs + 1)) + 64;
        if (sysctl_inotify("max_queued_events") < need)
            die("fs.inotify.max_queued_events is too low", ENOSPC);
        gate_close();
        writer_run(RUN);
        c = clock_read();
        gate_open();
        settle();
    } else {
        c = clock_read();
        writer_begin(RUN);
        live_run();
    }
    c = clock_since(&c);
    out_begin();
    if (opt.queued)
        out_str("when", "queued");
    out_clock(&c, 1, "ms", 1000000);
    out("events", (double)atomic_load(&told.count));
    out("end_told", (double)atomic_load(&removal_told));
    if (impl.watchpoints() >= 0)
        out("watches_left", (double)impl.watchpoints());
    out_end();
    impl.close();
    writer_end();
}
