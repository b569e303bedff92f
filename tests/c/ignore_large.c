/* P10, P11: the end of a watch of a large tree. Each directory that the kernel watches no more is one
 * event, and these are more than the queue has room for: nobody else loses anything by it.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

enum { QUEUE = 1000, DIRS = 5 * QUEUE };

int main(void)
{
    inotify_watcher_options options = {.size = sizeof options};
    struct recorder large = {.silent = true}, other = {0};
    inotify_watcher *watcher;
    int64_t id;

    check_begin(120);
    check_case("ignore");
    make_dir("t");
    make_dir("u");
    for (int i = 0; i < DIRS; i++)
        make_dir(format("t/%d", i));
    watcher = create_with_queue(&options, QUEUE);
    if (watcher == NULL)
        check_skip("needs root, to limit the queue");
    id = watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &large);
    watch(watcher, "u", RINOTIFY_WATCH_MASK, TREE, &other);
    drain(watcher);
    CHECK_OK(inotify_watcher_ignore_watch(watcher, id));
    /* Each time some are removed; nothing else need happen for it. */
    drain(watcher);
    CHECK_EQ(get_stats(watcher).overflows, 0);
    CHECK_TABLES(watcher);
    CHECK_EQ(get_stats(watcher).watchpoints, 1);
    EXPECT_NOTHING(watcher, &other);
    make_file("u/f");
    EXPECT(watcher, &other, "create u/f");
    inotify_watcher_destroy(watcher);
    remove_tree("t");
    remove_tree("u");
    return 0;
}
