/* The library's tables, the kernel's list of watches and the real directories: all three must be
 * of one mind when nothing moves.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include "storm.h"

#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

/* What /proc/self/fdinfo lists; the device there is in the kernel's own encoding. */
static void read_fdinfo(int fd, struct inode_list *list)
{
    char path[64], line[512];

    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    FILE *file = fopen(path, "re");
    if (!file)
        die("cannot open %s", path);
    while (fgets(line, sizeof(line), file)) {
        unsigned wd, sdev;
        unsigned long long ino;

        if (sscanf(line, "inotify wd:%x ino:%llx sdev:%x", &wd, &ino, &sdev) == 3)
            inode_list_add(list, makedev(sdev >> 20, sdev & 0xfffff), (ino_t)ino, "", (int)wd);
    }
    fclose(file);
    inode_list_sort(list);
}

/* A watch for close_write alone is never told of directories; the first watch is, of the same. */
static const struct node *mirror_of(struct watch **watches, const struct watch *watch)
{
    return watch->kind == SECOND_CLOSE ? watches[0]->tree : watch->tree;
}

struct seen {
    struct watch **watches;
    size_t count;
    const struct inode_list *kernel;
    uint64_t shown[3];
    char *used; /* kernel watches that some watchpoint names */
};

static int see(const inotify_watcher_watchpoint *point, void *data)
{
    struct seen *seen = data;
    struct watch *watch = NULL;
    struct stat st;

    for (size_t i = 0; i < seen->count; i++) {
        if (seen->watches[i]->id == point->watch) {
            watch = seen->watches[i];
            seen->shown[i]++;
        }
    }
    if (!watch) {
        fail("table", "watchpoint %s (wd %d) of a watch %lld that has ended", point->path,
             point->wd, (long long)point->watch);
        return 0;
    }
    if (strlen(point->path) != point->path_len ||
        strncmp(point->path, watch->root, watch->root_len) != 0) {
        fail("table", "watchpoint %s of watch %s", point->path, watch->root);
        return 0;
    }
    if (watch->kind == SECOND_VOLATILE) {
        /* The root's path is what it was when the watch was made, its inode may be elsewhere. */
        for (size_t i = 0; i < seen->kernel->used; i++) {
            if (seen->kernel->list[i].wd == point->wd)
                seen->used[i] = 1;
        }
        return 0;
    }
    const char *below = point->path + watch->root_len;
    const struct node *node =
        mirror_find(mirror_of(seen->watches, watch), *below == '/' ? below + 1 : below);
    if (node && node->left_out)
        fail("table", "watchpoint %s (wd %d): it is left out", point->path, point->wd);
    if (!node || !node->dir) {
        fail("table", "watchpoint %s (wd %d): the mirror has no such directory", point->path,
             point->wd);
        return 0;
    }
    if (stat(point->path, &st) != 0) {
        fail("table", "watchpoint %s (wd %d) is not there", point->path, point->wd);
        return 0;
    }
    struct inode_entry *entry = inode_list_find(seen->kernel, st.st_dev, st.st_ino);
    if (!entry || entry->wd != point->wd)
        fail("table", "watchpoint %s has wd %d, the kernel has %d for its inode %llu",
             point->path, point->wd, entry ? entry->wd : -1, (unsigned long long)st.st_ino);
    if (entry)
        seen->used[entry - seen->kernel->list] = 1;
    return 0;
}

static bool whole_tree(const struct watch *watch)
{
    return watch->alive && !watch->ended && watch->kind != SECOND_VOLATILE;
}

static void list_everywhere(struct inode_list *list)
{
    list_directories("T", list);
    list_directories("O", list);
    list_directories("X", list);
    inode_list_sort(list);
}

