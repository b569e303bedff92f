/* librinotify: file watching on Linux, one fd, recursive, without a hidden thread.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The events and masks are those of inotify(7); <sys/inotify.h> defines the IN_* names. Every
 * function returns a negative errno value when it fails, and inotify_watcher_last_error() says
 * what failed and where. Unless its own text says otherwise, a function may be called from any
 * thread, and inside a callback of the same watcher.
 */

#ifndef RINOTIFY_H
#define RINOTIFY_H

/* Generated from src/api by cbindgen: change it there, then run scripts/header. */

#include <stddef.h>
#include <stdint.h>
#include <sys/inotify.h>

/** First number of the version of this header; a change of it breaks programs. */
#define RINOTIFY_VERSION_MAJOR 0

/** Second number of the version of this header. */
#define RINOTIFY_VERSION_MINOR 1

/** Third number of the version of this header. */
#define RINOTIFY_VERSION_PATCH 0

/**
 * The usual mask: MODIFY, ATTRIB, CREATE, DELETE, DELETE_SELF, MOVE_SELF, UNMOUNT, MOVED_FROM and
 * MOVED_TO. It has no OPEN, ACCESS or CLOSE bit, so that a callback that reads the file it was
 * told about does not call itself again. Since 0.1.
 */
#define RINOTIFY_WATCH_MASK 0x2fc6

/**
 * Watch the directories below the path as well. The path must be a directory (-ENOTDIR). Since 0.1.
 */
#define RINOTIFY_WATCH_RECURSIVE 0x0001

/**
 * Watch directories that are made below the path, or moved there, from then on; what is already
 * in them when they are first seen is told as synthetic IN_CREATE. Since 0.1.
 */
#define RINOTIFY_WATCH_AUTO_ADD 0x0002

/**
 * Report what is there already first, as synthetic IN_CREATE, each entry once, a parent before
 * its children, whatever the mask says. Since 0.1.
 */
#define RINOTIFY_WATCH_EMIT_EXISTING 0x0004

/**
 * The library made the event because the kernel could not: the entry was there before its
 * directory was watched, or a rescan found the difference. Since 0.1.
 */
#define RINOTIFY_EVENT_SYNTHETIC 0x0001

/**
 * Something failed after the watch was made: `error` has the errno value, `path` the place. Since
 * 0.1.
 */
#define RINOTIFY_EVENT_ERROR 0x0002

/**
 * An overflow is being repaired; `path` is the root. Events up to RINOTIFY_EVENT_RESCAN_END bring
 * the consumer back in step. Since 0.1.
 */
#define RINOTIFY_EVENT_RESCAN_BEGIN 0x0004

/** The repair after an overflow is complete; `path` is the root. Since 0.1. */
#define RINOTIFY_EVENT_RESCAN_END 0x0008

/** A watcher: one inotify instance with one descriptor to poll. Opaque; thread-safe. */
typedef struct inotify_watcher inotify_watcher;

/**
 * How a watcher is made. Set `size` to sizeof of the struct and the rest to 0, then fill in.
 *
 * A shorter struct of an older header is taken as if the rest were 0; a longer one of a newer
 * header is -E2BIG if it has a non-zero byte that this library does not know (openat2(2) does the
 * same).
 */
typedef struct inotify_watcher_options {
    /** sizeof(inotify_watcher_options). */
    size_t size;
    /** None is defined yet; an unknown bit is -EINVAL. */
    uint32_t flags;
    /** Bytes that one read(2) asks for: 512 to 16777216, 0 for 65536. */
    uint32_t read_size;
    /** Most callbacks that one do_read makes: 1 to 16777216, 0 for 4096. */
    uint32_t max_events;
    /**
     * Most directory entries that one do_read looks at while it scans: 16 to 16777216, 0 for 1024.
     */
    uint32_t max_scan;
} inotify_watcher_options;

/**
 * One event, as a callback sees it.
 *
 * It belongs to the library and is valid until the callback returns; so are the strings. It may
 * grow at its end in later versions: `size` is what the library filled in.
 */
