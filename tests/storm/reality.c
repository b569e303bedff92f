/* The real tree, and its comparison with a mirror.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include "storm.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void inode_list_add(struct inode_list *list, dev_t dev, ino_t ino, const char *path, int wd)
{
    if (list->used == list->room) {
        list->room = list->room ? list->room * 2 : 256;
        list->list = must_alloc(list->list, list->room * sizeof(*list->list));
    }
    list->list[list->used++] =
        (struct inode_entry){.dev = dev, .ino = ino, .path = must_print("%s", path), .wd = wd};
}

static int by_inode(const void *left, const void *right)
{
    const struct inode_entry *a = left, *b = right;

    if (a->ino != b->ino)
        return a->ino < b->ino ? -1 : 1;
    return (a->dev > b->dev) - (a->dev < b->dev);
}

void inode_list_sort(struct inode_list *list)
{
    if (list->used)
        qsort(list->list, list->used, sizeof(*list->list), by_inode);
}

/* The list must be sorted. */
struct inode_entry *inode_list_find(const struct inode_list *list, dev_t dev, ino_t ino)
{
    struct inode_entry key = {.dev = dev, .ino = ino};

    if (!list->used)
        return NULL;
    return bsearch(&key, list->list, list->used, sizeof(*list->list), by_inode);
}

void inode_list_free(struct inode_list *list)
{
    for (size_t i = 0; i < list->used; i++)
        free(list->list[i].path);
    free(list->list);
    memset(list, 0, sizeof(*list));
}

/* Calls `visit` for each entry of the directory `name` in `dir`, which is opened without
 * following a link, and closes it. */
static void each_entry(int dir, const char *name, const char *path,
                       void (*visit)(int fd, const char *name, const char *path, bool is_dir,
                                     void *context),
                       void *context)
{
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);

    if (!stream)
        die("cannot list %s: %s", path, strerror(errno));
    for (struct dirent *entry; (entry = readdir(stream));) {
        struct stat st;
        bool is_dir = entry->d_type == DT_DIR;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (entry->d_type == DT_UNKNOWN &&
            fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            is_dir = S_ISDIR(st.st_mode);
        char *below = must_print("%s/%s", path, entry->d_name);
        visit(fd, entry->d_name, below, is_dir, context);
        free(below);
    }
    closedir(stream);
}

static void list_visit(int fd, const char *name, const char *path, bool is_dir, void *context)
{
    struct inode_list *list = context;
    struct stat st;

    if (!is_dir)
        return;
    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        die("cannot look at %s: %s", path, strerror(errno));
    inode_list_add(list, st.st_dev, st.st_ino, path, 0);
    each_entry(fd, name, path, list_visit, context);
}

/* Adds the directory `path` and every one below it. */
void list_directories(const char *path, struct inode_list *list)
{
    struct stat st;

    if (lstat(path, &st) != 0)
        die("cannot look at %s: %s", path, strerror(errno));
    inode_list_add(list, st.st_dev, st.st_ino, path, 0);
    each_entry(AT_FDCWD, path, path, list_visit, list);
}

struct compare {
    struct watch *watch;
    const struct node *dir;
    unsigned matched;
    bool directories_only;
};

static void check_identity(const struct watch *watch, const struct node *node, int fd,
                           const char *path)
{
    struct stat st;
    uint64_t known = shared->writer[node->id_writer].inode[node->id_number];

    if (!known || fstatat(fd, node->name, &st, AT_SYMLINK_NOFOLLOW) != 0 || st.st_ino == known)
        return;
    if (node->dir)
        shared->totals.identity_dir++;
    else
        shared->totals.identity_file++;
    log_note("IDENTITY %s: watch %s holds %c%d_%u there, which is another inode", path,
             watch->label, node->dir ? 'v' : 'u', node->id_writer, node->id_number);
    /* The kernel merges a MOVED_TO with one of the same name before it, whatever their cookies,
     * and tells files that are exchanged as it tells two renames: not each swap can be known. */
    if (opt.strict_identity)
        fail("identity", "%s: by the events it is %c%d_%u, but it is not", path,
             node->dir ? 'v' : 'u', node->id_writer, node->id_number);
}

static void compare_visit(int fd, const char *name, const char *path, bool is_dir, void *context)
{
    struct compare *above = context;
    struct watch *watch = above->watch;
    struct node *node = mirror_child(above->dir, name, strlen(name));

    if (above->directories_only && !is_dir) {
        if (node && node->dir)
            fail("mirror", "watch %s: %s is a file, the mirror has a directory", watch->label,
                 path);
        return;
    }
    if (!node) {
        fail("mirror", "watch %s: %s (%s) is not in the mirror", watch->label, path,
             is_dir ? "directory" : "file");
        return;
    }
    above->matched++;
    if (node->dir != is_dir) {
        fail("mirror", "watch %s: %s is a %s, the mirror has a %s", watch->label, path,
             is_dir ? "directory" : "file", node->dir ? "directory" : "file");
        return;
    }
    if (node->id_number)
        check_identity(watch, node, fd, path);
    if (!is_dir)
        check_look(watch, node, fd, path);
    if (!is_dir || watch->kind == SECOND_FLAT || node->left_out)
        return;

    struct compare compare = {watch, node, 0, above->directories_only};
    each_entry(fd, name, path, compare_visit, &compare);
    for (unsigned i = 0; compare.matched != node->used && i < node->used; i++) {
        struct stat st;
        char *below = must_print("%s/%s", path, node->kids[i]->name);

        if ((node->kids[i]->dir || !above->directories_only) &&
            (lstat(below, &st) != 0 || (above->directories_only && !S_ISDIR(st.st_mode))))
            fail("mirror", "watch %s: %s is not there, the mirror has a %s", watch->label, below,
                 node->kids[i]->dir ? "directory" : "file");
        free(below);
    }
}

/* The mirror must have what is in `real_root`, nothing missing and nothing too many. */
void compare_tree(struct watch *watch, const char *real_root)
{
    struct node top = {.kids = &watch->tree, .used = 1, .room = 1, .dir = true};
    struct compare compare = {watch, &top, 0, watch->overflowed && !opt.track_entries};
    char *name = watch->tree->name;

    shared->totals.checks++;
    if (watch->kind == SECOND_FLAT && watch->overflowed && !opt.track_entries)
        return;
    watch->tree->name = must_print("%s", real_root);
    compare_visit(AT_FDCWD, real_root, real_root, true, &compare);
    free(watch->tree->name);
    watch->tree->name = name;
}
