//! A world without a kernel: a tree, a table of watches and a queue in memory, so that what the
//! kernel and other tasks do, and when, is written down in a test.

mod fs;
#[cfg(fuzzing)]
pub mod fuzz;
#[cfg(test)]
mod growth;
mod mirror;
mod scene;
#[cfg(test)]
mod trace;

#[cfg(test)]
use mirror::Filter;

pub use fs::{Disk, Handle, Ino, Op};

use super::World;
use crate::sys::{Entry, Errno, Facts, Kind, ListBuffer, Look};

/// A call of the engine that something can happen right before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    /// read(2) of the queue, asking for its size, poking.
    Queue,
    /// inotify_add_watch(2)
    Add,
    /// inotify_rm_watch(2)
    Remove,
    /// Opening to reach something.
    Open,
    /// Opening to list.
    OpenToList,
    /// Listing
    List,
    /// Waiting for operations under way.
    Settle,
    /// stat(2) of an entry or a directory.
    Stat,
    /// sched_yield(2)
    GiveWay,
}

/// What happens at such a moment: the call, and the directory or entry that it is about.
pub type Between = Box<dyn FnMut(&mut Disk, Call, Ino)>;

/// The world of a trace.
pub struct Replay {
    /// The tree and the queue.
    pub disk: Disk,
    /// Called before each call of the engine.
    pub between: Option<Between>,
    /// Entries that one getdents64(2) returns.
    pub list_chunk: usize,
    /// A listing begins again once, behind its first part.
    pub list_again: bool,
    /// Listings do not tell types, and link counts do not tell subdirectories.
    pub bare: bool,
    /// What a listing has found is watched and opened by its name.
    pub by_name: bool,
    /// Watches that may be in use; the pokes' are free.
    pub watch_limit: usize,
    pokes: [Ino; 2],
    poke_wds: [i32; 2],
}

impl Replay {
    /// An empty tree and an empty queue.
    pub fn new() -> Self {
        let mut disk = Disk::default();
        let pokes = [disk.inode(false), disk.inode(false)];
        let mut replay = Self {
            disk,
            between: None,
            list_chunk: 1000,
            list_again: false,
            bare: false,
            by_name: false,
            watch_limit: usize::MAX,
            pokes,
            poke_wds: [0; 2],
        };
        replay.watch_pokes();
        replay
    }

    fn watch_pokes(&mut self) {
        for (wd, &ino) in self.poke_wds.iter_mut().zip(&self.pokes) {
            *wd = self.disk.mark(ino, libc::IN_ATTRIB | libc::IN_MODIFY).unwrap_or(-1);
        }
    }

    /// wds in use, but for the pokes'.
    pub fn wds(&self) -> Vec<i32> {
        let mut wds: Vec<_> = self.disk.marks.values().map(|mark| mark.wd).collect();
        wds.retain(|wd| !self.poke_wds.contains(wd));
        wds.sort_unstable();
        wds
    }

    fn before(&mut self, call: Call, ino: Ino) {
        self.disk.close_handles();
        if let Some(mut between) = self.between.take() {
            between(&mut self.disk, call, ino);
            self.between = Some(between);
        }
    }

    fn add_mark(&mut self, ino: Ino, mask: u32) -> Result<i32, Errno> {
        self.disk.readable(ino)?;
        let new = !self.disk.marks.contains_key(&ino);
        if new && self.disk.marks.len() >= self.watch_limit.saturating_add(2) {
            return Err(Errno(libc::ENOSPC));
        }
        self.disk.mark(ino, mask)
    }
}

impl World for Replay {
    type Dir = Handle;

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Errno> {
        self.before(Call::Queue, 0);
        self.disk.read(buffer)
    }

    fn queued(&mut self) -> usize {
        self.before(Call::Queue, 0);
        self.disk.queued()
    }

    fn queue_limit(&self) -> usize {
        self.disk.queue_limit
    }

