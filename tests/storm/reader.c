/* The reader: believes events, in the ways that programs wait for them.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include "storm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define DEFAULT_MAX_EVENTS 4096
#define ENDLESS 10000000

void reader_callback(inotify_watcher *watcher, const inotify_watcher_event *event, void *data)
{
    struct watch *watch = data;
    struct totals *totals = &shared->totals;

    running->delivered++;
    totals->events++;
    totals->synthetic += (event->flags & RINOTIFY_EVENT_SYNTHETIC) != 0;
    totals->moves += event->old_path != NULL;
    log_delivered(watch, event);
    if (watcher != running->watcher)
        fail("fields", "a callback with another watcher");
    if (watch == &running->first)
        sabotage_event(watch, event, mirror_event);
    else
        mirror_event(watch, event);
}

/* One do_read, and what holds for each of them. */
int read_once(struct run *run)
{
    uint64_t before = run->delivered;
    uint64_t most = run->plan->max_events ? run->plan->max_events : DEFAULT_MAX_EVENTS;
    int result = inotify_watcher_do_read(run->watcher);

    if (result < 0 && faults_on && inotify_watcher_fileno(run->watcher) == run->fd)
        shared->totals.fault_calls++;
    else if (result < 0)
        fail("do_read", "returned %d", result);
    if (run->delivered - before > most)
        fail("bounded", "one do_read made %llu callbacks, %llu were allowed",
             (unsigned long long)(run->delivered - before), (unsigned long long)most);
    if (result == 0 && run->delivered != before)
        fail("do_read", "returned 0 although it delivered %llu events",
             (unsigned long long)(run->delivered - before));
    return result;
}

static void drain(struct run *run)
{
    unsigned turns = 0;

    for (int result = 1; (result > 0 || (result < 0 && faults_on)) && !fail_class;) {
        result = read_once(run);
        if (++turns > ENDLESS)
            fail("endless", "do_read does not come to an end");
    }
}

static bool readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    return poll(&poll_fd, 1, 0) > 0;
}

static void sync_now(struct run *run)
{
    int result;

    step = "sync";
    result = inotify_watcher_sync(run->watcher);
    if (result < 0 && faults_on)
        shared->totals.fault_calls++;
    else if (result != 0)
        fail("sync", "returned %d", result);
}

/* Does every watch that covers it have, or not have, `path` (below T)? */
static void expect(struct run *run, const char *path, bool there, bool dir)
{
    struct watch *watches[] = {&run->first, &run->second};

    if (faults_on)
        return;
    for (int i = 0; i < 2; i++) {
        struct watch *watch = watches[i];
        if (!watch->alive || watch->ended || (watch->overflowed && !opt.track_entries) ||
            (i == 1 && watch->kind != SECOND_SAME && watch->kind != SECOND_LINK &&
             watch->kind != SECOND_STRUCTURE && watch->kind != SECOND_FILTER &&
             watch->kind != SECOND_ASK))
            continue;
        const struct node *node = mirror_find(watch->tree, path);
        if ((node != NULL) != there || (node && node->dir != dir))
            fail("sync", "watch %s, after sync: T/%s is %s", watch->label, path,
                 !node ? "not known" : there ? "of the wrong kind" : "still there");
    }
}

/* The reader's own changes, under names that no writer uses, must be known after a sync, however
 * busy the writers are. */
static void probe(struct run *run)
{
    static struct writer self;
    char dir[64], below[80], file[96], moved[64], name[96];
    unsigned number = ++run->probe_number;

    writer_start(&self, run->plan, POPULATOR);
    shared->totals.probes++;
    snprintf(dir, sizeof(dir), "T/r%u", number);
    snprintf(moved, sizeof(moved), "T/S/q%u", number);
    snprintf(below, sizeof(below), "%s/x", dir);
    snprintf(file, sizeof(file), "%s/y", below);
    if (rng_one_in(&run->rng, 3)) {
        (void)do_create(&self, dir, O_EXCL, 1);
        sync_now(run);
        expect(run, dir + 2, true, false);
        (void)do_unlink(&self, dir);
        sync_now(run);
        expect(run, dir + 2, false, false);
        return;
    }
    (void)do_mkdir(&self, dir);
    (void)do_mkdir(&self, below);
    (void)do_create(&self, file, O_EXCL, 1);
    if (rng_one_in(&run->rng, 2)) {
        sync_now(run);
        expect(run, dir + 2, true, true);
        expect(run, file + 2, true, false);
    }
    if (rng_one_in(&run->rng, 2)) {
        (void)do_rename(&self, dir, moved, 0);
        sync_now(run);
        expect(run, dir + 2, false, false);
        expect(run, moved + 2, true, true);
        snprintf(name, sizeof(name), "%s/x/y", moved);
        expect(run, name + 2, true, false);
        strcpy(dir, moved);
    }
    do_rm_rf(&self, dir);
    sync_now(run);
    expect(run, dir + 2, false, false);
}

