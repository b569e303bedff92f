/* What keeps a watcher from being made is named: /proc that is not there, and a sandbox that forbids
 * the system calls of the barrier.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* From here on these system calls fail with `error`; 0: they do nothing. */
static void forbid(const unsigned *calls, size_t count, unsigned error)
{
    struct sock_filter code[32];
    struct sock_fprog program = {.filter = code};

    code[program.len++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                                       offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < count; i++) {
        code[program.len++] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i], 0, 1);
        code[program.len++] =
            (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error);
    }
    code[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    CHECK_SYS(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == -1)
        _exit(77);
}

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

    forbid(calls, 2, EPERM);
    fails_with(EPERM, "fchmod", "");
}

static void silent_poke(void)
{
    static const unsigned calls[] = {SYS_fchmod, SYS_utimensat};

    forbid(calls, 2, 0);
    fails_with(ENOTSUP, "fchmod", "");
}

/* One of the two ways is enough. */
static void one_way(void)
{
    static const unsigned calls[] = {SYS_fchmod};
    struct recorder recorder = {0};
    inotify_watcher *watcher;

    forbid(calls, 1, EPERM);
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

    forbid(calls, 1, ENOSYS);
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
