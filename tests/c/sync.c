/* The barrier: what was complete before the call has been delivered when it returns; it needs no
 * place to write and no permission in the tree.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/prctl.h>

static void nothing_to_tell(void)
{
    inotify_watcher *watcher = create();

    for (int i = 0; i < 100; i++)
        CHECK_EQ(inotify_watcher_sync(watcher), 0);
    CHECK_EQ(inotify_watcher_do_read(watcher), 0);
    CHECK_WATCHES(watcher, 0);
    CHECK_EQ(get_stats(watcher).delivered, 0);
    inotify_watcher_destroy(watcher);
}

/* Not bounded as do_read is: thousands of events and a deep tree, with the smallest steps. */
static void everything(void)
{
    inotify_watcher_options options = {.size = sizeof options,
                                       .read_size = 512,
                                       .max_events = 1,
                                       .max_scan = 16};
    inotify_watcher *watcher = inotify_watcher_create(&options);
    struct recorder recorder = {.silent = true};

    CHECK(watcher != NULL);
    make_dir("t");
    watch(watcher, "t", IN_CREATE | IN_DELETE, TREE, &recorder);
    for (int i = 0; i < 2000; i++)
        make_file(format("t/%d", i));
    make_dirs("t/a/b/c/d/e/f");
    for (int i = 0; i < 500; i++)
        make_file(format("t/a/b/c/d/e/f/%d", i));
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder.count, 2000 + 6 + 500);
    CHECK_EQ(get_stats(watcher).delivered, recorder.count);
    inotify_watcher_destroy(watcher);
}

/* Each change alone, at once. */
static void one_at_a_time(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {.silent = true};

    make_dir("t");
    watch(watcher, "t", IN_CREATE | IN_DELETE, TREE, &recorder);
    for (size_t i = 0; i < 1000; i++) {
        make_dirs(format("t/%zu/d", i));
        CHECK_OK(inotify_watcher_sync(watcher));
        CHECK_EQ(recorder.count, 2 * (i + 1));
    }
    inotify_watcher_destroy(watcher);
}

/* Other threads go on writing: it returns all the same. */
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

static void under_load(void)
{
    inotify_watcher *watcher = create();
    struct recorder noise = {.silent = true}, recorder = {0};
    pthread_t writer;

    make_dir("t");
    make_dir("quiet");
    watch(watcher, "t", IN_CREATE | IN_DELETE, TREE, &noise);
    watch(watcher, "quiet", IN_CREATE, TREE, &recorder);
    CHECK_EQ(pthread_create(&writer, NULL, write_on, NULL), 0);
    for (int i = 0; i < 200; i++) {
        make_file(format("quiet/%d", i));
        EXPECT(watcher, &recorder, format("create quiet/%d", i));
    }
    atomic_store(&stop, true);
    CHECK_EQ(pthread_join(writer, NULL), 0);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(get_stats(watcher).overflows, 0);
    inotify_watcher_destroy(watcher);
}

/* A tree in which nothing can be made, by a user who owns nothing. */
static void read_only(void)
{
    inotify_watcher *watcher;
    struct recorder recorder = {0};

    make_dirs("t/d");
    make_file("t/d/f");
    CHECK_SYS(chmod("t/d", 0555));
    CHECK_SYS(chmod("t", 0555));
    if (geteuid() == 0) {
        CHECK_SYS(seteuid(65534));
        /* For the comparison with /proc, which the change of the user has closed. */
        CHECK_SYS(prctl(PR_SET_DUMPABLE, 1));
    }
    watcher = create();
    watch(watcher, "t", RINOTIFY_WATCH_MASK | IN_OPEN, TREE, &recorder);
    CHECK_OK(inotify_watcher_sync(watcher));
    fclose(fopen("t/d/f", "re"));
    EXPECT(watcher, &recorder, "open t/d/f");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    if (geteuid() != getuid())
        CHECK_SYS(seteuid(getuid()));
    CHECK_SYS(chmod("t", 0755));
    CHECK_SYS(chmod("t/d", 0755));
}

/* An internal watch is for the barrier: its events are nobody's, and it keeps nothing readable. */
static void leaves_no_trace(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};
    struct pollfd readable;

    make_dir("t");
    watch(watcher, "t", RINOTIFY_WATCH_MASK | IN_CLOSE_WRITE, TREE, &recorder);
    readable = (struct pollfd){.fd = inotify_watcher_fileno(watcher), .events = POLLIN};
    for (int i = 0; i < 10; i++) {
        CHECK_OK(inotify_watcher_sync(watcher));
        drain(watcher);
        CHECK_EQ(poll(&readable, 1, 0), 0);
    }
    CHECK_EQ(recorder.count, 0);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

int main(void)
{
    check_begin(240);
    check_case("nothing-to-tell");
    nothing_to_tell();
    check_case("everything");
    everything();
    check_case("one-at-a-time");
    one_at_a_time();
    check_case("under-load");
    under_load();
    check_case("leaves-no-trace");
    leaves_no_trace();
    check_case("read-only");
    read_only();
    return 0;
}
