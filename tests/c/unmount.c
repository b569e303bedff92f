/* A file system that goes away under a watch: the watches on it end and say so, the others stay.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <sys/mount.h>

static void mount_at(const char *path)
{
    if (mount("rinotify-test", path, "tmpfs", 0, "size=1m") == -1)
        check_skip("tmpfs cannot be mounted");
}

static void root_unmounted(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0}, file = {0}, other = {0};

    make_dir("m");
    make_dir("other");
    mount_at("m");
    make_dirs("m/d");
    make_file("m/d/f");
    watch_released(watcher, "m", IN_CREATE, TREE, &recorder);
    watch_released(watcher, "m/d/f", IN_MODIFY, 0, &file);
    watch(watcher, "other", IN_CREATE, TREE, &other);
    make_file("m/d/g");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_SYS(umount("m"));
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_STR(recorder.lines[0], "create m/d/g");
    CHECK(recorder.count >= 3);
    CHECK(strncmp(recorder.lines[recorder.count - 2], "unmount", 7) == 0);
    CHECK_STR(strrchr(recorder.lines[recorder.count - 2], ' '), " m");
    CHECK_STR(recorder.lines[recorder.count - 1], "ignored m");
    CHECK_EQ(recorder.released, 1);
    CHECK(file.count >= 2);
    CHECK_STR(file.lines[file.count - 2], "unmount m/d/f");
    CHECK_STR(file.lines[file.count - 1], "ignored m/d/f");
    CHECK_EQ(file.released, 1);
    CHECK_EQ(get_stats(watcher).watches, 1);
    CHECK_WATCHES(watcher, 1);
    CHECK_EQ(inotify_watcher_is_watched(watcher, "m"), 0);
    make_file("other/f");
    EXPECT(watcher, &other, "create other/f");
    CHECK_TABLES(watcher);
    recorder_clear(&recorder);
    recorder_clear(&file);
    inotify_watcher_destroy(watcher);
}

/* One file system under two names, bound there: each watch has its own spelling. */
static void bind_mount(void)
{
    inotify_watcher *watcher = create();
    struct recorder one = {0}, two = {0};

    make_dirs("a/d");
    make_dir("b");
    CHECK_SYS(mount("a", "b", "none", MS_BIND, NULL));
    watch(watcher, "a", RINOTIFY_WATCH_MASK, TREE, &one);
    watch(watcher, "b", IN_CREATE, TREE, &two);
    CHECK_WATCHES(watcher, 2);
    make_file("a/d/f");
    make_dir("b/e");
    make_file("b/e/g");
    CHECK_SYS(chmod("a/d/f", 0600));
    EXPECT_SET(watcher, &one, "create a/d/f", "create|is_dir a/e", "create a/e/g [synthetic]",
               "attrib a/d/f");
    EXPECT_SET(watcher, &two, "create b/d/f", "create|is_dir b/e", "create b/e/g [synthetic]");
    CHECK_TABLES(watcher);
    CHECK_OK(inotify_watcher_ignore(watcher, "a"));
    make_file("a/d/h");
    EXPECT_NOTHING(watcher, &one);
    EXPECT(watcher, &two, "create b/d/h");
    CHECK_WATCHES(watcher, 3);
    CHECK_TABLES(watcher);
    CHECK_SYS(umount("b"));
    inotify_watcher_destroy(watcher);
}

int main(void)
{
    check_begin(240);
    check_private_mounts();
    check_case("root-unmounted");
    root_unmounted();
    check_case("bind-mount");
    bind_mount();
    return 0;
}
