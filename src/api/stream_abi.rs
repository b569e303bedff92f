//! What C sees of a stream: constants, structs and callback types.

#![expect(non_camel_case_types, reason = "the names are those of the C interface")]

use std::ffi::{c_char, c_int, c_void};

use super::abi::inotify_watcher_event;
use super::reactor_abi::{inotify_watcher_log, inotify_watcher_reactor};

/// The stream owns its descriptor and closes it at the end. Since 0.1.
pub const RINOTIFY_STREAM_CLOSE_FD: u32 = 0x1;
/// Leave O_NONBLOCK as it is. Otherwise a pipe, a terminal or a device that could block is made
/// non-blocking, for everybody who shares its open file description, again before a write if one of
/// them has taken that back, and made as it was when the stream lets it go. Sockets need no flag and
/// keep theirs, whatever it is; regular files are always ready. Since 0.1.
pub const RINOTIFY_STREAM_KEEP_FLAGS: u32 = 0x2;

/// State bit: the connection is not lost.
pub const RINOTIFY_STREAM_CONNECTED: u32 = 0x1;
/// State bit: it will end when everything is written.
pub const RINOTIFY_STREAM_DISCONNECTING: u32 = 0x2;
/// State bit: its writing half will be closed when everything is written.
pub const RINOTIFY_STREAM_WRITE_DISCONNECTING: u32 = 0x4;
/// State bit: the writing half is closed.
pub const RINOTIFY_STREAM_WRITE_DISCONNECTED: u32 = 0x8;
/// State bit: it waits for room; inotify_watcher_stream_wants_write().
pub const RINOTIFY_STREAM_WANTS_WRITE: u32 = 0x10;
/// State bit: more waits than the buffer size; inotify_watcher_stream_is_send_buffer_full().
pub const RINOTIFY_STREAM_FULL: u32 = 0x20;
/// State bit: a producer is registered.
pub const RINOTIFY_STREAM_PRODUCER: u32 = 0x40;
/// State bit: it is a streaming (push) producer.
pub const RINOTIFY_STREAM_STREAMING_PRODUCER: u32 = 0x80;
/// State bit: it is paused.
pub const RINOTIFY_STREAM_PRODUCER_PAUSED: u32 = 0x100;

/// A stream: a buffered, non-blocking writer over one descriptor. Opaque; thread-safe.
///
/// Its callbacks run one at a time, in the order of what they tell; only the write function and the
/// formatter may run beside another one. Each runs on a thread that is inside a function of the
/// stream: the one whose call led to it, or one that is carrying out others already, in which case
/// the call that led to it may return before. None starts before the one that is running has
/// returned, so they do not nest, however long a chain they make.
pub struct inotify_watcher_stream {
    _private: [u8; 0],
}

/// Writes in place of write(2): at most `size` bytes of `data` (never 0) to `fd`, without blocking.
///
/// Returns how many it took; 0 or -EAGAIN if it can take none now, -EINTR to be called again, or
/// another negative errno, which ends the connection with that reason. It may call every function on
/// the stream; a nested inotify_watcher_stream_do_write() is -EBUSY, and the descriptor is not closed
/// before it has returned. No lock is held. Since 0.1.
pub type inotify_watcher_stream_write_function = Option<
    unsafe extern "C-unwind" fn(
        stream: *mut inotify_watcher_stream,
        fd: c_int,
        data: *const c_void,
        size: usize,
        user_data: *mut c_void,
    ) -> isize,
>;

/// Called exactly once when the connection is lost, after the producer was stopped, the reactor has
/// forgotten the descriptor, and it was closed if the stream owns it.
///
/// `reason` is 0 if the end was asked for and everything was written; else a positive errno: what
/// the write said (EPIPE, ECONNRESET, ENOSPC, EBADF, ...), what inotify_watcher_stream_abort() was
/// given, ECANCELED for inotify_watcher_stream_destroy(), ENOBUFS or ENOMEM if an event could not be
/// kept. It is the last callback of the stream; it may call every function,
/// inotify_watcher_stream_destroy() included. No lock is held. Since 0.1.
pub type inotify_watcher_stream_connection_lost = Option<
    unsafe extern "C-unwind" fn(
        stream: *mut inotify_watcher_stream,
        reason: c_int,
        user_data: *mut c_void,
    ),
