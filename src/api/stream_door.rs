//! The door of the stream: handles, options, and the program's functions behind `Outside`.

use std::ffi::{CStr, CString, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use parking_lot::Mutex;

use super::reactor_abi::*;
use super::stream_abi::*;
use crate::stream::fd::Fd;
use crate::stream::{Kind, Limits, Outside, Stream, Wrote};
use crate::sys::{Errno, process_id};

const EINVAL: Errno = Errno(libc::EINVAL);
/// No struct of ours comes near; a size beyond it is not one.
const LARGEST_STRUCT: usize = 4096;

/// What an `inotify_watcher_stream *` points to.
pub struct Handle {
    stream: Stream<Program>,
    poisoned: AtomicBool,
    process: i32,
    /// Where events are formatted: used by one thread at a time, the others have their own.
    pub scratch: Mutex<Vec<u8>>,
}

/// The program's side of a stream.
pub struct Program {
    fd: Fd,
    options: inotify_watcher_stream_options,
    reactor: Option<inotify_watcher_reactor>,
    prefix: CString,
    this: *mut inotify_watcher_stream,
    /// For the reactor's code.
    slot: AtomicPtr<c_void>,
}

// SAFETY: the pointers are the program's own, handed back to it and never followed here; the
// program promises that its functions may be called on any thread that it calls the library on.
unsafe impl Send for Program {}
// SAFETY: as above; everything else in it is only read, or atomic.
unsafe impl Sync for Program {}

impl Program {
    /// What events look like.
    pub fn formatter(&self) -> inotify_watcher_stream_formatter {
        self.options.formatter
    }

    /// What callbacks are handed.
    pub fn user_data(&self) -> *mut c_void {
        self.options.user_data
    }

    fn reactor(&self, function: inotify_watcher_reactor_writer) -> Result<(), Errno> {
        let (Some(function), Some(reactor)) = (function, &self.reactor) else { return Ok(()) };
        // SAFETY: the program's function with the program's context, as it promised; the slot lives
        // as long as the stream.
        let result =
            unsafe { function(reactor.context, self.fd.raw(), self.this, self.slot.as_ptr()) };
        if result < 0 { Err(Errno(-result)) } else { Ok(()) }
    }

    fn log(&self, level: u32, message: &str) {
        if let (Some(log), Ok(message)) = (self.options.log, CString::new(message)) {
            // SAFETY: the program's function; both strings live until it returns.
            unsafe { log(level, self.prefix.as_ptr(), message.as_ptr(), self.options.user_data) };
        }
    }
}

fn call(function: inotify_watcher_producer_function, producer: inotify_watcher_producer) {
    if let Some(function) = function {
        // SAFETY: the program's function with the program's context, which it keeps valid while the
        // producer is registered.
        unsafe { function(producer.context) };
    }
}

impl Outside for Program {
    type Producer = inotify_watcher_producer;

    fn write(&self, slices: &[&[u8]]) -> Wrote {
        let Some(write) = self.options.write else { return self.fd.write(slices) };
        let Some(slice) = slices.first() else { return Wrote::Some(0) };
        let data = slice.as_ptr().cast();
        // SAFETY: the program's function; the bytes stay where they are until it returns.
        let result =
            unsafe { write(self.this, self.fd.raw(), data, slice.len(), self.options.user_data) };
        match usize::try_from(result) {
            Ok(0) => Wrote::Blocked,
            Ok(count) if count <= slice.len() => Wrote::Some(count),
            Ok(_) => Wrote::Failed(EINVAL),
            Err(_) => match c_int::try_from(-result).unwrap_or(libc::EINVAL) {
                libc::EAGAIN => Wrote::Blocked,
                libc::EINTR => Wrote::Interrupted,
                errno => Wrote::Failed(Errno(errno)),
            },
        }
    }

    fn half_close(&self) -> Result<bool, Errno> {
        self.fd.half_close()
    }

    fn close(&self, reason: i32) {
        self.fd.close(reason == libc::EBADF);
    }

    fn add_writer(&self) -> Result<(), Errno> {
        self.reactor(self.reactor.and_then(|reactor| reactor.add_writer))
    }

    fn remove_writer(&self) {
        let _ = self.reactor(self.reactor.and_then(|reactor| reactor.remove_writer));
    }

    fn pause(&self, producer: inotify_watcher_producer) {
        call(producer.pause_producing, producer);
    }

    fn resume(&self, producer: inotify_watcher_producer) {
        call(producer.resume_producing, producer);
    }

    fn stop(&self, producer: inotify_watcher_producer) {
        call(producer.stop_producing, producer);
    }

    fn lost(&self, reason: i32, unsent: usize) {
        if reason != 0 && reason != libc::ECANCELED {
            let why = std::io::Error::from_raw_os_error(reason);
            let message = format!("connection lost: {why}, {unsent} bytes unsent");
            self.log(RINOTIFY_LOG_WARNING, &message);
        }
        if let Some(connection_lost) = self.options.connection_lost {
            // SAFETY: the program's function with its data.
            unsafe { connection_lost(self.this, reason, self.options.user_data) };
        }
    }
}

/// A struct that begins with its size and is valid when all of its bytes are 0.
///
/// # Safety
/// Just that, and no padding in between that could hold a field of a later version.
pub unsafe trait SizeLed: Copy {
    /// Bytes that the first version had.
    const FIRST: usize = size_of::<Self>();
}

// SAFETY: #[repr(C)], begins with `size`; integers, pointers and optional functions.
unsafe impl SizeLed for inotify_watcher_stream_options {}
// SAFETY: as above.
unsafe impl SizeLed for inotify_watcher_reactor {}
// SAFETY: as above.
unsafe impl SizeLed for inotify_watcher_producer {}
// SAFETY: as above.
unsafe impl SizeLed for inotify_watcher_stream_stats {
    const FIRST: usize = 16;
}

/// Reads a struct of whatever version the program was compiled with.
///
/// # Safety
/// `from` is NULL or points to as many bytes as the size there says.
pub unsafe fn parse<T: SizeLed>(from: *const T) -> Result<T, Errno> {
    if from.is_null() {
        return Err(EINVAL);
    }
    // SAFETY: the struct begins with its size.
    let size = unsafe { from.cast::<usize>().read_unaligned() };
    if !(size_of::<usize>() + 1..=LARGEST_STRUCT).contains(&size) {
        return Err(EINVAL);
    }
    // SAFETY: the caller promised `size` bytes.
    let bytes = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), size) };
    let (known, unknown) = bytes.split_at(size.min(size_of::<T>()));
    if unknown.iter().any(|byte| *byte != 0) {
        return Err(Errno(libc::E2BIG));
    }
    let mut value = std::mem::MaybeUninit::<T>::zeroed();
    // SAFETY: `known` fits into `value`; all-zero and what the program put there are valid for it.
    unsafe {
        std::ptr::copy_nonoverlapping(known.as_ptr(), value.as_mut_ptr().cast(), known.len());
        Ok(value.assume_init())
    }
}

