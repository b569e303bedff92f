/* libuv: one uv_fs_event_t a directory. It is not recursive on Linux, so the walk is ours, and
 * new directories are not followed.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include "bench.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct dir {
    uv_fs_event_t event;
    size_t len;
    char path[];
};

static uv_loop_t loop;
static long live;

static void on_event(uv_fs_event_t *event, const char *name, int events, int status)
{
    const struct dir *dir = (const struct dir *)event;
    char path[PATH_MAX];
    (void)events;
    if (status < 0) {
        bench_add(&told.errors, 1);
        return;
    }
    size_t len = name ? strlen(name) : 0;
    if (dir->len + len + 2 > sizeof path)
        return;
    memcpy(path, dir->path, dir->len);
    path[dir->len] = '/';
    memcpy(path + dir->len + 1, name ? name : "", len + 1);
    /* It does not tell creation from deletion. */
    bench_tell(IN_CREATE | IN_DELETE, path, dir->len + 1 + len);
}

static int add(const char *path)
{
    size_t len = strlen(path);
    struct dir *dir = malloc(sizeof *dir + len + 1);
    if (!dir)
        return -ENOMEM;
    memcpy(dir->path, path, len + 1);
    dir->len = len;
    uv_fs_event_init(&loop, &dir->event);
    int r = uv_fs_event_start(&dir->event, on_event, dir->path, 0);
    live += r == 0;
    return r;
}

static int uv_watch(const char *path)
{
    char child[PATH_MAX];
    struct dirent *e;
    int r = add(path);
    DIR *d = opendir(path);
    if (r || !d)
        return r ? r : -errno;
    while (!r && (e = readdir(d))) {
        if (e->d_type != DT_DIR || e->d_name[0] == '.')
            continue;
        path_join(child, sizeof child, path, e->d_name);
        r = uv_watch(child);
    }
    closedir(d);
    return r;
}

static int uv_open(void)
{
    return uv_loop_init(&loop);
}

static int uv_fd(void)
{
    return uv_backend_fd(&loop);
}

static int uv_pump(void)
{
    uint64_t before = atomic_load(&told.count);
    uv_run(&loop, UV_RUN_NOWAIT);
    return atomic_load(&told.count) != before;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

static void close_one(uv_handle_t *handle, void *data)
{
    (void)data;
    if (handle->type == UV_FS_EVENT && !uv_is_closing(handle))
        uv_close(handle, on_closed);
}

static int uv_ignore(const char *path)
{
    (void)path;
    uv_walk(&loop, close_one, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    live = 0;
    return 0;
}

static long uv_watchpoints(void)
{
    return live;
}

static long uv_memory(void)
{
    return -1;
}

static void uv_done(void)
{
    uv_ignore(NULL);
    uv_loop_close(&loop);
}

const struct bench_impl impl = {
    .name = "uv",
    .open = uv_open,
    .watch = uv_watch,
    .fd = uv_fd,
    .pump = uv_pump,
    .ignore = uv_ignore,
    .watchpoints = uv_watchpoints,
    .memory = uv_memory,
    .close = uv_done,
};
