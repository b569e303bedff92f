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
 * its children, whatever the mask says. So is, with RINOTIFY_WATCH_AUTO_ADD, what stands in a
 * directory that comes later when it is first seen. A second call for the same watch tells nothing
 * again. Since 0.1.
 */
#define RINOTIFY_WATCH_EMIT_EXISTING 0x0004

/**
 * Stay on the file system of the path, and on its mount: a directory below at which something is
 * mounted is not watched, nor is one with another device number (st_dev), as a btrfs subvolume has.
 * That is decided when the directory is found, before it is watched. What a mount hides, and what
 * stands there after an unmount, is not watched either. Before Linux 5.6, or where openat2(2) is
 * forbidden, a mount point is known by its device number alone, so that a file system which is
 * bound to a second place below the path is followed there. Changed by a second call, it counts for
 * directories that are found from then on. Without it recursion crosses file systems. Since 0.1.
 */
#define RINOTIFY_WATCH_ONE_FILE_SYSTEM 0x0010

/**
 * Remember every entry of the watched directories (inode number, size, times, attributes, as
 * hashes: about 50 bytes an entry), so that after an overflow (IN_Q_OVERFLOW) the files that
 * differ are told as well: synthetic IN_CREATE and IN_DELETE, both for a name that belongs to
 * another file now, IN_MODIFY for other content (size or time of modification; if the mask lacks
 * it, IN_CLOSE_WRITE or else IN_ATTRIB), IN_ATTRIB for other attributes. A file that was changing
 * when the overflow came can be told once more than it changed. Costs one fstatat(2) an entry
 * when the watch is made, and one for an entry that has changed, when nothing else is to be done.
 * Since 0.1.
 */
#define RINOTIFY_WATCH_TRACK_ENTRIES 0x0008

/**
 * The watch is about the name: it need not lead to anything yet, and whatever it leads to from now
 * on is watched, however often that is replaced. Every directory on the way, and on the way of each
 * symbolic link in it, is watched by the library for itself. Neither IN_DELETE_SELF, IN_MOVE_SELF
 * nor IN_IGNORED is told when the root goes; RINOTIFY_EVENT_ROOT says what is. With
 * RINOTIFY_WATCH_AUTO_ADD the content of a directory that comes is told as synthetic IN_CREATE. What
 * is mounted over a directory on the way is found when something else happens there, or by the same
 * call again; the kernel does not tell it (inotify(7)). Since 0.1.
 */
#define RINOTIFY_WATCH_FOLLOW_NAME 0x0020

/**
 * The library made the event because the kernel could not: the entry was there before its
 * directory was watched, or a rescan found the difference. Since 0.1.
 */
#define RINOTIFY_EVENT_SYNTHETIC 0x0001

/**
 * Something failed after the watch was made: `error` has the errno value, `path` the place. A
 * directory that cannot be watched or listed is told once for each reason; of those that a limit
 * (max_user_watches, open files, memory) leaves out only the first, until none is left out. Since
 * 0.1.
 */
#define RINOTIFY_EVENT_ERROR 0x0002

/**
 * On IN_Q_OVERFLOW of a watch that holds directories or entries: what was lost is about to be made
 * good. What is queued until the library has read the overflow is not delivered for this watch,
 * as its paths could be wrong; then the directories are listed again while new events are
 * delivered, and what differs is told by synthetic events. `path` is the root. A further overflow
 * tells it again. Since 0.1.
 */
#define RINOTIFY_EVENT_RESCAN_BEGIN 0x0004

/**
 * The repair after an overflow is complete: the consumer knows all directories again, and with
 * RINOTIFY_WATCH_TRACK_ENTRIES all entries. `path` is the root; the mask is 0. Since 0.1.
 */
#define RINOTIFY_EVENT_RESCAN_END 0x0008

/**
 * What the watch sees of its tree has changed: `coverage` says to what, `path` is the root and
 * `mask` is 0. Sent when it becomes another one, never twice in a row for the same; no mask hides
 * it. A watch begins as complete, so there is no event for that. Since 0.1.
 */
#define RINOTIFY_EVENT_COVERAGE 0x0010

/** Coverage: every directory that the watch is about is watched. Since 0.1. */
#define RINOTIFY_COVERAGE_COMPLETE 1

/**
 * Coverage: some directories could not be watched or listed; each was told as an event with
 * RINOTIFY_EVENT_ERROR (those that a limit left out: the first of them), and
 * inotify_watcher_for_each_uncovered() shows them all. Or something keeps a name from being followed,
 * or some of its changes from being seen (RINOTIFY_WATCH_FOLLOW_NAME), which is told and shown
 * likewise. Since 0.1.
 */
#define RINOTIFY_COVERAGE_PARTIAL 2

/** Coverage: events were lost by an overflow, and the tree is being scanned again. Since 0.1. */
#define RINOTIFY_COVERAGE_OUT_OF_STEP 3

/**
 * In a watch with RINOTIFY_WATCH_FOLLOW_NAME: the name itself has changed, `name` is NULL, and no
 * mask hides it. IN_DELETE or IN_MOVED_FROM: nothing is there now; everything below is gone.
 * IN_CREATE: it was made just now, and for a file IN_CLOSE_WRITE follows, if the mask has it.
 * IN_MOVED_TO: it has come as a whole, in place of what was there, and can be read. With
 * RINOTIFY_EVENT_SYNTHETIC and no cookie, if it was something else on the way that changed. No event
 * of what was there before comes later. Since 0.1.
 */
#define RINOTIFY_EVENT_ROOT 0x0020

/**
 * Creation flag: the deletion of a watched root is the end of the watcher. What was read of the
 * queue with its last event (IN_DELETE_SELF, then IN_IGNORED) is delivered, then the connection is
 * lost with the reason 0. Since 0.1.
 */
#define RINOTIFY_LOSE_CONNECTION_ON_DELETE_SELF 0x0001

/**
 * RINOTIFY_LOG_* level of something that does not work and will not by itself. The levels are
 * those of syslog(3).
 */
#define RINOTIFY_LOG_ERROR 3

/**
 * Level of something that is not whole: a directory that is not watched, an overflow, a connection
 * that broke.
 */
#define RINOTIFY_LOG_WARNING 4

/** Level of something worth knowing. */
#define RINOTIFY_LOG_INFO 6

/** The stream owns its descriptor and closes it at the end. Since 0.1. */
#define RINOTIFY_STREAM_CLOSE_FD 0x0001

/**
 * Leave O_NONBLOCK as it is. Otherwise a pipe, a terminal or a device that could block is made
 * non-blocking, for everybody who shares its open file description, again before a write if one of
 * them has taken that back, and made as it was when the stream lets it go. Sockets need no flag and
 * keep theirs, whatever it is; regular files are always ready. Since 0.1.
 */
#define RINOTIFY_STREAM_KEEP_FLAGS 0x0002

/** State bit: the connection is not lost. */
#define RINOTIFY_STREAM_CONNECTED 0x0001

