/* New directories are watched, and what was in them before that is announced: once.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

/* Recursion alone is about the directories of the moment. */
static void recursive_only(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_dirs("t/a/b");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, RINOTIFY_WATCH_RECURSIVE, &recorder);
    CHECK_WATCHES(watcher, 3);
    make_file("t/a/b/f");
    make_dir("t/a/new");
    EXPECT(watcher, &recorder, "create t/a/b/f", "create|is_dir t/a/new");
    make_file("t/a/new/unseen");
    EXPECT_NOTHING(watcher, &recorder);
    CHECK_EQ(inotify_watcher_is_watched(watcher, "t/a/new"), 0);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* Auto-add alone is about what is made from now on, at any depth. */
static void auto_add_only(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_dirs("t/old/deep");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, RINOTIFY_WATCH_AUTO_ADD, &recorder);
    CHECK_WATCHES(watcher, 1);
    make_file("t/old/unseen");
    make_dir("t/new");
    EXPECT(watcher, &recorder, "create|is_dir t/new");
    make_dir("t/new/deep");
    EXPECT(watcher, &recorder, "create|is_dir t/new/deep");
    make_file("t/new/deep/f");
    EXPECT(watcher, &recorder, "create t/new/deep/f");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* Everything below t/new is there before the library can know of t/new. */
static void chain_at_once(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};
    char path[4096] = "t";
    char *lines[64 * 3 + 1];
    size_t count = 0;
    bool first = true;

    make_dir("t");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    for (int depth = 0; depth < 64; depth++) {
        size_t length = strlen(path);

        snprintf(path + length, sizeof path - length, "/d%d", depth);
        make_dir(path);
        lines[count++] = strdup(format("create|is_dir %s%s", path, first ? "" : " [synthetic]"));
        make_file(format("%s/a", path));
        lines[count++] = strdup(format("create %s/a [synthetic]", path));
        make_file(format("%s/b", path));
        lines[count++] = strdup(format("create %s/b [synthetic]", path));
        first = false;
    }
    lines[count] = NULL;
    CHECK_OK(inotify_watcher_sync(watcher));
    /* A directory comes before everything below it. */
    for (size_t i = 0; i < count; i += 3)
        for (size_t j = i + 1; j < count; j++)
            CHECK(recorder_find(&recorder, lines[i]) < recorder_find(&recorder, lines[j]));
    expect(__FILE__, __LINE__, watcher, &recorder, false, (const char *const *)lines);
    CHECK_EQ(get_stats(watcher).watchpoints, 65);
    CHECK_TABLES(watcher);

    /* And every one of them is watched from now on. */
    make_file(format("%s/late", path));
    make_file("t/d0/late");
    EXPECT(watcher, &recorder, format("create %s/late", path), "create t/d0/late");
    while (count > 0)
        free(lines[--count]);
    inotify_watcher_destroy(watcher);
}

/* Names are bytes: directories may have any of them. */
static void odd_names(void)
{
    static const char *const odd[] = {" ", "\n", "\xff\xfe", "\xc3\x28", "-rf", "\\", "...", "\x01"};
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_dir("t");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        const char *dir = format("t/%s", odd[i]), *deep = format("t/%s/%s", odd[i], odd[i]);
        const char *moved = format("t/%s%s", odd[i], odd[i]);

        make_dirs(deep);
        EXPECT(watcher, &recorder, format("create|is_dir %s", dir),
               format("create|is_dir %s [synthetic]", deep));
        move(dir, moved);
        make_file(format("%s/%s/f", moved, odd[i]));
        EXPECT(watcher, &recorder, format("moved_from|is_dir %s", dir),
               format("moved_to|is_dir %s <- %s", moved, dir),
               format("create %s/%s/f", moved, odd[i]));
        CHECK_EQ(inotify_watcher_is_watched(watcher, format("%s/%s", moved, odd[i])), 1);
    }
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* What came and went before the library could look is nobody's loss, and does no harm. */
static void gone_at_once(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_dir("t");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    make_dirs("t/d/e");
    make_file("t/d/e/f");
    remove_tree("t/d");
    EXPECT(watcher, &recorder, "create|is_dir t/d", "delete|is_dir t/d");
    /* The same name again, as another directory and then as a file. */
    make_dir("t/d");
    remove_dir("t/d");
    make_dir("t/d");
    make_file("t/d/f");
    EXPECT(watcher, &recorder, "create|is_dir t/d", "delete|is_dir t/d", "create|is_dir t/d",
           "create t/d/f [synthetic]");
    remove_file("t/d/f");
    remove_dir("t/d");
    make_file("t/d");
    EXPECT(watcher, &recorder, "delete t/d/f", "delete|is_dir t/d", "create t/d");
    CHECK_EQ(get_stats(watcher).watchpoints, 1);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* Entries made while the event of their directory is delivered: found by the listing, told by the
 * kernel, or both, but announced once. */
struct intruder {
    struct recorder recorder;
    unsigned made;
};

static void intrude(inotify_watcher *watcher, const inotify_watcher_event *event, void *user_data)
{
    struct intruder *intruder = user_data;

    record(watcher, event, &intruder->recorder);
    if ((event->mask & (IN_CREATE | IN_ISDIR)) == (IN_CREATE | IN_ISDIR)) {
        make_file(format("%s/during", event->path));
        intruder->made++;
        if (intruder->made < 100) {
            make_dir(format("%s/%u", event->path, intruder->made));
            make_file(format("%s/%u/before", event->path, intruder->made));
        }
    }
}

static void made_in_the_callback(void)
{
    inotify_watcher *watcher = create();
    struct intruder intruder = {0};
    char path[4096] = "t/0";

    make_dir("t");
    CHECK_OK(inotify_watcher_watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, intrude, &intruder));
    make_dir("t/0");
    drain(watcher);
    CHECK_EQ(intruder.made, 100);
    CHECK_EQ(intruder.recorder.count, 100 + 100 + 99);
    for (unsigned depth = 0; depth < 100; depth++) {
        size_t length = strlen(path);

        CHECK_EQ(recorder_count(&intruder.recorder, format("create %s/during", path)) +
                     recorder_count(&intruder.recorder,
                                    format("create %s/during [synthetic]", path)),
                 1);
        snprintf(path + length, sizeof path - length, "/%u", depth + 1);
    }
    CHECK_TABLES(watcher);
    recorder_clear(&intruder.recorder);
    inotify_watcher_destroy(watcher);
}

