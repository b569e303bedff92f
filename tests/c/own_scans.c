/* The library looks into directories too: nobody is told of that.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <dirent.h>
#include <fcntl.h>

/* Reads what it is told of, as a program does that wants to know what has changed. */
static void look_into(inotify_watcher *watcher, const inotify_watcher_event *event, void *user_data)
{
    char text[16];
    int fd = open(event->path, O_RDONLY | O_CLOEXEC);

    (void)watcher;
    ++*(unsigned *)user_data;
    if (fd == -1)
        return;
    if ((event->mask & IN_ISDIR) == 0) {
        CHECK(read(fd, text, sizeof text) >= 0);
    } else {
        DIR *directory = fdopendir(fd);

        CHECK(directory != NULL);
        while (readdir(directory) != NULL)
            continue;
        closedir(directory);
        return;
    }
    close(fd);
}

/* With the usual mask the caller's looking is no event either, so it does not go round in circles. */
static void callers_looks(void)
{
    inotify_watcher *watcher = create();
    unsigned events = 0;

    check_case("callers-looks");
    CHECK_EQ(RINOTIFY_WATCH_MASK & (IN_OPEN | IN_ACCESS | IN_CLOSE_NOWRITE), 0);
    make_dirs("t/d");
    write_file("t/d/f", "text");
    CHECK_OK(inotify_watcher_watch(watcher, "t", RINOTIFY_WATCH_MASK,
                                   TREE | RINOTIFY_WATCH_EMIT_EXISTING, look_into, &events));
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(events, 2);
    make_dirs("t/new/deep");
    write_file("t/d/f", "other text");
    write_file("t/new/deep/f", "text");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK(events >= 2 + 4);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(inotify_watcher_do_read(watcher), 0);
    inotify_watcher_destroy(watcher);
}

/* What is looked into for one watch is not told to another. */
static void two_watches(void)
{
    const uint32_t mask = IN_OPEN | IN_ACCESS | IN_CLOSE_NOWRITE;
    inotify_watcher *watcher = create();
    struct recorder recorder = {0}, other = {0}, below = {0};

    check_case("two-watches");
    make_dirs("t/d/e");
    watch(watcher, "t", mask, TREE, &recorder);
    EXPECT_NOTHING(watcher, &recorder);
    watch(watcher, "t", mask, TREE | RINOTIFY_WATCH_EMIT_EXISTING, &other);
    watch(watcher, "t/d", mask, TREE, &below);
    EXPECT_NOTHING(watcher, &recorder);
    EXPECT_NOTHING(watcher, &below);
    CHECK_SYS(close((int)CHECK_SYS(open("t/d/e", O_RDONLY | O_DIRECTORY | O_CLOEXEC))));
    EXPECT(watcher, &recorder, "open|is_dir t/d/e", "close_nowrite|is_dir t/d/e");
    EXPECT(watcher, &below, "open|is_dir t/d/e", "close_nowrite|is_dir t/d/e");
    inotify_watcher_destroy(watcher);
    recorder_clear(&other);
    remove_tree("t");
}

/* Looking into all of a tree would fill the queue several times: when the watch is made, when more is
 * asked of it, and when the tree is compared after a loss. */
static void large_tree(void)
{
    enum { QUEUE = 16384, WIDTH = 60 };
    const uint32_t mask = IN_OPEN | IN_ACCESS | IN_CLOSE_NOWRITE | IN_CREATE;
    inotify_watcher *watcher;
    struct recorder recorder = {0};

    check_case("large-tree");
    for (int i = 0; i < WIDTH; i++)
        for (int j = 0; j < WIDTH; j++)
            make_dirs(format("t/%d/%d/d", i, j));
    make_dirs("t/0/0/d/e");
    watcher = create_with_queue(NULL, QUEUE);
    if (watcher == NULL)
        check_skip("the queue is longer than it is by default");
    watch(watcher, "t", mask, TREE, &recorder);
    /* The same watch. */
    watch(watcher, "t", mask, TREE | RINOTIFY_WATCH_TRACK_ENTRIES, &recorder);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(get_stats(watcher).overflows, 0);
    CHECK_EQ(recorder.count, 0);
    for (int i = 0; i <= QUEUE; i++)
        CHECK_SYS(close((int)CHECK_SYS(
            open(i % 2 == 0 ? "t/0/0/d" : "t/1/0/d", O_RDONLY | O_DIRECTORY | O_CLOEXEC))));
    make_file("t/0/0/d/e/f");
    while (get_stats(watcher).overflows == 0)
        CHECK(inotify_watcher_do_read(watcher) > 0);
    recorder_clear(&recorder);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(get_stats(watcher).overflows, 1);
    CHECK_EQ(recorder_count(&recorder, "t [rescan_end]"), 1);
    CHECK_EQ(recorder_count(&recorder, "create t/0/0/d/e/f [synthetic]"), 1);
    recorder_clear(&recorder);
    CHECK_SYS(close((int)CHECK_SYS(open("t/1/1/d", O_RDONLY | O_DIRECTORY | O_CLOEXEC))));
    EXPECT(watcher, &recorder, "open|is_dir t/1/1/d", "close_nowrite|is_dir t/1/1/d");
    inotify_watcher_destroy(watcher);
}

int main(void)
{
    inotify_watcher *watcher;
    struct recorder recorder = {0};
    uint32_t mask = IN_OPEN | IN_ACCESS | IN_CLOSE_NOWRITE;

    check_begin(240);
    check_case("own-scans");
    watcher = create();
    make_dirs("t/d/e");
    make_file("t/d/e/f");
    watch(watcher, "t", mask, TREE, &recorder);
    EXPECT_NOTHING(watcher, &recorder);
    make_dirs("t/new/deep");
    make_file("t/new/deep/f");
    EXPECT_NOTHING(watcher, &recorder);
    inotify_watcher_destroy(watcher);

    /* The same with a listing of all there is. */
    watcher = create();
    watch(watcher, "t", mask, TREE | RINOTIFY_WATCH_EMIT_EXISTING, &recorder);
    EXPECT_SET(watcher, &recorder, "create|is_dir t/d [synthetic]",
               "create|is_dir t/d/e [synthetic]", "create t/d/e/f [synthetic]",
               "create|is_dir t/new [synthetic]", "create|is_dir t/new/deep [synthetic]",
               "create t/new/deep/f [synthetic]");
    drain(watcher);
    CHECK_EQ(recorder.count, 0);
    /* What somebody else looks into is told. */
    CHECK_SYS(close((int)CHECK_SYS(open("t/new/deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC))));
    EXPECT(watcher, &recorder, "open|is_dir t/new/deep", "close_nowrite|is_dir t/new/deep");
    inotify_watcher_destroy(watcher);
    callers_looks();
    two_watches();
    large_tree();
    return 0;
}
