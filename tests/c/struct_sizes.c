/* Structs that lead with their size: shorter ones of older headers, longer ones of newer headers.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

/* A struct as a newer header might have it. */
#define LONGER(type)             \
    union {                      \
        type known;              \
        unsigned char bytes[sizeof(type) + 64]; \
    }

static inotify_watcher *made(const void *options)
{
    errno = 0;
    return inotify_watcher_create(options);
}

static void refused(const void *options, int error)
{
    CHECK(made(options) == NULL);
    CHECK_EQ(errno, error);
    CHECK_EQ(last_error(NULL).error, error);
}

static void taken(const void *options)
{
    inotify_watcher *watcher = made(options);

    CHECK(watcher != NULL);
    inotify_watcher_destroy(watcher);
}

static void create_options(void)
{
    LONGER(inotify_watcher_options) longer;
    inotify_watcher_options *options = &longer.known;

    memset(&longer, 0, sizeof longer);
    refused(options, EINVAL);
    options->size = sizeof(size_t) - 1;
    refused(options, EINVAL);
    options->size = sizeof *options;
    taken(options);

    options->size = sizeof longer;
    taken(options);
    longer.bytes[sizeof longer - 1] = 1;
    refused(options, E2BIG);
    longer.bytes[sizeof longer - 1] = 0;
    longer.bytes[sizeof *options] = 1;
    refused(options, E2BIG);
    /* The same byte is none of the library's business if the size does not cover it. */
    options->size = sizeof *options;
    taken(options);

    /* What a short struct does not reach counts as 0, whatever stands in memory. */
    options->max_events = UINT32_MAX;
    options->max_scan = UINT32_MAX;
    options->read_size = UINT32_MAX;
    options->size = offsetof(inotify_watcher_options, read_size);
    taken(options);
    options->size = sizeof *options;
    refused(options, EINVAL);

    /* A size that nobody can mean: longer than any page. */
    memset(&longer, 0, sizeof longer);
    options->size = SIZE_MAX;
    refused(options, E2BIG);
}

static void create_values(void)
{
    static const struct {
        uint32_t flags, read_size, max_events, max_scan;
        int error;
    } rows[] = {
        {RINOTIFY_LOSE_CONNECTION_ON_DELETE_SELF, 0, 0, 0, 0},
        {2, 0, 0, 0, EINVAL},
        {0x80000000, 0, 0, 0, EINVAL},
        {0, 511, 0, 0, EINVAL},
        {0, 512, 0, 0, 0},
        {0, 16777216, 0, 0, 0},
        {0, 16777217, 0, 0, EINVAL},
        {0, 0, 1, 0, 0},
        {0, 0, 16777216, 0, 0},
        {0, 0, 16777217, 0, EINVAL},
        {0, 0, 0, 15, EINVAL},
        {0, 0, 0, 16, 0},
        {0, 0, 0, 16777216, 0},
        {0, 0, 0, 16777217, EINVAL},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        inotify_watcher_options options = {
            .size = sizeof options,
            .flags = rows[i].flags,
            .read_size = rows[i].read_size,
            .max_events = rows[i].max_events,
            .max_scan = rows[i].max_scan,
        };

        if (rows[i].error != 0)
            refused(&options, rows[i].error);
        else
            taken(&options);
    }
}

static void watch_options(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};
    LONGER(inotify_watcher_watch_options) longer;
    inotify_watcher_watch_options *options = &longer.known;

    make_dir("t");
    memset(&longer, 0, sizeof longer);
    options->mask = IN_CREATE;
    options->callback = record;
    options->user_data = &recorder;
    CHECK_EQ(inotify_watcher_watch_with(watcher, "t", options), -EINVAL);

    options->size = sizeof longer;
    longer.bytes[sizeof longer - 1] = 0x80;
    CHECK_EQ(inotify_watcher_watch_with(watcher, "t", options), -E2BIG);
    CHECK_EQ(last_error(watcher).error, E2BIG);
    longer.bytes[sizeof longer - 1] = 0;
    CHECK_OK(inotify_watcher_watch_with(watcher, "t", options));
    CHECK_OK(inotify_watcher_ignore(watcher, "t"));

    /* Too short to have a callback. */
    options->size = offsetof(inotify_watcher_watch_options, callback);
    CHECK_EQ(inotify_watcher_watch_with(watcher, "t", options), -EINVAL);
    /* Too short to have a release function: it must not be called. */
    options->release = record_release;
    options->size = offsetof(inotify_watcher_watch_options, release);
    CHECK_OK(inotify_watcher_watch_with(watcher, "t", options));
    make_file("t/a");
    EXPECT(watcher, &recorder, "create t/a");
    inotify_watcher_destroy(watcher);
    CHECK_EQ(recorder.released, 0);
}

static void error_and_stats(void)
{
    inotify_watcher *watcher = create();
    LONGER(inotify_watcher_error) error;
    LONGER(inotify_watcher_stats) stats;

    CHECK_EQ(inotify_watcher_watch(watcher, "missing", IN_CREATE, 0, record, NULL), -ENOENT);

    memset(&error, 0xa5, sizeof error);
    error.known.size = 0;
    CHECK_EQ(inotify_watcher_last_error(watcher, &error.known), -EINVAL);
    CHECK_EQ(error.bytes[sizeof(size_t)], 0xa5);

    /* Not a byte is written beyond the size that the caller stated. */
    memset(&error, 0xa5, sizeof error);
    error.known.size = offsetof(inotify_watcher_error, message);
    CHECK_OK(inotify_watcher_last_error(watcher, &error.known));
    CHECK_EQ(error.known.error, ENOENT);
    CHECK_STR(error.known.path, "missing");
    CHECK_EQ(error.bytes[offsetof(inotify_watcher_error, message)], 0xa5);

    /* A longer struct is filled in as far as the library knows it. */
    memset(&error, 0, sizeof error);
    error.known.size = sizeof error;
    CHECK_OK(inotify_watcher_last_error(watcher, &error.known));
    CHECK_EQ(error.known.error, ENOENT);
    CHECK(strstr(error.known.message, "missing") != NULL);

    memset(&stats, 0xa5, sizeof stats);
    stats.known.size = 15;
    CHECK_EQ(inotify_watcher_get_stats(watcher, &stats.known), -EINVAL);
    CHECK_EQ(stats.bytes[sizeof(size_t)], 0xa5);
    stats.known.size = offsetof(inotify_watcher_stats, watchpoints);
    CHECK_OK(inotify_watcher_get_stats(watcher, &stats.known));
    CHECK_EQ(stats.known.watches, 0);
    CHECK_EQ(stats.bytes[offsetof(inotify_watcher_stats, watchpoints)], 0xa5);

    memset(&stats, 0, sizeof stats);
    stats.known.size = sizeof stats;
    CHECK_OK(inotify_watcher_get_stats(watcher, &stats.known));
    inotify_watcher_destroy(watcher);
}

int main(void)
{
    check_begin(240);
    check_case("create-options");
    create_options();
    check_case("create-values");
    create_values();
    check_case("watch-options");
    watch_options();
    check_case("error-and-stats");
    error_and_stats();
    return 0;
}
