/* The floor: the tightest code for one task, good for nothing else.
 *
 * Variants of setup: leaf (leaves are not listed), listed (every directory is), status (the same,
 * and each entry's status is read), walk (listed, nothing watched), add (watched by names that were read beforehand). Variants of the reading:
 * a drain only reads and looks at nothing, "chain" composes each path from the parents.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include "bench.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct dirent64_raw {
    uint64_t ino;
    int64_t off;
    uint16_t reclen;
    uint8_t type;
    char name[];
};
struct link_up {
    uint32_t parent;
    char name[BENCH_NAME + 2];
};

static int ifd = -1;
static bool leaf, listed, status, only_walk, chain;
static char listing[65536] __attribute__((aligned(16)));
static char events[262144] __attribute__((aligned(16)));
static size_t read_size = 65536;
/* Names of the directories to go down into, one after the other, each with its NUL. */
static char *names;
static size_t names_len, names_size;
static struct link_up *table;
static size_t table_size;
static const char *root_path;
static char path[PATH_MAX + NAME_MAX + 2];

static void keep(const char *name, size_t size)
{
    if (names_len + size > names_size) {
        names_size = names_size * 2 + 65536;
        names = realloc(names, names_size);
        if (!names)
            die("realloc", ENOMEM);
    }
    memcpy(names + names_len, name, size);
    names_len += size;
}

static int add(const char *name, uint32_t parent)
{
    if (only_walk)
        return 0;
    int wd = inotify_add_watch(ifd, name, BENCH_MASK | IN_ONLYDIR | IN_DONT_FOLLOW);
    if (wd < 0)
        die("inotify_add_watch", errno);
    if (chain) {
        if ((size_t)wd >= table_size) {
            table_size = (size_t)wd * 2 + 64;
            table = realloc(table, table_size * sizeof *table);
            if (!table)
                die("realloc", ENOMEM);
        }
        table[wd].parent = parent;
        strncpy(table[wd].name, name, sizeof table[wd].name - 1);
        table[wd].name[sizeof table[wd].name - 1] = '\0';
    }
    return wd;
}

static void walk_leaf(int fd)
{
    size_t base = names_len;
    ssize_t n;
    while ((n = syscall(SYS_getdents64, fd, listing, sizeof listing)) > 0) {
        for (ssize_t at = 0; at < n;) {
            const struct dirent64_raw *e = (const void *)(listing + at);
            struct stat st;
            at += e->reclen;
            if (e->type != DT_DIR || e->name[0] == '.')
                continue;
            add(e->name, 0);
            if (fstatat(fd, e->name, &st, AT_SYMLINK_NOFOLLOW) || st.st_nlink != 2)
                keep(e->name, strlen(e->name) + 1);
        }
    }
    size_t end = names_len;
    for (size_t at = base; at < end; at += strlen(names + at) + 1) {
        int down = openat(fd, names + at, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (down < 0 || fchdir(down))
            die("openat", errno);
        walk_leaf(down);
        close(down);
    }
    names_len = base;
}

/* The current directory is the parent's, so that a leaf costs no fchdir. */
static bool walk_listed(int fd, uint32_t wd)
{
    size_t base = names_len;
    bool moved = false;
    ssize_t n;
    while ((n = syscall(SYS_getdents64, fd, listing, sizeof listing)) > 0) {
        for (ssize_t at = 0; at < n;) {
            const struct dirent64_raw *e = (const void *)(listing + at);
            at += e->reclen;
            if (e->name[0] == '.')
                continue;
            struct stat found;
            if (status && fstatat(fd, e->name, &found, AT_SYMLINK_NOFOLLOW))
                die("fstatat", errno);
            if (e->type == DT_DIR)
                keep(e->name, strlen(e->name) + 1);
        }
    }
    size_t end = names_len;
    if (end > base) {
        if (fchdir(fd))
            die("fchdir", errno);
        moved = true;
    }
    for (size_t at = base; at < end; at += strlen(names + at) + 1) {
        int child = add(names + at, wd);
        int down = openat(fd, names + at, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (down < 0)
            die("openat", errno);
        if (walk_listed(down, (uint32_t)child) && fchdir(fd))
            die("fchdir", errno);
        close(down);
    }
    names_len = base;
    return moved;
}

static int raw_watch(const char *root)
{
    int here = open(".", O_PATH | O_CLOEXEC);
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || here < 0)
        return -errno;
    root_path = root;
    int wd = add(root, 0);
    if (fchdir(fd))
        return -errno;
    if (leaf)
        walk_leaf(fd);
    else
        walk_listed(fd, (uint32_t)wd);
    close(fd);
    return fchdir(here) ? -errno : 0;
}

static size_t compose(uint32_t wd)
{
    const char *part[PATH_MAX / 2];
    size_t n = 0, len = strlen(root_path);
    for (; table[wd].parent; wd = table[wd].parent)
        part[n++] = table[wd].name;
    memcpy(path, root_path, len);
    while (n) {
        path[len++] = '/';
        const char *from = part[--n];
        size_t size = strlen(from);
        memcpy(path + len, from, size);
        len += size;
    }
    return len;
}

static int raw_pump(void)
{
    ssize_t n = read(ifd, events, read_size);
    if (n < 0)
        return errno == EAGAIN ? 0 : -errno;
    if (told.hook || chain) {
        for (ssize_t at = 0; at < n;) {
            const struct inotify_event *e = (const void *)(events + at);
            at += (ssize_t)(sizeof *e + e->len);
            size_t len = chain ? compose((uint32_t)e->wd) : 0;
            if (e->len) {
                size_t size = strlen(e->name);
                path[len++] = '/';
                memcpy(path + len, e->name, size + 1);
                len += size;
            }
            bench_tell(e->mask, path, len);
        }
    } else {
        for (ssize_t at = 0; at < n;) {
            const struct inotify_event *e = (const void *)(events + at);
            at += (ssize_t)(sizeof *e + e->len);
            bench_add(&told.count, 1);
        }
    }
    return 1;
}

static int raw_open(void)
{
    const char *v = opt.variant;
    leaf = !strcmp(v, "leaf");
    status = !strcmp(v, "status");
    listed = !strcmp(v, "listed") || status;
    only_walk = !strcmp(v, "walk");
    chain = !strcmp(v, "chain");
    if (!leaf && !listed && !only_walk && !chain && strcmp(v, "read"))
        die("--variant is leaf, listed, status, walk, chain or read", EINVAL);
    if (opt.read_size && opt.read_size <= sizeof events)
        read_size = opt.read_size;
    ifd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    return ifd < 0 ? -errno : 0;
}

static int raw_fd(void)
{
    return ifd;
}

static long raw_unknown(void)
{
    return -1;
}

static void raw_close(void)
{
    close(ifd);
    free(names);
    free(table);
}

const struct bench_impl impl = {
    .name = "raw",
    .open = raw_open,
    .watch = raw_watch,
    .fd = raw_fd,
    .pump = raw_pump,
    .watchpoints = raw_unknown,
    .memory = raw_unknown,
    .close = raw_close,
};
