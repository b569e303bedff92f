/* The storm: writers that change a tree at random, a reader that only believes the library's
 * events, and the proof that both end up with the same tree.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef STORM_H
#define STORM_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <fcntl.h>
#include <limits.h>
#include <rinotify.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>

#define MAX_WRITERS 8
#define POPULATOR MAX_WRITERS /* the seed's own process, filling the tree before the storm */
#define MAX_UNIQUE 8192       /* unique names a writer may use up in one seed */
#define LOG_RECORDS 40000     /* system calls remembered a writer */
#define MAX_OPS 32

/* How the reader waits. */
enum loop_kind { LOOP_EPOLL, LOOP_EDGE, LOOP_POLL, LOOP_BUSY, LOOP_SLOW, LOOP_KINDS };

/* What a second watch, which overlaps the first, is about. */
enum second_kind {
    SECOND_NONE,
    SECOND_SAME,      /* the same root and mask again, with other user data */
    SECOND_LINK,      /* the same root through a symbolic link */
    SECOND_STABLE,    /* a directory below the root that nobody removes */
    SECOND_VOLATILE,  /* a directory below the root that is moved and removed like any other */
    SECOND_FLAT,      /* the same root, not recursive */
    SECOND_STRUCTURE, /* the same root with a mask of create, delete and move bits alone */
    SECOND_CLOSE,     /* the same root with a mask of close_write alone */
    SECOND_FILTER,    /* the same root without the directories of some names */
    SECOND_ASK,       /* the same, but it is a function that says which */
    SECOND_KINDS
};

/* Command line. 0 (or -1 where 0 means something) leaves the choice to the seed. */
struct options {
    uint64_t seed;
    uint64_t seeds;
    uint64_t repeat;
    int writers;
    int ops;
    int phases;
    uint32_t read_size;
    uint32_t max_events;
    uint32_t max_scan;
    int loop;
    int second;
    uint64_t queue;
    unsigned timeout;
    const char *dir;
    const char *dump;
    const char *sabotage;
    bool off[MAX_OPS];
    bool keep;
    bool in_process;
    bool fail_fast;
    bool quiet;
    bool strict_identity;
    bool strict_order;
    bool allow_overflow;
    bool allow_errors;
    bool track_entries;
    bool stop_reader;
    bool faults;
    bool contents;
    uint64_t soak; /* seconds */
};

/* What one seed does, drawn from its number and the command line. */
struct plan {
    uint64_t seed;
    int writers;
    int ops;
    int phases;
    int pool;
    int depth;
    unsigned weights[MAX_OPS];
    enum loop_kind loop;
    unsigned slow_gap;
    uint32_t read_size;
    uint32_t max_events;
    uint32_t max_scan;
    int populate;
    unsigned watch_after; /* writers' operations before the watch is made; 0: before they start */
    bool check_existing;
    enum second_kind second;
    int second_from;
    int second_until;
    unsigned second_after;
    bool relative;
    bool probes;
};

/* One system call of a writer. */
struct op_record {
    uint64_t start;
    uint64_t end;
    int32_t result;
    char what[12];
    char path[72];
    char other[72];
};

struct writer_log {
    _Atomic uint64_t ops;  /* random operations tried */
    _Atomic uint32_t used; /* records */
    uint64_t calls;        /* system calls that changed something */
    uint64_t chmods;
    uint64_t renames;
    uint64_t exchanges;
    int unexpected;        /* an errno that no race can explain */
    char unexpected_at[160];
    uint64_t inode[MAX_UNIQUE]; /* of the file made under a unique name, 0 if not known */
    struct op_record record[LOG_RECORDS];
};

struct totals {
    uint64_t passed, failed, overflowed;
    uint64_t ops, calls, renames, exchanges;
    uint64_t events, synthetic, moves, kernel_events, reads, directories;
    uint64_t late, odd_type, odd_over, identity_file, identity_dir, checks, probes;
    uint64_t overflows, rescans, odd_lost, looks, contents;
    uint64_t sabotaged;
    uint64_t faults, fault_errors, fault_calls, fault_watches, fault_excused, fault_again, fault_retried;
};

