//! The program's functions behind the stream: `Outside`, in C.

use std::ffi::{CString, c_int, c_void};
use std::ptr::{self, null_mut};
use std::sync::atomic::{AtomicPtr, Ordering};

use super::reactor_abi::*;
use super::report::reason_text;
use super::stream_abi::*;
use crate::stream::fd::Fd;
use crate::stream::{Kind, Outside, Wrote};
use crate::sys::Errno;

/// What pauses a producer.
type PauseFunction = unsafe extern "C-unwind" fn(*mut c_void);

/// One of the program's producers.
#[derive(Clone, Copy)]
pub struct Producer(inotify_watcher_producer);

// SAFETY: as with `Program` below.
unsafe impl Send for Producer {}

impl Producer {
    /// One whose functions are all there.
    pub fn new(producer: inotify_watcher_producer, kind: Kind) -> Option<Self> {
        let whole = producer.resume_producing.is_some()
            && (kind == Kind::Pull || producer.pause_producing.is_some());
        whole.then_some(Self(producer))
    }

    /// Is this its context, and are its functions the library's own for a watcher?
    pub fn is_watcher(&self, watcher: *mut c_void, pause: PauseFunction) -> bool {
        let own = self.0.pause_producing.is_some_and(|its| ptr::fn_addr_eq(its, pause));
        own && self.0.context == watcher
    }

    /// Tells it that it is over.
    pub fn stop(self) {
        self.call(self.0.stop_producing);
    }

    fn call(self, function: inotify_watcher_producer_function) {
        if let Some(function) = function {
            // SAFETY: the program's function with the program's context, which it keeps valid while
            // the producer is registered.
            unsafe { function(self.0.context) };
        }
    }
}

/// The program's side of a stream.
pub struct Program {
    fd: Fd,
    reactor: Option<inotify_watcher_reactor>,
    prefix: CString,
    write: inotify_watcher_stream_write_function,
    connection_lost: inotify_watcher_stream_connection_lost,
    formatter: inotify_watcher_stream_formatter,
    log: inotify_watcher_log,
    user_data: *mut c_void,
    handle: AtomicPtr<inotify_watcher_stream>,
    /// For the reactor's code.
    slot: AtomicPtr<c_void>,
}

// SAFETY: the pointers are the program's own, handed back to it and never followed here; the
// program promises that its functions may be called on any thread that it calls the library on.
unsafe impl Send for Program {}
// SAFETY: as above; everything else in it is only read, or atomic.
unsafe impl Sync for Program {}

impl Program {
    /// The program's side, with its descriptor.
    pub fn new(
        fd: c_int,
        options: &inotify_watcher_stream_options,
        reactor: Option<inotify_watcher_reactor>,
        prefix: CString,
    ) -> Result<Self, Errno> {
        let close = options.flags & RINOTIFY_STREAM_CLOSE_FD != 0;
        let fd = match options.write {
            Some(_) => Fd::foreign(fd, close)?,
            None => Fd::new(fd, close, options.flags & RINOTIFY_STREAM_KEEP_FLAGS != 0)?,
        };
        Ok(Self {
            fd,
            reactor,
            prefix,
            write: options.write,
            connection_lost: options.connection_lost,
            formatter: options.formatter,
            log: options.log,
            user_data: options.user_data,
            handle: AtomicPtr::new(null_mut()),
            slot: AtomicPtr::new(null_mut()),
        })
    }

    /// What callbacks get as their stream.
    pub fn set_handle(&self, handle: *mut inotify_watcher_stream) {
        self.handle.store(handle, Ordering::Relaxed);
    }

    fn handle(&self) -> *mut inotify_watcher_stream {
        self.handle.load(Ordering::Relaxed)
    }

    /// The descriptor.
    pub fn fd(&self) -> &Fd {
        &self.fd
    }

    /// What events look like.
    pub fn formatter(&self) -> inotify_watcher_stream_formatter {
        self.formatter
    }

    /// What callbacks are handed.
    pub fn user_data(&self) -> *mut c_void {
        self.user_data
    }

    fn reactor(&self, function: inotify_watcher_reactor_writer) -> Result<(), Errno> {
        let (Some(function), Some(reactor)) = (function, &self.reactor) else {
            return Ok(());
        };
        // SAFETY: the program's function with the program's context, as it promised; the slot lives
        // as long as the stream.
        let result =
            unsafe { function(reactor.context, self.fd.raw(), self.handle(), self.slot.as_ptr()) };
        if result < 0 { Err(errno_of(result as isize)) } else { Ok(()) }
    }
}

/// The errno value that a function of the program returned, negative; EINVAL if it is none.
fn errno_of(result: isize) -> Errno {
    let known = (-4095..0).contains(&result);
    Errno(if known { -result as c_int } else { libc::EINVAL })
}

impl Outside for Program {
    type Producer = Producer;

    fn write(&self, slices: &[&[u8]]) -> Wrote {
        let Some(write) = self.write else {
            return self.fd.write(slices);
        };
        let Some(slice) = slices.first() else {
            return Wrote::Some(0);
        };
        let data = slice.as_ptr().cast();
        // SAFETY: the program's function; the bytes stay where they are until it returns.
        let result =
            unsafe { write(self.handle(), self.fd.raw(), data, slice.len(), self.user_data) };
        match usize::try_from(result) {
            Ok(0) => Wrote::Blocked,
            Ok(count) if count <= slice.len() => Wrote::Some(count),
            Ok(_) => Wrote::Failed(Errno(libc::EINVAL)),
            Err(_) => match errno_of(result) {
                Errno(libc::EAGAIN) => Wrote::Blocked,
                Errno(libc::EINTR) => Wrote::Interrupted,
                errno => Wrote::Failed(errno),
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

    fn pause(&self, producer: Producer) {
        producer.call(producer.0.pause_producing);
    }

    fn resume(&self, producer: Producer) {
        producer.call(producer.0.resume_producing);
    }

    fn stop(&self, producer: Producer) {
        producer.stop();
    }

    fn report(&self, reason: i32, unsent: usize) {
        let (Some(log), true) = (self.log, reason != 0 && reason != libc::ECANCELED) else {
            return;
        };
        let why = reason_text(Errno(reason));
        let message = CString::new(format!("connection lost: {why}, {unsent} bytes unsent"));
        if let Ok(message) = message {
            let (prefix, message) = (self.prefix.as_ptr(), message.as_ptr());
            // SAFETY: the program's function; both strings live until it returns.
            unsafe { log(RINOTIFY_LOG_WARNING, prefix, message, self.user_data) };
        }
    }

    fn lost(&self, reason: i32) {
        if let Some(connection_lost) = self.connection_lost {
            // SAFETY: the program's function with its data.
            unsafe { connection_lost(self.handle(), reason, self.user_data) };
        }
    }
}
