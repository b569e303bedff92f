/* A queue that overflows: every watch is told, whatever its mask, and the tree is brought back in step,
 * with what differs told by synthetic events.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

/* Not less than what every watcher has anyway: another one can be made at the same moment. */
#define QUEUE 16384

/* Keeps the queue full until it is read. */
static void fill_the_queue(void)
{
    for (int i = 0; i < QUEUE; i++) {
        make_file("t/d/filler");
        remove_file("t/d/filler");
    }
}

static inotify_watcher *create_small(void)
{
    inotify_watcher *watcher = create_with_queue(NULL, QUEUE);

    if (watcher == NULL)
        check_skip("a short queue takes root");
    return watcher;
}

static void every_watch_is_told(void)
{
    inotify_watcher *watcher = create_small();
    struct recorder tree = {0}, flat = {0}, file = {0}, filtered = {0}, tracked = {0}, late = {0};
    inotify_watcher_watch_options options = {.size = sizeof options,
                                             .mask = IN_DELETE_SELF,
                                             .flags = TREE,
                                             .callback = record,
                                             .user_data = &filtered,
                                             .excludes = (const char *const[]){"*", NULL}};

    check_case("told");
    make_dirs("t/d");
    make_file("f");
    watch(watcher, "t", IN_CLOSE_WRITE, TREE, &tree);
    watch(watcher, "t/d", IN_CREATE | IN_DELETE, 0, &flat);
    watch(watcher, "f", IN_ATTRIB, 0, &file);
    /* A file has no entries that could be compared. */
    watch(watcher, "f", IN_ATTRIB, RINOTIFY_WATCH_TRACK_ENTRIES, &tracked);
    watch(watcher, "f", IN_MODIFY, 0, &late);
    watch(watcher, "f", IN_MODIFY, RINOTIFY_WATCH_TRACK_ENTRIES, &late);
    CHECK_OK(inotify_watcher_watch_with(watcher, "t", &options));
    drain(watcher);
    recorder_clear(&tree);
    fill_the_queue();
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder_count(&tree, "queue_overflow t [rescan_begin]"), 1);
    CHECK_EQ(recorder_count(&tree, "t [rescan_end]"), 1);
    CHECK(recorder_find(&tree, "t [rescan_end]") >
          recorder_find(&tree, "queue_overflow t [rescan_begin]"));
    CHECK_EQ(recorder_count(&flat, "queue_overflow t/d"), 1);
    CHECK_EQ(recorder_count(&file, "queue_overflow f"), 1);
    CHECK_EQ(recorder_count(&tracked, "queue_overflow f"), 1);
    CHECK_EQ(recorder_count(&late, "queue_overflow f"), 1);
    CHECK_EQ(tracked.count, 1);
    CHECK_EQ(late.count, 1);
    CHECK_EQ(recorder_count(&filtered, "queue_overflow t [rescan_begin]"), 1);
    CHECK_EQ(get_stats(watcher).overflows, 1);
    recorder_clear(&tree);
    recorder_clear(&flat);
    recorder_clear(&file);
    recorder_clear(&filtered);
    recorder_clear(&tracked);
    recorder_clear(&late);
    write_file("t/d/later", "text");
    EXPECT(watcher, &tree, "close_write t/d/later");
    EXPECT(watcher, &flat, "create t/d/later");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* What was made, removed, replaced and changed while events were lost. */
static void difference(bool tracks)
{
    inotify_watcher *watcher = create_small();
    struct recorder recorder = {0};
    uint32_t flags = TREE | (tracks ? RINOTIFY_WATCH_TRACK_ENTRIES : 0);
    inotify_watcher_status status = {.size = sizeof status};
    int64_t id;

    check_case(tracks ? "entries" : "directories");
    make_dirs("t/d");
    make_dirs("t/goes/deep");
    make_dirs("t/moves/deep");
    write_file("t/stays", "text");
    write_file("t/changes", "text");
    make_file("t/removed");
    id = watch(watcher, "t", RINOTIFY_WATCH_MASK, flags, &recorder);
    EXPECT_NOTHING(watcher, &recorder);
    fill_the_queue();
    make_dirs("t/new/deep");
    make_file("t/new/deep/f");
    remove_tree("t/goes");
    move("t/moves", "t/moved");
    write_file("t/changes", "a longer text");
    remove_file("t/removed");
    make_file("t/made");
    while (get_stats(watcher).overflows == 0)
        CHECK(inotify_watcher_do_read(watcher) > 0);
    CHECK_OK(inotify_watcher_get_status(watcher, id, &status));
    CHECK_EQ(status.coverage, RINOTIFY_COVERAGE_OUT_OF_STEP);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_OK(inotify_watcher_get_status(watcher, id, &status));
    CHECK_EQ(status.coverage, RINOTIFY_COVERAGE_COMPLETE);
    CHECK_EQ(recorder_count(&recorder, "create|is_dir t/new [synthetic]"), 1);
    CHECK_EQ(recorder_count(&recorder, "create|is_dir t/new/deep [synthetic]"), 1);
    CHECK_EQ(recorder_count(&recorder, "create t/new/deep/f [synthetic]"), 1);
    CHECK_EQ(recorder_count(&recorder, "delete|is_dir t/goes [synthetic]"), 1);
    CHECK_EQ(recorder_count(&recorder, "delete|is_dir t/moves [synthetic]"), 1);
    CHECK_EQ(recorder_count(&recorder, "create|is_dir t/moved [synthetic]"), 1);
    CHECK_EQ(recorder_count(&recorder, "create|is_dir t/moved/deep [synthetic]"), 1);
    CHECK_EQ(recorder_count(&recorder, "create t/made [synthetic]"), tracks);
    CHECK_EQ(recorder_count(&recorder, "delete t/removed [synthetic]"), tracks);
    CHECK_EQ(recorder_count(&recorder, "modify t/changes [synthetic]"), tracks);
    for (size_t i = 0; i < recorder.count; i++)
        CHECK(strstr(recorder.lines[i], "t/stays") == NULL);
    recorder_clear(&recorder);
    make_file("t/new/deep/g");
    make_file("t/moved/deep/g");
    EXPECT(watcher, &recorder, "create t/new/deep/g", "create t/moved/deep/g");
    CHECK_EQ(inotify_watcher_is_watched(watcher, "t/goes"), 0);
    CHECK_EQ(inotify_watcher_is_watched(watcher, "t/moves/deep"), 0);
    CHECK_TABLES(watcher);

    /* Again, and the root goes with it. */
    fill_the_queue();
    remove_tree("t");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder_count(&recorder, "queue_overflow t [rescan_begin]"), 1);
    CHECK(strncmp(recorder.lines[recorder.count - 1], "ignored t", 9) == 0);
    CHECK_WATCHES(watcher, 0);
    inotify_watcher_destroy(watcher);
    recorder_clear(&recorder);
}

