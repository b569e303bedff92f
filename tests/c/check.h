/* What the tests of the C interface share: assertions that print both values and outlive NDEBUG,
 * a scratch directory, a bound on time, a recorder of events, and the kernel's own list of
 * watches to compare with.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef CHECK_H
#define CHECK_H

#include <rinotify.h>

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Assertions. A failure prints where, what and both values, and ends the program with 1. */

#define CHECK(condition) check_true(__FILE__, __LINE__, #condition, !!(condition))
/* Two integers. */
#define CHECK_EQ(got, want) \
    check_eq(__FILE__, __LINE__, #got, #want, (long long)(got), (long long)(want))
/* Two strings, either of which may be NULL. */
#define CHECK_STR(got, want) check_str(__FILE__, __LINE__, #got, (got), (want))
/* A system call that says -1 and errno. Its value is handed on. */
#define CHECK_SYS(call) check_sys(__FILE__, __LINE__, #call, (long)(call))
/* A call of the library that says -errno. Its value is handed on. */
#define CHECK_OK(call) check_ok(__FILE__, __LINE__, #call, (long long)(call))

void check_true(const char *file, int line, const char *what, int truth);
void check_eq(const char *file, int line, const char *what, const char *with, long long got,
              long long want);
void check_str(const char *file, int line, const char *what, const char *got, const char *want);
long check_sys(const char *file, int line, const char *what, long result);
long long check_ok(const char *file, int line, const char *what, long long result);
void check_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));

/* ---- The frame of a test program. */

/* Makes a scratch directory, goes there, and sees to it that the program ends within `seconds` (ten
 * times that under valgrind, or CHECK_TIME_FACTOR times) and the directory with it. */
void check_begin(unsigned seconds);
/* Does this program run under valgrind, which is slow? */
bool check_under_valgrind(void);
/* An empty directory for the next case, below the scratch directory; goes there. */
void check_case(const char *name);
/* The absolute path of the directory of the running case. */
const char *check_where(void);
/* Ends the program with 77, which says: skipped, for this reason. */
void check_skip(const char *reason) __attribute__((noreturn));
/* A number of rounds: CHECK_ROUNDS if that is set, else `usual`, or a fiftieth under valgrind. */
unsigned check_rounds(unsigned usual);
/* A mount namespace of this process's own, so that mounts stay here. Skips if that is not allowed. */
void check_private_mounts(void);

/* ---- Changes to the file system. Each ends the program if it fails. */

void make_dir(const char *path);
/* With all the directories above it. */
void make_dirs(const char *path);
/* A new, empty regular file, without an open file description: one IN_CREATE and nothing else. */
void make_file(const char *path);
/* Opens, writes, closes; makes the file if need be. */
void write_file(const char *path, const char *text);
void move(const char *from, const char *to);
void exchange(const char *one, const char *other);
void remove_file(const char *path);
void remove_dir(const char *path);
/* As rm -rf does it. */
void remove_tree(const char *path);
/* A string of the printf kind in one of a few rotating buffers. */
const char *format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- The recorder. */

struct recorder {
    char **lines; /* one an event, see below */
    int64_t *ids; /* the watch of each */
    size_t count;
    size_t room;
    unsigned released;
    bool silent; /* count, but keep no lines */
};

/* The callback; its user data is a struct recorder. Checks what holds for every event, and keeps
 * it as "create|is_dir t/d", "moved_to t/b <- t/a", with " [root]", " [synthetic]", " [error ENOENT]",
 * " [rescan_begin]", " [rescan_end]", " [complete]", " [partial]", " [out_of_step]" after it if those
 * apply. */
void record(inotify_watcher *watcher, const inotify_watcher_event *event, void *recorder);
/* The release function for the same user data: counts. */
void record_release(void *recorder);
void recorder_clear(struct recorder *recorder);
/* How many recorded lines are equal to `line`. */
size_t recorder_count(const struct recorder *recorder, const char *line);
/* The place of the first such line, or -1. */
long recorder_find(const struct recorder *recorder, const char *line);

/* Syncs, then compares what was recorded with the lines given, and clears the recorder.
 * EXPECT_SET does not care about the order. */
#define EXPECT(watcher, recorder, ...)                                     \
    expect(__FILE__, __LINE__, (watcher), (recorder), true,                \
           (const char *const[]){__VA_ARGS__, NULL})
#define EXPECT_SET(watcher, recorder, ...)                                 \
    expect(__FILE__, __LINE__, (watcher), (recorder), false,               \
           (const char *const[]){__VA_ARGS__, NULL})
#define EXPECT_NOTHING(watcher, recorder) EXPECT((watcher), (recorder), NULL)
void expect(const char *file, int line, inotify_watcher *watcher, struct recorder *recorder,
            bool ordered, const char *const *lines);

/* A watch that records, without and with the release function. */
int64_t watch(inotify_watcher *watcher, const char *path, uint32_t mask, uint32_t flags,
              struct recorder *recorder);
int64_t watch_released(inotify_watcher *watcher, const char *path, uint32_t mask, uint32_t flags,
                       struct recorder *recorder);
/* A watcher with default options. */
inotify_watcher *create(void);
/* A watcher whose queue holds so many events at the most, or NULL if that takes root. An instance
 * keeps the limit that was in force when it was made, so the rest of the system has its own back at
 * once; but one that is made at the same moment has it, too, so it must not be small. */
inotify_watcher *create_with_queue(const inotify_watcher_options *options, unsigned long events);
/* Reads until there is nothing left, what the callbacks themselves caused included. */
void drain(inotify_watcher *watcher);

#define TREE (RINOTIFY_WATCH_RECURSIVE | RINOTIFY_WATCH_AUTO_ADD)

/* ---- The kernel's own list of watches, from /proc/self/fdinfo. */

struct kernel_watch {
    int wd;
    uint64_t inode;
    uint32_t mask;
};

/* Up to `room` of them; returns how many there are. */
size_t kernel_watches(int fd, struct kernel_watch *list, size_t room);
/* How many there are for the callers' watches, the library's own left out. */
size_t kernel_watch_count(const inotify_watcher *watcher);
/* So many, or it ends the program and shows which there are and what could keep them. */
#define CHECK_WATCHES(watcher, count) check_watches(__FILE__, __LINE__, (watcher), (count))
void check_watches(const char *file, int line, const inotify_watcher *watcher, size_t count);
/* Is the inode at `path` watched by the kernel for this watcher? */
bool kernel_watches_path(const inotify_watcher *watcher, const char *path);
/* The library's statistics, its iterator and the kernel's list must tell the same; every path the
 * iterator gives must lead to the inode that the kernel watches. Only right at quiescence. */
#define CHECK_TABLES(watcher) check_tables(__FILE__, __LINE__, (watcher))
void check_tables(const char *file, int line, const inotify_watcher *watcher);

inotify_watcher_stats get_stats(const inotify_watcher *watcher);
inotify_watcher_error last_error(const inotify_watcher *watcher);

#ifdef __cplusplus
}
#endif

#endif /* CHECK_H */
