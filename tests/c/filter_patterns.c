/* Patterns of directories that are not wanted: they cost no kernel watch, nothing below them is
 * told, and their own entries are.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "filter.h"

/* What is there at setup, below and above; a file of such a name is no matter. */
static void at_setup(void)
{
    inotify_watcher *watcher = create();
    struct filtered filtered = {0};

    make_dirs("t/.git/objects/00");
    make_dirs("t/src/node_modules/left/pad");
    make_dirs("t/src/deep");
    make_dirs("t/build/out");
    make_dirs("t/src/build/out");
    make_file("t/src/deep/.git");
    watch_filtered(watcher, "t", RINOTIFY_WATCH_MASK, TREE,
                   PATTERNS(".git", "node_*", "/build"), false, &filtered);
    /* t, t/src, t/src/deep, t/src/build, t/src/build/out */
    CHECK_WATCHES(watcher, 5);
    EXPECT_NOTHING(watcher, &filtered.recorder);
    CHECK_TABLES(watcher);
    CHECK_EQ(inotify_watcher_is_watched(watcher, "t/.git"), 0);
    CHECK_EQ(inotify_watcher_is_watched(watcher, "t/src/build/out"), 1);
    CHECK_EQ(inotify_watcher_ignore(watcher, "t/.git"), -ENOENT);
    make_file("t/.git/unseen");
    make_file("t/src/node_modules/left/unseen");
    make_file("t/build/unseen");
    make_file("t/src/build/out/f");
    remove_file("t/src/deep/.git");
    CHECK_SYS(chmod("t/.git", 0700));
    EXPECT(watcher, &filtered.recorder, "create t/src/build/out/f", "delete t/src/deep/.git",
           "attrib|is_dir t/.git");
    remove_tree("t/.git");
    EXPECT(watcher, &filtered.recorder, "delete|is_dir t/.git");
    CHECK_OK(inotify_watcher_ignore(watcher, "t"));
    CHECK_EQ(filtered.recorder.released, 1);
    CHECK_WATCHES(watcher, 0);
    inotify_watcher_destroy(watcher);
    filtered_clear(&filtered);
}

/* With the existing entries told, and with one that comes later, moved in, or made as a tree. */
static void later(void)
{
    inotify_watcher *watcher = create();
    struct filtered filtered = {0};

    make_dirs("t/.git/objects");
    make_dirs("t/a");
    make_file("t/a/f");
    make_dirs("o/d/.git/objects");
    make_dirs("o/d/e");
    watch_filtered(watcher, "t", RINOTIFY_WATCH_MASK, TREE | RINOTIFY_WATCH_EMIT_EXISTING,
                   PATTERNS(".git"), false, &filtered);
    EXPECT_SET(watcher, &filtered.recorder, "create|is_dir t/.git [synthetic]",
               "create|is_dir t/a [synthetic]", "create t/a/f [synthetic]");
    CHECK_WATCHES(watcher, 2);
    make_dirs("t/a/b/.git/objects/00");
    make_file("t/a/b/.git/f");
    EXPECT_SET(watcher, &filtered.recorder, "create|is_dir t/a/b",
               "create|is_dir t/a/b/.git [synthetic]");
    make_dir("t/a/.git");
    make_dir("t/a/.git/objects");
    EXPECT(watcher, &filtered.recorder, "create|is_dir t/a/.git");
    move("o/d", "t/d");
    EXPECT_SET(watcher, &filtered.recorder, "moved_to|is_dir t/d",
               "create|is_dir t/d/.git [synthetic]", "create|is_dir t/d/e [synthetic]");
    CHECK_WATCHES(watcher, 5);
    CHECK_TABLES(watcher);
    /* Out of the tree, from where nobody looks. */
    move("t/d/.git", "o/git");
    EXPECT(watcher, &filtered.recorder, "moved_from|is_dir t/d/.git");
    move("o/git", "t/d/.git");
    move("t/.git/objects", "t/a/objects");
    EXPECT_SET(watcher, &filtered.recorder, "moved_to|is_dir t/d/.git",
               "moved_to|is_dir t/a/objects");
    CHECK_WATCHES(watcher, 6);
    move("t/a/objects", "t/.git/objects");
    EXPECT(watcher, &filtered.recorder, "moved_from|is_dir t/a/objects");
    CHECK_WATCHES(watcher, 5);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    filtered_clear(&filtered);
}

