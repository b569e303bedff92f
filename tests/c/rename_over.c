/* A rename over an entry that is there takes its place, and says so once.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "mirror.h"

static struct mirror mirror;
static struct recorder recorder;

static inotify_watcher *begin(void)
{
    inotify_watcher *watcher = create();

    mirror_watch(watcher, "t", &mirror);
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    MIRROR_EXPECT(watcher, &mirror, "t");
    mirror_note_inodes(&mirror);
    return watcher;
}

static void end(inotify_watcher *watcher)
{
    MIRROR_EXPECT(watcher, &mirror, "t");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    mirror_clear(&mirror);
    recorder_clear(&recorder);
}

static void file_over_file(void)
{
    inotify_watcher *watcher;

    make_dirs("t/d");
    make_file("t/a");
    make_file("t/d/b");
    make_file("new");
    watcher = begin();
    move("t/a", "t/d/b");
    EXPECT(watcher, &recorder, "moved_from t/a", "moved_to t/d/b <- t/a");
    move("new", "t/d/b");
    EXPECT(watcher, &recorder, "moved_to t/d/b");
    remove_file("t/d/b");
    EXPECT(watcher, &recorder, "delete t/d/b");
    end(watcher);
}

static void directory_over_empty_directory(void)
{
    inotify_watcher *watcher;

    make_dirs("t/a/deep");
    make_dirs("t/d/b");
    make_dirs("new/deep");
    watcher = begin();
    CHECK_EQ(get_stats(watcher).watchpoints, 5);
    move("t/a", "t/d/b");
    /* The one that was replaced has no event of its own: the rename says it all. */
    EXPECT(watcher, &recorder, "moved_from|is_dir t/a", "moved_to|is_dir t/d/b <- t/a");
    CHECK_EQ(get_stats(watcher).watchpoints, 4);
    CHECK_TABLES(watcher);
    make_file("t/d/b/deep/f");
    EXPECT(watcher, &recorder, "create t/d/b/deep/f");

    /* From outside: the place is taken by a new tree. */
    remove_tree("t/d/b/deep");
    MIRROR_EXPECT(watcher, &mirror, "t");
    recorder_clear(&recorder);
    move("new", "t/d/b");
    EXPECT(watcher, &recorder, "moved_to|is_dir t/d/b", "create|is_dir t/d/b/deep [synthetic]");
    make_file("t/d/b/deep/f");
    EXPECT(watcher, &recorder, "create t/d/b/deep/f");
    CHECK_EQ(get_stats(watcher).watchpoints, 4);
    end(watcher);
}

/* The same before the library has looked at any of them. */
static void all_at_once(void)
{
    inotify_watcher *watcher;

    make_dir("t");
    watcher = begin();
    make_dirs("t/a/deep");
    make_dirs("t/b");
    make_file("t/a/deep/f");
    move("t/a", "t/b");
    make_file("t/b/deep/g");
    make_file("t/x");
    make_file("t/y");
    move("t/x", "t/y");
    MIRROR_EXPECT(watcher, &mirror, "t");
    CHECK_EQ(recorder_count(&recorder, "moved_to|is_dir t/b <- t/a"), 1);
    CHECK_EQ(recorder_count(&recorder, "moved_to t/y <- t/x"), 1);
    /* t/a, t/b, deep, f, g, x, y: each announced once. */
    CHECK_EQ(mirror.announced, 7);
    make_file("t/b/deep/late");
    end(watcher);
}

/* An editor that writes a new file and renames it over the old one, again and again. */
static void editor(void)
{
    inotify_watcher *watcher;

    make_dir("t");
    make_file("t/f");
    watcher = begin();
    for (int i = 0; i < 50; i++) {
        make_file("t/f.new");
        move("t/f.new", "t/f");
    }
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder.count, 150);
    CHECK_EQ(recorder_count(&recorder, "moved_to t/f <- t/f.new"), 50);
    for (size_t i = 0; i < 150; i += 3) {
        CHECK_STR(recorder.lines[i], "create t/f.new");
        CHECK_STR(recorder.lines[i + 1], "moved_from t/f.new");
    }
    end(watcher);
}

int main(void)
{
    check_begin(240);
    check_case("file-over-file");
    file_over_file();
    check_case("directory-over-empty-directory");
    directory_over_empty_directory();
    check_case("all-at-once");
    all_at_once();
    check_case("editor");
    editor();
    return 0;
}
