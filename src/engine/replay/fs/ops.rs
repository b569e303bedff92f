//! Operations of other processes, and the events that Linux queues for each.

use std::collections::VecDeque;

use super::{Disk, Flight, Ino, Op, Telling, error};
use crate::sys::Errno;
use libc::{
    IN_ATTRIB, IN_CREATE, IN_DELETE, IN_DELETE_SELF, IN_ISDIR, IN_MODIFY, IN_MOVE_SELF,
    IN_MOVED_FROM, IN_MOVED_TO,
};

impl Disk {
    /// Changes the tree; the events wait until they land.
    pub fn begin(&mut self, op: &Op) -> Result<(), Errno> {
        let mut locks = Vec::new();
        let mut told = VecDeque::new();
        match op {
            Op::Mkdir(path) | Op::Create(path) => {
                let (dir, name) = self.parent(path)?;
                if self.lookup(dir, name).is_ok() {
                    return error(libc::EEXIST);
                }
                self.wait_for(dir);
                let is_dir = matches!(op, Op::Mkdir(_));
                let ino = self.inode(is_dir);
                self.place(dir, name, ino);
                locks.push(dir);
                told.push_back(self.entry(dir, IN_CREATE, 0, name, ino));
            }
            Op::Symlink(target, path) => {
                let (dir, name) = self.parent(path)?;
                if self.lookup(dir, name).is_ok() {
                    return error(libc::EEXIST);
                }
                self.wait_for(dir);
                let ino = self.inode(false);
                self.inodes[ino].target = Some(target.clone());
                self.place(dir, name, ino);
                locks.push(dir);
                told.push_back(self.entry(dir, IN_CREATE, 0, name, ino));
            }
            Op::Link(from, to) => {
                let (dir, name) = self.parent(to)?;
                let ino = self.resolve(from)?;
                if self.is_dir(ino) || self.target(ino).is_some() {
                    return error(libc::EPERM);
                }
                if self.lookup(dir, name).is_ok() {
                    return error(libc::EEXIST);
                }
                self.wait_for(dir);
                self.place(dir, name, ino);
                self.inodes[ino].links += 1;
                self.inodes[ino].shared = true;
                locks.push(dir);
                told.push_back(Telling::Own(ino, IN_ATTRIB));
                told.push_back(self.entry(dir, IN_CREATE, 0, name, ino));
            }
            Op::Unlink(path) | Op::Rmdir(path) => {
                let (dir, name) = self.parent(path)?;
                let ino = self.lookup(dir, name)?;
                let is_dir = self.is_dir(ino);
                if is_dir != matches!(op, Op::Rmdir(_)) {
                    return error(if is_dir { libc::EISDIR } else { libc::ENOTDIR });
                }
                if is_dir && !self.entries(ino)?.is_empty() {
                    return error(libc::ENOTEMPTY);
                }
                self.wait_for(dir);
                self.wait_for(ino);
                locks.push(dir);
                let entry = self.entry(dir, IN_DELETE, 0, name, ino);
                self.unplace(dir, name);
                told.extend(self.lose(ino));
                told.push_back(entry);
            }
            Op::Rename(from, to) | Op::Exchange(from, to) => {
                let exchange = matches!(op, Op::Exchange(..));
                self.rename(from, to, exchange, &mut locks, &mut told)?;
            }
            Op::Hold(path) => {
                let ino = self.resolve(path)?;
                self.inodes[ino].handles += 1;
                self.held.push_back(ino);
            }
            Op::Release => {
                let ino = self.held.pop_front().ok_or(Errno(libc::EBADF))?;
                self.closed.borrow_mut().push((ino, false));
            }
            Op::Write(path) | Op::Chmod(path, _) => {
                let (dir, name) = self.parent(path)?;
                let ino = self.lookup(dir, name)?;
                if self.target(ino).is_some() {
                    // It would be what it leads to.
                    return error(libc::ELOOP);
                }
                if let Op::Chmod(_, mode) = op {
                    // notify_change (fs/attr.c) is called with the inode's lock.
                    self.wait_for(ino);
                    locks.push(ino);
                    self.inodes[ino].mode = *mode;
                }
                let mask = match op {
                    Op::Write(_) if self.is_dir(ino) => return error(libc::EISDIR),
                    Op::Write(_) => IN_MODIFY,
                    _ => IN_ATTRIB,
                };
                self.inodes[ino].versions[usize::from(mask == IN_ATTRIB)] += 1;
                if self.is_dir(ino) {
                    told.push_back(Telling::Inner(ino, mask | IN_ISDIR));
                    told.push_back(Telling::Own(ino, mask | IN_ISDIR));
                } else {
                    told.push_back(self.entry(dir, mask, 0, name, ino));
                    told.push_back(Telling::Own(ino, mask));
                }
            }
        }
        self.serial += 1;
        self.flights.push(Flight { serial: self.serial, locks, tellings: told });
        Ok(())
    }

    /// Changes the tree and lands all events of it.
    pub fn run(&mut self, op: &Op) -> Result<(), Errno> {
        self.begin(op)?;
        let serial = self.serial;
        while let Some(at) = self.flights.iter().position(|flight| flight.serial == serial) {
            self.land(at);
        }
        Ok(())
    }

