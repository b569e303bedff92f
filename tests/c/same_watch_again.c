/* The same path with the same callback and user data is the same watch: its id stays, its mask and
 * flags change.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

static void other_callback(inotify_watcher *watcher, const inotify_watcher_event *event,
                           void *user_data)
{
    record(watcher, event, user_data);
}

static void mask(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0}, another = {0};
    int64_t id;

    make_dir("t");
    id = watch(watcher, "t", IN_CREATE, 0, &recorder);
    CHECK_EQ(watch(watcher, "t", IN_DELETE, 0, &recorder), id);
    CHECK_EQ(get_stats(watcher).watches, 1);
    make_file("t/a");
    remove_file("t/a");
    EXPECT(watcher, &recorder, "delete t/a");
    /* IN_MASK_ADD keeps what was there, as it does in inotify(7). */
    CHECK_EQ(watch(watcher, "t", IN_CREATE | IN_MASK_ADD, 0, &recorder), id);
    make_file("t/a");
    remove_file("t/a");
    EXPECT(watcher, &recorder, "create t/a", "delete t/a");
    /* And IN_MASK_CREATE refuses to change. */
    CHECK_EQ(inotify_watcher_watch(watcher, "t", IN_MODIFY | IN_MASK_CREATE, 0, record, &recorder),
             -EEXIST);
    make_file("t/b");
    EXPECT(watcher, &recorder, "create t/b");

    /* Anything else that differs makes another watch. */
    CHECK(watch(watcher, "t", IN_CREATE, 0, &another) != id);
    CHECK(CHECK_OK(inotify_watcher_watch(watcher, "t", IN_CREATE, 0, other_callback, &recorder)) !=
          id);
    CHECK_EQ(get_stats(watcher).watches, 3);
    make_file("t/c");
    EXPECT(watcher, &recorder, "create t/c", "create t/c");
    EXPECT(watcher, &another, "create t/c");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* A directory that has been moved, unheard of yet, has the new mask where it is now. */
static void mask_below_a_rename(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};
    int64_t id;

    make_dirs("t/a/in/side");
    make_file("t/a/in/side/f");
    id = watch(watcher, "t", IN_CREATE | IN_MOVE, TREE, &recorder);
    move("t/a", "t/b");
    CHECK_EQ(watch(watcher, "t", IN_CREATE | IN_MOVE | IN_MODIFY, TREE, &recorder), id);
    EXPECT(watcher, &recorder, "moved_from|is_dir t/a", "moved_to|is_dir t/b <- t/a");
    write_file("t/b/in/side/f", "x");
    EXPECT(watcher, &recorder, "modify t/b/in/side/f");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

static void flags(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};
    int64_t id;

    make_dirs("t/a/b");
    id = watch(watcher, "t", RINOTIFY_WATCH_MASK, 0, &recorder);
    CHECK_WATCHES(watcher, 1);
    /* Recursive from now on. */
    CHECK_EQ(watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder), id);
    CHECK_WATCHES(watcher, 3);
    make_dir("t/a/b/c");
    make_file("t/a/b/c/f");
    EXPECT(watcher, &recorder, "create|is_dir t/a/b/c", "create t/a/b/c/f [synthetic]");
    CHECK_TABLES(watcher);
    /* And no longer. */
    CHECK_EQ(watch(watcher, "t", RINOTIFY_WATCH_MASK, 0, &recorder), id);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_WATCHES(watcher, 1);
    make_file("t/a/b/c/g");
    make_file("t/f");
    EXPECT(watcher, &recorder, "create t/f");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* One watch, one release, however often it was asked for; and ids are not used again. */
