//! What the engine asks of the kernel. Tests put a replayed trace in its place.

use super::watches::Failure;
use crate::sys::{Dir, Errno, Facts, Inotify, Kind, ListBuffer, Look, OwnCwd, Poker};

/// The kernel, or a trace.
pub trait World {
    /// An open directory.
    type Dir;

    /// read(2) of the queue; 0: empty.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Errno>;
    /// Bytes in the queue. More than there can be if the kernel does not say.
    fn queued(&mut self) -> usize;
    /// Events that the queue has room for.
    fn queue_limit(&self) -> usize;
    /// Queues the event of one of the two poke files.
    fn poke(&mut self, which: usize) -> Result<(), Errno>;
    /// wds of the poke files.
    fn poke_wds(&self) -> [i32; 2];
    /// Queues an event that no poke looks like: `IN_MODIFY` of one of the files.
    fn mark(&mut self, which: usize) -> Result<(), Errno>;
    /// inotify_add_watch(2) by path.
    fn add_path(&mut self, path: &[u8], mask: u32) -> Result<i32, Errno>;
    /// The same by name in an open directory; "." is the directory itself.
    fn add(&mut self, dir: &Self::Dir, name: &[u8], mask: u32) -> Result<i32, Errno>;
    /// inotify_rm_watch(2); a wd that the kernel has dropped is no error. True if it has queued an
    /// event that says so.
    fn remove(&mut self, wd: i32) -> bool;
    /// Reaches a directory by path.
    fn open(&mut self, path: &[u8], nofollow: bool) -> Result<Self::Dir, Errno>;
    /// Reaches a directory below another, following no link.
    fn open_below(&mut self, dir: &Self::Dir, path: &[u8]) -> Result<Self::Dir, Errno>;
    /// Reaches an entry of a directory, unless something is mounted there: EXDEV. Where the kernel
    /// does not say, only a file system of its own counts.
    fn open_on_mount(&mut self, dir: &Self::Dir, name: &[u8]) -> Result<Self::Dir, Errno>;
    /// Opens an entry, or "." itself, to list it.
    fn open_to_list(&mut self, dir: &Self::Dir, name: &[u8]) -> Result<Self::Dir, Errno>;
    /// Opens an entry to list it, before it is watched. False where the listing is not known to
    /// have what came in between: it must then be opened again.
    fn open_ahead(&mut self, dir: &Self::Dir, name: &[u8]) -> Result<(Self::Dir, bool), Errno>;
    /// Watches an entry and then opens it to list it, both by its name, where that is cheaper than to
    /// show each time that they are the same directory: a listing has the inode numbers of what it
    /// names, and its own. `None`: it is not.
    fn watch_and_open(
        &mut self,
        dir: &Self::Dir,
        name: &[u8],
        mask: u32,
    ) -> Option<(i32, Result<Self::Dir, Errno>)>;
    /// Such a directory is watched now, and about to be listed.
    fn rewind(&mut self, dir: &Self::Dir) -> Result<(), Errno>;
    /// Device and inode number.
    fn identity(&mut self, dir: &Self::Dir) -> Result<(u64, u64), Errno>;
    /// Reads on in a directory; false at its end.
    fn list(&mut self, dir: &Self::Dir, buffer: &mut ListBuffer) -> Result<bool, Errno>;
    /// Waits for operations under way on the directory's entries. False if that was not possible.
    fn settle(&mut self, dir: &Self::Dir) -> bool;
    /// Number of hard links of an entry; 1 where subdirectories are not counted.
    fn links_of(&mut self, dir: &Self::Dir, name: &[u8]) -> Result<u64, Errno>;
    /// What an entry is.
    fn kind_of(&mut self, dir: &Self::Dir, name: &[u8]) -> Result<Kind, Errno>;
    /// What is worth knowing of an entry.
    fn facts_of(&mut self, dir: &Self::Dir, name: &[u8]) -> Result<Facts, Errno>;
    /// Does the kernel still watch this wd? If that cannot be known, it does.
    fn knows(&mut self, wd: i32) -> bool;
    /// What stands under a name, symbolic links told apart.
    fn look(&mut self, dir: &Self::Dir, name: &[u8]) -> Result<Look, Errno>;
    /// Is a symbolic link allowed to be followed? Not whether it leads to anything.
    fn may_follow(&mut self, dir: &Self::Dir, name: &[u8]) -> Result<(), Errno>;
    /// Where a symbolic link leads that belongs to root or this process's user.
    fn own_link(&mut self, dir: &Self::Dir, name: &[u8]) -> Result<Option<Vec<u8>>, Errno>;
    /// The directory above.
    fn parent(&mut self, dir: &Self::Dir) -> Result<Self::Dir, Errno>;
    /// Lets other threads of the machine go on.
    fn give_way(&mut self);
}