    fn rename(
        &mut self,
        from: &[u8],
        to: &[u8],
        exchange: bool,
        locks: &mut Vec<Ino>,
        told: &mut VecDeque<Telling>,
    ) -> Result<(), Errno> {
        let ((dir_a, a), (dir_b, b)) = (self.parent(from)?, self.parent(to)?);
        let source = self.lookup(dir_a, a)?;
        let target = self.lookup(dir_b, b).ok();
        if target == Some(source) {
            // The same file, perhaps under two names: nothing happens.
            return Ok(());
        }
        let inside = |child: Ino, of: Ino| self.is_inside(child, of);
        if inside(dir_b, source) || target.is_some_and(|target| inside(dir_a, target)) {
            return error(libc::EINVAL);
        }
        if exchange && target.is_none() {
            return error(libc::ENOENT);
        }
        if let (Some(target), false) = (target, exchange) {
            match (self.is_dir(source), self.is_dir(target)) {
                (true, false) => return error(libc::ENOTDIR),
                (false, true) => return error(libc::EISDIR),
                (true, true) if !self.entries(target)?.is_empty() => {
                    return error(libc::ENOTEMPTY);
                }
                _ => {}
            }
        }
        // The source's lock is not taken for a directory that keeps its parent (fs/namei.c,
        // vfs_rename).
        let moves = (dir_a != dir_b || !self.is_dir(source)).then_some(source);
        for ino in [dir_a, dir_b].into_iter().chain(target).chain(moves) {
            self.wait_for(ino);
        }
        locks.extend([dir_a, dir_b]);
        self.unplace(dir_a, a);
        if target.is_some() {
            self.unplace(dir_b, b);
        }
        self.place(dir_b, b, source);
        self.cookie += 1;
        told.push_back(self.entry(dir_a, IN_MOVED_FROM, self.cookie, a, source));
        told.push_back(self.entry(dir_b, IN_MOVED_TO, self.cookie, b, source));
        match target {
            Some(target) if exchange => {
                self.place(dir_a, a, target);
                told.push_back(Telling::Own(source, IN_MOVE_SELF));
                self.cookie += 1;
                told.push_back(self.entry(dir_b, IN_MOVED_FROM, self.cookie, b, target));
                told.push_back(self.entry(dir_a, IN_MOVED_TO, self.cookie, a, target));
                told.push_back(Telling::Own(target, IN_MOVE_SELF));
            }
            Some(target) => {
                let is_dir = if self.is_dir(target) { IN_ISDIR } else { 0 };
                told.push_back(Telling::Own(target, IN_ATTRIB | is_dir));
                told.push_back(Telling::Own(source, IN_MOVE_SELF));
                let lost = self.lose(target);
                told.extend(lost.into_iter().filter(|told| matches!(told, Telling::Gone(_))));
            }
            None => told.push_back(Telling::Own(source, IN_MOVE_SELF)),
        }
        Ok(())
    }

    /// Lands the next event of an operation under way. False if there is none.
    pub fn land(&mut self, which: usize) -> bool {
        self.close_handles();
        if self.flights.is_empty() {
            return false;
        }
        let which = which % self.flights.len();
        match self.flights[which].tellings.pop_front() {
            Some(Telling::Entry(dir, mask, cookie, name)) => self.tell(dir, mask, cookie, &name),
            Some(Telling::Inner(ino, mask)) => {
                if let Some((dir, name)) = self.inodes[ino].place.clone() {
                    self.tell(dir, mask, 0, &name);
                }
            }
            Some(Telling::Own(ino, mask)) => self.tell(ino, mask, 0, b""),
            Some(Telling::Gone(ino)) => {
                self.inodes[ino].gone = true;
                self.end(ino);
            }
            None => {}
        }
        if self.flights[which].tellings.is_empty() {
            self.flights.remove(which);
        }
        true
    }

    /// Waits for the operations that hold the lock of a directory.
    pub fn wait_for(&mut self, dir: Ino) {
        while let Some(at) = self.flights.iter().position(|flight| flight.locks.contains(&dir)) {
            self.land(at);
        }
    }

    fn is_inside(&self, mut ino: Ino, of: Ino) -> bool {
        loop {
            if ino == of {
                return true;
            }
            match &self.inodes[ino].place {
                Some((parent, _)) => ino = *parent,
                None => return false,
            }
        }
    }

    fn entry(&self, dir: Ino, mask: u32, cookie: u32, name: &[u8], ino: Ino) -> Telling {
        let is_dir = if self.is_dir(ino) { IN_ISDIR } else { 0 };
        Telling::Entry(dir, mask | is_dir, cookie, name.to_vec())
    }

    fn place(&mut self, dir: Ino, name: &[u8], ino: Ino) {
        self.serial += 1;
        let serial = self.serial;
        if let Some(entries) = &mut self.inodes[dir].entries {
            entries.insert(name.to_vec(), (ino, serial));
        }
        if self.is_dir(ino) {
            self.inodes[ino].place = Some((dir, name.to_vec()));
        }
    }

    fn unplace(&mut self, dir: Ino, name: &[u8]) {
        let removed = self.inodes[dir].entries.as_mut().and_then(|entries| entries.remove(name));
        if let Some((ino, _)) = removed {
            self.inodes[ino].place = None;
        }
    }

    /// What an inode is told when it loses a name.
    fn lose(&mut self, ino: Ino) -> Vec<Telling> {
        let inode = &mut self.inodes[ino];
        if inode.entries.is_some() {
            return vec![Telling::Gone(ino)];
        }
        inode.links -= 1;
        let last = inode.links == 0;
        let mut told = vec![Telling::Own(ino, IN_ATTRIB)];
        if last {
            told.push(Telling::Gone(ino));
        }
        told
    }

    /// The end of an inode, if nobody has it open.
    pub(super) fn end(&mut self, ino: Ino) {
        if self.inodes[ino].handles > 0 {
            return;
        }
        self.inodes[ino].gone = false;
        self.tell(ino, IN_DELETE_SELF, 0, b"");
        if let Some(mark) = self.marks.get(&ino) {
            self.unmark(mark.wd);
        }
    }
}
