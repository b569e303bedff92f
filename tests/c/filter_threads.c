/* Filters while several threads are at work: one reads, two make watches and end them, one changes the
 * tree. A filter runs on the thread that watches or on the one that reads, never after the release of
 * its user data, and what it leaves out is not watched in the end.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

enum { MAKERS = 2, SLOTS = 4096 };

struct slot {
    struct round *round;
    pid_t maker;
    atomic_int asked;
    atomic_int running;
    atomic_int released;
};

struct round {
    inotify_watcher *watcher;
    int over; /* readable at the end */
    pid_t reader;
    unsigned rounds;
    atomic_uint used;
    struct slot slots[SLOTS];
};

static pid_t self(void)
{
    return (pid_t)syscall(SYS_gettid);
}

static int filter(inotify_watcher *watcher, const inotify_watcher_directory *directory,
                  void *user_data)
{
    struct slot *slot = user_data;

    CHECK(watcher == slot->round->watcher);
    CHECK(self() == slot->maker || self() == slot->round->reader);
    CHECK_EQ(atomic_load(&slot->released), 0);
    atomic_fetch_add(&slot->running, 1);
    atomic_fetch_add(&slot->asked, 1);
    CHECK(inotify_watcher_is_watched(watcher, directory->path) >= 0);
    CHECK_EQ(atomic_load(&slot->released), 0);
    atomic_fetch_sub(&slot->running, 1);
    return strcmp(directory->name, "no") != 0;
}

static void on_event(inotify_watcher *watcher, const inotify_watcher_event *event, void *user_data)
{
    struct slot *slot = user_data;

    (void)watcher;
    CHECK_EQ(atomic_load(&slot->released), 0);
    CHECK(strstr(event->path, "/no/") == NULL);
}

static void on_release(void *user_data)
{
    struct slot *slot = user_data;

    CHECK_EQ(atomic_load(&slot->running), 0);
    CHECK_EQ(atomic_fetch_add(&slot->released, 1), 0);
}

static int64_t make_watch(struct round *round)
{
    struct slot *slot = &round->slots[atomic_fetch_add(&round->used, 1)];
    inotify_watcher_watch_options options;

    slot->round = round;
    slot->maker = self();
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.mask = RINOTIFY_WATCH_MASK;
    options.flags = TREE | RINOTIFY_WATCH_EMIT_EXISTING;
    options.callback = on_event;
    options.release = on_release;
    options.user_data = slot;
    options.filter = filter;
    return CHECK_OK(inotify_watcher_watch_with(round->watcher, "t", &options));
}

static void *reads(void *data)
{
    struct round *round = data;
    struct pollfd fds[2] = {{.fd = inotify_watcher_fileno(round->watcher), .events = POLLIN},
                            {.fd = round->over, .events = POLLIN}};

    round->reader = self();
    while (fds[1].revents == 0) {
        CHECK_SYS(poll(fds, 2, -1));
        CHECK_OK(inotify_watcher_do_read(round->watcher));
    }
    return NULL;
}

static void *makes(void *data)
{
    struct round *round = data;

    for (unsigned i = 0; i < round->rounds; i++) {
        int64_t one = make_watch(round), two = make_watch(round);

        CHECK(one != two);
        CHECK_OK(inotify_watcher_ignore_watch(round->watcher, one));
        CHECK_OK(inotify_watcher_ignore_watch(round->watcher, two));
    }
    return NULL;
}

static void *changes(void *data)
{
    struct round *round = data;

    for (unsigned i = 0; i < round->rounds * 4; i++) {
        make_dirs("t/a/new/deep");
        move("t/a/new", "t/b/no");
        make_file("t/b/no/deep/f");
        move("t/b/no", "t/c");
        make_dir("t/c/no");
        remove_tree("t/c");
    }
    return NULL;
}

int main(void)
{
    static struct round round;
    pthread_t reader, makers[MAKERS], changer;
    unsigned asked = 0;

    check_begin(240);
    check_case("threads");
    round.watcher = create();
    round.rounds = check_rounds(60);
    CHECK(round.rounds * MAKERS * 2 < SLOTS);
    round.over = (int)CHECK_SYS(eventfd(0, EFD_CLOEXEC));
    for (unsigned i = 0; i < 10; i++) {
        make_dirs(format("t/a/%u/no/x", i));
        make_dirs(format("t/b/%u/x", i));
    }
    CHECK_EQ(pthread_create(&reader, NULL, reads, &round), 0);
    CHECK_EQ(pthread_create(&changer, NULL, changes, &round), 0);
    for (unsigned i = 0; i < MAKERS; i++)
        CHECK_EQ(pthread_create(&makers[i], NULL, makes, &round), 0);
    CHECK_EQ(pthread_join(changer, NULL), 0);
    for (unsigned i = 0; i < MAKERS; i++)
        CHECK_EQ(pthread_join(makers[i], NULL), 0);
    CHECK_SYS(eventfd_write(round.over, 1));
    CHECK_EQ(pthread_join(reader, NULL), 0);

    round.reader = self();
    CHECK_OK(inotify_watcher_sync(round.watcher));
    CHECK_WATCHES(round.watcher, 0);
    CHECK_EQ(get_stats(round.watcher).directories, 0);
    for (unsigned i = 0; i < round.used; i++) {
        asked += (unsigned)round.slots[i].asked;
        CHECK_EQ(round.slots[i].released, 1);
    }
    CHECK(asked >= round.used * 42);
    make_watch(&round);
    CHECK_OK(inotify_watcher_sync(round.watcher));
    /* t, a, b, and in each ten directories: with x below those of b, and only no in those of a. */
    CHECK_WATCHES(round.watcher, 1 + 2 + 20 + 10);
    CHECK_TABLES(round.watcher);
    inotify_watcher_destroy(round.watcher);
    CHECK_SYS(close(round.over));
    return 0;
}
