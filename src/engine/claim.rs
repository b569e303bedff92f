//! A wd is found for a node: whether it is of that entry the queue has to show.

use super::Engine;
use super::names::Name;
use super::tree::{Flags, Marks, NONE, NodeId};
use super::world::World;
use crate::sys::Errno;

use libc::{
    IN_CREATE, IN_DELETE, IN_DONT_FOLLOW, IN_MASK_ADD, IN_MOVED_FROM, IN_MOVED_TO, IN_ONLYDIR,
};

/// What tells of all that comes to a directory and goes.
const COMES_AND_GOES: u32 = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
/// Directories whose past is waited for, at the most: each puts an event into the queue.
const JOINS: usize = 2048;

impl<W: World> Engine<W> {
    /// What the kernel is asked for at a node. Bits are only ever added: others may share the wd.
    pub(super) fn wanted(&self, number: u32, node: NodeId) -> u32 {
        let Some(watch) = self.watch(number) else {
            return 0;
        };
        let bits = self.gaps.bits(node) | IN_MASK_ADD | IN_ONLYDIR;
        if self.tree.has(node, Flags::ROOT) {
            watch.root_mask() | bits
        } else {
            watch.inner_mask() | bits | IN_DONT_FOLLOW
        }
    }

    /// What the watch of a node wants there.
    pub(super) fn base_mask(&self, node: NodeId) -> u32 {
        let watch = self.watch_of(node).and_then(|number| self.watch(number));
        watch.map_or(0, |watch| {
            if self.tree.has(node, Flags::ROOT) { watch.root_mask() } else { watch.inner_mask() }
        })
    }

    /// Watches a subdirectory by its name. False if it needs no listing: it has no subdirectory,
    /// and nobody asks for its files. (Read after the watch stands, so a subdirectory made since
    /// is told by the queue; fs/ext4, fs/xfs and mm/shmem count subdirectories as links.)
    pub(super) fn claim_by_name(
        &mut self,
        number: u32,
        at: usize,
        node: NodeId,
        tag: u32,
    ) -> Result<bool, Errno> {
        let name = Name::new(self.tree.name(node));
        let wanted = self.wanted(number, node);
        let (_, parent) = &self.open[at];
        let wd = self.world.add(parent, name.get(), wanted)?;
        self.adopt(number, node, wd);
        if self.tree.has(node, Flags::UNLISTED) {
            self.push_window(node, tag);
            return Ok(false);
        }
        let (_, parent) = &self.open[at];
        let bare = !self.tree.has_children(node);
        if bare && self.world.links_of(parent, name.get()) == Ok(2) {
            self.tree.unmark(node, Marks::STALE);
            self.push_window(node, tag);
            return Ok(false);
        }
        Ok(true)
    }

    /// A wd was found for a node.
    pub(super) fn adopt(&mut self, number: u32, node: NodeId, wd: i32) {
        let parent = self.tree.node(node).parent;
        let mut dormant = parent != NONE && self.tree.has(parent, Flags::DORMANT);
        let mut unlisted = false;
        // Another watch had it, whatever that asked for.
        let mut had = false;
        let mut others = Vec::new();
        if wd <= self.max_wd {
            self.wds.all(&self.tree, wd, &mut others);
        }
        others.retain(|&other| {
            let lives = self.watch_of(other).is_some();
            if !lives {
                // Let go, but the kernel watch is still there: it is ours now.
                self.wds.remove(&mut self.tree, other);
                (dormant, had) = (true, true);
            }
            lives
        });
        for &other in &others {
            if self.watch_of(other) == Some(number) {
                (dormant, unlisted) = (true, true);
            } else if wd < self.young_from || !self.same_place(node, other) {
                dormant = true;
            }
        }
        if wd <= self.max_wd && others.is_empty() && wd < self.young_from {
            // A directory that the queue said is deleted, or one that was just let go.
            dormant = true;
        }
        // Its events from before it was to be removed can still come.
        let unwanted = self.wds.spare(wd);
        let told = |&other: &NodeId| self.base_mask(other) & COMES_AND_GOES == COMES_AND_GOES;
        let narrow = if others.is_empty() {
            (parent == NONE || had || unwanted) && wd <= self.max_wd
        } else {
            // One that has joined itself is whole only since then.
            !others.iter().any(|other| told(other) && !self.is_past(*other))
        };
        dormant |= unwanted;
        self.max_wd = self.max_wd.max(wd);
        self.wds.add(&mut self.tree, wd, node);
        self.set_placed(node);
        let mut flags = Flags::CLAIM;
        if parent == NONE {
            // A root is what its path led to when it was watched: nothing to be settled but events
            // of another watch's past.
            let past = !others.is_empty() || unwanted || (dormant && self.follows_name(number));
            flags = if past { Flags::CLAIM | Flags::DORMANT } else { Flags::empty() };
        } else if unlisted {
            flags |= Flags::UNLISTED;
        } else if dormant {
            flags |= Flags::DORMANT;
        }
        self.tree.clear(node, Flags::PROVEN);
        self.tree.set(node, flags);
        self.note_lookup(parent);
        // What is compared is watched for all of it, or will be again.
        // But not what a name leads to now, for that is none of what was there before.
        let follows = parent == NONE && self.follows_name(number);
        let lost = !follows && (self.resync.is_some() || self.comparison(number).is_some());
        if narrow
            && !unlisted
            && !lost
            && self.joins.len() < JOINS.min((self.world.queue_limit() / 8).max(16))
        {
            let seq = self.poke();
            self.joins.push((node, seq));
        }
        if let Some(watch) = self.watch_mut(number) {
            watch.directories += 1;
            watch.untouched |= parent == NONE;
        }
    }

    /// Is what the queue has of a directory older than what is known of it? It was watched before, but not
    /// for all that comes and goes, so its events make no sense without what was not asked for. What a
    /// listing finds later is newer than all of them.
    pub(super) fn is_past(&self, node: NodeId) -> bool {
        self.joins.iter().any(|&(joined, seq)| joined == node && self.seen < seq)
    }

    /// Was it watched for less before, and the queue has not caught up with the mark of that yet?
    pub(super) fn joined(&self, node: NodeId) -> bool {
        self.joins.iter().any(|&(joined, _)| joined == node)
    }

    /// Two nodes of different watches for one entry of one directory.
    pub(super) fn same_place(&self, a: NodeId, b: NodeId) -> bool {
        let (pa, pb) = (self.tree.node(a).parent, self.tree.node(b).parent);
        pa != NONE
            && pb != NONE
            && self.tree.node(pa).wd == self.tree.node(pb).wd
            && self.tree.name(a) == self.tree.name(b)
    }

    /// A wd that was found is of no use: if nobody has it, it goes.
    pub(super) fn refuse(&mut self, wd: i32) {
        if self.wds.get(wd).is_none() {
            self.unwanted(wd);
            self.max_wd = self.max_wd.max(wd);
        }
    }

    /// Takes the wd from a node, and from the kernel if nobody else has it.
    pub(super) fn unwatch(&mut self, node: NodeId) {
        self.release_wd(node);
        self.tree.clear(node, Flags::CLAIM | Flags::PROVEN | Flags::DORMANT);
    }
}
