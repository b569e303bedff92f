//! What C sees: constants, structs and callback types. Nothing here has behaviour.

#![expect(non_camel_case_types, reason = "the names are those of the C interface")]

use std::ffi::{c_char, c_int, c_void};

use super::reactor_abi::{
    inotify_watcher_connection_lost, inotify_watcher_log, inotify_watcher_reactor,
};

/// First number of the version of this header; a change of it breaks programs.
pub const RINOTIFY_VERSION_MAJOR: u32 = 0;
/// Second number of the version of this header.
pub const RINOTIFY_VERSION_MINOR: u32 = 1;
/// Third number of the version of this header.
pub const RINOTIFY_VERSION_PATCH: u32 = 0;

/// The usual mask: MODIFY, ATTRIB, CREATE, DELETE, DELETE_SELF, MOVE_SELF, UNMOUNT, MOVED_FROM and
/// MOVED_TO. It has no OPEN, ACCESS or CLOSE bit, so that a callback that reads the file it was
/// told about does not call itself again. Since 0.1.
pub const RINOTIFY_WATCH_MASK: u32 = 0x2fc6;

/// Watch the directories below the path as well. The path must be a directory (-ENOTDIR). Since 0.1.
pub const RINOTIFY_WATCH_RECURSIVE: u32 = 0x1;
/// Watch directories that are made below the path, or moved there, from then on; what is already
/// in them when they are first seen is told as synthetic IN_CREATE. Since 0.1.
pub const RINOTIFY_WATCH_AUTO_ADD: u32 = 0x2;
/// Report what is there already first, as synthetic IN_CREATE, each entry once, a parent before
/// its children, whatever the mask says. So is, with RINOTIFY_WATCH_AUTO_ADD, what stands in a
/// directory that comes later when it is first seen. A second call for the same watch tells nothing
/// again. Since 0.1.
pub const RINOTIFY_WATCH_EMIT_EXISTING: u32 = 0x4;

/// Stay on the file system of the path, and on its mount: a directory below at which something is
/// mounted is not watched, nor is one with another device number (st_dev), as a btrfs subvolume has.
/// That is decided when the directory is found, before it is watched. What a mount hides, and what
/// stands there after an unmount, is not watched either. Before Linux 5.6, or where openat2(2) is
/// forbidden, a mount point is known by its device number alone, so that a file system which is
/// bound to a second place below the path is followed there. Changed by a second call, it counts for
/// directories that are found from then on. Without it recursion crosses file systems. Since 0.1.
pub const RINOTIFY_WATCH_ONE_FILE_SYSTEM: u32 = 0x10;
/// Remember every entry of the watched directories (inode number, size, times, attributes, as
/// hashes: about 50 bytes an entry), so that after an overflow (IN_Q_OVERFLOW) the files that
/// differ are told as well: synthetic IN_CREATE and IN_DELETE, both for a name that belongs to
/// another file now, IN_MODIFY for other content (size or time of modification; if the mask lacks
/// it, IN_CLOSE_WRITE or else IN_ATTRIB), IN_ATTRIB for other attributes. A file that was changing
/// when the overflow came can be told once more than it changed. Costs one fstatat(2) an entry
/// when the watch is made, and one for an entry that has changed, when nothing else is to be done.
/// Since 0.1.
pub const RINOTIFY_WATCH_TRACK_ENTRIES: u32 = 0x8;
/// The watch is about the name: it need not lead to anything yet, and whatever it leads to from now
/// on is watched, however often that is replaced. Every directory on the way, and on the way of each
/// symbolic link in it, is watched by the library for itself. Neither IN_DELETE_SELF, IN_MOVE_SELF
/// nor IN_IGNORED is told when the root goes; RINOTIFY_EVENT_ROOT says what is. With
/// RINOTIFY_WATCH_AUTO_ADD the content of a directory that comes is told as synthetic IN_CREATE. What
/// is mounted over a directory on the way is found when something else happens there, or by the same
/// call again; the kernel does not tell it (inotify(7)). Since 0.1.
pub const RINOTIFY_WATCH_FOLLOW_NAME: u32 = 0x20;

