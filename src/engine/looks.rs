//! What the library's own looking puts into the queue, where a watch asks for IN_OPEN, IN_ACCESS or
//! IN_CLOSE_NOWRITE: dropped while the window of the directory is open, and never so much at once that
//! the queue is full of it.

use super::Engine;
use super::input::Raw;
use super::names::Name;
use super::tree::{Flags, Marks, NodeId};
use super::world::World;

use libc::IN_ISDIR;

/// What opening, listing and closing a directory causes.
pub(super) const LOOKED: u32 = libc::IN_OPEN | libc::IN_ACCESS | libc::IN_CLOSE_NOWRITE;

/// Opening and closing a directory is told by itself and by the one above, and so is each
/// getdents64(2).
const OPENING: usize = 4;
pub(super) const READING: usize = 2;
/// Fewest bytes of an event.
const EVENT: usize = 16;
/// Most bytes that are kept of what others do while a watch is being made.
const KEPT: usize = 1 << 20;

impl<W: World> Engine<W> {
    /// How many events of its own the next step may cause: no more than fill half of the queue.
    pub(super) fn count_looks(&mut self) {
        self.looks = usize::MAX;
        if self.looking {
            let half = self.world.queue_limit() / 2;
            let queued = match self.world.queued() {
                usize::MAX => half,
                bytes => bytes / EVENT,
            };
            // One directory at least, so that it goes on.
            self.looks = half.saturating_sub(queued).max(OPENING + READING);
        }
    }

    /// May the next directory be opened, or the next part of one be read?
    pub(super) fn can_look(&self) -> bool {
        self.looks >= READING + if self.listing.is_some() { 0 } else { OPENING }
    }

    pub(super) fn look_into(&mut self) {
        self.looks = self.looks.saturating_sub(OPENING);
    }

    /// Nobody may read while a call scans: makes room in the queue, if there is none, by reading what
    /// it has and dropping what the library looked at itself.
    pub(super) fn drop_looks(&mut self) {
        if self.can_look() {
            return;
        }
        while self.input.end() - self.input.position() < KEPT {
            let from = if self.input.is_empty() { 0 } else { self.input.end() };
            if !matches!(self.fill(), Ok(1..)) {
                break;
            }
            let mut input = std::mem::replace(&mut self.input, super::Input::none());
            input.retain(from, |raw, name| !self.is_own_look(raw, name));
            self.input = input;
        }
        if !self.input.is_empty() {
            self.wake();
        }
    }

    fn is_own_look(&self, raw: &Raw, name: &[u8]) -> bool {
        let looks = raw.mask & LOOKED != 0 && raw.mask & !(LOOKED | IN_ISDIR) == 0;
        looks && self.wds.get(raw.wd).is_some_and(|node| self.looked(node, raw, &Name::new(name)))
    }

    /// Was it the library that looked into a directory? While its window is open it did, for whichever
    /// watch; that nobody else did at the same time cannot be known.
    pub(super) fn looked(&self, node: NodeId, raw: &Raw, name: &Name) -> bool {
        let scanning = Flags::CLAIM | Flags::LISTING | Flags::WINDOW | Flags::TASK;
        let is = |node: NodeId| {
            let root = self.tree.has(node, Flags::ROOT) && !self.roots.is_empty();
            // Whether it was on the way to being listed when events were lost is forgotten.
            let again = root && self.watch_of(node).is_some_and(|of| self.roots.contains(&of));
            let stale = || self.tree.marks(node).contains(Marks::STALE) || !self.is_placed(node);
            let compared = || self.comparison_of(node).is_some() && stale();
            again || self.tree.flags(node).intersects(scanning) || compared()
        };
        let mut nodes = Vec::new();
        let mut any = |about: NodeId| {
            if is(about) || !self.tree.has(about, Flags::ALIASED) {
                return is(about);
            }
            self.wds.all(&self.tree, self.tree.node(about).wd, &mut nodes);
            nodes.iter().any(|&node| is(node))
        };
        if raw.name_len == 0 {
            return any(node);
        }
        if raw.mask & IN_ISDIR == 0 {
            return false;
        }
        // Another watch of the directory can look into what this one has no part in.
        let mut dirs = vec![node];
        if self.tree.has(node, Flags::ALIASED) {
            self.wds.all(&self.tree, raw.wd, &mut dirs);
        }
        if dirs.into_iter().filter_map(|dir| self.tree.dir(dir, name.get())).any(&mut any) {
            return true;
        }
        // Or it is the root of another watch.
        let called = |path: &[u8]| path.rsplit(|&b| b == b'/').next() == Some(name.get());
        let roots = self.watches.iter().flatten().filter(|watch| !watch.ended);
        roots.filter(|watch| called(&watch.absolute)).any(|watch| is(watch.root))
    }
}
