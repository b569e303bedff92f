/* No descriptor left: a call says so, with the limit; later it is one error event, the rest goes on,
 * and what was left out is covered when the watcher is told to try again.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "reader.h"

#include <fcntl.h>
#include <sys/resource.h>

static struct rlimit usual;

/* As many descriptors as are open now, and `more`. */
static void allow(unsigned more)
{
    struct rlimit low = usual;
    int next = open("/", O_PATH | O_CLOEXEC);

    CHECK(next >= 0);
    close(next);
    low.rlim_cur = (rlim_t)next + more;
    CHECK_SYS(setrlimit(RLIMIT_NOFILE, &low));
}

static void allow_all(void)
{
    CHECK_SYS(setrlimit(RLIMIT_NOFILE, &usual));
}

/* Whether two files were exchanged, only a look at one of them could tell. It is told when that can be
 * had, whether or not entries are remembered: the listing that finds it again has not been told. */
static void looked_at_later(uint32_t more, bool outside)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_dir("t");
    make_file("t/b");
    make_file("o");
    if (!outside)
        make_file("t/a");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE | more, &recorder);
    EXPECT_NOTHING(watcher, &recorder);
    exchange(outside ? "o" : "t/a", "t/b");
    allow(0);
    CHECK_OK(inotify_watcher_sync(watcher));
    allow_all();
    if (outside)
        EXPECT(watcher, &recorder, "moved_to t/b", "moved_from t/b", "is_dir t [error EMFILE]",
               "t [partial]");
    else
        EXPECT(watcher, &recorder, "moved_from t/a", "moved_to t/b <- t/a", "moved_from t/b",
               "moved_to t/a <- t/b", "is_dir t [error EMFILE]", "t [partial]");
    /* Nothing is told of what is still to be told itself. */
    CHECK_SYS(chmod("t/b", 0600));
    EXPECT_NOTHING(watcher, &recorder);
    CHECK_OK(inotify_watcher_retry(watcher));
    EXPECT(watcher, &recorder, "create t/b [synthetic]", "t [complete]");
    remove_file("t/b");
    EXPECT(watcher, &recorder, "delete t/b");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* A name that could not be followed is looked at again, too. */