    fn poke(&mut self, which: usize) -> Result<(), Errno> {
        self.before(Call::Queue, 0);
        self.disk.push(self.poke_wds[which], libc::IN_ATTRIB, 0, b"");
        Ok(())
    }

    fn poke_wds(&self) -> [i32; 2] {
        self.poke_wds
    }

    fn mark(&mut self, which: usize) -> Result<(), Errno> {
        self.before(Call::Queue, 0);
        self.disk.push(self.poke_wds[which], libc::IN_MODIFY, 0, b"");
        Ok(())
    }

    fn add_path(&mut self, path: &[u8], mask: u32) -> Result<i32, Errno> {
        let ino = self.disk.resolve(path).unwrap_or(0);
        self.before(Call::Add, ino);
        let ino = self.disk.reach(path)?;
        self.add_mark(ino, mask)
    }

    fn add(&mut self, dir: &Handle, name: &[u8], mask: u32) -> Result<i32, Errno> {
        let ino = self.disk.lookup(dir.ino, name).unwrap_or(0);
        self.before(Call::Add, ino);
        let ino = self.disk.search(dir.ino, name)?;
        self.add_mark(ino, mask)
    }

    fn remove(&mut self, wd: i32) -> bool {
        self.before(Call::Remove, 0);
        self.disk.unmark(wd)
    }

    fn open(&mut self, path: &[u8], _nofollow: bool) -> Result<Handle, Errno> {
        let ino = self.disk.resolve(path).unwrap_or(0);
        self.before(Call::Open, ino);
        let ino = self.disk.reach(path)?;
        self.disk.handle(ino, false)
    }

    fn open_below(&mut self, dir: &Handle, path: &[u8]) -> Result<Handle, Errno> {
        let ino = self.disk.walk(dir.ino, path).unwrap_or(0);
        self.before(Call::Open, ino);
        let ino = self.disk.seek(dir.ino, path)?;
        self.disk.handle(ino, false)
    }

    fn open_on_mount(&mut self, dir: &Handle, name: &[u8]) -> Result<Handle, Errno> {
        self.open_below(dir, name)
    }

    fn open_to_list(&mut self, dir: &Handle, name: &[u8]) -> Result<Handle, Errno> {
        let ino = self.disk.lookup(dir.ino, name).unwrap_or(0);
        self.before(Call::OpenToList, ino);
        let ino = self.disk.search(dir.ino, name)?;
        self.disk.readable(ino)?;
        self.disk.handle(ino, true)
    }

    fn open_ahead(&mut self, dir: &Handle, name: &[u8]) -> Result<(Handle, bool), Errno> {
        let ino = self.disk.lookup(dir.ino, name).unwrap_or(0);
        self.before(Call::OpenToList, ino);
        let ino = self.disk.search(dir.ino, name)?;
        self.disk.readable(ino)?;
        self.disk.handle(ino, true).map(|handle| (handle, !self.bare))
    }

    fn watch_and_open(
        &mut self,
        dir: &Handle,
        name: &[u8],
        mask: u32,
    ) -> Option<(i32, Result<Handle, Errno>)> {
        if !self.by_name {
            return None;
        }
        let wd = self.add(dir, name, mask).ok()?;
        Some((wd, self.open_to_list(dir, name)))
    }

    fn rewind(&mut self, _: &Handle) -> Result<(), Errno> {
        Ok(())
    }

    fn identity(&mut self, dir: &Handle) -> Result<(u64, u64), Errno> {
        self.before(Call::Stat, dir.ino);
        Ok((1, dir.ino as u64))
    }

