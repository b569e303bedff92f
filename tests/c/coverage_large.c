/* A directory of very many entries is moved in: it is listed and told in steps, each of them bounded,
 * and what happens elsewhere meanwhile does not wait for its end.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "reader.h"

#include <fcntl.h>

enum { STEP = 1000 };

struct counts {
    unsigned told;     /* of the large directory */
    unsigned in_turn;  /* callbacks of this do_read */
    unsigned elsewhere_at; /* how many had been told when the other file was */
};

static void count(inotify_watcher *watcher, const inotify_watcher_event *event, void *user_data)
{
    struct counts *counts = user_data;

    (void)watcher;
    counts->in_turn++;
    if (strncmp(event->path, "t/large/", 8) == 0)
        counts->told++;
    else if (strcmp(event->path, "t/other/f") == 0)
        counts->elsewhere_at = counts->told;
}

int main(void)
{
    inotify_watcher_options options = {
        .size = sizeof options, .max_events = STEP, .max_scan = STEP};
    unsigned entries = check_rounds(200000);
    struct counts counts = {0};
    inotify_watcher *watcher;
    unsigned turns = 0;
    int dir;

    check_begin(300);
    check_case("large");
    make_dirs("t/other");
    make_dir("large");
    dir = open("large", O_PATH | O_DIRECTORY | O_CLOEXEC);
    CHECK(dir >= 0);
    for (unsigned i = 0; i < entries; i++)
        CHECK_SYS(mknodat(dir, format("%u", i), S_IFREG | 0600, 0));
    close(dir);
    watcher = inotify_watcher_create(&options);
    CHECK(watcher != NULL);
    CHECK_OK(inotify_watcher_watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, count, &counts));
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(counts.told, 0);
    move("large", "t/large");
    do {
        counts.in_turn = 0;
        if (turns == 2)
            make_file("t/other/f");
        turns++;
        CHECK(turns < 1000000);
    } while (CHECK_OK(inotify_watcher_do_read(watcher)) > 0 && counts.in_turn <= STEP);
    CHECK(counts.in_turn <= STEP);
    CHECK_EQ(counts.told, entries);
    /* Neither listed nor told in fewer steps than the bounds make it. */
    CHECK(turns >= 2 * (entries / STEP));
    CHECK(entries < 10 * STEP || counts.elsewhere_at < entries / 2);
    CHECK_EQ(coverage_of(watcher, 1, NULL), RINOTIFY_COVERAGE_COMPLETE);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    return 0;
}
