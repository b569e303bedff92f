/* The limit on watches reached by new directories: one error, the rest goes on, and what was left out
 * is covered when this watcher gives watches back, or when it is told that others have. The limits
 * are those of a user namespace of this process's own, so that nobody else feels them.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "reader.h"

#include <sched.h>

static void set_limit(const char *name, size_t limit)
{
    FILE *file = fopen(format("/proc/sys/user/%s", name), "we");

    if (file == NULL)
        check_skip("the limit of the namespace cannot be set");
    CHECK(fprintf(file, "%zu\n", limit) > 0);
    if (fclose(file) != 0)
        check_skip("the limit of the namespace cannot be set");
}

static size_t used(const inotify_watcher *watcher)
{
    return kernel_watches(inotify_watcher_fileno(watcher), NULL, 0);
}

static void given_back(void)
{
    inotify_watcher *watcher = create(), *other;
    struct recorder recorder = {0}, elsewhere = {0};
    uint64_t count;
    int64_t id, second;

    make_dirs("t/sub");
    make_dirs("u/v");
    id = watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    second = watch(watcher, "u", RINOTIFY_WATCH_MASK, TREE, &elsewhere);
    EXPECT_NOTHING(watcher, &recorder);
    set_limit("max_inotify_watches", used(watcher) + 1);

    make_dir("t/a");
    make_dir("t/b");
    make_file("t/b/f");
    make_dirs("t/c/d");
    make_file("t/c/d/f");
    EXPECT(watcher, &recorder, "create|is_dir t/a", "create|is_dir t/b", "create|is_dir t/c",
           "is_dir t/b [error ENOSPC]", "t [partial]");
    CHECK_EQ(coverage_of(watcher, id, &count), RINOTIFY_COVERAGE_PARTIAL);
    CHECK_EQ(count, 2);
    CHECK_EQ(coverage_of(watcher, second, NULL), RINOTIFY_COVERAGE_COMPLETE);
    make_file("t/a/f");
    make_file("t/sub/f");
    make_file("t/b/unseen");
    EXPECT(watcher, &recorder, "create t/a/f", "create t/sub/f");
    CHECK_TABLES(watcher);

    /* A directory goes: the first of those left out is covered in its place. */
    remove_tree("t/a");
    EXPECT_SET(watcher, &recorder, "delete t/a/f", "delete|is_dir t/a",
               "create t/b/f [synthetic]", "create t/b/unseen [synthetic]");
    CHECK_EQ(coverage_of(watcher, id, &count), RINOTIFY_COVERAGE_PARTIAL);
    CHECK_EQ(count, 1);
    /* A new one is left out without another error. */
    make_dir("t/e");
    EXPECT(watcher, &recorder, "create|is_dir t/e");
    /* One moves out of the tree, and another is let go. */
    move("t/sub", "sub");
    EXPECT(watcher, &recorder, "moved_from|is_dir t/sub", "create|is_dir t/c/d [synthetic]");
    remove_dir("t/e");
    EXPECT(watcher, &recorder, "delete|is_dir t/e");
    /* Another watch ends; its two watches are enough. */
    CHECK_OK(inotify_watcher_ignore_watch(watcher, second));
    EXPECT(watcher, &recorder, "create t/c/d/f [synthetic]", "t [complete]");
    CHECK_TABLES(watcher);
    make_file("t/c/d/g");
    EXPECT(watcher, &recorder, "create t/c/d/g");

    /* Room that others make has to be told. */
    set_limit("max_inotify_watches", 1000);
    other = create();
    watch(other, "sub", RINOTIFY_WATCH_MASK, 0, &elsewhere);
    set_limit("max_inotify_watches", used(watcher) + used(other));
    make_dir("t/late");
    make_file("t/late/f");
    EXPECT(watcher, &recorder, "create|is_dir t/late", "is_dir t/late [error ENOSPC]",
           "t [partial]");
    CHECK_OK(inotify_watcher_retry(watcher));
    EXPECT_NOTHING(watcher, &recorder);
    inotify_watcher_destroy(other);
    EXPECT_NOTHING(watcher, &recorder);
    CHECK_OK(inotify_watcher_retry(watcher));
    EXPECT(watcher, &recorder, "create t/late/f [synthetic]", "t [complete]");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    set_limit("max_inotify_watches", 1000);
}

