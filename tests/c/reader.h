/* A reader whom modes bind, and a writer who can change them: for tests of what must not be read.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef READER_H
#define READER_H

#include "check.h"

#include <sys/prctl.h>

/* From here on this process is the reader: not root. */
static inline void as_reader(void)
{
    if (getuid() != 0)
        return;
    CHECK_SYS(seteuid(65534));
    /* A change of the user takes the access to /proc/self/fd and fdinfo away. */
    CHECK_SYS(prctl(PR_SET_DUMPABLE, 1));
}

/* And from here on the writer, whom no mode stops if that is root. */
static inline void as_writer(void)
{
    if (getuid() == 0)
        CHECK_SYS(seteuid(0));
}

/* The writer changes a mode. */
static inline void change_mode(const char *path, mode_t mode)
{
    as_writer();
    CHECK_SYS(chmod(path, mode));
    as_reader();
}

/* What the status says; the library must know the watch. */
static inline uint32_t coverage_of(const inotify_watcher *watcher, int64_t id, uint64_t *uncovered)
{
    inotify_watcher_status status = {.size = sizeof status};

    CHECK_OK(inotify_watcher_get_status(watcher, id, &status));
    if (uncovered != NULL)
        *uncovered = status.uncovered;
    CHECK_EQ(status.coverage == RINOTIFY_COVERAGE_COMPLETE, status.uncovered == 0);
    return status.coverage;
}

#endif /* READER_H */
