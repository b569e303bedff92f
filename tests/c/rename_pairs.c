/* The two halves of a rename belong together by their cookie: however many are under way, across
 * reads, and never by mere neighbourhood.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>

static void between_directories(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_dirs("t/a");
    make_dirs("t/b/c");
    make_file("t/a/f");
    make_dir("t/a/d");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    move("t/a/f", "t/b/c/g");
    move("t/b/c/g", "t/h");
    move("t/a/d", "t/b/d");
    EXPECT(watcher, &recorder, "moved_from t/a/f", "moved_to t/b/c/g <- t/a/f",
           "moved_from t/b/c/g", "moved_to t/h <- t/b/c/g", "moved_from|is_dir t/a/d",
           "moved_to|is_dir t/b/d <- t/a/d");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* One out, another one in: neighbours in the queue, but no pair. */
static void no_pair(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_dirs("t/d");
    make_dirs("away/e");
    make_file("t/a");
    make_file("away/b");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    move("t/a", "away/a");
    move("away/b", "t/b");
    move("t/d", "away/d");
    move("away/e", "t/e");
    move("away/a", "t/a");
    EXPECT(watcher, &recorder, "moved_from t/a", "moved_to t/b", "moved_from|is_dir t/d",
           "moved_to|is_dir t/e", "moved_to t/a");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* The first half is delivered at once, not held back until the second one is read: with names this
 * long and reads this short each read(2) has one event. */
static void across_reads(void)
{
    inotify_watcher_options options = {.size = sizeof options, .read_size = 512};
    inotify_watcher *watcher = inotify_watcher_create(&options);
    struct recorder recorder = {0};
    char long_name[241];
    uint64_t reads;

    CHECK(watcher != NULL);
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    make_dir("t");
    make_dirs(format("t/d-%s", long_name));
    make_file(format("t/f-%s", long_name));
    watch(watcher, "t", IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE, TREE, &recorder);
    CHECK_OK(inotify_watcher_sync(watcher));
    reads = get_stats(watcher).reads;
    move(format("t/f-%s", long_name), format("t/g-%s", long_name));
    move(format("t/d-%s", long_name), format("t/e-%s", long_name));
    make_file(format("t/e-%s/h", long_name));
    while (recorder.count == 0)
        CHECK_OK(inotify_watcher_do_read(watcher));
    CHECK_EQ(recorder.count, 1);
    CHECK_STR(recorder.lines[0], format("moved_from t/f-%s", long_name));
    EXPECT(watcher, &recorder, format("moved_from t/f-%s", long_name),
           format("moved_to t/g-%s <- t/f-%s", long_name, long_name),
           format("moved_from|is_dir t/d-%s", long_name),
           format("moved_to|is_dir t/e-%s <- t/d-%s", long_name, long_name),
           format("create t/e-%s/h", long_name));
    CHECK(get_stats(watcher).reads >= reads + 4);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* Several writers rename at the same time: their events stand between each other. */
enum { WRITERS = 4, MOVES = 500 };

static void *rename_on(void *number)
{
    for (int i = 0; i < MOVES; i++) {
        char from[64], to[64];

        snprintf(from, sizeof from, "t/%d/%d", *(int *)number, i);
        snprintf(to, sizeof to, "t/to/%d-%d", *(int *)number, i);
        move(from, to);
    }
    return NULL;
}

static void check_pair(inotify_watcher *watcher, const inotify_watcher_event *event,
                       void *user_data)
{
    unsigned *pairs = user_data;
    int writer, number;

    (void)watcher;
    if ((event->mask & IN_MOVED_TO) == 0)
        return;
    CHECK(event->old_path != NULL);
    CHECK_EQ(sscanf(event->path, "t/to/%d-%d", &writer, &number), 2);
    CHECK_STR(event->old_path, format("t/%d/%d", writer, number));
    ++*pairs;
}

static void interleaved(void)
{
    inotify_watcher_options options = {.size = sizeof options, .read_size = 512};
    inotify_watcher *watcher = inotify_watcher_create(&options);
    pthread_t threads[WRITERS];
    int numbers[WRITERS];
    unsigned pairs = 0;

    CHECK(watcher != NULL);
    make_dirs("t/to");
    for (int i = 0; i < WRITERS; i++) {
        make_dir(format("t/%d", i));
        for (int j = 0; j < MOVES; j++) {
            if (j % 5 == 0)
                make_dir(format("t/%d/%d", i, j));
            else
                make_file(format("t/%d/%d", i, j));
        }
    }
    CHECK_OK(inotify_watcher_watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, check_pair, &pairs));
    for (int i = 0; i < WRITERS; i++) {
        numbers[i] = i;
        CHECK_EQ(pthread_create(&threads[i], NULL, rename_on, &numbers[i]), 0);
    }
    while (pairs < WRITERS * MOVES)
        CHECK_OK(inotify_watcher_do_read(watcher));
    for (int i = 0; i < WRITERS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(pairs, WRITERS * MOVES);
    CHECK_EQ(get_stats(watcher).overflows, 0);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

int main(void)
{
    check_begin(240);
    check_case("between-directories");
    between_directories();
    check_case("no-pair");
    no_pair();
    check_case("across-reads");
    across_reads();
    check_case("interleaved");
    interleaved();
    return 0;
}
