/* Watches come, go and change their masks in a directory in which something happens all the time: none
 * of it is missed by the watch that stays. (While the kernel replaces a mask there is a moment in which
 * the watch has none.)
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

static atomic_uint made, seen;
static atomic_bool done;

/* Each event differs from the one before, so the kernel merges none; and the queue never gets full. */
static void *make_and_remove(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < check_rounds(20000); i++) {
        while (atomic_load(&made) - atomic_load(&seen) > 4096)
            sched_yield();
        make_file("t/d/x");
        remove_file("t/d/x");
        atomic_fetch_add(&made, 2);
    }
    atomic_store(&done, true);
    return NULL;
}

static void count(inotify_watcher *watcher, const inotify_watcher_event *event, void *user_data)
{
    (void)watcher;
    (void)user_data;
    CHECK_EQ(event->mask & IN_Q_OVERFLOW, 0);
    CHECK_STR(event->name, "x");
    atomic_fetch_add(&seen, 1);
}

static void other(inotify_watcher *watcher, const inotify_watcher_event *event, void *user_data)
{
    (void)watcher;
    (void)event;
    (void)user_data;
}

static void read_some(inotify_watcher *watcher)
{
    CHECK_OK(inotify_watcher_do_read(watcher));
}

static void others_come_and_go(inotify_watcher *watcher)
{
    static const struct {
        const char *path;
        uint32_t mask, flags;
    } asked[] = {
        {"t/d", IN_OPEN | IN_ATTRIB, 0},
        {"t/d", IN_MODIFY | IN_EXCL_UNLINK, 0},
        {"t/d", IN_CLOSE_WRITE, RINOTIFY_WATCH_FOLLOW_NAME},
        {"t/d/f", IN_CLOSE_WRITE, RINOTIFY_WATCH_FOLLOW_NAME},
        {"t/d/none/f", IN_CLOSE_WRITE, RINOTIFY_WATCH_FOLLOW_NAME},
        {"t", IN_ACCESS | IN_CLOSE, TREE},
    };

    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        int64_t id = CHECK_OK(inotify_watcher_watch(watcher, asked[i].path, asked[i].mask,
                                                    asked[i].flags, other, NULL));

        read_some(watcher);
        CHECK_OK(inotify_watcher_ignore_watch(watcher, id));
        read_some(watcher);
    }
}

static void its_own_mask(inotify_watcher *watcher)
{
    CHECK_OK(inotify_watcher_watch(watcher, "t", IN_CREATE | IN_DELETE | IN_MOVE_SELF, TREE, count,
                                   NULL));
    read_some(watcher);
    CHECK_OK(inotify_watcher_watch(watcher, "t", IN_CREATE | IN_DELETE, TREE, count, NULL));
    read_some(watcher);
}

static void nothing_is_missed(void (*meanwhile)(inotify_watcher *))
{
    inotify_watcher *watcher = create();
    pthread_t writer;

    atomic_store(&made, 0);
    atomic_store(&seen, 0);
    atomic_store(&done, false);
    make_dirs("t/d");
    make_file("t/d/f");
    CHECK_OK(inotify_watcher_watch(watcher, "t", IN_CREATE | IN_DELETE, TREE, count, NULL));
    CHECK_EQ(pthread_create(&writer, NULL, make_and_remove, NULL), 0);
    while (!atomic_load(&done))
        meanwhile(watcher);
    CHECK_EQ(pthread_join(writer, NULL), 0);
    CHECK_OK(inotify_watcher_sync(watcher));
    drain(watcher);
    CHECK_EQ(atomic_load(&seen), atomic_load(&made));
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    remove_tree("t");
}

int main(void)
{
    check_begin(240);
    check_case("others-come-and-go");
    nothing_is_missed(others_come_and_go);
    check_case("its-own-mask");
    nothing_is_missed(its_own_mask);
    return 0;
}
