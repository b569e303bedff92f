/* One do_read does a bounded amount of work, whatever arrives; what is left keeps the descriptor
 * readable, and nobody starves.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

enum { ENTRIES = 20000 };

static bool readable(inotify_watcher *watcher)
{
    struct pollfd one = {.fd = inotify_watcher_fileno(watcher), .events = POLLIN};

    return CHECK_SYS(poll(&one, 1, 0)) == 1;
}

static inotify_watcher *bounded(uint32_t max_events, uint32_t max_scan)
{
    inotify_watcher_options options = {.size = sizeof options,
                                       .max_events = max_events,
                                       .max_scan = max_scan};
    inotify_watcher *watcher = inotify_watcher_create(&options);

    CHECK(watcher != NULL);
    return watcher;
}

static void events(void)
{
    inotify_watcher *watcher = bounded(10, 0);
    struct recorder one = {.silent = true}, two = {.silent = true}, three = {.silent = true};
    unsigned turns = 0;

    make_dir("t");
    /* One kernel event is three here. */
    watch(watcher, "t", IN_CREATE, TREE, &one);
    watch(watcher, "t", IN_CREATE, TREE, &two);
    watch(watcher, "t", IN_CREATE, TREE, &three);
    for (int i = 0; i < 1000; i++)
        make_file(format("t/%d", i));
    while (readable(watcher)) {
        size_t before = one.count + two.count + three.count;

        CHECK(inotify_watcher_do_read(watcher) > 0);
        CHECK(one.count + two.count + three.count - before <= 10);
        turns++;
    }
    CHECK_EQ(one.count, 1000);
    CHECK_EQ(two.count, 1000);
    CHECK_EQ(three.count, 1000);
    CHECK(turns >= 300);
    inotify_watcher_destroy(watcher);
}

static void make_entries(const char *where)
{
    make_dir(where);
    for (int i = 0; i < ENTRIES; i++) {
        if (i % 1000 == 0)
            make_dir(format("%s/%d", where, i));
        else
            make_file(format("%s/%d", where, i));
    }
}

/* A huge directory is moved in: listed in many small steps, and everybody else is served between
 * them. */
static void moved_in(void)
{
    inotify_watcher *watcher = bounded(256, 64);
    struct recorder all = {.silent = true}, small = {0};
    unsigned turns = 0;
    bool served = false;

    make_dir("t");
    make_dir("small");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &all);
    watch(watcher, "small", IN_CREATE, 0, &small);
    CHECK_OK(inotify_watcher_sync(watcher));
    move("huge", "t/huge");
    while (readable(watcher)) {
        size_t before = all.count;

        CHECK(inotify_watcher_do_read(watcher) > 0);
        CHECK(all.count - before <= 256);
        turns++;
        if (turns == 10)
            make_file("small/meanwhile");
        if (!served && small.count != 0) {
            served = true;
            CHECK(all.count < ENTRIES);
        }
    }
    CHECK(served);
    CHECK_EQ(all.count, ENTRIES + 1);
    CHECK(turns >= ENTRIES / 64);
    CHECK_EQ(get_stats(watcher).watchpoints, 1 + 1 + 1 + ENTRIES / 1000);
    CHECK_TABLES(watcher);
    recorder_clear(&small);
    /* And out again. */
    move("t/huge", "huge");
    drain(watcher);
    CHECK_WATCHES(watcher, 2);
    inotify_watcher_destroy(watcher);
}

/* It is deleted while it is being listed. */
static void deleted_meanwhile(void)
{
    inotify_watcher *watcher = bounded(0, 16);
    struct recorder recorder = {0};

    make_dir("t");
    make_dir("new");
    for (int i = 0; i < 1000; i++)
        make_dir(format("new/%d", i));
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    move("new", "t/new");
    for (int i = 0; i < 10; i++)
        CHECK(inotify_watcher_do_read(watcher) > 0);
    remove_tree("t/new");
    make_dir("t/new");
    make_file("t/new/f");
    CHECK_OK(inotify_watcher_sync(watcher));
    drain(watcher);
    CHECK_EQ(recorder_count(&recorder, "delete|is_dir t/new"), 1);
    CHECK(recorder_find(&recorder, "delete|is_dir t/new") <
          recorder_find(&recorder, "create|is_dir t/new"));
    for (int i = 0; i < 1000; i++) {
        /* Whatever was announced is taken back. */
        size_t came = recorder_count(&recorder, format("create|is_dir t/new/%d [synthetic]", i));
        size_t went = recorder_count(&recorder, format("delete|is_dir t/new/%d", i));

        CHECK(came <= 1);
        CHECK(went <= came);
    }
    CHECK_EQ(get_stats(watcher).watchpoints, 2);
    CHECK_TABLES(watcher);
    recorder_clear(&recorder);
    inotify_watcher_destroy(watcher);
}

/* A queue that never empties: the listing of another directory goes on all the same. */
static atomic_bool stop;

static void *write_on(void *unused)
{
    (void)unused;
    while (!atomic_load(&stop)) {
        make_file("t/noise");
        remove_file("t/noise");
    }
    return NULL;
}

static void count_synthetic(inotify_watcher *watcher, const inotify_watcher_event *event,
                            void *count)
{
    (void)watcher;
    if ((event->flags & RINOTIFY_EVENT_SYNTHETIC) != 0)
        ++*(unsigned *)count;
}

static void never_empty(void)
{
    inotify_watcher *watcher = bounded(64, 64);
    unsigned count = 0;
    pthread_t writer;

    make_dir("t");
    CHECK_OK(inotify_watcher_watch(watcher, "t", IN_CREATE, TREE, count_synthetic, &count));
    CHECK_EQ(pthread_create(&writer, NULL, write_on, NULL), 0);
    move("huge", "t/huge");
    while (count < ENTRIES)
        CHECK_OK(inotify_watcher_do_read(watcher));
    atomic_store(&stop, true);
    CHECK_EQ(pthread_join(writer, NULL), 0);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(count, ENTRIES);
    CHECK_TABLES(watcher);
    move("t/huge", "huge");
    inotify_watcher_destroy(watcher);
}

int main(void)
{
    check_begin(240);
    check_case("events");
    events();
    check_case("huge");
    make_entries("huge");
    moved_in();
    remove_tree("t");
    never_empty();
    check_case("deleted-meanwhile");
    deleted_meanwhile();
    return 0;
}
