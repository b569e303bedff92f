/* What the tests of the stream share: a stream whose end is counted, bytes that tell their place,
 * descriptors of every kind.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef STREAM_H
#define STREAM_H

#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* The user data of a stream. */
struct life {
    unsigned lost;
    int reason;
    unsigned lines;
    uint32_t level;
    char line[256];
    char prefix[64];
};

/* The connection_lost and log functions for it; the first fails the test when it comes twice. */
void note_lost(inotify_watcher_stream *stream, int reason, void *life);
void note_line(uint32_t level, const char *prefix, const char *message, void *life);

/* Options with these functions, the rest at their defaults. */
inotify_watcher_stream_options options_for(struct life *life);
/* A stream; ends the test if there is none. */
inotify_watcher_stream *make_stream(int fd, const inotify_watcher_stream_options *options);
inotify_watcher_stream_stats stream_stats(const inotify_watcher_stream *stream);
#define STATE(stream) (stream_stats(stream).state & ~(uint32_t)RINOTIFY_STREAM_WANTS_WRITE)

/* Writes when there is room until nothing is left to do. */
void flush(inotify_watcher_stream *stream);
/* One turn of a program's loop: reads the one and writes the other, where poll(2) says so. */
void turn(inotify_watcher *watcher, inotify_watcher_stream *stream);

/* Bytes that tell their place: `length` of them from `*at` on, which is moved. */
void put(inotify_watcher_stream *stream, size_t *at, size_t length);
/* Reads at most `length` bytes that are there, which must be those from `*at` on. Returns how many
 * there were: 0 at the end, -1 if there is nothing now. */
ssize_t take(int fd, size_t *at, size_t length);
/* Reads until there is nothing. */
void take_all(int fd, size_t *at);
/* Reads up to the end of the data, which must be at `length`. */
void take_rest(int fd, size_t *at, size_t length);

/* Both ends are non-blocking for reading, close-on-exec; a pipe of one page, a small socket. */
struct ends {
    int reader;
    int writer;
};
struct ends small_pipe(void);
struct ends small_socket(void);

bool is_open(int fd);
bool is_nonblocking(int fd);
/* Fills it so that nothing can be written; returns how many bytes that took. */
size_t fill(int fd);

#endif /* STREAM_H */
