/* Mount points below a root: followed, or not with RINOTIFY_WATCH_ONE_FILE_SYSTEM, whether another
 * file system or another place of the same one is mounted there.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <sys/mount.h>
#include <sys/syscall.h>

#define ONE (TREE | RINOTIFY_WATCH_ONE_FILE_SYSTEM)

static void mount_tmpfs(const char *path)
{
    if (mount("rinotify-test", path, "tmpfs", 0, "size=1m") == -1)
        check_skip("tmpfs cannot be mounted");
}

/* Bound mounts are known from Linux 5.6 on, where sandboxes let openat2(2) pass. */
static bool bound_is_known(void)
{
    long fd = syscall(SYS_openat2, -1, "", NULL, 0);

    return fd == -1 && errno != ENOSYS && errno != EPERM;
}

static void another_file_system(uint32_t more)
{
    inotify_watcher *watcher = create();
    struct recorder one = {0}, all = {0};

    make_dirs("t/m");
    make_dirs("t/d/e");
    mount_tmpfs("t/m");
    make_dirs("t/m/in/deep");
    make_file("t/m/in/f");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, ONE | more, &one);
    if (more != 0)
        EXPECT_SET(watcher, &one, "create|is_dir t/m [synthetic]",
                   "create|is_dir t/d [synthetic]", "create|is_dir t/d/e [synthetic]");
    CHECK_WATCHES(watcher, 3);
    CHECK(!kernel_watches_path(watcher, "t/m"));
    make_file("t/m/in/unseen");
    make_dir("t/m/unseen");
    make_dir("t/d/e/f");
    make_file("t/d/e/f/g");
    EXPECT_SET(watcher, &one, "create|is_dir t/d/e/f", "create t/d/e/f/g [synthetic]");
    CHECK_TABLES(watcher);

    /* The other watch of the same tree crosses it, and is told of its end. */
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &all);
    CHECK_WATCHES(watcher, 8);
    make_file("t/m/in/deep/f");
    EXPECT(watcher, &all, "create t/m/in/deep/f");
    EXPECT_NOTHING(watcher, &one);
    CHECK_TABLES(watcher);
    CHECK_SYS(umount("t/m"));
    EXPECT(watcher, &all, "unmount|is_dir t/m");
    EXPECT_NOTHING(watcher, &one);
    /* The name is free for an ordinary directory. */
    remove_dir("t/m");
    make_dirs("t/m/in");
    EXPECT_SET(watcher, &one, "delete|is_dir t/m", "create|is_dir t/m",
               "create|is_dir t/m/in [synthetic]");
    make_file("t/m/in/f");
    EXPECT(watcher, &one, "create t/m/in/f");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    recorder_clear(&one);
    recorder_clear(&all);
}

/* Mounted on a new directory before anybody looked; and with a root that is a mount point itself. */
static void later(void)
{
    inotify_watcher *watcher = create();
    struct recorder one = {0}, all = {0}, inside = {0};

    make_dir("t");
    watch(watcher, "t", IN_CREATE, ONE, &one);
    watch(watcher, "t", IN_CREATE, TREE, &all);
    make_dir("t/m");
    mount_tmpfs("t/m");
    make_dirs("t/m/in");
    EXPECT(watcher, &one, "create|is_dir t/m");
    EXPECT_SET(watcher, &all, "create|is_dir t/m", "create|is_dir t/m/in [synthetic]");
    make_file("t/m/in/f");
    EXPECT_NOTHING(watcher, &one);
    EXPECT(watcher, &all, "create t/m/in/f");
    CHECK_TABLES(watcher);
    watch(watcher, "t/m", IN_CREATE, ONE, &inside);
    make_dirs("t/m/new/deep");
    make_file("t/m/new/deep/f");
    EXPECT_SET(watcher, &inside, "create|is_dir t/m/new",
               "create|is_dir t/m/new/deep [synthetic]", "create t/m/new/deep/f [synthetic]");
    EXPECT_NOTHING(watcher, &one);
    inotify_watcher_destroy(watcher);
    recorder_clear(&one);
    recorder_clear(&all);
    recorder_clear(&inside);
    CHECK_SYS(umount("t/m"));
}

/* The same file system at a second place. */
static void bound(void)
{
    inotify_watcher *watcher = create();
    struct recorder one = {0}, all = {0};

    make_dirs("t/a/d");
    make_dirs("t/b");
    make_dirs("o/in");
    make_dirs("t/c");
    CHECK_SYS(mount("t/a", "t/b", "none", MS_BIND, NULL));
    CHECK_SYS(mount("o", "t/c", "none", MS_BIND, NULL));
    watch(watcher, "t", IN_CREATE, ONE, &one);
    CHECK_WATCHES(watcher, 3);
    make_file("t/a/d/f");
    make_file("t/b/d/g");
    make_file("t/c/in/f");
    EXPECT(watcher, &one, "create t/a/d/f", "create t/a/d/g");
    CHECK_TABLES(watcher);
    watch(watcher, "t", IN_CREATE, TREE, &all);
    make_file("t/a/d/h");
    make_file("t/c/in/h");
    EXPECT(watcher, &one, "create t/a/d/h");
    EXPECT_SET(watcher, &all, "create t/a/d/h", "create t/b/d/h", "create t/c/in/h");
    CHECK_SYS(umount("t/c"));
    CHECK_SYS(umount("t/b"));
    inotify_watcher_destroy(watcher);
    recorder_clear(&one);
    recorder_clear(&all);
}

/* The flag is one that can be changed: for what is found from then on. */
static void changed(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};
    int64_t id;

    make_dir("t");
    make_dir("n");
    mount_tmpfs("n");
    id = watch(watcher, "t", IN_CREATE, ONE, &recorder);
    make_dir("t/one");
    CHECK_SYS(mount("n", "t/one", "none", MS_BIND, NULL));
    EXPECT(watcher, &recorder, "create|is_dir t/one");
    CHECK_WATCHES(watcher, 1);
    CHECK_EQ(watch(watcher, "t", IN_CREATE, TREE, &recorder), id);
    make_dir("t/two");
    CHECK_SYS(mount("n", "t/two", "none", MS_BIND, NULL));
    EXPECT(watcher, &recorder, "create|is_dir t/two");
    make_file("t/one/f");
    EXPECT(watcher, &recorder, "create t/two/f");
    CHECK_WATCHES(watcher, 2);
    CHECK_SYS(umount("t/one"));
    CHECK_SYS(umount("t/two"));
    CHECK_SYS(umount("n"));
    inotify_watcher_destroy(watcher);
    recorder_clear(&recorder);
}

int main(void)
{
    check_begin(120);
    check_private_mounts();
    check_case("another");
    another_file_system(0);
    check_case("another-existing");
    another_file_system(RINOTIFY_WATCH_EMIT_EXISTING);
    check_case("later");
    later();
    check_case("changed");
    changed();
    if (!bound_is_known())
        check_skip("no openat2(2): a bound directory of the same file system is followed");
    check_case("bound");
    bound();
    return 0;
}
