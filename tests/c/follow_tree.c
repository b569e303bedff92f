/* RINOTIFY_WATCH_FOLLOW_NAME on directories: what comes is new, so its content is announced; the end
 * of the root is the end of everything below it. A copy kept by the usual rules is right.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <sys/mount.h>

#define FOLLOW RINOTIFY_WATCH_FOLLOW_NAME

static bool late;
static inotify_watcher *watcher;
static struct recorder recorder;

static void step(void)
{
    if (!late)
        CHECK_OK(inotify_watcher_sync(watcher));
}

static void begin(const char *path, uint32_t mask, uint32_t flags)
{
    watcher = create();
    watch(watcher, path, mask, flags | FOLLOW, &recorder);
}

static void end(void)
{
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    recorder_clear(&recorder);
}

/* Deleted and made again, as rm -rf and a build do it. */
static void made_again(void)
{
    make_dirs("d/s");
    make_file("d/s/f");
    begin("d", RINOTIFY_WATCH_MASK, TREE);
    CHECK_WATCHES(watcher, 2);
    remove_file("d/s/f");
    remove_dir("d/s");
    CHECK_OK(inotify_watcher_sync(watcher));
    recorder_clear(&recorder);
    remove_dir("d");
    EXPECT(watcher, &recorder, "delete|is_dir d [root]");
    CHECK_WATCHES(watcher, 0);
    make_dir("d");
    EXPECT(watcher, &recorder, "create|is_dir d [root]");
    make_dirs("d/s");
    step();
    make_file("d/s/f");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_STR(recorder.lines[0], "create|is_dir d/s");
    CHECK_EQ(strncmp(recorder.lines[1], "create d/s/f", 12), 0);
    CHECK_EQ(recorder.count, 2);
    recorder_clear(&recorder);
    CHECK_WATCHES(watcher, 2);
    end();
}

/* The whole tree is there before the reader looks: announced, each entry once, in order. */
static void came_as_a_whole(void)
{
    make_dirs("n/s/t");
    make_file("n/s/t/f");
    make_file("n/g");
    begin("d", RINOTIFY_WATCH_MASK, TREE);
    EXPECT_NOTHING(watcher, &recorder);
    move("n", "d");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_STR(recorder.lines[0], "moved_to|is_dir d [root]");
    CHECK(recorder_find(&recorder, "create|is_dir d/s [synthetic]") <
          recorder_find(&recorder, "create|is_dir d/s/t [synthetic]"));
    CHECK(recorder_find(&recorder, "create|is_dir d/s/t [synthetic]") <
          recorder_find(&recorder, "create d/s/t/f [synthetic]"));
    CHECK_EQ(recorder_count(&recorder, "create d/g [synthetic]"), 1);
    CHECK_EQ(recorder.count, 5);
    recorder_clear(&recorder);
    CHECK_WATCHES(watcher, 3);
    make_file("d/s/t/h");
    EXPECT(watcher, &recorder, "create d/s/t/h");
    end();
}

/* Renamed away: let go. Another one in its place: announced; and nothing of the old one told. */
static void replaced(void)
{
    make_dirs("d/s");
    make_dirs("n/r");
    begin("d", RINOTIFY_WATCH_MASK, TREE);
    move("d", "old");
    step();
    make_file("old/s/late");
    step();
    move("n", "d");
    EXPECT(watcher, &recorder, "moved_from|is_dir d [root]", "moved_to|is_dir d [root]",
           "create|is_dir d/r [synthetic]");
    make_file("old/s/later");
    make_file("d/r/f");
    EXPECT(watcher, &recorder, "create d/r/f");
    CHECK_WATCHES(watcher, 2);
    end();
}

/* At once, by an exchange or by way of a link. */
static void swapped(void)
{
    make_dirs("v1/s");
    make_dirs("v2/r");
    CHECK_SYS(symlink("v1", "d"));
    begin("d", RINOTIFY_WATCH_MASK, TREE);
    exchange("v1", "v2");
    EXPECT(watcher, &recorder, "moved_from|is_dir d [root]", "moved_to|is_dir d [root]",
           "create|is_dir d/r [synthetic]");
    CHECK_SYS(symlink("v2", "t"));
    move("t", "d");
    EXPECT(watcher, &recorder, "moved_to|is_dir d [root] [synthetic]",
           "create|is_dir d/s [synthetic]");
    make_file("v1/r/f");
    make_file("d/s/f");
    EXPECT(watcher, &recorder, "create d/s/f");
    CHECK_WATCHES(watcher, 2);
    end();
}

/* With its parent, and back: the same directory, of which there is nothing to say if nobody was told
 * that it went. */
