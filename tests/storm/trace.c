/* Sees what the library reads from its descriptor and which watches it asks for, by standing in
 * for the C library's functions. Built without STORM_TRACE nothing of this is there: a sanitizer
 * wants to stand in the same place.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include "storm.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

int trace_fd = -1;

#ifdef STORM_TRACE

ssize_t read(int fd, void *buffer, size_t size)
{
    ssize_t result = syscall(SYS_read, fd, buffer, size);

    if (fd == trace_fd && result > 0) {
        int error = errno;
        log_kernel(buffer, (size_t)result);
        errno = error;
    }
    return result;
}

int inotify_add_watch(int fd, const char *name, uint32_t mask)
{
    int result = (int)syscall(SYS_inotify_add_watch, fd, name, mask);

    if (fd == trace_fd) {
        int error = errno;
        log_note("add_watch %s = %d", name, result < 0 ? -error : result);
        errno = error;
    }
    return result;
}

int inotify_rm_watch(int fd, int wd)
{
    int result = (int)syscall(SYS_inotify_rm_watch, fd, wd);

    if (fd == trace_fd) {
        int error = errno;
        log_note("rm_watch %d = %d", wd, result < 0 ? -error : result);
        errno = error;
    }
    return result;
}

#endif
