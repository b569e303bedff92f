/* How a watch with RINOTIFY_WATCH_FOLLOW_NAME ends, and what it does not survive or does: ignored
 * while nothing is there, one-shot, asked for again, an unmount, a loss of events, no permission, no
 * room for another watch.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/wait.h>

#define FOLLOW RINOTIFY_WATCH_FOLLOW_NAME

static inotify_watcher *watcher;
static struct recorder recorder;

static void begin(void)
{
    watcher = create();
    memset(&recorder, 0, sizeof recorder);
}

static void nothing_left(void)
{
    CHECK_EQ(get_stats(watcher).watches, 0);
    CHECK_EQ(kernel_watches(inotify_watcher_fileno(watcher), NULL, 0), 2);
}

static void ignored(void)
{
    int64_t id;

    begin();
    watch_released(watcher, "no/such/thing", IN_CREATE, FOLLOW, &recorder);
    CHECK_EQ(inotify_watcher_is_watched(watcher, "no/such/thing"), 1);
    CHECK(kernel_watches(inotify_watcher_fileno(watcher), NULL, 0) > 2);
    CHECK_OK(inotify_watcher_ignore(watcher, "no/such/thing"));
    CHECK_EQ(recorder.released, 1);
    CHECK_EQ(inotify_watcher_ignore(watcher, "no/such/thing"), -ENOENT);
    nothing_left();
    /* With its return in the queue. */
    recorder.released = 0;
    id = watch_released(watcher, "no/such/thing", IN_CREATE, FOLLOW, &recorder);
    make_dirs("no/such/thing");
    CHECK_OK(inotify_watcher_ignore_watch(watcher, id));
    EXPECT_NOTHING(watcher, &recorder);
    nothing_left();
    /* Destroyed while it waits, and while it is told. */
    recorder.released = 0;
    watch_released(watcher, "no/such/other", IN_CREATE, FOLLOW | TREE, &recorder);
    make_dirs("no/such/other/d");
    inotify_watcher_destroy(watcher);
    CHECK_EQ(recorder.released, 1);
    CHECK_EQ(recorder.count, 0);
}

static void once(void)
{
    begin();
    watch_released(watcher, "x", IN_CLOSE_WRITE | IN_ONESHOT, FOLLOW, &recorder);
    CHECK_OK(inotify_watcher_sync(watcher));
    write_file("t", "1");
    move("t", "x");
    write_file("x", "2");
    EXPECT(watcher, &recorder, "moved_to x [root]", "ignored x");
    CHECK_EQ(recorder.released, 1);
    nothing_left();
    inotify_watcher_destroy(watcher);
}

/* The same if its end is that of the name: nothing on the way is watched any more. */
static void once_gone(void)
{
    begin();
    write_file("x", "1");
    watch(watcher, "x", IN_CLOSE_WRITE | IN_ONESHOT, FOLLOW, &recorder);
    remove_file("x");
    EXPECT(watcher, &recorder, "delete x [root]", "ignored x");
    nothing_left();
    inotify_watcher_destroy(watcher);
}

