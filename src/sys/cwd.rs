//! A current directory for one thread, which the rest of the process never sees.

use std::os::fd::AsRawFd;

use super::dir::with_name;
use super::{Call, Dir, Errno, Inotify, call};

/// Held by a thread that was started for a scan and has unshared its current directory
/// (unshare(2), CLONE_FS). Names relative to it are the cheapest way to add a watch.
pub struct OwnCwd {
    at: u64,
}

impl OwnCwd {
    /// Unshares the calling thread's current directory. Only for threads of the library's own.
    pub fn new() -> Result<Self, Errno> {
        // SAFETY: no pointers; affects this thread only.
        call(Call::Unshare, || unsafe { libc::unshare(libc::CLONE_FS) })?;
        Ok(Self { at: 0 })
    }

    /// Goes where nothing is kept alive or busy by it: a thread that was joined can have its current
    /// directory a little longer.
    pub fn leave(self) {
        // SAFETY: the path is NUL-terminated. The directory of the process is another one.
        unsafe { libc::chdir(c"/".as_ptr()) };
    }

    fn enter(&mut self, dir: &Dir) -> Result<(), Errno> {
        if self.at != dir.serial() {
            // SAFETY: no pointers.
            call(Call::Fchdir, || unsafe { libc::fchdir(dir.as_raw_fd()) })?;
            self.at = dir.serial();
        }
        Ok(())
    }

    /// inotify_add_watch(2) for `name` in `dir`.
    pub fn add_at(
        &mut self,
        inotify: &Inotify,
        dir: &Dir,
        name: &[u8],
        mask: u32,
    ) -> Result<i32, Errno> {
        self.enter(dir)?;
        with_name(name, |name| inotify.add(name, mask))
    }

    /// The same, and then opens what the name leads to, on the same mount, to list it.
    pub fn watch_and_open(
        &mut self,
        inotify: &Inotify,
        dir: &Dir,
        name: &[u8],
        mask: u32,
    ) -> Result<(i32, Result<Dir, Errno>), Errno> {
        self.enter(dir)?;
        with_name(name, |name| {
            let wd = inotify.add(name, mask)?;
            Ok((wd, Dir::open_to_list_in_cwd(name)))
        })
    }
}
