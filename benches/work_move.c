/* Renames of a directory with a large tree below: inside the watched tree, and out of it.
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
#include <unistd.h>

static char want[PATH_MAX + 16];
static size_t want_len;
static _Atomic int64_t told_at;

static void rename_hook(uint32_t mask, const char *path, size_t len)
{
    if (mask & IN_CREATE && len == want_len && !memcmp(path, want, len) &&
        !atomic_load_explicit(&told_at, memory_order_acquire))
        atomic_store_explicit(&told_at, now_ns(), memory_order_release);
}

static void set_up(void)
{
    int r = impl.open();
    if (r >= 0)
        r = impl.watch(opt.dir);
    if (r < 0)
        die("watch", r);
    drain_all();
}

/* Makes a file where the directory stands now and waits for its path: a peer that watches the
 * tree again has missed some, so more are made. Returns how many it took, 0 for never. */
static int until_right(const char *dir, int64_t limit)
{
    for (int tries = 1;; tries++) {
        snprintf(want, sizeof want, "%s/n%09d", dir, tries);
        want_len = strlen(want);
        atomic_store(&told_at, 0);
        int fd = creat(want, 0644);
        if (fd < 0)
            die(want, errno);
        close(fd);
        if (impl.threaded) {
            for (int64_t t = now_ns(); !atomic_load(&told_at) && now_ns() - t < 2000000;)
                ;
        } else {
            while (!atomic_load(&told_at) && impl.pump() > 0)
                ;
        }
        bool right = atomic_load(&told_at) != 0;
        unlink(want);
        if (right)
            return tries;
        if (now_ns() > limit)
            return 0;
    }
}

void work_rename(void)
{
    char a[PATH_MAX], b[PATH_MAX], below[PATH_MAX];
    int64_t *took = calloc(opt.rounds, sizeof *took);
    unsigned long never = 0, missed = 0;
    if (!took)
        die("calloc", ENOMEM);
    path_join(a, sizeof a, opt.dir, BENCH_TREE);
    path_join(b, sizeof b, opt.dir, "eert");
    set_up();
    told.hook = rename_hook;
    for (unsigned long i = 0; i < opt.rounds; i++) {
        const char *from = i % 2 ? b : a, *to = i % 2 ? a : b;
        tree_path(below, sizeof below, to, opt.dirs ? opt.dirs : 0);
        drain_all();
        int64_t start = now_ns();
        if (rename(from, to))
            die("rename", errno);
        int tries = until_right(below, start + 2000000000);
        took[i] = (tries ? atomic_load(&told_at) : now_ns()) - start;
        never += !tries;
        missed += tries > 1 ? (unsigned long)tries - 1 : 0;
    }
    if (opt.rounds % 2 && rename(b, a))
        die("rename", errno);
    qsort(took, opt.rounds, sizeof *took, cmp_i64);
    out_begin();
    out("rounds", (double)opt.rounds);
    out("p50_us", (double)took[opt.rounds / 2] / 1000);
    out("max_us", (double)took[opt.rounds - 1] / 1000);
    out("missed", (double)missed);
    out("never", (double)never);
    out_end();
    impl.close();
    free(took);
}

struct longest {
    int64_t wall, cpu, total_cpu, total_wall;
    uint64_t calls;
};

static struct longest pump_all(void)
{
    struct longest l = {0, 0, 0, 0, 0};
    int64_t begin = now_ns(), begin_cpu = cpu_ns();
    for (;;) {
        int64_t cpu = thread_cpu_ns(), wall = now_ns();
        int r = impl.pump();
        int64_t w = now_ns() - wall, c = thread_cpu_ns() - cpu;
        l.wall = w > l.wall ? w : l.wall;
        l.cpu = c > l.cpu ? c : l.cpu;
        l.calls++;
        if (r < 0)
            die("pump", r);
        if (r == 0)
            break;
    }
    l.total_wall = now_ns() - begin;
    l.total_cpu = cpu_ns() - begin_cpu;
    return l;
}

static void out_longest(const char *which, const struct longest *l)
{
    char key[64];
    double dirs = (double)opt.dirs + 1;
    snprintf(key, sizeof key, "%s_longest_us", which);
    out(key, (double)l->wall / 1000);
    snprintf(key, sizeof key, "%s_longest_cpu_us", which);
    out(key, (double)l->cpu / 1000);
    snprintf(key, sizeof key, "%s_calls", which);
    out(key, (double)l->calls);
    snprintf(key, sizeof key, "%s_cpu_us", which);
    out(key, (double)l->total_cpu / dirs / 1000);
}

static void worse(struct longest *a, struct longest b)
{
    a->wall = b.wall > a->wall ? b.wall : a->wall;
    a->cpu = b.cpu > a->cpu ? b.cpu : a->cpu;
    a->total_cpu = b.total_cpu > a->total_cpu ? b.total_cpu : a->total_cpu;
    a->total_wall = b.total_wall > a->total_wall ? b.total_wall : a->total_wall;
    a->calls = b.calls > a->calls ? b.calls : a->calls;
}

void work_move(void)
{
    char a[PATH_MAX], b[PATH_MAX];
    struct longest out_of = {0, 0, 0, 0, 0}, into = {0, 0, 0, 0, 0};
    long left = 0, back = 0;
    if (!opt.outside)
        die("--outside is missing", EINVAL);
    if (impl.threaded)
        die("has no read of its own", ENOTSUP);
    path_join(a, sizeof a, opt.dir, BENCH_TREE);
    path_join(b, sizeof b, opt.outside, BENCH_TREE);
    set_up();
    long before = impl.watchpoints();
    for (unsigned long i = 0; i < opt.rounds; i++) {
        if (rename(a, b))
            die("rename", errno);
        worse(&out_of, pump_all());
        left = impl.watchpoints();
        if (rename(b, a))
            die("rename", errno);
        worse(&into, pump_all());
        back = impl.watchpoints();
    }
    out_begin();
    out("rounds", (double)opt.rounds);
    out_longest("out", &out_of);
    out_longest("in", &into);
    out("watches", (double)before);
    out("watches_left", (double)left);
    out("watches_back", (double)back);
    out_end();
    impl.close();
}
