//! Directories that are not covered because of a mode, theirs or that of one above: the ATTRIB that
//! is told where the one in the way is an entry says when to try again. The kernel is asked for it
//! only there, and only as long as something waits.

use std::collections::HashSet;

use super::Engine;
use super::gaps::Blocker;
use super::tree::{Flags, NONE, NodeId};
use super::world::World;

use libc::{IN_ATTRIB, IN_DELETE_SELF, IN_MASK_ADD, IN_MOVE_SELF, IN_ONLYDIR};

/// So few directories that are not covered can all be looked at for each change of a mode.
const FEW: usize = 64;

impl<W: World> Engine<W> {
    /// Waits for the mode of the directory that is in the way. `opened`: it could be opened, so that
    /// its mode is not what keeps it from being listed.
    pub(super) fn block(&mut self, number: u32, node: NodeId, opened: bool) {
        let blocker = self.blocker_of(node);
        let parent = self.tree.node(blocker).parent;
        let anchor = if parent == NONE { blocker } else { parent };
        let known = self.gaps.blockers.get(&blocker);
        let known =
            known.is_some_and(|known| known.anchor == anchor && known.waiting.contains(&node));
        if known {
            // The mode can have changed back and again since it was asked for, which the queue tells.
            if anchor != blocker {
                return;
            }
            if let Some(follow) = self.followed(number) {
                follow.blocked = true;
            } else if self.watch(number).is_some_and(|watch| watch.way_short) {
                self.await_root_mode(number);
                if !opened && self.watch(number).is_some_and(|watch| !watch.way_short) {
                    // What changed before is not told.
                    self.try_again(node, self.tag);
                }
            }
            return;
        }
        self.unblock(node);
        if let Some(gap) = self.gaps.at.get_mut(&node) {
            gap.blocker = blocker;
        }
        if blocker != node {
            self.gaps.far.insert(node);
        }
        if self.gaps.blockers.get(&blocker).is_some_and(|known| known.anchor != anchor) {
            self.release_blocker(blocker);
        }
        let mut asked = true;
        let entry = self.gaps.blockers.entry(blocker);
        let entry = entry.or_insert_with(|| {
            asked = false;
            Blocker { anchor, waiting: HashSet::new() }
        });
        entry.waiting.insert(node);
        if !asked {
            *self.gaps.anchors.entry(anchor).or_insert(0) += 1;
            self.ask_attrib(number, anchor);
        }
        if anchor == blocker {
            self.await_root_mode(number);
        }
        // What changed before it was asked for is not told; and what was in the way may have been
        // something else, which is not any more.
        if !opened {
            self.try_again(node, self.tag);
        }
    }

    /// The directory nearest to the root that keeps this one from being covered.
    fn blocker_of(&mut self, node: NodeId) -> NodeId {
        let mut at = node;
        loop {
            let parent = self.tree.node(at).parent;
            if parent == NONE || self.searchable(parent) {
                return at;
            }
            at = parent;
        }
    }

    /// Can a directory be reached, and be searched? One that is open need not be searchable any
    /// more. Asked by adding a bit that its watch has.
    fn searchable(&mut self, node: NodeId) -> bool {
        let wd = self.tree.node(node).wd;
        let root = self.tree.has(node, Flags::ROOT);
        let bit = if root { IN_DELETE_SELF } else { IN_MOVE_SELF };
        let Ok(at) = self.open_dir(node) else {
            return false;
        };
        let (_, dir) = &self.open[at];
        match self.world.add(dir, b".", bit | IN_MASK_ADD | IN_ONLYDIR) {
            Ok(is) if is == wd => true,
            Ok(other) => {
                self.refuse(other);
                false
            }
            Err(_) => false,
        }
    }

    /// Asks the kernel for ATTRIB at a directory; again for each one in the way, as it can have been refused
    /// before.
    fn ask_attrib(&mut self, number: u32, anchor: NodeId) {
        if self.base_mask(anchor) & IN_ATTRIB != 0 {
            return;
        }
        let wd = self.tree.node(anchor).wd;
        let bits = IN_ATTRIB | IN_MASK_ADD;
        let got = match self.open_dir(anchor) {
            Ok(at) => {
                let (_, dir) = &self.open[at];
                self.world.add(dir, b".", bits | IN_ONLYDIR)
            }
            Err(errno) => Err(errno),
        };
        // A root that cannot be searched can still be watched by its path.
        let got = match (got, self.watch(number)) {
            (Err(_), Some(watch)) if self.tree.has(anchor, Flags::ROOT) => {
                let (path, follow) = (watch.absolute.clone(), watch.mask & libc::IN_DONT_FOLLOW);
                self.world.add_path(&path, bits | follow)
            }
            (got, _) => got,
        };
        if let Ok(other) = got
            && other != wd
        {
            self.refuse(other);
        }
    }

    /// A directory no longer waits for a mode.
    pub(super) fn unblock(&mut self, node: NodeId) {
        let Some(gap) = self.gaps.at.get_mut(&node) else {
            return;
        };
        let blocker = std::mem::replace(&mut gap.blocker, NONE);
        if blocker == NONE {
            return;
        }
        self.gaps.far.remove(&node);
        if let Some(known) = self.gaps.blockers.get_mut(&blocker) {
            known.waiting.remove(&node);
            if known.waiting.is_empty() {
                self.release_blocker(blocker);
            }
        }
    }

    /// Nothing waits for the mode of this directory where it was.
    pub(super) fn release_blocker(&mut self, blocker: NodeId) {
        let Some(known) = self.gaps.blockers.remove(&blocker) else {
            return;
        };
        for node in known.waiting {
            self.gaps.far.remove(&node);
            if let Some(gap) = self.gaps.at.get_mut(&node) {
                gap.blocker = NONE;
            }
        }
        let Some(count) = self.gaps.anchors.get_mut(&known.anchor) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            self.gaps.anchors.remove(&known.anchor);
        }
    }

    /// The attributes of a directory have changed, or those of an entry of it.
    pub(super) fn attributes_changed(&mut self, node: NodeId, name: &[u8]) {
        let at = if name.is_empty() { Some(node) } else { self.tree.child(node, name) };
        let Some(at) = at else { return };
        let mut again = Vec::new();
        if let Some(known) = self.gaps.blockers.get(&at) {
            again.extend(known.waiting.iter().copied());
        }
        if self.gaps.at.len() <= FEW {
            // A mode that changed twice can have been the wrong one to wait for.
            let below = |&gap: &NodeId| self.is_below(gap, at);
            again.extend(self.gaps.at.keys().copied().filter(below));
        }
        self.try_all_again(again);
    }

    /// A directory has moved in the tree: what is above it may no longer be in the way.
    pub(super) fn gaps_moved(&mut self, node: NodeId) {
        if self.gaps.at.is_empty() {
            return;
        }
        let mut again: Vec<_> = match self.gaps.blockers.get(&node) {
            Some(known) => known.waiting.iter().copied().collect(),
            None => Vec::new(),
        };
        if self.gaps.at.contains_key(&node) {
            again.push(node);
        }
        again.extend(self.gaps.far.iter().copied().filter(|&gap| self.is_below(gap, node)));
        for &gap in &again {
            self.unblock(gap);
        }
        self.try_all_again(again);
    }

    fn is_below(&self, node: NodeId, of: NodeId) -> bool {
        let mut at = node;
        while at != NONE && at != of {
            at = self.tree.node(at).parent;
        }
        at == of
    }
}
