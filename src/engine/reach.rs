//! The way to a directory: by open directories and names, never by a path that a rename or a
//! symbolic link could lead elsewhere.

use super::Engine;
use super::scan::gone;
use super::tree::{Flags, NONE, NodeId};
use super::world::World;
use crate::sys::Errno;

use libc::{IN_DONT_FOLLOW, IN_MASK_ADD, IN_MOVE_SELF, IN_ONLYDIR};

/// Open directories kept while there is something to scan.
const OPEN: usize = 24;

impl<W: World> Engine<W> {
    pub(super) fn open_root(&mut self, number: u32) -> Result<W::Dir, Errno> {
        let Some(watch) = self.watch(number) else {
            return Err(Errno(libc::ENOENT));
        };
        let nofollow = watch.mask & IN_DONT_FOLLOW != 0;
        let (identity, root) = (watch.identity, watch.root);
        let path = watch.absolute.clone();
        let spelled = watch.path.clone();
        // Where the absolute path leads through what this process may not search, the caller's
        // spelling may still do, if the current directory is the same. Either way it is the same
        // directory or none: as long as it is watched, its inode number is nobody else's.
        let mut failure = Errno(libc::ESTALE);
        for path in [path, spelled] {
            match self.world.open(&path, nofollow) {
                Ok(dir) => match self.world.identity(&dir) {
                    Ok(is) if identity == Some(is) => return Ok(dir),
                    // It was not needed when the watch was made, and is learnt now.
                    Ok(is) if identity.is_none() => match self.verify_root(root, &dir) {
                        Ok(()) => {
                            if let Some(watch) = self.watch_mut(number) {
                                watch.identity = Some(is);
                            }
                            return Ok(dir);
                        }
                        Err(errno) => failure = errno,
                    },
                    Ok(_) => failure = Errno(libc::ESTALE),
                    Err(errno) => failure = errno,
                },
                Err(errno) => failure = errno,
            }
        }
        Err(failure)
    }

    /// Is it what a root watches?
    fn verify_root(&mut self, root: NodeId, dir: &W::Dir) -> Result<(), Errno> {
        match self.tree.node(root).wd {
            0 => Err(Errno(libc::ESTALE)),
            wd => self.verify(dir, wd),
        }
    }

    /// Reaches the directory of a watched node; returns its place in `open`. It is certainly that
    /// one: adding to its watch again gives the same wd.
    pub(super) fn open_dir(&mut self, node: NodeId) -> Result<usize, Errno> {
        let mut anchor = node;
        let mut below = Vec::new();
        let mut found;
        loop {
            // The newest is the one most often asked for.
            found = self.open.iter().rposition(|&(open, _)| open == anchor);
            if found.is_some() || self.tree.node(anchor).parent == NONE {
                break;
            }
            below.push(anchor);
            anchor = self.tree.node(anchor).parent;
        }
        let wd = self.tree.node(node).wd;
        if wd == 0 {
            return Err(Errno(libc::ENOENT));
        }
        let start = match found {
            Some(at) => at,
            None => {
                let number = self.watch_of(anchor).ok_or(Errno(libc::ENOENT))?;
                let dir = self.open_root(number)?;
                self.keep(anchor, dir)
            }
        };
        if below.is_empty() {
            return Ok(start);
        }
        let mut path = Vec::new();
        for &step in below.iter().rev() {
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(self.tree.name(step));
        }
        let (_, from) = &self.open[start];
        let dir = self.world.open_below(from, &path)?;
        self.verify(&dir, wd)?;
        Ok(self.keep(node, dir))
    }

    /// The same by another place of the directory, in another watch, if this one cannot be reached by it:
    /// to look what is in it.
    pub(super) fn open_anywhere(&mut self, node: NodeId) -> Result<usize, Errno> {
        let own = self.open_dir(node);
        if own.is_err_and(gone) && self.tree.has(node, Flags::ALIASED) {
            let mut nodes = Vec::new();
            self.wds.all(&self.tree, self.tree.node(node).wd, &mut nodes);
            for other in nodes {
                if other != node
                    && self.watch_of(other).is_some()
                    && let Ok(at) = self.open_dir(other)
                {
                    return Ok(at);
                }
            }
        }
        own
    }

    /// Is this open directory the one of the wd? Asked by adding a bit that its watch has already.
    pub(super) fn verify(&mut self, dir: &W::Dir, wd: i32) -> Result<(), Errno> {
        let is = self.world.add(dir, b".", IN_MOVE_SELF | IN_MASK_ADD | IN_ONLYDIR)?;
        if is == wd {
            return Ok(());
        }
        self.refuse(is);
        Err(Errno(libc::ESTALE))
    }

    pub(super) fn keep(&mut self, node: NodeId, dir: W::Dir) -> usize {
        if self.open.len() >= OPEN {
            let (old, dir) = self.open.remove(0);
            // What it was opened for must have been told; now, and it need not be reached again for that.
            if self.looked_up.contains(&old) && self.world.settle(&dir) {
                self.looked_up.retain(|&dir| dir != old);
            }
        }
        self.open.push((node, dir));
        self.open.len() - 1
    }

    /// A directory is not where it is believed to be, and nothing in the queue will say why: the
    /// nearest one above that is there is compared with what is believed. False if there is none.
    pub(super) fn compare_above(&mut self, node: NodeId, tag: u32) -> bool {
        let mut at = self.tree.node(node).parent;
        while at != NONE {
            if self.open_dir(at).is_ok() {
                self.compare_below(at, tag);
                return true;
            }
            at = self.tree.node(at).parent;
        }
        false
    }

    /// Nothing in the queue will say where the directories above this node are: the one whose name
    /// is no longer there is reached, and what is under way in it waited for.
    pub(super) fn lost(&mut self, node: NodeId) -> bool {
        let mut at = self.tree.node(node).parent;
        while at != NONE {
            if self.open_dir(at).is_ok() {
                self.wait_for(at);
                break;
            }
            at = self.tree.node(at).parent;
        }
        self.input.is_empty() && self.world.queued() == 0
    }
}