/* A mask that cannot be is refused, and changes nothing. */
static void again_refused(void)
{
    int64_t id;

    begin();
    write_file("y", "1");
    id = watch(watcher, "y", IN_CLOSE_WRITE, FOLLOW, &recorder);
    CHECK_EQ(inotify_watcher_watch(watcher, "y", IN_CLOSE_WRITE | IN_ONLYDIR, FOLLOW, record, &recorder),
             -ENOTDIR);
    write_file("y", "2");
    EXPECT(watcher, &recorder, "close_write y");
    CHECK_EQ(watch(watcher, "y", IN_CLOSE_WRITE, FOLLOW, &recorder), id);
    EXPECT_NOTHING(watcher, &recorder);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* Mask and flags change, the id stays. */
static void again(void)
{
    int64_t id;

    begin();
    write_file("y", "1");
    id = watch(watcher, "y", IN_MODIFY, 0, &recorder);
    CHECK_EQ(watch(watcher, "y", IN_CLOSE_WRITE, FOLLOW, &recorder), id);
    write_file("t", "2");
    move("t", "y");
    EXPECT(watcher, &recorder, "moved_to y [root]");
    write_file("y", "3");
    EXPECT(watcher, &recorder, "close_write y");
    CHECK_EQ(watch(watcher, "y", IN_ATTRIB, FOLLOW, &recorder), id);
    write_file("y", "4");
    CHECK_SYS(chmod("y", 0600));
    EXPECT(watcher, &recorder, "attrib y");
    remove_file("y");
    EXPECT(watcher, &recorder, "attrib y", "delete y [root]");
    /* About an inode that is not there it cannot be. */
    CHECK_EQ(inotify_watcher_watch(watcher, "y", IN_ATTRIB, 0, record, &recorder), -ENOENT);
    CHECK_EQ(watch(watcher, "y", IN_CLOSE_WRITE, FOLLOW, &recorder), id);
    write_file("y", "5");
    EXPECT(watcher, &recorder, "create y [root]", "close_write y");
    CHECK_EQ(watch(watcher, "y", IN_CLOSE_WRITE, 0, &recorder), id);
    CHECK_EQ(get_stats(watcher).internal_watchpoints, 2);
    remove_file("y");
    EXPECT(watcher, &recorder, "delete_self y", "ignored y");
    nothing_left();
    inotify_watcher_destroy(watcher);
}

/* Bad paths are refused at once, and nothing is left of them. */
static void refused(void)
{
    char long_name[300];

    begin();
    make_file("f");
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    CHECK_EQ(inotify_watcher_watch(watcher, long_name, IN_CREATE, FOLLOW, record, &recorder),
             -ENAMETOOLONG);
    CHECK_EQ(inotify_watcher_watch(watcher, "f", IN_CREATE, FOLLOW | TREE, record, &recorder),
             -ENOTDIR);
    CHECK_EQ(inotify_watcher_watch(watcher, "f/", IN_CREATE, FOLLOW, record, &recorder), -ENOTDIR);
    CHECK_STR(last_error(watcher).step, "open");
    nothing_left();
    watch(watcher, "/", IN_CREATE, FOLLOW, &recorder);
    CHECK_OK(inotify_watcher_ignore(watcher, "/"));
    nothing_left();
    inotify_watcher_destroy(watcher);
}

/* A queue that has overflown: where the names lead is found out anew. */
static void overflown(void)
{
    watcher = create_with_queue(NULL, 16384);
    if (watcher == NULL)
        return;
    make_dirs("o/p");
    write_file("o/p/x", "1");
    watch(watcher, "o/p/x", IN_CLOSE_WRITE, FOLLOW, &recorder);
    watch(watcher, "o/gone", IN_CLOSE_WRITE, FOLLOW, &recorder);
    for (int i = 0; i < 10000; i++) {
        move("o/p/x", "o/p/t");
        move("o/p/t", "o/p/x");
    }
    move("o", "old");
    make_dirs("o/p");
    write_file("o/p/x", "2");
    write_file("o/gone", "3");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(get_stats(watcher).overflows, 1);
    CHECK(recorder_find(&recorder, "queue_overflow o/p/x") >= 0);
    CHECK_EQ(recorder_count(&recorder, "queue_overflow o/gone"), 1);
    CHECK_EQ(recorder_count(&recorder, "moved_to o/p/x [root] [synthetic]"), 1);
    CHECK_EQ(recorder_count(&recorder, "moved_to o/gone [root] [synthetic]"), 1);
    recorder_clear(&recorder);
    CHECK(kernel_watches_path(watcher, "o/p/x"));
    write_file("o/p/x", "4");
    EXPECT(watcher, &recorder, "close_write o/p/x");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* What is mounted goes: that is told, and what the name leads to then. */
static void unmounted(void)
{
    begin();
    make_dir("m");
    if (mount("rinotify-test", "m", "tmpfs", 0, "size=1m") == -1) {
        inotify_watcher_destroy(watcher);
        return;
    }
    make_dir("m/d");
    watch(watcher, "m/d/x", IN_CLOSE_WRITE, FOLLOW, &recorder);
    write_file("m/d/x", "1");
    EXPECT(watcher, &recorder, "create m/d/x [root]", "close_write m/d/x");
    CHECK_SYS(umount("m"));
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_STR(recorder.lines[recorder.count - 1], "delete m/d/x [root] [synthetic]");
    CHECK_EQ(recorder_count(&recorder, "unmount m/d/x"), 1);
    recorder_clear(&recorder);
    CHECK_WATCHES(watcher, 0);
    make_dir("m/d");
    CHECK_OK(inotify_watcher_sync(watcher));
    write_file("m/d/x", "2");
    EXPECT(watcher, &recorder, "create m/d/x [root]", "close_write m/d/x");
    /* A mount is not told: it is found when the same is asked for again. */
    CHECK_EQ(mount("rinotify-test", "m", "tmpfs", 0, "size=1m"), 0);
    EXPECT_NOTHING(watcher, &recorder);
    watch(watcher, "m/d/x", IN_CLOSE_WRITE, FOLLOW, &recorder);
    EXPECT(watcher, &recorder, "delete m/d/x [root] [synthetic]");
    make_dir("m/d");
    CHECK_OK(inotify_watcher_sync(watcher));
    write_file("m/d/x", "3");
    EXPECT(watcher, &recorder, "create m/d/x [root]", "close_write m/d/x");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    CHECK_SYS(umount("m"));
}

/* As a user whom modes mean something to. The parent makes the changes. */
static int count(const inotify_watcher_uncovered *uncovered, void *user_data)
{
    const char *at = format("%s/q/r", check_where());
    unsigned *counted = user_data;

    CHECK_EQ(uncovered->error, EACCES);
    CHECK_EQ(strncmp(uncovered->path, at, strlen(at)), 0);
    CHECK_EQ(uncovered->path[uncovered->path_len], '\0');
    ++*counted;
    return 0;
}

/* So many things keep the name from being followed, or from being followed in full. */
static void expect_uncovered(int64_t id, unsigned expected)
{
    inotify_watcher_status status = {.size = sizeof status};
    unsigned counted = 0;

    CHECK_OK(inotify_watcher_get_status(watcher, id, &status));
    CHECK_EQ(status.coverage,
             expected == 0 ? RINOTIFY_COVERAGE_COMPLETE : RINOTIFY_COVERAGE_PARTIAL);
    CHECK_EQ(status.uncovered, expected);
    CHECK_OK(inotify_watcher_for_each_uncovered(watcher, id, count, &counted));
    CHECK_EQ(counted, expected);
}

static void no_permission(void)
{
    int64_t id;

    begin();
    make_dirs("q/r");
    write_file("q/r/x", "1");
    id = watch(watcher, "q/r/x", IN_CLOSE_WRITE, FOLLOW, &recorder);
    expect_uncovered(id, 0);
    /* Not searchable: found out with the next thing that happens on the way. */
    CHECK_SYS(chmod("q/r", 0));
    move("q/r", "q/t");
    move("q/t", "q/r");
    EXPECT_SET(watcher, &recorder, "delete q/r/x [root] [synthetic]",
               format("%s/q/r [error EACCES]", check_where()),
               format("%s/q/r/x [error EACCES]", check_where()), "q/r/x [partial]");
    expect_uncovered(id, 2);
    CHECK_OK(inotify_watcher_retry(watcher));
    EXPECT_NOTHING(watcher, &recorder);
    CHECK_SYS(chmod("q/r", 0755));
    EXPECT(watcher, &recorder, "moved_to q/r/x [root] [synthetic]", "q/r/x [complete]");
    expect_uncovered(id, 0);
    /* Searchable, but not readable: the file is watched, its replacement cannot be seen. */
    CHECK_SYS(chmod("q/r", 0311));
    move("q/r", "q/t");
    CHECK_OK(inotify_watcher_sync(watcher));
    recorder_clear(&recorder);
    expect_uncovered(id, 0);
    move("q/t", "q/r");
    EXPECT_SET(watcher, &recorder, "moved_to q/r/x [root] [synthetic]",
               format("%s/q/r [error EACCES]", check_where()), "q/r/x [partial]");
    expect_uncovered(id, 1);
    write_file("q/r/x", "2");
    EXPECT(watcher, &recorder, "close_write q/r/x");
    CHECK_SYS(chmod("q/r", 0755));
    EXPECT(watcher, &recorder, "q/r/x [complete]");
    expect_uncovered(id, 0);
    write_file("q/r/t", "3");
    move("q/r/t", "q/r/x");
    EXPECT(watcher, &recorder, "moved_to q/r/x [root]");
    /* A file that must not be read cannot be watched. */
    write_file("q/r/t", "4");
    CHECK_SYS(chmod("q/r/t", 0));
    move("q/r/t", "q/r/x");
    EXPECT_SET(watcher, &recorder, "delete q/r/x [root] [synthetic]",
               format("%s/q/r/x [error EACCES]", check_where()), "q/r/x [partial]");
    expect_uncovered(id, 1);
    CHECK_SYS(chmod("q/r/x", 0644));
    EXPECT(watcher, &recorder, "moved_to q/r/x [root] [synthetic]", "q/r/x [complete]");
    CHECK_TABLES(watcher);
    /* At the call it is an error of the call. */
    CHECK_SYS(chmod("q/r", 0));
    CHECK_EQ(inotify_watcher_watch(watcher, "q/r/y", IN_CREATE, FOLLOW, record, &recorder),
             -EACCES);
    CHECK_STR(last_error(watcher).path, format("%s/q/r/y", check_where()));
    CHECK_SYS(chmod("q/r", 0755));
    EXPECT_NOTHING(watcher, &recorder);
    write_file("q/r/t", "4");
    /* Of a watch that there is, too: it stays what it was, and nothing but the call says so. */
    id = watch(watcher, "q/r/t", IN_MODIFY, 0, &recorder);
    CHECK_SYS(chmod("q/r", 0));
    CHECK_EQ(inotify_watcher_watch(watcher, "q/r/t", IN_MODIFY, FOLLOW, record, &recorder),
             -EACCES);
    CHECK_SYS(chmod("q/r", 0755));
    EXPECT_NOTHING(watcher, &recorder);
    expect_uncovered(id, 0);
    write_file("q/r/t", "5");
    EXPECT(watcher, &recorder, "modify q/r/t");
    remove_file("q/r/t");
    EXPECT(watcher, &recorder, "delete_self q/r/t", "ignored q/r/t");
    /* What does not keep it from being made is there from the beginning. */
    CHECK_SYS(chmod("q/r", 0311));
    id = watch(watcher, "q/r/x", IN_MODIFY, FOLLOW, &recorder);
    EXPECT(watcher, &recorder, format("%s/q/r [error EACCES]", check_where()), "q/r/x [partial]");
    expect_uncovered(id, 1);
    CHECK_OK(inotify_watcher_ignore_watch(watcher, id));
    CHECK_SYS(chmod("q/r", 0755));
    EXPECT_NOTHING(watcher, &recorder);
    inotify_watcher_destroy(watcher);
}

static void as_user(void (*run)(void))
{
    pid_t child;
    int status;

    CHECK_SYS(chmod("..", 0755));
    CHECK_SYS(chmod(".", 0777));
    child = (pid_t)CHECK_SYS(fork());
    if (child == 0) {
        if (getuid() == 0) {
            CHECK_SYS(setgid(65534));
            CHECK_SYS(setuid(65534));
        }
        run();
        _exit(0);
    }
    CHECK_SYS(waitpid(child, &status, 0));
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
}

int main(void)
{
    check_begin(120);
    check_case("ends");
    ignored();
    once();
    once_gone();
    again();
    again_refused();
    refused();
    check_case("permission");
    as_user(no_permission);
    check_case("overflow");
    overflown();
    check_private_mounts();
    check_case("unmount");
    unmounted();
    return 0;
}