/* A watch that is asked for again and goes no deeper than its root remembers what is there. */
static void entries_of_the_root(void)
{
    inotify_watcher *watcher = create_small();
    struct recorder recorder = {0};
    uint32_t mask = IN_CREATE | IN_DELETE;
    int64_t id;

    check_case("root");
    make_dirs("r/d");
    make_file("r/stays");
    make_file("r/goes");
    id = watch(watcher, "r", mask, RINOTIFY_WATCH_RECURSIVE | RINOTIFY_WATCH_TRACK_ENTRIES,
               &recorder);
    CHECK_EQ(watch(watcher, "r", mask, RINOTIFY_WATCH_TRACK_ENTRIES, &recorder), id);
    drain(watcher);
    recorder_clear(&recorder);
    for (int i = 0; i < QUEUE; i++) {
        make_file("r/filler");
        remove_file("r/filler");
    }
    remove_file("r/goes");
    make_file("r/comes");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder_count(&recorder, "delete r/goes [synthetic]"), 1);
    CHECK_EQ(recorder_count(&recorder, "create r/comes [synthetic]"), 1);
    CHECK_EQ(recorder_count(&recorder, "create r/stays [synthetic]"), 0);
    CHECK_EQ(recorder_count(&recorder, "create|is_dir r/d [synthetic]"), 0);
    recorder_clear(&recorder);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

static void rescan_of_changed(uint32_t before, uint32_t after, int steps)
{
    inotify_watcher_options options = {.size = sizeof options, .max_scan = 16};
    inotify_watcher *watcher = create_with_queue(&options, QUEUE);
    struct recorder recorder = {0};
    uint32_t mask = IN_CREATE | IN_DELETE | IN_ATTRIB;

    if (watcher == NULL)
        check_skip("a short queue takes root");
    watch(watcher, "c", mask, before, &recorder);
    drain(watcher);
    recorder_clear(&recorder);
    for (int i = 0; i < QUEUE / 2 + 8; i++) {
        CHECK_SYS(chmod("c/f0", 0600));
        CHECK_SYS(chmod("c/f1", 0600));
    }
    make_dir("c/new");
    for (int i = 0; i < steps; i++)
        CHECK(inotify_watcher_do_read(watcher) >= 0);
    watch(watcher, "c", mask, after, &recorder);
    drain(watcher);
    for (int i = 0; i < 40; i++) {
        char line[64];

        snprintf(line, sizeof line, "create c/f%d [synthetic]", i);
        CHECK_EQ(recorder_count(&recorder, line), 0);
        snprintf(line, sizeof line, "delete c/f%d [synthetic]", i);
        CHECK_EQ(recorder_count(&recorder, line), 0);
    }
    CHECK_EQ(recorder_count(&recorder, "create|is_dir c/new [synthetic]"), 1);
    recorder_clear(&recorder);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    CHECK_SYS(rmdir("c/new"));
}

/* Other flags while the tree is compared: nothing that was there is told, and what was lost is. */
static void flags_in_a_rescan(void)
{
    uint32_t track = RINOTIFY_WATCH_TRACK_ENTRIES;

    check_case("flags");
    make_dirs("c/d/e");
    for (int i = 0; i < 40; i++) {
        char path[32];

        snprintf(path, sizeof path, "c/f%d", i);
        make_file(path);
    }
    /* Before it is read of, and in the comparison: a read has some 2,000 to 4,000 events. */
    for (int steps = 0; steps <= 8; steps += 8) {
        rescan_of_changed(TREE | track, TREE, steps);
        rescan_of_changed(TREE, TREE | track, steps);
        rescan_of_changed(TREE | track, track, steps);
    }
}

int main(void)
{
    check_begin(240);
    every_watch_is_told();
    difference(false);
    difference(true);
    entries_of_the_root();
    flags_in_a_rescan();
    return 0;
}
