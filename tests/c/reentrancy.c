/* Every function may be called inside a callback on the same watcher; only a nested do_read or sync
 * is refused.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

enum { WATCHES = 4 };

static struct {
    struct recorder recorders[WATCHES];
    int64_t ids[WATCHES];
    unsigned calls;
    inotify_watcher *watcher;
    struct recorder late_recorder;
} state;

static void begin(inotify_watcher_callback callback)
{
    memset(&state, 0, sizeof state);
    state.watcher = create();
    make_dirs("t/d");
    for (int i = 0; i < WATCHES; i++) {
        inotify_watcher_watch_options options = {.size = sizeof options,
                                                 .mask = RINOTIFY_WATCH_MASK,
                                                 .flags = TREE,
                                                 .callback = callback,
                                                 .user_data = &state.recorders[i],
                                                 .release = record_release};
        state.ids[i] = CHECK_OK(inotify_watcher_watch_with(state.watcher, "t", &options));
    }
    CHECK_OK(inotify_watcher_sync(state.watcher));
}

static void end(void)
{
    inotify_watcher_destroy(state.watcher);
    for (int i = 0; i < WATCHES; i++) {
        CHECK_EQ(state.recorders[i].released, 1);
        recorder_clear(&state.recorders[i]);
    }
    recorder_clear(&state.late_recorder);
    remove_tree("t");
}

/* ---- Reading inside a callback. */

static void reads(inotify_watcher *watcher, const inotify_watcher_event *event, void *user_data)
{
    state.calls++;
    CHECK_EQ(inotify_watcher_do_read(watcher), -EBUSY);
    CHECK_EQ(last_error(watcher).error, EBUSY);
    CHECK_EQ(inotify_watcher_sync(watcher), -EBUSY);
    record(watcher, event, user_data);
}

static void reading(void)
{
    begin(reads);
    make_file("t/a");
    CHECK_OK(inotify_watcher_sync(state.watcher));
    make_file("t/b");
    drain(state.watcher);
    CHECK_EQ(state.calls, 2 * WATCHES);
    for (int i = 0; i < WATCHES; i++)
        CHECK_EQ(state.recorders[i].count, 2);
    end();
}

/* ---- Another watcher, in a callback of this one. */

