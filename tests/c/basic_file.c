/* A single file as the root of a watch, and what inotify(7) says of its end.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <fcntl.h>

static void usual_mask(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};
    int64_t id;

    write_file("f", "");
    id = watch(watcher, "f", RINOTIFY_WATCH_MASK | IN_CLOSE_WRITE, 0, &recorder);
    CHECK_EQ(inotify_watcher_is_watched(watcher, "f"), 1);
    write_file("f", "text");
    EXPECT(watcher, &recorder, "modify f", "close_write f");
    CHECK_SYS(chmod("f", 0600));
    EXPECT(watcher, &recorder, "attrib f");
    CHECK_SYS(link("f", "g"));
    EXPECT(watcher, &recorder, "attrib f");
    /* A neighbour is not reported. */
    make_file("h");
    EXPECT_NOTHING(watcher, &recorder);
    CHECK_TABLES(watcher);
    remove_file("g");
    EXPECT(watcher, &recorder, "attrib f");
    remove_file("f");
    EXPECT(watcher, &recorder, "attrib f", "delete_self f", "ignored f");
    CHECK_EQ(inotify_watcher_is_watched(watcher, "f"), 0);
    CHECK_EQ(inotify_watcher_ignore_watch(watcher, id), -ENOENT);
    CHECK_EQ(get_stats(watcher).watches, 0);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* The end of the root is told whatever the mask. */
static void narrow_mask(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    write_file("f", "");
    watch(watcher, "f", IN_MODIFY, 0, &recorder);
    CHECK_SYS(chmod("f", 0600));
    write_file("f", "text");
    EXPECT(watcher, &recorder, "modify f");
    remove_file("f");
    EXPECT(watcher, &recorder, "delete_self f", "ignored f");
    inotify_watcher_destroy(watcher);
}

/* An open file lives on without a name: its end comes with the last close. */
static void unlinked_but_open(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};
    int fd;

    write_file("f", "");
    watch(watcher, "f", IN_MODIFY, 0, &recorder);
    fd = (int)CHECK_SYS(open("f", O_WRONLY | O_CLOEXEC));
    remove_file("f");
    EXPECT_NOTHING(watcher, &recorder);
    CHECK_EQ(write(fd, "x", 1), 1);
    EXPECT(watcher, &recorder, "modify f");
    CHECK_SYS(close(fd));
    EXPECT(watcher, &recorder, "delete_self f", "ignored f");
    inotify_watcher_destroy(watcher);
}

/* A watch is about the inode: it stays with a file that is renamed, and is not taken over by
 * another one of the same name. */
static void renamed_and_replaced(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    write_file("f", "");
    watch(watcher, "f", RINOTIFY_WATCH_MASK, 0, &recorder);
    move("f", "g");
    EXPECT(watcher, &recorder, "move_self f");
    write_file("f", "a new one");
    EXPECT_NOTHING(watcher, &recorder);
    move("f", "g");
    EXPECT(watcher, &recorder, "attrib f", "delete_self f", "ignored f");
    inotify_watcher_destroy(watcher);
}

/* The kernel merges an event with the newest one in the queue if they are the same. Nothing else
 * may be merged: two events with another one in between stay two. */
static void merging(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    write_file("f", "");
    watch(watcher, "f", RINOTIFY_WATCH_MASK, 0, &recorder);
    CHECK_SYS(truncate("f", 10));
    CHECK_SYS(truncate("f", 20));
    CHECK_SYS(chmod("f", 0600));
    CHECK_SYS(truncate("f", 30));
    EXPECT(watcher, &recorder, "modify f", "attrib f", "modify f");
    inotify_watcher_destroy(watcher);
}

int main(void)
{
    check_begin(240);
    check_case("usual-mask");
    usual_mask();
    check_case("narrow-mask");
    narrow_mask();
    check_case("unlinked-but-open");
    unlinked_but_open();
    check_case("renamed-and-replaced");
    renamed_and_replaced();
    check_case("merging");
    merging();
    return 0;
}
