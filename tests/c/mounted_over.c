/* A file system that is mounted on a directory of the tree after that was watched: inotify does not
 * tell it. The rest of the tree goes on, and when the file system is gone, so does what it covered.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "mirror.h"

#include <sys/mount.h>

static void mount_on(const char *path)
{
    if (mount("rinotify-test", path, "tmpfs", 0, "size=1m") == -1)
        check_skip("tmpfs cannot be mounted");
}

static void on_a_directory(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};
    inotify_watcher_status status = {.size = sizeof status};
    int64_t id;
    size_t kernel;

    check_case("directory");
    make_dirs("t/d/in");
    make_dirs("t/e");
    id = watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    EXPECT_NOTHING(watcher, &recorder);
    kernel = kernel_watch_count(watcher);
    mount_on("t/d");
    make_dirs("t/d/in/deep");
    make_file("t/d/in/deep/f");
    EXPECT_NOTHING(watcher, &recorder);
    CHECK_WATCHES(watcher, kernel);
    make_dir("t/e/new");
    make_file("t/e/f");
    EXPECT(watcher, &recorder, "create|is_dir t/e/new", "create t/e/f");
    CHECK_SYS(umount("t/d"));
    make_dir("t/d/in/after");
    EXPECT(watcher, &recorder, "create|is_dir t/d/in/after");
    make_file("t/d/in/after/f");
    EXPECT(watcher, &recorder, "create t/d/in/after/f");
    CHECK_OK(inotify_watcher_get_status(watcher, id, &status));
    CHECK_EQ(status.coverage, RINOTIFY_COVERAGE_COMPLETE);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* One that was there when the tree was watched goes: the directory that it covered is what its name
 * leads to then. */
static void what_was_covered(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    check_case("covered");
    make_dirs("t/d/under");
    mount_on("t/d");
    make_dirs("t/d/in");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    EXPECT_NOTHING(watcher, &recorder);
    CHECK_SYS(umount("t/d"));
    EXPECT(watcher, &recorder, "unmount|is_dir t/d", "create|is_dir t/d/under [synthetic]");
    make_file("t/d/under/f");
    EXPECT(watcher, &recorder, "create t/d/under/f");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

int main(void)
{
    check_begin(120);
    check_private_mounts();
    on_a_directory();
    what_was_covered();
    return 0;
}
