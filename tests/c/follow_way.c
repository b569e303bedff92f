/* RINOTIFY_WATCH_FOLLOW_NAME when the way to the file changes: components that do not exist yet,
 * directories that are replaced, symbolic links that are made to lead elsewhere.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

static bool late;
static inotify_watcher *watcher;
static struct recorder recorder;

static void step(void)
{
    if (!late)
        CHECK_OK(inotify_watcher_sync(watcher));
}

static int64_t begin(const char *path)
{
    int64_t id;

    watcher = create();
    id = watch(watcher, path, IN_CLOSE_WRITE, RINOTIFY_WATCH_FOLLOW_NAME, &recorder);
    EXPECT_NOTHING(watcher, &recorder);
    return id;
}

/* It is on what the path leads to, and nothing else is watched for anybody. */
static void end(const char *path)
{
    if (access(path, F_OK) == 0) {
        CHECK_WATCHES(watcher, 1);
        CHECK(kernel_watches_path(watcher, path));
        write_file(path, "again");
        EXPECT(watcher, &recorder, format("close_write %s", path));
    } else {
        CHECK_WATCHES(watcher, 0);
    }
    CHECK_EQ(inotify_watcher_is_watched(watcher, path), 1);
    CHECK_TABLES(watcher);
    CHECK_OK(inotify_watcher_ignore(watcher, path));
    CHECK_EQ(inotify_watcher_is_watched(watcher, path), 0);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(get_stats(watcher).internal_watchpoints, 2);
    CHECK_WATCHES(watcher, 0);
    EXPECT_NOTHING(watcher, &recorder);
    inotify_watcher_destroy(watcher);
}

/* Three components are missing. */
static void not_yet(void)
{
    begin("a/b/c/x");
    CHECK_WATCHES(watcher, 0);
    make_dir("a");
    step();
    make_dir("a/b");
    step();
    make_dir("a/b/c");
    step();
    write_file("a/b/c/x", "1");
    if (late)
        EXPECT(watcher, &recorder, "moved_to a/b/c/x [root] [synthetic]");
    else
        EXPECT(watcher, &recorder, "create a/b/c/x [root]", "close_write a/b/c/x");
    end("a/b/c/x");
}

/* They come all at once, from elsewhere. */
static void moved_into_place(void)
{
    make_dirs("t/b/c");
    write_file("t/b/c/x", "1");
    begin("a/b/c/x");
    move("t", "a");
    EXPECT(watcher, &recorder, "moved_to a/b/c/x [root] [synthetic]");
    end("a/b/c/x");
}

static void missing_for_good(void)
{
    begin("a/b/c/x");
    make_dirs("a/b/d");
    make_dir("a/b/c");
    step();
    remove_tree("a");
    EXPECT_NOTHING(watcher, &recorder);
    end("a/b/c/x");
}

static void parent_renamed_away(void)
{
    make_dirs("a/b");
    write_file("a/b/x", "1");
    begin("a/b/x");
    move("a", "old");
    EXPECT(watcher, &recorder, "delete a/b/x [root] [synthetic]");
    write_file("old/b/x", "2");
    EXPECT_NOTHING(watcher, &recorder);
    make_dirs("a/b");
    step();
    write_file("a/b/x", "3");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder_count(&recorder, "create a/b/x [root]") +
                 recorder_count(&recorder, "moved_to a/b/x [root] [synthetic]"),
             1);
    recorder_clear(&recorder);
    end("a/b/x");
}

/* A new directory in its place: what the name leads to has been replaced, once. */
static void parent_replaced(void)
{
    make_dirs("a/b");
    write_file("a/b/x", "1");
    make_dirs("n/b");
    write_file("n/b/x", "2");
    begin("a/b/x");
    exchange("a", "n");
    EXPECT(watcher, &recorder, "moved_to a/b/x [root] [synthetic]");
    write_file("n/b/x", "old");
    EXPECT_NOTHING(watcher, &recorder);
    end("a/b/x");
}

