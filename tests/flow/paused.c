/* A watcher that is stopped and paused at every occasion, inside callbacks and outside, while a tree
 * changes and its queue overflows: held back it tells nothing, and in the end a consumer of its events
 * has the real tree.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "mirror.h"

#include <fcntl.h>

#define QUEUE 300

static unsigned seed;
static struct mirror mirror;
static unsigned long told, pauses, overflows;

static unsigned any(unsigned below)
{
    return (unsigned)rand_r(&seed) % below;
}

static void on_event(inotify_watcher *watcher, const inotify_watcher_event *event, void *user_data)
{
    const uint32_t rescan = RINOTIFY_EVENT_RESCAN_BEGIN | RINOTIFY_EVENT_RESCAN_END;

    CHECK_EQ(inotify_watcher_wants_read(watcher), 1);
    told++;
    if ((event->flags & rescan) == 0)
        mirror_event(watcher, event, user_data);
    if (any(5) == 0) {
        pauses++;
        CHECK_OK(any(2) == 0 ? inotify_watcher_pause_producing(watcher)
                             : inotify_watcher_stop_reading(watcher));
    }
}

/* Not every one of them is possible, and that does not matter. */
static void change(void)
{
    char from[64], to[64];
    unsigned file = any(4) != 0;
    int fd;

    snprintf(from, sizeof from, "t/%u/%c%u", any(8), file ? 'f' : 'd', any(file ? 60 : 10));
    snprintf(to, sizeof to, "t/%u/%c%u", any(8), file ? 'f' : 'd', any(file ? 60 : 10));
    switch (any(3)) {
    case 0:
        (void)rename(from, to);
        break;
    case 1:
        (void)remove(from);
        break;
    default:
        fd = file ? open(from, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : mkdir(from, 0700);
        if (file && fd >= 0)
            CHECK_SYS(close(fd));
    }
}

static void some_turn(inotify_watcher *watcher)
{
    unsigned long before = told;
    bool held = inotify_watcher_wants_read(watcher) == 0;

    switch (any(6)) {
    case 0:
        CHECK_OK(inotify_watcher_pause_producing(watcher));
        break;
    case 1:
        CHECK_OK(inotify_watcher_stop_reading(watcher));
        break;
    case 2:
        CHECK_OK(inotify_watcher_start_reading(watcher));
        break;
    case 3:
        CHECK_OK(inotify_watcher_resume_producing(watcher));
        break;
    default:
        CHECK_OK(inotify_watcher_do_read(watcher));
        if (held)
            CHECK_EQ(told, before);
    }
}

static void round_of(unsigned number)
{
    inotify_watcher_options options = {.size = sizeof options};
    inotify_watcher_watch_options watch_options = {.size = sizeof watch_options};
    inotify_watcher *watcher;
    int result;

    check_case(format("round_%u", number));
    seed = number;
    for (unsigned i = 0; i < 8; i++)
        make_dirs(format("t/%u/d0/below", i));
    options.max_events = 1 + any(20);
    options.max_scan = 16 + any(60);
    watcher = create_with_queue(&options, QUEUE);
    if (watcher == NULL)
        check_skip("a queue that overflows soon takes root");
    watch_options.mask = RINOTIFY_WATCH_MASK;
    watch_options.flags = TREE | RINOTIFY_WATCH_EMIT_EXISTING | RINOTIFY_WATCH_TRACK_ENTRIES;
    watch_options.callback = on_event;
    watch_options.user_data = &mirror;
    CHECK_OK(inotify_watcher_watch_with(watcher, "t", &watch_options));
    for (unsigned i = 0; i < 400; i++) {
        for (unsigned left = any(40); left > 0; left--)
            change();
        some_turn(watcher);
    }
    do {
        CHECK_OK(inotify_watcher_start_reading(watcher));
        CHECK_OK(inotify_watcher_resume_producing(watcher));
        result = inotify_watcher_sync(watcher);
        CHECK(result == 0 || result == -EAGAIN);
    } while (result != 0 || inotify_watcher_wants_read(watcher) == 0);
    overflows += get_stats(watcher).overflows;
    MIRROR_EXPECT(watcher, &mirror, "t");
    inotify_watcher_destroy(watcher);
    mirror_clear(&mirror);
    remove_tree("t");
}

int main(void)
{
    unsigned rounds = check_rounds(12);

    check_begin(240);
    for (unsigned i = 1; i <= rounds; i++)
        round_of(i);
    CHECK(pauses > 20 * rounds);
    if (rounds >= 10)
        CHECK(overflows > 0);
    return 0;
}
