/* The recorder of events.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

static void *grown(void *block, size_t size)
{
    block = realloc(block, size);
    if (block == NULL)
        check_fail(__FILE__, __LINE__, "out of memory");
    return block;
}

/* What the interface promises of every event, whatever it is about. */
static void check_event(inotify_watcher *watcher, const inotify_watcher_event *event)
{
    CHECK(watcher != NULL);
    CHECK(event->size >= offsetof(inotify_watcher_event, reserved) + sizeof(uint32_t));
    CHECK(event->watch > 0);
    CHECK(event->mask != 0 || event->flags != 0);
    CHECK(event->path != NULL);
    CHECK_EQ(strlen(event->path), event->path_len);
    if (event->name != NULL) {
        CHECK(event->name > event->path && event->name < event->path + event->path_len);
        CHECK_EQ(event->name[-1], '/');
        CHECK(strchr(event->name, '/') == NULL);
    }
    /* A name that is found to lead elsewhere has not been renamed itself. */
    if ((event->flags & RINOTIFY_EVENT_SYNTHETIC) != 0)
        CHECK_EQ(event->cookie, 0);
    else
        CHECK_EQ(event->cookie != 0, (event->mask & IN_MOVE) != 0);
    if (event->old_path != NULL) {
        CHECK((event->mask & IN_MOVED_TO) != 0);
        CHECK_EQ(strlen(event->old_path), event->old_path_len);
    } else {
        CHECK_EQ(event->old_path_len, 0);
    }
    CHECK_EQ((event->flags & RINOTIFY_EVENT_ERROR) != 0, event->error != 0);
    CHECK_EQ(event->flags & ~(uint32_t)(RINOTIFY_EVENT_SYNTHETIC | RINOTIFY_EVENT_ERROR |
                                        RINOTIFY_EVENT_RESCAN_BEGIN | RINOTIFY_EVENT_RESCAN_END |
                                        RINOTIFY_EVENT_COVERAGE | RINOTIFY_EVENT_ROOT),
             0);
    CHECK_EQ((event->flags & RINOTIFY_EVENT_COVERAGE) != 0, event->coverage != 0);
    if (event->coverage != 0) {
        CHECK_EQ(event->mask, 0);
        CHECK(event->name == NULL);
        CHECK(event->coverage <= RINOTIFY_COVERAGE_OUT_OF_STEP);
    }
    CHECK_EQ(event->reserved, 0);
    if ((event->flags & RINOTIFY_EVENT_ROOT) != 0)
        CHECK(event->name == NULL);
}

static char *rendered(const inotify_watcher_event *event)
{
    char words[256];
    size_t room = sizeof words + event->path_len + event->old_path_len + 128;
    char *line = grown(NULL, room);
    size_t used;

    CHECK(inotify_watcher_mask_names(event->mask, words, sizeof words) < sizeof words);
    used = (size_t)snprintf(line, room, "%s%s%s", words, words[0] != '\0' ? " " : "", event->path);
    if (event->old_path != NULL)
        used += (size_t)snprintf(line + used, room - used, " <- %s", event->old_path);
    if ((event->flags & RINOTIFY_EVENT_ROOT) != 0)
        used += (size_t)snprintf(line + used, room - used, " [root]");
    if ((event->flags & RINOTIFY_EVENT_SYNTHETIC) != 0)
        used += (size_t)snprintf(line + used, room - used, " [synthetic]");
    if ((event->flags & RINOTIFY_EVENT_ERROR) != 0)
        used += (size_t)snprintf(line + used, room - used, " [error %s]",
                                 strerrorname_np(event->error));
    if ((event->flags & RINOTIFY_EVENT_RESCAN_BEGIN) != 0)
        used += (size_t)snprintf(line + used, room - used, " [rescan_begin]");
    if ((event->flags & RINOTIFY_EVENT_RESCAN_END) != 0)
        used += (size_t)snprintf(line + used, room - used, " [rescan_end]");
    if ((event->flags & RINOTIFY_EVENT_COVERAGE) != 0) {
        static const char *const names[] = {"", "complete", "partial", "out_of_step"};

        used += (size_t)snprintf(line + used, room - used, " [%s]", names[event->coverage]);
    }
    CHECK(used < room);
    return line;
}

