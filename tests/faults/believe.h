/* The tree as a consumer has it who believes the events, where some directories could not be
 * watched: what the library said of those is remembered, and excuses what is wrong below them,
 * and nothing else.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef BELIEVE_H
#define BELIEVE_H

#include "check.h"

struct belief {
    struct believed {
        char *path;
        bool directory;
        bool excused; /* an error was told of it */
    } *entries;
    size_t count, room;
    /* Errors that were told of what is not believed to be there. */
    char **excuses;
    size_t excuse_count, excuse_room;
    size_t events, errors;
    int last_error;
    unsigned released;
    bool ended; /* IN_IGNORED came */
    bool overflowed;
    bool limited; /* a limit was told of, which stands for all directories it is in the way of */
};

/* The callback; its user data is a struct belief. */
void believe(inotify_watcher *watcher, const inotify_watcher_event *event, void *belief);
void believe_release(void *belief);
/* Is this path, or a directory above it, one that an error was told of? */
bool belief_excuses(const struct belief *belief, const char *path);
/* Compares with the real tree. What differs must be excused. Returns how many entries were. */
size_t belief_compare(struct belief *belief, const char *root);
/* Compares the library's tables with the kernel's. What is asked for where an error was told, by
 * one of these beliefs (NULL behind the last), need not be had; but each kernel watch is known. */
void belief_tables(const inotify_watcher *watcher, const struct belief *const *beliefs);
/* Excuses count no more: what is wrong from now on is wrong. */
void belief_forgive(struct belief *belief);
void belief_clear(struct belief *belief);
/* What was running, for the report of a failure. */
extern char belief_context[256];

#endif
