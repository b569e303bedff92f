/* One thread reads while others watch, ignore, ask and change files, and one of them destroys the
 * watcher at a moment of its own. Nothing hangs, nothing is used after its end, every release
 * function runs once.
 *
 * CHECK_ROUNDS sets the number of rounds, for runs under a slow tool.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

enum { ACTORS = 3, SLOTS = 512 };

struct slot {
    atomic_int taken;
    atomic_int released;
    atomic_int running;
};

struct round {
    inotify_watcher *watcher;
    pthread_barrier_t start;
    atomic_bool over; /* somebody ended the watcher */
    int over_fd;      /* readable then */
    bool destroyed;
    atomic_uint next_slot;
    struct slot slots[SLOTS];
    unsigned seed;
};

struct actor {
    struct round *round;
    unsigned number;
};

static unsigned draw(unsigned *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static void on_event(inotify_watcher *watcher, const inotify_watcher_event *event, void *user_data)
{
    struct slot *slot = user_data;

    (void)watcher;
    CHECK_EQ(atomic_fetch_add(&slot->running, 1), 0);
    CHECK_EQ(atomic_load(&slot->released), 0);
    CHECK_EQ(strlen(event->path), event->path_len);
    CHECK_EQ(atomic_fetch_sub(&slot->running, 1), 1);
}

static void on_release(void *user_data)
{
    struct slot *slot = user_data;

    CHECK_EQ(atomic_load(&slot->running), 0);
    CHECK_EQ(atomic_fetch_add(&slot->released, 1), 0);
}

/* Allowed outcomes of a call that may come too late, or name what another thread just took away. */
static bool went_on(struct round *round, long long result)
{
    if (result >= 0 || result == -ENOENT || result == -ENOTDIR)
        return true;
    /* Refused, but only because somebody ended the watcher. */
    if (result != -EBADF || !atomic_load(&round->over))
        check_fail(__FILE__, __LINE__, "a call said %lld: %s", result, last_error(NULL).message);
    return false;
}

static int visit(const inotify_watcher_watchpoint *watchpoint, void *user_data)
{
    (void)user_data;
    CHECK_EQ(strlen(watchpoint->path), watchpoint->path_len);
    return 0;
}

static bool act(struct round *round, unsigned *random)
{
    inotify_watcher *watcher = round->watcher;
    unsigned what = draw(random) % 16;
    char path[64], other[64];

    snprintf(path, sizeof path, "t/%u", draw(random) % 6);
    snprintf(other, sizeof other, "t/%u/%u", draw(random) % 6, draw(random) % 6);
    switch (what) {
    case 0: case 1: case 2: case 3: {
        unsigned slot = atomic_fetch_add(&round->next_slot, 1);
        inotify_watcher_watch_options options = {.size = sizeof options,
                                                 .mask = RINOTIFY_WATCH_MASK,
                                                 .callback = on_event,
                                                 .release = on_release};
        long long result;

        if (slot >= SLOTS)
            return true;
        options.flags = draw(random) & (TREE | RINOTIFY_WATCH_EMIT_EXISTING);
        options.user_data = &round->slots[slot];
        result = inotify_watcher_watch_with(watcher, draw(random) % 3 == 0 ? "t" : path, &options);
        /* Only a watch that was made owes a release; a failed call leaves the user data alone. */
        if (result > 0)
            atomic_store(&round->slots[slot].taken, 1);
        return went_on(round, result);
    }
    case 4: case 5:
        return went_on(round, inotify_watcher_ignore(watcher, path));
    case 6:
        return went_on(round, inotify_watcher_ignore_watch(watcher, 1 + draw(random) % 64));
    case 7:
        return went_on(round, inotify_watcher_is_watched(watcher, other));
    case 8: {
        inotify_watcher_stats stats = {.size = sizeof stats};
        return went_on(round, inotify_watcher_get_stats(watcher, &stats));
    }
    case 9:
        return went_on(round, inotify_watcher_for_each_watchpoint(watcher, visit, NULL));
    case 10: {
        int result = inotify_watcher_do_read(watcher);
        return result == -EBUSY || went_on(round, result);
    }
    case 11: case 12:
        (void)mkdir(path, 0755);
        (void)mkdir(other, 0755);
        return true;
    case 13: {
        /* Among the places of the second level, so that the tree stays small. */
        char to[64];

        snprintf(to, sizeof to, "t/%u/%u", draw(random) % 6, draw(random) % 6);
        (void)rename(other, to);
        return true;
    }
    case 14:
        (void)rmdir(other);
        (void)rmdir(path);
        return true;
    default:
        CHECK(inotify_watcher_fileno(watcher) >= 0 || atomic_load(&round->over));
        return true;
    }
}

static void end_round(struct round *round)
{
    atomic_store(&round->over, true);
    CHECK_SYS(eventfd_write(round->over_fd, 1));
}

static void *actor_main(void *user_data)
{
    struct actor *actor = user_data;
    struct round *round = actor->round;
    unsigned random = round->seed * 2654435761u + actor->number * 40503u + 1;
    unsigned steps;

    pthread_barrier_wait(&round->start);
    steps = draw(&random) % 16;
    for (;;) {
        if (actor->number == 0 && steps-- == 0) {
            /* From now on the handle is one that a careful program would not use; the calls that
             * are under way, or come right after, must be refused. */
            if (draw(&random) % 2 == 0) {
                end_round(round);
                CHECK_OK(inotify_watcher_lose_connection(round->watcher));
            } else {
                end_round(round);
                inotify_watcher_destroy(round->watcher);
                round->destroyed = true;
            }
            return NULL;
        }
        if (atomic_load(&round->over))
            return NULL;
        if (!act(round, &random))
            return NULL;
    }
}

static void *reader_main(void *user_data)
{
    struct round *round = user_data;
    inotify_watcher *watcher = round->watcher;

    struct pollfd fds[2] = {{.fd = inotify_watcher_fileno(watcher), .events = POLLIN},
                            {.fd = round->over_fd, .events = POLLIN}};

    pthread_barrier_wait(&round->start);
    while (!atomic_load(&round->over)) {
        int result;

        CHECK_SYS(poll(fds, 2, -1));
        result = inotify_watcher_do_read(watcher);
        if (result != -EBUSY && !went_on(round, result))
            break;
    }
    return NULL;
}

static void play(unsigned seed)
{
    struct round *round = calloc(1, sizeof *round);
    struct actor actors[ACTORS];
    pthread_t threads[ACTORS], reader;

    CHECK(round != NULL);
    round->seed = seed;
    round->watcher = create();
    round->over_fd = (int)CHECK_SYS(eventfd(0, EFD_CLOEXEC));
    CHECK_EQ(pthread_barrier_init(&round->start, NULL, ACTORS + 1), 0);
    CHECK_EQ(pthread_create(&reader, NULL, reader_main, round), 0);
    for (unsigned i = 0; i < ACTORS; i++) {
        actors[i] = (struct actor){round, i};
        CHECK_EQ(pthread_create(&threads[i], NULL, actor_main, &actors[i]), 0);
    }
    for (unsigned i = 0; i < ACTORS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(pthread_join(reader, NULL), 0);
    if (!round->destroyed)
        inotify_watcher_destroy(round->watcher);
    for (unsigned i = 0; i < SLOTS; i++)
        CHECK_EQ(atomic_load(&round->slots[i].released), atomic_load(&round->slots[i].taken));
    CHECK_SYS(close(round->over_fd));
    pthread_barrier_destroy(&round->start);
    free(round);
}

int main(void)
{
    unsigned rounds = check_rounds(2000);

    check_begin(540);
    check_case("rounds");
    make_dir("t");
    for (unsigned i = 0; i < rounds; i++)
        play(i);
    return 0;
}