typedef struct inotify_watcher_event {
    /** Size of this struct in bytes, as the library knows it. */
    size_t size;
    /** Id of the watch that the event is for, as inotify_watcher_watch() returned it. */
    int64_t watch;
    /**
     * The kernel's event bits (IN_CREATE, IN_ISDIR, ...), see inotify(7). 0 in an event that only
     * carries `flags`.
     */
    uint32_t mask;
    /** The kernel's rename cookie: the same in an IN_MOVED_FROM and its IN_MOVED_TO, else 0. */
    uint32_t cookie;
    /** RINOTIFY_EVENT_* bits. */
    uint32_t flags;
    /** With RINOTIFY_EVENT_ERROR the errno value (positive), else 0. */
    int32_t error;
    /**
     * The path: the root as the caller spelled it, and what is below it. NUL-terminated bytes, no
     * encoding assumed, of any length.
     */
    const char *path;
    /** Length of `path` in bytes, without the NUL. */
    size_t path_len;
    /** The last component, pointing into `path`; NULL when the event is about the root itself. */
    const char *name;
    /** In an IN_MOVED_TO whose IN_MOVED_FROM was seen: where it was. Else NULL. */
    const char *old_path;
    /** Length of `old_path` in bytes, without the NUL; 0 if it is NULL. */
    size_t old_path_len;
} inotify_watcher_event;

/**
 * Called for each event, from inotify_watcher_do_read() or inotify_watcher_sync(), on the thread
 * that called it, with no lock held. It may call every function of the library on the same
 * watcher, inotify_watcher_destroy() included; only a nested do_read or sync is refused (-EBUSY).
 * It must return: a C++ exception or longjmp that leaves it ends the process.
 */
typedef void (*inotify_watcher_callback)(inotify_watcher *watcher,
                                         const inotify_watcher_event *event,
                                         void *user_data);

/**
 * Called exactly once when no callback with this user data can run again: after
 * inotify_watcher_ignore(), after the last event of a watch that ended by itself, or at
 * inotify_watcher_destroy(). No lock is held; the thread is the one that ended the watch, or the
 * reading thread if a callback was running. Never called for a watch call that failed.
 */
typedef void (*inotify_watcher_release)(void *user_data);

/**
 * Called now and then from inside inotify_watcher_watch_with() while a tree is being added, on the
 * calling thread, with no lock held. `directories` counts those watched so far. Returning non-zero
 * gives up: the call returns -ECANCELED and leaves nothing behind.
 */
typedef int (*inotify_watcher_progress)(uint64_t directories, void *user_data);

/**
 * How a watch is made: the arguments of inotify_watcher_watch() and what does not fit there. Set
 * `size` and zero the rest first. It grows as inotify_watcher_options does.
 */
typedef struct inotify_watcher_watch_options {
    /** sizeof(inotify_watcher_watch_options). */
    size_t size;
    /** IN_* bits, as in inotify_watcher_watch(). */
    uint32_t mask;
    /** RINOTIFY_WATCH_* bits. */
    uint32_t flags;
    /** Called for each event; must not be NULL. */
    inotify_watcher_callback callback;
    /** Handed to the callbacks as it is. */
    void *user_data;
    /** NULL, or called once when user_data is no longer needed. */
    inotify_watcher_release release;
    /** NULL, or called while a large tree is being added. */
    inotify_watcher_progress progress;
} inotify_watcher_watch_options;

/**
 * What failed last, from inotify_watcher_last_error(). Set `size` first. The strings are never
 * NULL and stay valid until the next call into the library on the same thread that fails.
 */
typedef struct inotify_watcher_error {
    /** sizeof(inotify_watcher_error). */
    size_t size;
    /** The errno value (positive), 0 if nothing failed on this thread yet. */
    int32_t error;
    /** Reserved, 0. */
    uint32_t reserved;
    /**
     * The limit that was reached (max_user_watches, max_user_instances, RLIMIT_NOFILE), if `error`
     * is about one and it could be read; else 0.
     */
    uint64_t limit;
    /** The step that failed: a system call's name, or the argument's. */
    const char *step;
    /** The path it failed for, or "". */
    const char *path;
    /** Length of `path` in bytes. */
    size_t path_len;
    /** A sentence for people, with all of the above. */
    const char *message;
} inotify_watcher_error;

