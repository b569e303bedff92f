//! The inotify instance, and the poke: an event of our own making in its queue.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use super::{Call, Dir, Errno, call, call_size};

/// The limit that an instance keeps from its birth (fs/notify/inotify/inotify_user.c,
/// inotify_new_group).
const QUEUE_LIMIT: &str = "/proc/sys/fs/inotify/max_queued_events";
/// What it is unless somebody has changed it.
const USUAL_LIMIT: usize = 16384;

/// An inotify instance.
pub struct Inotify {
    fd: OwnedFd,
    queue_limit: usize,
}

impl Inotify {
    /// inotify_init1(2): non-blocking and close-on-exec from birth.
    pub fn new() -> Result<Self, Errno> {
        let flags = libc::IN_NONBLOCK | libc::IN_CLOEXEC;
        // SAFETY: no pointers.
        let fd = call(Call::InotifyInit, || unsafe { libc::inotify_init1(flags) })?;
        // SAFETY: the descriptor is fresh and nobody else's.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let limit = std::fs::read_to_string(QUEUE_LIMIT).ok();
        let limit = limit.and_then(|text| text.trim().parse().ok());
        Ok(Self { fd, queue_limit: limit.unwrap_or(USUAL_LIMIT) })
    }

    /// Events that the queue has room for.
    pub fn queue_limit(&self) -> usize {
        self.queue_limit
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

    /// Does the kernel still watch this wd? Asked of /proc/self/fdinfo, which lists them all
    /// (fs/notify/fdinfo.c): slow, but the only way to know without adding or removing.
    pub fn knows(&self, wd: i32) -> Result<bool, Errno> {
        let path = format!("/proc/self/fdinfo/{}", self.fileno());
        let text = std::fs::read(path)
            .map_err(|error| Errno(error.raw_os_error().unwrap_or(libc::EIO)))?;
        let wanted = format!("inotify wd:{wd:x} ");
        Ok(text.split(|&b| b == b'\n').any(|line| line.starts_with(wanted.as_bytes())))
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
    /// Makes and watches the files. Fails with the step that did.
    pub fn new(inotify: &Inotify) -> Result<Self, (Errno, &'static str, &'static [u8])> {
        let file = || Self::file().map_err(|errno| (errno, "memfd_create", &b""[..]));
        let mut poker = Self { files: [file()?, file()?], wds: [0; 2] };
        // By this way, so it must be there; and a limit can be in the way.
        poker
            .watch(inotify)
            .map_err(|errno| (errno, "inotify_add_watch", &b"/proc/self/fd"[..]))?;
        poker.try_one(inotify).map_err(|errno| (errno, "fchmod", &b""[..]))?;
        Ok(poker)
    }

    fn try_one(&self, inotify: &Inotify) -> Result<(), Errno> {
        self.poke(0)?;
        // Two events without a name; there is but one.
        let mut told = [0; 32];
        match inotify.read(&mut told)? {
            // A sandbox can say that it has done what it has not.
            0 => Err(Errno(libc::ENOTSUP)),
            _ => Ok(()),
        }
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
            *wd = inotify.add(&path, libc::IN_ATTRIB | libc::IN_MODIFY)?;
        }
        Ok(())
    }

    /// Queues the event of file `which`.
    pub fn poke(&self, which: usize) -> Result<(), Errno> {
        let fd = self.files[which].as_raw_fd();
        // Two ways to the same event, should one of them be forbidden.
        // SAFETY: no pointers.
        call(Call::Fchmod, || unsafe { libc::fchmod(fd, 0o600) })
            // SAFETY: NULL is the time that it is now.
            .or_else(|_| call(Call::Futimens, || unsafe { libc::futimens(fd, std::ptr::null()) }))
            .map(drop)
    }

    /// Queues an event of another kind, `IN_MODIFY` of file `which`.
    pub fn mark(&self, which: usize) -> Result<(), Errno> {
        // Not by write(2), which is not told of a file that is only open in the kernel's own way
        // (fs/file_table.c, alloc_file_pseudo); a change of its size is (fs/attr.c, notify_change).
        // SAFETY: no pointers.
        call(Call::Ftruncate, || unsafe { libc::ftruncate(self.files[which].as_raw_fd(), 0) })
            .map(drop)
    }

    /// The wds of the two files.
    pub fn wds(&self) -> [i32; 2] {
        self.wds
    }
}
