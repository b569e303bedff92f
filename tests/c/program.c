/* Another program, run by a test.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "program.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>

static void open_terminal(int ends[2])
{
    struct termios raw;

    ends[0] = (int)CHECK_SYS(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    CHECK_SYS(grantpt(ends[0]));
    CHECK_SYS(unlockpt(ends[0]));
    ends[1] = (int)CHECK_SYS(open(ptsname(ends[0]), O_RDWR | O_NOCTTY | O_CLOEXEC));
    /* Bytes as they were written. */
    CHECK_SYS(tcgetattr(ends[1], &raw));
    cfmakeraw(&raw);
    CHECK_SYS(tcsetattr(ends[1], TCSANOW, &raw));
}

void program_start(struct program *program, const char *const *arguments, bool terminal)
{
    int ends[2];

    memset(program, 0, sizeof *program);
    if (terminal)
        open_terminal(ends);
    else
        CHECK_SYS(pipe2(ends, O_CLOEXEC));
    fflush(NULL);
    program->pid = (pid_t)CHECK_SYS(fork());
    if (program->pid == 0) {
        /* The test's time is this program's time too. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        execv(arguments[0], (char *const *)arguments);
        perror(arguments[0]);
        _exit(127);
    }
    CHECK_SYS(close(ends[1]));
    program->output = ends[0];
}

/* False at the end of the output. */
static bool read_on(struct program *program)
{
    ssize_t got;

    if (program->output == -1)
        return false;
    if (program->room - program->length < 4097) {
        program->room += 65536;
        program->text = realloc(program->text, program->room);
        CHECK(program->text != NULL);
    }
    got = read(program->output, program->text + program->length, 4096);
    if (got == -1 && errno == EINTR)
        return true;
    /* EIO: nobody has the other end of a terminal any more. */
    if (got == -1 && errno != EIO)
        check_fail(__FILE__, __LINE__, "read: %s", strerror(errno));
    if (got > 0)
        program->length += (size_t)got;
    program->text[program->length] = '\0';
    return got > 0;
}

static void wait_for(struct program *program, const char *want, bool whole)
{
    size_t length = strlen(want);

    for (;;) {
        char *line = program->text != NULL ? program->text + program->seen : NULL;
        char *end = line != NULL ? strchr(line, '\n') : NULL;

        if (end != NULL) {
            size_t got = (size_t)(end - line);

            program->seen += got + 1;
            if (got >= length && strncmp(line, want, length) == 0 && (!whole || got == length))
                return;
        } else if (!read_on(program)) {
            check_fail(__FILE__, __LINE__, "the program ended without the line \"%s\", after:\n%s",
                       want, program->text);
        }
    }
}

void program_wait(struct program *program, const char *line)
{
    wait_for(program, line, true);
}

void program_wait_prefix(struct program *program, const char *prefix)
{
    wait_for(program, prefix, false);
}

void program_signal(struct program *program, int number)
{
    CHECK_SYS(kill(program->pid, number));
}

int program_end(struct program *program)
{
    int status;

    while (read_on(program))
        ;
    CHECK_EQ(waitpid(program->pid, &status, 0), program->pid);
    CHECK_SYS(close(program->output));
    program->output = -1;
    if (!WIFEXITED(status))
        check_fail(__FILE__, __LINE__, "the program was ended by signal %d, after:\n%s",
                   WTERMSIG(status), program->text);
    return WEXITSTATUS(status);
}

bool program_printed(const struct program *program, const char *part)
{
    return strstr(program->text, part) != NULL;
}

void program_free(struct program *program)
{
    free(program->text);
    program->text = NULL;
}