/** Counters of a watcher, from inotify_watcher_get_stats(). Set `size` first. */
typedef struct inotify_watcher_stats {
    /** sizeof(inotify_watcher_stats). */
    size_t size;
    /** Watches that are alive. */
    uint64_t watches;
    /**
     * Kernel watches (wds) in use for them, as /proc/self/fdinfo counts, less the library's own.
     */
    uint64_t watchpoints;
    /** Kernel watches that the library needs for itself (its barrier). */
    uint64_t internal_watchpoints;
    /**
     * Directories known below all roots, each watch counted for itself, with those not watched.
     */
    uint64_t directories;
    /** Directories that wait to be watched or listed, or whose listing is not settled yet. */
    uint64_t pending;
    /** Bytes of memory held by the tables. */
    uint64_t memory;
    /** read(2) calls that returned something. */
    uint64_t reads;
    /** Kernel events read. */
    uint64_t kernel_events;
    /** Events delivered to callbacks. */
    uint64_t delivered;
    /** Of these, synthetic. */
    uint64_t synthetic;
    /** IN_Q_OVERFLOW seen. */
    uint64_t overflows;
} inotify_watcher_stats;

/**
 * One watchpoint of one watch, as inotify_watcher_for_each_watchpoint() shows it. Valid until the
 * visitor returns.
 */
typedef struct inotify_watcher_watchpoint {
    /** Size of this struct in bytes, as the library knows it. */
    size_t size;
    /** Id of the watch that it serves. */
    int64_t watch;
    /** The kernel's watch descriptor. Several watches can share one. */
    int32_t wd;
    /** The events that the kernel is asked for on behalf of this watch. */
    uint32_t mask;
    /** Its path, in the spelling of the watch. */
    const char *path;
    /** Length of `path` in bytes. */
    size_t path_len;
} inotify_watcher_watchpoint;

/** Sees one watchpoint; returning non-zero ends the walk. No lock is held. */
typedef int (*inotify_watcher_visitor)(const inotify_watcher_watchpoint *watchpoint,
                                       void *user_data);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Makes a watcher: one inotify instance whose descriptor is non-blocking and close-on-exec from
 * birth. NULL options mean the defaults.
 *
 * Returns the watcher, to be released with inotify_watcher_destroy(), or NULL with errno: EINVAL
 * (a bad option), E2BIG (options of a newer version), EMFILE (max_user_instances or
 * RLIMIT_NOFILE), ENFILE, ENOMEM. Source: inotify_init1(2). Any thread. Since 0.1.
 *
 * Requires:
 * `options` is NULL or points to a struct of at least the size it states.
 */
inotify_watcher *inotify_watcher_create(const inotify_watcher_options *options);

/**
 * Ends every watch and releases the watcher. NULL is a no-op.
 *
 * No callback starts after it returned. From another thread it waits for the callback that is
 * running; inside a callback it takes effect at once for further events, and the memory goes when
 * the running do_read returns. A handle that was destroyed is refused by every function (-EBADF)
 * for some time, but using one is an error of the program. In a child made by fork() it is the
 * only legal call: it closes the child's descriptor and leaves the parent's watches alone.
 * `release` functions run before it returns, or with the running callback's end. Since 0.1.
 *
 * Requires:
 * `watcher` is NULL or came from inotify_watcher_create().
 */
void inotify_watcher_destroy(inotify_watcher *watcher);

/**
 * The one descriptor to poll for reading. It is readable whenever inotify_watcher_do_read() has
 * something to do, unfinished scanning included, and never changes while the watcher lives. Do not
 * read, close or mark it blocking.
 *
 * Returns the descriptor, or -1 if the watcher is NULL or closed. Any thread. Since 0.1.
 *
 * Requires:
 * `watcher` is NULL or came from inotify_watcher_create().
 */
int inotify_watcher_fileno(const inotify_watcher *watcher);

/**
 * Does a bounded amount of work: reads the descriptor once at the most, keeps the tables and calls
 * the callbacks. Never blocks.
 *
 * Returns > 0 if work was done (there may be more: the descriptor stays readable), 0 if nothing is
 * left to do, or a negative errno: -EBUSY (another thread reads, or this is inside a callback),
 * -EBADF (closed), -EINVAL (NULL), -ENOTRECOVERABLE (an internal error before), or what read(2)
 * said. With an edge-triggered poll call it until it returns 0. The thread that calls it is the
 * reading thread for that time. Source: inotify(7). Since 0.1.
 *
 * Requires:
 * `watcher` is NULL or came from inotify_watcher_create().
 */
