//! The functions of the stream: each parses its pointers at the door and calls the stream.

use std::ffi::{c_int, c_void};

use super::reactor_abi::inotify_watcher_producer;
use super::stream_abi::*;
use super::stream_door::{self as door, Pieces};

/// Makes a stream: a buffered, non-blocking writer over `fd`, which may be a pipe, a socket, a
/// file, a terminal or a device. NULL options mean the defaults.
///
/// Bytes that are written are kept until the descriptor takes them: the program's loop calls
/// inotify_watcher_stream_do_write() when the descriptor is writable, as the reactor is told or
/// inotify_watcher_stream_wants_write() says. On a datagram socket the bounds of the writes are not
/// those of the datagrams. SIGPIPE is never raised by it, nor is the thread's signal mask changed.
///
/// The descriptor must stay open until the connection is lost, which closes it if
/// RINOTIFY_STREAM_CLOSE_FD is given; if this call fails it is the caller's still. Returns the
/// stream, to be released with inotify_watcher_stream_destroy(), or NULL with errno: EBADF (not
/// open, or not for writing), EINVAL (an unknown flag; a size that contradicts another; a reactor
/// without its functions), E2BIG (options of a newer version), ENOMEM. Any thread. Since 0.1.
///
/// # Safety
/// `options` is NULL or points to a struct of at least the size it states, with pointers that are
/// NULL or what they say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_stream_create(
    fd: c_int,
    options: *const inotify_watcher_stream_options,
) -> *mut inotify_watcher_stream {
    // SAFETY: the caller's promise, passed on.
    unsafe { door::create(fd, options) }
}

/// Releases a stream. NULL is a no-op.
///
/// If the connection is not lost yet it is now, with the reason ECANCELED: what waits is dropped, the
/// producer stopped, the reactor told, the descriptor let go, connection_lost called. All of this
/// has happened when it returns, also inside a callback of the stream, and nothing of the stream is
/// called any more; from another thread it waits for the callback that is running. A handle that
/// was destroyed is refused by every function (-EBADF) for some time, but using one is an error of
/// the program. In a child made by fork() it is the only legal call: it closes the child's copy of a
/// descriptor that the stream owns and calls nothing. Any thread. Since 0.1.
///
/// # Safety
/// `stream` is NULL or came from inotify_watcher_stream_create().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_stream_destroy(stream: *mut inotify_watcher_stream) {
    door::destroy(stream);
}

/// The descriptor to poll for writing, while inotify_watcher_stream_wants_write() says so.
///
/// Returns the descriptor, or -1 if the stream is NULL or lost, or has none. Any thread. Since 0.1.
///
/// # Safety
/// `stream` is NULL or came from inotify_watcher_stream_create().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_stream_fileno(
    stream: *const inotify_watcher_stream,
) -> c_int {
    door::with(stream, door::fileno).unwrap_or(-1)
}

/// Takes `size` bytes to be written, all of them or none. They are copied. Nothing is written yet,
/// unless the reactor cannot watch the descriptor. Bytes of several threads are not mixed: those of
/// one call stay together.
///
/// Returns 0, or 1 if more than the buffer size waits now: please pause. They are taken all the
/// same. A push producer that is registered is told to pause, and told again by each further write
/// while the buffer is full. Or returns a negative errno, and nothing was taken: -ENOBUFS (more than
/// max_buffer would wait), -ENOMEM, -EPIPE (the writing half is closed), -EBADF (the connection is
/// lost), -EINVAL (NULL), -ENOTRECOVERABLE (an internal error before). After
/// inotify_watcher_stream_lose_connection() bytes are taken until the connection is lost. Any
/// thread. Since 0.1.
///
/// # Safety
/// `stream` is NULL or came from inotify_watcher_stream_create(); `data` has `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_stream_write(
    stream: *mut inotify_watcher_stream,
    data: *const c_void,
    size: usize,
) -> c_int {
    // SAFETY: the caller's promise about `data`.
    let data = unsafe { door::bytes(data, size) };
    door::int(stream, "write", |s| s.write([data?]))
}

/// Takes the bytes of `count` pieces as one write of all of them.
///
/// Returns what inotify_watcher_stream_write() returns; -EINVAL also if the lengths overflow. Any
/// thread. Since 0.1.
///
/// # Safety
/// `stream` is NULL or came from inotify_watcher_stream_create(); `pieces` has `count` elements, and
/// each has its bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_stream_write_sequence(
    stream: *mut inotify_watcher_stream,
    pieces: *const inotify_watcher_stream_piece,
    count: usize,
) -> c_int {
    // SAFETY: the caller's promise about `pieces`.
    let pieces = unsafe { Pieces::parse(pieces, count) };
    door::int(stream, "write_sequence", |s| s.write(pieces?.flatten()))
}

