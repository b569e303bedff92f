/* A watcher whose queue overflows soon.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>

#define LIMIT "/proc/sys/fs/inotify/max_queued_events"

static bool set_limit(unsigned long limit)
{
    FILE *file = fopen(LIMIT, "we");
    bool done = file != NULL && fprintf(file, "%lu\n", limit) > 0;

    return file != NULL && fclose(file) == 0 && done;
}

static inotify_watcher *create_now(const inotify_watcher_options *options, unsigned long events)
{
    FILE *file = fopen(LIMIT, "re");
    inotify_watcher *watcher;
    unsigned long limit;

    CHECK(file != NULL);
    CHECK_EQ(fscanf(file, "%lu", &limit), 1);
    CHECK_SYS(fclose(file));
    if (limit > events && !set_limit(events))
        return NULL;
    watcher = inotify_watcher_create(options);
    if (limit > events)
        CHECK(set_limit(limit));
    CHECK(watcher != NULL);
    return watcher;
}

inotify_watcher *create_with_queue(const inotify_watcher_options *options, unsigned long events)
{
    sigset_t all, before;
    inotify_watcher *watcher;
    int lock;

    /* Neither another test nor a signal may come between: the limit would stay. */
    lock = (int)CHECK_SYS(open(LIMIT, O_RDONLY | O_CLOEXEC));
    CHECK_SYS(flock(lock, LOCK_EX));
    sigfillset(&all);
    CHECK_EQ(sigprocmask(SIG_BLOCK, &all, &before), 0);
    watcher = create_now(options, events);
    CHECK_EQ(sigprocmask(SIG_SETMASK, &before, NULL), 0);
    CHECK_SYS(close(lock));
    return watcher;
}
