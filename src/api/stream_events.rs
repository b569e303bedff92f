//! Events into a stream: the formatter, the callback, and the watcher as a producer.

use std::ffi::{c_char, c_int, c_void};
use std::mem::{offset_of, take};
use std::sync::Arc;

use super::abi::*;
use super::door as watcher_door;
use super::functions::{
    inotify_watcher_pause_producing, inotify_watcher_resume_producing,
    inotify_watcher_stop_producing, inotify_watcher_wants_read, inotify_watcher_watch_with,
};
use super::names;
use super::reactor_abi::inotify_watcher_producer;
use super::stream_abi::*;
use super::stream_door::{self as door, Handle};
use super::stream_program::{Producer, Program};
use crate::stream::{Kind, Stream, json};
use crate::sys::Errno;

/// Room for a usual line; a longer one is formatted twice, the first time.
const USUAL_LINE: usize = 1024;
/// More room than this is not kept from one event to the next.
const KEPT_LINE: usize = 64 * 1024;
/// How often a formatter may ask for more room for one event.
const TRIES: usize = 4;

/// Writes an event as one line of JSON: an object and a newline. Counts as snprintf(3) does: at most
/// `size` bytes are written, a NUL included, and the length needed without it is returned. `buffer`
/// may be NULL if `size` is 0.
///
/// The keys, in this order: "watch"; "mask", an array of the words of inotify_watcher_mask_names()
/// without is_dir; "is_dir", a boolean; "cookie", "flags" (an array of "synthetic", "error",
/// "rescan_begin", "rescan_end", "coverage", "root"), "error", a number, and "coverage" ("complete",
/// "partial" or "out_of_step"), unless they are 0; "path"; "old_path", if there is one. Bits without a
/// word are one hexadecimal number, as a string, at the end of their array. A path that is valid
/// UTF-8 is a string with every control character (and U+2028, U+2029) escaped. One that is not has
/// U+FFFD in place of what cannot be shown, and is followed by the same key with "_b64" added, which
/// has all of its bytes in base64 (RFC 4648, padded).
///
/// Returns 0 if `event` is NULL or smaller than the first version of it. Any thread. Since 0.1.
///
/// # Safety
/// `event` is NULL or points to an event as a callback gets it; `buffer` has room for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_format_json(
    event: *const inotify_watcher_event,
    buffer: *mut c_char,
    size: usize,
) -> usize {
    // SAFETY: the caller's promises.
    unsafe {
        let mut text = Text { buffer: buffer.cast(), room: size.saturating_sub(1), needed: 0 };
        if let Some(event) = parse(event) {
            json::line(&event, &names::WORDS, &mut text);
        }
        if size > 0 && !buffer.is_null() {
            *buffer.add(text.needed.min(size - 1)) = 0;
        }
        text.needed
    }
}

/// An inotify_watcher_callback whose user data is a stream: formats the event and writes it there.
/// The watch must end before the stream is destroyed; inotify_watcher_stream_watch() needs no such
/// care. `watcher` is not used.
///
/// If the bytes cannot be kept (-ENOBUFS, -ENOMEM) the connection is ended with that reason: its
/// other end sees the end, never a gap. On a lost connection it does nothing. Since 0.1.
///
/// # Safety
/// `event` is what a callback gets; `stream` is NULL or came from inotify_watcher_stream_create().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_stream_callback(
    watcher: *mut inotify_watcher,
    event: *const inotify_watcher_event,
    stream: *mut c_void,
) {
    let _ = watcher;
    if let Ok(handle) = door::find(stream.cast()) {
        // SAFETY: the caller's promise about `event`.
        unsafe { deliver(&handle, event) };
    }
}

