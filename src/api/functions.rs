//! The functions of the C interface: each parses its pointers at the door and calls the watcher.

use std::ffi::{c_char, c_int, c_void};

use super::abi::*;
use super::door::{self, Input};
pub use super::flow_functions::*;
use super::{names, report};

/// Makes a watcher: one inotify instance whose descriptor is non-blocking and close-on-exec from
/// birth. NULL options mean the defaults.
///
/// Returns the watcher, to be released with inotify_watcher_destroy(), or NULL with errno: EINVAL
/// (a bad option; a reactor without its functions), E2BIG (options of a newer version), EMFILE (max_user_instances or
/// RLIMIT_NOFILE), ENFILE, ENOMEM, ENOSPC (max_user_watches), ENOENT (/proc is not mounted), or what a
/// sandbox says that forbids inotify_init1, memfd_create, inotify_add_watch or fchmod;
/// inotify_watcher_last_error() names the step. Source: inotify_init1(2). Any thread. Since 0.1.
///
/// # Safety
/// `options` is NULL or points to a struct of at least the size it states, with pointers that are
/// NULL or what they say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_create(
    options: *const inotify_watcher_options,
) -> *mut inotify_watcher {
    // SAFETY: the caller's promise, passed on.
    unsafe { door::create(options) }
}

/// Ends every watch and releases the watcher. NULL is a no-op.
///
/// If the connection is not lost yet it is now, with the reason ECANCELED: the descriptor is taken
/// out of the reactor's loop and closed, and connection_lost is called. No callback starts after it
/// returned. From another thread it waits for the callback that is running; inside a callback it
/// takes effect at once, and the memory goes when the running do_read returns. Inside a function of
/// the reactor it takes effect when that function returns. A handle that was destroyed is refused by every function (-EBADF)
/// for some time, but using one is an error of the program. In a child made by fork() it is the
/// only legal call: it closes the child's descriptor and leaves the parent's watches alone.
/// `release` functions run before it returns, or with the running callback's end. Since 0.1.
///
/// # Safety
/// `watcher` is NULL or came from inotify_watcher_create().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_destroy(watcher: *mut inotify_watcher) {
    door::destroy(watcher);
}

/// The one descriptor to poll for reading. It is readable whenever inotify_watcher_do_read() has
/// something to do, unfinished scanning included, and never changes while the watcher lives. Do not
/// read, close or mark it blocking.
///
/// Returns the descriptor, or -1 if the watcher is NULL or closed. Any thread. Since 0.1.
///
/// # Safety
/// `watcher` is NULL or came from inotify_watcher_create().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_fileno(watcher: *const inotify_watcher) -> c_int {
    door::with(watcher, |w| w.fileno()).unwrap_or(-1)
}

/// Does a bounded amount of work: reads the descriptor once at the most, keeps the tables and calls
/// the callbacks. Never blocks.
///
/// Returns > 0 if work was done (there may be more: the descriptor stays readable), 0 if nothing is
/// left to do, or a negative errno: -EBUSY (another thread reads, or this is inside a callback),
/// -EBADF (closed), -EINVAL (NULL), -ENOTRECOVERABLE (an internal error before), or what read(2)
/// said, and the connection is lost. While the watcher is stopped or paused it reads nothing and
/// returns 0. With an edge-triggered poll call it until it returns 0. The thread that calls it is the
/// reading thread for that time. Source: inotify(7). Since 0.1.
///
/// # Safety
/// `watcher` is NULL or came from inotify_watcher_create().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_do_read(watcher: *mut inotify_watcher) -> c_int {
    door::int(watcher, |w| w.do_read())
}