/* File systems use inode numbers again; their file handles count the generations. */
bool identity_of(const char *path, struct identity *identity)
{
    union {
        struct file_handle head;
        unsigned char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
    } handle;
    struct stat st;
    int mount;

    memset(identity, 0, sizeof(*identity));
    if (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return false;
    identity->dev = st.st_dev;
    identity->ino = st.st_ino;
    handle.head.handle_bytes = MAX_HANDLE_SZ;
    if (name_to_handle_at(AT_FDCWD, path, &handle.head, &mount, 0) == 0) {
        identity->type = handle.head.handle_type;
        identity->bytes = handle.head.handle_bytes;
        memcpy(identity->handle, handle.head.f_handle, handle.head.handle_bytes);
    }
    return true;
}

/* Where the directory is now that a volatile watch has as its root; NULL if it is gone. */
static const char *root_now(const struct watch *watch, const struct inode_list *everywhere)
{
    const struct identity *root = &watch->root_identity;
    struct inode_entry *entry = inode_list_find(everywhere, root->dev, root->ino);
    struct identity now;

    if (!entry || !identity_of(entry->path, &now) || now.type != root->type ||
        now.bytes != root->bytes || memcmp(now.handle, root->handle, now.bytes) != 0)
        return NULL;
    return entry->path;
}

static void check_stats(inotify_watcher *watcher, struct watch **watches, size_t count,
                        const struct inode_list *kernel, uint64_t internal,
                        const uint64_t *shown)
{
    inotify_watcher_stats stats;
    uint64_t alive = 0, directories = 0;
    bool more = false;

    memset(&stats, 0, sizeof(stats));
    stats.size = sizeof(stats);
    if (inotify_watcher_get_stats(watcher, &stats) != 0) {
        fail("table", "no stats");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (watches[i]->alive && !watches[i]->ended) {
            alive++;
            directories += shown[i] + mirror_left_out(mirror_of(watches, watches[i]));
            more |= watches[i]->kind == SECOND_FLAT || watches[i]->lost;
        }
    }
    if (stats.watchpoints + stats.internal_watchpoints != kernel->used)
        fail("table", "stats: %llu + %llu watchpoints, the kernel has %zu",
             (unsigned long long)stats.watchpoints,
             (unsigned long long)stats.internal_watchpoints, kernel->used);
    if (stats.internal_watchpoints != internal)
        fail("table", "stats: %llu internal watchpoints, %llu kernel watches belong to none",
             (unsigned long long)stats.internal_watchpoints, (unsigned long long)internal);
    if (stats.watches != alive)
        fail("table", "stats: %llu watches, there are %llu", (unsigned long long)stats.watches,
             (unsigned long long)alive);
    /* Those that are left out are known. Some may be that are not watched: by a watch that is not
     * recursive, or lost its way. */
    if (more ? stats.directories < directories : stats.directories != directories)
        fail("table", "stats: %llu directories, the watchpoints are %llu",
             (unsigned long long)stats.directories, (unsigned long long)directories);
    if (stats.pending != 0)
        fail("table", "stats: %llu directories pending when nothing is left to do",
             (unsigned long long)stats.pending);
    if (stats.overflows != 0 && !opt.allow_overflow)
        fail(CLASS_OVERFLOW, "%llu overflows", (unsigned long long)stats.overflows);
    for (size_t i = 0; i < count; i++) {
        if (watches[i]->alive && !watches[i]->ended)
            check_overflows(watches[i], stats.overflows);
    }
    if (running && stats.delivered != running->delivered)
        fail("table", "stats: %llu events delivered, the callbacks counted %llu",
             (unsigned long long)stats.delivered, (unsigned long long)running->delivered);
}

char *root_place(const struct watch *watch)
{
    struct inode_list everywhere = {0};
    const char *now;

    list_everywhere(&everywhere);
    now = root_now(watch, &everywhere);
    char *place = now ? must_print("%s", now) : NULL;
    inode_list_free(&everywhere);
    return place;
}

void check_tables(inotify_watcher *watcher, struct watch **watches, size_t count)
{
    struct inode_list kernel = {0}, real = {0}, everywhere = {0};
    bool whole = false;

    read_fdinfo(inotify_watcher_fileno(watcher), &kernel);
    list_everywhere(&everywhere);
    for (size_t i = 0; i < count; i++) {
        if (whole_tree(watches[i]) && watches[i]->kind != SECOND_STABLE &&
            watches[i]->kind != SECOND_FLAT)
            whole = true;
    }
    if (whole)
        list_directories("T", &real);
    for (size_t i = 0; i < count; i++) {
        struct watch *watch = watches[i];
        const char *now = NULL;

        if (!watch->alive)
            continue;
        if (watch->kind == SECOND_STABLE || watch->kind == SECOND_FLAT)
            now = watch->root;
        else if (watch->kind == SECOND_VOLATILE) {
            now = root_now(watch, &everywhere);
            if (now && watch->ended)
                fail("ended", "watch %s ended, but its root is %s now", watch->root, now);
            if (!now && !watch->ended)
                fail("ended", "watch %s was not told that its root is gone", watch->root);
            if (watch->ended && !watch->self_gone)
                fail("ended", "watch %s ended without DELETE_SELF", watch->root);
        }
        if (!now)
            continue;
        struct inode_list more = {0};
        if (watch->kind == SECOND_FLAT) {
            struct stat st;
            if (stat(now, &st) == 0)
                inode_list_add(&more, st.st_dev, st.st_ino, now, 0);
        } else {
            list_directories(now, &more);
        }
        inode_list_sort(&real);
        for (size_t n = 0; n < more.used; n++) {
            struct inode_entry *entry = &more.list[n];
            if (!inode_list_find(&real, entry->dev, entry->ino)) {
                inode_list_add(&real, entry->dev, entry->ino, entry->path, watch->lost);
                inode_list_sort(&real);
            }
        }
        inode_list_free(&more);
    }
    inode_list_sort(&real);

    for (size_t i = 0; i < real.used; i++) {
        /* wd 1 here: only a watch that lost its way would have watched it. */
        if (!inode_list_find(&kernel, real.list[i].dev, real.list[i].ino) && !real.list[i].wd)
            fail("unwatched", "%s (inode %llu) has no kernel watch", real.list[i].path,
                 (unsigned long long)real.list[i].ino);
    }
    struct seen seen = {.watches = watches, .count = count, .kernel = &kernel};
    seen.used = must_alloc(NULL, kernel.used + 1);
    memset(seen.used, 0, kernel.used + 1);
    (void)inotify_watcher_for_each_watchpoint(watcher, see, &seen);

    uint64_t internal = 0;
    for (size_t i = 0; i < kernel.used; i++) {
        struct inode_entry *entry = inode_list_find(&real, kernel.list[i].dev, kernel.list[i].ino);
        struct inode_entry *where =
            inode_list_find(&everywhere, kernel.list[i].dev, kernel.list[i].ino);

        if (entry && !seen.used[i])
            fail("table", "the kernel watches %s (wd %d), the tables do not know it",
                 entry->path, kernel.list[i].wd);
        if (!entry && where)
            fail("leaked", "the kernel watches %s (wd %d), outside of what is watched",
                 where->path, kernel.list[i].wd);
        if (!entry && seen.used[i])
            fail("leaked", "wd %d is in the tables, its inode %llu is not in the tree",
                 kernel.list[i].wd, (unsigned long long)kernel.list[i].ino);
        internal += !entry;
    }
    for (size_t i = 0; i < count && i < 3; i++) {
        struct watch *watch = watches[i];
        uint64_t expected = 1;

        if (!watch->alive || watch->ended)
            continue;
        if (watch->kind != SECOND_FLAT)
            expected = mirror_directories(mirror_of(watches, watch));
        if (seen.shown[i] != expected && !watch->lost)
            fail("table", "watch %s has %llu watchpoints for %llu directories", watch->label,
                 (unsigned long long)seen.shown[i], (unsigned long long)expected);
        shared->totals.directories += expected;
    }
    check_stats(watcher, watches, count, &kernel, internal, seen.shown);
    free(seen.used);
    inode_list_free(&kernel);
    inode_list_free(&real);
    inode_list_free(&everywhere);
}