uint64_t writers_ops(const struct plan *plan)
{
    uint64_t sum = 0;

    for (int i = 0; i < plan->writers; i++)
        sum += atomic_load_explicit(&shared->writer[i].ops, memory_order_relaxed);
    return sum;
}

static void take_done(struct run *run)
{
    char bytes[MAX_WRITERS];
    ssize_t got = read(run->done_fd, bytes, sizeof(bytes));

    if (got == 0)
        die("the writers are gone");
    if (got > 0)
        run->done_count += (int)got;
}

/* Watches that begin or end while the writers work. */
static void change_watches(struct run *run, uint64_t ops)
{
    const struct plan *plan = run->plan;

    if (!run->first_started && ops >= plan->watch_after)
        watch_first(run);
    if (!run->second_started && run->first_started && plan->second != SECOND_NONE &&
        run->phase >= plan->second_from && plan->second_after && ops >= plan->second_after)
        watch_second(run);
    if (run->second.alive && !run->second.ended && run->phase == plan->second_until &&
        ops >= plan->slow_gap) {
        int result;

        step = "ignore";
        run->second.alive = false;
        if (plan->second == SECOND_LINK || plan->second == SECOND_STABLE)
            result = inotify_watcher_ignore(run->watcher, run->second.root);
        else
            result = inotify_watcher_ignore_watch(run->watcher, run->second.id);
        log_note("ignored watch %lld = %d", (long long)run->second.id, result);
        /* The root may have been deleted, unheard of yet. */
        if (result != 0)
            fail("ignore", "returned %d", result);
    }
}

static void wait_for_work(struct run *run, int epoll)
{
    struct epoll_event ready[2];
    struct pollfd fds[2] = {{.fd = run->fd, .events = POLLIN},
                            {.fd = run->done_fd, .events = POLLIN}};

    step = "waiting";
    if (run->plan->loop == LOOP_POLL)
        (void)poll(fds, 2, -1);
    else
        (void)epoll_wait(epoll, ready, 2, -1);
}

/* Reads until every writer has come to the end of its phase. */
void read_phase(struct run *run)
{
    const struct plan *plan = run->plan;
    uint64_t start = writers_ops(plan), last = start;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    unsigned turns = 0;

    (void)epoll_ctl(epoll, EPOLL_CTL_ADD, run->done_fd, &event);
    if (plan->loop == LOOP_EDGE)
        event.events |= EPOLLET;
    (void)epoll_ctl(epoll, EPOLL_CTL_ADD, run->fd, &event);

    while (run->done_count < plan->writers && !fail_class) {
        uint64_t now = writers_ops(plan);
        bool early = !run->first_started ||
                     (plan->second != SECOND_NONE && !run->second_started) ||
                     run->phase == plan->second_until;

        change_watches(run, now - start);
        if (!run->first_started || plan->loop == LOOP_BUSY || plan->loop == LOOP_SLOW || early)
            take_done(run);
        else
            wait_for_work(run, epoll);
        if (plan->loop == LOOP_SLOW && now - last < plan->slow_gap) {
            sched_yield();
            continue;
        }
        last = now;
        step = "do_read";
        if (plan->loop == LOOP_EDGE)
            drain(run);
        else
            (void)read_once(run);
        take_done(run);
        if (plan->probes && run->first_started && (++turns & 15) == 0 && !fail_class)
            probe(run);
    }
    /* All is quiet: what is left must have raised the edge since the last time it was drained. */
    while (plan->loop == LOOP_EDGE && !fail_class && epoll_wait(epoll, &event, 1, 0) > 0) {
        take_done(run);
        drain(run);
        (void)epoll_ctl(epoll, EPOLL_CTL_DEL, run->done_fd, NULL);
    }
    close(epoll);
}

/* Brings the reader to rest in one of the ways that must be enough, and looks that it was. */
void quiesce(struct run *run, int how)
{
    uint64_t before;

    faults_end();
    step = "quiesce";
    if (how == 0)
        sync_now(run);
    else if (how == 1)
        drain(run);
    else if (how == 2) {
        unsigned turns = 0;
        while (readable(run->fd) && !fail_class) {
            (void)read_once(run);
            if (++turns > ENDLESS)
                fail("endless", "the descriptor stays readable");
        }
    } /* 3: the edges were all */

    before = run->delivered;
    drain(run);
    if (!fail_class && run->delivered != before)
        fail("late", "%llu events after %s", (unsigned long long)(run->delivered - before),
             how == 0   ? "sync"
             : how == 1 ? "do_read returned 0"
             : how == 2 ? "the descriptor was not readable any more"
                        : "the last edge was drained");
    if (fail_class)
        return;
    sync_now(run);
    drain(run);
    if (!fail_class && run->delivered != before)
        fail("late", "%llu events from a sync when all was drained",
             (unsigned long long)(run->delivered - before));
    if (!fail_class && readable(run->fd))
        fail("readable", "the descriptor is readable, do_read has nothing to do");
}