/// Watches a path.
///
/// `path` is a file or directory; a symbolic link there is followed unless the mask has
/// IN_DONT_FOLLOW. Symbolic links below it are never followed. A relative path is taken from the
/// current directory of this call. `mask` has IN_* bits of inotify(7), at least one event bit;
/// IN_ONLYDIR, IN_DONT_FOLLOW, IN_EXCL_UNLINK, IN_ONESHOT, IN_MASK_ADD and IN_MASK_CREATE mean what
/// they mean there, for this watch alone; only IN_EXCL_UNLINK is one for all watches of a directory,
/// as the kernel has it once: where one of them asks for it, which those with RINOTIFY_WATCH_RECURSIVE,
/// AUTO_ADD, EMIT_EXISTING or TRACK_ENTRIES do by themselves, none is told of files that have no name any
/// more, for as long as any watch of the directory is left. A smaller mask saves no work in the kernel, nor
/// does the end of a watch where another has the same directory or file: the kernel loses events while it
/// takes a mask back (fs/notify/inotify/inotify_user.c, inotify_update_existing_watch).
/// `flags` has RINOTIFY_WATCH_* bits. `callback` must not be NULL; it is never called from inside this
/// function, nor if it fails. The end of the root (IN_DELETE_SELF, IN_UNMOUNT, IN_IGNORED) is
/// delivered whatever the mask.
///
/// With RINOTIFY_WATCH_FOLLOW_NAME the path need not lead to anything: a missing component, or a file
/// where the way needs a directory, is no error then. What else keeps it from being followed is one
/// (-EACCES, -ELOOP, -ENAMETOOLONG; -ENOTDIR if the root is a file and must not be), here or, later, as
/// an event whose `path` is the component. A relative path is followed by its absolute path.
///
/// Watching the same path again with the same callback and user data changes mask and flags of that
/// watch and returns its id; a relative path is the same in the same current directory. While another
/// thread makes that watch the call waits for it. What is
/// watched stays so until its end has been read, even if the path leads elsewhere by now (a root
/// that was moved or replaced) or IN_DONT_FOLLOW is another: for that, end the watch first, or use
/// RINOTIFY_WATCH_FOLLOW_NAME. Other calls make watches of their own, however they overlap.
///
/// Returns the id (> 0, never reused), or a negative errno: -EINVAL (NULL, an unknown flag, no event
/// bit, an empty path), -ENAMETOOLONG, -ENOENT (also if it goes during the call), -EACCES, -ENOTDIR, -ENOSPC (max_user_watches:
/// inotify_watcher_last_error() has the directory and the limit), -ENOMEM, -EMFILE, -EEXIST
/// (IN_MASK_CREATE and watched already), -EBADF, -ENOTRECOVERABLE. After a failure nothing of it is
/// left. A large tree takes its time: about 5 us a directory; other threads can read meanwhile.
/// Source: inotify_add_watch(2). Any thread. Since 0.1.
///
/// # Safety
/// `watcher` is NULL or came from inotify_watcher_create(); `path` is NULL or NUL-terminated;
/// `user_data` is valid for `callback` until the watch has ended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_watch(
    watcher: *mut inotify_watcher,
    path: *const c_char,
    mask: u32,
    flags: u32,
    callback: inotify_watcher_callback,
    user_data: *mut c_void,
) -> i64 {
    // SAFETY: the caller's promise about `path`.
    let path = unsafe { Input::path(path) };
    let request = door::Request::simple(mask, flags, callback, user_data);
    door::int64(watcher, |w| w.watch(&path?, request?))
}

/// Watches a path as inotify_watcher_watch() does, with what does not fit into its arguments:
/// a release function for the user data, a progress function, a filter for directories and a list of
/// patterns of directories that are left out. A second call for the same watch changes mask and flags
/// alone: release function, filter and patterns stay those of the first.
///
/// Returns what inotify_watcher_watch() returns, and -EINVAL (an empty pattern), -E2BIG (options of a
/// newer version) or -ECANCELED (the progress function gave up). Any thread. Since 0.1.
///
/// # Safety
/// As inotify_watcher_watch(); `options` is NULL or points to a struct of at least the size it
/// states.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_watch_with(
    watcher: *mut inotify_watcher,
    path: *const c_char,
    options: *const inotify_watcher_watch_options,
) -> i64 {
    // SAFETY: the caller's promises about `path` and `options`.
    let (path, request) = unsafe { (Input::path(path), door::Request::parse(options)) };
    door::int64(watcher, |w| w.watch(&path?, request?))
}

/// Ends every watch whose root is `path` (as it was spelled; trailing slashes do not count). If
/// there is none, and `path` is a directory watched below some root, ends the watching of it and
/// all below it there, until it is deleted; its own entry in its parent is still reported. What a path
/// below a root leads to is known as of the newest event that was read: in a callback that can be some
/// events later than the one being told, if directories are renamed meanwhile.
///
/// After it returned on the reading thread no event of what it ended is delivered, not even one
/// already queued. Called from another thread, one callback may be running still. Returns 0, or
/// -ENOENT if nothing was watched, -EINVAL, -EBADF, -ENOTRECOVERABLE. What the kernel dropped by itself
/// is no error. A path that an event had is good however long it is. Any thread. Since 0.1.
///
/// # Safety
/// `watcher` is NULL or came from inotify_watcher_create(); `path` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_ignore(
    watcher: *mut inotify_watcher,
    path: *const c_char,
) -> c_int {
    // SAFETY: the caller's promise about `path`.
    let path = unsafe { Input::any_path(path) };
    door::int(watcher, |w| w.ignore(&path?))
}

