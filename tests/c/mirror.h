/* A mirror of a tree, kept from the events of one recursive watch alone, by the rules that the
 * library promises a consumer: what it holds at quiescence must be the real tree.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef MIRROR_H
#define MIRROR_H

#include "check.h"

struct mirror_entry {
    char *path;
    bool directory;
    uint64_t inode; /* 0: not noted */
};

struct mirror {
    struct mirror_entry *entries;
    size_t count;
    size_t room;
    unsigned announced; /* entries that appeared so far */
    bool overflows; /* the queue may overflow */
    bool many_writers; /* an entry's own events can come after the end of its name */
};

/* The callback; its user data is a struct mirror. An event that contradicts the mirror (an entry
 * announced twice, a deletion of what is not there) ends the test. */
void mirror_event(inotify_watcher *watcher, const inotify_watcher_event *event, void *mirror);
/* A watch of `root` that feeds the mirror, existing entries included. */
int64_t mirror_watch(inotify_watcher *watcher, const char *root, struct mirror *mirror);
/* Remembers which inode each entry is, so that a later comparison can tell them apart. */
void mirror_note_inodes(struct mirror *mirror);
/* Drains the watcher, lets go of what left the tree and did not come back, and compares paths,
 * types and the inodes noted with the real tree. */
#define MIRROR_EXPECT(watcher, mirror, root) \
    mirror_expect(__FILE__, __LINE__, (watcher), (mirror), (root))
void mirror_expect(const char *file, int line, inotify_watcher *watcher, struct mirror *mirror,
                   const char *root);
void mirror_clear(struct mirror *mirror);

#endif /* MIRROR_H */