/* A file has no tree: what it was asked for stays. */
static void a_file(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_file("f");
    for (unsigned i = 0; i < 4; i++) {
        uint32_t first = i % 2 != 0 ? RINOTIFY_WATCH_FOLLOW_NAME : 0;
        uint32_t then = i / 2 != 0 ? RINOTIFY_WATCH_FOLLOW_NAME : 0;
        int64_t id = watch(watcher, "f", IN_ATTRIB, first, &recorder);

        CHECK_EQ(inotify_watcher_watch(watcher, "f", IN_MODIFY, then | TREE, record, &recorder),
                 -ENOTDIR);
        CHECK_SYS(chmod("f", 0600));
        write_file("f", "x");
        EXPECT(watcher, &recorder, "attrib f");
        CHECK_EQ(watch(watcher, "f", IN_MODIFY, then, &recorder), id);
        CHECK_OK(inotify_watcher_ignore(watcher, "f"));
        EXPECT_NOTHING(watcher, &recorder);
    }
    CHECK_WATCHES(watcher, 0);
    inotify_watcher_destroy(watcher);
    recorder_clear(&recorder);
    remove_file("f");
}

static void ids_and_release(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0}, next = {0};
    int64_t id, later;

    make_dir("t");
    id = watch_released(watcher, "t", IN_CREATE, 0, &recorder);
    CHECK_EQ(watch_released(watcher, "t", IN_DELETE, 0, &recorder), id);
    CHECK_EQ(watch_released(watcher, "t", IN_CREATE, 0, &recorder), id);
    CHECK_EQ(recorder.released, 0);
    CHECK_OK(inotify_watcher_ignore_watch(watcher, id));
    CHECK_EQ(recorder.released, 1);
    CHECK_EQ(inotify_watcher_ignore_watch(watcher, id), -ENOENT);
    later = watch(watcher, "t", IN_CREATE, 0, &next);
    CHECK(later > id);
    CHECK_EQ(inotify_watcher_ignore_watch(watcher, id), -ENOENT);
    make_file("t/a");
    EXPECT(watcher, &next, "create t/a");
    inotify_watcher_destroy(watcher);
    CHECK_EQ(recorder.released, 1);
}

/* A relative path in another directory is another path. */
static void elsewhere(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};
    int64_t here, there;

    make_dirs("t/s/t");
    here = watch(watcher, "t", IN_CREATE, 0, &recorder);
    CHECK_SYS(chdir("t/s"));
    there = watch(watcher, "t", IN_CREATE | IN_MASK_CREATE, 0, &recorder);
    CHECK(there != here);
    make_file("t/a");
    EXPECT(watcher, &recorder, "create t/a");
    CHECK_SYS(chdir("../.."));
    CHECK_EQ(watch(watcher, "t", IN_DELETE, 0, &recorder), here);
    make_file("t/a");
    EXPECT_NOTHING(watcher, &recorder);
    CHECK_WATCHES(watcher, 2);
    inotify_watcher_destroy(watcher);
}

/* A link or what it leads to: what was watched first stays so. */
static void a_link(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};
    int64_t id;

    make_dir("t");
    CHECK_SYS(symlink("t", "link"));
    id = watch(watcher, "link", IN_CREATE, TREE, &recorder);
    CHECK_EQ(watch(watcher, "link", IN_CREATE | IN_DELETE | IN_DONT_FOLLOW, 0, &recorder), id);
    CHECK_EQ(watch(watcher, "link", IN_CREATE | IN_DELETE | IN_DONT_FOLLOW, TREE, &recorder), id);
    make_file("t/a");
    remove_file("t/a");
    make_dir("t/d");
    make_file("t/d/b");
    EXPECT(watcher, &recorder, "create link/a", "delete link/a", "create|is_dir link/d",
           "create link/d/b [synthetic]");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* A callback that asks for its watch again, at each of the events that it is told to. */
struct again {
    struct recorder recorder;
    uint32_t at;
    uint32_t mask;
    int64_t last;
    unsigned made;
};

static void ask_again(inotify_watcher *watcher, const inotify_watcher_event *event, void *user_data)
{
    struct again *again = user_data;
    int64_t id;

    record(watcher, event, &again->recorder);
    if ((event->mask & again->at) == 0)
        return;
    id = CHECK_OK(inotify_watcher_watch(watcher, "t", again->mask, 0, ask_again, again));
    again->made += id != again->last;
    again->last = id;
}

/* A watch that has ended is not the same any more, even if its last event is only being told: what
 * stands at the path now gets one of its own, and one only. */
