/* The end of a watch by the caller: not one more event, not even one already queued.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

static void queued(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0}, other = {0};
    int64_t id;

    make_dirs("t/d");
    id = watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &other);
    make_file("t/a");
    make_dirs("t/d/e/f");
    CHECK_OK(inotify_watcher_ignore_watch(watcher, id));
    make_file("t/b");
    EXPECT_NOTHING(watcher, &recorder);
    EXPECT_SET(watcher, &other, "create t/a", "create|is_dir t/d/e",
               "create|is_dir t/d/e/f [synthetic]", "create t/b");
    CHECK_EQ(inotify_watcher_ignore_watch(watcher, id), -ENOENT);
    CHECK_OK(inotify_watcher_ignore(watcher, "t"));
    CHECK_EQ(inotify_watcher_ignore(watcher, "t"), -ENOENT);
    CHECK_WATCHES(watcher, 0);
    CHECK_EQ(get_stats(watcher).watches, 0);
    CHECK_EQ(get_stats(watcher).directories, 0);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* Watched again at once: what stood in the queue of the old watch is not for the new one, whose
 * inode is the same. */
static void watched_again(void)
{
    inotify_watcher *watcher = create();
    struct recorder old = {0}, new = {0};

    make_dirs("t/d");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &old);
    CHECK_OK(inotify_watcher_sync(watcher));
    make_file("t/d/before");
    CHECK_OK(inotify_watcher_ignore(watcher, "t"));
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &new);
    make_file("t/d/after");
    EXPECT_NOTHING(watcher, &old);
    EXPECT(watcher, &new, "create t/d/after");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* The same where another watch kept the kernel's watch alive: still nothing from the time before. */
static void joined_late(void)
{
    inotify_watcher *watcher = create();
    struct recorder first = {0}, late = {0};

    make_dirs("t/d");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &first);
    CHECK_OK(inotify_watcher_sync(watcher));
    make_file("t/d/before");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &late);
    make_file("t/d/after");
    EXPECT(watcher, &first, "create t/d/before", "create t/d/after");
    EXPECT(watcher, &late, "create t/d/after");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* Every watch of that spelling, and no other. */
