/* What is there already is part of the stream: each entry once, a parent before its children,
 * and no gap between the listing and the watching.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>

static void tree(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_dirs("t/a/b/c");
    make_dir("t/empty");
    make_file("t/f");
    make_file("t/a/f");
    make_file("t/a/b/c/f");
    make_dir("elsewhere");
    make_file("elsewhere/unseen");
    CHECK_SYS(symlink("../elsewhere", "t/link"));
    CHECK_SYS(mkfifo("t/a/fifo", 0600));
    CHECK_SYS(link("t/f", "t/a/hard"));
    /* Existing entries are told even to those who want to hear of nothing but the end of files. */
    watch(watcher, "t", IN_CLOSE_WRITE, TREE | RINOTIFY_WATCH_EMIT_EXISTING, &recorder);
    CHECK_EQ(recorder.count, 0);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK(recorder_find(&recorder, "create|is_dir t/a [synthetic]") <
          recorder_find(&recorder, "create|is_dir t/a/b [synthetic]"));
    CHECK(recorder_find(&recorder, "create|is_dir t/a/b [synthetic]") <
          recorder_find(&recorder, "create|is_dir t/a/b/c [synthetic]"));
    CHECK(recorder_find(&recorder, "create|is_dir t/a/b/c [synthetic]") <
          recorder_find(&recorder, "create t/a/b/c/f [synthetic]"));
    EXPECT_SET(watcher, &recorder, "create|is_dir t/a [synthetic]",
               "create|is_dir t/a/b [synthetic]", "create|is_dir t/a/b/c [synthetic]",
               "create|is_dir t/empty [synthetic]", "create t/f [synthetic]",
               "create t/a/f [synthetic]", "create t/a/b/c/f [synthetic]",
               "create t/link [synthetic]", "create t/a/fifo [synthetic]",
               "create t/a/hard [synthetic]");
    CHECK_TABLES(watcher);
    make_file("t/late");
    EXPECT_NOTHING(watcher, &recorder);
    inotify_watcher_destroy(watcher);
}

/* Not recursive: the entries of the one directory. */
static void one_directory(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_dirs("t/a/b");
    make_file("t/f");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, RINOTIFY_WATCH_EMIT_EXISTING, &recorder);
    EXPECT_SET(watcher, &recorder, "create|is_dir t/a [synthetic]", "create t/f [synthetic]");
    CHECK_WATCHES(watcher, 1);
    inotify_watcher_destroy(watcher);
}

/* A file has nothing below it. */
static void one_file(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_file("f");
    watch(watcher, "f", RINOTIFY_WATCH_MASK, RINOTIFY_WATCH_EMIT_EXISTING, &recorder);
    EXPECT_NOTHING(watcher, &recorder);
    CHECK_SYS(chmod("f", 0600));
    EXPECT(watcher, &recorder, "attrib f");
    inotify_watcher_destroy(watcher);
}

/* Changes after the call and before the first reading: each entry still once. */
static void changed_before_reading(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_dirs("t/stays");
    make_dirs("t/goes");
    make_dirs("t/moves/below");
    make_file("t/goes/f");
    make_file("t/gone");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE | RINOTIFY_WATCH_EMIT_EXISTING, &recorder);
    remove_file("t/gone");
    remove_tree("t/goes");
    make_file("t/stays/new");
    move("t/moves", "t/moved");
    make_file("t/moved/below/new");
    EXPECT_SET(watcher, &recorder, "create|is_dir t/stays [synthetic]",
               "create|is_dir t/goes [synthetic]", "create t/goes/f [synthetic]",
               "create|is_dir t/moves [synthetic]", "create|is_dir t/moves/below [synthetic]",
               "create t/gone [synthetic]", "delete t/gone", "delete t/goes/f",
               "delete|is_dir t/goes", "create t/stays/new", "moved_from|is_dir t/moves",
               "moved_to|is_dir t/moved <- t/moves", "create t/moved/below/new");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* Two watches of one tree, the second made when the first has long been told: each has its own
 * listing. */
static void each_watch_its_own(void)
{
    inotify_watcher *watcher = create();
    struct recorder first = {0}, second = {0};

    make_dirs("t/a");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE | RINOTIFY_WATCH_EMIT_EXISTING, &first);
    EXPECT(watcher, &first, "create|is_dir t/a [synthetic]");
    make_file("t/a/f");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE | RINOTIFY_WATCH_EMIT_EXISTING, &second);
    EXPECT(watcher, &first, "create t/a/f");
    EXPECT(watcher, &second, "create|is_dir t/a [synthetic]", "create t/a/f [synthetic]");
    inotify_watcher_destroy(watcher);
}

/* The tree grows while it is being added. */
struct writer {
    atomic_bool stop;
    unsigned made;
};

static void *write_on(void *user_data)
{
    struct writer *writer = user_data;

    /* The queue of the kernel has room for these, whoever reads. */
    while (!atomic_load(&writer->stop) && writer->made < 4000) {
        char path[64];

        snprintf(path, sizeof path, "t/%u/new-%u", writer->made % 100, writer->made);
        if (writer->made % 2 == 0)
            make_dir(path);
        else
            make_file(path);
        writer->made++;
    }
    return NULL;
}

static void race(void)
{
    for (int round = 0; round < 5; round++) {
        inotify_watcher *watcher = create();
        struct recorder recorder = {.silent = true};
        struct writer writer = {.stop = false};
        pthread_t thread;

        make_dir("t");
        for (int i = 0; i < 100; i++)
            make_dir(format("t/%d", i));
        CHECK_EQ(pthread_create(&thread, NULL, write_on, &writer), 0);
        watch(watcher, "t", IN_CREATE, TREE | RINOTIFY_WATCH_EMIT_EXISTING, &recorder);
        for (int i = 0; i < 20; i++)
            CHECK_OK(inotify_watcher_do_read(watcher));
        atomic_store(&writer.stop, true);
        CHECK_EQ(pthread_join(thread, NULL), 0);
        CHECK_OK(inotify_watcher_sync(watcher));
        CHECK_EQ(get_stats(watcher).overflows, 0);
        CHECK_EQ(recorder.count, 100 + writer.made);
        CHECK_TABLES(watcher);
        inotify_watcher_destroy(watcher);
        remove_tree("t");
    }
}

int main(void)
{
    check_begin(240);
    check_case("tree");
    tree();
    check_case("one-directory");
    one_directory();
    check_case("one-file");
    one_file();
    check_case("changed-before-reading");
    changed_before_reading();
    check_case("each-watch-its-own");
    each_watch_its_own();
    check_case("race");
    race();
    return 0;
}
