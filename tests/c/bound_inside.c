/* A directory that is bound to a second place of the same tree: one inode, two names, and what
 * happens in it is told under both.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "mirror.h"

#include <sys/mount.h>

int main(void)
{
    inotify_watcher *watcher;
    struct recorder recorder = {0};
    struct mirror mirror = {0};

    check_begin(240);
    check_private_mounts();
    check_case("bound-inside");
    watcher = create();
    make_dirs("t/a/d");
    make_dirs("t/b");
    CHECK_SYS(mount("t/a", "t/b", "none", MS_BIND, NULL));
    watch(watcher, "t", IN_CREATE | IN_DELETE, TREE, &recorder);
    /* From the moment that the call has returned, before anything was read. */
    make_file("t/a/d/f");
    EXPECT_SET(watcher, &recorder, "create t/a/d/f", "create t/b/d/f");
    remove_file("t/b/d/f");
    EXPECT_SET(watcher, &recorder, "delete t/a/d/f", "delete t/b/d/f");
    mirror_watch(watcher, "t", &mirror);
    make_dirs("t/b/new/deep");
    make_file("t/a/new/deep/f");
    MIRROR_EXPECT(watcher, &mirror, "t");
    remove_tree("t/a/new");
    MIRROR_EXPECT(watcher, &mirror, "t");
    recorder_clear(&recorder);
    CHECK_WATCHES(watcher, 3);
    CHECK_TABLES(watcher);
    CHECK_OK(inotify_watcher_ignore(watcher, "t/b"));
    make_file("t/a/d/g");
    EXPECT(watcher, &recorder, "create t/a/d/g");
    CHECK_SYS(umount("t/b"));
    inotify_watcher_destroy(watcher);
    mirror_clear(&mirror);
    return 0;
}
