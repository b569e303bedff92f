/* Below the root no symbolic link is followed: not by the first scan, not when one appears, not
 * in a circle.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "mirror.h"

int main(void)
{
    inotify_watcher *watcher;
    struct recorder recorder = {0};
    struct mirror mirror = {0};

    check_begin(30);
    check_case("symlinks");
    watcher = create();
    make_dirs("outside/deep");
    make_dirs("t/d/e");
    CHECK_SYS(symlink("../outside", "t/link"));
    CHECK_SYS(symlink("..", "t/d/up"));
    CHECK_SYS(symlink(".", "t/self"));
    CHECK_SYS(symlink("/dev/null", "t/device"));
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    mirror_watch(watcher, "t", &mirror);
    MIRROR_EXPECT(watcher, &mirror, "t");
    CHECK_EQ(kernel_watch_count(watcher), 3);
    CHECK(!kernel_watches_path(watcher, "outside"));

    /* New links, one that is moved in, one to a directory in the tree, one that replaces one. */
    CHECK_SYS(symlink("../../outside", "t/d/link"));
    CHECK_SYS(symlink("e", "t/d/inside"));
    CHECK_SYS(symlink("../outside", "coming"));
    move("coming", "t/came");
    remove_file("t/self");
    CHECK_SYS(symlink("d", "t/self"));
    make_file("outside/unseen");
    make_file("outside/deep/unseen");
    make_file("t/d/e/seen");
    EXPECT(watcher, &recorder, "create t/d/link", "create t/d/inside", "moved_to t/came",
           "delete t/self", "create t/self", "create t/d/e/seen");
    MIRROR_EXPECT(watcher, &mirror, "t");
    CHECK_EQ(kernel_watch_count(watcher), 3);
    CHECK(!kernel_watches_path(watcher, "outside"));
    CHECK_TABLES(watcher);

    /* A directory becomes a link of the same name, and a link a directory. */
    remove_tree("t/d/e");
    CHECK_SYS(symlink("../../outside", "t/d/e"));
    remove_file("t/link");
    make_dir("t/link");
    make_file("t/link/f");
    MIRROR_EXPECT(watcher, &mirror, "t");
    CHECK_EQ(kernel_watch_count(watcher), 3);
    CHECK(!kernel_watches_path(watcher, "outside"));
    make_file("outside/unseen-too");
    make_file("t/link/g");
    MIRROR_EXPECT(watcher, &mirror, "t");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    mirror_clear(&mirror);
    recorder_clear(&recorder);
    return 0;
}