/// Writes a struct as far as the program's version of it reaches.
///
/// # Safety
/// `to` is NULL or points to as many writable bytes as the size there says.
pub unsafe fn fill<T: SizeLed>(to: *mut T, value: &T) -> Result<(), Errno> {
    if to.is_null() {
        return Err(EINVAL);
    }
    // SAFETY: the struct begins with its size.
    let size = unsafe { to.cast::<usize>().read_unaligned() };
    if size < T::FIRST {
        return Err(EINVAL);
    }
    let (skip, count) = (size_of::<usize>(), size.min(size_of::<T>()) - size_of::<usize>());
    // SAFETY: both have `skip + count` bytes; `size` itself stays as the program set it.
    unsafe {
        let from = std::ptr::from_ref(value).cast::<u8>().add(skip);
        std::ptr::copy_nonoverlapping(from, to.cast::<u8>().add(skip), count);
    }
    Ok(())
}

fn limits(options: &inotify_watcher_stream_options) -> Result<Limits, Errno> {
    let or = |value: usize, default: usize| if value == 0 { default } else { value };
    let limits = Limits {
        buffer: or(options.buffer_size, 64 * 1024),
        resume: options.resume_size,
        most: or(options.max_buffer, usize::MAX),
        send: or(options.send_limit, 128 * 1024),
    };
    let fits = limits.resume <= limits.buffer && limits.most >= limits.buffer;
    if fits { Ok(limits) } else { Err(EINVAL) }
}