void record(inotify_watcher *watcher, const inotify_watcher_event *event, void *user_data)
{
    struct recorder *recorder = user_data;

    check_event(watcher, event);
    /* No event after the release of its user data. */
    CHECK_EQ(recorder->released, 0);
    if (recorder->silent) {
        recorder->count++;
        return;
    }
    if (recorder->count == recorder->room) {
        recorder->room = recorder->room == 0 ? 64 : recorder->room * 2;
        recorder->lines = grown(recorder->lines, recorder->room * sizeof *recorder->lines);
        recorder->ids = grown(recorder->ids, recorder->room * sizeof *recorder->ids);
    }
    recorder->lines[recorder->count] = rendered(event);
    recorder->ids[recorder->count] = event->watch;
    recorder->count++;
}

void record_release(void *user_data)
{
    ((struct recorder *)user_data)->released++;
}

void recorder_clear(struct recorder *recorder)
{
    for (size_t i = 0; recorder->lines != NULL && i < recorder->count; i++)
        free(recorder->lines[i]);
    free(recorder->lines);
    free(recorder->ids);
    recorder->lines = NULL;
    recorder->ids = NULL;
    recorder->count = 0;
    recorder->room = 0;
}

size_t recorder_count(const struct recorder *recorder, const char *line)
{
    size_t found = 0;

    for (size_t i = 0; i < recorder->count; i++)
        found += strcmp(recorder->lines[i], line) == 0;
    return found;
}

long recorder_find(const struct recorder *recorder, const char *line)
{
    for (size_t i = 0; i < recorder->count; i++)
        if (strcmp(recorder->lines[i], line) == 0)
            return (long)i;
    return -1;
}

static int by_text(const void *one, const void *other)
{
    return strcmp(*(const char *const *)one, *(const char *const *)other);
}

static void show(const char *title, const char *const *lines, size_t count)
{
    fprintf(stderr, "%s (%zu):\n", title, count);
    for (size_t i = 0; i < count && i < 60; i++)
        fprintf(stderr, "    %s\n", lines[i]);
}

void expect(const char *file, int line, inotify_watcher *watcher, struct recorder *recorder,
            bool ordered, const char *const *lines)
{
    size_t count = 0;
    const char **want;
    const char *const *got;
    bool same;

    check_ok(file, line, "inotify_watcher_sync", inotify_watcher_sync(watcher));
    while (lines[count] != NULL)
        count++;
    want = grown(NULL, (count + 1) * sizeof *want);
    memcpy(want, lines, (count + 1) * sizeof *want);
    if (!ordered) {
        qsort(want, count, sizeof *want, by_text);
        if (recorder->count > 1)
            qsort(recorder->lines, recorder->count, sizeof *recorder->lines, by_text);
    }
    got = (const char *const *)recorder->lines;
    same = count == recorder->count;
    for (size_t i = 0; same && i < count; i++)
        same = strcmp(want[i], got[i]) == 0;
    if (!same) {
        show("expected", want, count);
        show("delivered", got, recorder->count);
        check_fail(file, line, "other events than expected");
    }
    free(want);
    recorder_clear(recorder);
}

int64_t watch(inotify_watcher *watcher, const char *path, uint32_t mask, uint32_t flags,
              struct recorder *recorder)
{
    int64_t id = inotify_watcher_watch(watcher, path, mask, flags, record, recorder);

    CHECK_OK(id);
    CHECK(id > 0);
    return id;
}

int64_t watch_released(inotify_watcher *watcher, const char *path, uint32_t mask, uint32_t flags,
                       struct recorder *recorder)
{
    inotify_watcher_watch_options options;
    int64_t id;

    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.mask = mask;
    options.flags = flags;
    options.callback = record;
    options.user_data = recorder;
    options.release = record_release;
    id = inotify_watcher_watch_with(watcher, path, &options);
    CHECK_OK(id);
    CHECK(id > 0);
    return id;
}

inotify_watcher *create(void)
{
    inotify_watcher *watcher = inotify_watcher_create(NULL);

    if (watcher == NULL)
        check_fail(__FILE__, __LINE__, "inotify_watcher_create: %s", strerror(errno));
    return watcher;
}

void drain(inotify_watcher *watcher)
{
    while (CHECK_OK(inotify_watcher_do_read(watcher)) > 0)
        ;
}

inotify_watcher_error last_error(const inotify_watcher *watcher)
{
    inotify_watcher_error error;

    memset(&error, 0, sizeof error);
    error.size = sizeof error;
    CHECK_EQ(inotify_watcher_last_error(watcher, &error), 0);
    return error;
}