static void parent_removed_and_made_again(void)
{
    make_dirs("a/b");
    write_file("a/b/x", "1");
    begin("a/b/x");
    remove_tree("a");
    step();
    make_dirs("a/b");
    step();
    write_file("a/b/x", "2");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_STR(recorder.lines[0], "delete a/b/x [root]");
    if (late) {
        CHECK_STR(recorder.lines[1], "moved_to a/b/x [root] [synthetic]");
        CHECK_EQ(recorder.count, 2);
    } else {
        CHECK_STR(recorder.lines[1], "create a/b/x [root]");
        CHECK_STR(recorder.lines[2], "close_write a/b/x");
        CHECK_EQ(recorder.count, 3);
    }
    recorder_clear(&recorder);
    end("a/b/x");
}

/* The same directory goes and comes back, and its file with it. */
static void parent_there_and_back(void)
{
    make_dirs("a/b");
    write_file("a/b/x", "1");
    begin("a/b/x");
    move("a/b", "a/c");
    step();
    move("a/c", "a/b");
    /* Nobody has seen it go; but who looked for it meanwhile has not found it. */
    if (late)
        EXPECT(watcher, &recorder, "moved_to a/b/x [root] [synthetic]");
    else
        EXPECT(watcher, &recorder, "delete a/b/x [root] [synthetic]",
               "moved_to a/b/x [root] [synthetic]");
    end("a/b/x");
}

static void file_in_the_way(void)
{
    make_dir("a");
    make_file("a/b");
    begin("a/b/x");
    remove_file("a/b");
    step();
    make_dir("a/b");
    step();
    make_file("a/b/t");
    move("a/b/t", "a/b/x");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder.count, 1);
    CHECK_EQ(strncmp(recorder.lines[0], "moved_to a/b/x [root]", 21), 0);
    recorder_clear(&recorder);
    end("a/b/x");
}

/* A link as the last component is made to lead to another file: by rename, as ln -sfn and
 * Kubernetes do it, or after it was removed. */
static void link_at_the_end(void)
{
    make_dirs("one");
    make_dirs("two");
    write_file("one/x", "1");
    write_file("two/x", "2");
    CHECK_SYS(symlink("one/x", "x"));
    begin("x");
    write_file("one/x", "1a");
    EXPECT(watcher, &recorder, "close_write x");
    CHECK_SYS(symlink("two/x", "t"));
    move("t", "x");
    EXPECT(watcher, &recorder, "moved_to x [root] [synthetic]");
    write_file("one/x", "1b");
    EXPECT_NOTHING(watcher, &recorder);
    /* What the link leads to is followed by its name, too. */
    write_file("two/t", "2a");
    move("two/t", "two/x");
    EXPECT(watcher, &recorder, "moved_to x [root]");
    remove_file("two/x");
    EXPECT(watcher, &recorder, "delete x [root]");
    write_file("two/x", "2b");
    EXPECT(watcher, &recorder, "create x [root]", "close_write x");
    remove_file("x");
    step();
    CHECK_SYS(symlink("one/x", "x"));
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_STR(recorder.lines[recorder.count - 1], "moved_to x [root] [synthetic]");
    CHECK_EQ(recorder.count, late ? 1 : 2);
    recorder_clear(&recorder);
    /* A plain file in place of the link. */
    write_file("t", "3");
    move("t", "x");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder.count, 1);
    CHECK_STR(recorder.lines[0], "moved_to x [root] [synthetic]");
    recorder_clear(&recorder);
    end("x");
}

/* A chain of links, absolute and relative, with ".." in it, at a component. */
static void links_on_the_way(void)
{
    make_dirs("real/v1/d");
    make_dirs("real/v2/d");
    write_file("real/v1/d/x", "1");
    write_file("real/v2/d/x", "2");
    make_dirs("etc/app");
    CHECK_SYS(symlink("v1", "real/current"));
    CHECK_SYS(symlink(format("%s/real/current/", check_where()), "all"));
    CHECK_SYS(symlink("../../all/d", "etc/app/conf"));
    begin("etc/app/conf/x");
    CHECK_SYS(symlink("v2", "real/t"));
    move("real/t", "real/current");
    EXPECT(watcher, &recorder, "moved_to etc/app/conf/x [root] [synthetic]");
    remove_file("all");
    EXPECT(watcher, &recorder, "delete etc/app/conf/x [root] [synthetic]");
    CHECK_SYS(symlink("real/v1", "all"));
    EXPECT(watcher, &recorder, "moved_to etc/app/conf/x [root] [synthetic]");
    /* A link that leads nowhere yet. */
    CHECK_SYS(symlink("real/v3", "t"));
    move("t", "all");
    EXPECT(watcher, &recorder, "delete etc/app/conf/x [root] [synthetic]");
    make_dirs("real/t/d");
    write_file("real/t/d/x", "3");
    move("real/t", "real/v3");
    EXPECT(watcher, &recorder, "moved_to etc/app/conf/x [root] [synthetic]");
    end("etc/app/conf/x");
}

