//! The descriptor that a stream writes to: no write blocks, none raises SIGPIPE.
#![expect(unsafe_code, reason = "system calls")]

use std::ffi::c_int;
use std::mem::{MaybeUninit, zeroed};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::{MOST_SLICES, Wrote};
use crate::sys::{Call, Errno, call, refused};

/// How a descriptor is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// sendmsg(2), whose flags say both: do not block, no signal.
    Socket,
    /// A regular file neither blocks for long nor raises the signal.
    File,
    /// A pipe, a terminal, whatever else.
    Other,
}

/// A descriptor for writing, or none (-1).
#[derive(Debug)]
pub struct Fd {
    raw: c_int,
    kind: Kind,
    close: bool,
    /// No write is to block, for which it takes O_NONBLOCK.
    nonblocking: bool,
    /// The flag was set here, and is to be taken away again.
    made_nonblocking: AtomicBool,
    /// It was let go.
    gone: AtomicBool,
}

impl Fd {
    /// No descriptor; or one that only a program's own function writes to, and that stays as it is.
    pub fn foreign(raw: c_int, close: bool) -> Result<Self, Errno> {
        if raw >= 0 {
            get_flags(raw)?;
        }
        let kind = if raw >= 0 { kind_of(raw)? } else { Kind::Other };
        Ok(Self::of(raw, kind, close))
    }

    /// One that is written here. Unless `keep_flags`, what could block is made non-blocking.
    pub fn new(raw: c_int, close: bool, keep_flags: bool) -> Result<Self, Errno> {
        let flags = get_flags(raw)?;
        if flags & libc::O_ACCMODE == libc::O_RDONLY || flags & libc::O_PATH != 0 {
            return Err(Errno(libc::EBADF));
        }
        let kind = kind_of(raw)?;
        let nonblocking = kind == Kind::Other && !keep_flags;
        let fd = Self { nonblocking, ..Self::of(raw, kind, close) };
        fd.make_nonblocking(flags)?;
        Ok(fd)
    }

    fn of(raw: c_int, kind: Kind, close: bool) -> Self {
        let (made_nonblocking, gone) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { raw, kind, close, nonblocking: false, made_nonblocking, gone }
    }

    fn make_nonblocking(&self, flags: c_int) -> Result<(), Errno> {
        if self.nonblocking && flags & libc::O_NONBLOCK == 0 {
            set_flags(self.raw, flags | libc::O_NONBLOCK)?;
            self.made_nonblocking.store(true, Relaxed);
        }
        Ok(())
    }

    /// Whoever shares the open file description may have taken the flag away since: another stream at
    /// its end, a shell that has its terminal back. A failure is for the write to find.
    fn stay_nonblocking(&self) {
        if self.nonblocking {
            let _ = get_flags(self.raw).and_then(|flags| self.make_nonblocking(flags));
        }
    }

    /// The number; -1 if there is none.
    pub fn raw(&self) -> c_int {
        self.raw
    }

    /// One write, of at most MOST_SLICES pieces.
    pub fn write(&self, slices: &[&[u8]]) -> Wrote {
        let mut vectors = [libc::iovec { iov_base: null_mut(), iov_len: 0 }; MOST_SLICES];
        let mut count = 0;
        for (vector, slice) in vectors.iter_mut().zip(slices) {
            // The kernel only reads there.
            *vector =
                libc::iovec { iov_base: slice.as_ptr().cast_mut().cast(), iov_len: slice.len() };
            count += 1;
        }
        let result = match self.kind {
            Kind::Socket => send(self.raw, &mut vectors[..count]),
            Kind::File => writev(self.raw, &vectors[..count]),
            Kind::Other => {
                self.stay_nonblocking();
                without_sigpipe(|| writev(self.raw, &vectors[..count]))
            }
        };
        match result {
            Ok(count) => Wrote::Some(count),
            Err(Errno(libc::EAGAIN)) => Wrote::Blocked,
            Err(Errno(libc::EINTR)) => Wrote::Interrupted,
            Err(errno) => Wrote::Failed(errno),
        }
    }

    /// Closes the writing half of a socket; false for anything else.
    pub fn half_close(&self) -> Result<bool, Errno> {
        if self.kind != Kind::Socket {
            return Ok(false);
        }
        // SAFETY: no memory is involved.
        call(Call::Shutdown, || unsafe { libc::shutdown(self.raw, libc::SHUT_WR) }).map(|_| true)
    }