/// Makes a stream.
///
/// # Safety
/// `options` is NULL or as `parse` wants it; so is its reactor; its prefix is NULL or NUL-terminated.
pub unsafe fn create(
    fd: c_int,
    options: *const inotify_watcher_stream_options,
) -> Result<*mut inotify_watcher_stream, Errno> {
    let zeroed = std::mem::MaybeUninit::<inotify_watcher_stream_options>::zeroed();
    let options = if options.is_null() {
        // SAFETY: integers, pointers and optional functions may be all-zero.
        unsafe { zeroed.assume_init() }
    } else {
        // SAFETY: the caller's promise.
        unsafe { parse(options) }?
    };
    let known = RINOTIFY_STREAM_CLOSE_FD | RINOTIFY_STREAM_KEEP_FLAGS;
    if options.flags & !known != 0 || options.reserved != 0 {
        return Err(EINVAL);
    }
    let reactor = if options.reactor.is_null() {
        None
    } else {
        // SAFETY: the caller's promise.
        let reactor = unsafe { parse(options.reactor) }?;
        if reactor.add_writer.is_none() || reactor.remove_writer.is_none() {
            return Err(EINVAL);
        }
        Some(reactor)
    };
    let prefix = if options.log_prefix.is_null() {
        c"inotify_watcher_stream".into()
    } else {
        // SAFETY: the caller's promise.
        unsafe { CStr::from_ptr(options.log_prefix) }.into()
    };
    let limits = limits(&options)?;
    let close = options.flags & RINOTIFY_STREAM_CLOSE_FD != 0;
    let fd = match options.write {
        Some(_) => Fd::foreign(fd, close)?,
        None => Fd::new(fd, close, options.flags & RINOTIFY_STREAM_KEEP_FLAGS != 0)?,
    };
    let has_reactor = reactor.is_some();
    let handle = Arc::new_cyclic(|this| {
        let this = this.as_ptr().cast_mut().cast();
        let slot = AtomicPtr::new(null_mut());
        let program = Program { fd, options, reactor, prefix, this, slot };
        Handle {
            stream: Stream::new(program, limits, has_reactor),
            poisoned: AtomicBool::new(false),
            process: process_id(),
            scratch: Mutex::new(Vec::new()),
        }
    });
    Ok(Arc::into_raw(handle).cast_mut().cast())
}

/// A share of the stream, so that it lives as long as the call.
///
/// # Safety
/// `stream` is NULL or a stream that was not destroyed.
pub unsafe fn share(stream: *const inotify_watcher_stream) -> Option<Arc<Handle>> {
    let handle = stream.cast::<Handle>();
    if handle.is_null() {
        return None;
    }
    // SAFETY: `create` made it of an Arc, and `destroy` has not taken it back yet.
    unsafe {
        Arc::increment_strong_count(handle);
        Some(Arc::from_raw(handle))
    }
}

impl Handle {
    /// The stream itself, unless an internal error broke it.
    fn stream(&self) -> Result<&Stream<Program>, Errno> {
        if self.poisoned.load(Ordering::Acquire) {
            return Err(Errno(libc::ENOTRECOVERABLE));
        }
        Ok(&self.stream)
    }

    /// Runs `body` on the stream. A panic stays inside and breaks the stream.
    pub fn run<T>(
        &self,
        body: impl FnOnce(&Stream<Program>) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let stream = self.stream()?;
        catch_unwind(AssertUnwindSafe(|| body(stream))).unwrap_or_else(|_| {
            self.poisoned.store(true, Ordering::Release);
            Err(Errno(libc::ENOTRECOVERABLE))
        })
    }
}

/// Runs `body` on a stream.
///
/// # Safety
/// `stream` is NULL or a stream that was not destroyed.
pub unsafe fn with<T>(
    stream: *const inotify_watcher_stream,
    body: impl FnOnce(&Stream<Program>) -> Result<T, Errno>,
) -> Result<T, Errno> {
    // SAFETY: the caller's promise.
    let handle = unsafe { share(stream) }.ok_or(EINVAL)?;
    handle.run(body)
}

/// What C gets for a result: 0 or more, or -errno.
pub fn int(result: Result<impl Into<c_int>, Errno>) -> c_int {
    match result {
        Ok(value) => value.into(),
        Err(errno) => -errno.0,
    }
}

/// The descriptor, while it is connected.
pub fn fileno(stream: &Stream<Program>) -> Result<c_int, Errno> {
    stream.check().map(|()| stream.outside().fd.raw())
}

/// Ends a stream.
///
/// # Safety
/// `stream` is NULL or a stream that was not destroyed; it is from now on.
pub unsafe fn destroy(stream: *mut inotify_watcher_stream) {
    if stream.is_null() {
        return;
    }
    // SAFETY: `create` made it of an Arc; this share of it was the program's.
    let handle = unsafe { Arc::from_raw(stream.cast::<Handle>()) };
    if handle.process != process_id() {
        // A child made by fork(): the reactor, the producer and the lock are the parent's.
        handle.stream.outside().fd.close_copy();
        return;
    }
    let ended = handle.run(|stream| {
        stream.destroy();
        Ok(())
    });
    if ended.is_err() {
        handle.stream.outside().fd.close(false);
    }
}

/// Reads a producer.
///
/// # Safety
/// `producer` is as `parse` wants it.
pub unsafe fn producer(
    producer: *const inotify_watcher_producer,
    streaming: c_int,
) -> Result<(inotify_watcher_producer, Kind), Errno> {
    // SAFETY: the caller's promise.
    let producer = unsafe { parse(producer) }?;
    let kind = match streaming {
        0 => Kind::Pull,
        1 => Kind::Push,
        _ => return Err(EINVAL),
    };
    let missing = producer.resume_producing.is_none()
        || (kind == Kind::Push && producer.pause_producing.is_none());
    if missing { Err(EINVAL) } else { Ok((producer, kind)) }
}
