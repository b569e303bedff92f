/* A directory that leaves the tree is let go with all below it, and one that comes is new.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

static void out_and_back(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};
    uint64_t full;

    make_dir("away");
    make_dirs("t/d");
    make_dirs("t/stays/deep");
    for (int i = 0; i < 200; i++)
        make_dirs(format("t/d/%d/deep", i));
    make_file("t/d/7/deep/f");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    CHECK_OK(inotify_watcher_sync(watcher));
    full = get_stats(watcher).watchpoints;
    CHECK_EQ(full, 404);

    move("t/d", "away/d");
    EXPECT(watcher, &recorder, "moved_from|is_dir t/d");
    /* No further activity was needed: drained, the kernel watches are gone. */
    drain(watcher);
    CHECK_WATCHES(watcher, 3);
    CHECK_EQ(get_stats(watcher).watchpoints, 3);
    CHECK_EQ(inotify_watcher_is_watched(watcher, "t/d"), 0);
    CHECK_EQ(inotify_watcher_is_watched(watcher, "t/d/7/deep"), 0);
    make_file("away/d/7/deep/unseen");
    make_dir("away/d/8/unseen");
    EXPECT_NOTHING(watcher, &recorder);
    CHECK_TABLES(watcher);
    make_file("t/stays/deep/f");
    EXPECT(watcher, &recorder, "create t/stays/deep/f");

    /* Back again, it is new, under whatever name. */
    move("away/d", "t/stays/e");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_STR(recorder.lines[0], "moved_to|is_dir t/stays/e");
    CHECK_EQ(recorder.count, 1 + 400 + 3);
    CHECK_EQ(recorder_count(&recorder, "create t/stays/e/7/deep/f [synthetic]"), 1);
    CHECK_EQ(recorder_count(&recorder, "create t/stays/e/7/deep/unseen [synthetic]"), 1);
    CHECK_EQ(recorder_count(&recorder, "create|is_dir t/stays/e/8/unseen [synthetic]"), 1);
    recorder_clear(&recorder);
    CHECK_EQ(get_stats(watcher).watchpoints, full + 1);
    make_file("t/stays/e/8/unseen/f");
    EXPECT(watcher, &recorder, "create t/stays/e/8/unseen/f");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* Changes at the new place, made before the library knows that the directory is gone: already in
 * the queue, and yet not to be told. */
static void active_outside(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_dir("away");
    make_dirs("t/d/e");
    make_file("t/d/e/old");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    CHECK_OK(inotify_watcher_sync(watcher));
    make_file("t/d/e/inside");
    move("t/d", "away/d");
    make_file("away/d/outside");
    make_file("away/d/e/outside");
    remove_file("away/d/e/old");
    make_dirs("away/d/e/f/g");
    move("away/d/e", "away/d/x");
    CHECK_SYS(chmod("away/d", 0700));
    EXPECT(watcher, &recorder, "create t/d/e/inside", "moved_from|is_dir t/d");
    CHECK_WATCHES(watcher, 1);
    CHECK_TABLES(watcher);

    /* Out, in again and changed at each place, read at once: only what happened inside. */
    move("away/d", "t/d");
    CHECK_OK(inotify_watcher_sync(watcher));
    recorder_clear(&recorder);
    move("t/d/x", "away/x");
    make_file("away/x/outside-too");
    move("away/x", "t/y");
    make_file("t/y/inside-too");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_STR(recorder.lines[0], "moved_from|is_dir t/d/x");
    CHECK_EQ(recorder_count(&recorder, "create|is_dir t/y/f [synthetic]"), 1);
    CHECK_EQ(recorder_count(&recorder, "create|is_dir t/y/f/g [synthetic]"), 1);
    CHECK_EQ(recorder_count(&recorder, "create t/y/outside [synthetic]"), 1);
    CHECK_EQ(recorder_count(&recorder, "create t/y/outside-too [synthetic]"), 1);
    /* Found by the listing, or told by the kernel: once. */
    CHECK_EQ(recorder_count(&recorder, "create t/y/inside-too [synthetic]") +
                 recorder_count(&recorder, "create t/y/inside-too"),
             1);
    /* Two renames, two cookies: what comes in is new. */
    CHECK_EQ(recorder_count(&recorder, "moved_to|is_dir t/y"), 1);
    recorder_clear(&recorder);
    make_file("t/y/f/g/late");
    EXPECT(watcher, &recorder, "create t/y/f/g/late");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* The same names again and again: nothing may be left of what left. */
static void often(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {.silent = true};
    uint64_t memory = 0;

    make_dir("away");
    make_dirs("t/d/a");
    make_dirs("t/d/b");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    for (int i = 0; i < 200; i++) {
        move("t/d", "away/d");
        if (i % 2 == 0)
            CHECK_OK(inotify_watcher_sync(watcher));
        move("away/d", "t/d");
        CHECK_OK(inotify_watcher_sync(watcher));
        CHECK_WATCHES(watcher, 4);
        if (i == 20)
            memory = get_stats(watcher).memory;
    }
    CHECK_TABLES(watcher);
    CHECK(get_stats(watcher).memory <= memory + memory / 4);
    inotify_watcher_destroy(watcher);
}

/* What moves in was never seen before: a whole tree, and a file. */
static void in(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_dir("t");
    make_dirs("new/a/b");
    make_file("new/a/f");
    make_file("file");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    move("new", "t/n");
    move("file", "t/file");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK(recorder_find(&recorder, "moved_to|is_dir t/n") <
          recorder_find(&recorder, "create|is_dir t/n/a [synthetic]"));
    CHECK(recorder_find(&recorder, "create|is_dir t/n/a [synthetic]") <
          recorder_find(&recorder, "create t/n/a/f [synthetic]"));
    EXPECT_SET(watcher, &recorder, "moved_to|is_dir t/n", "create|is_dir t/n/a [synthetic]",
               "create|is_dir t/n/a/b [synthetic]", "create t/n/a/f [synthetic]",
               "moved_to t/file");
    make_file("t/n/a/b/f");
    EXPECT(watcher, &recorder, "create t/n/a/b/f");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* Out of one root into another one of the same watcher: each watch has its own half. */
static void between_roots(void)
{
    inotify_watcher *watcher = create();
    struct recorder one = {0}, other = {0};

    make_dirs("one/d/e");
    make_file("one/d/e/f");
    make_dir("other");
    watch(watcher, "one", RINOTIFY_WATCH_MASK, TREE, &one);
    watch(watcher, "other", RINOTIFY_WATCH_MASK, TREE, &other);
    move("one/d", "other/d");
    EXPECT(watcher, &one, "moved_from|is_dir one/d");
    EXPECT(watcher, &other, "moved_to|is_dir other/d", "create|is_dir other/d/e [synthetic]",
           "create other/d/e/f [synthetic]");
    make_file("other/d/e/g");
    EXPECT(watcher, &other, "create other/d/e/g");
    EXPECT_NOTHING(watcher, &one);
    CHECK_WATCHES(watcher, 4);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

int main(void)
{
    check_begin(240);
    check_case("out-and-back");
    out_and_back();
    check_case("active-outside");
    active_outside();
    check_case("often");
    often();
    check_case("in");
    in();
    check_case("between-roots");
    between_roots();
    return 0;
}
