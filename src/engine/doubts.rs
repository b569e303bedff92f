//! What is certain after a loss of events, and what is not: where a directory is, and whether the
//! consumer was told of an entry.

use super::input::Raw;
use super::mask::DIRENT;
use super::tree::{Flags, Marks, NONE, NodeId};
use super::watches::{Watch, WatchFlags};
use super::world::World;
use super::{Batch, Engine};

use libc::{IN_CREATE, IN_DELETE, IN_ISDIR, IN_MOVED_FROM, IN_MOVED_TO};

impl<W: World> Engine<W> {
    /// A directory is where it is believed to be, now. That is certain only as long as the events
    /// count that would tell that it moves: those of the directory above.
    pub(super) fn set_placed(&mut self, node: NodeId) {
        let parent = self.tree.node(node).parent;
        let certain = parent == NONE || self.is_placed(parent);
        let Some(placed) = &mut self.placed else { return };
        let at = node as usize / 64;
        if at >= placed.len() {
            placed.resize(at + 1, 0);
        }
        let bit = 1 << (node % 64);
        placed[at] &= !bit;
        if certain {
            placed[at] |= bit;
        }
    }

    /// Is it? If events were lost, that has to be shown first: the path of an event could be wrong.
    pub(super) fn is_placed(&self, node: NodeId) -> bool {
        if self.resync.is_some() {
            return false;
        }
        let bit = |bits: &u64| bits & 1 << (node % 64) != 0;
        let is = |placed: &Vec<u64>| placed.get(node as usize / 64).is_some_and(bit);
        self.placed.as_ref().is_none_or(is)
    }

    /// Where the comparison has found directories again the queue can still tell that they come: until
    /// then they were elsewhere, and so was what the queue tells of them. They are compared once more.
    #[cold]
    pub(super) fn foresee(&mut self, from: usize) {
        let Some(tag) = self.rescan.filter(|_| self.resync.is_none()) else { return };
        let (mut come, mut dirs) = (Vec::new(), Vec::new());
        for raw in self.input.from(from) {
            if raw.mask & (IN_MOVED_TO | IN_ISDIR) != IN_MOVED_TO | IN_ISDIR {
                continue;
            }
            self.wds.all(&self.tree, raw.wd, &mut dirs);
            for &dir in &dirs {
                if self.comparison_of(dir).is_some()
                    && let Some(child) = self.tree.dir(dir, self.input.name(&raw))
                    && self.tree.node(child).wd != 0
                    && self.is_placed(child)
                {
                    come.push(child);
                }
            }
        }
        for &child in &come {
            // One that comes more than once, or below another one, is not walked again; and what was
            // found there, and is not told yet, has gone with that.
            if self.watch_of(child).is_none() || !self.is_placed(child) {
                continue;
            }
            // With all that was found below.
            self.compare_later(child);
            self.compare_below(child, tag);
            let mut stack = vec![child];
            while let Some(node) = stack.pop() {
                let bits = self.placed.as_mut().and_then(|bits| bits.get_mut(node as usize / 64));
                if let Some(bits) = bits {
                    *bits &= !(1 << (node % 64));
                }
                self.tree.clear(node, Flags::WINDOW);
                let mut below = self.tree.first_dir(node);
                while below != NONE {
                    stack.push(below);
                    below = self.tree.next(below);
                }
            }
        }
        if !come.is_empty() {
            self.retain_windows(&mut |engine, window| engine.tree.has(window.node, Flags::WINDOW));
        }
    }

    /// The tag of the comparison, if the watch takes part in it: one that was made since has lost nothing.
    pub(super) fn comparison(&self, number: u32) -> Option<u32> {
        self.rescan.filter(|_| self.watch(number).is_some_and(|watch| watch.rescanning))
    }

    /// The same of a node's watch.
    pub(super) fn comparison_of(&self, node: NodeId) -> Option<u32> {
        self.rescan?;
        self.watch_of(node).and_then(|number| self.comparison(number))
    }

    /// Can the wd of a directory be of another one? Then what the queue says of the wd says nothing of
    /// what stands at the directory's name.
    pub(super) fn is_doubtful(&self, number: u32, node: NodeId) -> bool {
        self.comparison(number).is_some() || !self.is_placed(node)
    }

    /// Are all directories where they are believed to be? After a comparison those are not that are
    /// below what could not be reached, searched or listed: nothing is told of them until it can be.
    pub(super) fn all_placed(&mut self) {
        let busy = self.rescan.is_some() || self.resync.is_some() || !self.open_tasks.is_empty();
        if busy || !std::mem::take(&mut self.unplaced) {
            return;
        }
        let open = |&node: &NodeId| {
            self.tree.marks(node).contains(Marks::STALE)
                || (self.tree.node(node).wd != 0 && !self.is_placed(node))
        };
        if !self.gaps.at.keys().any(open) {
            self.placed = None;
        }
    }

    /// Can what is believed of a directory be wrong? After a loss of events, until it was compared.
    pub(super) fn doubts(&self, dir: NodeId) -> bool {
        self.comparison_of(dir).is_some()
            || self.tree.marks(dir).contains(Marks::STALE)
            || (!self.gaps.late.is_empty() && self.gaps.late.contains(&dir))
    }

    /// Can an event of a directory be about what was never told? After the comparison only if it is the
    /// end of a subdirectory, in one that had none by the number of its links. That was not listed, nor
    /// was its lock waited for, so an end can have been under way: the first thing that is told of it.
    pub(super) fn suspects(&mut self, dir: NodeId, mask: u32) -> bool {
        if self.doubts(dir) {
            return true;
        }
        let ends = mask & IN_ISDIR != 0 && mask & (IN_DELETE | IN_MOVED_FROM) != 0;
        mask & DIRENT != 0 && self.forget_leaf(dir) && ends
    }

