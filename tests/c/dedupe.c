/* A fact that the kernel tells twice, by a watched directory and by its watched parent, is
 * delivered once: as the parent's event with the name.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <fcntl.h>
#include <sys/syscall.h>

static void usual_mask(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_dirs("t/d/e");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    CHECK_SYS(chmod("t/d", 0700));
    EXPECT(watcher, &recorder, "attrib|is_dir t/d");
    CHECK_SYS(chmod("t/d/e", 0700));
    CHECK_SYS(chmod("t/d", 0755));
    CHECK_SYS(chmod("t/d/e", 0755));
    EXPECT(watcher, &recorder, "attrib|is_dir t/d/e", "attrib|is_dir t/d", "attrib|is_dir t/d/e");
    /* Two facts of one kind, told twice each. */
    CHECK_SYS(chmod("t/d", 0700));
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_SYS(chmod("t/d", 0755));
    EXPECT(watcher, &recorder, "attrib|is_dir t/d", "attrib|is_dir t/d");
    /* The root has no watched parent. */
    CHECK_SYS(chmod("t", 0700));
    EXPECT(watcher, &recorder, "attrib|is_dir t");
    move("t/d/e", "t/f");
    EXPECT(watcher, &recorder, "moved_from|is_dir t/d/e", "moved_to|is_dir t/f <- t/d/e");
    remove_dir("t/f");
    EXPECT(watcher, &recorder, "delete|is_dir t/f");
    make_dir("t/d/g");
    EXPECT(watcher, &recorder, "create|is_dir t/d/g");
    remove_tree("t/d");
    EXPECT(watcher, &recorder, "delete|is_dir t/d/g", "delete|is_dir t/d");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

static void opened_and_closed(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};
    char entries[4096];
    int fd;

    make_dirs("t/d");
    make_file("t/d/f");
    watch(watcher, "t", IN_OPEN | IN_ACCESS | IN_CLOSE_NOWRITE, TREE, &recorder);
    CHECK_OK(inotify_watcher_sync(watcher));
    recorder_clear(&recorder);
    fd = (int)CHECK_SYS(open("t/d", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    EXPECT(watcher, &recorder, "open|is_dir t/d");
    CHECK(syscall(SYS_getdents64, fd, entries, sizeof entries) > 0);
    EXPECT(watcher, &recorder, "access|is_dir t/d");
    CHECK_SYS(close(fd));
    EXPECT(watcher, &recorder, "close_nowrite|is_dir t/d");
    inotify_watcher_destroy(watcher);
}

/* Where the mask lacks the parent's form, the directory's own form is delivered. */
static void self_forms(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_dirs("t/d/e");
    make_file("t/d/f");
    watch(watcher, "t", IN_DELETE_SELF | IN_MOVE_SELF, TREE, &recorder);
    move("t/d", "t/x");
    EXPECT(watcher, &recorder, "move_self t/x");
    remove_file("t/x/f");
    EXPECT_NOTHING(watcher, &recorder);
    remove_tree("t/x");
    EXPECT(watcher, &recorder, "delete_self t/x/e", "delete_self t/x");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* A directory of one tree that is the root of another watch: its end is told whatever the mask to the
 * watch whose root it is, and to no other. */
static void end_of_an_inner_root(void)
{
    inotify_watcher *watcher = create();
    struct recorder outer = {0}, inner = {0};

    make_dirs("t/d");
    watch(watcher, "t", IN_CREATE, TREE, &outer);
    watch(watcher, "t/d", IN_CREATE, 0, &inner);
    remove_dir("t/d");
    EXPECT_NOTHING(watcher, &outer);
    EXPECT(watcher, &inner, "delete_self t/d", "ignored t/d");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* Two watches, one of the parent and one of the directory as its root: each has its own story. */
static void two_watches(void)
{
    inotify_watcher *watcher = create();
    struct recorder parent = {0}, child = {0};

    make_dirs("t/d");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, 0, &parent);
    watch(watcher, "t/d", RINOTIFY_WATCH_MASK, 0, &child);
    CHECK_SYS(chmod("t/d", 0700));
    EXPECT(watcher, &parent, "attrib|is_dir t/d");
    EXPECT(watcher, &child, "attrib|is_dir t/d");
    make_file("t/d/f");
    EXPECT_NOTHING(watcher, &parent);
    EXPECT(watcher, &child, "create t/d/f");
    move("t/d", "t/e");
    EXPECT(watcher, &parent, "moved_from|is_dir t/d", "moved_to|is_dir t/e <- t/d");
    EXPECT(watcher, &child, "move_self t/d");
    remove_file("t/e/f");
    remove_dir("t/e");
    EXPECT(watcher, &parent, "delete|is_dir t/e");
    EXPECT(watcher, &child, "delete t/d/f", "delete_self t/d", "ignored t/d");
    inotify_watcher_destroy(watcher);
}

int main(void)
{
    check_begin(240);
    check_case("usual-mask");
    usual_mask();
    check_case("opened-and-closed");
    opened_and_closed();
    check_case("self-forms");
    self_forms();
    check_case("two-watches");
    two_watches();
    check_case("end-of-an-inner-root");
    end_of_an_inner_root();
    return 0;
}