/* A writer as fast as it can: directories with a file at once, against a reader as fast as it can. */
struct writer {
    atomic_bool done;
    unsigned directories;
};

static void *write_directories(void *user_data)
{
    struct writer *writer = user_data;

    for (unsigned i = 0; i < writer->directories; i++) {
        char path[64];

        snprintf(path, sizeof path, "t/%u", i);
        make_dir(path);
        snprintf(path, sizeof path, "t/%u/f", i);
        make_file(path);
        snprintf(path, sizeof path, "t/%u/d", i);
        make_dir(path);
        snprintf(path, sizeof path, "t/%u/d/f", i);
        make_file(path);
    }
    atomic_store(&writer->done, true);
    return NULL;
}

static void race(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};
    struct writer writer = {.directories = check_rounds(2000)};
    pthread_t thread;

    make_dir("t");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    CHECK_EQ(pthread_create(&thread, NULL, write_directories, &writer), 0);
    while (!atomic_load(&writer.done))
        CHECK_OK(inotify_watcher_do_read(watcher));
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(get_stats(watcher).overflows, 0);
    CHECK_EQ(recorder.count, 4 * (size_t)writer.directories);
    CHECK_EQ(get_stats(watcher).watchpoints, 1 + 2 * (uint64_t)writer.directories);
    CHECK_TABLES(watcher);
    recorder_clear(&recorder);
    inotify_watcher_destroy(watcher);
}

/* Mask bits that the caller did not ask for stay hidden, but the recursion goes on. */
static void narrow_mask(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_dir("t");
    watch(watcher, "t", IN_CLOSE_WRITE, TREE, &recorder);
    make_dirs("t/a/b");
    EXPECT_NOTHING(watcher, &recorder);
    /* What nobody needs does not wake the caller up. */
    {
        struct kernel_watch list[8];
        size_t count = kernel_watches(inotify_watcher_fileno(watcher), list, 8);

        CHECK_EQ(count, 3 + (long long)get_stats(watcher).internal_watchpoints);
        /* But for the two of the library itself, the oldest, which come last. */
        for (size_t i = 0; i + get_stats(watcher).internal_watchpoints < count; i++)
            CHECK_EQ(list[i].mask & (IN_ACCESS | IN_MODIFY | IN_OPEN | IN_CLOSE_NOWRITE), 0);
    }
    write_file("t/a/b/f", "text");
    EXPECT(watcher, &recorder, "close_write t/a/b/f");
    move("t/a", "t/c");
    EXPECT_NOTHING(watcher, &recorder);
    write_file("t/c/b/f", "more");
    EXPECT(watcher, &recorder, "close_write t/c/b/f");
    make_dir("away");
    move("t/c/b", "away/b");
    EXPECT_NOTHING(watcher, &recorder);
    write_file("away/b/f", "unseen");
    EXPECT_NOTHING(watcher, &recorder);
    move("away/b", "t/b");
    EXPECT_NOTHING(watcher, &recorder);
    write_file("t/b/f", "seen");
    EXPECT(watcher, &recorder, "close_write t/b/f");
    CHECK_EQ(get_stats(watcher).watchpoints, 3);
    CHECK_TABLES(watcher);
    remove_tree("t/b");
    EXPECT_NOTHING(watcher, &recorder);
    CHECK_EQ(get_stats(watcher).watchpoints, 2);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* The kernel keeps the watch of a removed directory that somebody has open; nobody needs it. */
static void removed_but_open(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};
    int fd;

    make_dirs("t/a/b/c");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    CHECK_WATCHES(watcher, 4);
    fd = CHECK_SYS(open("t/a/b/c", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    remove_tree("t/a");
    EXPECT(watcher, &recorder, "delete|is_dir t/a/b/c", "delete|is_dir t/a/b", "delete|is_dir t/a");
    CHECK_WATCHES(watcher, 1);
    CHECK_TABLES(watcher);
    CHECK_SYS(close(fd));
    make_dirs("t/a/b");
    EXPECT(watcher, &recorder, "create|is_dir t/a", "create|is_dir t/a/b [synthetic]");
    CHECK_WATCHES(watcher, 3);
    inotify_watcher_destroy(watcher);
    recorder_clear(&recorder);
    remove_tree("t");
}

int main(void)
{
    check_begin(240);
    check_case("recursive-only");
    recursive_only();
    check_case("auto-add-only");
    auto_add_only();
    check_case("chain-at-once");
    chain_at_once();
    check_case("odd-names");
    odd_names();
    check_case("gone-at-once");
    gone_at_once();
    check_case("made-in-the-callback");
    made_in_the_callback();
    check_case("removed-but-open");
    removed_but_open();
    check_case("narrow-mask");
    narrow_mask();
    check_case("race");
    race();
    return 0;
}
