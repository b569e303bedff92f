/* The hand-written loop: what an excellent C programmer writes for one program.
 *
 * A directory is watched by a name relative to the current directory, its link count is read
 * after the watch stands, and a leaf is not listed. The table is an array indexed by wd, of the
 * parent's wd and the name; the path of the last directory is remembered. No dedupe, no defence
 * against races, one user, one mask. A rename of a directory is found by a search of the table.
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

struct hand_event {
    uint32_t mask, cookie;
    const char *path;
    size_t path_len;
    const char *name;
};
typedef void (*hand_callback)(const struct hand_event *event, void *user_data);

struct entry {
    uint32_t parent; /* wd, 0 for the root */
    uint32_t name;   /* in the arena, 0 if the wd is not in use */
};
struct dirent64_raw {
    uint64_t ino;
    int64_t off;
    uint16_t reclen;
    uint8_t type;
    char name[];
};

static int ifd = -1;
static struct entry *table;
static size_t table_size;
static long live;
static char *arena; /* each name: length as two bytes, the bytes, NUL */
static size_t arena_len, arena_size;
static uint32_t *stack; /* wds of directories still to be listed */
static size_t stack_len, stack_size;
static char listing[65536] __attribute__((aligned(16)));
static char events[262144] __attribute__((aligned(16)));
static size_t read_size = 65536;
static char path[PATH_MAX + NAME_MAX + 2];
static uint32_t path_wd;
static size_t path_len;
static hand_callback callback;
static void *callback_data;
static uint32_t from_cookie, from_parent;
static char from_name[NAME_MAX + 1];

static void *grow(void *p, size_t *size, size_t need, size_t each)
{
    if (need <= *size)
        return p;
    size_t n = *size ? *size : 1024;
    while (n < need)
        n += n / 2;
    p = realloc(p, n * each);
    if (!p)
        die("realloc", ENOMEM);
    *size = n;
    return p;
}

static uint32_t intern(const char *name, size_t len)
{
    arena = grow(arena, &arena_size, arena_len + len + 3, 1);
    uint32_t at = (uint32_t)arena_len;
    uint16_t n = (uint16_t)len;
    memcpy(arena + at, &n, 2);
    memcpy(arena + at + 2, name, len + 1);
    arena_len += len + 3;
    return at;
}

static void remember(int wd, uint32_t parent, const char *name, size_t len)
{
    size_t old = table_size;
    table = grow(table, &table_size, (size_t)wd + 1, sizeof *table);
    if (table_size > old)
        memset(table + old, 0, (table_size - old) * sizeof *table);
    live += !table[wd].name;
    table[wd].parent = parent;
    table[wd].name = intern(name, len);
}

static size_t compose(uint32_t wd)
{
    uint32_t chain[PATH_MAX / 2];
    size_t n = 0, len = 0;
    for (; wd; wd = table[wd].parent)
        chain[n++] = table[wd].name;
    while (n) {
        uint16_t part;
        const char *name = arena + chain[--n];
        memcpy(&part, name, 2);
        if (len)
            path[len++] = '/';
        memcpy(path + len, name + 2, part);
        len += part;
    }
    path[len] = '\0';
    return len;
}

static void push(uint32_t wd)
{
    stack = grow(stack, &stack_size, stack_len + 1, sizeof *stack);
    stack[stack_len++] = wd;
}

