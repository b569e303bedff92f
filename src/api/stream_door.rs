//! The door of the stream: handles, options, results.

use std::collections::VecDeque;
use std::ffi::{c_int, c_void};
use std::marker::PhantomData;
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::door::{Sized as SizeLed, Zeroed, guarded, quiet_panics};
use super::reactor_abi::*;
use super::report::{Outcome, failure, remember, stated_size, write_front};
use super::stream_abi::*;
use super::stream_options::Asked;
use super::stream_program::{Producer, Program};
use crate::stream::{Kind, Status, Stream};
use crate::sys::{Errno, process_id};

const EINVAL: Errno = Errno(libc::EINVAL);

impl Zeroed for inotify_watcher_producer {}

/// What a handle points to: as with watchers, a slot that is never freed, and used again only after
/// many others.
#[derive(Default)]
struct Slot {
    stream: Mutex<Option<Arc<Handle>>>,
}

/// Slots that rest before the first of them is used again.
const RESTING: usize = 1024;

/// Longer than anybody holds one of the locks here.
const PATIENCE: Duration = Duration::from_secs(1);

static FREE: Mutex<VecDeque<&'static Slot>> = Mutex::new(VecDeque::new());

fn slot<'a>(handle: *const inotify_watcher_stream) -> Option<&'a Slot> {
    // SAFETY: every handle that `create` gave out points to a slot, and slots live for ever.
    unsafe { handle.cast::<Slot>().as_ref() }
}

/// A stream and what the interface keeps with it.
pub struct Handle {
    stream: Stream<Program>,
    poisoned: AtomicBool,
    process: i32,
    /// Where events are formatted: one thread has it at a time, the others have their own.
    pub scratch: Mutex<Vec<u8>>,
}

impl Handle {
    /// -EBADF once the connection is lost.
    pub fn check(&self) -> Result<(), Errno> {
        self.run(|stream| stream.check())
    }

    /// Runs `body` on the stream. A panic stays inside and breaks the stream.
    pub fn run<T>(
        &self,
        body: impl FnOnce(&Stream<Program>) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        const BROKEN: Errno = Errno(libc::ENOTRECOVERABLE);
        if self.poisoned.load(Ordering::Acquire) {
            return Err(BROKEN);
        }
        guarded(|| body(&self.stream)).unwrap_or_else(|_| {
            self.poisoned.store(true, Ordering::Release);
            Err(BROKEN)
        })
    }
}

/// A share of the stream, so that it lives as long as the call.
#[inline(never)]
pub fn find(stream: *const inotify_watcher_stream) -> Result<Arc<Handle>, Errno> {
    let slot = slot(stream).ok_or(EINVAL)?;
    slot.stream.lock().clone().ok_or(Errno(libc::EBADF))
}

/// Looks the handle up and runs `body`.
pub fn with<T>(
    stream: *const inotify_watcher_stream,
    body: impl FnOnce(&Stream<Program>) -> Result<T, Errno>,
) -> Result<T, Errno> {
    find(stream)?.run(body)
}

/// Remembers an error as that of a step, and gives what C gets for it.
#[cold]
#[inline(never)]
pub fn fail(errno: Errno, step: &'static str) -> c_int {
    -remember(&failure(errno.0, step))
}

/// A function that returns an int.
pub fn int<T: Into<c_int>>(
    stream: *const inotify_watcher_stream,
    step: &'static str,
    body: impl FnOnce(&Stream<Program>) -> Result<T, Errno>,
) -> c_int {
    with(stream, body).map_or_else(|errno| fail(errno, step), Into::into)
}

/// A function that returns a number of bytes.
pub fn size(
    stream: *const inotify_watcher_stream,
    step: &'static str,
    body: impl FnOnce(&Stream<Program>) -> Result<usize, Errno>,
) -> isize {
    with(stream, body).map_or_else(|errno| fail(errno, step) as isize, |size| size as isize)
}

