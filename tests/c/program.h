/* Another program, run by a test: its output is waited for line by line.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#include "check.h"

#include <sys/types.h>

struct program {
    pid_t pid;
    int output; /* standard output and standard error */
    char *text; /* all of it so far */
    size_t length;
    size_t room;
    size_t seen; /* how much of it was looked at */
};

/* Starts it in the current directory; with `terminal`, its output is one. */
void program_start(struct program *program, const char *const *arguments, bool terminal);
#define PROGRAM_START(program, ...) \
    program_start((program), (const char *const[]){__VA_ARGS__, NULL}, false)
/* Reads on until this line comes, or one that begins with this. */
void program_wait(struct program *program, const char *line);
void program_wait_prefix(struct program *program, const char *prefix);
void program_signal(struct program *program, int number);
/* Reads to the end of the output and returns the exit status; a death by a signal ends the test. */
int program_end(struct program *program);
/* After the end: did it print this line, or anything with this in it? */
bool program_printed(const struct program *program, const char *part);
void program_free(struct program *program);

#endif /* PROGRAM_H */
