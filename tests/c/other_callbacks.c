/* Visitors, release and progress functions may call the library as callbacks may.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <limits.h>

static struct {
    struct recorder recorder;
    unsigned calls;
    inotify_watcher *watcher;
    int64_t late;
    struct recorder late_recorder;
} state;

static int visit_and_ignore(const inotify_watcher_watchpoint *watchpoint, void *watcher)
{
    int result = inotify_watcher_ignore_watch(watcher, watchpoint->watch);

    CHECK(result == 0 || result == -ENOENT);
    CHECK_EQ(strlen(watchpoint->path), watchpoint->path_len);
    state.calls++;
    return 0;
}

static int stop_at_once(const inotify_watcher_watchpoint *watchpoint, void *unused)
{
    (void)watchpoint;
    (void)unused;
    return INT_MIN + 5;
}

static void visitor(void)
{
    struct recorder recorders[4] = {{0}};

    memset(&state, 0, sizeof state);
    state.watcher = create();
    make_dirs("t/d");
    for (int i = 0; i < 4; i++)
        watch(state.watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorders[i]);
    CHECK_EQ(inotify_watcher_for_each_watchpoint(state.watcher, stop_at_once, NULL), INT_MIN + 5);
    CHECK_OK(inotify_watcher_for_each_watchpoint(state.watcher, visit_and_ignore, state.watcher));
    /* It shows what was there when it was called. */
    CHECK_EQ(state.calls, 2 * 4);
    CHECK_EQ(get_stats(state.watcher).watches, 0);
    inotify_watcher_destroy(state.watcher);
}

/* A release function that makes another watch. */
static void watch_another(void *user_data)
{
    record_release(user_data);
    if (state.late == 0)
        state.late = watch(state.watcher, "t", IN_CREATE, 0, &state.late_recorder);
}

static void ignores_itself(inotify_watcher *watcher, const inotify_watcher_event *event,
                           void *user_data)
{
    record(watcher, event, user_data);
    CHECK_OK(inotify_watcher_ignore_watch(watcher, event->watch));
}

static void release_function(void)
{
    inotify_watcher_watch_options options = {.size = sizeof options,
                                             .mask = IN_CREATE,
                                             .callback = ignores_itself,
                                             .user_data = &state.recorder,
                                             .release = watch_another};

    memset(&state, 0, sizeof state);
    state.watcher = create();
    make_dir("t");
    CHECK_OK(inotify_watcher_watch_with(state.watcher, "t", &options));
    make_file("t/a");
    CHECK_OK(inotify_watcher_sync(state.watcher));
    CHECK_EQ(state.recorder.released, 1);
    CHECK(state.late > 0);
    make_file("t/b");
    EXPECT(state.watcher, &state.late_recorder, "create t/b");
    inotify_watcher_destroy(state.watcher);
    recorder_clear(&state.recorder);
}

/* Progress: on the calling thread, with no lock held. */

static int progress(uint64_t directories, void *user_data)
{
    CHECK(directories > 0);
    CHECK_EQ(inotify_watcher_is_watched(state.watcher, "other"), 1);
    CHECK_EQ(inotify_watcher_ignore(state.watcher, "nothing"), -ENOENT);
    CHECK_OK(inotify_watcher_do_read(state.watcher));
    CHECK_EQ(inotify_watcher_sync(state.watcher), -EBUSY);
    state.calls++;
    (void)user_data;
    return 0;
}

static void in_progress(void)
{
    struct recorder other = {0}, recorder = {0};
    inotify_watcher_watch_options options = {.size = sizeof options,
                                             .mask = IN_CREATE,
                                             .flags = TREE,
                                             .callback = record,
                                             .user_data = &recorder,
                                             .progress = progress};

    memset(&state, 0, sizeof state);
    state.watcher = create();
    make_dir("other");
    make_dir("many");
    for (int i = 0; i < 5000; i++)
        make_dir(format("many/%d", i));
    watch(state.watcher, "other", IN_CREATE, 0, &other);
    make_file("other/f");
    CHECK_OK(inotify_watcher_watch_with(state.watcher, "many", &options));
    CHECK(state.calls > 0);
    CHECK_EQ(other.count, 1);
    make_file("many/4711/f");
    EXPECT(state.watcher, &recorder, "create many/4711/f");
    CHECK_TABLES(state.watcher);
    recorder_clear(&other);
    inotify_watcher_destroy(state.watcher);
}

int main(void)
{
    check_begin(240);
    check_case("visitor");
    visitor();
    check_case("release-function");
    release_function();
    check_case("in-progress");
    in_progress();
    return 0;
}
