/* Kernels and sandboxes that refuse what the library would like to use, and can do without: the tree
 * is the same. Each case is a process of its own under a seccomp filter. (What it cannot do without
 * is in create_forbidden.c.)
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "forbid.h"
#include "mirror.h"

#include <sys/wait.h>

/* A tree that is large enough for a thread, and what can happen in it. */
static void works(void)
{
    inotify_watcher *watcher = create();
    struct mirror mirror = {0};

    for (int i = 0; i < 400; i++)
        make_dirs(format("t/%d/%d", i % 20, i));
    mirror_watch(watcher, "t", &mirror);
    MIRROR_EXPECT(watcher, &mirror, "t");
    make_dirs("t/1/new/deep/deeper");
    make_file("t/1/new/deep/deeper/file");
    MIRROR_EXPECT(watcher, &mirror, "t");
    move("t/1", "t/2/moved");
    make_dirs("t/2/moved/new/more");
    CHECK_SYS(symlink("..", "t/2/moved/link"));
    MIRROR_EXPECT(watcher, &mirror, "t");
    move("t/2", "out");
    make_file("out/unseen");
    MIRROR_EXPECT(watcher, &mirror, "t");
    move("out", "t/back");
    exchange("t/3", "t/back");
    MIRROR_EXPECT(watcher, &mirror, "t");
    CHECK_TABLES(watcher);
    mirror_clear(&mirror);
    inotify_watcher_destroy(watcher);
}

struct refusal {
    const char *name;
    unsigned calls[2];
    size_t count;
};

static void refused(const struct refusal *refusal, int error)
{
    int status;
    pid_t child;

    check_case(format("%s-%s", refusal->name, strerrorname_np(error)));
    child = (pid_t)CHECK_SYS(fork());
    if (child == 0) {
        if (!forbid(refusal->calls, refusal->count, (unsigned)error))
            _exit(77);
        works();
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        check_skip("no seccomp filter to be had");
    if (status != 0)
        check_fail(__FILE__, __LINE__, "%s refused with %s: status %x", refusal->name,
                   strerrorname_np(error), (unsigned)status);
}

int main(void)
{
    static const struct refusal all[] = {
        {"openat2", {SYS_openat2}, 1},
        {"unshare", {SYS_unshare}, 1},
        {"openat2-and-unshare", {SYS_openat2, SYS_unshare}, 2},
        {"fchmod", {SYS_fchmod}, 1},
        {"utimensat", {SYS_utimensat}, 1},
        {"madvise", {SYS_madvise}, 1},
        {"fstatfs", {SYS_fstatfs}, 1},
        {"statx", {SYS_statx}, 1},
    };

    check_begin(300);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        refused(&all[i], ENOSYS);
        refused(&all[i], EPERM);
    }
    return 0;
}
