/* Watches that end by themselves: a last event says so, and nothing else ends with them.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

static void root_deleted(uint32_t mask, uint32_t flags)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0}, other = {0};
    int64_t id;

    make_dirs("t/d");
    make_dir("u");
    id = watch_released(watcher, "t", mask, flags, &recorder);
    watch(watcher, "u", mask, flags, &other);
    CHECK_OK(inotify_watcher_sync(watcher));
    remove_tree("t");
    CHECK_OK(inotify_watcher_sync(watcher));
    /* Whatever came before it, these two are the end, in this order. */
    CHECK(recorder.count >= 2);
    CHECK_STR(recorder.lines[recorder.count - 2], "delete_self t");
    CHECK_STR(recorder.lines[recorder.count - 1], "ignored t");
    CHECK_EQ(recorder_count(&recorder, "delete_self t"), 1);
    CHECK_EQ(recorder_count(&recorder, "ignored t"), 1);
    CHECK_EQ(recorder.released, 1);
    CHECK_EQ(inotify_watcher_is_watched(watcher, "t"), 0);
    CHECK_EQ(inotify_watcher_ignore_watch(watcher, id), -ENOENT);
    CHECK_EQ(inotify_watcher_ignore(watcher, "t"), -ENOENT);
    CHECK_EQ(get_stats(watcher).watches, 1);
    CHECK_WATCHES(watcher, 1);

    /* The same name again is nobody's, until it is watched again. */
    make_dir("t");
    make_file("t/unseen");
    make_file("u/seen");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK(recorder_find(&other, "create u/seen") >= 0 || (mask & IN_CREATE) == 0);
    CHECK(inotify_watcher_fileno(watcher) >= 0);
    CHECK_TABLES(watcher);
    recorder_clear(&recorder);
    recorder_clear(&other);
    inotify_watcher_destroy(watcher);
    CHECK_EQ(recorder.released, 1);
    remove_tree("t");
    remove_tree("u");
}

