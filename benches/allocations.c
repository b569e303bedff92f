/* Counts the memory allocations of delivering events to existing watchpoints, flat and over many
 * directories, and of renames of files within a directory and between two. Exit status 1 if there is one: the hot path must not allocate (promise P17).
 *
 * The allocator's entry points are replaced in this program, so whatever the library calls is
 * counted, on every thread. A first round lets buffers grow to their size and is not counted.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include <errno.h>
#include <rinotify.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The C library's own names for them. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *p);

static _Atomic long allocations;
static _Atomic int counting;

static void count(void)
{
    if (atomic_load_explicit(&counting, memory_order_relaxed))
        atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
}

void *malloc(size_t size)
{
    count();
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    count();
    return __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
    count();
    return __libc_realloc(old, size);
}

void *memalign(size_t align, size_t size)
{
    count();
    return __libc_memalign(align, size);
}

void *aligned_alloc(size_t align, size_t size)
{
    return memalign(align, size);
}

int posix_memalign(void **to, size_t align, size_t size)
{
    void *p = memalign(align, size);
    if (!p)
        return ENOMEM;
    *to = p;
    return 0;
}

void free(void *p)
{
    /* Giving memory back on the hot path would be as wrong. */
    if (p)
        count();
    __libc_free(p);
}

enum { DIRS = 64, BATCH = 5000, EVENTS = 100000 };

static char root[64];
static long told;

static void on_event(inotify_watcher *w, const inotify_watcher_event *event, void *user_data)
{
    (void)w;
    (void)user_data;
    told += event->path_len > 0;
}

static void fail(const char *what, int error)
{
    fprintf(stderr, "allocations: %s: %s\n", what, strerror(error));
    exit(1);
}

/* One event a call: chmod of a file that exists. No two in a row are alike, so none are merged. */
static void fill(int flat)
{
    char path[128];
    for (int i = 0; i < BATCH; i++) {
        snprintf(path, sizeof path, "%s/d%d/f%d", root, flat ? 0 : i % DIRS, i / DIRS % 2);
        if (flat)
            snprintf(path, sizeof path, "%s/d0/f%d", root, i % 2);
        if (chmod(path, i % 4 < 2 ? 0600 : 0644))
            fail("chmod", errno);
    }
}

/* Two files by turns move to and fro, in their directory or into the next one and back: two events
 * a rename. What comes next in a directory is never what came last, and the last event of all is no
 * rename: or else the library would look whether the rename is half of an exchange. */
static void rename_files(void)
{
    char from[128], to[128];
    for (int i = 0; i < BATCH / 2; i++) {
        int dir = i / 4 % (DIRS - 1), file = i % 2, back = i / 2 % 2;
        snprintf(from, sizeof from, "%s/d%d/f%d", root, dir, file);
        snprintf(to, sizeof to, "%s/d%d/moved%d", root, dir + (i / 4 % 3 == 0), file);
        if (back ? rename(to, from) : rename(from, to))
            fail("rename", errno);
    }
    for (int d = 0; d < DIRS; d++) {
        snprintf(from, sizeof from, "%s/d%d/last", root, d);
        if (mknod(from, S_IFREG | 0644, 0) || unlink(from))
            fail(from, errno);
    }
}

static void drain(inotify_watcher *w)
{
    int r;
    while ((r = inotify_watcher_do_read(w)) > 0)
        ;
    if (r < 0)
        fail("inotify_watcher_do_read", -r);
}

static void tree(int make)
{
    char path[128];
    for (int i = 0; i < DIRS; i++) {
        for (int k = 0; k < 2; k++) {
            if (k == 0 && make) {
                snprintf(path, sizeof path, "%s/d%d", root, i);
                if (mkdir(path, 0755))
                    fail("mkdir", errno);
            }
            snprintf(path, sizeof path, "%s/d%d/f%d", root, i, k);
            if (make ? mknod(path, S_IFREG | 0644, 0) : unlink(path))
                fail(path, errno);
        }
        snprintf(path, sizeof path, "%s/d%d", root, i);
        if (!make && rmdir(path))
            fail("rmdir", errno);
    }
}

enum work { FLAT, OVER_DIRECTORIES, RENAMES, WORKS };

static int measure(inotify_watcher *w, enum work work)
{
    static const char *const names[WORKS] = {"flat", "dirs", "renames"};
    long before = 0;
    atomic_store(&allocations, 0);
    told = 0;
    for (int done = -2 * BATCH; done < EVENTS; done += BATCH) {
        if (done == 0)
            before = told;
        if (work == RENAMES)
            rename_files();
        else
            fill(work == FLAT);
        atomic_store(&counting, done >= 0);
        drain(w);
        atomic_store(&counting, 0);
    }
    long n = atomic_load(&allocations);
    long expected = work == RENAMES ? EVENTS / BATCH * (BATCH + 2 * DIRS) : EVENTS;
    printf("work=allocations over=%s events=%ld allocations=%ld\n", names[work], told - before, n);
    if (told - before != expected) {
        fprintf(stderr, "allocations: %ld of %ld events came\n", told - before, expected);
        return 1;
    }
    return n != 0;
}

int main(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(root, sizeof root, "%.40s/rinotify-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(root))
        fail("mkdtemp", errno);
    tree(1);
    inotify_watcher *w = inotify_watcher_create(NULL);
    if (!w)
        fail("inotify_watcher_create", errno);
    atomic_store(&counting, 1);
    int64_t id = inotify_watcher_watch(w, root, RINOTIFY_WATCH_MASK,
                                       RINOTIFY_WATCH_RECURSIVE | RINOTIFY_WATCH_AUTO_ADD,
                                       on_event, NULL);
    atomic_store(&counting, 0);
    if (id < 0)
        fail("inotify_watcher_watch", (int)-id);
    if (!atomic_load(&allocations)) {
        fprintf(stderr, "allocations: not even the ones of a new watch were seen\n");
        return 1;
    }
    int bad = 0;
    for (int work = FLAT; work < WORKS; work++)
        bad |= measure(w, (enum work)work);
    inotify_watcher_destroy(w);
    tree(0);
    rmdir(root);
    return bad;
}