/// The library made the event because the kernel could not: the entry was there before its
/// directory was watched, or a rescan found the difference. Since 0.1.
pub const RINOTIFY_EVENT_SYNTHETIC: u32 = 0x1;
/// Something failed after the watch was made: `error` has the errno value, `path` the place. A
/// directory that cannot be watched or listed is told once for each reason; of those that a limit
/// (max_user_watches, open files, memory) leaves out only the first, until none is left out. Since
/// 0.1.
pub const RINOTIFY_EVENT_ERROR: u32 = 0x2;
/// On IN_Q_OVERFLOW of a watch that holds directories or entries: what was lost is about to be made
/// good. What is queued until the library has read the overflow is not delivered for this watch,
/// as its paths could be wrong; then the directories are listed again while new events are
/// delivered, and what differs is told by synthetic events. `path` is the root. A further overflow
/// tells it again. Since 0.1.
pub const RINOTIFY_EVENT_RESCAN_BEGIN: u32 = 0x4;
/// The repair after an overflow is complete: the consumer knows all directories again, and with
/// RINOTIFY_WATCH_TRACK_ENTRIES all entries. `path` is the root; the mask is 0. Since 0.1.
pub const RINOTIFY_EVENT_RESCAN_END: u32 = 0x8;

/// What the watch sees of its tree has changed: `coverage` says to what, `path` is the root and
/// `mask` is 0. Sent when it becomes another one, never twice in a row for the same; no mask hides
/// it. A watch begins as complete, so there is no event for that. Since 0.1.
pub const RINOTIFY_EVENT_COVERAGE: u32 = 0x10;

/// Coverage: every directory that the watch is about is watched. Since 0.1.
pub const RINOTIFY_COVERAGE_COMPLETE: u32 = 1;
/// Coverage: some directories could not be watched or listed; each was told as an event with
/// RINOTIFY_EVENT_ERROR (those that a limit left out: the first of them), and
/// inotify_watcher_for_each_uncovered() shows them all. Or something keeps a name from being followed,
/// or some of its changes from being seen (RINOTIFY_WATCH_FOLLOW_NAME), which is told and shown
/// likewise. Since 0.1.
pub const RINOTIFY_COVERAGE_PARTIAL: u32 = 2;
/// Coverage: events were lost by an overflow, and the tree is being scanned again. Since 0.1.
pub const RINOTIFY_COVERAGE_OUT_OF_STEP: u32 = 3;

/// In a watch with RINOTIFY_WATCH_FOLLOW_NAME: the name itself has changed, `name` is NULL, and no
/// mask hides it. IN_DELETE or IN_MOVED_FROM: nothing is there now; everything below is gone.
/// IN_CREATE: it was made just now, and for a file IN_CLOSE_WRITE follows, if the mask has it.
/// IN_MOVED_TO: it has come as a whole, in place of what was there, and can be read. With
/// RINOTIFY_EVENT_SYNTHETIC and no cookie, if it was something else on the way that changed. No event
/// of what was there before comes later. Since 0.1.
pub const RINOTIFY_EVENT_ROOT: u32 = 0x20;

/// Creation flag: the deletion of a watched root is the end of the watcher. What was read of the
/// queue with its last event (IN_DELETE_SELF, then IN_IGNORED) is delivered, then the connection is
/// lost with the reason 0. Since 0.1.
pub const RINOTIFY_LOSE_CONNECTION_ON_DELETE_SELF: u32 = 0x1;

/// A watcher: one inotify instance with one descriptor to poll. Opaque; thread-safe.
pub struct inotify_watcher {
    _private: [u8; 0],
}

/// One event, as a callback sees it.
///
/// It belongs to the library and is valid until the callback returns; so are the strings. It may
/// grow at its end in later versions: `size` is what the library filled in.
#[repr(C)]
pub struct inotify_watcher_event {
    /// Size of this struct in bytes, as the library knows it.
    pub size: usize,
    /// Id of the watch that the event is for, as inotify_watcher_watch() returned it.
    pub watch: i64,
    /// The kernel's event bits (IN_CREATE, IN_ISDIR, ...), see inotify(7). 0 in an event that only
    /// carries `flags`.
    pub mask: u32,
    /// The kernel's rename cookie: the same in an IN_MOVED_FROM and its IN_MOVED_TO. 0 in other events,
    /// and in those that the library made.
    pub cookie: u32,
    /// RINOTIFY_EVENT_* bits.
    pub flags: u32,
    /// With RINOTIFY_EVENT_ERROR the errno value (positive), else 0.
    pub error: i32,
    /// The path: the root as the caller spelled it, and what is below it. NUL-terminated bytes, no
    /// encoding assumed, of any length.
    pub path: *const c_char,
    /// Length of `path` in bytes, without the NUL.
    pub path_len: usize,
    /// The last component, pointing into `path`; NULL when the event is about the root itself.
    pub name: *const c_char,
    /// In an IN_MOVED_TO whose IN_MOVED_FROM was seen: where it was. Else NULL.
    pub old_path: *const c_char,
    /// Length of `old_path` in bytes, without the NUL; 0 if it is NULL.
    pub old_path_len: usize,
    /// With RINOTIFY_EVENT_COVERAGE a RINOTIFY_COVERAGE_* value, else 0.
    pub coverage: u32,
    /// Reserved, 0.
    pub reserved: u32,
}

