//! What C sees of the program's loop, of producers and of endings: shared by watchers and streams.

#![expect(non_camel_case_types, reason = "the names are those of the C interface")]

use std::ffi::{c_char, c_int, c_void};

use super::abi::inotify_watcher;
use super::stream_abi::inotify_watcher_stream;

/// Puts the descriptor of a watcher into the program's loop, or takes it out again.
///
/// Added, the loop calls inotify_watcher_do_read(watcher) whenever `fd` is readable. `slot` points to
/// a pointer of the library's that is NULL at first and belongs to the loop's code: whatever it has
/// to find again for this descriptor goes there. The library never adds twice or removes what it has
/// not added, and removes before it closes the descriptor; the last call for a watcher is a removal,
/// after which the slot is gone. It runs on the thread that called into the library, with no lock
/// held, one call at a time for one watcher; it may call every function on it.
///
/// Returns 0, or a negative errno: a watcher that cannot be added reports it from
/// inotify_watcher_start_reading(). What a removal returns does not matter. Since 0.1.
pub type inotify_watcher_reactor_reader = Option<
    unsafe extern "C-unwind" fn(
        context: *mut c_void,
        fd: c_int,
        watcher: *mut inotify_watcher,
        slot: *mut *mut c_void,
    ) -> c_int,
>;

/// Puts the descriptor of a stream into the program's loop, or takes it out again.
///
/// Added, the loop calls inotify_watcher_stream_do_write(stream) whenever `fd` is writable, has an
/// error or was hung up. All else is as with inotify_watcher_reactor_reader; the slot is the
/// stream's own. The same descriptor may be in the loop for reading on the program's account: a loop
/// that can hold it only once (epoll) needs a dup(2) of it for one of them.
///
/// Returns 0, or a negative errno. -EPERM says that this kind of descriptor cannot be watched, as
/// epoll says of a regular file: it is always ready, so the stream writes to it at once, from
/// whichever function puts bytes into it. Any other failure ends the connection with that reason.
/// Since 0.1.
pub type inotify_watcher_reactor_writer = Option<
    unsafe extern "C-unwind" fn(
        context: *mut c_void,
        fd: c_int,
        stream: *mut inotify_watcher_stream,
        slot: *mut *mut c_void,
    ) -> c_int,
>;

/// The program's loop, as the library drives it. Set `size` and zero the rest first. It is copied;
/// `context` must outlive the watchers and streams that it was given to. It grows as
/// inotify_watcher_options does.
///
/// With a loop that is not thread-safe, as most are not, call the library on the loop's thread only.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct inotify_watcher_reactor {
    /// sizeof(inotify_watcher_reactor).
    pub size: usize,
    /// Handed to the functions as it is.
    pub context: *mut c_void,
    /// Watches for reading; needed by a watcher, with `remove_reader`.
    pub add_reader: inotify_watcher_reactor_reader,
    /// Ends that.
    pub remove_reader: inotify_watcher_reactor_reader,
    /// Watches for room to write; needed by a stream, with `remove_writer`.
    pub add_writer: inotify_watcher_reactor_writer,
    /// Ends that.
    pub remove_writer: inotify_watcher_reactor_writer,
}

/// One of the functions of a producer. No lock is held; it may call every function on the stream.
pub type inotify_watcher_producer_function =
    Option<unsafe extern "C-unwind" fn(context: *mut c_void)>;

/// Something that writes into a stream, and how it is held back. Set `size` and zero the rest
/// first. It is copied; `context` must be valid until `stop_producing` was called or
/// inotify_watcher_stream_unregister_producer() has returned. It grows as inotify_watcher_options
/// does.
///
/// The functions run one at a time, in the order of what they tell, on whichever thread called into
/// the library.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct inotify_watcher_producer {
    /// sizeof(inotify_watcher_producer).
    pub size: usize,
    /// Handed to the functions as it is.
    pub context: *mut c_void,
    /// Write no more for now. Needed by a push producer; a pull producer is never paused.
    pub pause_producing: inotify_watcher_producer_function,
    /// Push: go on. Pull: write the next piece, now or later, or unregister. Never NULL.
    pub resume_producing: inotify_watcher_producer_function,
    /// It is over: the connection was lost, or its writing half was closed. The producer is not
    /// registered any more. NULL, or called at most once.
    pub stop_producing: inotify_watcher_producer_function,
}

/// Called once when a watcher is closed, with the reason: 0 if it was asked for
/// (inotify_watcher_lose_connection(), the end of a root with
/// RINOTIFY_LOSE_CONNECTION_ON_DELETE_SELF), else a positive errno. The descriptor is closed
/// already. It may call every function, inotify_watcher_destroy() included. No lock is held. Since
/// 0.1.
pub type inotify_watcher_connection_lost = Option<
    unsafe extern "C-unwind" fn(
        watcher: *mut inotify_watcher,
        reason: c_int,
        user_data: *mut c_void,
    ),
>;

/// RINOTIFY_LOG_* level of something that does not work and will not by itself. The levels are
/// those of syslog(3).
pub const RINOTIFY_LOG_ERROR: u32 = 3;
/// Level of something that is not whole: a directory that is not watched, an overflow, a connection
/// that broke.
pub const RINOTIFY_LOG_WARNING: u32 = 4;
/// Level of something worth knowing.
pub const RINOTIFY_LOG_INFO: u32 = 6;

/// Takes one line for an operator, without a newline. The strings are valid until it returns;
/// control characters in names are escaped. `level` is a RINOTIFY_LOG_* value. No lock is held; it
/// may call every function. Nothing else is ever printed by the library. Since 0.1.
pub type inotify_watcher_log = Option<
    unsafe extern "C-unwind" fn(
        level: u32,
        prefix: *const c_char,
        message: *const c_char,
        user_data: *mut c_void,
    ),
>;