    /// A directory was compared without being listed.
    pub(super) fn note_leaf(&mut self, node: NodeId) {
        let at = node as usize / 64;
        if at >= self.leaves.len() {
            self.leaves.resize(at + 1, 0);
        }
        self.leaves[at] |= 1 << (node % 64);
    }

    /// Was it? Not any more.
    pub(super) fn forget_leaf(&mut self, node: NodeId) -> bool {
        let bit = 1 << (node % 64);
        let bits = self.leaves.get_mut(node as usize / 64).filter(|bits| **bits & bit != 0);
        bits.map(|bits| *bits &= !bit).is_some()
    }

    /// The end of an entry was lost, or its beginning: is an event of this kind about something
    /// that the consumer knows? What it does not know it need not be told the end of.
    pub(super) fn believed(
        &mut self,
        batch: &mut Batch,
        number: u32,
        dir: NodeId,
        raw: &Raw,
        name: &[u8],
    ) -> bool {
        if raw.mask & (IN_CREATE | IN_MOVED_TO) != 0 || !self.live(number, dir) {
            return true;
        }
        let is_dir = raw.mask & IN_ISDIR != 0;
        let plain = Flags::PENDING | Flags::TOMB;
        let mut child = self.tree.child(dir, name);
        let told = child.filter(|&child| !self.tree.flags(child).intersects(plain));
        if let Some(told) = told {
            if !self.lost_kind(told, raw.mask) {
                return true;
            }
            if raw.mask & DIRENT == 0 {
                // A late one, of what had the name before.
                return false;
            }
            // Something else has had the name in between; a listing may have found it.
            self.tell_gone(batch, told);
            child = self.tree.child(dir, name);
        }
        let ends = raw.mask & (IN_DELETE | IN_MOVED_FROM) != 0;
        if ends && child.is_some() {
            // What a listing found of another kind came later: it does not show that this one was
            // told.
            child = self.known(dir, name, raw.mask);
        }
        let noting = self.tree.has(dir, Flags::NOTING);
        if noting || child.is_some() || !self.all_known(number, dir, is_dir) {
            return true;
        }
        if ends {
            self.leave_tomb(dir, name);
        }
        if raw.mask & IN_MOVED_FROM != 0 && self.is_young(dir) {
            self.ask_now(dir, name, raw.cookie);
        }
        false
    }

    /// The events of a directory count since a moment that the queue has not caught up with: the
    /// first of them can be the rear half of an exchange whose front half did not.
    pub(super) fn is_young(&self, dir: NodeId) -> bool {
        let open = Flags::CLAIM | Flags::TASK | Flags::LISTING | Flags::WINDOW;
        // A root is nobody's claim. One operation at a time can be under way in it.
        let untouched = |watch: &Watch| watch.untouched && watch.root == dir;
        let root = self.tree.has(dir, Flags::ROOT)
            && self.watch_of(dir).and_then(|number| self.watch(number)).is_some_and(untouched);
        let open = if root || self.doubts(dir) { open } else { Flags::CLAIM };
        self.tree.flags(dir).intersects(open)
    }

    /// Something has come or gone in a directory.
    pub(super) fn touch(&mut self, number: u32, dir: NodeId) {
        if self.tree.has(dir, Flags::ROOT)
            && let Some(watch) = self.watch_mut(number)
        {
            watch.untouched = false;
        }
    }

    /// Every entry of this kind has a node, so one without a node is one that was not told.
    pub(super) fn all_known(&self, number: u32, dir: NodeId, is_dir: bool) -> bool {
        let follows =
            self.watch(number).is_some_and(|watch| watch.flags.contains(WatchFlags::AUTO_ADD));
        self.tracks(number) || (is_dir && follows && !self.gaps.forgets(dir))
    }

    /// Is what is believed to be there of another kind? Then its end was lost.
    pub(super) fn lost_kind(&self, child: NodeId, mask: u32) -> bool {
        let dir = self.tree.node(child).parent;
        self.doubts(dir) && self.tree.has(child, Flags::DIR) != (mask & IN_ISDIR != 0)
    }

    /// Does a rename take away another entry than the one that is believed to be there, or one of
    /// which that is not certain? What the consumer has of it must not go along.
    pub(super) fn is_another(&self, child: NodeId, mask: u32) -> bool {
        let dir = self.tree.node(child).parent;
        if !self.doubts(dir) && !self.doubts(child) {
            return false;
        }
        let flags = self.tree.flags(child);
        let (told, is_dir) = (!flags.contains(Flags::PENDING), flags.contains(Flags::DIR));
        // What a comparison has found there, and that was watched before, can have come later: be it
        // that of the directory above, or its own.
        let own = Flags::LISTING | Flags::WINDOW;
        let found = self.tree.flags(dir).intersects(own | Flags::TASK) || flags.intersects(own);
        let ahead = found && self.is_placed(child) && !flags.contains(Flags::EXCLUDED);
        let unsure = told && is_dir && (ahead || !self.certain(child));
        unsure || self.lost_kind(child, mask)
    }

    /// The same for what is taken away by a rename.
    pub(super) fn unknown(
        &self,
        number: u32,
        dir: NodeId,
        child: Option<NodeId>,
        raw: u32,
    ) -> bool {
        self.doubts(dir)
            && child.is_none()
            && raw & IN_MOVED_FROM != 0
            && !self.tree.has(dir, Flags::NOTING)
            && self.all_known(number, dir, raw & IN_ISDIR != 0)
    }
}