/* Memory shared by all processes of the run. */
struct shared {
    struct totals totals;
    struct writer_log writer[MAX_WRITERS + 1];
};

extern struct options opt;
extern struct shared *shared;

/* rng.c: what is needed everywhere */
struct rng {
    uint64_t state;
};
void rng_seed(struct rng *rng, uint64_t seed, uint64_t stream);
uint64_t rng_next(struct rng *rng);
unsigned rng_below(struct rng *rng, unsigned limit);
bool rng_one_in(struct rng *rng, unsigned n);
uint64_t now_ns(void);
void *must_alloc(void *old, size_t size);
char *must_print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
int remove_tree(int dir, const char *name);

/* fail.c: the verdict of the seed that is running in this process */
#define CLASS_OVERFLOW "overflow"
extern const char *fail_class;
extern char fail_text[1200];
void fail(const char *class, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* plan.c */
void plan_make(struct plan *plan, uint64_t seed);
void plan_print(const struct plan *plan, FILE *out);
const char *loop_name(enum loop_kind kind);
const char *second_name(enum second_kind kind);

/* syscalls.c and ops.c: the writers */
struct writer {
    const struct plan *plan;
    struct writer_log *log;
    int index;
    struct rng rng;
    unsigned unique;
    unsigned recent_next;
    char recent[16][256];
};
struct op {
    const char *name;
    unsigned weight;
    void (*run)(struct writer *writer);
};
extern const struct op ops[];
extern const int op_count;
void writer_start(struct writer *writer, const struct plan *plan, int index);
void writer_ops(struct writer *writer, int count);
void writer_process(const struct plan *plan, int index, int commands, int done)
    __attribute__((noreturn));

int do_mkdir(struct writer *w, const char *path);
int do_create(struct writer *w, const char *path, int flags, size_t bytes);
int do_write(struct writer *w, const char *path, int flags);
int do_unlink(struct writer *w, const char *path);
int do_rmdir(struct writer *w, const char *path);
int do_rename(struct writer *w, const char *from, const char *to, unsigned flags);
int do_symlink(struct writer *w, const char *target, const char *path);
int do_link(struct writer *w, const char *from, const char *to);
int do_fifo(struct writer *w, const char *path);
int do_chmod(struct writer *w, const char *path, mode_t mode);
int do_tmpfile(struct writer *w, const char *dir, const char *path);
void do_rm_rf(struct writer *w, const char *path);
void do_mark_outside(struct writer *w, const char *dir, const char *name);

/* mirror.c: the tree as the events tell it */
struct node {
    struct node *parent;
    struct node **kids;
    unsigned used, room;
    char *name;
    bool dir;
    bool left_out; /* by a filter: nothing is told of what is below */
    int id_writer; /* which unique file or directory this is; id_number 0: not known */
    unsigned id_number;
    struct look {
        bool done;
        ino_t ino;
        mode_t mode;
        off_t size;
        struct timespec mtime;
    } look; /* what a consumer who looks at what he is told about has seen last */
};
struct held {
    struct held *next;
    uint32_t cookie;
    char *path;
    struct node *node;
};
/* An inode, told from a later one with the same number. */
struct identity {
    dev_t dev;
    ino_t ino;
    unsigned bytes;
    int type;
    unsigned char handle[MAX_HANDLE_SZ];
};
bool identity_of(const char *path, struct identity *identity);
struct watch {
    int64_t id;
    const char *label;
    char *root;
    size_t root_len;
    uint32_t mask;
    uint32_t flags;
    enum second_kind kind;
    bool alive;       /* it was made and not ended */
    bool ended;       /* IN_IGNORED came */
    bool self_gone;   /* IN_DELETE_SELF came */
    bool self_moved;  /* IN_MOVE_SELF came: the root's path leads elsewhere from then on */
    bool faulted;     /* it was told that something is not covered */
    bool confused;    /* an event did not fit: something is not covered, which must be told */
    bool lost;        /* and directories below it could not be reached */
    bool overflowed;  /* ever */
    bool unrepaired;  /* since then no rescan has ended */
    bool rescanning;
    uint64_t overflows;        /* told */
    uint64_t overflows_before; /* counted by the library when the watch was made */
    struct identity root_identity; /* where the root may go elsewhere */
    uint64_t changes; /* events that are no synthetic CREATE */
    uint64_t events;
    uint64_t attribs;
    struct node *tree;
    struct held *held;
};
void watch_start(struct watch *watch, const char *label, const char *root, uint32_t mask,
                 uint32_t flags, enum second_kind kind);
void watch_free(struct watch *watch);
void mirror_event(struct watch *watch, const inotify_watcher_event *event);
void mirror_settle(struct watch *watch);
struct node *mirror_child(const struct node *dir, const char *name, size_t len);
const struct node *mirror_find(const struct node *tree, const char *relative);
bool mirror_wants(const struct watch *watch, const char *relative);
/* Those that are watched, and those that a filter leaves out. */
uint64_t mirror_directories(const struct node *node);
uint64_t mirror_left_out(const struct node *node);

/* overflow.c: what a loss of events excuses, and what not */
void overflow_event(struct watch *watch, const inotify_watcher_event *event);
bool overflow_excuses(struct watch *watch, bool file);
void check_overflows(const struct watch *watch, uint64_t counted);
void look(struct watch *watch, struct node *node, const char *path);
void check_look(const struct watch *watch, const struct node *node, int dir, const char *path);

/* reality.c and tables.c: what is really there */
struct inode_list {
    size_t used, room;
    struct inode_entry {
        dev_t dev;
        ino_t ino;
        char *path;
        int wd;
    } *list;
};
void inode_list_add(struct inode_list *list, dev_t dev, ino_t ino, const char *path, int wd);
struct inode_entry *inode_list_find(const struct inode_list *list, dev_t dev, ino_t ino);
void inode_list_sort(struct inode_list *list);
void inode_list_free(struct inode_list *list);
void list_directories(const char *path, struct inode_list *list);
void compare_tree(struct watch *watch, const char *real_root);
char *root_place(const struct watch *watch);
void check_tables(inotify_watcher *watcher, struct watch **watches, size_t count);

/* eventlog.c: what is dumped when a seed fails */
void log_reset(void);
void log_delivered(const struct watch *watch, const inotify_watcher_event *event);
void log_kernel(const void *data, size_t len);
void log_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_dump(const struct plan *plan, FILE *out);

/* trace.c: sees the library's system calls on the inotify descriptor */
extern int trace_fd;

/* sabotage.c: damages the stream or the tables on purpose, to show that the oracle sees it */
void sabotage_reset(uint64_t seed);
/* Calls `deliver` for what is to be believed instead of `event`: nothing, once or twice. */
void sabotage_event(struct watch *watch, const inotify_watcher_event *event,
                    void (*deliver)(struct watch *, const inotify_watcher_event *));
void sabotage_tables(inotify_watcher *watcher);
bool sabotage_known(const char *kind);
void sabotage_list(FILE *out);

/* faults.c: system calls of the library that fail at random, while the writers work */
extern bool faults_on;       /* they fail now */
extern bool faults_excuse;   /* they failed, and what that left is not made good yet */
bool faults_possible(void);
void faults_begin(uint64_t seed, int phase);
void faults_end(void);

/* reader.c and seed.c: one seed */
struct run {
    const struct plan *plan;
    struct rng rng;
    inotify_watcher *watcher;
    int fd;
    int done_fd; /* writers tell the end of a phase here */
    int done_count;
    int phase;
    struct watch first;
    struct watch second;
    bool first_started, second_started;
    unsigned probe_number;
    uint64_t delivered;
};
extern struct run *running;
extern const char *volatile step;
void reader_callback(inotify_watcher *watcher, const inotify_watcher_event *event, void *data);
int read_once(struct run *run);
void read_phase(struct run *run);
void quiesce(struct run *run, int how);
void check_all(struct run *run);
int open_fds(void);
uint64_t writers_ops(const struct plan *plan);
void recover(struct run *run);
void watch_first(struct run *run);
void watch_second(struct run *run);
int seed_run(uint64_t seed);

/* soak.c: one seed for a long time */
bool soak_goes_on(void);
void soak_rest(struct run *run);

#endif