/** State bit: it will end when everything is written. */
#define RINOTIFY_STREAM_DISCONNECTING 0x0002

/** State bit: its writing half will be closed when everything is written. */
#define RINOTIFY_STREAM_WRITE_DISCONNECTING 0x0004

/** State bit: the writing half is closed. */
#define RINOTIFY_STREAM_WRITE_DISCONNECTED 0x0008

/** State bit: it waits for room; inotify_watcher_stream_wants_write(). */
#define RINOTIFY_STREAM_WANTS_WRITE 0x0010

/** State bit: more waits than the buffer size; inotify_watcher_stream_is_send_buffer_full(). */
#define RINOTIFY_STREAM_FULL 0x0020

/** State bit: a producer is registered. */
#define RINOTIFY_STREAM_PRODUCER 0x0040

/** State bit: it is a streaming (push) producer. */
#define RINOTIFY_STREAM_STREAMING_PRODUCER 0x0080

/** State bit: it is paused. */
#define RINOTIFY_STREAM_PRODUCER_PAUSED 0x0100

/** A watcher: one inotify instance with one descriptor to poll. Opaque; thread-safe. */
typedef struct inotify_watcher inotify_watcher;

/**
 * A stream: a buffered, non-blocking writer over one descriptor. Opaque; thread-safe.
 *
 * Its callbacks run one at a time, in the order of what they tell; only the write function and the
 * formatter may run beside another one. Each runs on a thread that is inside a function of the
 * stream: the one whose call led to it, or one that is carrying out others already, in which case
 * the call that led to it may return before. None starts before the one that is running has
 * returned, so they do not nest, however long a chain they make.
 */
typedef struct inotify_watcher_stream inotify_watcher_stream;

/**
 * Puts the descriptor of a watcher into the program's loop, or takes it out again.
 *
 * Added, the loop calls inotify_watcher_do_read(watcher) whenever `fd` is readable. `slot` points to
 * a pointer of the library's that is NULL at first and belongs to the loop's code: whatever it has
 * to find again for this descriptor goes there. The library never adds twice or removes what it has
 * not added, and removes before it closes the descriptor; the last call for a watcher is a removal,
 * after which the slot is gone. It runs on the thread that called into the library, with no lock
 * held, one call at a time for one watcher; it may call every function on it.
 *
 * Returns 0, or a negative errno: a watcher that cannot be added reports it from
 * inotify_watcher_start_reading(). What a removal returns does not matter. Since 0.1.
 */
typedef int (*inotify_watcher_reactor_reader)(void *context,
                                              int fd,
                                              inotify_watcher *watcher,
                                              void **slot);

/**
 * Puts the descriptor of a stream into the program's loop, or takes it out again.
 *
 * Added, the loop calls inotify_watcher_stream_do_write(stream) whenever `fd` is writable, has an
 * error or was hung up. All else is as with inotify_watcher_reactor_reader; the slot is the
 * stream's own. The same descriptor may be in the loop for reading on the program's account: a loop
 * that can hold it only once (epoll) needs a dup(2) of it for one of them.
 *
 * Returns 0, or a negative errno. -EPERM says that this kind of descriptor cannot be watched, as
 * epoll says of a regular file: it is always ready, so the stream writes to it at once, from
 * whichever function puts bytes into it. Any other failure ends the connection with that reason.
 * Since 0.1.
 */
typedef int (*inotify_watcher_reactor_writer)(void *context,
                                              int fd,
                                              inotify_watcher_stream *stream,
                                              void **slot);

/**
 * The program's loop, as the library drives it. Set `size` and zero the rest first. It is copied;
 * `context` must outlive the watchers and streams that it was given to. It grows as
 * inotify_watcher_options does.
 *
 * With a loop that is not thread-safe, as most are not, call the library on the loop's thread only.
 */
typedef struct inotify_watcher_reactor {
    /** sizeof(inotify_watcher_reactor). */
    size_t size;
    /** Handed to the functions as it is. */
    void *context;
    /** Watches for reading; needed by a watcher, with `remove_reader`. */
    inotify_watcher_reactor_reader add_reader;
    /** Ends that. */
    inotify_watcher_reactor_reader remove_reader;
    /** Watches for room to write; needed by a stream, with `remove_writer`. */
    inotify_watcher_reactor_writer add_writer;
    /** Ends that. */
    inotify_watcher_reactor_writer remove_writer;
} inotify_watcher_reactor;

/**
 * Called once when a watcher is closed, with the reason: 0 if it was asked for
 * (inotify_watcher_lose_connection(), the end of a root with
 * RINOTIFY_LOSE_CONNECTION_ON_DELETE_SELF), else a positive errno. The descriptor is closed
 * already. It may call every function, inotify_watcher_destroy() included. No lock is held. Since
 * 0.1.
 */
typedef void (*inotify_watcher_connection_lost)(inotify_watcher *watcher,
                                                int reason,
                                                void *user_data);

/**
 * Takes one line for an operator, without a newline. The strings are valid until it returns;
 * control characters in names are escaped. `level` is a RINOTIFY_LOG_* value. No lock is held; it
 * may call every function. Nothing else is ever printed by the library. Since 0.1.
 */
typedef void (*inotify_watcher_log)(uint32_t level,
                                    const char *prefix,
                                    const char *message,
                                    void *user_data);

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
    /** RINOTIFY_LOSE_CONNECTION_ON_DELETE_SELF; an unknown bit is -EINVAL. */
    uint32_t flags;
    /** Bytes that one read(2) asks for: 512 to 16777216, 0 for 65536. */
    uint32_t read_size;
    /** Most callbacks that one do_read makes: 1 to 16777216, 0 for 4096. */
    uint32_t max_events;
    /**
     * Most directory entries that one do_read looks at while it scans: 16 to 16777216, 0 for 1024.
     */
    uint32_t max_scan;
    /**
     * NULL: the program polls `fileno` by itself. Else the loop that the watcher drives, with
     * `add_reader` and `remove_reader`; it is copied. Such a watcher is stopped at first, see
     * inotify_watcher_start_reading().
     */
    const inotify_watcher_reactor *reactor;
    /** NULL, or told of the end, once. */
    inotify_watcher_connection_lost connection_lost;
    /**
     * NULL, or takes a line for each thing that is worth an operator's notice: a directory that
     * could not be watched, an overflow, a connection that broke, an internal error.
     */
    inotify_watcher_log log;
    /** Goes before the lines of the log. NULL for "inotify_watcher". Copied. */
    const char *log_prefix;
    /** Handed to `connection_lost` and `log` as it is. */
    void *user_data;
    /** The least urgent RINOTIFY_LOG_* level that is wanted, up to 7. 0: all. */
    uint32_t log_level;
    /** Reserved, 0. */
    uint32_t reserved;
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
    /**
     * The kernel's rename cookie: the same in an IN_MOVED_FROM and its IN_MOVED_TO. 0 in other events,
     * and in those that the library made.
     */
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
    /** With RINOTIFY_EVENT_COVERAGE a RINOTIFY_COVERAGE_* value, else 0. */
    uint32_t coverage;
    /** Reserved, 0. */
    uint32_t reserved;
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
 * A directory below the root of a watch, as a filter is asked about it.
 *
 * It belongs to the library and is valid until the filter returns; so are the strings. It may grow
 * at its end in later versions: `size` is what the library filled in.
 */
