/* NULL everywhere, unknown bits, empty and endless paths, a closed watcher: an error, never a
 * crash, and never a callback.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <limits.h>

static int no_visit(const inotify_watcher_watchpoint *watchpoint, void *user_data)
{
    (void)watchpoint;
    (void)user_data;
    check_fail(__FILE__, __LINE__, "the visitor was called");
}

static void no_event(inotify_watcher *watcher, const inotify_watcher_event *event, void *user_data)
{
    (void)watcher;
    (void)user_data;
    check_fail(__FILE__, __LINE__, "an event was delivered: %s", event->path);
}

static void null_watcher(void)
{
    inotify_watcher_watch_options options = {.size = sizeof options,
                                             .mask = IN_CREATE,
                                             .callback = no_event};
    inotify_watcher_stats stats = {.size = sizeof stats};

    inotify_watcher_destroy(NULL);
    CHECK_EQ(inotify_watcher_fileno(NULL), -1);
    CHECK_EQ(inotify_watcher_do_read(NULL), -EINVAL);
    CHECK_EQ(inotify_watcher_watch(NULL, ".", IN_CREATE, 0, no_event, NULL), -EINVAL);
    CHECK_EQ(inotify_watcher_watch_with(NULL, ".", &options), -EINVAL);
    CHECK_EQ(inotify_watcher_ignore(NULL, "."), -EINVAL);
    CHECK_EQ(inotify_watcher_ignore_watch(NULL, 1), -EINVAL);
    CHECK_EQ(inotify_watcher_is_watched(NULL, "."), -EINVAL);
    CHECK_EQ(inotify_watcher_sync(NULL), -EINVAL);
    CHECK_EQ(inotify_watcher_lose_connection(NULL), -EINVAL);
    CHECK_EQ(inotify_watcher_get_stats(NULL, &stats), -EINVAL);
    CHECK_EQ(inotify_watcher_for_each_watchpoint(NULL, no_visit, NULL), -EINVAL);
}

static void null_arguments(void)
{
    inotify_watcher *watcher = create();
    inotify_watcher_watch_options options = {.size = sizeof options, .mask = IN_CREATE};

    CHECK_EQ(inotify_watcher_watch(watcher, NULL, IN_CREATE, 0, no_event, NULL), -EINVAL);
    CHECK_EQ(inotify_watcher_watch(watcher, ".", IN_CREATE, 0, NULL, NULL), -EINVAL);
    CHECK_EQ(inotify_watcher_watch_with(watcher, ".", NULL), -EINVAL);
    CHECK_EQ(inotify_watcher_watch_with(watcher, ".", &options), -EINVAL);
    options.callback = no_event;
    CHECK_EQ(inotify_watcher_watch_with(watcher, NULL, &options), -EINVAL);
    CHECK_EQ(inotify_watcher_ignore(watcher, NULL), -EINVAL);
    CHECK_EQ(inotify_watcher_is_watched(watcher, NULL), -EINVAL);
    CHECK_EQ(inotify_watcher_get_stats(watcher, NULL), -EINVAL);
    CHECK_EQ(inotify_watcher_for_each_watchpoint(watcher, NULL, NULL), -EINVAL);
    CHECK_EQ(inotify_watcher_last_error(watcher, NULL), -EINVAL);
    CHECK_EQ(inotify_watcher_last_error(NULL, NULL), -EINVAL);
    CHECK_EQ(inotify_watcher_mask_names(IN_CREATE, NULL, 0), strlen("create"));
    CHECK_EQ(get_stats(watcher).watches, 0);
    CHECK_WATCHES(watcher, 0);
    inotify_watcher_destroy(watcher);
}

static void masks_and_flags(void)
{
    inotify_watcher *watcher = create();
    static const uint32_t wrong_masks[] = {
        0,
        IN_ONLYDIR,
        IN_DONT_FOLLOW | IN_ONESHOT | IN_EXCL_UNLINK,
        IN_CREATE | 0x00010000,
        IN_CREATE | 0x00001000,
        IN_CREATE | 0x08000000,
    };

    for (size_t i = 0; i < sizeof wrong_masks / sizeof wrong_masks[0]; i++)
        CHECK_EQ(inotify_watcher_watch(watcher, ".", wrong_masks[i], 0, no_event, NULL), -EINVAL);
    for (uint32_t bit = 0x80000000; bit != 0; bit >>= 1) {
        if ((bit & 0xffff) != 0)
            continue;
        CHECK_EQ(inotify_watcher_watch(watcher, ".", IN_CREATE, bit, no_event, NULL), -EINVAL);
        CHECK_EQ(inotify_watcher_watch(watcher, ".", IN_CREATE,
                                       bit | RINOTIFY_WATCH_RECURSIVE, no_event, NULL),
                 -EINVAL);
    }
    CHECK_WATCHES(watcher, 0);
    inotify_watcher_destroy(watcher);
}

static void paths(void)
{
    inotify_watcher *watcher = create();
    char *endless = malloc(5001);

    CHECK(endless != NULL);
    memset(endless, 'a', 5000);
    endless[5000] = '\0';
    /* Once as one name, once with components short enough to be names. */
    for (int round = 0; round < 2; round++) {
        CHECK_EQ(inotify_watcher_watch(watcher, endless, IN_CREATE, 0, no_event, NULL),
                 -ENAMETOOLONG);
        CHECK_EQ(last_error(watcher).error, ENAMETOOLONG);
        CHECK(last_error(watcher).message[0] != '\0');
        CHECK_EQ(inotify_watcher_watch(watcher, endless, IN_CREATE, TREE, no_event, NULL),
                 -ENAMETOOLONG);
        /* Nothing that is watched has such a path, but something could. */
        CHECK_EQ(inotify_watcher_ignore(watcher, endless), -ENOENT);
        CHECK_EQ(inotify_watcher_is_watched(watcher, endless), 0);
        for (int i = 99; i < 5000; i += 100)
            endless[i] = '/';
    }
    /* One name of more than NAME_MAX bytes. */
    endless[NAME_MAX + 1] = '\0';
    memset(endless, 'b', NAME_MAX + 1);
    CHECK_EQ(inotify_watcher_watch(watcher, endless, IN_CREATE, 0, no_event, NULL), -ENAMETOOLONG);
    free(endless);

    CHECK_EQ(inotify_watcher_watch(watcher, "", IN_CREATE, 0, no_event, NULL), -EINVAL);
    CHECK_EQ(inotify_watcher_ignore(watcher, ""), -EINVAL);
    CHECK_EQ(inotify_watcher_is_watched(watcher, ""), -EINVAL);

    CHECK_EQ(inotify_watcher_watch(watcher, "missing", IN_CREATE, 0, no_event, NULL), -ENOENT);
    CHECK_EQ(inotify_watcher_watch(watcher, "missing/x", IN_CREATE, TREE, no_event, NULL), -ENOENT);
    make_file("file");
    CHECK_EQ(inotify_watcher_watch(watcher, "file/x", IN_CREATE, 0, no_event, NULL), -ENOTDIR);
    CHECK_EQ(inotify_watcher_watch(watcher, "file", IN_CREATE, RINOTIFY_WATCH_RECURSIVE, no_event,
                                   NULL),
             -ENOTDIR);
    CHECK_EQ(last_error(watcher).error, ENOTDIR);
    CHECK_STR(last_error(watcher).path, "file");
    CHECK_EQ(inotify_watcher_watch(watcher, "file", IN_CREATE | IN_ONLYDIR, 0, no_event, NULL),
             -ENOTDIR);
    CHECK_SYS(symlink("loop", "loop"));
    CHECK_EQ(inotify_watcher_watch(watcher, "loop", IN_CREATE, 0, no_event, NULL), -ELOOP);
    CHECK_SYS(symlink("nowhere", "dangling"));
    CHECK_EQ(inotify_watcher_watch(watcher, "dangling", IN_CREATE, 0, no_event, NULL), -ENOENT);

    CHECK_EQ(inotify_watcher_ignore(watcher, "file"), -ENOENT);
    CHECK_EQ(inotify_watcher_is_watched(watcher, "file"), 0);
    CHECK_EQ(inotify_watcher_ignore_watch(watcher, 0), -ENOENT);
    CHECK_EQ(inotify_watcher_ignore_watch(watcher, -1), -ENOENT);
    CHECK_EQ(inotify_watcher_ignore_watch(watcher, INT64_MAX), -ENOENT);
    CHECK_EQ(inotify_watcher_ignore_watch(watcher, INT64_MIN), -ENOENT);
    CHECK_WATCHES(watcher, 0);
    CHECK_EQ(get_stats(watcher).watches, 0);
    CHECK_OK(inotify_watcher_sync(watcher));
    inotify_watcher_destroy(watcher);
}