/// Ends one watch by its id, as inotify_watcher_ignore() does. Other watches of the same path stay
/// whole. Returns 0, or -ENOENT if there is no such watch (any more), -EINVAL, -EBADF,
/// -ENOTRECOVERABLE. Any thread. Since 0.1.
///
/// # Safety
/// `watcher` is NULL or came from inotify_watcher_create().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_ignore_watch(
    watcher: *mut inotify_watcher,
    watch: i64,
) -> c_int {
    door::int(watcher, |w| w.ignore_watch(watch))
}

/// Is the path watched: as a root, or as a directory below one?
///
/// Returns 1 or 0, or -EINVAL, -EBADF, -ENOTRECOVERABLE. It compares spellings, of any length, and asks
/// the tables, not the file system. Any thread. Since 0.1.
///
/// # Safety
/// `watcher` is NULL or came from inotify_watcher_create(); `path` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_is_watched(
    watcher: *const inotify_watcher,
    path: *const c_char,
) -> c_int {
    // SAFETY: the caller's promise about `path`.
    let path = unsafe { Input::any_path(path) };
    door::int(watcher, |w| w.is_watched(&path?))
}

/// A barrier: returns when every change of the file system that was complete before the call has
/// been delivered, and the library has done what it had to do by then: new directories are watched
/// and what is in them is told, an overflow is dealt with, the kernel watches of what was ignored, moved
/// away or has ended are given back, and what a limit left out is tried again for that room. It calls the
/// callbacks, on this thread, and is not bounded as do_read is. It needs no file in the watched
/// trees and no permission there.
///
/// Returns 0, or -EBUSY (another thread reads, or this is inside a callback, or inside a filter or
/// progress function that inotify_watcher_watch_with() calls), -EAGAIN (stopped or paused, also by a
/// callback meanwhile), -EBADF (closed, also by a callback meanwhile), -EINVAL, -ENOTRECOVERABLE, or
/// what a system call said. Since 0.1.
///
/// # Safety
/// `watcher` is NULL or came from inotify_watcher_create().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_sync(watcher: *mut inotify_watcher) -> c_int {
    door::int(watcher, |w| w.sync())
}

/// What failed last on the calling thread: code, step, path, limit and a sentence. `watcher` may be
/// NULL (after a failed inotify_watcher_create()); it does not restrict the answer.
///
/// Returns 0, or -EINVAL (`error` is NULL or its size too small). Never changes what it reports.
/// Since 0.1.
///
/// # Safety
/// `error` is NULL or points to a struct of at least the size it states.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_last_error(
    watcher: *const inotify_watcher,
    error: *mut inotify_watcher_error,
) -> c_int {
    let _ = watcher;
    // SAFETY: the caller's promise, passed on.
    unsafe { report::last_error(error) }
}

/// Writes the words of a mask's bits, joined by '|', as "create|is_dir", in the order of the bits;
/// bits without a name come last as one hexadecimal number. Counts as snprintf(3) does: at most
/// `size` bytes are written, a NUL included, and the length needed without it is returned.
/// `buffer` may be NULL if `size` is 0. Any thread. Since 0.1.
///
/// # Safety
/// `buffer` has room for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_mask_names(
    mask: u32,
    buffer: *mut c_char,
    size: usize,
) -> usize {
    // SAFETY: the caller's promise, passed on.
    unsafe { names::write(mask, buffer, size) }
}

/// Fills in the watcher's counters, as far as `stats->size` reaches. They are of one moment.
///
/// Returns 0, or -EINVAL (NULL or a size below 16), -EBADF, -ENOTRECOVERABLE. Any thread. Since 0.1.
///
/// # Safety
/// `watcher` is NULL or came from inotify_watcher_create(); `stats` is NULL or points to a struct of
/// at least the size it states.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_get_stats(
    watcher: *const inotify_watcher,
    stats: *mut inotify_watcher_stats,
) -> c_int {
    // SAFETY: the caller's promise, passed on.
    let out = unsafe { report::StructOut::parse(stats, "stats") };
    door::int(watcher, |w| {
        let out = out?;
        out.fill(w.stats()?);
        Ok(0)
    })
}