int inotify_watcher_do_read(inotify_watcher *watcher);

/**
 * Watches a path.
 *
 * `path` is a file or directory; a symbolic link there is followed unless the mask has
 * IN_DONT_FOLLOW. Symbolic links below it are never followed. A relative path is taken from the
 * current directory of this call. `mask` has IN_* bits of inotify(7), at least one event bit;
 * IN_ONLYDIR, IN_DONT_FOLLOW, IN_EXCL_UNLINK, IN_ONESHOT, IN_MASK_ADD and IN_MASK_CREATE mean what
 * they mean there, for this watch alone. `flags` has RINOTIFY_WATCH_* bits. `callback` must not be
 * NULL; it is never called from inside this function, nor if it fails. The end of the root
 * (IN_DELETE_SELF, IN_UNMOUNT, IN_IGNORED) is delivered whatever the mask.
 *
 * Watching the same path again with the same callback and user data changes mask and flags of that
 * watch and returns its id. Other calls make watches of their own, however they overlap.
 *
 * Returns the id (> 0, never reused), or a negative errno: -EINVAL (NULL, an unknown flag, no event
 * bit, an empty path), -ENAMETOOLONG, -ENOENT, -EACCES, -ENOTDIR, -ENOSPC (max_user_watches:
 * inotify_watcher_last_error() has the directory and the limit), -ENOMEM, -EMFILE, -EEXIST
 * (IN_MASK_CREATE and watched already), -EBADF, -ENOTRECOVERABLE. After a failure nothing of it is
 * left. A large tree takes its time: about 5 us a directory; other threads can read meanwhile.
 * Source: inotify_add_watch(2). Any thread. Since 0.1.
 *
 * Requires:
 * `watcher` is NULL or came from inotify_watcher_create(); `path` is NULL or NUL-terminated;
 * `user_data` is valid for `callback` until the watch has ended.
 */
int64_t inotify_watcher_watch(inotify_watcher *watcher,
                              const char *path,
                              uint32_t mask,
                              uint32_t flags,
                              inotify_watcher_callback callback,
                              void *user_data);

/**
 * Watches a path as inotify_watcher_watch() does, with what does not fit into its arguments:
 * a release function for the user data, and a progress function.
 *
 * Returns what inotify_watcher_watch() returns, and -E2BIG (options of a newer version) or
 * -ECANCELED (the progress function gave up). Any thread. Since 0.1.
 *
 * Requires:
 * As inotify_watcher_watch(); `options` is NULL or points to a struct of at least the size it
 * states.
 */
int64_t inotify_watcher_watch_with(inotify_watcher *watcher,
                                   const char *path,
                                   const inotify_watcher_watch_options *options);

/**
 * Ends every watch whose root is `path` (as it was spelled; trailing slashes do not count). If
 * there is none, and `path` is a directory watched below some root, ends the watching of it and
 * all below it there, until it is deleted; its own entry in its parent is still reported.
 *
 * After it returned on the reading thread no event of what it ended is delivered, not even one
 * already queued. Called from another thread, one callback may be running still. Returns 0, or
 * -ENOENT if nothing was watched, -EINVAL, -ENAMETOOLONG, -EBADF, -ENOTRECOVERABLE. What the kernel
 * dropped by itself is no error. Any thread. Since 0.1.
 *
 * Requires:
 * `watcher` is NULL or came from inotify_watcher_create(); `path` is NULL or NUL-terminated.
 */
int inotify_watcher_ignore(inotify_watcher *watcher, const char *path);

/**
 * Ends one watch by its id, as inotify_watcher_ignore() does. Other watches of the same path stay
 * whole. Returns 0, or -ENOENT if there is no such watch (any more), -EINVAL, -EBADF,
 * -ENOTRECOVERABLE. Any thread. Since 0.1.
 *
 * Requires:
 * `watcher` is NULL or came from inotify_watcher_create().
 */
int inotify_watcher_ignore_watch(inotify_watcher *watcher, int64_t watch);

