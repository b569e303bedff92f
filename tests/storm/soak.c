/* One seed for a long time: at every rest the tree is emptied, and what the process holds must be
 * what it held at the rests before.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include "storm.h"

#include <dirent.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define SETTLED 20       /* rests until the tables, and this program's own, have their size */
#define GROWTH 1024      /* KiB that may be added from then on */
#define IDLE_MS 100      /* nothing happens for so long */
#define IDLE_TIMES 5     /* looked at again, if it was not idle */
#define IDLE_CPU_US 2000 /* this program's own, for going to sleep and waking up */

static uint64_t end;

bool soak_goes_on(void)
{
    if (!opt.soak)
        return false;
    if (!end)
        end = now_ns() + opt.soak * 1000000000;
    return now_ns() < end;
}

/* What the process has filled with data of its own, in KiB. */
static unsigned long filled(void)
{
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    unsigned long size = 0;
    char line[256];

    if (!file)
        die("no /proc/self/smaps_rollup");
    while (fgets(line, sizeof(line), file)) {
        if (sscanf(line, "Anonymous: %lu", &size) == 1)
            break;
    }
    fclose(file);
    return size;
}

/* What is allocated, this program's own logs and tables included, in KiB; 0 where that cannot be asked. */
static unsigned long allocated(void)
{
#if defined __GLIBC__ && __GLIBC_PREREQ(2, 33)
    return (unsigned long)(mallinfo2().uordblks / 1024);
#else
    return 0;
#endif
}

static uint64_t cpu_us(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/* Removes what is in `path` but `keep`. */
static void empty(struct writer *writer, const char *path, const char *keep)
{
    DIR *dir = opendir(path);

    if (!dir)
        die("cannot list %s", path);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            strcmp(entry->d_name, keep) == 0)
            continue;
        char *below = must_print("%s/%s", path, entry->d_name);
        do_rm_rf(writer, below);
        free(below);
    }
    closedir(dir);
}

void soak_rest(struct run *run)
{
    static struct writer self;
    static uint64_t started, told;
    static unsigned rests;
    static unsigned long first;
    static int fds;
    inotify_watcher_stats stats = {.size = sizeof(stats)};
    struct pollfd ready = {.fd = run->fd, .events = POLLIN};
    uint64_t ops = writers_ops(run->plan);

    if (!self.plan) {
        started = now_ns();
        told = 0;
        rests = 0;
        writer_start(&self, run->plan, POPULATOR);
    }
    alarm(opt.timeout);
    empty(&self, "T", "S");
    empty(&self, "T/S", "");
    empty(&self, "O", "");
    empty(&self, "X", "");
    quiesce(run, (int)rng_below(&run->rng, 3));
    check_all(run);
    if (fail_class)
        return;

    uint64_t idle = UINT64_MAX;
    int woken = 0;
    /* What runs at no time can still be charged for an interrupt, but not each time. */
    for (int i = 0; i < IDLE_TIMES && woken == 0 && idle > IDLE_CPU_US; i++) {
        uint64_t before = cpu_us();

        woken = poll(&ready, 1, IDLE_MS);
        idle = cpu_us() - before;
    }
    unsigned long size = filled();
    int open = open_fds();
    (void)inotify_watcher_get_stats(run->watcher, &stats);
    if (++rests <= SETTLED) {
        first = size > first ? size : first;
        fds = open;
    }
    if (now_ns() - started >= told) {
        printf("%6.0f s, rest %5u: %10llu operations, %10llu events, %8llu overflows; %lu KiB, "
               "%lu allocated, %llu by the tables, %d descriptors, %llu watches, "
               "idle for %llu us in %d ms\n",
               (double)(now_ns() - started) / 1e9, rests, (unsigned long long)ops,
               (unsigned long long)stats.delivered, (unsigned long long)stats.overflows, size,
               allocated(), (unsigned long long)stats.memory / 1024, open, (unsigned long long)stats.watchpoints, (unsigned long long)idle, IDLE_MS);
        fflush(stdout);
        told += opt.soak * 1000000000 / 30;
    }
    if (woken != 0)
        fail("idle", "the descriptor became readable while nothing happened");
    if (idle > IDLE_CPU_US)
        fail("idle", "%llu us of CPU time while nothing happened", (unsigned long long)idle);
    if (rests > SETTLED && size > first + GROWTH)
        fail("growth", "%lu KiB, at the first %d rests %lu", size, SETTLED, first);
    if (open != fds)
        fail("growth", "%d descriptors, before that %d", open, fds);
    if (stats.watchpoints != 2)
        fail("growth", "%llu watchpoints for two directories",
             (unsigned long long)stats.watchpoints);

    /* The report of a failure begins with this phase. */
    log_reset();
    for (int i = 0; i <= MAX_WRITERS; i++)
        atomic_store(&shared->writer[i].used, 0);
}
