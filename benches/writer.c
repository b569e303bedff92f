/* The second process, which changes the file system in stages.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

struct bench_shared *shared;
static pid_t child;
static int go_fd = -1, ack_fd = -1;

static _Noreturn void serve(int go, int ack, writer_stage stages)
{
    unsigned char stage;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (read(go, &stage, 1) == 1) {
        stages(stage);
        atomic_store(&shared->done, stage);
        if (write(ack, &stage, 1) != 1)
            break;
    }
    _exit(0);
}

void writer_start(writer_stage stages)
{
    int go[2], ack[2];
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        die("mmap", errno);
    if (pipe(go) || pipe(ack))
        die("pipe", errno);
    child = fork();
    if (child < 0)
        die("fork", errno);
    if (child == 0) {
        close(go[1]);
        close(ack[0]);
        serve(go[0], ack[1], stages);
    }
    close(go[0]);
    close(ack[1]);
    go_fd = go[1];
    ack_fd = ack[0];
}

void writer_begin(int stage)
{
    unsigned char byte = (unsigned char)stage;
    if (write(go_fd, &byte, 1) != 1)
        die("write to the writer", errno);
}

void writer_await(void)
{
    unsigned char byte;
    if (read(ack_fd, &byte, 1) != 1) {
        /* It said why on stderr. */
        exit(1);
    }
}

void writer_run(int stage)
{
    writer_begin(stage);
    writer_await();
}

int writer_fd(void)
{
    return ack_fd;
}

void writer_end(void)
{
    int status;
    close(go_fd);
    close(ack_fd);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
}
