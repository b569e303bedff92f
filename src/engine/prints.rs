//! What is remembered of every entry of a watch that asked for it, in 12 bytes: enough to say after
//! a loss of events whether the entry is another one, or has changed.

use std::hash::{BuildHasher, RandomState};

use super::Engine;
use super::looks::LOOKED;
use super::names::Name;
use super::scan::gone;
use super::tree::{Flags, Marks, NodeId, fold};
use super::watches::WatchFlags;
use super::world::World;
use crate::sys::{Errno, Facts, Kind};

use libc::{IN_ATTRIB, IN_CLOSE_WRITE, IN_CREATE, IN_ISDIR, IN_MODIFY, IN_MOVED_TO};

/// Events after which an entry is no longer as it was remembered.
const CHANGES: u32 = IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_CREATE | IN_MOVED_TO;
/// Most entries that are known to have changed since they were looked at. One that is not among
/// them is only told once too often after a loss of events.
const DIRTY: usize = 4096;
/// Entries looked at again in one idle turn.
const AGAIN: usize = 64;

/// Hashes of inode number, content and attributes. (2 of 2^32 changes would pass unnoticed for
/// every 2^31 entries that change: less than a bit of memory fails.)
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Print {
    /// 0: not looked at.
    ino: u32,
    content: u32,
    attributes: u32,
}

impl Print {
    /// Bytes of one.
    pub const SIZE: usize = 12;

    pub(super) fn bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        let words = [self.ino, self.content, self.attributes];
        for (to, word) in bytes.chunks_exact_mut(4).zip(words) {
            to.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    /// From its bytes, and perhaps more behind them.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let word = |at| bytes.get(at..).and_then(|rest| rest.first_chunk().copied());
        let [ino, content, attributes] = [0, 4, 8].map(|at| word(at).map_or(0, u32::from_ne_bytes));
        Self { ino, content, attributes }
    }
}

/// How an entry differs from what is remembered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Change {
    None,
    /// Another inode.
    Replaced,
    Content,
    Attributes,
}

/// How they are made, and which are to be made again. The tree has them.
pub(super) struct Prints {
    dirty: Vec<NodeId>,
    // Keyed, so that nobody who sets sizes and times can choose two that look the same.
    keys: [u64; 2],
}

impl Default for Prints {
    fn default() -> Self {
        let state = RandomState::new();
        let keys = [0, 1].map(|number: u32| state.hash_one(number) | 1);
        Self { dirty: Vec::new(), keys }
    }
}

impl Prints {
    fn print(&self, facts: &Facts) -> Print {
        let [first, second] = self.keys;
        #[expect(clippy::cast_possible_truncation, reason = "any bits of a hash will do")]
        let hash = |a: u64, (seconds, nanos): (i64, i64)| {
            let time = fold(seconds.cast_unsigned() ^ first, nanos.cast_unsigned() ^ second);
            fold(a ^ first, time ^ second) as u32
        };
        let none = (0, 0);
        let owner = u64::from(facts.owner.0) << 32 | u64::from(facts.owner.1);
        let rights = fold(owner ^ first, u64::from(facts.mode) ^ second);
        let (content, attributes) = match facts.kind {
            // Its size and times change with its entries, which are told one by one.
            Kind::Directory => (0, hash(rights, none)),
            Kind::Other => (hash(facts.size, facts.mtime), hash(rights, facts.ctime)),
        };
        let ino = match facts.kind {
            // The wd says which directory it is.
            Kind::Directory => 1,
            Kind::Other => hash(facts.ino, none) | 1,
        };
        Print { ino, content, attributes }
    }

    pub(super) fn touch(&mut self, node: NodeId) {
        if self.dirty.len() < DIRTY && self.dirty.last() != Some(&node) {
            self.dirty.push(node);
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.dirty = Vec::new();
    }

    /// Bytes of memory held.
    pub(super) fn memory(&self) -> usize {
        self.dirty.capacity() * size_of::<NodeId>()
    }
}

impl<W: World> Engine<W> {
    /// All entries of this watch are remembered.
    pub(super) fn tracks(&self, number: u32) -> bool {
        self.tracking
            && self
                .watch(number)
                .is_some_and(|watch| watch.flags.contains(WatchFlags::TRACK_ENTRIES))
    }

    /// Is there a watch that wants entries to be remembered, or to be told of every look?
    pub(super) fn count_wishes(&mut self) {
        let watches = || self.watches.iter().flatten().filter(|watch| !watch.ended);
        let looking = watches().any(|watch| watch.mask & LOOKED != 0);
        if looking && !self.looking {
            // Closing them is not told yet.
            self.open.clear();
        }
        // What was once asked of the kernel it goes on telling.
        let looking = looking || (self.looking && watches().next().is_some());
        let tracking = watches().any(|watch| watch.flags.contains(WatchFlags::TRACK_ENTRIES));
        (self.looking, self.tracking) = (looking, tracking);
        if !tracking {
            self.prints.clear();
            self.tree.clear_prints();
        }
    }