/// The real one.
pub struct Kernel {
    inotify: Inotify,
    poker: Poker,
    // wds that are not wanted any more and that the kernel would not remove.
    unremoved: Vec<i32>,
    // Devices, and whether they count subdirectories as links.
    counting: Vec<(u64, bool)>,
    // What is named in a current directory can be opened there for certain.
    by_name: bool,
    /// Set while a thread of the library's own runs the engine.
    pub cwd: Option<OwnCwd>,
}

impl Kernel {
    /// A new inotify instance with its poke files.
    pub fn new() -> Result<Self, Failure> {
        let failed = |errno, step, path: &[u8]| Failure::new(errno, step, path.to_vec());
        let inotify = Inotify::new().map_err(|errno| failed(errno, "inotify_init1", b""))?;
        let poker =
            Poker::new(&inotify).map_err(|(errno, step, path)| failed(errno, step, path))?;
        let unremoved = Vec::new();
        let counting = Vec::new();
        Ok(Self { inotify, poker, unremoved, counting, by_name: true, cwd: None })
    }

    /// A wd is in use: it is not to be removed any more.
    fn used(&mut self, wd: Result<i32, Errno>) -> Result<i32, Errno> {
        if !self.unremoved.is_empty() {
            self.unremoved.retain(|&old| Ok(old) != wd);
        }
        wd
    }

    fn remove_rest(&mut self) {
        let inotify = &self.inotify;
        self.unremoved.retain(|&wd| !removed(inotify, wd));
    }

    /// The descriptor to poll.
    pub fn fileno(&self) -> i32 {
        self.inotify.fileno()
    }
}

fn removed(inotify: &Inotify, wd: i32) -> bool {
    is_removed(inotify.remove(wd))
}

/// EINVAL: the kernel has dropped it by itself, which is what was wanted.
fn is_removed(result: Result<(), Errno>) -> bool {
    matches!(result, Ok(()) | Err(Errno(libc::EINVAL)))
}

impl Kernel {
    /// Is a directory on a file system that counts subdirectories as links?
    fn is_known(&mut self, dir: &Dir) -> Result<bool, Errno> {
        if let Some(known) = dir.counts() {
            return Ok(known);
        }
        let (device, _) = dir.identity()?;
        let known = self.counts(device, dir, b".");
        dir.note_counts(known);
        Ok(known)
    }

    /// Is this entry on a file system that is known, by its device?
    fn counts(&mut self, device: u64, dir: &Dir, name: &[u8]) -> bool {
        if let Some(&(_, counts)) = self.counting.iter().find(|&&(known, _)| known == device) {
            return counts;
        }
        let counts = dir.counts_links(name);
        self.counting.truncate(15);
        self.counting.push((device, counts));
        counts
    }
}

fn cpath(path: &[u8]) -> Result<std::ffi::CString, Errno> {
    std::ffi::CString::new(path).map_err(|_| Errno(libc::EINVAL))
}

impl World for Kernel {
    type Dir = Dir;

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Errno> {
        if !self.unremoved.is_empty() {
            self.remove_rest();
        }
        self.inotify.read(buffer)
    }

    fn queued(&mut self) -> usize {
        self.inotify.queued().unwrap_or(usize::MAX)
    }

    fn queue_limit(&self) -> usize {
        self.inotify.queue_limit()
    }

    fn poke(&mut self, which: usize) -> Result<(), Errno> {
        self.poker.poke(which)
    }

    fn poke_wds(&self) -> [i32; 2] {
        self.poker.wds()
    }

    fn mark(&mut self, which: usize) -> Result<(), Errno> {
        self.poker.mark(which)
    }

