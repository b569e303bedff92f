/* A root that its path does not lead to for a while: what comes below it cannot be reached, which is
 * told, and is covered as soon as the root is back, without a call.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "reader.h"

#include <fcntl.h>

static const uint32_t entries = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;

static void make_trees(void)
{
    make_dirs("w/p/t/d");
    make_dirs("w/p/other");
}

static void expect_gap(inotify_watcher *watcher, struct recorder *recorder, const char *name,
                       const char *error)
{
    EXPECT(watcher, recorder, format("create|is_dir w/p/t/%s", name),
           format("is_dir w/p/t/%s [error %s]", name, error), "w/p/t [partial]");
    CHECK_EQ(coverage_of(watcher, 1, NULL), RINOTIFY_COVERAGE_PARTIAL);
}

static void expect_covered(inotify_watcher *watcher, struct recorder *recorder, const char *name)
{
    EXPECT(watcher, recorder, format("create w/p/t/%s/f [synthetic]", name), "w/p/t [complete]");
    CHECK_EQ(coverage_of(watcher, 1, NULL), RINOTIFY_COVERAGE_COMPLETE);
    /* Nothing on the way is watched any more. */
    CHECK_EQ(get_stats(watcher).internal_watchpoints, 2);
    CHECK_TABLES(watcher);
}

static void the_root_itself(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_trees();
    watch(watcher, "w/p/t", entries, TREE, &recorder);
    EXPECT_NOTHING(watcher, &recorder);
    /* Another one stands in its place. */
    CHECK_SYS(renameat2(AT_FDCWD, "w/p/t", AT_FDCWD, "w/p/other", RENAME_EXCHANGE));
    make_dirs("w/p/other/a");
    make_file("w/p/other/a/f");
    expect_gap(watcher, &recorder, "a", "ESTALE");
    make_dirs("w/p/t/x");
    EXPECT_NOTHING(watcher, &recorder);
    CHECK_SYS(renameat2(AT_FDCWD, "w/p/t", AT_FDCWD, "w/p/other", RENAME_EXCHANGE));
    expect_covered(watcher, &recorder, "a");
    make_file("w/p/t/a/g");
    EXPECT(watcher, &recorder, "create w/p/t/a/g");

    /* Nothing does, and it goes on to a second place before it comes back. */
    CHECK_SYS(rename("w/p/t", "w/away"));
    make_dirs("w/away/b");
    make_file("w/away/b/f");
    expect_gap(watcher, &recorder, "b", "ENOENT");
    CHECK_SYS(rename("w/away", "w/further"));
    make_dirs("w/p/t");
    remove_dir("w/p/t");
    EXPECT_NOTHING(watcher, &recorder);
    CHECK_SYS(rename("w/further", "w/p/t"));
    expect_covered(watcher, &recorder, "b");
    inotify_watcher_destroy(watcher);
    remove_tree("w");
}

/* Whether two files were exchanged, only a look at one of them can tell, which is to be had when the
 * root is back. */
static void to_be_looked_at(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_trees();
    make_file("w/p/t/1");
    make_file("w/p/t/2");
    watch(watcher, "w/p/t", entries, TREE, &recorder);
    EXPECT_NOTHING(watcher, &recorder);
    exchange("w/p/t/1", "w/p/t/2");
    move("w/p/t", "w/away");
    EXPECT(watcher, &recorder, "moved_from w/p/t/1", "moved_to w/p/t/2 <- w/p/t/1",
           "moved_from w/p/t/2", "moved_to w/p/t/1 <- w/p/t/2", "is_dir w/p/t [error ENOENT]",
           "w/p/t [partial]");
    move("w/away", "w/p/t");
    EXPECT(watcher, &recorder, "create w/p/t/2 [synthetic]", "w/p/t [complete]");
    CHECK_EQ(get_stats(watcher).internal_watchpoints, 2);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    remove_tree("w");
}

