/* What the benchmark programs share: one driver with one function a work item, and one
 * implementation linked to it in each program (ours, the hand-written loop, the peers), so that
 * all of them are measured by the very same code.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/inotify.h>
#include <sys/types.h>

/* The bits of RINOTIFY_WATCH_MASK, for those that do not have the header. */
#define BENCH_MASK                                                                              \
    (IN_MODIFY | IN_ATTRIB | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF |            \
     IN_UNMOUNT | IN_MOVED_FROM | IN_MOVED_TO)

/* Every name in the benchmark trees has ten bytes: d000000001, f000000001. */
#define BENCH_NAME 10
#define BENCH_FANOUT 100
/* The directory below the watched one that holds the tree, so that it can be renamed. */
#define BENCH_TREE "tree"

struct bench_options {
    const char *work;
    const char *dir;     /* the directory to watch; the tree is dir/tree */
    const char *outside; /* a directory of the same file system that is not watched */
    const char *variant; /* of the implementation, "" by default */
    unsigned long dirs;
    unsigned long files; /* in each directory */
    unsigned long events;
    unsigned long rounds;
    unsigned long delay_us;  /* between a wake-up and the read, in the storm */
    unsigned long read_size; /* 0: the implementation's own */
    bool existing;           /* report what is there already */
    bool track;              /* remember every entry */
    bool queued;             /* removal: all events are queued before the first read */
    bool flat;               /* drain: all events in one directory */
};
extern struct bench_options opt;

/* One implementation. Functions return 0 or a negative errno unless said otherwise. */
struct bench_impl {
    const char *name;
    bool threaded;  /* callbacks come on a thread of the implementation's own */
    bool recursive; /* follows new directories */
    int (*open)(void);
    int (*watch)(const char *path); /* the path and all directories below */
    int (*fd)(void);                /* to poll; -1 if threaded */
    int (*pump)(void);              /* one read: > 0 if there may be more, 0 if drained */
    int (*ignore)(const char *path); /* end the watch of this root; NULL: cannot */
    long (*watchpoints)(void);      /* -1 if unknown */
    long (*memory)(void);           /* its own count of bytes, -1 if it has none */
    void (*close)(void);
};
extern const struct bench_impl impl;

/* What was told so far. Atomic because threaded implementations tell on another thread; with
 * relaxed order that is a plain load and store. */
struct bench_told {
    _Atomic uint64_t count;
    _Atomic uint64_t bytes; /* of paths, so that a wrong path is noticed */
    _Atomic uint64_t overflows;
    _Atomic uint64_t errors;
    void (*hook)(uint32_t mask, const char *path, size_t path_len);
};
extern struct bench_told told;

static inline void bench_add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* Every implementation's callback ends here: the same work for each. */
static inline void bench_tell(uint32_t mask, const char *path, size_t path_len)
{
    if (mask & IN_Q_OVERFLOW)
        bench_add(&told.overflows, 1);
    bench_add(&told.count, 1);
    bench_add(&told.bytes, path_len);
    if (told.hook)
        told.hook(mask, path, path_len);
}

/* measure.c */
struct bench_clock {
    int64_t wall, cpu, user, sys; /* ns; user and sys are the kernel's estimate */
};
int64_t now_ns(void);
int64_t cpu_ns(void); /* of the whole process, threads that ended included */
int64_t thread_cpu_ns(void);
struct bench_clock clock_read(void);
struct bench_clock clock_since(const struct bench_clock *start);
long rss_bytes(void); /* exact, from smaps_rollup */
long heap_bytes(void);
long sysctl_inotify(const char *name);
void out_begin(void);
void out(const char *key, double value);
void out_str(const char *key, const char *value);
void out_clock(const struct bench_clock *c, double per, const char *unit, double scale);
void out_end(void);
_Noreturn void die(const char *what, int error);

/* tree.c */
void path_join(char *to, size_t size, const char *a, const char *b);
size_t tree_path(char *to, size_t size, const char *root, unsigned long number);
void tree_make(const char *root, unsigned long dirs, unsigned long files);
void tree_remove(const char *root);
unsigned long tree_storm(const char *root, unsigned long dirs, unsigned long files);

/* writer.c: a second process that changes the file system, forked before anything is watched so
 * that its pages and its CPU time are none of the watcher's. */
#define BENCH_STAMPS 65536
struct bench_shared {
    _Atomic int done; /* number of the last stage that is complete */
    _Atomic uint64_t bytes;
    _Atomic uint64_t events;
    _Atomic int64_t stamp[BENCH_STAMPS];
};
extern struct bench_shared *shared;
typedef void (*writer_stage)(int stage);
void writer_start(writer_stage stages);
void writer_begin(int stage);
void writer_await(void);
void writer_run(int stage); /* begin and await */
int writer_fd(void);        /* readable when the stage is complete */
void writer_end(void);

/* live.c */
void live_run(void);   /* reads by epoll until the writer's stage is over and all is drained */
void settle(void);     /* until nothing more comes */
uint64_t drain_all(void);
void gate_close(void); /* holds a threaded implementation in its next callback */
void gate_open(void);
int cmp_i64(const void *a, const void *b);

/* The work items. */
void work_setup(void);
void work_ignore(void);
void work_drain(void);
void work_latency(void);
void work_storm(void);
void work_removal(void);
void work_rename(void);
void work_move(void);

#endif