    fn add_path(&mut self, path: &[u8], mask: u32) -> Result<i32, Errno> {
        let wd = self.inotify.add(&cpath(path)?, mask);
        self.used(wd)
    }

    fn add(&mut self, dir: &Dir, name: &[u8], mask: u32) -> Result<i32, Errno> {
        let wd = match &mut self.cwd {
            Some(cwd) => cwd.add_at(&self.inotify, dir, name, mask),
            None => self.inotify.add_at(dir, name, mask),
        };
        self.used(wd)
    }

    fn remove(&mut self, wd: i32) -> bool {
        let first = self.inotify.remove(wd);
        // The second time something may have changed; after that it is tried now and then.
        if !is_removed(first) && !removed(&self.inotify, wd) {
            self.unremoved.push(wd);
        }
        first == Ok(())
    }

    fn open(&mut self, path: &[u8], nofollow: bool) -> Result<Dir, Errno> {
        Dir::open(path, nofollow)
    }

    fn open_below(&mut self, dir: &Dir, path: &[u8]) -> Result<Dir, Errno> {
        dir.open_below(path)
    }

    fn open_on_mount(&mut self, dir: &Dir, name: &[u8]) -> Result<Dir, Errno> {
        dir.open_on_mount(name)
    }

    fn open_to_list(&mut self, dir: &Dir, name: &[u8]) -> Result<Dir, Errno> {
        dir.open_to_list(name)
    }

    fn open_ahead(&mut self, dir: &Dir, name: &[u8]) -> Result<(Dir, bool), Errno> {
        // On the mount of a file system that is known it is on that one, and need not be asked.
        if self.is_known(dir)?
            && let Ok(entry) = dir.open_to_list_here(name)
        {
            entry.note_counts(true);
            return Ok((entry, true));
        }
        let entry = dir.open_to_list(name)?;
        let known = self.is_known(&entry)?;
        Ok((entry, known))
    }

    fn watch_and_open(
        &mut self,
        dir: &Dir,
        name: &[u8],
        mask: u32,
    ) -> Option<(i32, Result<Dir, Errno>)> {
        if !self.by_name || self.is_known(dir) != Ok(true) {
            return None;
        }
        let cwd = self.cwd.as_mut()?;
        let (wd, opened) = cwd.watch_and_open(&self.inotify, dir, name, mask).ok()?;
        match &opened {
            Ok(entry) => entry.note_counts(true),
            // No openat2(2).
            Err(errno) => self.by_name = !matches!(errno.0, libc::ENOSYS | libc::EPERM),
        }
        let wd = self.used(Ok(wd)).ok()?;
        Some((wd, opened))
    }

    fn rewind(&mut self, dir: &Dir) -> Result<(), Errno> {
        dir.rewind()
    }

    fn identity(&mut self, dir: &Dir) -> Result<(u64, u64), Errno> {
        dir.identity()
    }

    fn list(&mut self, dir: &Dir, buffer: &mut ListBuffer) -> Result<bool, Errno> {
        dir.list(buffer)
    }

    fn settle(&mut self, dir: &Dir) -> bool {
        dir.settle()
    }

    fn links_of(&mut self, dir: &Dir, name: &[u8]) -> Result<u64, Errno> {
        let (links, device) = dir.links_of(name)?;
        Ok(if self.counts(device, dir, name) { links } else { 1 })
    }

    fn kind_of(&mut self, dir: &Dir, name: &[u8]) -> Result<Kind, Errno> {
        dir.kind_of(name)
    }

    fn facts_of(&mut self, dir: &Dir, name: &[u8]) -> Result<Facts, Errno> {
        dir.facts_of(name)
    }

    fn knows(&mut self, wd: i32) -> bool {
        self.inotify.knows(wd).unwrap_or(true)
    }

    fn look(&mut self, dir: &Dir, name: &[u8]) -> Result<Look, Errno> {
        dir.look(name)
    }

    fn may_follow(&mut self, dir: &Dir, name: &[u8]) -> Result<(), Errno> {
        dir.may_follow(name)
    }

    fn own_link(&mut self, dir: &Dir, name: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
        dir.own_link(name)
    }

    fn parent(&mut self, dir: &Dir) -> Result<Dir, Errno> {
        dir.parent()
    }

    fn give_way(&mut self) {
        std::thread::yield_now();
    }
}