    /// Lets it go: closes it if it is the stream's, else makes it what it was. Nobody may use it
    /// afterwards. `found_closed`: the number is not ours any more. A second call does nothing.
    pub fn close(&self, found_closed: bool) {
        if self.gone.swap(true, Relaxed) || self.raw < 0 || found_closed {
            return;
        }
        if self.close {
            // SAFETY: the stream owns the descriptor, and `gone` lets one caller through.
            unsafe { libc::close(self.raw) };
        } else if self.made_nonblocking.load(Relaxed) {
            // Others may have changed flags meanwhile. A failure leaves it as it is.
            let _ = get_flags(self.raw).and_then(|f| set_flags(self.raw, f & !libc::O_NONBLOCK));
        }
    }

    /// In a child made by fork(): closes the child's copy and changes nothing that is shared.
    pub fn close_copy(&self) {
        if self.close && self.raw >= 0 && !self.gone.swap(true, Relaxed) {
            // SAFETY: as in `close`.
            unsafe { libc::close(self.raw) };
        }
    }
}

/// A call that writes: one that was interrupted is for the caller to make again, or not.
fn written(which: Call, make: impl FnOnce() -> isize) -> Result<usize, Errno> {
    match refused(which) {
        Some(errno) => Err(errno),
        None => usize::try_from(make()).map_err(|_| Errno::last()),
    }
}

fn get_flags(fd: c_int) -> Result<c_int, Errno> {
    // SAFETY: no memory is involved.
    call(Call::Fcntl, || unsafe { libc::fcntl(fd, libc::F_GETFL) })
}

fn set_flags(fd: c_int, flags: c_int) -> Result<(), Errno> {
    // SAFETY: no memory is involved.
    call(Call::Fcntl, || unsafe { libc::fcntl(fd, libc::F_SETFL, flags) }).map(drop)
}

fn kind_of(fd: c_int) -> Result<Kind, Errno> {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `stat` has room for what fstat(2) writes.
    call(Call::Stat, || unsafe { libc::fstat(fd, stat.as_mut_ptr()) })?;
    // SAFETY: fstat(2) succeeded and filled it.
    let mode = unsafe { stat.assume_init() }.st_mode;
    Ok(match mode & libc::S_IFMT {
        libc::S_IFSOCK => Kind::Socket,
        libc::S_IFREG => Kind::File,
        _ => Kind::Other,
    })
}

fn send(fd: c_int, vectors: &mut [libc::iovec]) -> Result<usize, Errno> {
    // SAFETY: all-zero is a valid msghdr: no name, no control data.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = vectors.as_mut_ptr();
    message.msg_iovlen = vectors.len() as _;
    // SAFETY: the vectors point to live slices, which sendmsg(2) only reads.
    written(Call::Send, || unsafe {
        libc::sendmsg(fd, &message, libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT)
    })
}

fn writev(fd: c_int, vectors: &[libc::iovec]) -> Result<usize, Errno> {
    // SAFETY: the vectors point to live slices, which writev(2) only reads; there are at most
    // MOST_SLICES of them.
    written(Call::Write, || unsafe { libc::writev(fd, vectors.as_ptr(), vectors.len() as c_int) })
}

/// Runs a write with SIGPIPE held back on this thread, and takes away the one that it raised. One
/// that was pending before stays; the mask is as before.
fn without_sigpipe(write: impl FnOnce() -> Result<usize, Errno>) -> Result<usize, Errno> {
    let mut sigpipe = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    let mut pending = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: each set is filled before it is read; with these arguments none of the calls fails.
    let was_pending = unsafe {
        libc::sigemptyset(sigpipe.as_mut_ptr());
        libc::sigaddset(sigpipe.as_mut_ptr(), libc::SIGPIPE);
        libc::pthread_sigmask(libc::SIG_BLOCK, sigpipe.as_ptr(), before.as_mut_ptr());
        libc::sigpending(pending.as_mut_ptr());
        libc::sigismember(pending.as_ptr(), libc::SIGPIPE) == 1
    };
    let result = write();
    if result == Err(Errno(libc::EPIPE)) && !was_pending {
        let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `sigpipe` was filled above. The signal was raised for this thread, if at all:
        // with SIGPIPE ignored there is none, and the call says EAGAIN.
        while unsafe { libc::sigtimedwait(sigpipe.as_ptr(), null_mut(), &now) } < 0
            && Errno::last() == Errno(libc::EINTR)
        {}
    }
    // SAFETY: `before` was filled above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), null_mut()) };
    result
}

#[cfg(test)]
mod tests;