/* From an excluded name to another, and back; with no sync between, and as an exchange. */
static void renamed(void)
{
    inotify_watcher *watcher = create();
    struct filtered filtered = {0};
    struct recorder *recorder = &filtered.recorder;

    make_dirs("t/.git/objects/00");
    make_file("t/.git/config");
    watch_filtered(watcher, "t", RINOTIFY_WATCH_MASK, TREE, PATTERNS(".git"), false, &filtered);
    CHECK_WATCHES(watcher, 1);
    move("t/.git", "t/git");
    EXPECT_SET(watcher, recorder, "moved_from|is_dir t/.git", "moved_to|is_dir t/git <- t/.git",
               "create|is_dir t/git/objects [synthetic]",
               "create|is_dir t/git/objects/00 [synthetic]", "create t/git/config [synthetic]");
    CHECK_WATCHES(watcher, 4);
    make_file("t/git/objects/00/f");
    EXPECT(watcher, recorder, "create t/git/objects/00/f");
    CHECK_TABLES(watcher);

    /* What stands in the queue behind the rename is not told. */
    move("t/git", "t/.git");
    make_file("t/.git/objects/00/unseen");
    EXPECT(watcher, recorder, "moved_from|is_dir t/git", "moved_to|is_dir t/.git <- t/git");
    CHECK_WATCHES(watcher, 1);
    CHECK_EQ(inotify_watcher_is_watched(watcher, "t/.git"), 0);
    CHECK_TABLES(watcher);

    move("t/.git", "t/x");
    move("t/x", "t/.git");
    move("t/.git", "t/y");
    make_file("t/y/late");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder_count(recorder, "create|is_dir t/y/objects [synthetic]"), 1);
    CHECK_EQ(recorder_count(recorder, "create|is_dir t/y/objects/00 [synthetic]"), 1);
    CHECK_EQ(recorder_count(recorder, "create t/y/objects/00/f [synthetic]"), 1);
    CHECK_WATCHES(watcher, 4);
    CHECK_TABLES(watcher);
    recorder_clear(recorder);

    make_dirs("t/d/in");
    CHECK_OK(inotify_watcher_sync(watcher));
    recorder_clear(recorder);
    move("t/y", "t/.git");
    EXPECT(watcher, recorder, "moved_from|is_dir t/y", "moved_to|is_dir t/.git <- t/y");
    exchange("t/.git", "t/d");
    EXPECT_SET(watcher, recorder, "moved_from|is_dir t/.git", "moved_from|is_dir t/d",
               "moved_to|is_dir t/.git <- t/d", "moved_to|is_dir t/d <- t/.git",
               "create|is_dir t/d/objects [synthetic]",
               "create|is_dir t/d/objects/00 [synthetic]",
               "create t/d/objects/00/f [synthetic]", "create t/d/objects/00/unseen [synthetic]",
               "create t/d/late [synthetic]", "create t/d/config [synthetic]");
    /* t, t/d, t/d/objects, t/d/objects/00 */
    CHECK_WATCHES(watcher, 4);
    CHECK_EQ(inotify_watcher_is_watched(watcher, "t/.git/in"), 0);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    filtered_clear(&filtered);
}

