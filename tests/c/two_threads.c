/* A second reader is refused; destroy and ignore from another thread, while a callback runs.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

/* A callback that says when it began, and goes on when it is told to. */
static struct {
    inotify_watcher *watcher;
    sem_t began, go_on;
    atomic_bool ended;
    atomic_uint calls;
    atomic_uint released;
    atomic_bool returned;
    atomic_int destroyer; /* its thread id */
} state;

static void waiting(inotify_watcher *watcher, const inotify_watcher_event *event, void *user_data)
{
    (void)watcher;
    (void)event;
    (void)user_data;
    if (atomic_fetch_add(&state.calls, 1) != 0)
        return;
    CHECK_SYS(sem_post(&state.began));
    CHECK_SYS(sem_wait(&state.go_on));
    atomic_store(&state.ended, true);
}

static void release(void *user_data)
{
    (void)user_data;
    /* Not while the callback runs. */
    CHECK(atomic_load(&state.calls) == 0 || atomic_load(&state.ended));
    atomic_fetch_add(&state.released, 1);
}

static void *read_until_closed(void *unused)
{
    int result;

    (void)unused;
    do
        result = inotify_watcher_do_read(state.watcher);
    while (result >= 0 && atomic_load(&state.calls) == 0);
    return NULL;
}

static int64_t begin(pthread_t *reader)
{
    inotify_watcher_watch_options options = {.size = sizeof options,
                                             .mask = IN_CREATE,
                                             .callback = waiting,
                                             .release = release};
    int64_t id;

    memset(&state, 0, sizeof state);
    CHECK_SYS(sem_init(&state.began, 0, 0));
    CHECK_SYS(sem_init(&state.go_on, 0, 0));
    state.watcher = create();
    make_dir("t");
    id = CHECK_OK(inotify_watcher_watch_with(state.watcher, "t", &options));
    make_file("t/a");
    make_file("t/b");
    CHECK_EQ(pthread_create(reader, NULL, read_until_closed, NULL), 0);
    CHECK_SYS(sem_wait(&state.began));
    return id;
}

static void second_reader(void)
{
    pthread_t reader;
    inotify_watcher_stats stats = {.size = sizeof stats};

    begin(&reader);
    /* The other thread is in its callback. */
    CHECK_EQ(inotify_watcher_do_read(state.watcher), -EBUSY);
    CHECK_EQ(last_error(NULL).error, EBUSY);
    CHECK_EQ(inotify_watcher_sync(state.watcher), -EBUSY);
    /* No lock is held: everything else works meanwhile. */
    CHECK_EQ(inotify_watcher_is_watched(state.watcher, "t"), 1);
    CHECK_OK(inotify_watcher_get_stats(state.watcher, &stats));
    CHECK_EQ(stats.watches, 1);
    CHECK(inotify_watcher_fileno(state.watcher) >= 0);
    make_dir("u");
    CHECK_OK(inotify_watcher_watch(state.watcher, "u", IN_CREATE, TREE, waiting, &state));
    CHECK_OK(inotify_watcher_ignore(state.watcher, "u"));
    CHECK(!atomic_load(&state.ended));
    CHECK_SYS(sem_post(&state.go_on));
    CHECK_EQ(pthread_join(reader, NULL), 0);
    /* The reader's turn is over: it is this thread's now. */
    drain(state.watcher);
    CHECK_EQ(atomic_load(&state.calls), 2);
    inotify_watcher_destroy(state.watcher);
    CHECK_EQ(atomic_load(&state.released), 1);
}

static void *destroy_from_here(void *unused)
{
    (void)unused;
    atomic_store(&state.destroyer, gettid());
    inotify_watcher_destroy(state.watcher);
    /* When destroy has returned, the callback has too, and the user data is free. */
    CHECK(atomic_load(&state.ended));
    CHECK_EQ(atomic_load(&state.released), 1);
    atomic_store(&state.returned, true);
    return NULL;
}

/* Whether a thread waits for something, by what the kernel says of it. */
static bool sleeps(int thread)
{
    FILE *file = fopen(format("/proc/self/task/%d/stat", thread), "re");
    char state_letter = '?';

    if (file == NULL)
        return false;
    CHECK_EQ(fscanf(file, "%*d (%*[^)]) %c", &state_letter), 1);
    fclose(file);
    return state_letter == 'S';
}