typedef struct inotify_watcher_directory {
    /** Size of this struct in bytes, as the library knows it. */
    size_t size;
    /**
     * Id of the watch. While the call that makes it is under way, the one that it will return.
     */
    int64_t watch;
    /** The path, as events have it. */
    const char *path;
    /** Length of `path` in bytes, without the NUL. */
    size_t path_len;
    /** The last component, pointing into `path`. */
    const char *name;
    /** How far below the root: 1 for an entry of the root itself. */
    uint32_t depth;
    /** Reserved, 0. */
    uint32_t reserved;
} inotify_watcher_directory;

/**
 * Decides whether a directory below the root is watched: 0 leaves it out, with all below it.
 *
 * It is asked before the directory is opened, listed or watched: for those that are there when the
 * watch is made from inside inotify_watcher_watch_with(), on the calling thread; for those that
 * come later, or are moved in, from do_read or sync on the reading thread, after the events up to
 * then were delivered. A directory that is renamed, or moved within the tree, is asked about again
 * under its new path, before anything that follows is told; what is below it is not asked about
 * again. It may be asked more than once about the same path.
 *
 * The entry itself is always told, by its parent's events. A directory that was watched and is
 * left out after a rename is let go with all below it, and nothing more is told of what is there,
 * not even that it is gone: whoever keeps a list forgets what is below. One that was left out and is
 * let in after a rename is like a new one: what is in it is told as synthetic IN_CREATE.
 *
 * No lock is held. It may call what a callback may call. It must return: a C++ exception or longjmp
 * that leaves it ends the process.
 */
typedef int (*inotify_watcher_filter)(inotify_watcher *watcher,
                                      const inotify_watcher_directory *directory,
                                      void *user_data);

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
    /**
     * NULL, or decides which directories below the root are watched. Called with user_data, and no
     * more once the watch has ended.
     */
    inotify_watcher_filter filter;
    /**
     * NULL, or a list, ended by NULL, of patterns of directories that are left out; the filter is
     * not asked about those. The list and the strings are copied.
     *
     * They are patterns of fnmatch(3) with no flag but FNM_PATHNAME, in the POSIX locale whatever
     * the program's: bytes, so that `?` is one byte and a name need not be text. A leading period is
     * matched like any other byte; a backslash quotes. One without a slash is matched against the
     * directory's name: "node_modules", ".*". One with a slash at its beginning or inside is matched
     * against the path below the root, where a slash is matched by a slash alone: "/build" is the
     * entry of the root, "src/x*" one of src; there is no "**". A slash at the end does not count.
     * They decide as the filter does, when a directory is found, made, moved in or renamed, with the
     * path that it has then: the rename of a directory above it changes nothing. Files and the root
     * are not asked about. An empty one is -EINVAL.
     */
    const char *const *excludes;
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
    /**
     * Kernel watches that the library needs for itself: its barrier, and the directories on the way
     * to names that are followed, unless a caller's watch has them, too.
     */
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

/** What a watch sees of its tree, from inotify_watcher_get_status(). Set `size` first. */
typedef struct inotify_watcher_status {
    /** sizeof(inotify_watcher_status). */
    size_t size;
    /** A RINOTIFY_COVERAGE_* value. */
    uint32_t coverage;
    /** Reserved, 0. */
    uint32_t reserved;
    /**
     * How many directories are not covered, or in the way of a name that is followed, as
     * inotify_watcher_for_each_uncovered() shows them. What is below one of them is not known, so not
     * counted. Not 0 if the coverage is
     * RINOTIFY_COVERAGE_PARTIAL, and possible with RINOTIFY_COVERAGE_OUT_OF_STEP.
     */
    uint64_t uncovered;
} inotify_watcher_status;

/**
 * A directory that is not covered, as inotify_watcher_for_each_uncovered() shows it. Valid until the
 * visitor returns.
 */
typedef struct inotify_watcher_uncovered {
    /** Size of this struct in bytes, as the library knows it. */
    size_t size;
    /** Id of the watch whose tree it is in. */
    int64_t watch;
    /**
     * Why, as an errno value (positive). EACCES, EPERM: it, or a directory above it, must not be
     * read or searched; tried again when the mode changes. ENOSPC, ENOMEM, EMFILE, ENFILE: a limit;
     * tried again when this watcher gives a kernel watch back.
     */
    int32_t error;
    /** Reserved, 0. */
    uint32_t reserved;
    /** The step that failed: a system call's name. */
    const char *step;
    /**
     * Its path, in the spelling of the watch; of what is in the way of a name that is followed the one
     * that the error event had. NUL-terminated bytes of any length.
     */
    const char *path;
    /** Length of `path` in bytes. */
    size_t path_len;
} inotify_watcher_uncovered;

/** Sees one directory that is not covered; returning non-zero ends the walk. No lock is held. */
typedef int (*inotify_watcher_uncovered_visitor)(const inotify_watcher_uncovered *uncovered,
                                                 void *user_data);

/**
 * Writes in place of write(2): at most `size` bytes of `data` (never 0) to `fd`, without blocking.
 *
 * Returns how many it took; 0 or -EAGAIN if it can take none now, -EINTR to be called again, or
 * another negative errno, which ends the connection with that reason. It may call every function on
 * the stream; a nested inotify_watcher_stream_do_write() is -EBUSY, and the descriptor is not closed
 * before it has returned. No lock is held. Since 0.1.
 */
typedef ptrdiff_t (*inotify_watcher_stream_write_function)(inotify_watcher_stream *stream,
                                                           int fd,
                                                           const void *data,
                                                           size_t size,
                                                           void *user_data);

/**
 * Called exactly once when the connection is lost, after the producer was stopped, the reactor has
 * forgotten the descriptor, and it was closed if the stream owns it.
 *
 * `reason` is 0 if the end was asked for and everything was written; else a positive errno: what
 * the write said (EPIPE, ECONNRESET, ENOSPC, EBADF, ...), what inotify_watcher_stream_abort() was
 * given, ECANCELED for inotify_watcher_stream_destroy(), ENOBUFS or ENOMEM if an event could not be
 * kept. It is the last callback of the stream; it may call every function,
 * inotify_watcher_stream_destroy() included. No lock is held. Since 0.1.
 */
typedef void (*inotify_watcher_stream_connection_lost)(inotify_watcher_stream *stream,
                                                       int reason,
                                                       void *user_data);

/**
 * Writes an event as bytes into `buffer`, as snprintf(3) does: no more than `size` bytes, and it
 * returns how many bytes the event needs, without a NUL. If that is `size` or more it is called
 * again with more room. 0: this event is left out. SIZE_MAX: it cannot be done, which ends the
 * connection with EINVAL. No lock is held. Since 0.1.
 */