static void reads_another(inotify_watcher *watcher, const inotify_watcher_event *event,
                          void *user_data)
{
    inotify_watcher *another = create();
    struct recorder recorder = {0};

    CHECK(another != watcher);
    watch(another, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    make_file(format("t/made-%u", state.calls));
    EXPECT(another, &recorder, format("create t/made-%u", state.calls));
    inotify_watcher_destroy(another);
    state.calls++;
    CHECK_OK(inotify_watcher_ignore_watch(watcher, event->watch));
    record(watcher, event, user_data);
}

static void another_watcher(void)
{
    begin(reads_another);
    make_file("t/a");
    drain(state.watcher);
    CHECK_EQ(state.calls, WATCHES);
    end();
}

/* ---- The callback that ignores itself. */

static void ignores_itself(inotify_watcher *watcher, const inotify_watcher_event *event,
                           void *user_data)
{
    record(watcher, event, user_data);
    state.calls++;
    CHECK_OK(inotify_watcher_ignore_watch(watcher, event->watch));
    CHECK_EQ(inotify_watcher_ignore_watch(watcher, event->watch), -ENOENT);
    /* Its user data and its event are still there. */
    CHECK_EQ(((struct recorder *)user_data)->released, 0);
    CHECK_EQ(strlen(event->path), event->path_len);
}

static void itself(void)
{
    begin(ignores_itself);
    make_file("t/a");
    make_file("t/b");
    make_file("t/d/c");
    CHECK_OK(inotify_watcher_sync(state.watcher));
    CHECK_EQ(state.calls, WATCHES);
    for (int i = 0; i < WATCHES; i++) {
        CHECK_EQ(state.recorders[i].count, 1);
        CHECK_EQ(state.recorders[i].released, 1);
    }
    CHECK_EQ(get_stats(state.watcher).watches, 0);
    CHECK_WATCHES(state.watcher, 0);
    end();
}

/* ---- The one that comes first ignores all others: they hear nothing of the same event. */

static void ignores_others(inotify_watcher *watcher, const inotify_watcher_event *event,
                           void *user_data)
{
    record(watcher, event, user_data);
    for (int i = 0; i < WATCHES; i++)
        if (state.ids[i] != event->watch)
            CHECK_EQ(inotify_watcher_ignore_watch(watcher, state.ids[i]),
                     state.calls == 0 ? 0 : -ENOENT);
    state.calls++;
}

static void others(void)
{
    unsigned told = 0;

    begin(ignores_others);
    make_file("t/a");
    make_file("t/d/b");
    CHECK_OK(inotify_watcher_sync(state.watcher));
    CHECK_EQ(state.calls, 2);
    for (int i = 0; i < WATCHES; i++) {
        told += state.recorders[i].count == 2;
        CHECK_EQ(state.recorders[i].count + 2 * state.recorders[i].released, 2);
    }
    CHECK_EQ(told, 1);
    end();
}

/* ---- Ignores the path, all watches of it at once. */

static void ignores_path(inotify_watcher *watcher, const inotify_watcher_event *event,
                         void *user_data)
{
    record(watcher, event, user_data);
    state.calls++;
    CHECK_OK(inotify_watcher_ignore(watcher, "t"));
    CHECK_EQ(inotify_watcher_is_watched(watcher, "t"), 0);
    CHECK_EQ(inotify_watcher_is_watched(watcher, "t/d"), 0);
}

static void whole_path(void)
{
    begin(ignores_path);
    make_file("t/a");
    CHECK_OK(inotify_watcher_sync(state.watcher));
    CHECK_EQ(state.calls, 1);
    end();
}

/* ---- Ignores a directory below the root: what else has happened there is not told. */

static void ignores_below(inotify_watcher *watcher, const inotify_watcher_event *event,
                          void *user_data)
{
    record(watcher, event, user_data);
    if (state.calls++ == 0)
        CHECK_OK(inotify_watcher_ignore(watcher, "t/d"));
}

static void directory_below(void)
{
    begin(ignores_below);
    make_file("t/d/a");
    make_file("t/d/b");
    make_dirs("t/d/e/f");
    make_file("t/db");
    CHECK_OK(inotify_watcher_sync(state.watcher));
    drain(state.watcher);
    /* The first call was for t/d/a; the other watches hear of t/db alone. */
    CHECK_EQ(state.calls, 1 + WATCHES);
    for (int i = 0; i < WATCHES; i++)
        CHECK_EQ(recorder_count(&state.recorders[i], "create t/db"), 1);
    CHECK_WATCHES(state.watcher, 1);
    end();
}

/* ---- Watches more, asks for everything. */

static int count_one(const inotify_watcher_watchpoint *watchpoint, void *count)
{
    CHECK(watchpoint->wd >= 0);
    ++*(unsigned *)count;
    return 0;
}

static void watches_more(inotify_watcher *watcher, const inotify_watcher_event *event,
                         void *user_data)
{
    unsigned count = 0;

    record(watcher, event, user_data);
    if (state.calls++ != 0)
        return;
    make_dirs("u/v");
    watch(watcher, "u", RINOTIFY_WATCH_MASK, TREE, &state.late_recorder);
    CHECK_EQ(inotify_watcher_is_watched(watcher, "u/v"), 1);
    CHECK_EQ(inotify_watcher_fileno(watcher), inotify_watcher_fileno(state.watcher));
    CHECK_EQ(get_stats(watcher).watches, WATCHES + 1);
    CHECK_OK(inotify_watcher_for_each_watchpoint(watcher, count_one, &count));
    CHECK_EQ(count, 2 * WATCHES + 2);
    CHECK_EQ(inotify_watcher_ignore(watcher, "no such thing"), -ENOENT);
    CHECK_EQ(last_error(watcher).error, ENOENT);
    /* The watch that this callback is for, changed by itself. */
    CHECK_EQ(inotify_watcher_watch(watcher, "t", IN_DELETE, TREE, watches_more, user_data),
             event->watch);
    make_file("u/v/f");
}

static void more(void)
{
    begin(watches_more);
    make_file("t/a");
    make_file("t/b");
    drain(state.watcher);
    CHECK_EQ(state.late_recorder.count, 1);
    CHECK_STR(state.late_recorder.lines[0], "create u/v/f");
    recorder_clear(&state.late_recorder);
    make_file("t/c");
    remove_file("t/c");
    make_file("u/g");
    CHECK_OK(inotify_watcher_sync(state.watcher));
    CHECK_STR(state.late_recorder.lines[0], "create u/g");
    end();
    remove_tree("u");
}

/* ---- Ends the watcher. */

static void destroys(inotify_watcher *watcher, const inotify_watcher_event *event, void *user_data)
{
    record(watcher, event, user_data);
    state.calls++;
    inotify_watcher_destroy(watcher);
    state.watcher = NULL;
    CHECK_EQ(((struct recorder *)user_data)->released, 0);
    /* The event is valid until the callback returns. */
    CHECK_STR(event->path, "t/a");
    CHECK_STR(event->name, "a");
}

static void destroyed(bool by_sync)
{
    inotify_watcher *watcher;

    begin(destroys);
    watcher = state.watcher;
    make_file("t/a");
    make_file("t/b");
    if (by_sync)
        CHECK_EQ(inotify_watcher_sync(watcher), -EBADF);
    else
        CHECK(inotify_watcher_do_read(watcher) != 0);
    CHECK_EQ(state.calls, 1);
    end();
}

static void closes(inotify_watcher *watcher, const inotify_watcher_event *event, void *user_data)
{
    record(watcher, event, user_data);
    state.calls++;
    CHECK_EQ(inotify_watcher_lose_connection(watcher), 0);
    CHECK_EQ(inotify_watcher_lose_connection(watcher), 0);
    CHECK_EQ(((struct recorder *)user_data)->released, 0);
}

static void closed(bool by_sync)
{
    begin(closes);
    make_file("t/a");
    make_file("t/b");
    if (by_sync)
        CHECK_EQ(inotify_watcher_sync(state.watcher), -EBADF);
    else
        CHECK(inotify_watcher_do_read(state.watcher) != 0);
    CHECK_EQ(state.calls, 1);
    CHECK_EQ(inotify_watcher_fileno(state.watcher), -1);
    CHECK_EQ(inotify_watcher_do_read(state.watcher), -EBADF);
    for (int i = 0; i < WATCHES; i++)
        CHECK_EQ(state.recorders[i].released, 1);
    end();
}

int main(void)
{
    check_begin(240);
    check_case("callbacks");
    reading();
    another_watcher();
    itself();
    others();
    whole_path();
    directory_below();
    more();
    destroyed(false);
    destroyed(true);
    closed(false);
    closed(true);
    return 0;
}