static void by_path(void)
{
    inotify_watcher *watcher = create();
    struct recorder one = {0}, two = {0}, three = {0}, below = {0};

    make_dirs("t/d");
    watch(watcher, "t", IN_CREATE, 0, &one);
    watch(watcher, "t", IN_CREATE, TREE, &two);
    watch(watcher, "./t", IN_CREATE, 0, &three);
    watch(watcher, "t/d", IN_CREATE, 0, &below);
    CHECK_OK(inotify_watcher_ignore(watcher, "t/"));
    CHECK_EQ(get_stats(watcher).watches, 2);
    make_file("t/a");
    make_file("t/d/a");
    EXPECT_NOTHING(watcher, &one);
    EXPECT_NOTHING(watcher, &two);
    EXPECT(watcher, &three, "create ./t/a");
    EXPECT(watcher, &below, "create t/d/a");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* A directory below a root: it and all below it, but not its own entry in its parent. */
static void below_a_root(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0}, other = {0};

    make_dirs("t/d/e/f");
    make_dirs("t/stays");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    watch(watcher, "./t", RINOTIFY_WATCH_MASK, TREE, &other);
    CHECK_OK(inotify_watcher_sync(watcher));
    make_file("t/d/e/queued");
    CHECK_OK(inotify_watcher_ignore(watcher, "t/d"));
    CHECK_EQ(inotify_watcher_is_watched(watcher, "t/d"), 0);
    CHECK_EQ(inotify_watcher_is_watched(watcher, "t/d/e/f"), 0);
    CHECK_EQ(inotify_watcher_is_watched(watcher, "t"), 1);
    CHECK_EQ(inotify_watcher_is_watched(watcher, "./t/d/e"), 1);
    CHECK_EQ(inotify_watcher_ignore(watcher, "t/d"), -ENOENT);
    CHECK_EQ(inotify_watcher_ignore(watcher, "t/d/e"), -ENOENT);
    make_file("t/d/unseen");
    make_dir("t/d/e/unseen");
    make_file("t/stays/a");
    CHECK_SYS(chmod("t/d", 0700));
    EXPECT(watcher, &recorder, "create t/stays/a", "attrib|is_dir t/d");
    EXPECT(watcher, &other, "create ./t/d/e/queued", "create ./t/d/unseen",
           "create|is_dir ./t/d/e/unseen", "create ./t/stays/a", "attrib|is_dir ./t/d");
    CHECK_TABLES(watcher);
    CHECK_OK(inotify_watcher_ignore(watcher, "./t"));
    CHECK_WATCHES(watcher, 2);
    CHECK_TABLES(watcher);

    /* Ignored is the directory, wherever in the tree it goes; its name for another one is free. */
    move("t/d", "t/stays/x");
    make_file("t/stays/x/unseen-too");
    make_dir("t/d");
    EXPECT(watcher, &recorder, "moved_from|is_dir t/d", "moved_to|is_dir t/stays/x <- t/d",
           "create|is_dir t/d");
    make_file("t/d/seen");
    EXPECT(watcher, &recorder, "create t/d/seen");
    remove_tree("t/stays/x");
    EXPECT(watcher, &recorder, "delete|is_dir t/stays/x");
    make_dir("t/stays/x");
    make_file("t/stays/x/seen");
    EXPECT(watcher, &recorder, "create|is_dir t/stays/x", "create t/stays/x/seen [synthetic]");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

static void pause_at_first(inotify_watcher *watcher, const inotify_watcher_event *event, void *data)
{
    record(watcher, event, data);
    if (event->name && !strcmp(event->name, "first"))
        CHECK_OK(inotify_watcher_pause_producing(watcher));
}

/* Events that were read, and left for the next call; the directory is ignored as `ignored`. */
static void between_two_calls(const char *ignored)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_dirs("t/d/e");
    make_dirs("t/dd");
    CHECK_OK(inotify_watcher_watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, pause_at_first, &recorder));
    make_file("t/first");
    make_file("t/d/queued");
    make_file("t/d/e/queued");
    make_file("t/dd/last");
    CHECK(inotify_watcher_do_read(watcher) > 0);
    CHECK_OK(inotify_watcher_ignore(watcher, ignored));
    CHECK_OK(inotify_watcher_resume_producing(watcher));
    EXPECT(watcher, &recorder, "create t/first", "create t/dd/last");
    /* Another directory of that name is none of it. */
    remove_tree("t/d");
    make_dir("t/d");
    EXPECT(watcher, &recorder, "delete|is_dir t/d", "create|is_dir t/d");
    make_file("t/d/seen");
    EXPECT(watcher, &recorder, "create t/d/seen");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* What the kernel has dropped by itself, with the library not yet told. */
static void dropped_by_the_kernel(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};
    int64_t id;

    make_dirs("t/d");
    id = watch_released(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    CHECK_OK(inotify_watcher_sync(watcher));
    remove_tree("t");
    CHECK_OK(inotify_watcher_ignore_watch(watcher, id));
    CHECK_EQ(recorder.released, 1);
    EXPECT_NOTHING(watcher, &recorder);
    CHECK_WATCHES(watcher, 0);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

int main(void)
{
    check_begin(240);
    check_case("queued");
    queued();
    check_case("watched-again");
    watched_again();
    check_case("joined-late");
    joined_late();
    check_case("by-path");
    by_path();
    check_case("below-a-root");
    below_a_root();
    check_case("between-two-calls");
    between_two_calls("t/d");
    check_case("another-spelling");
    between_two_calls("t//d/");
    check_case("dropped-by-the-kernel");
    dropped_by_the_kernel();
    return 0;
}