typedef size_t (*inotify_watcher_stream_formatter)(const inotify_watcher_event *event,
                                                   char *buffer,
                                                   size_t size,
                                                   void *user_data);

/**
 * How a stream is made. Set `size` and zero the rest first. It grows as inotify_watcher_options
 * does.
 */
typedef struct inotify_watcher_stream_options {
    /** sizeof(inotify_watcher_stream_options). */
    size_t size;
    /** RINOTIFY_STREAM_CLOSE_FD, RINOTIFY_STREAM_KEEP_FLAGS. */
    uint32_t flags;
    /** Reserved, 0. */
    uint32_t reserved;
    /**
     * More bytes than this waiting: the buffer is full and a push producer is paused. 0 for 65536.
     */
    size_t buffer_size;
    /** Most bytes that one write(2) is given. 0 for 131072. */
    size_t send_limit;
    /**
     * No more bytes than this waiting: a paused producer is resumed, a pull producer asked. At most
     * buffer_size. 0: when everything is written.
     */
    size_t resume_size;
    /**
     * Nothing is taken that would make more bytes wait than this (-ENOBUFS). At least buffer_size,
     * and better that and the largest single write. 0: no limit; then what a producer writes after
     * it was paused is taken as long as there is memory.
     */
    size_t max_buffer;
    /**
     * NULL: the program asks inotify_watcher_stream_wants_write() before it polls. Else the loop
     * that is told. Copied.
     */
    const inotify_watcher_reactor *reactor;
    /** NULL, or in place of write(2). The descriptor may be -1 then, and keeps its flags. */
    inotify_watcher_stream_write_function write;
    /** NULL, or told of the end. */
    inotify_watcher_stream_connection_lost connection_lost;
    /**
     * NULL for lines of JSON as inotify_watcher_format_json() makes them; or what events look like.
     */
    inotify_watcher_stream_formatter formatter;
    /** NULL, or takes a line when the connection breaks. */
    inotify_watcher_log log;
    /** Goes before the lines of the log. NULL for "inotify_watcher_stream". Copied. */
    const char *log_prefix;
    /** Handed to all of the above as it is. */
    void *user_data;
} inotify_watcher_stream_options;

/**
 * A piece of data for inotify_watcher_stream_write_sequence(). It is laid out as struct iovec of
 * writev(2) is.
 */
typedef struct inotify_watcher_stream_piece {
    /** The bytes. */
    const void *data;
    /** How many. */
    size_t len;
} inotify_watcher_stream_piece;

/**
 * One of the functions of a producer. No lock is held; it may call every function on the stream.
 */
typedef void (*inotify_watcher_producer_function)(void *context);

/**
 * Something that writes into a stream, and how it is held back. Set `size` and zero the rest
 * first. It is copied; `context` must be valid until `stop_producing` was called or
 * inotify_watcher_stream_unregister_producer() has returned. It grows as inotify_watcher_options
 * does.
 *
 * The functions run one at a time, in the order of what they tell, on whichever thread called into
 * the library.
 */
typedef struct inotify_watcher_producer {
    /** sizeof(inotify_watcher_producer). */
    size_t size;
    /** Handed to the functions as it is. */
    void *context;
    /** Write no more for now. Needed by a push producer; a pull producer is never paused. */
    inotify_watcher_producer_function pause_producing;
    /** Push: go on. Pull: write the next piece, now or later, or unregister. Never NULL. */
    inotify_watcher_producer_function resume_producing;
    /**
     * It is over: the connection was lost, or its writing half was closed. The producer is not
     * registered any more. NULL, or called at most once.
     */
    inotify_watcher_producer_function stop_producing;
} inotify_watcher_producer;

/** State and counters of a stream, from inotify_watcher_stream_get_stats(). Set `size` first. */
typedef struct inotify_watcher_stream_stats {
    /** sizeof(inotify_watcher_stream_stats). */
    size_t size;
    /** RINOTIFY_STREAM_CONNECTED and the bits after it. */
    uint32_t state;
    /** Reserved, 0. */
    uint32_t reserved;
    /** Bytes that wait to be written. */
    uint64_t buffered;
    /** Most bytes that ever waited. */
    uint64_t buffered_peak;
    /** Bytes of memory held for what waits. */
    uint64_t memory;
    /** Bytes taken. */
    uint64_t accepted;
    /** Bytes written. */
    uint64_t written;
    /** Writes that took something. */
    uint64_t writes;
    /** Times that a push producer was told to pause. */
    uint64_t pauses;
    /** Times that a producer was told to resume, or a pull producer was asked. */
    uint64_t resumes;
} inotify_watcher_stream_stats;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Puts the descriptor into the reactor's loop: from then on the loop reads the watcher. Without a
 * reactor the state alone is remembered, and inotify_watcher_wants_read() tells it. A second call
 * is a no-op.
 *
 * A watcher with a reactor is stopped when it is made, one without is not. While a watcher is
 * paused it stays out of the loop, until inotify_watcher_resume_producing().
 *
 * Returns 0, or what the reactor's add_reader returned, and the watcher is stopped; or -EBADF
 * (closed), -EINVAL (NULL), -ENOTRECOVERABLE. Any thread that the loop allows. Since 0.1.
 *
 * Requires:
 * `watcher` is NULL or came from inotify_watcher_create().
 */
int inotify_watcher_start_reading(inotify_watcher *watcher);

/**
 * Takes the descriptor out of the reactor's loop. What happens meanwhile stays in the kernel's
 * queue (if that overflows, it is told afterwards): inotify_watcher_do_read() reads nothing and
 * returns 0, inotify_watcher_sync() is -EAGAIN. Inside a callback it takes effect before the next
 * event. A second call is a no-op.
 *
 * Returns 0, or -EBADF (closed), -EINVAL (NULL), -ENOTRECOVERABLE. Any thread that the loop allows.
 * Since 0.1.
 *
 * Requires:
 * `watcher` is NULL or came from inotify_watcher_create().
 */
int inotify_watcher_stop_reading(inotify_watcher *watcher);

/**
 * Should the descriptor be polled: is the watcher neither stopped nor paused? For programs without
 * a reactor: ask before each poll. The descriptor stays readable while something waits, so a loop
 * that polls it all the same goes round and round.
 *
 * Returns 1 or 0, or -EBADF (closed), -EINVAL (NULL), -ENOTRECOVERABLE. Any thread. Since 0.1.
 *
 * Requires:
 * `watcher` is NULL or came from inotify_watcher_create().
 */
int inotify_watcher_wants_read(const inotify_watcher *watcher);

/**
 * Holds the watcher back, as inotify_watcher_stop_reading() does, for a consumer that has enough:
 * nothing is delivered, nothing is lost, and the descriptor is out of the loop. The two are counted
 * apart: a watcher is read when it is neither stopped nor paused. A second call is a no-op.
 *
 * Returns 0, or -EBADF (closed), -EINVAL (NULL), -ENOTRECOVERABLE. Any thread that the loop allows.
 * Since 0.1.
 *
 * Requires:
 * `watcher` is NULL or came from inotify_watcher_create().
 */
