/* The library itself, on its public header.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <rinotify.h>
#include <string.h>

static inotify_watcher *watcher;

static void on_event(inotify_watcher *w, const inotify_watcher_event *event, void *user_data)
{
    (void)w;
    (void)user_data;
    if (event->flags & RINOTIFY_EVENT_ERROR)
        bench_add(&told.errors, 1);
    bench_tell(event->mask, event->path, event->path_len);
}

static int ours_open(void)
{
    inotify_watcher_options options;
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.read_size = (uint32_t)opt.read_size;
    watcher = inotify_watcher_create(&options);
    return watcher ? 0 : -errno;
}

static int ours_watch(const char *path)
{
    uint32_t flags = RINOTIFY_WATCH_RECURSIVE | RINOTIFY_WATCH_AUTO_ADD;
    if (opt.existing)
        flags |= RINOTIFY_WATCH_EMIT_EXISTING;
    if (opt.track) {
#ifdef RINOTIFY_WATCH_TRACK_ENTRIES
        flags |= RINOTIFY_WATCH_TRACK_ENTRIES;
#else
        return -ENOTSUP;
#endif
    }
    int64_t id = inotify_watcher_watch(watcher, path, RINOTIFY_WATCH_MASK, flags, on_event, NULL);
    return id < 0 ? (int)id : 0;
}

static int ours_fd(void)
{
    return inotify_watcher_fileno(watcher);
}

static int ours_pump(void)
{
    return inotify_watcher_do_read(watcher);
}

static int ours_ignore(const char *path)
{
    return inotify_watcher_ignore(watcher, path);
}

static inotify_watcher_stats stats(void)
{
    inotify_watcher_stats s;
    memset(&s, 0, sizeof s);
    s.size = sizeof s;
    int r = inotify_watcher_get_stats(watcher, &s);
    if (r < 0)
        die("inotify_watcher_get_stats", r);
    return s;
}

static long ours_watchpoints(void)
{
    return (long)stats().watchpoints;
}

static long ours_memory(void)
{
    return (long)stats().memory;
}

static void ours_close(void)
{
    inotify_watcher_destroy(watcher);
}

const struct bench_impl impl = {
    .name = "rinotify",
    .recursive = true,
    .open = ours_open,
    .watch = ours_watch,
    .fd = ours_fd,
    .pump = ours_pump,
    .ignore = ours_ignore,
    .watchpoints = ours_watchpoints,
    .memory = ours_memory,
    .close = ours_close,
};
