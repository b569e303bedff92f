/* The release function runs exactly once, however the watch ends, and no callback comes after it.
 * (The recorder fails the test for an event after its release.)
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

static inotify_watcher *watcher;
static int64_t id;
static void (*in_callback)(void);

static void acting(inotify_watcher *of, const inotify_watcher_event *event, void *user_data)
{
    struct recorder *recorder = user_data;

    record(of, event, recorder);
    if (in_callback != NULL) {
        void (*act)(void) = in_callback;

        in_callback = NULL;
        act();
        /* The callback is still running: its user data is still in use. */
        CHECK_EQ(recorder->released, 0);
        record(of, event, recorder);
    }
}

static void begin(struct recorder *recorder, uint32_t mask, uint32_t flags)
{
    inotify_watcher_watch_options options = {.size = sizeof options,
                                             .mask = mask,
                                             .flags = flags,
                                             .callback = acting,
                                             .user_data = recorder,
                                             .release = record_release};

    watcher = create();
    make_dirs("t/d");
    id = CHECK_OK(inotify_watcher_watch_with(watcher, "t", &options));
    make_file("t/queued");
    CHECK_EQ(recorder->released, 0);
}

static void end(struct recorder *recorder)
{
    CHECK_EQ(recorder->released, 1);
    if (watcher != NULL && inotify_watcher_fileno(watcher) >= 0)
        CHECK_OK(inotify_watcher_sync(watcher));
    inotify_watcher_destroy(watcher);
    watcher = NULL;
    CHECK_EQ(recorder->released, 1);
    recorder_clear(recorder);
    remove_tree("t");
}

static void ignore_by_path(void)
{
    CHECK_OK(inotify_watcher_ignore(watcher, "t"));
}

static void ignore_by_id(void)
{
    CHECK_OK(inotify_watcher_ignore_watch(watcher, id));
}

static void close_it(void)
{
    CHECK_OK(inotify_watcher_lose_connection(watcher));
}

static void destroy_it(void)
{
    inotify_watcher_destroy(watcher);
    watcher = NULL;
}

static void delete_root(void)
{
    remove_tree("t");
    make_dir("t");
    CHECK_OK(inotify_watcher_sync(watcher));
}

/* A release function that calls the library, which it may. */
static struct recorder of_made;
static int64_t third;

static void calls(void *user_data)
{
    record_release(user_data);
    CHECK(inotify_watcher_watch(watcher, "made", RINOTIFY_WATCH_MASK, 0, record, &of_made) > 0);
    CHECK_OK(inotify_watcher_ignore_watch(watcher, third));
}

/* A watch ends in its own callback, and events of others follow in what was read. */
static void released_between(void)
{
    struct recorder recorder = {0}, other = {0}, last = {0};
    inotify_watcher_watch_options options = {.size = sizeof options,
                                             .mask = RINOTIFY_WATCH_MASK,
                                             .callback = acting,
                                             .user_data = &recorder,
                                             .release = calls};

    watcher = create();
    make_dir("one");
    make_dir("two");
    make_dir("three");
    make_dir("made");
    id = CHECK_OK(inotify_watcher_watch_with(watcher, "one", &options));
    watch(watcher, "two", RINOTIFY_WATCH_MASK, 0, &other);
    third = watch(watcher, "three", RINOTIFY_WATCH_MASK, 0, &last);
    make_file("one/a");
    make_file("two/a");
    make_file("three/a");
    make_file("two/b");
    in_callback = ignore_by_id;
    EXPECT(watcher, &other, "create two/a", "create two/b");
    CHECK_EQ(recorder.released, 1);
    CHECK_EQ(last.count, 0);
    make_file("made/a");
    EXPECT(watcher, &of_made, "create made/a");
    inotify_watcher_destroy(watcher);
    watcher = NULL;
    recorder_clear(&recorder);
    recorder_clear(&last);
}

int main(void)
{
    static void (*const endings[])(void) = {ignore_by_path, ignore_by_id, close_it, destroy_it};

    check_begin(240);
    check_case("endings");

    /* From outside, with events in the queue. */
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        struct recorder recorder = {0};

        begin(&recorder, RINOTIFY_WATCH_MASK, TREE);
        endings[i]();
        end(&recorder);
    }
    /* From inside its own callback, with more events in the queue. */
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        struct recorder recorder = {0};
        inotify_watcher *handle;

        begin(&recorder, RINOTIFY_WATCH_MASK, TREE);
        make_file("t/another");
        in_callback = endings[i];
        handle = watcher;
        while (recorder.count == 0)
            CHECK(inotify_watcher_do_read(handle) != 0);
        CHECK_EQ(recorder.count, 2);
        end(&recorder);
    }
    /* By itself. */
    {
        struct recorder recorder = {0};

        begin(&recorder, RINOTIFY_WATCH_MASK, TREE);
        delete_root();
        end(&recorder);
    }
    {
        struct recorder recorder = {0};

        begin(&recorder, IN_CREATE | IN_ONESHOT, 0);
        CHECK_OK(inotify_watcher_sync(watcher));
        end(&recorder);
    }
    /* By a destroy of a watcher that was closed, and of one never read. */
    {
        struct recorder recorder = {0};

        begin(&recorder, RINOTIFY_WATCH_MASK, TREE | RINOTIFY_WATCH_EMIT_EXISTING);
        destroy_it();
        CHECK_EQ(recorder.count, 0);
        end(&recorder);
    }
    check_case("calls");
    released_between();
    return 0;
}