/// Writes bytes past the buffer, at once: what the descriptor takes of them in one write. If
/// anything waits in the buffer nothing is written, so that no byte overtakes another.
///
/// Returns how many bytes were written, 0 if it is not possible now, or a negative errno: what
/// write(2) said, in which case the connection is not lost by it; or -EBUSY (inside the write
/// function, or another thread writes), -EPIPE, -EBADF, -EINVAL, -ENOTRECOVERABLE. Any thread.
/// Since 0.1.
///
/// # Safety
/// `stream` is NULL or came from inotify_watcher_stream_create(); `data` has `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_stream_write_some_data(
    stream: *mut inotify_watcher_stream,
    data: *const c_void,
    size: usize,
) -> isize {
    // SAFETY: the caller's promise about `data`.
    let data = unsafe { door::bytes(data, size) };
    door::size(stream, "write_some_data", |s| s.write_some_data(data?))
}

/// Writes what waits: one write(2) of at most the send limit. Never blocks, if the descriptor does
/// not. To be called when the descriptor is writable, and also when it has an error or was hung up;
/// calling it at other times does no harm.
///
/// When everything is written (or no more than resume_size waits), a paused push producer is
/// resumed and a pull producer asked for more; and the end is made that
/// inotify_watcher_stream_lose_connection() or inotify_watcher_stream_lose_write_connection() asked
/// for.
///
/// Returns 1 if something is left and the descriptor may take more: with an edge-triggered poll call
/// it until it returns 0. 0: nothing is left, or the descriptor takes no more now
/// (inotify_watcher_stream_wants_write() tells which). Or a negative errno: what write(2) said, and
/// the connection is lost; -EBUSY (inside the write function, or another thread is at it), -EBADF
/// (lost before), -EINVAL, -ENOTRECOVERABLE. One thread writes at a time. Source: write(2), send(2).
/// Since 0.1.
///
/// # Safety
/// `stream` is NULL or came from inotify_watcher_stream_create().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_stream_do_write(
    stream: *mut inotify_watcher_stream,
) -> c_int {
    door::int(stream, "do_write", |s| s.do_write())
}

/// Asks the loop to watch for room: the reactor's add_writer, if there is a reactor. A write does
/// this by itself; it is needed after inotify_watcher_stream_stop_writing() only. A second call is
/// a no-op.
///
/// Returns 0, or -EBADF (lost), -EINVAL, -ENOTRECOVERABLE. Any thread. Since 0.1.
///
/// # Safety
/// `stream` is NULL or came from inotify_watcher_stream_create().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_stream_start_writing(
    stream: *mut inotify_watcher_stream,
) -> c_int {
    door::int(stream, "start_writing", |s| s.start_writing().map(|()| 0))
}

/// Asks the loop not to watch for room any more, until the next write: the reactor's remove_writer.
/// What waits is kept. A second call is a no-op. Returns 0, or -EBADF (lost), -EINVAL,
/// -ENOTRECOVERABLE. Any thread. Since 0.1.
///
/// # Safety
/// `stream` is NULL or came from inotify_watcher_stream_create().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_stream_stop_writing(
    stream: *mut inotify_watcher_stream,
) -> c_int {
    door::int(stream, "stop_writing", |s| s.stop_writing().map(|()| 0))
}

/// Should the descriptor be polled for writing? For programs without a reactor: ask before each
/// poll.
///
/// Returns 1 or 0, or -EBADF (lost), -EINVAL, -ENOTRECOVERABLE. Any thread. Since 0.1.
///
/// # Safety
/// `stream` is NULL or came from inotify_watcher_stream_create().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_stream_wants_write(
    stream: *const inotify_watcher_stream,
) -> c_int {
    door::int(stream, "wants_write", |s| s.check().map(|()| s.status().wants_write))
}

/// Ends the connection when everything is written; at once if nothing waits. Then connection_lost is
/// called with 0. A pull producer is asked until it unregisters; a push producer is not waited for,
/// and stopped. A second call is a no-op. If the other end never reads, this never comes to an end:
/// see inotify_watcher_stream_abort().
///
/// Returns 0, or -EINVAL (NULL), -EBADF (destroyed), -ENOTRECOVERABLE. Inside a callback of the
/// stream the end comes after that callback has returned. Any thread. Since 0.1.
///
/// # Safety
/// `stream` is NULL or came from inotify_watcher_stream_create().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_stream_lose_connection(
    stream: *mut inotify_watcher_stream,
) -> c_int {
    door::int(stream, "lose_connection", |s| {
        s.lose_connection();
        Ok(0)
    })
}

/// Closes the writing half when everything is written; at once if nothing waits: the other end reads
/// the end of the data, and can still answer. A pull producer is asked until it unregisters; a push
/// producer is stopped. What is not a socket has no halves: its connection ends, as
/// inotify_watcher_stream_lose_connection() does it. A second call is a no-op.
///
/// Returns 0, or -EBADF (lost), -EINVAL, -ENOTRECOVERABLE. If shutdown(2) fails the connection is
/// lost with its errno. Any thread. Since 0.1.
///
/// # Safety
/// `stream` is NULL or came from inotify_watcher_stream_create().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_stream_lose_write_connection(
    stream: *mut inotify_watcher_stream,
) -> c_int {
    door::int(stream, "lose_write_connection", |s| s.lose_write_connection().map(|()| 0))
}

