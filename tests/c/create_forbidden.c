/* What keeps a watcher from being made is named: /proc that is not there, and a sandbox that forbids
 * the system calls of the barrier.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "forbid.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

static void fails_with(int error, const char *step, const char *path)
{
    CHECK(inotify_watcher_create(NULL) == NULL);
    CHECK_EQ(errno, error);
    CHECK_EQ(last_error(NULL).error, error);
    CHECK_STR(last_error(NULL).step, step);
    CHECK_STR(last_error(NULL).path, path);
    CHECK(strstr(last_error(NULL).message, step) != NULL);
}

static void no_proc(void)
{
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) == -1 || mount("none", "/proc", "tmpfs", 0, NULL) == -1)
        _exit(77);
    fails_with(ENOENT, "inotify_add_watch", "/proc/self/fd");
}

static void no_poke(void)
{
    static const unsigned calls[] = {SYS_fchmod, SYS_utimensat};

    if (!forbid(calls, 2, EPERM))
        _exit(77);
    fails_with(EPERM, "fchmod", "");
}

static void silent_poke(void)
{
    static const unsigned calls[] = {SYS_fchmod, SYS_utimensat};

    if (!forbid(calls, 2, 0))
        _exit(77);
    fails_with(ENOTSUP, "fchmod", "");
}

/* One of the two ways is enough. */
static void one_way(void)
{
    static const unsigned calls[] = {SYS_fchmod};
    struct recorder recorder = {0};
    inotify_watcher *watcher;

    if (!forbid(calls, 1, EPERM))
        _exit(77);
    watcher = create();
    make_dir("t");
    watch(watcher, "t", IN_CREATE, TREE, &recorder);
    make_file("t/f");
    EXPECT(watcher, &recorder, "create t/f");
    inotify_watcher_destroy(watcher);
}

static void no_memory_file(void)
{
    static const unsigned calls[] = {SYS_memfd_create};

    if (!forbid(calls, 1, ENOSYS))
        _exit(77);
    fails_with(ENOSYS, "memfd_create", "");
}

/* In a process of its own, for there is no way back. */
static void apart(const char *name, void (*body)(void))
{
    int status;
    pid_t child;

    check_case(name);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        body();
        _exit(0);
    }
    CHECK_SYS(waitpid(child, &status, 0));
    CHECK(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        fprintf(stderr, "%s: not possible here\n", name);
    else
        CHECK_EQ(WEXITSTATUS(status), 0);
}

int main(void)
{
    check_begin(60);
    apart("no-proc", no_proc);
    apart("no-poke", no_poke);
    apart("silent-poke", silent_poke);
    apart("one-way", one_way);
    apart("no-memory-file", no_memory_file);
    return 0;
}