int inotify_watcher_pause_producing(inotify_watcher *watcher);

/**
 * Ends a pause. Unless the watcher is stopped, its descriptor goes back into the loop, and is
 * readable if anything waits. With an edge-triggered poll of the program's own, call
 * inotify_watcher_do_read() until it returns 0. Without a pause it is a no-op.
 *
 * Returns 0, or what the reactor's add_reader returned, and the watcher is stopped; or -EBADF
 * (closed), -EINVAL (NULL), -ENOTRECOVERABLE. Any thread that the loop allows. Since 0.1.
 *
 * Requires:
 * `watcher` is NULL or came from inotify_watcher_create().
 */
int inotify_watcher_resume_producing(inotify_watcher *watcher);

/**
 * For a consumer that wants no more, ever: inotify_watcher_lose_connection(), and returns what that
 * returns. Since 0.1.
 *
 * Requires:
 * `watcher` is NULL or came from inotify_watcher_create().
 */
int inotify_watcher_stop_producing(inotify_watcher *watcher);

/**
 * Closes the watcher without releasing the handle: it is taken out of the reactor's loop, every
 * watch ends, and connection_lost is called with the reason 0. From then on `fileno` is -1, and every
 * function but inotify_watcher_destroy() and this one returns -EBADF. If a callback is running, on
 * this or another thread, all of this happens when that returns: no event comes after it, and until
 * then the functions work as before. A second call is a no-op.
 *
 * Returns 0, or -EINVAL (NULL), -EBADF (destroyed). Any thread that the loop allows. Since 0.1.
 *
 * Requires:
 * `watcher` is NULL or came from inotify_watcher_create().
 */
int inotify_watcher_lose_connection(inotify_watcher *watcher);

/**
 * Makes a watcher: one inotify instance whose descriptor is non-blocking and close-on-exec from
 * birth. NULL options mean the defaults.
 *
 * Returns the watcher, to be released with inotify_watcher_destroy(), or NULL with errno: EINVAL
 * (a bad option; a reactor without its functions), E2BIG (options of a newer version), EMFILE (max_user_instances or
 * RLIMIT_NOFILE), ENFILE, ENOMEM, ENOSPC (max_user_watches), ENOENT (/proc is not mounted), or what a
 * sandbox says that forbids inotify_init1, memfd_create, inotify_add_watch or fchmod;
 * inotify_watcher_last_error() names the step. Source: inotify_init1(2). Any thread. Since 0.1.
 *
 * Requires:
 * `options` is NULL or points to a struct of at least the size it states, with pointers that are
 * NULL or what they say.
 */
inotify_watcher *inotify_watcher_create(const inotify_watcher_options *options);

/**
 * Ends every watch and releases the watcher. NULL is a no-op.
 *
 * If the connection is not lost yet it is now, with the reason ECANCELED: the descriptor is taken
 * out of the reactor's loop and closed, and connection_lost is called. No callback starts after it
 * returned. From another thread it waits for the callback that is running; inside a callback it
 * takes effect at once, and the memory goes when the running do_read returns. Inside a function of
 * the reactor it takes effect when that function returns. A handle that was destroyed is refused by every function (-EBADF)
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
 * said, and the connection is lost. While the watcher is stopped or paused it reads nothing and
 * returns 0. With an edge-triggered poll call it until it returns 0. The thread that calls it is the
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
 * they mean there, for this watch alone; only IN_EXCL_UNLINK is one for all watches of a directory,
 * as the kernel has it once: where one of them asks for it, which those with RINOTIFY_WATCH_RECURSIVE,
 * AUTO_ADD, EMIT_EXISTING or TRACK_ENTRIES do by themselves, none is told of files that have no name any
 * more, for as long as any watch of the directory is left. A smaller mask saves no work in the kernel, nor
 * does the end of a watch where another has the same directory or file: the kernel loses events while it
 * takes a mask back (fs/notify/inotify/inotify_user.c, inotify_update_existing_watch).
 * `flags` has RINOTIFY_WATCH_* bits. `callback` must not be NULL; it is never called from inside this
 * function, nor if it fails. The end of the root (IN_DELETE_SELF, IN_UNMOUNT, IN_IGNORED) is
 * delivered whatever the mask.
 *
 * With RINOTIFY_WATCH_FOLLOW_NAME the path need not lead to anything: a missing component, or a file
 * where the way needs a directory, is no error then. What else keeps it from being followed is one
 * (-EACCES, -ELOOP, -ENAMETOOLONG; -ENOTDIR if the root is a file and must not be), here or, later, as
 * an event whose `path` is the component. A relative path is followed by its absolute path.
 *
 * Watching the same path again with the same callback and user data changes mask and flags of that
 * watch and returns its id; a relative path is the same in the same current directory. While another
 * thread makes that watch the call waits for it. What is
 * watched stays so until its end has been read, even if the path leads elsewhere by now (a root
 * that was moved or replaced) or IN_DONT_FOLLOW is another: for that, end the watch first, or use
 * RINOTIFY_WATCH_FOLLOW_NAME. Other calls make watches of their own, however they overlap.
 *
 * Returns the id (> 0, never reused), or a negative errno: -EINVAL (NULL, an unknown flag, no event
 * bit, an empty path), -ENAMETOOLONG, -ENOENT (also if it goes during the call), -EACCES, -ENOTDIR, -ENOSPC (max_user_watches:
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
 * a release function for the user data, a progress function, a filter for directories and a list of
 * patterns of directories that are left out. A second call for the same watch changes mask and flags
 * alone: release function, filter and patterns stay those of the first.
 *
 * Returns what inotify_watcher_watch() returns, and -EINVAL (an empty pattern), -E2BIG (options of a
 * newer version) or -ECANCELED (the progress function gave up). Any thread. Since 0.1.
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
 * all below it there, until it is deleted; its own entry in its parent is still reported. What a path
 * below a root leads to is known as of the newest event that was read: in a callback that can be some
 * events later than the one being told, if directories are renamed meanwhile.
 *
 * After it returned on the reading thread no event of what it ended is delivered, not even one
 * already queued. Called from another thread, one callback may be running still. Returns 0, or
 * -ENOENT if nothing was watched, -EINVAL, -EBADF, -ENOTRECOVERABLE. What the kernel dropped by itself
 * is no error. A path that an event had is good however long it is. Any thread. Since 0.1.
 *
 * Requires:
 * `watcher` is NULL or came from inotify_watcher_create(); `path` is NULL or NUL-terminated.
 */
int inotify_watcher_ignore(inotify_watcher *watcher,
                           const char *path);

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
 * Returns 1 or 0, or -EINVAL, -EBADF, -ENOTRECOVERABLE. It compares spellings, of any length, and asks
 * the tables, not the file system. Any thread. Since 0.1.
 *
 * Requires:
 * `watcher` is NULL or came from inotify_watcher_create(); `path` is NULL or NUL-terminated.
 */
