/* RINOTIFY_WATCH_FOLLOW_NAME on a file, as editors and scripts save it. What a program has to do is
 * to read the file at IN_CLOSE_WRITE and IN_MOVED_TO; every save is one of these, once. Each case
 * runs twice: with a reader that sees each step by itself, and with one that comes afterwards.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <fcntl.h>

static bool late;
static inotify_watcher *watcher;
static struct recorder recorder;

/* Between two steps: the reader comes, unless it is late. */
static void step(void)
{
    if (!late)
        CHECK_OK(inotify_watcher_sync(watcher));
}

static void begin(uint32_t mask)
{
    remove_tree("d");
    make_dir("d");
    write_file("d/x", "old");
    watcher = create();
    watch(watcher, "d/x", mask, RINOTIFY_WATCH_FOLLOW_NAME, &recorder);
    EXPECT_NOTHING(watcher, &recorder);
}

static void end(void)
{
    CHECK(kernel_watches_path(watcher, "d/x"));
    watch(watcher, "d/x", IN_CLOSE_WRITE, RINOTIFY_WATCH_FOLLOW_NAME, &recorder);
    /* Whatever came before, it is followed from here on. */
    write_file("d/x", "again");
    EXPECT(watcher, &recorder, "close_write d/x");
    write_file("d/t", "more");
    move("d/t", "d/x");
    EXPECT(watcher, &recorder, "moved_to d/x [root]");
    CHECK_TABLES(watcher);
    CHECK_OK(inotify_watcher_ignore(watcher, "d/x"));
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_WATCHES(watcher, 0);
    CHECK_EQ(get_stats(watcher).internal_watchpoints, 2);
    inotify_watcher_destroy(watcher);
}