/**
 * Is the path watched: as a root, or as a directory below one?
 *
 * Returns 1 or 0, or -EINVAL, -ENAMETOOLONG, -EBADF, -ENOTRECOVERABLE. It compares spellings and
 * asks the tables, not the file system. Any thread. Since 0.1.
 *
 * Requires:
 * `watcher` is NULL or came from inotify_watcher_create(); `path` is NULL or NUL-terminated.
 */
int inotify_watcher_is_watched(const inotify_watcher *watcher, const char *path);

/**
 * A barrier: returns when every change of the file system that was complete before the call has
 * been delivered. It calls the callbacks, on this thread, and is not bounded as do_read is. It
 * needs no file in the watched trees and no permission there.
 *
 * Returns 0, or -EBUSY (another thread reads, or this is inside a callback), -EBADF (closed, also
 * by a callback meanwhile), -EINVAL, -ENOTRECOVERABLE, or what a system call said. Since 0.1.
 *
 * Requires:
 * `watcher` is NULL or came from inotify_watcher_create().
 */
int inotify_watcher_sync(inotify_watcher *watcher);

/**
 * Closes the watcher without releasing the handle: every watch ends, `fileno` is -1 and every other
 * function but inotify_watcher_destroy() returns -EBADF from then on. Inside a callback it takes
 * effect when that callback returns. A second call is a no-op.
 *
 * Returns 0, or -EINVAL (NULL). Any thread. Since 0.1.
 *
 * Requires:
 * `watcher` is NULL or came from inotify_watcher_create().
 */
int inotify_watcher_lose_connection(inotify_watcher *watcher);

/**
 * What failed last on the calling thread: code, step, path, limit and a sentence. `watcher` may be
 * NULL (after a failed inotify_watcher_create()); it does not restrict the answer.
 *
 * Returns 0, or -EINVAL (`error` is NULL or its size too small). Never changes what it reports.
 * Since 0.1.
 *
 * Requires:
 * `error` is NULL or points to a struct of at least the size it states.
 */
int inotify_watcher_last_error(const inotify_watcher *watcher,
                               inotify_watcher_error *error);

/**
 * Writes the words of a mask's bits, joined by '|', as "create|is_dir", in the order of the bits;
 * bits without a name come last as one hexadecimal number. Counts as snprintf(3) does: at most
 * `size` bytes are written, a NUL included, and the length needed without it is returned.
 * `buffer` may be NULL if `size` is 0. Any thread. Since 0.1.
 *
 * Requires:
 * `buffer` has room for `size` bytes.
 */
size_t inotify_watcher_mask_names(uint32_t mask, char *buffer, size_t size);

/**
 * Fills in the watcher's counters, as far as `stats->size` reaches. They are of one moment.
 *
 * Returns 0, or -EINVAL (NULL or a size below 16), -EBADF, -ENOTRECOVERABLE. Any thread. Since 0.1.
 *
 * Requires:
 * `watcher` is NULL or came from inotify_watcher_create(); `stats` is NULL or points to a struct of
 * at least the size it states.
 */
int inotify_watcher_get_stats(const inotify_watcher *watcher,
                              inotify_watcher_stats *stats);

/**
 * Shows every watchpoint of every watch to `visitor`, as they stood at the call, in no particular
 * order. It takes a copy first: time and memory grow with their number.
 *
 * Returns 0, or what the visitor returned if that was not 0, or -EINVAL, -EBADF, -ENOMEM,
 * -ENOTRECOVERABLE. Any thread; the visitor may call every function. Since 0.1.
 *
 * Requires:
 * `watcher` is NULL or came from inotify_watcher_create(); `user_data` is valid for `visitor`.
 */
int inotify_watcher_for_each_watchpoint(const inotify_watcher *watcher,
                                        inotify_watcher_visitor visitor,
                                        void *user_data);

/**
 * The version of the library that is linked, as "0.1.0". Static; never NULL. Any thread. Since 0.1.
 */
const char *rinotify_version(void);

/**
 * The version of the library that is linked, as major * 65536 + minor * 256 + patch. Any thread.
 * Since 0.1.
 */
uint32_t rinotify_version_number(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* RINOTIFY_H */
