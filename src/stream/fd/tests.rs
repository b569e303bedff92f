//! Against real descriptors.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd};
use std::os::unix::net::UnixStream;

use super::*;

fn pipe() -> (File, File) {
    let mut fds = [0; 2];
    // SAFETY: there is room for both, and nobody else owns them.
    unsafe {
        assert_eq!(libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC), 0);
        (File::from_raw_fd(fds[0]), File::from_raw_fd(fds[1]))
    }
}

fn blocked_signals() -> Vec<c_int> {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the call fills the set.
    let set = unsafe {
        libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), set.as_mut_ptr());
        set.assume_init()
    };
    // SAFETY: the set is initialised.
    (1..65).filter(|signal| unsafe { libc::sigismember(&set, *signal) } == 1).collect()
}

fn nonblocking(fd: &impl AsRawFd) -> bool {
    get_flags(fd.as_raw_fd()).unwrap() & libc::O_NONBLOCK != 0
}

#[test]
fn gathers_into_one_write() {
    let (mut reader, writer) = pipe();
    let fd = Fd::new(writer.into_raw_fd(), true, false).unwrap();
    assert_eq!(fd.write(&[b"one ", b"", b"two"]), Wrote::Some(7));
    fd.close(false);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "one two");
}

#[test]
fn a_full_pipe_and_a_full_socket_block() {
    let (_reader, writer) = pipe();
    let (near, _far) = UnixStream::pair().unwrap();
    let bytes = vec![0; 100_000];
    for raw in [writer.as_raw_fd(), near.as_raw_fd()] {
        let fd = Fd::new(raw, false, false).unwrap();
        let mut short = false;
        let last = loop {
            match fd.write(&[&bytes]) {
                Wrote::Some(count) => short |= count < bytes.len(),
                other => break other,
            }
        };
        assert_eq!((last, short), (Wrote::Blocked, true));
        fd.close(false);
    }
}

#[test]
fn flags_are_given_back() {
    let (_reader, writer) = pipe();
    let fd = Fd::new(writer.as_raw_fd(), false, false).unwrap();
    assert!(nonblocking(&writer));
    fd.close(false);
    assert!(!nonblocking(&writer));

    let fd = Fd::new(writer.as_raw_fd(), false, true).unwrap();
    assert!(!nonblocking(&writer));
    fd.close(false);

    set_flags(writer.as_raw_fd(), libc::O_NONBLOCK).unwrap();
    let fd = Fd::new(writer.as_raw_fd(), false, false).unwrap();
    fd.close(false);
    assert!(nonblocking(&writer), "it was so before");

    let (near, _far) = UnixStream::pair().unwrap();
    let _fd = Fd::new(near.as_raw_fd(), false, false).unwrap();
    assert!(!nonblocking(&near), "a socket needs no flag");
}

#[test]
fn a_broken_pipe_is_an_error_and_leaves_the_mask() {
    let before = blocked_signals();
    let (reader, writer) = pipe();
    drop(reader);
    let fd = Fd::new(writer.as_raw_fd(), false, false).unwrap();
    assert_eq!(fd.write(&[b"x"]), Wrote::Failed(Errno(libc::EPIPE)));
    assert_eq!(blocked_signals(), before);

    let (near, far) = UnixStream::pair().unwrap();
    drop(far);
    let fd = Fd::new(near.as_raw_fd(), false, false).unwrap();
    assert_eq!(fd.write(&[b"x"]), Wrote::Failed(Errno(libc::EPIPE)));
    assert_eq!(blocked_signals(), before);
}

#[test]
fn a_full_device_says_so() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let fd = Fd::new(full.as_raw_fd(), false, false).unwrap();
    assert_eq!(fd.write(&[b"x"]), Wrote::Failed(Errno(libc::ENOSPC)));
}

#[test]
fn what_cannot_be_written_is_refused() {
    let refused = |fd: &dyn AsRawFd| Fd::new(fd.as_raw_fd(), true, false).unwrap_err();
    assert_eq!(refused(&File::open("/dev/null").unwrap()), Errno(libc::EBADF));
    assert_eq!(refused(&pipe().0), Errno(libc::EBADF));
    assert_eq!(Fd::new(-1, true, false).unwrap_err(), Errno(libc::EBADF));
    assert_eq!(Fd::new(1_000_000, true, false).unwrap_err(), Errno(libc::EBADF));
}

#[test]
fn only_sockets_have_halves() {
    let (mut near, far) = UnixStream::pair().unwrap();
    let fd = Fd::new(far.as_raw_fd(), false, false).unwrap();
    assert_eq!(fd.half_close(), Ok(true));
    assert_eq!(near.read(&mut [0]).unwrap(), 0);
    let (_reader, writer) = pipe();
    let fd = Fd::new(writer.as_raw_fd(), false, false).unwrap();
    assert_eq!(fd.half_close(), Ok(false));
}