/* Two watches of one inode both hear of its end. */
static void two_watches(void)
{
    inotify_watcher *watcher = create();
    struct recorder one = {0}, two = {0}, above = {0};

    make_dirs("p/t");
    watch(watcher, "p", RINOTIFY_WATCH_MASK, TREE, &above);
    watch_released(watcher, "p/t", IN_CREATE, 0, &one);
    watch_released(watcher, "./p/t", IN_CREATE, TREE, &two);
    remove_dir("p/t");
    EXPECT(watcher, &one, "delete_self p/t", "ignored p/t");
    EXPECT(watcher, &two, "delete_self ./p/t", "ignored ./p/t");
    EXPECT(watcher, &above, "delete|is_dir p/t");
    CHECK_EQ(one.released, 1);
    CHECK_EQ(two.released, 1);
    make_dir("p/t");
    make_file("p/t/f");
    EXPECT(watcher, &above, "create|is_dir p/t", "create p/t/f [synthetic]");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

static void one_shot(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0}, other = {0};
    int64_t id;

    make_dirs("t/d");
    id = watch_released(watcher, "t", IN_CREATE | IN_DELETE | IN_ONESHOT, 0, &recorder);
    watch(watcher, "t", IN_CREATE, 0, &other);
    CHECK_SYS(chmod("t", 0700));
    EXPECT_NOTHING(watcher, &recorder);
    CHECK_EQ(inotify_watcher_is_watched(watcher, "t"), 1);
    make_file("t/a");
    make_file("t/b");
    EXPECT(watcher, &recorder, "create t/a", "ignored t");
    CHECK_EQ(recorder.released, 1);
    CHECK_EQ(inotify_watcher_ignore_watch(watcher, id), -ENOENT);
    /* The other watch of the same inode is no one-shot. */
    EXPECT(watcher, &other, "create t/a", "create t/b");
    make_file("t/c");
    EXPECT(watcher, &other, "create t/c");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

static void one_shot_tree(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_dirs("t/d/e");
    watch_released(watcher, "t", IN_CREATE | IN_ONESHOT, TREE, &recorder);
    CHECK_SYS(chmod("t/d", 0700));
    make_file("t/d/e/f");
    make_file("t/d/g");
    make_dir("t/h");
    EXPECT(watcher, &recorder, "create t/d/e/f", "ignored t");
    drain(watcher);
    CHECK_EQ(recorder.released, 1);
    CHECK_WATCHES(watcher, 0);
    CHECK_EQ(get_stats(watcher).watches, 0);
    inotify_watcher_destroy(watcher);
}

static void only_directories(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_dir("t");
    make_file("f");
    watch(watcher, "t", IN_CREATE | IN_ONLYDIR, 0, &recorder);
    CHECK_EQ(inotify_watcher_watch(watcher, "f", IN_MODIFY | IN_ONLYDIR, 0, record, &recorder),
             -ENOTDIR);
    make_file("t/a");
    EXPECT(watcher, &recorder, "create t/a");
    inotify_watcher_destroy(watcher);
}

/* IN_EXCL_UNLINK: what happens to a file without a name is not told. The kernel has it once for a
 * directory, and keeps it: to another watch it is not told either, nor when the first has ended. */
static void excluded_unlinked(void)
{
    inotify_watcher *watcher = create();
    struct recorder with = {0}, without = {0};
    int64_t id;
    FILE *file;

    make_dir("t");
    id = watch(watcher, "t", IN_MODIFY | IN_DELETE | IN_EXCL_UNLINK, 0, &with);
    file = fopen("t/f", "we");
    CHECK(file != NULL);
    CHECK(fputs("named", file) >= 0 && fflush(file) == 0);
    EXPECT(watcher, &with, "modify t/f");
    remove_file("t/f");
    CHECK(fputs("nameless", file) >= 0 && fflush(file) == 0);
    EXPECT(watcher, &with, "delete t/f");
    watch(watcher, "t", IN_MODIFY, 0, &without);
    CHECK(fputs("nameless", file) >= 0 && fflush(file) == 0);
    EXPECT_NOTHING(watcher, &without);
    CHECK_OK(inotify_watcher_ignore_watch(watcher, id));
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK(fputs("nameless", file) >= 0 && fflush(file) == 0);
    EXPECT_NOTHING(watcher, &without);
    fclose(file);
    file = fopen("t/f", "we");
    CHECK(file != NULL);
    CHECK(fputs("named", file) >= 0 && fflush(file) == 0);
    EXPECT(watcher, &without, "modify t/f");
    fclose(file);
    inotify_watcher_destroy(watcher);
}

/* In a tree every path is right at its place in the queue, so nothing is told of a file that has
 * none any more: deleted, or another one renamed over it. */
static void nameless(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};
    FILE *deleted, *replaced;

    make_dirs("t/d");
    watch(watcher, "t", IN_MODIFY | IN_DELETE | IN_MOVED_TO | IN_CLOSE_WRITE, TREE, &recorder);
    deleted = fopen("t/d/deleted", "we");
    replaced = fopen("t/d/replaced", "we");
    CHECK(deleted != NULL && replaced != NULL);
    make_file("new");
    CHECK(fputs("named", deleted) >= 0 && fflush(deleted) == 0);
    remove_file("t/d/deleted");
    move("new", "t/d/replaced");
    EXPECT(watcher, &recorder, "modify t/d/deleted", "delete t/d/deleted", "moved_to t/d/replaced");
    CHECK(fputs("nameless", deleted) >= 0 && fflush(deleted) == 0);
    CHECK(fputs("nameless", replaced) >= 0 && fflush(replaced) == 0);
    fclose(deleted);
    fclose(replaced);
    EXPECT_NOTHING(watcher, &recorder);
    write_file("t/d/replaced", "text");
    EXPECT(watcher, &recorder, "modify t/d/replaced", "close_write t/d/replaced");
    inotify_watcher_destroy(watcher);
}

/* A thousand watches of files on one descriptor, and they end one after the other. */
static void many(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    for (int i = 0; i < 1000; i++) {
        make_file(format("f%d", i));
        watch(watcher, format("f%d", i), IN_MODIFY, 0, &recorder);
    }
    CHECK_WATCHES(watcher, 1000);
    for (int i = 0; i < 1000; i += 2)
        remove_file(format("f%d", i));
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder.count, 1000);
    for (int i = 0; i < 1000; i += 2) {
        CHECK_EQ(recorder_count(&recorder, format("delete_self f%d", i)), 1);
        CHECK_EQ(recorder_count(&recorder, format("ignored f%d", i)), 1);
    }
    recorder_clear(&recorder);
    CHECK_WATCHES(watcher, 500);
    write_file("f1", "x");
    EXPECT(watcher, &recorder, "modify f1");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

int main(void)
{
    check_begin(240);
    check_case("root-deleted");
    root_deleted(RINOTIFY_WATCH_MASK, 0);
    root_deleted(RINOTIFY_WATCH_MASK, TREE);
    root_deleted(IN_CREATE, TREE);
    root_deleted(IN_CLOSE_WRITE, 0);
    check_case("two-watches");
    two_watches();
    check_case("one-shot");
    one_shot();
    check_case("one-shot-tree");
    one_shot_tree();
    check_case("only-directories");
    only_directories();
    check_case("excluded-unlinked");
    excluded_unlinked();
    check_case("nameless");
    nameless();
    check_case("many");
    many();
    return 0;
}