/// Watches a path as inotify_watcher_watch() does, with every event written into the stream. The
/// watch may outlive the stream: then its events go nowhere. Each call makes a watch of its own.
///
/// Returns what inotify_watcher_watch() returns, for `watcher`; -EBADF also if the stream is lost.
/// Any thread. Since 0.1.
///
/// # Safety
/// `stream` is NULL or came from inotify_watcher_stream_create(); `watcher` and `path` are as
/// inotify_watcher_watch() wants them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_stream_watch(
    stream: *mut inotify_watcher_stream,
    watcher: *mut inotify_watcher,
    path: *const c_char,
    mask: u32,
    flags: u32,
) -> i64 {
    let handle = match door::find(stream).and_then(|handle| handle.check().map(|()| handle)) {
        Ok(handle) => handle,
        Err(errno) => return door::fail(errno, "watch").into(),
    };
    let options = inotify_watcher_watch_options {
        size: size_of::<inotify_watcher_watch_options>(),
        mask,
        flags,
        callback: Some(deliver_to_share),
        user_data: Box::into_raw(Box::new(handle)).cast(),
        release: Some(release_share),
        progress: None,
        filter: None,
        excludes: std::ptr::null(),
    };
    // SAFETY: the caller's promises about `watcher` and `path`; the options are whole.
    let watch = unsafe { inotify_watcher_watch_with(watcher, path, &raw const options) };
    if watch < 0 {
        // SAFETY: a watch call that failed has not released the user data, which is ours.
        unsafe { release_share(options.user_data) };
    }
    watch
}

/// Registers a watcher as the stream's streaming producer: while the buffer is full the watcher is
/// paused, and the kernel's queue holds what happens; when it is drained the watcher is resumed; when
/// the connection is lost the watcher is stopped (inotify_watcher_stop_producing()). So a reader at
/// the other end that is slow, or stops reading, costs the program a bounded amount of memory, and
/// loses nothing but what overflows the queue, which is told in its place.
///
/// Its events come into the stream by inotify_watcher_stream_watch(), or by
/// inotify_watcher_stream_callback(), or from the program's own callback. The watcher should write
/// into this stream alone: it is paused as a whole. When it ends, destroyed or its connection lost, it
/// is unregistered by that, before connection_lost is called.
///
/// Returns what inotify_watcher_stream_register_producer() returns; or for `watcher` -EINVAL (NULL),
/// -EBADF (closed), -ENOTRECOVERABLE (an internal error before), and then nothing was registered or
/// stopped. Any thread. Since 0.1.
///
/// # Safety
/// `stream` is NULL or came from inotify_watcher_stream_create(); `watcher` is NULL or came from
/// inotify_watcher_create().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_stream_register_watcher(
    stream: *mut inotify_watcher_stream,
    watcher: *mut inotify_watcher,
) -> c_int {
    // SAFETY: the caller's promise.
    let usable = unsafe { inotify_watcher_wants_read(watcher) };
    if usable < 0 {
        return usable;
    }
    let producer = inotify_watcher_producer {
        size: size_of::<inotify_watcher_producer>(),
        context: watcher.cast(),
        pause_producing: Some(pause_watcher),
        resume_producing: Some(resume_watcher),
        stop_producing: Some(stop_watcher),
    };
    let producer = Producer::new(producer, Kind::Push).ok_or(Errno(libc::EINVAL));
    let producer = producer.map(|producer| (producer, Kind::Push));
    let result = door::register(stream, "register_watcher", producer);
    if result == 0
        && let Ok(handle) = door::find(stream)
    {
        let share = Arc::downgrade(&handle);
        let noted = watcher_door::with(watcher, |watcher| watcher.feeds(share));
        if !noted.is_ok_and(|noted| noted) {
            // It has ended meanwhile.
            forget_watcher(&handle, watcher);
        }
    }
    result
}

/// A watcher has ended: if it is the producer of this stream, it is no longer.
pub fn forget_watcher(handle: &Handle, watcher: *mut inotify_watcher) {
    let is = |producer: &Producer| producer.is_watcher(watcher.cast(), pause_watcher);
    // A stream that is broken asks nothing of its producer any more.
    let _ = handle.run(|stream| Ok(stream.unregister_producer_if(is)));
}

unsafe extern "C-unwind" fn pause_watcher(watcher: *mut c_void) {
    // SAFETY: a watcher, as `register_watcher` was promised. One that is closed says so, and is quiet.
    unsafe { inotify_watcher_pause_producing(watcher.cast()) };
}

unsafe extern "C-unwind" fn resume_watcher(watcher: *mut c_void) {
    // SAFETY: as above.
    unsafe { inotify_watcher_resume_producing(watcher.cast()) };
}

unsafe extern "C-unwind" fn stop_watcher(watcher: *mut c_void) {
    // SAFETY: as above.
    unsafe { inotify_watcher_stop_producing(watcher.cast()) };
}