int inotify_watcher_is_watched(const inotify_watcher *watcher,
                               const char *path);

/**
 * A barrier: returns when every change of the file system that was complete before the call has
 * been delivered, and the library has done what it had to do by then: new directories are watched
 * and what is in them is told, an overflow is dealt with, the kernel watches of what was ignored, moved
 * away or has ended are given back, and what a limit left out is tried again for that room. It calls the
 * callbacks, on this thread, and is not bounded as do_read is. It needs no file in the watched
 * trees and no permission there.
 *
 * Returns 0, or -EBUSY (another thread reads, or this is inside a callback, or inside a filter or
 * progress function that inotify_watcher_watch_with() calls), -EAGAIN (stopped or paused, also by a
 * callback meanwhile), -EBADF (closed, also by a callback meanwhile), -EINVAL, -ENOTRECOVERABLE, or
 * what a system call said. Since 0.1.
 *
 * Requires:
 * `watcher` is NULL or came from inotify_watcher_create().
 */
int inotify_watcher_sync(inotify_watcher *watcher);

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
 * What a watch sees of its tree: all of it, not all, or is it out of step since an overflow? Fills in
 * as far as `status->size` reaches.
 *
 * It is of the moment of the call; changes are told as events with RINOTIFY_EVENT_COVERAGE. While a
 * new directory is being scanned, that alone makes the coverage no less; one that was not covered
 * counts until all that it has is told.
 *
 * Returns 0, or -ENOENT (no such watch, or it has ended), -EINVAL (NULL or a size below 16), -EBADF,
 * -ENOTRECOVERABLE. Any thread. Since 0.1.
 *
 * Requires:
 * `watcher` is NULL or came from inotify_watcher_create(); `status` is NULL or points to a struct of
 * at least the size it states.
 */
int inotify_watcher_get_status(const inotify_watcher *watcher,
                               int64_t watch,
                               inotify_watcher_status *status);

/**
 * Shows every directory that is not covered to `visitor`: of one watch, or of all if `watch` is 0,
 * as they stood at the call, in no particular order. It takes a copy first.
 *
 * A directory that could not be watched or listed is shown by itself. Of those that a limit left out
 * 65536 are remembered one by one in a watcher; beyond that their parents are shown, which are
 * listed again when there is room.
 *
 * Returns 0, or what the visitor returned if that was not 0, or -ENOENT (no such watch), -EINVAL,
 * -EBADF, -ENOMEM, -ENOTRECOVERABLE. Any thread; the visitor may call every function. Since 0.1.
 *
 * Requires:
 * `watcher` is NULL or came from inotify_watcher_create(); `user_data` is valid for `visitor`.
 */
int inotify_watcher_for_each_uncovered(const inotify_watcher *watcher,
                                       int64_t watch,
                                       inotify_watcher_uncovered_visitor visitor,
                                       void *user_data);

/**
 * Tries again everything that is not covered, of all watches, names that could not be followed
 * included: by the following do_reads, for which the descriptor becomes readable.
 * inotify_watcher_sync() waits for it.
 *
 * It is needed for what the kernel does not tell: room under max_user_watches or for open files that
 * others made; a change of a directory on the path to the root that this process may not read, so
 * that it cannot watch it. The rest is tried again without it: a directory whose mode is in the way when
 * that changes, or that of one above; one below a root that was moved away when the root is back under
 * its path; one that a limit left out when this watcher gives a kernel watch back (a directory was
 * deleted, a watch ended). What becomes covered is told as a new directory would be: nothing of the
 * directory itself, which was told when it came, and what is in it as synthetic IN_CREATE if the
 * watch has RINOTIFY_WATCH_AUTO_ADD or RINOTIFY_WATCH_EMIT_EXISTING. What fails again for the same
 * reason is not told again.
 *
 * Returns 0, or -EINVAL, -EBADF, -ENOTRECOVERABLE. Any thread. Since 0.1.
 *
 * Requires:
 * `watcher` is NULL or came from inotify_watcher_create().
 */
int inotify_watcher_retry(inotify_watcher *watcher);

/**
 * The version of the library that is linked, as "0.1.0". Static; never NULL. Any thread. Since 0.1.
 */
const char *rinotify_version(void);

/**
 * The version of the library that is linked, as major * 65536 + minor * 256 + patch. Any thread.
 * Since 0.1.
 */
uint32_t rinotify_version_number(void);

/**
 * Makes a stream: a buffered, non-blocking writer over `fd`, which may be a pipe, a socket, a
 * file, a terminal or a device. NULL options mean the defaults.
 *
 * Bytes that are written are kept until the descriptor takes them: the program's loop calls
 * inotify_watcher_stream_do_write() when the descriptor is writable, as the reactor is told or
 * inotify_watcher_stream_wants_write() says. On a datagram socket the bounds of the writes are not
 * those of the datagrams. SIGPIPE is never raised by it, nor is the thread's signal mask changed.
 *
 * The descriptor must stay open until the connection is lost, which closes it if
 * RINOTIFY_STREAM_CLOSE_FD is given; if this call fails it is the caller's still. Returns the
 * stream, to be released with inotify_watcher_stream_destroy(), or NULL with errno: EBADF (not
 * open, or not for writing), EINVAL (an unknown flag; a size that contradicts another; a reactor
 * without its functions), E2BIG (options of a newer version), ENOMEM. Any thread. Since 0.1.
 *
 * Requires:
 * `options` is NULL or points to a struct of at least the size it states, with pointers that are
 * NULL or what they say.
 */
inotify_watcher_stream *inotify_watcher_stream_create(int fd,
                                                             const inotify_watcher_stream_options *options);

/**
 * Releases a stream. NULL is a no-op.
 *
 * If the connection is not lost yet it is now, with the reason ECANCELED: what waits is dropped, the
 * producer stopped, the reactor told, the descriptor let go, connection_lost called. All of this
 * has happened when it returns, also inside a callback of the stream, and nothing of the stream is
 * called any more; from another thread it waits for the callback that is running. A handle that
 * was destroyed is refused by every function (-EBADF) for some time, but using one is an error of
 * the program. In a child made by fork() it is the only legal call: it closes the child's copy of a
 * descriptor that the stream owns and calls nothing. Any thread. Since 0.1.
 *
 * Requires:
 * `stream` is NULL or came from inotify_watcher_stream_create().
 */
void inotify_watcher_stream_destroy(inotify_watcher_stream *stream);

/**
 * The descriptor to poll for writing, while inotify_watcher_stream_wants_write() says so.
 *
 * Returns the descriptor, or -1 if the stream is NULL or lost, or has none. Any thread. Since 0.1.
 *
 * Requires:
 * `stream` is NULL or came from inotify_watcher_stream_create().
 */
int inotify_watcher_stream_fileno(const inotify_watcher_stream *stream);

