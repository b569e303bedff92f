/* The watcher and who reads it: not root where modes are to mean something, and without descriptors
 * where those are to be missing. Everything else is done by the writer.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "mixed.h"
#include "reader.h"

#include <sys/resource.h>

inotify_watcher *watcher;
int64_t watch_id;
bool no_descriptors;

static struct rlimit usual;

static void limit_descriptors(rlim_t limit)
{
    struct rlimit now = {limit, usual.rlim_max};

    CHECK_SYS(setrlimit(RLIMIT_NOFILE, &now));
}

static void begin_reading(void)
{
    if (plan.modes)
        as_reader();
    if (no_descriptors)
        limit_descriptors(3);
}

static void end_reading(void)
{
    if (no_descriptors)
        limit_descriptors(usual.rlim_cur);
    if (plan.modes)
        as_writer();
}

void set_watch_limit(bool near)
{
    inotify_watcher_stats stats;
    uint64_t limit = 1000000;
    FILE *file;

    if (!plan.limit)
        return;
    if (near) {
        stats = get_stats(watcher);
        limit = stats.watchpoints + stats.internal_watchpoints + below(6);
    }
    note("limit %llu", (unsigned long long)limit);
    file = fopen("/proc/sys/user/max_inotify_watches", "we");
    CHECK(file != NULL);
    CHECK(fprintf(file, "%llu\n", (unsigned long long)limit) > 0);
    CHECK_EQ(fclose(file), 0);
}

void reader_create(void)
{
    inotify_watcher_options options = {.size = sizeof options};

    CHECK_SYS(getrlimit(RLIMIT_NOFILE, &usual));
    if (below(2) == 0)
        options.max_scan = 16 + below(20);
    if (below(3) == 0)
        options.read_size = 512;
    if (below(3) == 0)
        options.max_events = 1 + below(20);
    begin_reading();
    watcher = inotify_watcher_create(&options);
    end_reading();
    CHECK(watcher != NULL);
}

void reader_watch(void)
{
    static const char *const left_out[] = {"x*", NULL};
    inotify_watcher_watch_options options = {.size = sizeof options,
                                             .mask = RINOTIFY_WATCH_MASK | IN_CLOSE_WRITE,
                                             .flags = TREE | RINOTIFY_WATCH_EMIT_EXISTING,
                                             .callback = copy_event,
                                             .release = copy_release};

    if (plan.follow)
        options.flags |= RINOTIFY_WATCH_FOLLOW_NAME;
    if (plan.track)
        options.flags |= RINOTIFY_WATCH_TRACK_ENTRIES;
    if (plan.filter && plan.callback)
        options.filter = copy_filter;
    else if (plan.filter)
        options.excludes = left_out;
    begin_reading();
    watch_id = CHECK_OK(inotify_watcher_watch_with(watcher, ROOT, &options));
    end_reading();
}

void reader_read(void)
{
    int left;

    begin_reading();
    left = CHECK_OK(inotify_watcher_do_read(watcher));
    end_reading();
    note("   do_read %d", left);
}

void reader_drain(void)
{
    note("   drain");
    begin_reading();
    drain(watcher);
    end_reading();
}

void reader_retry(void)
{
    begin_reading();
    CHECK_OK(inotify_watcher_retry(watcher));
    end_reading();
}

void reader_sync(void)
{
    begin_reading();
    CHECK_OK(inotify_watcher_sync(watcher));
    end_reading();
}

void reader_end(void)
{
    int gone = inotify_watcher_ignore_watch(watcher, watch_id);

    CHECK_EQ(gone, copy.ended ? -ENOENT : 0);
    CHECK_EQ(copy.released, 1);
    reader_drain();
    CHECK_WATCHES(watcher, 0);
    inotify_watcher_destroy(watcher);
    CHECK_EQ(copy.released, 1);
}