/* Watches what is in the directory fd, which is the current one, and goes down. */
static void walk(int fd, uint32_t wd)
{
    size_t base = stack_len;
    ssize_t n;
    while ((n = syscall(SYS_getdents64, fd, listing, sizeof listing)) > 0) {
        for (ssize_t at = 0; at < n;) {
            const struct dirent64_raw *e = (const void *)(listing + at);
            struct stat st;
            at += e->reclen;
            if (e->type != DT_DIR || (e->name[0] == '.' && (!e->name[1] || (e->name[1] == '.' && !e->name[2]))))
                continue;
            int child = inotify_add_watch(ifd, e->name, BENCH_MASK | IN_ONLYDIR | IN_DONT_FOLLOW);
            if (child < 0)
                continue;
            remember(child, wd, e->name, strlen(e->name));
            if (fstatat(fd, e->name, &st, AT_SYMLINK_NOFOLLOW) || st.st_nlink != 2)
                push((uint32_t)child);
        }
    }
    while (stack_len > base) {
        uint32_t child = stack[--stack_len];
        int down = openat(fd, arena + table[child].name + 2, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (down < 0)
            continue;
        if (!fchdir(down))
            walk(down, child);
        close(down);
    }
}

static int hand_watch(const char *root)
{
    struct stat st;
    int here = open(".", O_PATH | O_CLOEXEC);
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int wd = inotify_add_watch(ifd, root, BENCH_MASK);
    if (here < 0 || fd < 0 || wd < 0)
        return -errno;
    remember(wd, 0, root, strlen(root));
    if (!fstat(fd, &st) && st.st_nlink != 2 && !fchdir(fd)) {
        walk(fd, (uint32_t)wd);
        if (fchdir(here))
            return -errno;
    }
    close(fd);
    close(here);
    path_wd = 0;
    return 0;
}

static void tell(uint32_t mask, uint32_t cookie, size_t len, const char *name)
{
    struct hand_event event = {mask, cookie, path, len, name};
    callback(&event, callback_data);
}

/* A directory appeared whose path, of this length, is in `path`: watch it, tell what is in it. */
static void adopt(uint32_t parent, size_t len, size_t name_len)
{
    char buffer[4096] __attribute__((aligned(16)));
    ssize_t n;
    int wd = inotify_add_watch(ifd, path, BENCH_MASK | IN_ONLYDIR | IN_DONT_FOLLOW);
    if (wd < 0)
        return;
    remember(wd, parent, path + len - name_len, name_len);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    while ((n = syscall(SYS_getdents64, fd, buffer, sizeof buffer)) > 0) {
        for (ssize_t at = 0; at < n;) {
            const struct dirent64_raw *e = (const void *)(buffer + at);
            at += e->reclen;
            if (e->name[0] == '.' && (!e->name[1] || (e->name[1] == '.' && !e->name[2])))
                continue;
            size_t part = strlen(e->name);
            path[len] = '/';
            memcpy(path + len + 1, e->name, part + 1);
            tell(IN_CREATE | (e->type == DT_DIR ? IN_ISDIR : 0), 0, len + 1 + part, path + len + 1);
            if (e->type == DT_DIR)
                adopt((uint32_t)wd, len + 1 + part, part);
            path[len] = '\0';
        }
    }
    close(fd);
}

static void renamed(uint32_t parent, const char *name, size_t len)
{
    for (size_t wd = 1; wd < table_size; wd++) {
        if (table[wd].name && table[wd].parent == from_parent &&
            !strcmp(arena + table[wd].name + 2, from_name)) {
            table[wd].parent = parent;
            table[wd].name = intern(name, len);
            path_wd = 0;
            return;
        }
    }
}

static void handle(const struct inotify_event *e)
{
    uint32_t wd = (uint32_t)e->wd;
    if (e->wd < 0) {
        tell(e->mask, 0, 0, NULL);
        return;
    }
    if (wd >= table_size || !table[wd].name)
        return;
    if (wd != path_wd) {
        path_len = compose(wd);
        path_wd = wd;
    }
    if (e->mask & IN_IGNORED) {
        table[wd].name = 0;
        path_wd = 0;
        live--;
        return;
    }
    if (!e->len) {
        path[path_len] = '\0';
        tell(e->mask, e->cookie, path_len, NULL);
        return;
    }
    size_t len = strlen(e->name);
    path[path_len] = '/';
    memcpy(path + path_len + 1, e->name, len + 1);
    tell(e->mask, e->cookie, path_len + 1 + len, path + path_len + 1);
    if (e->mask & IN_ISDIR) {
        if (e->mask & IN_MOVED_FROM) {
            from_cookie = e->cookie;
            from_parent = wd;
            memcpy(from_name, e->name, len + 1);
        } else if (e->mask & IN_MOVED_TO && e->cookie == from_cookie) {
            renamed(wd, e->name, len);
        } else if (e->mask & (IN_CREATE | IN_MOVED_TO)) {
            adopt(wd, path_len + 1 + len, len);
        }
    }
}

static int hand_pump(void)
{
    ssize_t n = read(ifd, events, read_size);
    if (n < 0)
        return errno == EAGAIN ? 0 : -errno;
    for (ssize_t at = 0; at < n;) {
        const struct inotify_event *e = (const void *)(events + at);
        at += (ssize_t)(sizeof *e + e->len);
        handle(e);
    }
    return 1;
}

static void on_event(const struct hand_event *event, void *user_data)
{
    (void)user_data;
    bench_tell(event->mask, event->path, event->path_len);
}

static int hand_open(void)
{
    ifd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (ifd < 0)
        return -errno;
    if (opt.read_size && opt.read_size <= sizeof events)
        read_size = opt.read_size;
    callback = on_event;
    arena = grow(arena, &arena_size, 1, 1);
    arena_len = 1;
    return 0;
}

static int hand_ignore(const char *root)
{
    (void)root;
    for (size_t wd = 1; wd < table_size; wd++)
        if (table[wd].name)
            inotify_rm_watch(ifd, (int)wd);
    return 0;
}

static int hand_fd(void)
{
    return ifd;
}

static long hand_watchpoints(void)
{
    return live;
}

static long hand_memory(void)
{
    return (long)(table_size * sizeof *table + arena_size + stack_size * sizeof *stack);
}

static void hand_close(void)
{
    close(ifd);
    free(table);
    free(arena);
    free(stack);
}

const struct bench_impl impl = {
    .name = "hand",
    .recursive = true,
    .open = hand_open,
    .watch = hand_watch,
    .fd = hand_fd,
    .pump = hand_pump,
    .ignore = hand_ignore,
    .watchpoints = hand_watchpoints,
    .memory = hand_memory,
    .close = hand_close,
};