/**
 * Takes `size` bytes to be written, all of them or none. They are copied. Nothing is written yet,
 * unless the reactor cannot watch the descriptor. Bytes of several threads are not mixed: those of
 * one call stay together.
 *
 * Returns 0, or 1 if more than the buffer size waits now: please pause. They are taken all the
 * same. A push producer that is registered is told to pause, and told again by each further write
 * while the buffer is full. Or returns a negative errno, and nothing was taken: -ENOBUFS (more than
 * max_buffer would wait), -ENOMEM, -EPIPE (the writing half is closed), -EBADF (the connection is
 * lost), -EINVAL (NULL), -ENOTRECOVERABLE (an internal error before). After
 * inotify_watcher_stream_lose_connection() bytes are taken until the connection is lost. Any
 * thread. Since 0.1.
 *
 * Requires:
 * `stream` is NULL or came from inotify_watcher_stream_create(); `data` has `size` bytes.
 */
int inotify_watcher_stream_write(inotify_watcher_stream *stream,
                                 const void *data,
                                 size_t size);

/**
 * Takes the bytes of `count` pieces as one write of all of them.
 *
 * Returns what inotify_watcher_stream_write() returns; -EINVAL also if the lengths overflow. Any
 * thread. Since 0.1.
 *
 * Requires:
 * `stream` is NULL or came from inotify_watcher_stream_create(); `pieces` has `count` elements, and
 * each has its bytes.
 */
int inotify_watcher_stream_write_sequence(inotify_watcher_stream *stream,
                                          const inotify_watcher_stream_piece *pieces,
                                          size_t count);

/**
 * Writes bytes past the buffer, at once: what the descriptor takes of them in one write. If
 * anything waits in the buffer nothing is written, so that no byte overtakes another.
 *
 * Returns how many bytes were written, 0 if it is not possible now, or a negative errno: what
 * write(2) said, in which case the connection is not lost by it; or -EBUSY (inside the write
 * function, or another thread writes), -EPIPE, -EBADF, -EINVAL, -ENOTRECOVERABLE. Any thread.
 * Since 0.1.
 *
 * Requires:
 * `stream` is NULL or came from inotify_watcher_stream_create(); `data` has `size` bytes.
 */
ptrdiff_t inotify_watcher_stream_write_some_data(inotify_watcher_stream *stream,
                                                 const void *data,
                                                 size_t size);

/**
 * Writes what waits: one write(2) of at most the send limit. Never blocks, if the descriptor does
 * not. To be called when the descriptor is writable, and also when it has an error or was hung up;
 * calling it at other times does no harm.
 *
 * When everything is written (or no more than resume_size waits), a paused push producer is
 * resumed and a pull producer asked for more; and the end is made that
 * inotify_watcher_stream_lose_connection() or inotify_watcher_stream_lose_write_connection() asked
 * for.
 *
 * Returns 1 if something is left and the descriptor may take more: with an edge-triggered poll call
 * it until it returns 0. 0: nothing is left, or the descriptor takes no more now
 * (inotify_watcher_stream_wants_write() tells which). Or a negative errno: what write(2) said, and
 * the connection is lost; -EBUSY (inside the write function, or another thread is at it), -EBADF
 * (lost before), -EINVAL, -ENOTRECOVERABLE. One thread writes at a time. Source: write(2), send(2).
 * Since 0.1.
 *
 * Requires:
 * `stream` is NULL or came from inotify_watcher_stream_create().
 */
int inotify_watcher_stream_do_write(inotify_watcher_stream *stream);

/**
 * Asks the loop to watch for room: the reactor's add_writer, if there is a reactor. A write does
 * this by itself; it is needed after inotify_watcher_stream_stop_writing() only. A second call is
 * a no-op.
 *
 * Returns 0, or -EBADF (lost), -EINVAL, -ENOTRECOVERABLE. Any thread. Since 0.1.
 *
 * Requires:
 * `stream` is NULL or came from inotify_watcher_stream_create().
 */
int inotify_watcher_stream_start_writing(inotify_watcher_stream *stream);

/**
 * Asks the loop not to watch for room any more, until the next write: the reactor's remove_writer.
 * What waits is kept. A second call is a no-op. Returns 0, or -EBADF (lost), -EINVAL,
 * -ENOTRECOVERABLE. Any thread. Since 0.1.
 *
 * Requires:
 * `stream` is NULL or came from inotify_watcher_stream_create().
 */
int inotify_watcher_stream_stop_writing(inotify_watcher_stream *stream);

/**
 * Should the descriptor be polled for writing? For programs without a reactor: ask before each
 * poll.
 *
 * Returns 1 or 0, or -EBADF (lost), -EINVAL, -ENOTRECOVERABLE. Any thread. Since 0.1.
 *
 * Requires:
 * `stream` is NULL or came from inotify_watcher_stream_create().
 */
int inotify_watcher_stream_wants_write(const inotify_watcher_stream *stream);

/**
 * Ends the connection when everything is written; at once if nothing waits. Then connection_lost is
 * called with 0. A pull producer is asked until it unregisters; a push producer is not waited for,
 * and stopped. A second call is a no-op. If the other end never reads, this never comes to an end:
 * see inotify_watcher_stream_abort().
 *
 * Returns 0, or -EINVAL (NULL), -EBADF (destroyed), -ENOTRECOVERABLE. Inside a callback of the
 * stream the end comes after that callback has returned. Any thread. Since 0.1.
 *
 * Requires:
 * `stream` is NULL or came from inotify_watcher_stream_create().
 */
int inotify_watcher_stream_lose_connection(inotify_watcher_stream *stream);

/**
 * Closes the writing half when everything is written; at once if nothing waits: the other end reads
 * the end of the data, and can still answer. A pull producer is asked until it unregisters; a push
 * producer is stopped. What is not a socket has no halves: its connection ends, as
 * inotify_watcher_stream_lose_connection() does it. A second call is a no-op.
 *
 * Returns 0, or -EBADF (lost), -EINVAL, -ENOTRECOVERABLE. If shutdown(2) fails the connection is
 * lost with its errno. Any thread. Since 0.1.
 *
 * Requires:
 * `stream` is NULL or came from inotify_watcher_stream_create().
 */
int inotify_watcher_stream_lose_write_connection(inotify_watcher_stream *stream);

/**
 * Ends the connection now, for `reason`: a positive errno, or 0. What waits is dropped. This is also
 * how a program says what it saw of the connection from its reading side: 0 for an end of file,
 * ECONNRESET, and so on. On a lost connection a no-op.
 *
 * Returns 0, or -EINVAL (NULL, a negative reason), -EBADF (destroyed), -ENOTRECOVERABLE. Inside a
 * callback of the stream the end comes after that callback has returned. Any thread. Since 0.1.
 *
 * Requires:
 * `stream` is NULL or came from inotify_watcher_stream_create().
 */
int inotify_watcher_stream_abort(inotify_watcher_stream *stream,
                                 int reason);

