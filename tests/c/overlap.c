/* Watches that share inodes do not disturb each other: each has its own events, with its own mask
 * and spelling, and the end of one leaves the other whole.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

static void same_path(void)
{
    inotify_watcher *watcher = create();
    struct recorder creations = {0}, changes = {0}, all = {0};
    int64_t first, second, third;

    make_dir("t");
    first = watch(watcher, "t", IN_CREATE, 0, &creations);
    second = watch(watcher, "t", IN_MODIFY, 0, &changes);
    third = watch(watcher, "./t/", RINOTIFY_WATCH_MASK, 0, &all);
    CHECK(first < second && second < third);
    CHECK_WATCHES(watcher, 1);
    write_file("t/a", "text");
    EXPECT(watcher, &creations, "create t/a");
    EXPECT(watcher, &changes, "modify t/a");
    EXPECT(watcher, &all, "create ./t/a", "modify ./t/a");

    CHECK_OK(inotify_watcher_ignore_watch(watcher, first));
    CHECK_EQ(inotify_watcher_is_watched(watcher, "t"), 1);
    write_file("t/b", "text");
    EXPECT_NOTHING(watcher, &creations);
    EXPECT(watcher, &changes, "modify t/b");
    EXPECT(watcher, &all, "create ./t/b", "modify ./t/b");
    CHECK_TABLES(watcher);

    CHECK_OK(inotify_watcher_ignore_watch(watcher, third));
    CHECK_EQ(inotify_watcher_is_watched(watcher, "./t"), 0);
    write_file("t/c", "text");
    /* The kernel goes on telling what the others wanted (see busy_masks.c); nobody is told. */
    EXPECT(watcher, &changes, "modify t/c");
    CHECK_TABLES(watcher);
    CHECK_OK(inotify_watcher_ignore_watch(watcher, second));
    CHECK_WATCHES(watcher, 0);
    inotify_watcher_destroy(watcher);
}

/* Two events of one kind for two watches of one inode are one fact for each of them. */
static void ids(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};
    struct recorder other = {0};
    int64_t one, two;

    make_dir("t");
    one = watch(watcher, "t", IN_CREATE, 0, &recorder);
    two = watch(watcher, "./t", IN_CREATE, 0, &recorder);
    CHECK(one != two);
    watch(watcher, "t", IN_CREATE, 0, &other);
    make_file("t/a");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder.count, 2);
    for (size_t i = 0; i < 2; i++) {
        if (recorder.ids[i] == one)
            CHECK_STR(recorder.lines[i], "create t/a");
        else
            CHECK_STR(recorder.lines[i], "create ./t/a");
    }
    CHECK(recorder.ids[0] != recorder.ids[1]);
    recorder_clear(&recorder);
    recorder_clear(&other);
    inotify_watcher_destroy(watcher);
}

static void nested_roots(void)
{
    inotify_watcher *watcher = create();
    struct recorder outer = {0}, inner = {0}, deep = {0};
    int64_t id;

    make_dirs("t/a/b");
    id = watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &outer);
    watch(watcher, "t/a", RINOTIFY_WATCH_MASK, TREE, &inner);
    watch(watcher, "t/a/b", RINOTIFY_WATCH_MASK, 0, &deep);
    CHECK_WATCHES(watcher, 3);
    make_dir("t/a/b/c");
    make_file("t/a/b/c/f");
    EXPECT(watcher, &outer, "create|is_dir t/a/b/c", "create t/a/b/c/f [synthetic]");
    EXPECT(watcher, &inner, "create|is_dir t/a/b/c", "create t/a/b/c/f [synthetic]");
    EXPECT(watcher, &deep, "create|is_dir t/a/b/c");
    CHECK_TABLES(watcher);

    /* A rename in the outer one: the inner roots keep their spelling. */
    move("t/a", "t/x");
    make_file("t/x/b/c/g");
    EXPECT(watcher, &outer, "moved_from|is_dir t/a", "moved_to|is_dir t/x <- t/a",
           "create t/x/b/c/g");
    EXPECT(watcher, &inner, "move_self t/a", "create t/a/b/c/g");
    EXPECT_NOTHING(watcher, &deep);
    move("t/x", "t/a");
    CHECK_OK(inotify_watcher_sync(watcher));
    recorder_clear(&outer);
    recorder_clear(&inner);
    CHECK_TABLES(watcher);

    /* The outer one ends: the inner ones go on. */
    CHECK_OK(inotify_watcher_ignore_watch(watcher, id));
    make_file("t/unseen");
    make_file("t/a/f");
    make_file("t/a/b/f");
    EXPECT_NOTHING(watcher, &outer);
    EXPECT(watcher, &inner, "create t/a/f", "create t/a/b/f");
    EXPECT(watcher, &deep, "create t/a/b/f");
    CHECK_WATCHES(watcher, 3);
    CHECK_TABLES(watcher);

    /* And the inner one ends, with the outer one made again. */
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &outer);
    CHECK_OK(inotify_watcher_ignore(watcher, "t/a/b"));
    CHECK_EQ(inotify_watcher_is_watched(watcher, "t/a/b"), 1);
    make_file("t/a/b/c/h");
    EXPECT(watcher, &outer, "create t/a/b/c/h");
    EXPECT(watcher, &inner, "create t/a/b/c/h");
    EXPECT_NOTHING(watcher, &deep);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* An inner root is moved out of the outer tree: the outer watch lets it go, the inner one has it. */