static void followed_later(void)
{
    inotify_watcher *watcher = create();
    struct recorder file = {0}, tree = {0};

    make_dirs("a/b");
    make_dirs("n/b/d");
    write_file("a/b/x", "1");
    watch(watcher, "a/b/x", IN_CLOSE_WRITE, RINOTIFY_WATCH_FOLLOW_NAME, &file);
    watch(watcher, "a/b", IN_CREATE, TREE | RINOTIFY_WATCH_FOLLOW_NAME, &tree);
    EXPECT_NOTHING(watcher, &file);
    allow(0);
    exchange("a", "n");
    CHECK_OK(inotify_watcher_sync(watcher));
    allow_all();
    EXPECT(watcher, &file, "/ [error EMFILE]", "a/b/x [partial]");
    EXPECT(watcher, &tree, "/ [error EMFILE]", "a/b [partial]");
    CHECK_OK(inotify_watcher_retry(watcher));
    EXPECT(watcher, &file, "delete a/b/x [root] [synthetic]", "a/b/x [complete]");
    EXPECT(watcher, &tree, "moved_to|is_dir a/b [root] [synthetic]",
           "create|is_dir a/b/d [synthetic]", "a/b [complete]");
    write_file("a/b/x", "2");
    EXPECT(watcher, &file, "create a/b/x [root]", "close_write a/b/x");
    EXPECT(watcher, &tree, "create a/b/x");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* While there is no descriptor for a look, what is known of the way is kept: what happens on it when
 * there is room again is seen, though nobody asks for it. */
static void followed_still(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_dirs("s/b");
    write_file("s/b/x", "1");
    watch(watcher, "s/b/x", IN_CLOSE_WRITE, RINOTIFY_WATCH_FOLLOW_NAME, &recorder);
    EXPECT_NOTHING(watcher, &recorder);
    allow(0);
    move("s", "away");
    move("away", "s");
    CHECK_OK(inotify_watcher_sync(watcher));
    allow_all();
    EXPECT(watcher, &recorder, "/ [error EMFILE]", "s/b/x [partial]");
    move("s/b", "s/c");
    EXPECT(watcher, &recorder, "delete s/b/x [root] [synthetic]", "s/b/x [complete]");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* A root that is to be listed again, and goes before it is, while there is more to do than one call
 * does. */
static void gone_first(void)
{
    inotify_watcher_options options = {.size = sizeof options, .max_scan = 16};
    inotify_watcher *watcher = create_with_queue(&options, 16384);
    struct recorder recorder = {0};

    if (watcher == NULL)
        return;
    make_dir("t");
    make_file("t/1");
    make_file("t/2");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE | RINOTIFY_WATCH_FOLLOW_NAME, &recorder);
    EXPECT_NOTHING(watcher, &recorder);
    for (int i = 0; i < 20000; i++)
        CHECK_SYS(chmod(i % 2 == 0 ? "t/1" : "t/2", 0644));
    allow(0);
    drain(watcher);
    CHECK_EQ(recorder_count(&recorder, "is_dir t [error EMFILE]"), 1);
    make_dirs("t/a/b/c");
    CHECK_OK(inotify_watcher_do_read(watcher));
    make_dir("t/d");
    drain(watcher);
    allow_all();
    recorder_clear(&recorder);
    remove_tree("t");
    CHECK_OK(inotify_watcher_retry(watcher));
    EXPECT_SET(watcher, &recorder, "delete t/1", "delete t/2", "delete|is_dir t/a",
               "delete|is_dir t/d", "delete|is_dir t [root] [synthetic]", "t [complete]");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

static void directories(void)
{
    inotify_watcher *watcher;
    struct recorder recorder = {0}, failed = {0};
    int64_t id;

    make_dirs("t/a/b");
    make_dirs("u/v/w");
    watcher = create();
    id = watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE | RINOTIFY_WATCH_EMIT_EXISTING, &recorder);
    EXPECT(watcher, &recorder, "create|is_dir t/a [synthetic]", "create|is_dir t/a/b [synthetic]");

    for (unsigned more = 0; more < 2; more++) {
        inotify_watcher_error error;

        allow(more);
        CHECK_EQ(inotify_watcher_watch(watcher, "u", IN_CREATE,
                                       TREE | RINOTIFY_WATCH_EMIT_EXISTING, record, &failed),
                 -EMFILE);
        allow_all();
        error = last_error(watcher);
        CHECK_EQ(error.error, EMFILE);
        CHECK_STR(error.step, "open");
        CHECK_EQ(error.path[0], 'u');
        CHECK(error.limit >= 3);
        CHECK(strstr(error.message, "RLIMIT_NOFILE") != NULL);
        CHECK_EQ(failed.count, 0);
        CHECK_TABLES(watcher);
    }

    make_dirs("new/deep");
    make_file("new/f");
    make_dirs("other/deep");
    make_file("other/f");
    allow(0);
    move("new", "t/new");
    move("other", "t/other");
    CHECK_OK(inotify_watcher_sync(watcher));
    allow_all();
    /* One error for both. */
    EXPECT(watcher, &recorder, "moved_to|is_dir t/new", "moved_to|is_dir t/other",
           "is_dir t/new [error EMFILE]", "t [partial]");
    CHECK_EQ(coverage_of(watcher, id, NULL), RINOTIFY_COVERAGE_PARTIAL);
    make_file("t/a/b/f");
    EXPECT(watcher, &recorder, "create t/a/b/f");
    CHECK_TABLES(watcher);
    CHECK_OK(inotify_watcher_retry(watcher));
    EXPECT_SET(watcher, &recorder, "create t/new/f [synthetic]",
               "create|is_dir t/new/deep [synthetic]", "create t/other/f [synthetic]",
               "create|is_dir t/other/deep [synthetic]", "t [complete]");
    make_file("t/new/deep/f");
    EXPECT(watcher, &recorder, "create t/new/deep/f");
    CHECK_TABLES(watcher);

    /* With a few, the library makes do with fewer of its own. */
    make_dirs("t/a/1/2/3/4/5/6/7/8");
    EXPECT(watcher, &recorder, "create|is_dir t/a/1", "create|is_dir t/a/1/2 [synthetic]",
           "create|is_dir t/a/1/2/3 [synthetic]", "create|is_dir t/a/1/2/3/4 [synthetic]",
           "create|is_dir t/a/1/2/3/4/5 [synthetic]", "create|is_dir t/a/1/2/3/4/5/6 [synthetic]",
           "create|is_dir t/a/1/2/3/4/5/6/7 [synthetic]",
           "create|is_dir t/a/1/2/3/4/5/6/7/8 [synthetic]");
    make_dirs("wide/1/2/3/4/5/6/7/8");
    for (int i = 0; i < 50; i++)
        make_dirs(format("wide/d%d/e", i));
    allow(4);
    move("wide", "t/wide");
    CHECK_OK(inotify_watcher_sync(watcher));
    allow_all();
    CHECK_EQ(coverage_of(watcher, id, NULL), RINOTIFY_COVERAGE_COMPLETE);
    CHECK_EQ(recorder.count, 1 + 8 + 100);
    recorder_clear(&recorder);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

int main(void)
{
    check_begin(60);
    CHECK_SYS(getrlimit(RLIMIT_NOFILE, &usual));
    check_case("directories");
    directories();
    for (unsigned outside = 0; outside < 2; outside++) {
        check_case(format("looked-at-later-%u", outside));
        looked_at_later(0, outside != 0);
        check_case(format("looked-at-later-tracked-%u", outside));
        looked_at_later(RINOTIFY_WATCH_TRACK_ENTRIES, outside != 0);
    }
    check_case("gone-first");
    gone_first();
    check_case("followed-later");
    followed_later();
    check_case("followed-still");
    followed_still();
    return 0;
}