/// Ends the connection now, for `reason`: a positive errno, or 0. What waits is dropped. This is also
/// how a program says what it saw of the connection from its reading side: 0 for an end of file,
/// ECONNRESET, and so on. On a lost connection a no-op.
///
/// Returns 0, or -EINVAL (NULL, a negative reason), -EBADF (destroyed), -ENOTRECOVERABLE. Inside a
/// callback of the stream the end comes after that callback has returned. Any thread. Since 0.1.
///
/// # Safety
/// `stream` is NULL or came from inotify_watcher_stream_create().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_stream_abort(
    stream: *mut inotify_watcher_stream,
    reason: c_int,
) -> c_int {
    door::int(stream, "abort", |s| door::reason(reason).map(|reason| s.abort(reason)).map(|()| 0))
}

/// Registers a producer. `streaming` 1: a push producer, which writes when it likes and is paused
/// while the buffer is full. 0: a pull producer, whose resume_producing is called now, and again
/// each time that what it wrote is written; it writes a piece each time, or unregisters when it has
/// no more.
///
/// Returns 0, or -EBUSY (there is one already), -EPIPE (the writing half is closed), -EBADF (the
/// connection is lost or the stream destroyed, and stop_producing was called), -EINVAL (NULL, another `streaming`, a function
/// missing), -E2BIG, -ENOTRECOVERABLE. Any thread. Since 0.1.
///
/// # Safety
/// `stream` is NULL or came from inotify_watcher_stream_create(); `producer` is NULL or points to a
/// struct of at least the size it states.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_stream_register_producer(
    stream: *mut inotify_watcher_stream,
    producer: *const inotify_watcher_producer,
    streaming: c_int,
) -> c_int {
    // SAFETY: the caller's promise about `producer`.
    let producer = unsafe { door::producer(producer, streaming) };
    door::register(stream, "register_producer", producer)
}

/// Forgets the producer, without a word to it: one that is paused stays so. If the end was asked for
/// and only the producer was waited for, it comes now. After it returned no function of the producer
/// runs, except the one that this call was made in; from another thread it waits for it.
///
/// Returns 0 (also if there was none), or -EBADF (destroyed), -EINVAL, -ENOTRECOVERABLE. Any thread.
/// Since 0.1.
///
/// # Safety
/// `stream` is NULL or came from inotify_watcher_stream_create().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_stream_unregister_producer(
    stream: *mut inotify_watcher_stream,
) -> c_int {
    door::int(stream, "unregister_producer", |s| {
        s.unregister_producer();
        Ok(0)
    })
}

/// For a producer that has come to its end: inotify_watcher_stream_unregister_producer(), then
/// inotify_watcher_stream_lose_connection(). Returns what the latter returns. Any thread. Since 0.1.
///
/// # Safety
/// `stream` is NULL or came from inotify_watcher_stream_create().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_stream_stop_consuming(
    stream: *mut inotify_watcher_stream,
) -> c_int {
    door::int(stream, "stop_consuming", |s| {
        s.unregister_producer();
        s.lose_connection();
        Ok(0)
    })
}

/// Does more than the buffer size wait?
///
/// Returns 1 or 0, or -EBADF (lost), -EINVAL, -ENOTRECOVERABLE. Any thread. Since 0.1.
///
/// # Safety
/// `stream` is NULL or came from inotify_watcher_stream_create().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_stream_is_send_buffer_full(
    stream: *const inotify_watcher_stream,
) -> c_int {
    door::int(stream, "is_send_buffer_full", |s| s.check().map(|()| s.status().full))
}

/// How many bytes wait to be written: 0 also if the stream is NULL or lost. Any thread. Since 0.1.
///
/// # Safety
/// `stream` is NULL or came from inotify_watcher_stream_create().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_stream_buffered(
    stream: *const inotify_watcher_stream,
) -> usize {
    door::with(stream, |s| Ok(s.status().buffered)).unwrap_or(0)
}

/// Fills in the state and the counters of a stream, as far as `stats->size` reaches. They are of one
/// moment, and can be asked for after the connection was lost.
///
/// Returns 0, or -EINVAL (NULL or a size below 16), -EBADF (destroyed), -ENOTRECOVERABLE. Any
/// thread. Since 0.1.
///
/// # Safety
/// `stream` is NULL or came from inotify_watcher_stream_create(); `stats` is NULL or points to a
/// struct of at least the size it states.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_stream_get_stats(
    stream: *const inotify_watcher_stream,
    stats: *mut inotify_watcher_stream_stats,
) -> c_int {
    door::int(stream, "get_stats", |s| {
        // SAFETY: the caller's promise about `stats`.
        unsafe { door::fill_stats(stats, &s.status()) }
    })
}