static void inner_root_moved_out(void)
{
    inotify_watcher *watcher = create();
    struct recorder outer = {0}, inner = {0};

    make_dirs("t/a/b");
    make_dir("away");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &outer);
    watch(watcher, "t/a", RINOTIFY_WATCH_MASK, TREE, &inner);
    move("t/a", "away/a");
    make_file("away/a/b/f");
    EXPECT(watcher, &outer, "moved_from|is_dir t/a");
    EXPECT(watcher, &inner, "move_self t/a", "create t/a/b/f");
    drain(watcher);
    CHECK_WATCHES(watcher, 3);
    move("away/a", "t/c");
    EXPECT(watcher, &outer, "moved_to|is_dir t/c", "create|is_dir t/c/b [synthetic]",
           "create t/c/b/f [synthetic]");
    EXPECT(watcher, &inner, "move_self t/a");
    make_file("t/c/b/g");
    EXPECT(watcher, &outer, "create t/c/b/g");
    EXPECT(watcher, &inner, "create t/a/b/g");
    CHECK_WATCHES(watcher, 3);
    inotify_watcher_destroy(watcher);
}

static void symlinked_root(void)
{
    inotify_watcher *watcher = create();
    struct recorder real = {0}, linked = {0};

    make_dirs("t/d");
    CHECK_SYS(symlink("t", "link"));
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &real);
    watch(watcher, "link", RINOTIFY_WATCH_MASK, TREE, &linked);
    CHECK_WATCHES(watcher, 2);
    make_file("t/d/f");
    make_dir("link/e");
    make_file("link/e/g");
    EXPECT(watcher, &real, "create t/d/f", "create|is_dir t/e", "create t/e/g [synthetic]");
    EXPECT(watcher, &linked, "create link/d/f", "create|is_dir link/e",
           "create link/e/g [synthetic]");
    CHECK_OK(inotify_watcher_ignore(watcher, "t"));
    CHECK_EQ(inotify_watcher_is_watched(watcher, "t"), 0);
    CHECK_EQ(inotify_watcher_is_watched(watcher, "link/e"), 1);
    remove_file("t/e/g");
    EXPECT_NOTHING(watcher, &real);
    EXPECT(watcher, &linked, "delete link/e/g");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* The link itself, not what it leads to. */
static void symlink_itself(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_dir("t");
    CHECK_SYS(symlink("t", "link"));
    watch(watcher, "link", RINOTIFY_WATCH_MASK | IN_DONT_FOLLOW, 0, &recorder);
    make_file("t/unseen");
    EXPECT_NOTHING(watcher, &recorder);
    remove_file("link");
    EXPECT(watcher, &recorder, "attrib link", "delete_self link", "ignored link");
    CHECK_EQ(inotify_watcher_watch(watcher, "missing", IN_CREATE | IN_DONT_FOLLOW, TREE, record,
                                   &recorder),
             -ENOENT);
    CHECK_SYS(symlink("t", "link"));
    CHECK_EQ(inotify_watcher_watch(watcher, "link", IN_CREATE | IN_DONT_FOLLOW, TREE, record,
                                   &recorder),
             -ENOTDIR);
    inotify_watcher_destroy(watcher);
}