    /// Nothing is remembered of this node yet.
    pub(super) fn unprint(&mut self, node: NodeId) {
        self.tree.set_print(node, Print::default());
        self.prints.touch(node);
    }

    /// The print of an entry, if it can be had.
    pub(super) fn print_of(&mut self, dir: &W::Dir, name: &[u8]) -> Option<Print> {
        let facts = self.world.facts_of(dir, name).ok()?;
        Some(self.prints.print(&facts))
    }

    /// Remembers what a listing found.
    pub(super) fn remember(&mut self, node: NodeId, dir: &W::Dir, name: &[u8]) {
        match self.print_of(dir, name) {
            Some(print) => self.tree.set_print(node, print),
            // It is gone again, or there is no right to look: as if it had changed.
            None => self.unprint(node),
        }
    }

    /// The same of what was told before: unless something is queued, as what is there now may not have been
    /// told, and can be lost still.
    pub(super) fn remember_told(&mut self, node: NodeId, dir: &W::Dir, name: &[u8]) {
        if self.relisted.is_empty() || (self.input.is_empty() && self.world.queued() == 0) {
            self.remember(node, dir, name);
        } else {
            self.unprint(node);
        }
    }

    /// How an entry differs from what is remembered; from then on it is remembered as it is, unless
    /// it is another one.
    pub(super) fn compare(
        &mut self,
        node: NodeId,
        dir: &W::Dir,
        name: &[u8],
    ) -> Result<Change, Errno> {
        let facts = match self.world.facts_of(dir, name) {
            Ok(facts) => facts,
            // It has gone since it was listed, which the queue tells.
            Err(errno) if gone(errno) => return Ok(Change::None),
            Err(errno) => return Err(errno),
        };
        let now = self.prints.print(&facts);
        let before = self.tree.print(node);
        if before.ino != 0 && before.ino != now.ino {
            return Ok(Change::Replaced);
        }
        self.tree.set_print(node, now);
        Ok(if before.ino == 0 {
            // It was told, and not looked at since.
            if facts.kind == Kind::Directory { Change::Attributes } else { Change::Content }
        } else if before.content != now.content {
            Change::Content
        } else if before.attributes != now.attributes {
            Change::Attributes
        } else {
            Change::None
        })
    }

    /// An event was told that changes an entry.
    pub(super) fn changed(&mut self, dir: NodeId, name: &[u8], mask: u32) {
        if mask & CHANGES == 0 {
            return;
        }
        let Some(child) = self.tree.child(dir, name) else { return };
        if self.tree.has(child, Flags::DIR) == (mask & IN_ISDIR != 0) {
            let told = if mask & IN_ATTRIB == 0 { Marks::CHANGED } else { Marks::ATTRIBUTES };
            self.tree.unmark(child, told);
        }
        if mask & (IN_ISDIR | IN_ATTRIB) == IN_ISDIR | IN_ATTRIB {
            // No time tells it from what it was before, should it be that again when it is compared.
            self.tree.set_print(child, Print::default());
        }
        self.prints.touch(child);
    }

    /// Nothing is going on: looks at entries that have changed, so that they are remembered as
    /// they have been told.
    pub(super) fn refresh(&mut self) {
        let mut left = self.limits.max_scan.max(AGAIN);
        while left >= AGAIN && self.refresh_some() {
            left -= AGAIN;
        }
    }

    /// Some of them. False if there is no more to do now.
    fn refresh_some(&mut self) -> bool {
        if self.prints.dirty.is_empty() || self.rescan.is_some() || self.resync.is_some() {
            return false;
        }
        if !self.input.is_empty() || self.world.queued() > 0 {
            return false;
        }
        let from = self.prints.dirty.len().saturating_sub(AGAIN);
        let some = self.prints.dirty.split_off(from);
        let mut fresh = Vec::with_capacity(some.len());
        for &node in &some {
            // A number can have been given to another node: that one is looked at, then.
            let passed = Flags::DEAD | Flags::ROOT | Flags::TOMB | Flags::PENDING;
            if !self.tree.exists(node) || self.tree.flags(node).intersects(passed) {
                continue;
            }
            if !self.watch_of(node).is_some_and(|number| self.tracks(number)) {
                continue;
            }
            let parent = self.tree.node(node).parent;
            if self.may_have_changed(node) || self.doubts(parent) {
                // It is compared with what was told before.
                continue;
            }
            let name = Name::new(self.tree.name(node));
            let Ok(at) = self.open_dir(parent) else { continue };
            let (_, dir) = &self.open[at];
            if let Ok(facts) = self.world.facts_of(dir, name.get())
                && self.tree.has(node, Flags::DIR) == (facts.kind == Kind::Directory)
            {
                fresh.push((node, self.prints.print(&facts)));
            }
        }
        self.open.clear();
        if self.world.queued() > 0 {
            // What was seen may not have been told yet.
            let room = DIRTY - self.prints.dirty.len();
            self.prints.dirty.extend(some.into_iter().take(room));
            return false;
        }
        for (node, print) in fresh {
            self.tree.set_print(node, print);
        }
        true
    }
}