/// Makes a stream.
///
/// # Safety
/// `options` is NULL or points to a struct of at least the size it states, and so is its reactor;
/// its prefix is NULL or NUL-terminated.
pub unsafe fn create(
    fd: c_int,
    options: *const inotify_watcher_stream_options,
) -> *mut inotify_watcher_stream {
    quiet_panics();
    // SAFETY: the caller's promise.
    let asked = unsafe { Asked::parse(options) };
    let made = guarded(|| make(fd, asked?))
        .unwrap_or_else(|_| Err(failure(libc::ENOTRECOVERABLE, "internal error")));
    made.unwrap_or_else(|failure| {
        let errno = remember(&failure);
        // SAFETY: the location is valid for the life of the thread.
        unsafe { *libc::__errno_location() = errno };
        null_mut()
    })
}

fn make(fd: c_int, asked: Asked) -> Outcome<*mut inotify_watcher_stream> {
    let limits = asked.limits()?;
    let Asked { options, reactor, prefix } = asked;
    let program = Program::new(fd, &options, reactor, prefix);
    let program = program.map_err(|errno| failure(errno.0, "fd"))?;
    let slot = {
        let mut free = FREE.lock();
        if free.len() > RESTING { free.pop_front() } else { None }
    };
    let slot: &'static Slot = slot.unwrap_or_else(|| Box::leak(Box::default()));
    let handle = std::ptr::from_ref(slot).cast_mut().cast::<inotify_watcher_stream>();
    program.set_handle(handle);
    *slot.stream.lock() = Some(Arc::new(Handle {
        stream: Stream::new(program, limits, reactor.is_some()),
        poisoned: AtomicBool::new(false),
        process: process_id(),
        scratch: Mutex::default(),
    }));
    Ok(handle)
}

/// Releases a handle.
pub fn destroy(stream: *mut inotify_watcher_stream) {
    let Some(slot) = slot(stream) else { return };
    // In a forked child a thread that is no more may hold a lock for ever.
    let handle = slot.stream.try_lock_for(PATIENCE).and_then(|place| place.clone());
    let Some(handle) = handle else { return };
    let fd = handle.stream.outside().fd();
    if handle.process == process_id() {
        let ended = handle.run(|stream| {
            stream.destroy();
            Ok(())
        });
        if ended.is_err() {
            fd.close(false);
        }
    } else {
        // The reactor, the producer and the connection are the parent's.
        fd.close_copy();
    }
    // Only now: until it has ended, other threads may have to wait for what still runs. A callback
    // may have destroyed it meanwhile.
    let Some(mut place) = slot.stream.try_lock_for(PATIENCE) else { return };
    if place.as_ref().is_some_and(|found| Arc::ptr_eq(found, &handle)) {
        *place = None;
        drop(place);
        if let Some(mut free) = FREE.try_lock_for(PATIENCE) {
            free.push_back(slot);
        }
    }
}

/// Registers a producer. One that comes too late is told so.
pub fn register(
    stream: *mut inotify_watcher_stream,
    step: &'static str,
    producer: Result<(Producer, Kind), Errno>,
) -> c_int {
    let result = with(stream, |stream| {
        let (producer, kind) = producer?;
        stream.register_producer(producer, kind)
    });
    if let (Err(Errno(libc::EBADF)), Ok((producer, _))) = (result, producer) {
        producer.stop();
    }
    result.map_or_else(|errno| fail(errno, step), |()| 0)
}

/// The descriptor, while the connection is not lost.
pub fn fileno(stream: &Stream<Program>) -> Result<c_int, Errno> {
    stream.check().map(|()| stream.outside().fd().raw())
}

/// Bytes that come in.
///
/// # Safety
/// `data` is NULL or has `size` bytes, for 'a.
pub unsafe fn bytes<'a>(data: *const c_void, size: usize) -> Result<&'a [u8], Errno> {
    if size == 0 {
        return Ok(&[]);
    }
    if data.is_null() || isize::try_from(size).is_err() {
        return Err(EINVAL);
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(data.cast(), size) })
}