/// Called for each event, from inotify_watcher_do_read() or inotify_watcher_sync(), on the thread
/// that called it, with no lock held. It may call every function of the library on the same
/// watcher, inotify_watcher_destroy() included; only a nested do_read or sync is refused (-EBUSY).
/// It must return: a C++ exception or longjmp that leaves it ends the process.
pub type inotify_watcher_callback = Option<
    unsafe extern "C-unwind" fn(
        watcher: *mut inotify_watcher,
        event: *const inotify_watcher_event,
        user_data: *mut c_void,
    ),
>;

/// Called exactly once when no callback with this user data can run again: after
/// inotify_watcher_ignore(), after the last event of a watch that ended by itself, or at
/// inotify_watcher_destroy(). No lock is held; the thread is the one that ended the watch, or the
/// reading thread if a callback was running. Never called for a watch call that failed.
pub type inotify_watcher_release = Option<unsafe extern "C-unwind" fn(user_data: *mut c_void)>;

/// Called now and then from inside inotify_watcher_watch_with() while a tree is being added, on the
/// calling thread, with no lock held. `directories` counts those watched so far. Returning non-zero
/// gives up: the call returns -ECANCELED and leaves nothing behind.
pub type inotify_watcher_progress =
    Option<unsafe extern "C-unwind" fn(directories: u64, user_data: *mut c_void) -> c_int>;

/// A directory below the root of a watch, as a filter is asked about it.
///
/// It belongs to the library and is valid until the filter returns; so are the strings. It may grow
/// at its end in later versions: `size` is what the library filled in.
#[repr(C)]
pub struct inotify_watcher_directory {
    /// Size of this struct in bytes, as the library knows it.
    pub size: usize,
    /// Id of the watch. While the call that makes it is under way, the one that it will return.
    pub watch: i64,
    /// The path, as events have it.
    pub path: *const c_char,
    /// Length of `path` in bytes, without the NUL.
    pub path_len: usize,
    /// The last component, pointing into `path`.
    pub name: *const c_char,
    /// How far below the root: 1 for an entry of the root itself.
    pub depth: u32,
    /// Reserved, 0.
    pub reserved: u32,
}

/// Decides whether a directory below the root is watched: 0 leaves it out, with all below it.
///
/// It is asked before the directory is opened, listed or watched: for those that are there when the
/// watch is made from inside inotify_watcher_watch_with(), on the calling thread; for those that
/// come later, or are moved in, from do_read or sync on the reading thread, after the events up to
/// then were delivered. A directory that is renamed, or moved within the tree, is asked about again
/// under its new path, before anything that follows is told; what is below it is not asked about
/// again. It may be asked more than once about the same path.
///
/// The entry itself is always told, by its parent's events. A directory that was watched and is
/// left out after a rename is let go with all below it, and nothing more is told of what is there,
/// not even that it is gone: whoever keeps a list forgets what is below. One that was left out and is
/// let in after a rename is like a new one: what is in it is told as synthetic IN_CREATE.
///
/// No lock is held. It may call what a callback may call. It must return: a C++ exception or longjmp
/// that leaves it ends the process.
pub type inotify_watcher_filter = Option<
    unsafe extern "C-unwind" fn(
        watcher: *mut inotify_watcher,
        directory: *const inotify_watcher_directory,
        user_data: *mut c_void,
    ) -> c_int,
>;