/* What is left out of many: as many are covered as go, the order is that in which they came. */
static void many(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};
    uint64_t count;
    int64_t id;

    make_dir("t");
    id = watch(watcher, "t", IN_CREATE, TREE, &recorder);
    EXPECT_NOTHING(watcher, &recorder);
    set_limit("max_inotify_watches", used(watcher) + 100);
    for (int i = 0; i < 300; i++) {
        make_dir(format("t/%d", i));
        make_file(format("t/%d/f", i));
    }
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(coverage_of(watcher, id, &count), RINOTIFY_COVERAGE_PARTIAL);
    CHECK_EQ(count, 200);
    /* 300 directories, 100 files, one error, one change of the coverage. */
    CHECK_EQ(recorder.count, 402);
    recorder_clear(&recorder);
    for (int i = 0; i < 60; i++)
        remove_tree(format("t/%d", i));
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(coverage_of(watcher, id, &count), RINOTIFY_COVERAGE_PARTIAL);
    CHECK_EQ(count, 140);
    CHECK_EQ(recorder.count, 60);
    for (int i = 100; i < 160; i++)
        CHECK_EQ(recorder_count(&recorder, format("create t/%d/f [synthetic]", i)), 1);
    recorder_clear(&recorder);
    for (int i = 60; i < 300; i++)
        if (i % 2 == 0)
            remove_tree(format("t/%d", i));
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(coverage_of(watcher, id, NULL), RINOTIFY_COVERAGE_PARTIAL);
    for (int i = 60; i < 300; i++)
        if (i % 2 == 1 && i < 120)
            remove_tree(format("t/%d", i));
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(coverage_of(watcher, id, NULL), RINOTIFY_COVERAGE_COMPLETE);
    CHECK_STR(recorder.lines[recorder.count - 1], "t [complete]");
    CHECK_EQ(get_stats(watcher).watchpoints, 91);
    CHECK_TABLES(watcher);
    recorder_clear(&recorder);
    inotify_watcher_destroy(watcher);
    set_limit("max_inotify_watches", 1000);
}

/* A name that is followed, too, when this watcher gives watches back. */
static void followed(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0}, elsewhere = {0};
    int64_t id, second;

    make_dir("p");
    make_dirs("u/v");
    second = watch(watcher, "u", RINOTIFY_WATCH_MASK, TREE, &elsewhere);
    id = watch(watcher, "p/q/x", IN_CLOSE_WRITE, RINOTIFY_WATCH_FOLLOW_NAME, &recorder);
    EXPECT_NOTHING(watcher, &recorder);
    set_limit("max_inotify_watches", used(watcher));
    make_dir("p/q");
    EXPECT(watcher, &recorder, format("%s/p/q [error ENOSPC]", check_where()), "p/q/x [partial]");
    CHECK_EQ(coverage_of(watcher, id, NULL), RINOTIFY_COVERAGE_PARTIAL);
    CHECK_OK(inotify_watcher_ignore_watch(watcher, second));
    EXPECT(watcher, &recorder, "p/q/x [complete]");
    write_file("p/q/x", "1");
    EXPECT(watcher, &recorder, "create p/q/x [root]", "close_write p/q/x");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    set_limit("max_inotify_watches", 1000);
}

/* No room for the watcher itself. */
static void watchers(void)
{
    inotify_watcher *watcher = create();

    set_limit("max_inotify_watches", 3);
    CHECK(inotify_watcher_create(NULL) == NULL);
    CHECK_EQ(errno, ENOSPC);
    CHECK_STR(last_error(NULL).step, "inotify_add_watch");
    CHECK_EQ(last_error(NULL).limit, 3);
    CHECK(strstr(last_error(NULL).message, "max_user_watches") != NULL);
    set_limit("max_inotify_watches", 1000);
    set_limit("max_inotify_instances", 1);
    CHECK(inotify_watcher_create(NULL) == NULL);
    CHECK_EQ(errno, EMFILE);
    CHECK_STR(last_error(NULL).step, "inotify_init1");
    CHECK_EQ(last_error(NULL).limit, 1);
    CHECK(strstr(last_error(NULL).message, "max_user_instances") != NULL);
    set_limit("max_inotify_instances", 100);
    inotify_watcher_destroy(watcher);
    watcher = create();
    inotify_watcher_destroy(watcher);
}

int main(void)
{
    check_begin(120);
    if (unshare(CLONE_NEWUSER) == -1)
        check_skip("needs a user namespace of its own");
    set_limit("max_inotify_watches", 1000);
    check_case("given-back");
    given_back();
    check_case("many");
    many();
    check_case("followed");
    followed();
    check_case("watchers");
    watchers();
    return 0;
}