>;

/// Writes an event as bytes into `buffer`, as snprintf(3) does: no more than `size` bytes, and it
/// returns how many bytes the event needs, without a NUL. If that is `size` or more it is called
/// again with more room. 0: this event is left out. SIZE_MAX: it cannot be done, which ends the
/// connection with EINVAL. No lock is held. Since 0.1.
pub type inotify_watcher_stream_formatter = Option<
    unsafe extern "C-unwind" fn(
        event: *const inotify_watcher_event,
        buffer: *mut c_char,
        size: usize,
        user_data: *mut c_void,
    ) -> usize,
>;

/// How a stream is made. Set `size` and zero the rest first. It grows as inotify_watcher_options
/// does.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct inotify_watcher_stream_options {
    /// sizeof(inotify_watcher_stream_options).
    pub size: usize,
    /// RINOTIFY_STREAM_CLOSE_FD, RINOTIFY_STREAM_KEEP_FLAGS.
    pub flags: u32,
    /// Reserved, 0.
    pub reserved: u32,
    /// More bytes than this waiting: the buffer is full and a push producer is paused. 0 for 65536.
    pub buffer_size: usize,
    /// Most bytes that one write(2) is given. 0 for 131072.
    pub send_limit: usize,
    /// No more bytes than this waiting: a paused producer is resumed, a pull producer asked. At most
    /// buffer_size. 0: when everything is written.
    pub resume_size: usize,
    /// Nothing is taken that would make more bytes wait than this (-ENOBUFS). At least buffer_size,
    /// and better that and the largest single write. 0: no limit; then what a producer writes after
    /// it was paused is taken as long as there is memory.
    pub max_buffer: usize,
    /// NULL: the program asks inotify_watcher_stream_wants_write() before it polls. Else the loop
    /// that is told. Copied.
    pub reactor: *const inotify_watcher_reactor,
    /// NULL, or in place of write(2). The descriptor may be -1 then, and keeps its flags.
    pub write: inotify_watcher_stream_write_function,
    /// NULL, or told of the end.
    pub connection_lost: inotify_watcher_stream_connection_lost,
    /// NULL for lines of JSON as inotify_watcher_format_json() makes them; or what events look like.
    pub formatter: inotify_watcher_stream_formatter,
    /// NULL, or takes a line when the connection breaks.
    pub log: inotify_watcher_log,
    /// Goes before the lines of the log. NULL for "inotify_watcher_stream". Copied.
    pub log_prefix: *const c_char,
    /// Handed to all of the above as it is.
    pub user_data: *mut c_void,
}

/// A piece of data for inotify_watcher_stream_write_sequence(). It is laid out as struct iovec of
/// writev(2) is.
#[repr(C)]
pub struct inotify_watcher_stream_piece {
    /// The bytes.
    pub data: *const c_void,
    /// How many.
    pub len: usize,
}

/// State and counters of a stream, from inotify_watcher_stream_get_stats(). Set `size` first.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct inotify_watcher_stream_stats {
    /// sizeof(inotify_watcher_stream_stats).
    pub size: usize,
    /// RINOTIFY_STREAM_CONNECTED and the bits after it.
    pub state: u32,
    /// Reserved, 0.
    pub reserved: u32,
    /// Bytes that wait to be written.
    pub buffered: u64,
    /// Most bytes that ever waited.
    pub buffered_peak: u64,
    /// Bytes of memory held for what waits.
    pub memory: u64,
    /// Bytes taken.
    pub accepted: u64,
    /// Bytes written.
    pub written: u64,
    /// Writes that took something.
    pub writes: u64,
    /// Times that a push producer was told to pause.
    pub pauses: u64,
    /// Times that a producer was told to resume, or a pull producer was asked.
    pub resumes: u64,
}

const _: () = {
    assert!(size_of::<inotify_watcher_stream_piece>() == size_of::<libc::iovec>());
    assert!(
        std::mem::offset_of!(inotify_watcher_stream_piece, len)
            == std::mem::offset_of!(libc::iovec, iov_len)
    );
};