/// How a watcher is made. Set `size` to sizeof of the struct and the rest to 0, then fill in.
///
/// A shorter struct of an older header is taken as if the rest were 0; a longer one of a newer
/// header is -E2BIG if it has a non-zero byte that this library does not know (openat2(2) does the
/// same).
#[repr(C)]
pub struct inotify_watcher_options {
    /// sizeof(inotify_watcher_options).
    pub size: usize,
    /// RINOTIFY_LOSE_CONNECTION_ON_DELETE_SELF; an unknown bit is -EINVAL.
    pub flags: u32,
    /// Bytes that one read(2) asks for: 512 to 16777216, 0 for 65536.
    pub read_size: u32,
    /// Most callbacks that one do_read makes: 1 to 16777216, 0 for 4096.
    pub max_events: u32,
    /// Most directory entries that one do_read looks at while it scans: 16 to 16777216, 0 for 1024.
    pub max_scan: u32,
    /// NULL: the program polls `fileno` by itself. Else the loop that the watcher drives, with
    /// `add_reader` and `remove_reader`; it is copied. Such a watcher is stopped at first, see
    /// inotify_watcher_start_reading().
    pub reactor: *const inotify_watcher_reactor,
    /// NULL, or told of the end, once.
    pub connection_lost: inotify_watcher_connection_lost,
    /// NULL, or takes a line for each thing that is worth an operator's notice: a directory that
    /// could not be watched, an overflow, a connection that broke, an internal error.
    pub log: inotify_watcher_log,
    /// Goes before the lines of the log. NULL for "inotify_watcher". Copied.
    pub log_prefix: *const c_char,
    /// Handed to `connection_lost` and `log` as it is.
    pub user_data: *mut c_void,
    /// The least urgent RINOTIFY_LOG_* level that is wanted, up to 7. 0: all.
    pub log_level: u32,
    /// Reserved, 0.
    pub reserved: u32,
}

/// How a watch is made: the arguments of inotify_watcher_watch() and what does not fit there. Set
/// `size` and zero the rest first. It grows as inotify_watcher_options does.
#[repr(C)]
pub struct inotify_watcher_watch_options {
    /// sizeof(inotify_watcher_watch_options).
    pub size: usize,
    /// IN_* bits, as in inotify_watcher_watch().
    pub mask: u32,
    /// RINOTIFY_WATCH_* bits.
    pub flags: u32,
    /// Called for each event; must not be NULL.
    pub callback: inotify_watcher_callback,
    /// Handed to the callbacks as it is.
    pub user_data: *mut c_void,
    /// NULL, or called once when user_data is no longer needed.
    pub release: inotify_watcher_release,
    /// NULL, or called while a large tree is being added.
    pub progress: inotify_watcher_progress,
    /// NULL, or decides which directories below the root are watched. Called with user_data, and no
    /// more once the watch has ended.
    pub filter: inotify_watcher_filter,
    /// NULL, or a list, ended by NULL, of patterns of directories that are left out; the filter is
    /// not asked about those. The list and the strings are copied.
    ///
    /// They are patterns of fnmatch(3) with no flag but FNM_PATHNAME, in the POSIX locale whatever
    /// the program's: bytes, so that `?` is one byte and a name need not be text. A leading period is
    /// matched like any other byte; a backslash quotes. One without a slash is matched against the
    /// directory's name: "node_modules", ".*". One with a slash at its beginning or inside is matched
    /// against the path below the root, where a slash is matched by a slash alone: "/build" is the
    /// entry of the root, "src/x*" one of src; there is no "**". A slash at the end does not count.
    /// They decide as the filter does, when a directory is found, made, moved in or renamed, with the
    /// path that it has then: the rename of a directory above it changes nothing. Files and the root
    /// are not asked about. An empty one is -EINVAL.
    pub excludes: *const *const c_char,
}

/// What failed last, from inotify_watcher_last_error(). Set `size` first. The strings are never
/// NULL and stay valid until the next call into the library on the same thread that fails.
#[repr(C)]
pub struct inotify_watcher_error {
    /// sizeof(inotify_watcher_error).
    pub size: usize,
    /// The errno value (positive), 0 if nothing failed on this thread yet.
    pub error: i32,
    /// Reserved, 0.
    pub reserved: u32,
    /// The limit that was reached (max_user_watches, max_user_instances, RLIMIT_NOFILE), if `error`
    /// is about one and it could be read; else 0.
    pub limit: u64,
    /// The step that failed: a system call's name, or the argument's.
    pub step: *const c_char,
    /// The path it failed for, or "".
    pub path: *const c_char,
    /// Length of `path` in bytes.
    pub path_len: usize,
    /// A sentence for people, with all of the above.
    pub message: *const c_char,
}