/// Pieces that come in, each as `bytes` wants it.
#[derive(Clone)]
pub struct Pieces<'a> {
    next: *const inotify_watcher_stream_piece,
    left: usize,
    life: PhantomData<&'a [u8]>,
}

impl Pieces<'_> {
    /// # Safety
    /// `next` is NULL or has `left` elements, each with its bytes, as long as the value lives.
    pub unsafe fn parse(
        next: *const inotify_watcher_stream_piece,
        left: usize,
    ) -> Result<Self, Errno> {
        if next.is_null() && left > 0 {
            return Err(EINVAL);
        }
        let pieces = Self { next, left, life: PhantomData };
        let good = pieces.clone().all(|piece| piece.is_ok());
        if good { Ok(pieces) } else { Err(EINVAL) }
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Result<&'a [u8], Errno>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        // SAFETY: there was one element more.
        unsafe {
            let piece = self.next.read();
            self.next = self.next.add(1);
            Some(bytes(piece.data, piece.len))
        }
    }
}

/// A reason that comes in.
pub fn reason(reason: c_int) -> Result<c_int, Errno> {
    if reason < 0 { Err(EINVAL) } else { Ok(reason) }
}

/// A producer that comes in.
///
/// # Safety
/// `producer` is NULL or points to a struct of at least the size it states.
pub unsafe fn producer(
    producer: *const inotify_watcher_producer,
    streaming: c_int,
) -> Result<(Producer, Kind), Errno> {
    // SAFETY: the caller's promise.
    let producer = unsafe { SizeLed::read(producer, "producer") }.map_err(|f| f.errno)?;
    let producer: inotify_watcher_producer = producer.ok_or(EINVAL)?;
    let kind = match streaming {
        0 => Kind::Pull,
        1 => Kind::Push,
        _ => return Err(EINVAL),
    };
    Ok((Producer::new(producer, kind).ok_or(EINVAL)?, kind))
}

fn state(status: &Status) -> u32 {
    let streaming = matches!(status.producer, Some((Kind::Push, _)));
    [
        (status.connected, RINOTIFY_STREAM_CONNECTED),
        (status.disconnecting, RINOTIFY_STREAM_DISCONNECTING),
        (status.write_disconnecting, RINOTIFY_STREAM_WRITE_DISCONNECTING),
        (status.write_disconnected, RINOTIFY_STREAM_WRITE_DISCONNECTED),
        (status.wants_write, RINOTIFY_STREAM_WANTS_WRITE),
        (status.full, RINOTIFY_STREAM_FULL),
        (status.producer.is_some(), RINOTIFY_STREAM_PRODUCER),
        (streaming, RINOTIFY_STREAM_STREAMING_PRODUCER),
        (matches!(status.producer, Some((_, true))), RINOTIFY_STREAM_PRODUCER_PAUSED),
    ]
    .iter()
    .filter(|(set, _)| *set)
    .fold(0, |bits, (_, bit)| bits | bit)
}

/// Writes the statistics as far as the program's struct reaches.
///
/// # Safety
/// `to` is NULL or points to a struct of at least the size it states.
pub unsafe fn fill_stats(
    to: *mut inotify_watcher_stream_stats,
    status: &Status,
) -> Result<c_int, Errno> {
    if to.is_null() {
        return Err(EINVAL);
    }
    // SAFETY: not NULL, so the size is there.
    let size = unsafe { stated_size(to) };
    if size < 16 {
        return Err(EINVAL);
    }
    let counters = &status.counters;
    let stats = inotify_watcher_stream_stats {
        size,
        state: state(status),
        reserved: 0,
        buffered: status.buffered as u64,
        buffered_peak: counters.peak as u64,
        memory: status.memory as u64,
        accepted: counters.accepted,
        written: counters.written,
        writes: counters.writes,
        pauses: counters.pauses,
        resumes: counters.resumes,
    };
    // SAFETY: the program's struct has `size` bytes.
    unsafe { write_front(to, size, &stats) };
    Ok(0)
}
