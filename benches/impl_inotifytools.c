/* libinotifytools, used as inotifywait -r uses it.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include "bench.h"

#include <dirent.h>
#include <errno.h>
#include <inotifytools/inotifytools.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int ifd = -1;
static ssize_t buffered; /* bytes that the library has read and not yet handed out */

/* inotifytools_next_event() waits for at least a second, and does not say what it holds: seeing
 * its reads tells when a call would wait. */
ssize_t read(int fd, void *to, size_t size)
{
    ssize_t n = syscall(SYS_read, fd, to, size);
    if (fd == ifd && n > 0)
        buffered += n;
    return n;
}

/* It does not show its descriptor: look for it, so that it can be polled as the others are. */
static int find_fd(void)
{
    DIR *d = opendir("/proc/self/fd");
    struct dirent *e;
    int found = -1;
    if (!d)
        return -1;
    while ((e = readdir(d))) {
        char target[64];
        ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof target - 1);
        if (n > 0) {
            target[n] = '\0';
            if (!strcmp(target, "anon_inode:inotify"))
                found = atoi(e->d_name);
        }
    }
    closedir(d);
    return found;
}

static int tools_open(void)
{
    if (!inotifytools_initialize())
        return -inotifytools_error();
    ifd = find_fd();
    return ifd < 0 ? -EBADF : 0;
}

static int tools_watch(const char *path)
{
    return inotifytools_watch_recursively(path, BENCH_MASK) ? 0 : -inotifytools_error();
}

static int tools_fd(void)
{
    return ifd;
}

static int tools_pump(void)
{
    char path[8192];
    int queued = 0;
    if (buffered <= 0 && (ioctl(ifd, FIONREAD, &queued) || !queued))
        return 0;
    struct inotify_event *e = inotifytools_next_event(1);
    if (!e)
        return 0;
    buffered -= (ssize_t)(sizeof *e + e->len);
    size_t dir_len = 0;
    const char *dir = inotifytools_dirname_from_event(e, &dir_len);
    if (!dir)
        return 1;
    size_t name_len = e->len ? strlen(e->name) : 0;
    if (dir_len + name_len + 2 > sizeof path)
        return 1;
    memcpy(path, dir, dir_len);
    memcpy(path + dir_len, e->len ? e->name : "", name_len + 1);
    size_t len = dir_len + name_len;
    if (!e->len && len && path[len - 1] == '/')
        path[--len] = '\0';
    bench_tell(e->mask, path, len);
    if (e->mask & IN_ISDIR && e->mask & (IN_CREATE | IN_MOVED_TO)) {
        if (e->mask & IN_CREATE || !inotifytools_wd_from_filename(path))
            inotifytools_watch_recursively(path, BENCH_MASK);
    }
    return 1;
}

static long tools_watchpoints(void)
{
    return inotifytools_get_num_watches();
}

static long tools_memory(void)
{
    return -1;
}

static void tools_close(void)
{
    inotifytools_cleanup();
}

const struct bench_impl impl = {
    .name = "inotifytools",
    .recursive = true,
    .open = tools_open,
    .watch = tools_watch,
    .fd = tools_fd,
    .pump = tools_pump,
    .watchpoints = tools_watchpoints,
    .memory = tools_memory,
    .close = tools_close,
};