/// Counters of a watcher, from inotify_watcher_get_stats(). Set `size` first.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct inotify_watcher_stats {
    /// sizeof(inotify_watcher_stats).
    pub size: usize,
    /// Watches that are alive.
    pub watches: u64,
    /// Kernel watches (wds) in use for them, as /proc/self/fdinfo counts, less the library's own.
    pub watchpoints: u64,
    /// Kernel watches that the library needs for itself: its barrier, and the directories on the way
    /// to names that are followed, unless a caller's watch has them, too.
    pub internal_watchpoints: u64,
    /// Directories known below all roots, each watch counted for itself, with those not watched.
    pub directories: u64,
    /// Directories that wait to be watched or listed, or whose listing is not settled yet.
    pub pending: u64,
    /// Bytes of memory held by the tables.
    pub memory: u64,
    /// read(2) calls that returned something.
    pub reads: u64,
    /// Kernel events read.
    pub kernel_events: u64,
    /// Events delivered to callbacks.
    pub delivered: u64,
    /// Of these, synthetic.
    pub synthetic: u64,
    /// IN_Q_OVERFLOW seen.
    pub overflows: u64,
}

/// One watchpoint of one watch, as inotify_watcher_for_each_watchpoint() shows it. Valid until the
/// visitor returns.
#[repr(C)]
pub struct inotify_watcher_watchpoint {
    /// Size of this struct in bytes, as the library knows it.
    pub size: usize,
    /// Id of the watch that it serves.
    pub watch: i64,
    /// The kernel's watch descriptor. Several watches can share one.
    pub wd: i32,
    /// The events that the kernel is asked for on behalf of this watch.
    pub mask: u32,
    /// Its path, in the spelling of the watch.
    pub path: *const c_char,
    /// Length of `path` in bytes.
    pub path_len: usize,
}

/// What a watch sees of its tree, from inotify_watcher_get_status(). Set `size` first.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct inotify_watcher_status {
    /// sizeof(inotify_watcher_status).
    pub size: usize,
    /// A RINOTIFY_COVERAGE_* value.
    pub coverage: u32,
    /// Reserved, 0.
    pub reserved: u32,
    /// How many directories are not covered, or in the way of a name that is followed, as
    /// inotify_watcher_for_each_uncovered() shows them. What is below one of them is not known, so not
    /// counted. Not 0 if the coverage is
    /// RINOTIFY_COVERAGE_PARTIAL, and possible with RINOTIFY_COVERAGE_OUT_OF_STEP.
    pub uncovered: u64,
}

/// A directory that is not covered, as inotify_watcher_for_each_uncovered() shows it. Valid until the
/// visitor returns.
#[repr(C)]
pub struct inotify_watcher_uncovered {
    /// Size of this struct in bytes, as the library knows it.
    pub size: usize,
    /// Id of the watch whose tree it is in.
    pub watch: i64,
    /// Why, as an errno value (positive). EACCES, EPERM: it, or a directory above it, must not be
    /// read or searched; tried again when the mode changes. ENOSPC, ENOMEM, EMFILE, ENFILE: a limit;
    /// tried again when this watcher gives a kernel watch back.
    pub error: i32,
    /// Reserved, 0.
    pub reserved: u32,
    /// The step that failed: a system call's name.
    pub step: *const c_char,
    /// Its path, in the spelling of the watch; of what is in the way of a name that is followed the one
    /// that the error event had. NUL-terminated bytes of any length.
    pub path: *const c_char,
    /// Length of `path` in bytes.
    pub path_len: usize,
}

/// Sees one directory that is not covered; returning non-zero ends the walk. No lock is held.
pub type inotify_watcher_uncovered_visitor = Option<
    unsafe extern "C-unwind" fn(
        uncovered: *const inotify_watcher_uncovered,
        user_data: *mut c_void,
    ) -> c_int,
>;

/// Sees one watchpoint; returning non-zero ends the walk. No lock is held.
pub type inotify_watcher_visitor = Option<
    unsafe extern "C-unwind" fn(
        watchpoint: *const inotify_watcher_watchpoint,
        user_data: *mut c_void,
    ) -> c_int,
>;

const _: () = {
    assert!(
        RINOTIFY_WATCH_MASK
            == libc::IN_MODIFY
                | libc::IN_ATTRIB
                | libc::IN_CREATE
                | libc::IN_DELETE
                | libc::IN_DELETE_SELF
                | libc::IN_MOVE_SELF
                | libc::IN_UNMOUNT
                | libc::IN_MOVED_FROM
                | libc::IN_MOVED_TO
    );
};