/* "..", "." and slashes: where the directory above is changes with the directory. */
static void dots(void)
{
    make_dirs("a/b");
    make_dirs("c");
    write_file("a/x", "1");
    write_file("c/x", "2");
    begin("./a//b/../x");
    write_file("a/x", "1a");
    EXPECT(watcher, &recorder, "close_write ./a//b/../x");
    CHECK_SYS(symlink("c/b", "t"));
    move("a/b", "c/b");
    move("t", "a/b");
    CHECK_OK(inotify_watcher_sync(watcher));
    recorder_clear(&recorder);
    /* a/b leads to a/c/b, which is not there. */
    CHECK(access("./a//b/../x", F_OK) == -1);
    make_dirs("a/c/b");
    step();
    write_file("a/c/x", "3");
    CHECK_OK(inotify_watcher_sync(watcher));
    recorder_clear(&recorder);
    end("./a//b/../x");
}

/* A circle of links is an error, told once, and followed when it is one no more. */
static void circle(void)
{
    make_dir("a");
    write_file("a/x", "1");
    begin("a/x");
    CHECK_SYS(symlink("x", "a/t"));
    move("a/t", "a/x");
    EXPECT_SET(watcher, &recorder, format("%s/a/x [error ELOOP]", check_where()), "a/x [partial]",
               "delete a/x [root] [synthetic]");
    make_file("a/y");
    EXPECT_NOTHING(watcher, &recorder);
    write_file("a/t", "2");
    move("a/t", "a/x");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder.count, 2);
    CHECK_STR(recorder.lines[1], "a/x [complete]");
    recorder_clear(&recorder);
    end("a/x");
    remove_file("a/x");
    CHECK_SYS(symlink("y", "a/x"));
    remove_file("a/y");
    CHECK_SYS(symlink("x", "a/y"));
    watcher = create();
    CHECK_EQ(inotify_watcher_watch(watcher, "a/x", IN_CLOSE_WRITE, RINOTIFY_WATCH_FOLLOW_NAME,
                                   record, &recorder),
             -ELOOP);
    CHECK_EQ(last_error(watcher).error, ELOOP);
    CHECK_EQ(kernel_watches(inotify_watcher_fileno(watcher), NULL, 0), 2);
    /* The link itself can be watched. */
    watch(watcher, "a/x", IN_ATTRIB | IN_DONT_FOLLOW, RINOTIFY_WATCH_FOLLOW_NAME, &recorder);
    CHECK_SYS(symlink("z", "a/t"));
    move("a/t", "a/x");
    EXPECT(watcher, &recorder, "moved_to a/x [root]");
    inotify_watcher_destroy(watcher);
}

int main(void)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {
        {"not-yet", not_yet},
        {"moved-into-place", moved_into_place},
        {"missing-for-good", missing_for_good},
        {"parent-renamed-away", parent_renamed_away},
        {"parent-replaced", parent_replaced},
        {"parent-made-again", parent_removed_and_made_again},
        {"there-and-back", parent_there_and_back},
        {"file-in-the-way", file_in_the_way},
        {"link-at-the-end", link_at_the_end},
        {"links-on-the-way", links_on_the_way},
        {"dots", dots},
        {"circle", circle},
    };

    check_begin(120);
    for (int round = 0; round < 2; round++) {
        late = round != 0;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            check_case(format("%s-%d", cases[i].name, round));
            cases[i].run();
        }
    }
    return 0;
}
