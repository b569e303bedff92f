/* A storm from one thread that mixes everything which can keep a copy of a tree from being right: a
 * root that is renamed, replaced and linked elsewhere, remembered entries, directories left out, the
 * limit on watches, no descriptors, modes that shut directories, a queue that overflows, and mounts.
 * Whenever it rests, what the events alone have told is compared with what there is.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef MIXED_H
#define MIXED_H

#include "check.h"

/* The root is in a directory of its own, so that it can lose its parent; the rest is at "o". */
#define ROOT "w/t"

/* What this run mixes. */
struct plan {
    bool follow; /* the watch follows its name, and the name is made to lead elsewhere */
    bool track; /* entries are remembered */
    bool filter; /* directories whose name begins with x are left out, by a pattern */
    bool callback; /* or by a function */
    bool limit; /* on watches */
    bool modes; /* directories are shut to the reader, who is not root */
    bool descriptors; /* the reader has none left */
    bool overflows;
    bool mounts;
};
extern struct plan plan;

/* ---- Chance, all of it from the seed (main.c). */

unsigned below(unsigned limit);

/* ---- What has happened, for whoever has to find out why a run has failed (main.c). */

void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define FAIL(...) check_fail(__FILE__, __LINE__, __VA_ARGS__)

/* ---- The copy of the tree that the events tell of (copy.c). */

/* What a program that looks at a file whenever it is told of it knows of it. */
struct look {
    bool done;
    ino_t root; /* what the name of the root led to then */
    ino_t inode;
    mode_t mode;
    off_t size;
    struct timespec written;
};

struct entry {
    char *path;
    bool directory;
    bool seen; /* by the comparison */
    struct look look;
};

struct copy {
    struct entry *entries;
    size_t count, room;
    uint32_t coverage; /* as told */
    bool root; /* it is there */
    bool ended; /* IN_IGNORED was told */
    bool rescanning;
    bool lost; /* events, at least once: of files that are not remembered nothing is known for sure */
    /* The name of a file may have led elsewhere when it was to be looked at. */
    bool looks_fail;
    unsigned released;
};
extern struct copy copy;

void copy_begin(void);
/* The callback, the release function and the filter of the watch. */
void copy_event(inotify_watcher *watcher, const inotify_watcher_event *event, void *user_data);
void copy_release(void *user_data);
int copy_filter(inotify_watcher *watcher, const inotify_watcher_directory *directory,
                void *user_data);
struct entry *copy_find(const char *path);
/* What has left the tree and did not come back. */
void copy_forget_kept(void);
bool is_left_out(const char *path);

/* ---- The watcher, read by somebody who may be another user and have no descriptors (reading.c). */

extern inotify_watcher *watcher;
extern int64_t watch_id;
extern bool no_descriptors;

void reader_create(void);
void reader_watch(void);
void reader_read(void);
void reader_drain(void);
void reader_retry(void);
void reader_sync(void);
void reader_end(void);
/* A limit near to what is in use, or one that nobody reaches. */
void set_watch_limit(bool near);

/* ---- The changes (changes.c). */

void make_first_tree(void);
void change_something(void);
/* Whatever shuts something, covers it or is in short supply: no more. */
void end_restrictions(void);
void unmount_all(void);
/* The queue is not too long to be filled. */
bool can_overflow(void);

/* ---- The comparison (rest.c). */

void compare_at_rest(void);

#endif /* MIXED_H */