/// Shows every watchpoint of every watch to `visitor`, as they stood at the call, in no particular
/// order. It takes a copy first: time and memory grow with their number.
///
/// Returns 0, or what the visitor returned if that was not 0, or -EINVAL, -EBADF, -ENOMEM,
/// -ENOTRECOVERABLE. Any thread; the visitor may call every function. Since 0.1.
///
/// # Safety
/// `watcher` is NULL or came from inotify_watcher_create(); `user_data` is valid for `visitor`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_for_each_watchpoint(
    watcher: *const inotify_watcher,
    visitor: inotify_watcher_visitor,
    user_data: *mut c_void,
) -> c_int {
    door::int(watcher, |w| report::for_each(w, visitor, user_data))
}

/// What a watch sees of its tree: all of it, not all, or is it out of step since an overflow? Fills in
/// as far as `status->size` reaches.
///
/// It is of the moment of the call; changes are told as events with RINOTIFY_EVENT_COVERAGE. While a
/// new directory is being scanned, that alone makes the coverage no less; one that was not covered
/// counts until all that it has is told.
///
/// Returns 0, or -ENOENT (no such watch, or it has ended), -EINVAL (NULL or a size below 16), -EBADF,
/// -ENOTRECOVERABLE. Any thread. Since 0.1.
///
/// # Safety
/// `watcher` is NULL or came from inotify_watcher_create(); `status` is NULL or points to a struct of
/// at least the size it states.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_get_status(
    watcher: *const inotify_watcher,
    watch: i64,
    status: *mut inotify_watcher_status,
) -> c_int {
    // SAFETY: the caller's promise, passed on.
    let out = unsafe { report::StructOut::parse(status, "status") };
    door::int(watcher, |w| {
        let out = out?;
        out.fill(w.status(watch)?);
        Ok(0)
    })
}

/// Shows every directory that is not covered to `visitor`: of one watch, or of all if `watch` is 0,
/// as they stood at the call, in no particular order. It takes a copy first.
///
/// A directory that could not be watched or listed is shown by itself. Of those that a limit left out
/// 65536 are remembered one by one in a watcher; beyond that their parents are shown, which are
/// listed again when there is room.
///
/// Returns 0, or what the visitor returned if that was not 0, or -ENOENT (no such watch), -EINVAL,
/// -EBADF, -ENOMEM, -ENOTRECOVERABLE. Any thread; the visitor may call every function. Since 0.1.
///
/// # Safety
/// `watcher` is NULL or came from inotify_watcher_create(); `user_data` is valid for `visitor`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_for_each_uncovered(
    watcher: *const inotify_watcher,
    watch: i64,
    visitor: inotify_watcher_uncovered_visitor,
    user_data: *mut c_void,
) -> c_int {
    door::int(watcher, |w| report::for_each_uncovered(w, watch, visitor, user_data))
}

/// Tries again everything that is not covered, of all watches, names that could not be followed
/// included: by the following do_reads, for which the descriptor becomes readable.
/// inotify_watcher_sync() waits for it.
///
/// It is needed for what the kernel does not tell: room under max_user_watches or for open files that
/// others made; a change of a directory on the path to the root that this process may not read, so
/// that it cannot watch it. The rest is tried again without it: a directory whose mode is in the way when
/// that changes, or that of one above; one below a root that was moved away when the root is back under
/// its path; one that a limit left out when this watcher gives a kernel watch back (a directory was
/// deleted, a watch ended). What becomes covered is told as a new directory would be: nothing of the
/// directory itself, which was told when it came, and what is in it as synthetic IN_CREATE if the
/// watch has RINOTIFY_WATCH_AUTO_ADD or RINOTIFY_WATCH_EMIT_EXISTING. What fails again for the same
/// reason is not told again.
///
/// Returns 0, or -EINVAL, -EBADF, -ENOTRECOVERABLE. Any thread. Since 0.1.
///
/// # Safety
/// `watcher` is NULL or came from inotify_watcher_create().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_retry(watcher: *mut inotify_watcher) -> c_int {
    door::int(watcher, |w| w.retry())
}

/// The version of the library that is linked, as "0.1.0". Static; never NULL. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn rinotify_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The version of the library that is linked, as major * 65536 + minor * 256 + patch. Any thread.
/// Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn rinotify_version_number() -> u32 {
    (RINOTIFY_VERSION_MAJOR << 16) | (RINOTIFY_VERSION_MINOR << 8) | RINOTIFY_VERSION_PATCH
}
