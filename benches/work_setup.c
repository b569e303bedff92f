/* Setup, memory, close, and the end of a watch: all over a tree that stands already.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>

static void set_up(void)
{
    int r = impl.open();
    if (r < 0)
        die("open", r);
    r = impl.watch(opt.dir);
    if (r < 0)
        die("watch", r);
    /* What is reported of the entries that exist belongs to the setup. */
    if (opt.existing)
        drain_all();
}

void work_setup(void)
{
    double dirs = (double)opt.dirs + 2; /* dir itself and dir/tree */
    long rss = rss_bytes(), heap = heap_bytes();
    struct bench_clock start = clock_read();
    set_up();
    struct bench_clock setup = clock_since(&start);
    rss = rss_bytes() - rss;
    heap = heap_bytes() - heap;
    long own = impl.memory(), watches = impl.watchpoints();
    start = clock_read();
    impl.close();
    struct bench_clock closing = clock_since(&start);

    out_begin();
    out_clock(&setup, dirs, "us", 1000);
    out("rss_B", (double)rss / dirs);
    out("heap_B", (double)heap / dirs);
    if (own >= 0)
        out("own_B", (double)own / dirs);
    if (watches >= 0)
        out("watches", (double)watches);
    if (opt.existing)
        out("told", (double)atomic_load(&told.count));
    out("close_cpu_us", (double)closing.cpu / dirs / 1000);
    out("close_wall_us", (double)closing.wall / dirs / 1000);
    out_end();
}

void work_ignore(void)
{
    double dirs = (double)opt.dirs + 2;
    if (!impl.ignore)
        die("cannot end one watch", ENOTSUP);
    set_up();
    struct bench_clock start = clock_read();
    int r = impl.ignore(opt.dir);
    if (r < 0)
        die("ignore", r);
    struct bench_clock call = clock_since(&start);
    /* The kernel queues an IN_IGNORED for each: to read them is part of it. */
    drain_all();
    struct bench_clock all = clock_since(&start);
    out_begin();
    out_clock(&all, dirs, "us", 1000);
    out("call_ms", (double)call.wall / 1e6);
    out_end();
    impl.close();
}