unsafe extern "C-unwind" fn deliver_to_share(
    _watcher: *mut inotify_watcher,
    event: *const inotify_watcher_event,
    share: *mut c_void,
) {
    // SAFETY: the share that `inotify_watcher_stream_watch` made, which is not released yet; the
    // event is of this callback.
    unsafe { deliver(&*share.cast::<Arc<Handle>>(), event) };
}

unsafe extern "C-unwind" fn release_share(share: *mut c_void) {
    // SAFETY: made by `inotify_watcher_stream_watch`, and released once.
    drop(unsafe { Box::from_raw(share.cast::<Arc<Handle>>()) });
}

/// Formats an event and writes it.
///
/// # Safety
/// `event` is what a callback gets.
unsafe fn deliver(handle: &Handle, event: *const inotify_watcher_event) {
    // What it cannot do ends the connection, where it is told. There is nobody to tell here.
    let _ = handle.run(|stream| {
        stream.check()?;
        let mut line = take(&mut *handle.scratch.lock());
        // SAFETY: the caller's promise.
        let written = unsafe { format(stream, event, &mut line) }
            .and_then(|len| stream.write([&line[..len]]));
        if line.len() <= KEPT_LINE {
            *handle.scratch.lock() = line;
        }
        if let Err(Errno(reason @ (libc::ENOBUFS | libc::ENOMEM | libc::EINVAL))) = written {
            stream.abort(reason);
        }
        written
    });
}

/// Formats an event into the front of `line`, which grows as needed. Returns the length.
///
/// # Safety
/// `event` is what a callback gets.
unsafe fn format(
    stream: &Stream<Program>,
    event: *const inotify_watcher_event,
    line: &mut Vec<u8>,
) -> Result<usize, Errno> {
    let program = stream.outside();
    grow(line, USUAL_LINE)?;
    for _ in 0..TRIES {
        let (buffer, size) = (line.as_mut_ptr().cast(), line.len());
        let needed = match program.formatter() {
            Some(formatter) => {
                // SAFETY: the program's function, for an event and a buffer that live until it
                // returns.
                let call = || unsafe { formatter(event, buffer, size, program.user_data()) };
                stream.callback(call)?
            }
            // SAFETY: an event and a buffer, as above.
            None => unsafe { inotify_watcher_format_json(event, buffer, size) },
        };
        if needed < size {
            return Ok(needed);
        }
        grow(line, needed.checked_add(1).ok_or(Errno(libc::EINVAL))?)?;
    }
    // It never gets enough.
    Err(Errno(libc::EINVAL))
}

/// At least `len` bytes, all of them initialised.
fn grow(line: &mut Vec<u8>, len: usize) -> Result<(), Errno> {
    if line.len() < len {
        line.try_reserve(len - line.len()).map_err(|_| Errno(libc::ENOMEM))?;
        line.resize(len, 0);
    }
    Ok(())
}

/// A C buffer, as snprintf(3) fills it.
struct Text {
    buffer: *mut u8,
    room: usize,
    needed: usize,
}

impl json::Sink for Text {
    fn put(&mut self, bytes: &[u8]) {
        let len = bytes.len().min(self.room.saturating_sub(self.needed));
        if len > 0 && !self.buffer.is_null() {
            // SAFETY: `needed + len <= room`, for which the caller of format_json promised room.
            unsafe { self.buffer.add(self.needed).copy_from_nonoverlapping(bytes.as_ptr(), len) };
        }
        self.needed += bytes.len();
    }
}

/// The event as the formatter wants it.
///
/// # Safety
/// `event` is NULL or what a callback gets, valid for 'a.
unsafe fn parse<'a>(event: *const inotify_watcher_event) -> Option<json::Event<'a>> {
    let first = offset_of!(inotify_watcher_event, reserved) + size_of::<u32>();
    // SAFETY: not NULL, and large enough by its own word: so all of its fields are there, and its
    // strings have their lengths.
    unsafe {
        if event.is_null() || (*event).size < first {
            return None;
        }
        let event = &*event;
        let bytes = |text: *const c_char, len| {
            (!text.is_null()).then(|| std::slice::from_raw_parts(text.cast(), len))
        };
        Some(json::Event {
            watch: event.watch,
            mask: event.mask,
            cookie: event.cookie,
            flags: event.flags,
            error: event.error,
            coverage: event.coverage,
            path: bytes(event.path, event.path_len),
            old_path: bytes(event.old_path, event.old_path_len),
        })
    }
}