static void above_the_root(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_trees();
    watch(watcher, "w/p/t", entries, TREE, &recorder);
    EXPECT_NOTHING(watcher, &recorder);
    CHECK_SYS(rename("w", "v"));
    make_dirs("v/p/t/a");
    make_file("v/p/t/a/f");
    expect_gap(watcher, &recorder, "a", "ENOENT");
    make_dirs("w/p/t");
    EXPECT_NOTHING(watcher, &recorder);
    remove_tree("w");
    CHECK_SYS(rename("v", "w"));
    expect_covered(watcher, &recorder, "a");

    /* A link in the place of a directory leads there as well. */
    CHECK_SYS(rename("w/p", "w/q"));
    make_dirs("w/q/t/b");
    make_file("w/q/t/b/f");
    expect_gap(watcher, &recorder, "b", "ENOENT");
    CHECK_SYS(symlink("nowhere", "w/p"));
    EXPECT_NOTHING(watcher, &recorder);
    CHECK_SYS(symlink("q", "w/nowhere"));
    expect_covered(watcher, &recorder, "b");
    inotify_watcher_destroy(watcher);
    remove_tree("w");
}

/* What ends before the root is back leaves nothing. */
static void ends_meanwhile(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_trees();
    watch(watcher, "w/p/t", entries, TREE, &recorder);
    CHECK_SYS(rename("w/p/t", "w/away"));
    make_dirs("w/away/a");
    expect_gap(watcher, &recorder, "a", "ENOENT");
    CHECK(get_stats(watcher).internal_watchpoints > 2);
    remove_dir("w/away/a");
    EXPECT(watcher, &recorder, "delete|is_dir w/p/t/a", "w/p/t [complete]");
    CHECK_EQ(get_stats(watcher).internal_watchpoints, 2);
    make_dirs("w/away/b");
    expect_gap(watcher, &recorder, "b", "ENOENT");
    CHECK_OK(inotify_watcher_ignore(watcher, "w/p/t"));
    CHECK_EQ(get_stats(watcher).internal_watchpoints, 2);
    EXPECT_NOTHING(watcher, &recorder);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    remove_tree("w");
}

/* A directory above the root must not be searched. */
static void a_mode_above(void)
{
    inotify_watcher *watcher;
    struct recorder recorder = {0};

    if (getuid() != 0)
        return;
    make_trees();
    as_reader();
    watcher = create();
    watch(watcher, "w/p/t", entries, TREE, &recorder);
    EXPECT_NOTHING(watcher, &recorder);
    change_mode("w/p", 0);
    as_writer();
    make_dirs("w/p/t/a");
    make_file("w/p/t/a/f");
    as_reader();
    expect_gap(watcher, &recorder, "a", "EACCES");
    change_mode("w/p", 0755);
    expect_covered(watcher, &recorder, "a");
    inotify_watcher_destroy(watcher);
    as_writer();
    CHECK_SYS(chmod("w/p", 0755));
    remove_tree("w");
}

/* The root comes back while events are lost. */
static void back_in_a_loss(void)
{
    const int queue = 16384;
    inotify_watcher *watcher = create_with_queue(NULL, queue);
    struct recorder recorder = {0};

    if (watcher == NULL) {
        fputs("a short queue takes root\n", stderr);
        return;
    }
    make_trees();
    watch(watcher, "w/p/t", entries, TREE, &recorder);
    EXPECT_NOTHING(watcher, &recorder);
    CHECK_SYS(rename("w", "v"));
    make_dirs("v/p/t/a");
    make_file("v/p/t/a/f");
    expect_gap(watcher, &recorder, "a", "ENOENT");
    make_dirs("w/p");
    EXPECT_NOTHING(watcher, &recorder);
    for (int i = 0; i <= queue; i++) {
        make_file("v/p/t/filler");
        remove_file("v/p/t/filler");
    }
    /* None of this is told; afterwards the way is a new one. */
    remove_tree("w");
    make_dirs("w");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(get_stats(watcher).overflows, 1);
    CHECK_EQ(coverage_of(watcher, 1, NULL), RINOTIFY_COVERAGE_PARTIAL);
    recorder_clear(&recorder);
    CHECK_SYS(rename("v/p", "w/p"));
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(coverage_of(watcher, 1, NULL), RINOTIFY_COVERAGE_COMPLETE);
    CHECK_EQ(recorder_count(&recorder, "create w/p/t/a/f [synthetic]"), 1);
    inotify_watcher_destroy(watcher);
    recorder_clear(&recorder);
    remove_tree("w");
}

int main(void)
{
    check_begin(60);
    check_case("the-root-itself");
    the_root_itself();
    to_be_looked_at();
    check_case("above-the-root");
    above_the_root();
    check_case("ends-meanwhile");
    ends_meanwhile();
    check_case("a-mode-above");
    a_mode_above();
    check_case("back-in-a-loss");
    back_in_a_loss();
    return 0;
}
