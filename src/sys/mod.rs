//! The kernel and nothing of ours: every system call of the library, each turned into a `Result`
//! in one place.
#![expect(unsafe_code, reason = "system calls are made here and in the C layer, nowhere else")]

mod call;
mod cwd;
mod dir;
#[cfg(feature = "faults")]
mod fault;
mod inotify;
mod list;
mod look;

pub use call::{Call, call, call_size, refused};
pub use cwd::OwnCwd;
pub use dir::{Dir, Facts, Kind, absolute};
pub use inotify::{Inotify, Poker};
pub use list::{Entry, ListBuffer, until_nul};
pub use look::Look;

use std::ffi::c_int;

/// An errno value, positive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Errno(pub c_int);

impl Errno {
    /// The calling thread's errno.
    pub fn last() -> Self {
        // SAFETY: the location is valid for the life of the thread.
        Self(unsafe { *libc::__errno_location() })
    }
}

/// The process, to notice a fork.
pub fn process_id() -> i32 {
    // SAFETY: getpid(2) cannot fail.
    unsafe { libc::getpid() }
}

/// The thread, to notice nesting.
pub fn thread_id() -> i32 {
    // SAFETY: gettid(2) cannot fail.
    unsafe { libc::gettid() }
}

/// Linux's version, the first two numbers of it.
fn kernel_version() -> Option<(u32, u32)> {
    let mut name = std::mem::MaybeUninit::<libc::utsname>::uninit();
    // SAFETY: `name` is filled when the call succeeds, and its fields are NUL-terminated then.
    let release = unsafe {
        if libc::uname(name.as_mut_ptr()) == -1 {
            return None;
        }
        std::ffi::CStr::from_ptr(name.assume_init_ref().release.as_ptr()).to_bytes().to_vec()
    };
    parse_version(&release)
}

fn parse_version(release: &[u8]) -> Option<(u32, u32)> {
    let mut numbers = release.split(|byte| !byte.is_ascii_digit());
    let mut next = || std::str::from_utf8(numbers.next()?).ok()?.parse().ok();
    Some((next()?, next()?))
}

/// The limit that an error of inotify or of opening files is about, with its name, if it can be
/// read. A user namespace can have lower ones of its own.
pub fn limit_in_force(errno: Errno, step: &str) -> Option<(&'static str, u64)> {
    let lower = |name, files: [&str; 2]| {
        let read = |file| std::fs::read_to_string(file).ok()?.trim().parse::<u64>().ok();
        files.into_iter().filter_map(read).min().map(|limit| (name, limit))
    };
    match (errno.0, step) {
        (libc::ENOSPC, "inotify_add_watch") => lower(
            "max_user_watches",
            ["/proc/sys/fs/inotify/max_user_watches", "/proc/sys/user/max_inotify_watches"],
        ),
        (libc::EMFILE, "inotify_init1") => lower(
            "max_user_instances",
            ["/proc/sys/fs/inotify/max_user_instances", "/proc/sys/user/max_inotify_instances"],
        ),
        (libc::EMFILE, _) => Some(("RLIMIT_NOFILE", open_files_limit())),
        (libc::ENFILE, _) => lower("file-max", ["/proc/sys/fs/file-max", "/proc/sys/fs/file-max"]),
        _ => None,
    }
}

fn open_files_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid out parameter.
    match unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } {
        0 => limit.rlim_cur,
        _ => 0,
    }
}

/// fnmatch(3), to compare with.
#[cfg(test)]
pub fn fnmatch(pattern: &[u8], text: &[u8], pathname: bool) -> bool {
    let [pattern, text] = [pattern, text].map(|bytes| std::ffi::CString::new(bytes).unwrap());
    // FNM_PATHNAME of fnmatch.h.
    let flags = c_int::from(pathname);
    // SAFETY: both strings are NUL-terminated.
    unsafe { libc::fnmatch(pattern.as_ptr(), text.as_ptr(), flags) == 0 }
}

/// Runs `body` with every signal blocked on this thread, so that a thread started inside never
/// runs the program's signal handlers.
pub fn without_signals<T>(body: impl FnOnce() -> T) -> T {
    let mut old = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both sets are valid for the calls that fill and read them; `old` is filled by the
    // first pthread_sigmask, which cannot fail with these arguments.
    unsafe {
        let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), old.as_mut_ptr());
    }
    let result = body();
    // SAFETY: `old` was filled above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, old.as_ptr(), std::ptr::null_mut()) };
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(parse_version(b"6.18.5-arch1-1"), Some((6, 18)));
        assert_eq!(parse_version(b"5.10.0"), Some((5, 10)));
        assert_eq!(parse_version(b"7.0-rc1"), Some((7, 0)));
        assert_eq!(parse_version(b"6"), None);
        assert_eq!(parse_version(b"unknown"), None);
        assert!(kernel_version().is_some());
    }
}