static void destroy_waits(void)
{
    unsigned asleep = 0;

    pthread_t reader, destroyer;

    begin(&reader);
    CHECK_EQ(pthread_create(&destroyer, NULL, destroy_from_here, NULL), 0);
    /* It has begun when the watcher is closed for everybody else. */
    while (inotify_watcher_fileno(state.watcher) != -1)
        sched_yield();
    /* A short sleep may be that of any lock; one that goes on is for the callback. */
    while (asleep < 1000) {
        CHECK(!atomic_load(&state.returned));
        asleep = sleeps(atomic_load(&state.destroyer)) ? asleep + 1 : 0;
    }
    CHECK_EQ(atomic_load(&state.released), 0);
    CHECK_SYS(sem_post(&state.go_on));
    CHECK_EQ(pthread_join(destroyer, NULL), 0);
    CHECK_EQ(pthread_join(reader, NULL), 0);
    /* The second event was never delivered. */
    CHECK_EQ(atomic_load(&state.calls), 1);
    CHECK_EQ(atomic_load(&state.released), 1);
}

static void ignore_meanwhile(void)
{
    pthread_t reader;
    int64_t id = begin(&reader);

    CHECK_OK(inotify_watcher_ignore_watch(state.watcher, id));
    CHECK_EQ(inotify_watcher_ignore_watch(state.watcher, id), -ENOENT);
    /* The callback runs on: its user data is not released under it. */
    CHECK_EQ(atomic_load(&state.released), 0);
    CHECK_SYS(sem_post(&state.go_on));
    CHECK_EQ(pthread_join(reader, NULL), 0);
    CHECK_EQ(atomic_load(&state.released), 1);
    CHECK_OK(inotify_watcher_sync(state.watcher));
    CHECK_EQ(atomic_load(&state.calls), 1);
    inotify_watcher_destroy(state.watcher);
    CHECK_EQ(atomic_load(&state.released), 1);
}

static void close_meanwhile(void)
{
    pthread_t reader;

    begin(&reader);
    CHECK_OK(inotify_watcher_lose_connection(state.watcher));
    CHECK_EQ(inotify_watcher_fileno(state.watcher), -1);
    CHECK_EQ(atomic_load(&state.released), 0);
    CHECK_SYS(sem_post(&state.go_on));
    CHECK_EQ(pthread_join(reader, NULL), 0);
    CHECK_EQ(atomic_load(&state.calls), 1);
    CHECK_EQ(atomic_load(&state.released), 1);
    inotify_watcher_destroy(state.watcher);
    CHECK_EQ(atomic_load(&state.released), 1);
}

/* A watch that another thread makes wakes the one that waits in poll, if there is something to do. */
static void *watch_from_here(void *recorder)
{
    watch(state.watcher, "t", IN_CREATE, TREE | RINOTIFY_WATCH_EMIT_EXISTING, recorder);
    return NULL;
}

static void woken_up(void)
{
    struct recorder recorder = {0};
    struct pollfd readable;
    pthread_t other;

    state.watcher = create();
    make_dirs("t/d");
    readable = (struct pollfd){.fd = inotify_watcher_fileno(state.watcher), .events = POLLIN};
    drain(state.watcher);
    CHECK_EQ(poll(&readable, 1, 0), 0);
    CHECK_EQ(pthread_create(&other, NULL, watch_from_here, &recorder), 0);
    while (recorder.count == 0) {
        CHECK_EQ(poll(&readable, 1, -1), 1);
        CHECK_OK(inotify_watcher_do_read(state.watcher));
    }
    CHECK_STR(recorder.lines[0], "create|is_dir t/d [synthetic]");
    CHECK_EQ(pthread_join(other, NULL), 0);
    recorder_clear(&recorder);
    inotify_watcher_destroy(state.watcher);
}

static void *watch_and_ignore(void *watcher)
{
    for (unsigned round = check_rounds(4000); round > 0; round--) {
        int64_t id = CHECK_OK(inotify_watcher_watch(watcher, "t", IN_CREATE, TREE, record, NULL));
        int result = inotify_watcher_ignore_watch(watcher, id);

        /* The other thread may have had the same id. */
        CHECK(result == 0 || result == -ENOENT);
    }
    return NULL;
}

/* The same watch, made and ended by two threads: whatever id they get can be ended, so nothing is
 * left. */
static void same_watch(void)
{
    inotify_watcher *watcher = create();
    pthread_t other;

    make_dirs("t/a/b");
    CHECK_EQ(pthread_create(&other, NULL, watch_and_ignore, watcher), 0);
    watch_and_ignore(watcher);
    CHECK_EQ(pthread_join(other, NULL), 0);
    CHECK_EQ(get_stats(watcher).watches, 0);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_WATCHES(watcher, 0);
    inotify_watcher_destroy(watcher);
}

static struct {
    inotify_watcher *watcher;
    pthread_barrier_t start;
    int64_t ids[4];
} together;

static void *watch_together(void *id)
{
    int end = pthread_barrier_wait(&together.start);

    CHECK(end == 0 || end == PTHREAD_BARRIER_SERIAL_THREAD);
    *(int64_t *)id = CHECK_OK(inotify_watcher_watch(together.watcher, "t", IN_CREATE, TREE, waiting,
                                                    NULL));
    return NULL;
}

