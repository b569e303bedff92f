/* The limit on watches reached inside a recursive watch: one clear error that names a directory
 * and the limit, and nothing left behind. The limit is that of a user namespace of this process's
 * own, so that nobody else on the machine feels it.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <sched.h>

static const char limit_file[] = "/proc/sys/user/max_inotify_watches";

static void set_limit(unsigned limit)
{
    FILE *file = fopen(limit_file, "we");

    if (file == NULL)
        check_skip("the limit of the namespace cannot be set");
    CHECK(fprintf(file, "%u\n", limit) > 0);
    if (fclose(file) != 0)
        check_skip("the limit of the namespace cannot be set");
}

int main(void)
{
    inotify_watcher *watcher;
    struct recorder before = {0}, failed = {0};
    inotify_watcher_error error;
    inotify_watcher_watch_options options = {.size = sizeof options,
                                             .mask = RINOTIFY_WATCH_MASK,
                                             .flags = TREE | RINOTIFY_WATCH_EMIT_EXISTING,
                                             .callback = record,
                                             .user_data = &failed,
                                             .release = record_release};
    size_t kernel;

    check_begin(240);
    check_case("tree");
    make_dir("t");
    for (int i = 0; i < 100; i++)
        make_dir(format("t/%d", i));
    make_dir("small");
    if (unshare(CLONE_NEWUSER) == -1)
        check_skip("needs a user namespace of its own");
    set_limit(1000);

    watcher = create();
    watch(watcher, "small", RINOTIFY_WATCH_MASK, TREE, &before);
    CHECK_OK(inotify_watcher_sync(watcher));
    kernel = kernel_watches(inotify_watcher_fileno(watcher), NULL, 0);

    set_limit(50);
    CHECK_EQ(inotify_watcher_watch_with(watcher, "t", &options), -ENOSPC);
    error = last_error(watcher);
    CHECK_EQ(error.error, ENOSPC);
    /* It is about a directory of the tree, and the sentence has it and the limit's name. */
    CHECK(strncmp(error.path, "t", 1) == 0);
    CHECK(strstr(error.message, error.path) != NULL);
    CHECK(strstr(error.message, "max_user_watches") != NULL);
    CHECK_EQ(error.limit, 50);
    CHECK_EQ(kernel_watches(inotify_watcher_fileno(watcher), NULL, 0), kernel);
    CHECK_EQ(get_stats(watcher).watches, 1);
    CHECK_EQ(failed.released, 0);
    make_file("t/5/unseen");
    make_file("small/seen");
    EXPECT(watcher, &before, "create small/seen");
    CHECK_EQ(failed.count, 0);
    CHECK_TABLES(watcher);

    /* With room again the same call succeeds. */
    set_limit(1000);
    CHECK_OK(inotify_watcher_watch_with(watcher, "t", &options));
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(get_stats(watcher).watchpoints, 102);
    CHECK_EQ(failed.count, 101);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    CHECK_EQ(failed.released, 1);
    recorder_clear(&failed);
    return 0;
}