    fn list(&mut self, dir: &Handle, buffer: &mut ListBuffer) -> Result<bool, Errno> {
        self.before(Call::List, dir.ino);
        // Reading a directory takes its lock.
        self.disk.wait_for(dir.ino);
        if self.disk.is_dead(dir.ino) {
            return Err(Errno(libc::ENOENT));
        }
        if self.list_again && dir.at.get() > 0 && !dir.again.replace(true) {
            dir.at.set(0);
        }
        let mut rest: Vec<_> = {
            let entries = self.disk.entries(dir.ino)?;
            entries.iter().filter(|(_, at)| at.1 > dir.at.get()).collect()
        };
        rest.sort_unstable_by_key(|(_, at)| at.1);
        rest.truncate(self.list_chunk);
        if let Some((_, at)) = rest.last() {
            dir.at.set(at.1);
        }
        let more = !rest.is_empty();
        let number = |ino: Ino| ino as u64;
        let dots = [&b"."[..], b".."].map(|name| Entry { name, ino: number(dir.ino), kind: None });
        let kind = |ino| if self.disk.is_dir(ino) { Kind::Directory } else { Kind::Other };
        let kind = |ino| (!self.bare).then(|| kind(ino));
        let found =
            rest.iter().map(|&(name, &(ino, _))| Entry { name, ino: number(ino), kind: kind(ino) });
        buffer.fill(dots.into_iter().filter(|_| more).chain(found));
        self.disk.tell_looking(dir.ino, libc::IN_ACCESS);
        Ok(more)
    }

    fn settle(&mut self, dir: &Handle) -> bool {
        self.before(Call::Settle, dir.ino);
        self.disk.wait_for(dir.ino);
        true
    }

    fn links_of(&mut self, dir: &Handle, name: &[u8]) -> Result<u64, Errno> {
        let ino = self.disk.lookup(dir.ino, name).unwrap_or(0);
        self.before(Call::Stat, ino);
        let ino = self.disk.search(dir.ino, name)?;
        if self.bare || !self.disk.is_dir(ino) {
            return Ok(1);
        }
        let below = self.disk.entries(ino)?.values().filter(|(ino, _)| self.disk.is_dir(*ino));
        Ok(2 + below.count() as u64)
    }

    fn kind_of(&mut self, dir: &Handle, name: &[u8]) -> Result<Kind, Errno> {
        let ino = self.disk.lookup(dir.ino, name).unwrap_or(0);
        self.before(Call::Stat, ino);
        let ino = self.disk.search(dir.ino, name)?;
        Ok(if self.disk.is_dir(ino) { Kind::Directory } else { Kind::Other })
    }

    fn facts_of(&mut self, dir: &Handle, name: &[u8]) -> Result<Facts, Errno> {
        let ino = self.disk.lookup(dir.ino, name).unwrap_or(0);
        self.before(Call::Stat, ino);
        let ino = self.disk.search(dir.ino, name)?;
        Ok(self.disk.facts(ino))
    }

    fn knows(&mut self, wd: i32) -> bool {
        self.before(Call::Stat, 0);
        self.disk.marks.values().any(|mark| mark.wd == wd)
    }

    fn look(&mut self, dir: &Handle, name: &[u8]) -> Result<Look, Errno> {
        let ino = self.disk.lookup(dir.ino, name).unwrap_or(0);
        self.before(Call::Stat, ino);
        let ino = self.disk.search(dir.ino, name)?;
        Ok(match self.disk.target(ino) {
            Some(target) => Look::Link(target.to_vec()),
            None if self.disk.is_dir(ino) => Look::Directory,
            None => Look::Other(u64::from(self.disk.links(ino))),
        })
    }

    // Nobody owns anything here.
    fn may_follow(&mut self, _: &Handle, _: &[u8]) -> Result<(), Errno> {
        Ok(())
    }

    fn own_link(&mut self, dir: &Handle, name: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
        Ok(match self.look(dir, name)? {
            Look::Link(target) => Some(target),
            _ => None,
        })
    }

    fn parent(&mut self, dir: &Handle) -> Result<Handle, Errno> {
        self.before(Call::Open, dir.ino);
        self.disk.search(dir.ino, b".")?;
        let above = self.disk.above(dir.ino)?;
        self.disk.handle(above, false)
    }

    fn give_way(&mut self) {
        self.before(Call::GiveWay, 0);
        self.disk.land(0);
    }
}
