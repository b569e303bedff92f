/* One inode under two names by bind mounts: each root, and each place below a root, has its own
 * events, and the end of one is not the end of the other.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <sys/mount.h>

static void bind(const char *from, const char *to)
{
    CHECK_SYS(mount(from, to, "none", MS_BIND, NULL));
}

/* Two roots: their own spelling, their own mask. */
static void two_roots(void)
{
    inotify_watcher *watcher = create();
    struct recorder one = {0}, two = {0};

    make_dirs("a/d");
    make_dir("b");
    bind("a", "b");
    watch(watcher, "a", RINOTIFY_WATCH_MASK, TREE, &one);
    watch_released(watcher, "b", IN_CREATE | IN_DELETE, TREE, &two);
    CHECK_WATCHES(watcher, 2);
    make_dirs("a/d/e");
    make_file("b/d/e/f");
    CHECK_SYS(chmod("a/d", 0700));
    EXPECT_SET(watcher, &one, "create|is_dir a/d/e", "create a/d/e/f [synthetic]",
               "attrib|is_dir a/d");
    EXPECT_SET(watcher, &two, "create|is_dir b/d/e", "create b/d/e/f [synthetic]");
    move("b/d/e", "b/e");
    make_file("a/e/g");
    EXPECT(watcher, &one, "moved_from|is_dir a/d/e", "moved_to|is_dir a/e <- a/d/e",
           "create a/e/g");
    EXPECT(watcher, &two, "create b/e/g");
    CHECK_TABLES(watcher);
    CHECK_OK(inotify_watcher_ignore(watcher, "b"));
    CHECK_EQ(two.released, 1);
    make_file("b/e/h");
    EXPECT(watcher, &one, "create a/e/h");
    EXPECT_NOTHING(watcher, &two);
    CHECK_TABLES(watcher);
    CHECK_SYS(umount("b"));
    inotify_watcher_destroy(watcher);
    recorder_clear(&one);
    recorder_clear(&two);
}

/* The second name goes, the inode stays: the kernel says nothing, and the watch made by that name
 * goes on with the spelling that it has. */
static void unbound(void)
{
    inotify_watcher *watcher = create();
    struct recorder one = {0}, two = {0};

    make_dirs("a/d");
    make_dir("b");
    bind("a", "b");
    watch(watcher, "a", IN_CREATE, TREE, &one);
    watch(watcher, "b", IN_CREATE, TREE, &two);
    CHECK_SYS(umount("b"));
    make_file("a/d/f");
    EXPECT(watcher, &one, "create a/d/f");
    EXPECT(watcher, &two, "create b/d/f");
    CHECK_OK(inotify_watcher_ignore(watcher, "a"));
    make_file("a/d/g");
    EXPECT(watcher, &two, "create b/d/g");
    CHECK_OK(inotify_watcher_ignore(watcher, "b"));
    CHECK_WATCHES(watcher, 0);
    inotify_watcher_destroy(watcher);
    recorder_clear(&one);
    recorder_clear(&two);
}

/* The root bound inside itself: below the second name there is an end. */
static void inside_itself(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_dirs("t/d");
    make_dir("t/self");
    bind("t", "t/self");
    watch(watcher, "t", IN_CREATE | IN_DELETE, TREE, &recorder);
    make_file("t/d/f");
    EXPECT_SET(watcher, &recorder, "create t/d/f", "create t/self/d/f");
    make_file("t/g");
    EXPECT_SET(watcher, &recorder, "create t/g", "create t/self/g");
    /* What the mount hides, by the name that still leads there. */
    make_file("t/self/self/h");
    EXPECT(watcher, &recorder, "create t/self/self/h");
    remove_file("t/self/d/f");
    EXPECT_SET(watcher, &recorder, "delete t/d/f", "delete t/self/d/f");
    CHECK_WATCHES(watcher, 3);
    CHECK_TABLES(watcher);
    CHECK_SYS(umount("t/self"));
    inotify_watcher_destroy(watcher);
    recorder_clear(&recorder);
}

/* A file with two names. */
static void file(void)
{
    inotify_watcher *watcher = create();
    struct recorder one = {0}, two = {0};

    write_file("a", "text");
    make_file("b");
    bind("a", "b");
    watch(watcher, "a", IN_MODIFY, 0, &one);
    watch(watcher, "b", IN_CLOSE_WRITE, 0, &two);
    CHECK_WATCHES(watcher, 1);
    write_file("b", "more");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK(recorder_count(&one, "modify a") > 0);
    CHECK_EQ(one.count, recorder_count(&one, "modify a"));
    EXPECT(watcher, &two, "close_write b");
    CHECK_SYS(umount("b"));
    inotify_watcher_destroy(watcher);
    recorder_clear(&one);
    recorder_clear(&two);
}

int main(void)
{
    check_begin(120);
    check_private_mounts();
    check_case("two-roots");
    two_roots();
    check_case("unbound");
    unbound();
    check_case("inside-itself");
    inside_itself();
    check_case("file");
    file();
    return 0;
}
