/* After a directory was renamed inside the tree every path below it is the new one, and no kernel
 * watch is made again.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "mirror.h"

static void later_paths(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};
    struct kernel_watch before[16], after[16];
    int fd;

    make_dirs("t/a/b/c");
    make_dir("t/z");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    CHECK_OK(inotify_watcher_sync(watcher));
    fd = inotify_watcher_fileno(watcher);
    CHECK_EQ(kernel_watches(fd, before, 16),
             5 + (long long)get_stats(watcher).internal_watchpoints);

    /* Changes before, between and after two renames, all read at once. */
    make_file("t/a/b/c/1");
    move("t/a", "t/x");
    make_file("t/x/b/c/2");
    move("t/x/b", "t/z/y");
    make_file("t/z/y/c/3");
    make_file("t/x/4");
    move("t/z", "t/x/z");
    remove_file("t/x/z/y/c/1");
    EXPECT(watcher, &recorder, "create t/a/b/c/1", "moved_from|is_dir t/a",
           "moved_to|is_dir t/x <- t/a", "create t/x/b/c/2", "moved_from|is_dir t/x/b",
           "moved_to|is_dir t/z/y <- t/x/b", "create t/z/y/c/3", "create t/x/4",
           "moved_from|is_dir t/z", "moved_to|is_dir t/x/z <- t/z", "delete t/x/z/y/c/1");
    CHECK_EQ(inotify_watcher_is_watched(watcher, "t/x/z/y/c"), 1);
    CHECK_EQ(inotify_watcher_is_watched(watcher, "t/a"), 0);
    CHECK_EQ(inotify_watcher_is_watched(watcher, "t/a/b/c"), 0);
    CHECK_EQ(inotify_watcher_is_watched(watcher, "t/z"), 0);
    CHECK_EQ(kernel_watches(fd, after, 16),
             5 + (long long)get_stats(watcher).internal_watchpoints);
    for (size_t i = 0; i < 5 + get_stats(watcher).internal_watchpoints; i++) {
        size_t j = 0;
        while (j < 16 && after[j].wd != before[i].wd)
            j++;
        CHECK(j < 16);
        CHECK_EQ(after[j].inode, before[i].inode);
    }
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* A name that is the beginning of another name has nothing to do with it. */
static void sibling_prefix(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_dirs("t/ab/x");
    make_dirs("t/abc/x");
    make_dirs("t/a/x");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    move("t/ab", "t/q");
    make_file("t/abc/x/f");
    make_file("t/a/x/f");
    make_file("t/q/x/f");
    EXPECT(watcher, &recorder, "moved_from|is_dir t/ab", "moved_to|is_dir t/q <- t/ab",
           "create t/abc/x/f", "create t/a/x/f", "create t/q/x/f");
    CHECK_EQ(inotify_watcher_is_watched(watcher, "t/abc/x"), 1);
    CHECK_EQ(inotify_watcher_is_watched(watcher, "t/ab/x"), 0);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* A new directory is renamed before the library has looked at it, and another one takes its name. */
static void renamed_when_new(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_dir("t");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    make_dir("t/a");
    make_file("t/a/first");
    move("t/a", "t/b");
    make_dir("t/a");
    make_file("t/a/second");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder_count(&recorder, "create|is_dir t/a"), 2);
    CHECK_EQ(recorder_count(&recorder, "moved_from|is_dir t/a"), 1);
    CHECK_EQ(recorder_count(&recorder, "moved_to|is_dir t/b <- t/a"), 1);
    /* Seen in time or found later, but once and at a place where it was. */
    CHECK_EQ(recorder_count(&recorder, "create t/a/first [synthetic]") +
                 recorder_count(&recorder, "create t/b/first [synthetic]"),
             1);
    CHECK_EQ(recorder_count(&recorder, "create t/a/second [synthetic]"), 1);
    CHECK_EQ(recorder.count, 6);
    recorder_clear(&recorder);
    make_file("t/b/third");
    make_file("t/a/fourth");
    EXPECT(watcher, &recorder, "create t/b/third", "create t/a/fourth");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* By the time that the library goes to look at a new directory, its parent is elsewhere and another
 * one has the name, or a symbolic link that leads out of the tree. */
static void decoys(void)
{
    inotify_watcher *watcher = create();
    struct mirror mirror = {0};

    make_dirs("t/d");
    make_dirs("t/e");
    make_dirs("outside/new/deep");
    make_file("outside/new/unseen");
    mirror_watch(watcher, "t", &mirror);
    MIRROR_EXPECT(watcher, &mirror, "t");

    make_dir("t/d/new");
    make_file("t/d/new/real");
    move("t/d", "t/x");
    make_dirs("t/d/new/decoy");
    make_file("t/d/new/other");
    make_dir("t/e/new");
    make_file("t/e/new/real");
    move("t/e", "t/y");
    CHECK_SYS(symlink("../outside", "t/e"));
    MIRROR_EXPECT(watcher, &mirror, "t");
    CHECK(!kernel_watches_path(watcher, "outside"));
    CHECK(!kernel_watches_path(watcher, "outside/new"));
    CHECK(kernel_watches_path(watcher, "t/y/new"));
    CHECK(kernel_watches_path(watcher, "t/d/new/decoy"));
    CHECK_TABLES(watcher);
    make_file("t/x/new/later");
    make_file("t/d/new/later");
    make_file("t/y/new/later");
    MIRROR_EXPECT(watcher, &mirror, "t");

    /* The new directory itself is replaced. */
    make_dir("t/z");
    make_file("t/z/f");
    move("t/z", "t/w");
    CHECK_SYS(symlink("../outside/new", "t/z"));
    make_dir("t/v");
    remove_dir("t/v");
    make_file("t/v");
    MIRROR_EXPECT(watcher, &mirror, "t");
    CHECK(!kernel_watches_path(watcher, "outside/new"));
    CHECK_TABLES(watcher);
    mirror_clear(&mirror);
    inotify_watcher_destroy(watcher);
}

/* Two directories trade names through a third one, again and again. */
static void round_robin(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_dirs("t/a");
    make_dirs("t/b");
    make_file("t/a/in-a");
    watch(watcher, "t", IN_CREATE | IN_DELETE, TREE, &recorder);
    for (int i = 0; i < 101; i++) {
        move("t/a", "t/c");
        move("t/b", "t/a");
        move("t/c", "t/b");
    }
    remove_file("t/b/in-a");
    make_file("t/a/new");
    EXPECT(watcher, &recorder, "delete t/b/in-a", "create t/a/new");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* The root itself is renamed: the watch is about the inode, and its spelling is the caller's. */
static void root_renamed(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_dirs("t/d");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    move("t", "u");
    EXPECT(watcher, &recorder, "move_self t");
    make_file("u/d/f");
    EXPECT(watcher, &recorder, "create t/d/f");
    /* Another directory takes its name: it has nothing to do with the watch. A directory that is
     * made in the old one cannot be reached by a path any more, which is told. */
    make_dirs("t/e/decoy");
    make_dirs("u/e/inside");
    make_file("t/e/unseen");
    make_file("t/e/decoy/unseen");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder.count, 3);
    CHECK_STR(recorder.lines[0], "create|is_dir t/e");
    CHECK(strncmp(recorder.lines[1], "is_dir t/e [error ", 18) == 0);
    CHECK_STR(recorder.lines[2], "t [partial]");
    recorder_clear(&recorder);
    CHECK(!kernel_watches_path(watcher, "t/e"));
    CHECK(!kernel_watches_path(watcher, "t"));
    remove_tree("u");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_STR(recorder.lines[recorder.count - 1], "ignored t");
    CHECK_EQ(get_stats(watcher).watchpoints, 0);
    recorder_clear(&recorder);
    inotify_watcher_destroy(watcher);
}

int main(void)
{
    check_begin(240);
    check_case("later-paths");
    later_paths();
    check_case("sibling-prefix");
    sibling_prefix();
    check_case("renamed-when-new");
    renamed_when_new();
    check_case("decoys");
    decoys();
    check_case("round-robin");
    round_robin();
    check_case("root-renamed");
    root_renamed();
    return 0;
}
