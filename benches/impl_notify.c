/* The notify crate, by a thin C interface (peers/src/lib.rs). It reads on a thread of its own.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include "bench.h"

void *peer_notify_open(void (*tell)(uint32_t mask, const char *path, size_t len));
int peer_notify_watch(void *watcher, const char *path, size_t len);
int peer_notify_ignore(void *watcher, const char *path, size_t len);
void peer_notify_close(void *watcher);

#include <errno.h>
#include <string.h>

static void *watcher;

static int crate_open(void)
{
    watcher = peer_notify_open(bench_tell);
    return watcher ? 0 : -EINVAL;
}

static int crate_watch(const char *path)
{
    return peer_notify_watch(watcher, path, strlen(path));
}

static int crate_ignore(const char *path)
{
    return peer_notify_ignore(watcher, path, strlen(path));
}

static int crate_fd(void)
{
    return -1;
}

static int crate_pump(void)
{
    return 0;
}

static long crate_unknown(void)
{
    return -1;
}

static void crate_close(void)
{
    peer_notify_close(watcher);
}

const struct bench_impl impl = {
    .name = "notify",
    .threaded = true,
    .recursive = true,
    .open = crate_open,
    .watch = crate_watch,
    .fd = crate_fd,
    .pump = crate_pump,
    .ignore = crate_ignore,
    .watchpoints = crate_unknown,
    .memory = crate_unknown,
    .close = crate_close,
};
