//! The one gate through which system calls go: a result instead of -1 and errno, a call that a
//! signal has interrupted made again, and, in a build for tests, calls that fail on demand.

use std::ffi::c_int;

use super::Errno;

/// The system calls of the library that can fail; and the start of a thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    InotifyInit,
    AddWatch,
    RmWatch,
    Read,
    Ioctl,
    Memfd,
    Fchmod,
    Futimens,
    Ftruncate,
    Open,
    Openat2,
    Getdents,
    Stat,
    Statfs,
    Getcwd,
    Unshare,
    Fchdir,
    Thread,
    Mmap,
    Madvise,
    Fcntl,
    Send,
    Write,
    Shutdown,
}

/// How often an interrupted call is made again. Not for ever: something that interrupts each one
/// would be taken for a call that does not return.
const AGAIN: u32 = 1000;

/// What a test wants to happen instead of this call.
#[cfg(feature = "faults")]
pub use super::fault::refused;
/// Nothing: only a build for tests refuses calls.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn refused(_: Call) -> Option<Errno> {
    None
}

/// Makes a call that returns -1 or an int.
#[inline]
pub fn call(which: Call, mut make: impl FnMut() -> c_int) -> Result<c_int, Errno> {
    repeated(|| match refused(which) {
        Some(errno) => Err(errno),
        None => match make() {
            result if result < 0 => Err(Errno::last()),
            result => Ok(result),
        },
    })
}

/// The same for calls that return a size.
#[inline]
pub fn call_size(which: Call, mut make: impl FnMut() -> isize) -> Result<usize, Errno> {
    repeated(|| match refused(which) {
        Some(errno) => Err(errno),
        None => usize::try_from(make()).map_err(|_| Errno::last()),
    })
}

#[inline]
fn repeated<T>(mut make: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    let mut left = AGAIN;
    loop {
        match make() {
            Err(Errno(libc::EINTR)) if left > 0 => left -= 1,
            result => return result,
        }
    }
}