/**
 * Registers a producer. `streaming` 1: a push producer, which writes when it likes and is paused
 * while the buffer is full. 0: a pull producer, whose resume_producing is called now, and again
 * each time that what it wrote is written; it writes a piece each time, or unregisters when it has
 * no more.
 *
 * Returns 0, or -EBUSY (there is one already), -EPIPE (the writing half is closed), -EBADF (the
 * connection is lost or the stream destroyed, and stop_producing was called), -EINVAL (NULL, another `streaming`, a function
 * missing), -E2BIG, -ENOTRECOVERABLE. Any thread. Since 0.1.
 *
 * Requires:
 * `stream` is NULL or came from inotify_watcher_stream_create(); `producer` is NULL or points to a
 * struct of at least the size it states.
 */
int inotify_watcher_stream_register_producer(inotify_watcher_stream *stream,
                                             const inotify_watcher_producer *producer,
                                             int streaming);

/**
 * Forgets the producer, without a word to it: one that is paused stays so. If the end was asked for
 * and only the producer was waited for, it comes now. After it returned no function of the producer
 * runs, except the one that this call was made in; from another thread it waits for it.
 *
 * Returns 0 (also if there was none), or -EBADF (destroyed), -EINVAL, -ENOTRECOVERABLE. Any thread.
 * Since 0.1.
 *
 * Requires:
 * `stream` is NULL or came from inotify_watcher_stream_create().
 */
int inotify_watcher_stream_unregister_producer(inotify_watcher_stream *stream);

/**
 * For a producer that has come to its end: inotify_watcher_stream_unregister_producer(), then
 * inotify_watcher_stream_lose_connection(). Returns what the latter returns. Any thread. Since 0.1.
 *
 * Requires:
 * `stream` is NULL or came from inotify_watcher_stream_create().
 */
int inotify_watcher_stream_stop_consuming(inotify_watcher_stream *stream);

/**
 * Does more than the buffer size wait?
 *
 * Returns 1 or 0, or -EBADF (lost), -EINVAL, -ENOTRECOVERABLE. Any thread. Since 0.1.
 *
 * Requires:
 * `stream` is NULL or came from inotify_watcher_stream_create().
 */
int inotify_watcher_stream_is_send_buffer_full(const inotify_watcher_stream *stream);

/**
 * How many bytes wait to be written: 0 also if the stream is NULL or lost. Any thread. Since 0.1.
 *
 * Requires:
 * `stream` is NULL or came from inotify_watcher_stream_create().
 */
size_t inotify_watcher_stream_buffered(const inotify_watcher_stream *stream);

/**
 * Fills in the state and the counters of a stream, as far as `stats->size` reaches. They are of one
 * moment, and can be asked for after the connection was lost.
 *
 * Returns 0, or -EINVAL (NULL or a size below 16), -EBADF (destroyed), -ENOTRECOVERABLE. Any
 * thread. Since 0.1.
 *
 * Requires:
 * `stream` is NULL or came from inotify_watcher_stream_create(); `stats` is NULL or points to a
 * struct of at least the size it states.
 */
int inotify_watcher_stream_get_stats(const inotify_watcher_stream *stream,
                                     inotify_watcher_stream_stats *stats);

/**
 * Writes an event as one line of JSON: an object and a newline. Counts as snprintf(3) does: at most
 * `size` bytes are written, a NUL included, and the length needed without it is returned. `buffer`
 * may be NULL if `size` is 0.
 *
 * The keys, in this order: "watch"; "mask", an array of the words of inotify_watcher_mask_names()
 * without is_dir; "is_dir", a boolean; "cookie", "flags" (an array of "synthetic", "error",
 * "rescan_begin", "rescan_end", "coverage", "root"), "error", a number, and "coverage" ("complete",
 * "partial" or "out_of_step"), unless they are 0; "path"; "old_path", if there is one. Bits without a
 * word are one hexadecimal number, as a string, at the end of their array. A path that is valid
 * UTF-8 is a string with every control character (and U+2028, U+2029) escaped. One that is not has
 * U+FFFD in place of what cannot be shown, and is followed by the same key with "_b64" added, which
 * has all of its bytes in base64 (RFC 4648, padded).
 *
 * Returns 0 if `event` is NULL or smaller than the first version of it. Any thread. Since 0.1.
 *
 * Requires:
 * `event` is NULL or points to an event as a callback gets it; `buffer` has room for `size` bytes.
 */
size_t inotify_watcher_format_json(const inotify_watcher_event *event,
                                   char *buffer,
                                   size_t size);

/**
 * An inotify_watcher_callback whose user data is a stream: formats the event and writes it there.
 * The watch must end before the stream is destroyed; inotify_watcher_stream_watch() needs no such
 * care. `watcher` is not used.
 *
 * If the bytes cannot be kept (-ENOBUFS, -ENOMEM) the connection is ended with that reason: its
 * other end sees the end, never a gap. On a lost connection it does nothing. Since 0.1.
 *
 * Requires:
 * `event` is what a callback gets; `stream` is NULL or came from inotify_watcher_stream_create().
 */
void inotify_watcher_stream_callback(inotify_watcher *watcher,
                                     const inotify_watcher_event *event,
                                     void *stream);

/**
 * Watches a path as inotify_watcher_watch() does, with every event written into the stream. The
 * watch may outlive the stream: then its events go nowhere. Each call makes a watch of its own.
 *
 * Returns what inotify_watcher_watch() returns, for `watcher`; -EBADF also if the stream is lost.
 * Any thread. Since 0.1.
 *
 * Requires:
 * `stream` is NULL or came from inotify_watcher_stream_create(); `watcher` and `path` are as
 * inotify_watcher_watch() wants them.
 */
int64_t inotify_watcher_stream_watch(inotify_watcher_stream *stream,
                                     inotify_watcher *watcher,
                                     const char *path,
                                     uint32_t mask,
                                     uint32_t flags);

/**
 * Registers a watcher as the stream's streaming producer: while the buffer is full the watcher is
 * paused, and the kernel's queue holds what happens; when it is drained the watcher is resumed; when
 * the connection is lost the watcher is stopped (inotify_watcher_stop_producing()). So a reader at
 * the other end that is slow, or stops reading, costs the program a bounded amount of memory, and
 * loses nothing but what overflows the queue, which is told in its place.
 *
 * Its events come into the stream by inotify_watcher_stream_watch(), or by
 * inotify_watcher_stream_callback(), or from the program's own callback. The watcher should write
 * into this stream alone: it is paused as a whole. When it ends, destroyed or its connection lost, it
 * is unregistered by that, before connection_lost is called.
 *
 * Returns what inotify_watcher_stream_register_producer() returns; or for `watcher` -EINVAL (NULL),
 * -EBADF (closed), -ENOTRECOVERABLE (an internal error before), and then nothing was registered or
 * stopped. Any thread. Since 0.1.
 *
 * Requires:
 * `stream` is NULL or came from inotify_watcher_stream_create(); `watcher` is NULL or came from
 * inotify_watcher_create().
 */
int inotify_watcher_stream_register_watcher(inotify_watcher_stream *stream,
                                            inotify_watcher *watcher);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* RINOTIFY_H */