static void parent_there_and_back(void)
{
    make_dirs("p/d/s");
    begin("p/d", RINOTIFY_WATCH_MASK, TREE);
    move("p", "q");
    step();
    move("q", "p");
    if (late)
        EXPECT_NOTHING(watcher, &recorder);
    else
        EXPECT(watcher, &recorder, "delete|is_dir p/d [root] [synthetic]",
               "moved_to|is_dir p/d [root] [synthetic]", "create|is_dir p/d/s [synthetic]");
    make_file("p/d/s/f");
    EXPECT(watcher, &recorder, "create p/d/s/f");
    end();
}

/* Without AUTO_ADD nothing of the content is told; with EMIT_EXISTING the beginning is, too. */
static void other_flags(void)
{
    make_dirs("d/s");
    make_file("d/f");
    begin("d", RINOTIFY_WATCH_MASK, RINOTIFY_WATCH_EMIT_EXISTING);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_STR(recorder.lines[0], "create|is_dir d [root] [synthetic]");
    CHECK_EQ(recorder_count(&recorder, "create|is_dir d/s [synthetic]"), 1);
    CHECK_EQ(recorder_count(&recorder, "create d/f [synthetic]"), 1);
    CHECK_EQ(recorder.count, 3);
    recorder_clear(&recorder);
    move("d", "old");
    move("old", "d");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder.count, 4);
    end();

    begin("d", RINOTIFY_WATCH_MASK, RINOTIFY_WATCH_RECURSIVE);
    EXPECT_NOTHING(watcher, &recorder);
    move("d", "old");
    step();
    move("old", "d");
    EXPECT(watcher, &recorder, "moved_from|is_dir d [root]", "moved_to|is_dir d [root]");
    make_file("d/s/g");
    EXPECT(watcher, &recorder, "create d/s/g");
    end();

    begin("d", IN_CREATE, 0);
    move("d", "old");
    step();
    make_dir("d");
    EXPECT(watcher, &recorder, "moved_from|is_dir d [root]", "create|is_dir d [root]");
    make_dir("d/s");
    make_file("d/s/f");
    EXPECT(watcher, &recorder, "create|is_dir d/s");
    end();

    /* A file is no root for a tree: an error, told, and followed until it is a directory. */
    begin("e", IN_CREATE, TREE);
    make_file("e");
    EXPECT(watcher, &recorder, format("%s/e [error ENOTDIR]", check_where()), "e [partial]");
    remove_file("e");
    step();
    make_dir("e");
    EXPECT_SET(watcher, &recorder, "create|is_dir e [root]", "e [complete]");
    end();
}

/* The same directories as another watch: neither is disturbed. */
static void overlapping(void)
{
    struct recorder other = {0}, parent = {0};

    make_dirs("d/s");
    begin("d/s", RINOTIFY_WATCH_MASK, TREE);
    watch(watcher, ".", IN_CREATE | IN_DELETE | IN_MOVE, TREE, &other);
    watch(watcher, "d", IN_DELETE_SELF | IN_ATTRIB, 0, &parent);
    make_file("d/s/f");
    EXPECT(watcher, &recorder, "create d/s/f");
    EXPECT(watcher, &other, "create ./d/s/f");
    CHECK_SYS(chmod("d", 0700));
    EXPECT(watcher, &parent, "attrib|is_dir d");
    move("d/s", "d/t");
    EXPECT(watcher, &recorder, "moved_from|is_dir d/s [root]");
    EXPECT(watcher, &other, "moved_from|is_dir ./d/s", "moved_to|is_dir ./d/t <- ./d/s");
    make_file("d/t/g");
    EXPECT(watcher, &other, "create ./d/t/g");
    CHECK_OK(inotify_watcher_ignore(watcher, "."));
    make_file("d/t/h");
    EXPECT_NOTHING(watcher, &other);
    EXPECT_NOTHING(watcher, &parent);
    CHECK_WATCHES(watcher, 1);
    move("d/t", "d/s");
    EXPECT_SET(watcher, &recorder, "moved_to|is_dir d/s [root]", "create d/s/f [synthetic]",
               "create d/s/g [synthetic]", "create d/s/h [synthetic]");
    EXPECT_NOTHING(watcher, &parent);
    CHECK_OK(inotify_watcher_ignore(watcher, "d/s"));
    CHECK_WATCHES(watcher, 1);
    remove_tree("d");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_STR(parent.lines[parent.count - 1], "ignored d");
    CHECK_EQ(get_stats(watcher).internal_watchpoints, 2);
    recorder_clear(&parent);
    recorder_clear(&other);
    end();
}

int main(void)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {
        {"made-again", made_again}, {"came-as-a-whole", came_as_a_whole},
        {"replaced", replaced},     {"swapped", swapped},
        {"flags", other_flags},     {"overlapping", overlapping},
        {"there-and-back", parent_there_and_back},
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