/* Makes a file, and closes it only later. */
static int make_open(const char *path)
{
    return (int)CHECK_SYS(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
}

/* sed -i, vim with backupcopy=no and a new file, rsync, most programs: a new file, renamed over. */
static void write_and_rename(void)
{
    begin(IN_CLOSE_WRITE);
    write_file("d/.x.tmp", "new");
    step();
    move("d/.x.tmp", "d/x");
    EXPECT(watcher, &recorder, "moved_to d/x [root]");
    end();
}

/* vim with backupcopy=auto, emacs: the old one becomes the backup, a new one is written. */
static void backup_and_write(void)
{
    int fd;

    begin(IN_CLOSE_WRITE);
    move("d/x", "d/x~");
    step();
    fd = make_open("d/x");
    step();
    CHECK_EQ(write(fd, "new", 3), 3);
    step();
    CHECK_SYS(close(fd));
    step();
    remove_file("d/x~");
    EXPECT(watcher, &recorder, "moved_from d/x [root]", "create d/x [root]", "close_write d/x");
    end();
}

/* vim with backupcopy=yes, shell redirection, cp. */
static void truncate_and_write(void)
{
    begin(IN_CLOSE_WRITE);
    write_file("d/x", "new");
    EXPECT(watcher, &recorder, "close_write d/x");
    end();
}

static void delete_and_create(void)
{
    begin(IN_CLOSE_WRITE);
    remove_file("d/x");
    step();
    write_file("d/x", "new");
    EXPECT(watcher, &recorder, "delete d/x [root]", "create d/x [root]", "close_write d/x");
    end();
}

/* A hard link to a finished file: nobody will close it. */
static void linked(void)
{
    begin(IN_CLOSE_WRITE);
    write_file("d/whole", "new");
    remove_file("d/x");
    step();
    CHECK_SYS(link("d/whole", "d/x"));
    EXPECT(watcher, &recorder, "delete d/x [root]", "moved_to d/x [root] [synthetic]");
    /* Written by its other name. */
    write_file("d/whole", "newer");
    EXPECT(watcher, &recorder, "close_write d/x");
    end();
}

static void exchanged(void)
{
    begin(IN_CLOSE_WRITE);
    write_file("d/y", "new");
    exchange("d/x", "d/y");
    EXPECT(watcher, &recorder, "moved_from d/x [root]", "moved_to d/x [root]");
    /* The old one under its new name is nobody's. */
    write_file("d/y", "old");
    EXPECT_NOTHING(watcher, &recorder);
    end();
}

/* Away and back again. */
static void there_and_back(void)
{
    begin(IN_CLOSE_WRITE | IN_ATTRIB);
    move("d/x", "d/y");
    step();
    CHECK_SYS(chmod("d/y", 0600));
    step();
    move("d/y", "d/x");
    EXPECT(watcher, &recorder, "moved_from d/x [root]", "moved_to d/x [root]");
    CHECK_SYS(chmod("d/x", 0644));
    EXPECT(watcher, &recorder, "attrib d/x");
    end();
}

/* The same, read only when it is back: the file was watched before, under its name and as another
 * watch, and what it had to tell of its time elsewhere is not told here. */
static void there_and_back_late(void)
{
    struct recorder other = {0};

    begin(IN_CLOSE_WRITE);
    move("d/x", "d/y");
    move("d/y", "d/x");
    EXPECT(watcher, &recorder, "moved_from d/x [root]", "moved_to d/x [root]");
    move("d/x", "d/y");
    write_file("d/y", "elsewhere");
    move("d/y", "d/x");
    EXPECT(watcher, &recorder, "moved_from d/x [root]", "moved_to d/x [root]");
    write_file("d/z", "new");
    watch(watcher, "d/z", IN_CLOSE_WRITE, 0, &other);
    write_file("d/z", "newer");
    move("d/z", "d/x");
    write_file("d/x", "newest");
    EXPECT(watcher, &other, "close_write d/z", "close_write d/z");
    CHECK_STR(recorder.lines[0], "moved_to d/x [root]");
    CHECK_EQ(recorder_count(&recorder, "moved_to d/x [root]"), 1);
    CHECK_OK(inotify_watcher_ignore(watcher, "d/z"));
    recorder_clear(&recorder);
    end();
}

/* Nothing of the old file after the new one has been told, though somebody still writes to it. */
static void old_one_in_use(void)
{
    int fd;

    begin(IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB);
    fd = (int)CHECK_SYS(open("d/x", O_WRONLY | O_CLOEXEC));
    write_file("d/t", "new");
    move("d/t", "d/x");
    step();
    CHECK_EQ(write(fd, "late", 4), 4);
    CHECK_SYS(close(fd));
    EXPECT(watcher, &recorder, "moved_to d/x [root]");
    end();
}

/* Many saves before the reader comes. */
static void many(void)
{
    begin(IN_CLOSE_WRITE);
    for (int i = 0; i < 20; i++) {
        write_file("d/t", "new");
        move("d/t", "d/x");
        step();
        remove_file("d/x");
        step();
        write_file("d/x", "newer");
        step();
    }
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder.count, 80);
    CHECK_EQ(recorder_count(&recorder, "moved_to d/x [root]"), 20);
    CHECK_EQ(recorder_count(&recorder, "delete d/x [root]"), 20);
    CHECK_EQ(recorder_count(&recorder, "create d/x [root]"), 20);
    CHECK_EQ(recorder_count(&recorder, "close_write d/x"), 20);
    recorder_clear(&recorder);
    end();
}

/* With a mask that asks for all of it each fact is told once. */
static void whole_mask(void)
{
    begin(RINOTIFY_WATCH_MASK | IN_CLOSE_WRITE);
    remove_file("d/x");
    EXPECT(watcher, &recorder, "attrib d/x", "delete d/x [root]");
    write_file("d/x", "new");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder_count(&recorder, "create d/x [root]"), 1);
    CHECK_EQ(recorder_count(&recorder, "close_write d/x"), 1);
    recorder_clear(&recorder);
    move("d/x", "d/y");
    EXPECT(watcher, &recorder, "moved_from d/x [root]");
    inotify_watcher_destroy(watcher);
}

int main(void)
{
    static void (*const cases[])(void) = {
        write_and_rename, backup_and_write, truncate_and_write, delete_and_create, linked,
        exchanged, there_and_back, there_and_back_late, old_one_in_use, many,
    };

    check_begin(120);
    check_case("saves");
    for (int round = 0; round < 2; round++) {
        late = round != 0;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
            cases[i]();
    }
    late = false;
    whole_mask();
    return 0;
}
