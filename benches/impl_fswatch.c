/* libfswatch, recursive, directories only. Its monitor blocks, so it runs on a thread; nothing
 * says when its scan is over, hence settle().
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <libfswatch/c/libfswatch.h>
#include <pthread.h>
#include <string.h>

static FSW_HANDLE session;
static pthread_t thread;

static void on_events(fsw_cevent const *const events, const unsigned int n, void *data)
{
    (void)data;
    for (unsigned int i = 0; i < n; i++) {
        uint32_t mask = 0;
        for (unsigned int k = 0; k < events[i].flags_num; k++) {
            switch (events[i].flags[k]) {
            case Created: mask |= IN_CREATE; break;
            case Removed: mask |= IN_DELETE; break;
            case MovedTo: mask |= IN_MOVED_TO; break;
            case MovedFrom: mask |= IN_MOVED_FROM; break;
            case IsDir: mask |= IN_ISDIR; break;
            case Overflow: mask |= IN_Q_OVERFLOW; break;
            default: break;
            }
        }
        bench_tell(mask, events[i].path, strlen(events[i].path));
    }
}

static void *run(void *data)
{
    (void)data;
    if (fsw_start_monitor(session) != FSW_OK)
        bench_add(&told.errors, 1);
    return NULL;
}

static int fs_open(void)
{
    if (fsw_init_library() != FSW_OK)
        return -EINVAL;
    session = fsw_init_session(inotify_monitor_type);
    if (!session)
        return -ENOMEM;
    fsw_set_callback(session, on_events, NULL);
    fsw_set_recursive(session, true);
    fsw_set_directory_only(session, true);
    fsw_set_allow_overflow(session, true);
    fsw_set_latency(session, 0.1);
    return 0;
}

static int fs_watch(const char *path)
{
    if (fsw_add_path(session, path) != FSW_OK)
        return -EINVAL;
    int r = pthread_create(&thread, NULL, run, NULL);
    if (r)
        return -r;
    settle();
    return 0;
}

static int fs_fd(void)
{
    return -1;
}

static int fs_pump(void)
{
    return 0;
}

static long fs_unknown(void)
{
    return -1;
}

static void fs_close(void)
{
    fsw_stop_monitor(session);
    pthread_join(thread, NULL);
    fsw_destroy_session(session);
}

const struct bench_impl impl = {
    .name = "fswatch",
    .threaded = true,
    .recursive = true,
    .open = fs_open,
    .watch = fs_watch,
    .fd = fs_fd,
    .pump = fs_pump,
    .watchpoints = fs_unknown,
    .memory = fs_unknown,
    .close = fs_close,
};