/* With a slash it is the path below the root that counts: when the directory itself gets it. */
static void paths(void)
{
    inotify_watcher *watcher = create();
    struct filtered filtered = {0};
    struct recorder *recorder = &filtered.recorder;

    make_dirs("t/a/cache/x");
    make_dirs("t/b/cache/x");
    make_dirs("t/b/c/cache/x");
    watch_filtered(watcher, "t", RINOTIFY_WATCH_MASK, TREE, PATTERNS("a/cache/", "/[b-c]/*/cache"),
                   false, &filtered);
    /* t, a, b, b/cache, b/cache/x, b/c */
    CHECK_WATCHES(watcher, 6);
    EXPECT_NOTHING(watcher, recorder);
    CHECK_TABLES(watcher);
    /* The rename of a directory above changes nothing. */
    move("t/a", "t/d");
    make_file("t/d/cache/unseen");
    EXPECT(watcher, recorder, "moved_from|is_dir t/a", "moved_to|is_dir t/d <- t/a");
    move("t/b", "t/a");
    make_file("t/a/cache/f");
    EXPECT(watcher, recorder, "moved_from|is_dir t/b", "moved_to|is_dir t/a <- t/b",
           "create t/a/cache/f");
    CHECK_WATCHES(watcher, 6);
    /* That of its own name does. */
    move("t/d/cache", "t/d/other");
    EXPECT_SET(watcher, recorder, "moved_from|is_dir t/d/cache",
               "moved_to|is_dir t/d/other <- t/d/cache", "create|is_dir t/d/other/x [synthetic]",
               "create t/d/other/unseen [synthetic]");
    move("t/a/cache", "t/a/c/plain");
    move("t/a/c/plain", "t/a/cache");
    make_file("t/a/cache/unseen");
    EXPECT(watcher, recorder, "moved_from|is_dir t/a/cache",
           "moved_to|is_dir t/a/c/plain <- t/a/cache", "moved_from|is_dir t/a/c/plain",
           "moved_to|is_dir t/a/cache <- t/a/c/plain");
    /* t, a, a/c, d, d/other, d/other/x */
    CHECK_WATCHES(watcher, 6);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    filtered_clear(&filtered);
}

/* Two watches of one tree do not see each other's patterns; the kernel's watch is there for the
 * one that wants it. */
static void two_watches(void)
{
    inotify_watcher *watcher = create();
    struct filtered one = {0}, two = {0};
    struct recorder all = {0};

    make_dirs("t/a/x");
    make_dirs("t/b/x");
    watch_filtered(watcher, "t", RINOTIFY_WATCH_MASK, TREE, PATTERNS("a"), false, &one);
    watch_filtered(watcher, "t", RINOTIFY_WATCH_MASK, TREE, PATTERNS("b"), false, &two);
    CHECK_WATCHES(watcher, 5);
    make_file("t/a/x/f");
    make_file("t/b/x/f");
    EXPECT(watcher, &one.recorder, "create t/b/x/f");
    EXPECT(watcher, &two.recorder, "create t/a/x/f");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &all);
    move("t/a", "t/c");
    move("t/b", "t/a");
    make_file("t/a/x/g");
    make_file("t/c/x/g");
    EXPECT_SET(watcher, &one.recorder, "moved_from|is_dir t/a", "moved_to|is_dir t/c <- t/a",
               "create|is_dir t/c/x [synthetic]", "create t/c/x/f [synthetic]",
               "create t/c/x/g [synthetic]", "moved_from|is_dir t/b",
               "moved_to|is_dir t/a <- t/b");
    EXPECT_SET(watcher, &two.recorder, "moved_from|is_dir t/a", "moved_to|is_dir t/c <- t/a",
               "create t/c/x/g", "moved_from|is_dir t/b", "moved_to|is_dir t/a <- t/b",
               "create|is_dir t/a/x [synthetic]", "create t/a/x/f [synthetic]",
               "create t/a/x/g [synthetic]");
    EXPECT_SET(watcher, &all, "moved_from|is_dir t/a", "moved_to|is_dir t/c <- t/a",
               "moved_from|is_dir t/b", "moved_to|is_dir t/a <- t/b", "create t/a/x/g",
               "create t/c/x/g");
    CHECK_TABLES(watcher);
    CHECK_OK(inotify_watcher_ignore_watch(watcher, two.id));
    CHECK_WATCHES(watcher, 5);
    make_file("t/c/x/h");
    EXPECT(watcher, &one.recorder, "create t/c/x/h");
    CHECK_EQ(one.recorder.released + two.recorder.released, 1);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    filtered_clear(&one);
    filtered_clear(&two);
    recorder_clear(&all);
}