/* Asked for at the same time by several threads it is one watch, as it is one after the other. */
static void same_watch_at_once(void)
{
    pthread_t threads[4];

    for (int i = 0; i < 40; i++)
        for (int j = 0; j < 40; j++)
            make_dirs(format("t/%d/%d", i, j));
    for (int round = 0; round < 20; round++) {
        together.watcher = create();
        CHECK_EQ(pthread_barrier_init(&together.start, NULL, 4), 0);
        for (int i = 0; i < 4; i++)
            CHECK_EQ(pthread_create(&threads[i], NULL, watch_together, &together.ids[i]), 0);
        for (int i = 0; i < 4; i++)
            CHECK_EQ(pthread_join(threads[i], NULL), 0);
        for (int i = 1; i < 4; i++)
            CHECK_EQ(together.ids[i], together.ids[0]);
        CHECK_EQ(get_stats(together.watcher).watches, 1);
        CHECK_EQ(pthread_barrier_destroy(&together.start), 0);
        inotify_watcher_destroy(together.watcher);
    }
}

/* One that is asked for while it is made, by a function that is called for that, is not waited for. */
static int ask_again(uint64_t directories, void *asked)
{
    (void)directories;
    if (!*(bool *)asked) {
        *(bool *)asked = true;
        CHECK_OK(inotify_watcher_watch(together.watcher, "t", IN_CREATE, TREE, waiting, asked));
    }
    return 0;
}

static void same_watch_inside(void)
{
    bool asked = false;
    inotify_watcher_watch_options options = {.size = sizeof options,
                                             .mask = IN_CREATE,
                                             .flags = TREE,
                                             .callback = waiting,
                                             .user_data = &asked,
                                             .progress = ask_again};

    for (int i = 0; i < 40; i++)
        for (int j = 0; j < 40; j++)
            make_dirs(format("t/%d/%d", i, j));
    together.watcher = create();
    CHECK_OK(inotify_watcher_watch_with(together.watcher, "t", &options));
    CHECK(asked);
    CHECK_EQ(get_stats(together.watcher).watches, 2);
    inotify_watcher_destroy(together.watcher);
}

/* The watch "u" is being made, and its filter ends the watcher, while the reader waits for that watch. */
static int destroying_filter(inotify_watcher *watcher, const inotify_watcher_directory *directory,
                             void *user_data)
{
    unsigned asleep = 0;

    (void)directory;
    (void)user_data;
    CHECK_SYS(sem_post(&state.go_on));
    while (atomic_load(&state.destroyer) == 0)
        sched_yield();
    while (asleep < 1000)
        asleep = sleeps(atomic_load(&state.destroyer)) ? asleep + 1 : 0;
    inotify_watcher_destroy(watcher);
    return 1;
}

static int64_t watch_filtered(inotify_watcher *watcher)
{
    inotify_watcher_watch_options options = {.size = sizeof options,
                                             .mask = IN_CREATE,
                                             .flags = TREE,
                                             .callback = record,
                                             .user_data = &state,
                                             .filter = destroying_filter};

    return inotify_watcher_watch_with(watcher, "u", &options);
}

static void asks_for_the_same(inotify_watcher *watcher, const inotify_watcher_event *event, void *data)
{
    (void)event;
    (void)data;
    CHECK_SYS(sem_post(&state.began));
    CHECK_SYS(sem_wait(&state.go_on));
    atomic_store(&state.destroyer, gettid());
    CHECK_EQ(watch_filtered(watcher), -EBADF);
    atomic_store(&state.ended, true);
}

static void destroyed_by_a_filter(void)
{
    pthread_t reader;

    memset(&state, 0, sizeof state);
    CHECK_SYS(sem_init(&state.began, 0, 0));
    CHECK_SYS(sem_init(&state.go_on, 0, 0));
    state.watcher = create();
    make_dir("t");
    make_dirs("u/d");
    CHECK_OK(inotify_watcher_watch(state.watcher, "t", IN_CREATE, 0, asks_for_the_same, NULL));
    make_file("t/a");
    CHECK_EQ(pthread_create(&reader, NULL, read_until_closed, NULL), 0);
    CHECK_SYS(sem_wait(&state.began));
    CHECK(watch_filtered(state.watcher) < 0);
    CHECK_EQ(pthread_join(reader, NULL), 0);
    CHECK(atomic_load(&state.ended));
}

int main(void)
{
    check_begin(240);
    check_case("second-reader");
    second_reader();
    check_case("destroy-waits");
    destroy_waits();
    check_case("ignore-meanwhile");
    ignore_meanwhile();
    check_case("close-meanwhile");
    close_meanwhile();
    check_case("woken-up");
    woken_up();
    check_case("same-watch");
    same_watch();
    check_case("same-watch-at-once");
    same_watch_at_once();
    check_case("same-watch-inside");
    same_watch_inside();
    check_case("destroyed-by-a-filter");
    destroyed_by_a_filter();
    return 0;
}
