//! The inotify instance, and the poke: an event of our own making in its queue.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use super::{Call, Dir, Errno, call, call_size};

/// An inotify instance.
pub struct Inotify {
    fd: OwnedFd,
}

impl Inotify {
    /// inotify_init1(2): non-blocking and close-on-exec from birth.
    pub fn new() -> Result<Self, Errno> {
        let flags = libc::IN_NONBLOCK | libc::IN_CLOEXEC;
        // SAFETY: no pointers.
        let fd = call(Call::InotifyInit, || unsafe { libc::inotify_init1(flags) })?;
        // SAFETY: the descriptor is fresh and nobody else's.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// The descriptor to poll.
    pub fn fileno(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// read(2); `Ok(0)` when the queue is empty.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        // SAFETY: the kernel writes at most `len` bytes into the buffer.
        let got = call_size(Call::Read, || unsafe {
            libc::read(self.fileno(), buffer.as_mut_ptr().cast(), buffer.len())
        });
        if got == Err(Errno(libc::EAGAIN)) { Ok(0) } else { got }
    }

    /// Bytes waiting in the queue.
    pub fn queued(&self) -> Result<usize, Errno> {
        let mut bytes: libc::c_int = 0;
        // SAFETY: FIONREAD writes one int.
        call(Call::Ioctl, || unsafe { libc::ioctl(self.fileno(), libc::FIONREAD, &mut bytes) })?;
        Ok(usize::try_from(bytes).unwrap_or(0))
    }

    /// inotify_add_watch(2) by a path as it is.
    pub fn add(&self, path: &CStr, mask: u32) -> Result<i32, Errno> {
        // SAFETY: `path` is NUL-terminated.
        call(Call::AddWatch, || unsafe {
            libc::inotify_add_watch(self.fileno(), path.as_ptr(), mask)
        })
    }

    /// The same for `name` in an open directory, "." for the directory itself, by way of
    /// /proc/self/fd, which leads to the open directory wherever it is now.
    pub fn add_at(&self, dir: &Dir, name: &[u8], mask: u32) -> Result<i32, Errno> {
        let mut path = [0u8; 32 + 256];
        let end = {
            use std::io::Write;
            let mut rest = &mut path[..];
            let room = rest.len();
            write!(rest, "/proc/self/fd/{}/", dir.as_raw_fd()).map_err(|_| Errno(libc::EINVAL))?;
            if rest.len() <= name.len() {
                return Err(Errno(libc::ENAMETOOLONG));
            }
            let used = room - rest.len();
            path[used..used + name.len()].copy_from_slice(name);
            used + name.len()
        };
        let path = CStr::from_bytes_with_nul(&path[..=end]).map_err(|_| Errno(libc::EINVAL))?;
        self.add(path, mask)
    }

    /// inotify_rm_watch(2).
    pub fn remove(&self, wd: i32) -> Result<(), Errno> {
        // SAFETY: no pointers.
        call(Call::RmWatch, || unsafe { libc::inotify_rm_watch(self.fileno(), wd) }).map(drop)
    }
}

/// Two anonymous memory files, watched for `IN_ATTRIB`. fchmod(2) of one queues an event, and the
/// queue is first in, first out, so what was queued before is older. Two, used in turn, because the
/// kernel merges an event with an identical newest one (fs/notify/inotify/inotify_fsnotify.c,
/// inotify_merge): in turn, one poke is one event.
pub struct Poker {
    files: [OwnedFd; 2],
    wds: [i32; 2],
}

impl Poker {
    /// Makes and watches the files.
    pub fn new(inotify: &Inotify) -> Result<Self, Errno> {
        let files = [Self::file()?, Self::file()?];
        let mut poker = Self { files, wds: [-1; 2] };
        poker.watch(inotify)?;
        Ok(poker)
    }

    fn file() -> Result<OwnedFd, Errno> {
        // SAFETY: the name is NUL-terminated.
        let fd = call(Call::Memfd, || unsafe {
            libc::memfd_create(c"rinotify".as_ptr(), libc::MFD_CLOEXEC)
        })?;
        // SAFETY: the descriptor is fresh and nobody else's.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    fn watch(&mut self, inotify: &Inotify) -> Result<(), Errno> {
        for (file, wd) in self.files.iter().zip(&mut self.wds) {
            let path = std::ffi::CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()))
                .map_err(|_| Errno(libc::EINVAL))?;
            *wd = inotify.add(&path, libc::IN_ATTRIB)?;
        }
        Ok(())
    }

    /// Watches the files anew, under new wds: pokes still in the queue no longer count.
    pub fn renew(&mut self, inotify: &Inotify) -> Result<(), Errno> {
        for wd in self.wds {
            // A wd that the kernel no longer knows is as good as removed.
            let _ = inotify.remove(wd);
        }
        self.watch(inotify)
    }

    /// Queues the event of file `which`.
    pub fn poke(&self, which: usize) -> Result<(), Errno> {
        // SAFETY: no pointers.
        call(Call::Fchmod, || unsafe { libc::fchmod(self.files[which].as_raw_fd(), 0o600) })
            .map(drop)
    }

    /// The wds of the two files.
    pub fn wds(&self) -> [i32; 2] {
        self.wds
    }
}