/* Ignored by the caller as well: that stays with the directory, wherever it goes. */
static void ignored_too(void)
{
    inotify_watcher *watcher = create();
    struct filtered filtered = {0};
    struct recorder *recorder = &filtered.recorder;

    make_dirs("t/d/in");
    watch_filtered(watcher, "t", RINOTIFY_WATCH_MASK, TREE, PATTERNS("out"), false, &filtered);
    CHECK_OK(inotify_watcher_ignore(watcher, "t/d"));
    move("t/d", "t/out");
    make_file("t/out/unseen");
    move("t/out", "t/d");
    make_file("t/d/unseen-too");
    EXPECT(watcher, recorder, "moved_from|is_dir t/d", "moved_to|is_dir t/out <- t/d",
           "moved_from|is_dir t/out", "moved_to|is_dir t/d <- t/out");
    CHECK_WATCHES(watcher, 1);
    CHECK_EQ(inotify_watcher_ignore(watcher, "t/d"), -ENOENT);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    filtered_clear(&filtered);
}

/* Lists that are refused, empty, or changed after the call. */
static void bad_lists(void)
{
    inotify_watcher *watcher = create();
    struct filtered filtered = {0};
    inotify_watcher_watch_options options;
    char pattern[] = "a";
    const char *list[] = {pattern, NULL};

    make_dirs("t/a");
    make_dirs("t/b");
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.mask = IN_CREATE;
    options.flags = TREE;
    options.callback = record;
    options.user_data = &filtered;
    options.excludes = PATTERNS("a", "");
    CHECK_EQ(inotify_watcher_watch_with(watcher, "t", &options), -EINVAL);
    CHECK_STR(last_error(watcher).step, "options.excludes");
    options.excludes = PATTERNS("/");
    CHECK_EQ(inotify_watcher_watch_with(watcher, "t", &options), -EINVAL);
    CHECK_WATCHES(watcher, 0);
    /* An empty list is none. The list and its strings are the caller's again after the call. */
    options.excludes = PATTERNS(NULL);
    CHECK_OK(inotify_watcher_watch_with(watcher, "t", &options));
    CHECK_WATCHES(watcher, 3);
    CHECK_OK(inotify_watcher_ignore(watcher, "t"));
    options.excludes = list;
    CHECK_OK(inotify_watcher_watch_with(watcher, "t", &options));
    CHECK_WATCHES(watcher, 2);
    pattern[0] = 'b';
    list[0] = NULL;
    make_dirs("t/b/b");
    EXPECT(watcher, &filtered.recorder, "create|is_dir t/b/b");
    CHECK_WATCHES(watcher, 3);
    /* Of an older program, whose struct ends before it. */
    options.size = offsetof(inotify_watcher_watch_options, filter);
    options.user_data = NULL;
    options.callback = record;
    options.excludes = PATTERNS("");
    CHECK_OK(inotify_watcher_ignore(watcher, "t"));
    options.user_data = &filtered;
    CHECK_OK(inotify_watcher_watch_with(watcher, "t", &options));
    CHECK_WATCHES(watcher, 4);
    inotify_watcher_destroy(watcher);
    filtered_clear(&filtered);
}

int main(void)
{
    check_begin(120);
    check_case("at-setup");
    at_setup();
    check_case("later");
    later();
    check_case("renamed");
    renamed();
    check_case("paths");
    paths();
    check_case("two-watches");
    two_watches();
    check_case("ignored-too");
    ignored_too();
    check_case("bad-lists");
    bad_lists();
    return 0;
}