static void hard_link(void)
{
    inotify_watcher *watcher = create();
    struct recorder one = {0}, other = {0};

    write_file("f", "");
    CHECK_SYS(link("f", "g"));
    watch(watcher, "f", IN_MODIFY | IN_ATTRIB, 0, &one);
    watch(watcher, "g", IN_MODIFY, 0, &other);
    CHECK_WATCHES(watcher, 1);
    write_file("f", "x");
    EXPECT(watcher, &one, "modify f");
    EXPECT(watcher, &other, "modify g");
    CHECK_SYS(chmod("g", 0600));
    EXPECT(watcher, &one, "attrib f");
    EXPECT_NOTHING(watcher, &other);
    CHECK_OK(inotify_watcher_ignore(watcher, "f"));
    write_file("g", "y");
    EXPECT_NOTHING(watcher, &one);
    EXPECT(watcher, &other, "modify g");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* Two names of one file in a watched tree, and one of them is a root too. */
static void hard_link_below(void)
{
    inotify_watcher *watcher = create();
    struct recorder tree = {0}, file = {0};

    make_dirs("t/d");
    write_file("t/f", "");
    CHECK_SYS(link("t/f", "t/d/g"));
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &tree);
    watch(watcher, "t/d/g", RINOTIFY_WATCH_MASK, 0, &file);
    write_file("t/f", "x");
    EXPECT(watcher, &tree, "modify t/f");
    EXPECT(watcher, &file, "modify t/d/g");
    write_file("t/d/g", "y");
    EXPECT(watcher, &tree, "modify t/d/g");
    EXPECT(watcher, &file, "modify t/d/g");
    remove_file("t/f");
    remove_file("t/d/g");
    EXPECT(watcher, &tree, "delete t/f", "delete t/d/g");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_STR(file.lines[file.count - 2], "delete_self t/d/g");
    CHECK_STR(file.lines[file.count - 1], "ignored t/d/g");
    recorder_clear(&file);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* A second watch of a tree, while nobody has read of what was made in it: what happens after the call
 * is told to both. */
static void second_watch_late(void)
{
    inotify_watcher *watcher = create();
    struct recorder first = {0}, second = {0};

    make_dirs("t");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &first);
    CHECK_OK(inotify_watcher_sync(watcher));
    make_dirs("t/d/e");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &second);
    make_file("t/d/after");
    make_dir("t/d/sub");
    make_file("t/d/e/after");
    EXPECT(watcher, &second, "create t/d/after", "create|is_dir t/d/sub", "create t/d/e/after");
    EXPECT_SET(watcher, &first, "create|is_dir t/d", "create|is_dir t/d/e [synthetic]",
               "create t/d/after [synthetic]", "create|is_dir t/d/sub [synthetic]",
               "create t/d/e/after [synthetic]");
    make_file("t/d/sub/x");
    EXPECT(watcher, &first, "create t/d/sub/x");
    EXPECT(watcher, &second, "create t/d/sub/x");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* An exchange in a directory that is watched alone is no trouble, whoever else asks for renames there. */
static void exchange_in_one(void)
{
    inotify_watcher *watcher = create();
    struct recorder all = {0}, made = {0};

    make_dirs("t/p");
    make_dirs("t/n");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, 0, &all);
    watch(watcher, "t", IN_CREATE, 0, &made);
    for (int i = 0; i < 2; i++) {
        exchange("t/p", "t/n");
        CHECK_OK(inotify_watcher_sync(watcher));
    }
    CHECK_EQ(recorder_count(&all, "t [partial]"), 0);
    recorder_clear(&all);
    EXPECT_NOTHING(watcher, &made);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

int main(void)
{
    check_begin(240);
    check_case("same-path");
    same_path();
    check_case("ids");
    ids();
    check_case("nested-roots");
    nested_roots();
    check_case("inner-root-moved-out");
    inner_root_moved_out();
    check_case("symlinked-root");
    symlinked_root();
    check_case("symlink-itself");
    symlink_itself();
    check_case("hard-link");
    hard_link();
    check_case("hard-link-below");
    hard_link_below();
    check_case("second-watch-late");
    second_watch_late();
    check_case("exchange-in-one");
    exchange_in_one();
    return 0;
}