static void after_the_end(uint32_t at, uint32_t max_events)
{
    inotify_watcher_options options = {.size = sizeof options, .max_events = max_events};
    inotify_watcher *watcher = inotify_watcher_create(&options);
    struct again again = {.at = at, .mask = IN_CREATE};

    CHECK(watcher != NULL);
    make_dir("t");
    again.last = CHECK_OK(inotify_watcher_watch(watcher, "t", IN_CREATE, 0, ask_again, &again));
    remove_dir("t");
    make_dir("t");
    EXPECT(watcher, &again.recorder, "delete_self t", "ignored t");
    CHECK_EQ(again.made, 1);
    make_file("t/a");
    EXPECT(watcher, &again.recorder, "create t/a");
    CHECK_EQ(get_stats(watcher).watches, 1);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    remove_tree("t");
}

/* The same of a watch for one event. */
static void once_more(void)
{
    inotify_watcher *watcher = create();
    struct again again = {.at = IN_CREATE, .mask = IN_CREATE | IN_ONESHOT};

    make_dir("t");
    again.last = CHECK_OK(inotify_watcher_watch(watcher, "t", again.mask, 0, ask_again, &again));
    make_file("t/a");
    EXPECT(watcher, &again.recorder, "create t/a", "ignored t");
    make_file("t/b");
    EXPECT(watcher, &again.recorder, "create t/b", "ignored t");
    CHECK_EQ(again.made, 2);
    CHECK_EQ(get_stats(watcher).watches, 1);
    inotify_watcher_destroy(watcher);
}

/* From then on all directories are followed, also one that was made before. */
static void followed_later(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};
    int64_t id;

    make_dirs("t/old");
    id = watch(watcher, "t", IN_CREATE | IN_MOVE, RINOTIFY_WATCH_RECURSIVE, &recorder);
    make_dir("t/new");
    EXPECT(watcher, &recorder, "create|is_dir t/new");
    make_dir("t/newer");
    CHECK_EQ(watch(watcher, "t", IN_CREATE | IN_MOVE, TREE, &recorder), id);
    make_file("t/new/f");
    make_file("t/newer/f");
    EXPECT_SET(watcher, &recorder, "create|is_dir t/newer", "create t/new/f",
               "create t/newer/f [synthetic]");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* Entries are to be remembered while they are being told for the first time: each is told once. */
static void tracked_while_told(void)
{
    inotify_watcher_options options = {.size = sizeof options, .max_events = 64};
    inotify_watcher *watcher = inotify_watcher_create(&options);
    struct recorder recorder = {0};
    uint32_t flags = TREE | RINOTIFY_WATCH_EMIT_EXISTING;
    char path[32];

    make_dirs("many");
    for (int i = 0; i < 300; i++) {
        snprintf(path, sizeof path, "many/f%d", i);
        make_file(path);
    }
    watch(watcher, "many", IN_CREATE, flags, &recorder);
    CHECK(inotify_watcher_do_read(watcher) > 0);
    watch(watcher, "many", IN_CREATE, flags | RINOTIFY_WATCH_TRACK_ENTRIES, &recorder);
    drain(watcher);
    CHECK_EQ(recorder.count, 300);
    recorder_clear(&recorder);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

int main(void)
{
    check_begin(240);
    check_case("mask");
    mask();
    check_case("mask-below-a-rename");
    mask_below_a_rename();
    check_case("flags");
    flags();
    check_case("a-file");
    a_file();
    check_case("ids-and-release");
    ids_and_release();
    check_case("elsewhere");
    elsewhere();
    check_case("a-link");
    a_link();
    check_case("after-the-end");
    for (uint32_t max_events = 0; max_events <= 1; max_events++) {
        after_the_end(IN_DELETE_SELF, max_events);
        after_the_end(IN_IGNORED, max_events);
        after_the_end(IN_DELETE_SELF | IN_IGNORED, max_events);
    }
    check_case("once-more");
    once_more();
    check_case("followed-later");
    followed_later();
    check_case("tracked-while-told");
    tracked_while_told();
    return 0;
}
