/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "forbid.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

bool forbid(const unsigned *calls, size_t count, unsigned error)
{
    struct sock_filter code[32];
    struct sock_fprog program = {.filter = code};

    CHECK(count * 2 + 2 <= sizeof code / sizeof code[0]);
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
        return false;
    /* valgrind looks at the arguments, and answers calls itself that it does not know. */
    for (size_t i = 0; i < count && !check_under_valgrind(); i++) {
        errno = 0;
        CHECK_EQ(syscall(calls[i], -1, NULL, 0, 0), error == 0 ? 0 : -1);
        CHECK_EQ(errno, error);
    }
    return true;
}
