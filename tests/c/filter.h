/* What the tests of filters share: a watch with patterns, a filter that says no to some names and
 * remembers what it was asked.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef FILTER_H
#define FILTER_H

#include "check.h"

/* The user data of a filtered watch. The recorder comes first, so that the callback finds it. */
struct filtered {
    struct recorder recorder;
    struct recorder asked;      /* what the filter was asked: "2 t/a/b" is depth and path */
    const char *const *refused; /* names that it says no to, ended by NULL */
    int64_t id;
};

/* The patterns of a watch, for `excludes`. */
#define PATTERNS(...) ((const char *const[]){__VA_ARGS__, NULL})

static inline int ask(inotify_watcher *watcher, const inotify_watcher_directory *directory,
                      void *user_data)
{
    struct filtered *filtered = user_data;
    struct recorder *asked = &filtered->asked;

    CHECK(watcher != NULL);
    CHECK(directory->size >= sizeof *directory);
    CHECK_EQ(strlen(directory->path), directory->path_len);
    CHECK(directory->name == strrchr(directory->path, '/') + 1);
    CHECK(directory->watch > 0);
    CHECK(filtered->id == 0 || filtered->id == directory->watch);
    if (asked->count == asked->room) {
        asked->room = asked->room * 2 + 16;
        asked->lines = realloc(asked->lines, asked->room * sizeof *asked->lines);
        asked->ids = realloc(asked->ids, asked->room * sizeof *asked->ids);
        CHECK(asked->lines != NULL && asked->ids != NULL);
    }
    asked->ids[asked->count] = directory->watch;
    CHECK(asprintf(&asked->lines[asked->count++], "%u %s", directory->depth, directory->path) > 0);
    for (const char *const *name = filtered->refused; name != NULL && *name != NULL; name++) {
        if (strcmp(*name, directory->name) == 0)
            return 0;
    }
    return 1;
}

static inline int64_t watch_filtered(inotify_watcher *watcher, const char *path, uint32_t mask,
                                     uint32_t flags, const char *const *excludes, bool asks,
                                     struct filtered *filtered)
{
    inotify_watcher_watch_options options;

    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.mask = mask;
    options.flags = flags;
    options.callback = record;
    options.user_data = filtered;
    options.release = record_release;
    options.filter = asks ? ask : NULL;
    options.excludes = excludes;
    filtered->id = CHECK_OK(inotify_watcher_watch_with(watcher, path, &options));
    return filtered->id;
}

/* Syncs, then compares what the filter was asked with the lines given, in any order, and clears
 * both recorders. */
#define EXPECT_ASKED(watcher, filtered, ...)                                             \
    do {                                                                                 \
        EXPECT_SET((watcher), &(filtered)->asked, __VA_ARGS__);                          \
        recorder_clear(&(filtered)->recorder);                                           \
    } while (0)

static inline void filtered_clear(struct filtered *filtered)
{
    recorder_clear(&filtered->recorder);
    recorder_clear(&filtered->asked);
}

#endif /* FILTER_H */