static void closed_watcher(void)
{
    inotify_watcher *watcher = create();
    int fd = inotify_watcher_fileno(watcher);
    struct recorder recorder = {0};
    inotify_watcher_watch_options options = {.size = sizeof options,
                                             .mask = IN_CREATE,
                                             .callback = no_event};
    inotify_watcher_stats stats = {.size = sizeof stats};

    make_dir("t");
    watch_released(watcher, "t", IN_CREATE, 0, &recorder);
    make_file("t/queued");
    CHECK_EQ(inotify_watcher_lose_connection(watcher), 0);
    CHECK_EQ(recorder.count, 0);
    CHECK_EQ(recorder.released, 1);
    CHECK_EQ(inotify_watcher_fileno(watcher), -1);
    /* The number is free again. */
    CHECK_EQ(access(format("/proc/self/fd/%d", fd), F_OK), -1);

    CHECK_EQ(inotify_watcher_lose_connection(watcher), 0);
    CHECK_EQ(inotify_watcher_do_read(watcher), -EBADF);
    CHECK_EQ(last_error(watcher).error, EBADF);
    CHECK_EQ(inotify_watcher_sync(watcher), -EBADF);
    CHECK_EQ(inotify_watcher_watch(watcher, "t", IN_CREATE, 0, no_event, NULL), -EBADF);
    CHECK_EQ(inotify_watcher_watch_with(watcher, "t", &options), -EBADF);
    CHECK_EQ(inotify_watcher_ignore(watcher, "t"), -EBADF);
    CHECK_EQ(inotify_watcher_ignore_watch(watcher, 1), -EBADF);
    CHECK_EQ(inotify_watcher_is_watched(watcher, "t"), -EBADF);
    CHECK_EQ(inotify_watcher_get_stats(watcher, &stats), -EBADF);
    CHECK_EQ(inotify_watcher_for_each_watchpoint(watcher, no_visit, NULL), -EBADF);
    CHECK_EQ(recorder.count, 0);
    CHECK_EQ(recorder.released, 1);
    inotify_watcher_destroy(watcher);
    CHECK_EQ(recorder.released, 1);
}

int main(void)
{
    check_begin(240);
    check_case("null-watcher");
    null_watcher();
    check_case("null-arguments");
    null_arguments();
    check_case("masks-and-flags");
    masks_and_flags();
    check_case("paths");
    paths();
    check_case("closed-watcher");
    closed_watcher();
    return 0;
}
