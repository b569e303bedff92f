/* Delivery of events that wait in the queue.
 *
 * Each file is made by mknod(2) and later unlinked, which is one event each for every mask; the
 * directories take turns, so that no two events in a row are for the same one (or, flat, all
 * are for one).
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAKE_TREE = 1, FILL, REMOVE_TREE };

static char tree[PATH_MAX];
static unsigned long batch;

static uint64_t fill(bool create)
{
    char path[PATH_MAX];
    uint64_t bytes = 0;
    for (unsigned long i = 0; i < batch / 2; i++) {
        size_t len = tree_path(path, sizeof path, tree, opt.flat ? 1 : i % opt.dirs + 1);
        len += (size_t)snprintf(path + len, sizeof path - len, "/n%09lu", i);
        if (create ? mknod(path, S_IFREG | 0644, 0) : unlink(path))
            die(path, errno);
        bytes += len;
    }
    return bytes;
}

static void stages(int stage)
{
    switch (stage) {
    case MAKE_TREE:
        tree_make(tree, opt.dirs, opt.files);
        break;
    case FILL:
        atomic_fetch_add(&shared->bytes, fill(true) + fill(false));
        atomic_fetch_add(&shared->events, batch / 2 * 2);
        break;
    case REMOVE_TREE:
        tree_remove(tree);
        break;
    }
}

void work_drain(void)
{
    long room = sysctl_inotify("max_queued_events");
    struct bench_clock sum = {0, 0, 0, 0};
    uint64_t reads = 0;
    path_join(tree, sizeof tree, opt.dir, BENCH_TREE);
    if (!opt.dirs)
        opt.dirs = 1;
    if (!opt.events)
        opt.events = 16000;
    batch = opt.events;
    if (room > 256 && (unsigned long)room - 128 < batch)
        batch = (unsigned long)room - 128;
    writer_start(stages);
    writer_run(MAKE_TREE);
    int r = impl.open();
    if (r >= 0)
        r = impl.watch(opt.dir);
    if (r < 0)
        die("watch", r);
    drain_all();
    atomic_store(&told.count, 0);
    atomic_store(&told.bytes, 0);
    for (uint64_t done = 0; done < opt.events; done += batch) {
        gate_close();
        writer_run(FILL);
        struct bench_clock start = clock_read();
        gate_open();
        reads += drain_all();
        struct bench_clock c = clock_since(&start);
        sum.wall += c.wall;
        sum.cpu += c.cpu;
        sum.user += c.user;
        sum.sys += c.sys;
    }
    double events = (double)atomic_load(&shared->events);
    out_begin();
    out_str("over", opt.flat ? "flat" : "dirs");
    out("events", events);
    out_clock(&sum, events, "ns", 1);
    out("reads", (double)reads);
    out("missing", events - (double)atomic_load(&told.count));
    out("wrong_bytes", (double)atomic_load(&shared->bytes) - (double)atomic_load(&told.bytes));
    out_end();
    impl.close();
    writer_run(REMOVE_TREE);
    writer_end();
}
