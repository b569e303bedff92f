//! Windows. A listing is a view of now, the queue is still in the past. So what a listing found is
//! kept until the queue has caught up with it: an event about a name in the meantime counts more
//! than the listing, and what no event spoke of has been there all along and is told then.

use super::tree::{Flags, Marks, NONE, NodeId};
use super::world::World;
use super::{Batch, Engine};

use libc::IN_ONESHOT;

/// What a comparison has found.
pub(super) const NEWS: Marks = Marks::CHANGED.union(Marks::ATTRIBUTES);
/// Windows that are worth a list of their own.
const MANY: usize = 1024;
/// Children looked at in one go.
const CHILDREN: usize = 1024;

/// A node whose claim or listing waits for the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) node: NodeId,
    /// The poke to wait for.
    pub(super) seq: u64,
    pub(super) tag: u32,
}

/// A window that is being told.
pub(super) struct Settling {
    pub(super) node: NodeId,
    pub(super) next: NodeId,
    pub(super) tag: u32,
}

impl<W: World> Engine<W> {
    /// A window opens for a node whose listing, or claim without listing, is complete.
    pub(super) fn push_window(&mut self, node: NodeId, tag: u32) {
        if !self.tree.has(node, Flags::WINDOW) {
            self.tree.set(node, Flags::WINDOW);
            self.unsealed.push(Window { node, seq: 0, tag });
        }
    }

    /// A node is to be listed anew: the window of the listing before says nothing any more, and what
    /// it has not told yet is left to the next one. Returns its tag, which the next one must have if
    /// barriers are to wait for all of it.
    pub(super) fn cancel_window(&mut self, node: NodeId) -> Option<u32> {
        let mut tag = None;
        if self.tree.has(node, Flags::WINDOW) {
            self.retain_windows(&mut |_, window| {
                if window.node == node {
                    tag = Some(window.tag);
                }
                window.node != node
            });
            self.tree.clear(node, Flags::WINDOW);
        }
        let settling = self.settling.take_if(|settling| settling.node == node);
        [tag, settling.map(|settling| settling.tag)].into_iter().flatten().min()
    }

    /// Takes windows out of the lists.
    pub(super) fn retain_windows(&mut self, keep: &mut dyn FnMut(&mut Self, &Window) -> bool) {
        let mut unsealed = std::mem::take(&mut self.unsealed);
        let mut early = std::mem::take(&mut self.early);
        let mut windows = std::mem::take(&mut self.windows);
        unsealed.retain(|window| keep(self, window));
        early.retain(|window| keep(self, window));
        windows.retain(|window| keep(self, window));
        (self.unsealed, self.early, self.windows) = (unsealed, early, windows);
        self.early_quiet = 0;
    }

    /// Puts a mark into the queue behind what the listings saw. With an empty queue, and all read
    /// events used, the queue has caught up already.
    pub(super) fn seal(&mut self) {
        // While events are being lost a mark would only make it worse.
        if self.unsealed.is_empty() || self.resync.is_some() {
            return;
        }
        // Windows before these that wait for a poke to come out keep their place.
        let waiting = self.windows.back().is_some_and(|window| window.seq > self.seen);
        let quiet = self.input.is_empty() && !waiting && self.world.queued() == 0;
        let seq = if quiet { self.seen } else { self.poke() };
        if quiet {
            // Of a watch that is being made what is below must not come to life ahead of what is above.
            for window in self.early.iter().skip(self.early_quiet) {
                if !self.tree.has(window.node, Flags::UNLISTED) {
                    self.tree.clear(window.node, Flags::DORMANT);
                }
            }
        }
        let mut unsealed = std::mem::take(&mut self.unsealed);
        unsealed.retain_mut(|window| {
            if quiet && self.tree.has(window.node, Flags::UNLISTED) {
                // Another place of a directory, for certain: it is listed now.
                self.tree.unlist(window.node, Flags::WINDOW);
                self.settle_claim(window.node);
                if !self.tree.has(window.node, Flags::DEAD) {
                    self.push_task_tagged(window.node, window.tag);
                }
                return false;
            }
            if quiet {
                // No event of a wd's past can be left.
                self.tree.clear(window.node, Flags::DORMANT);
            }
            if quiet && self.nothing_to_tell(window.node) {
                self.end_quiet(window.node);
                self.tree.clear(window.node, Flags::CLAIM | Flags::PROVEN | Flags::WINDOW);
                return false;
            }
            if self.watch_of(window.node).is_some_and(|number| self.is_building(number)) {
                // What it has to tell is told when the call that makes the watch has returned.
                self.early.push(*window);
                return false;
            }
            window.seq = seq;
            true
        });
        if quiet {
            self.early_quiet = self.early.len();
        }
        if self.windows.is_empty() && unsealed.len() > MANY {
            // Those of a whole tree are not copied.
            self.windows = unsealed.into();
        } else {
            self.windows.extend(unsealed.drain(..));
            self.unsealed = unsealed;
        }
    }

    /// A watch is made: its windows can be told.
    pub(super) fn open_early(&mut self) {
        let mut early = std::mem::take(&mut self.early);
        self.early_quiet = 0;
        early.retain(|&window| {
            let waits = self.watch_of(window.node).is_some_and(|number| self.is_building(number));
            if waits {
                self.early.push(window);
            }
            !waits
        });
        if self.unsealed.is_empty() {
            self.unsealed = early;
        } else {
            self.unsealed.append(&mut early);
        }
    }

    /// The queue has caught up with the claim of a wd.
    pub(super) fn settle_claim(&mut self, node: NodeId) {
        self.tree.clear(node, Flags::CLAIM | Flags::PROVEN | Flags::DORMANT);
    }

    /// What is above was claimed before, so the queue has caught up with that as well. Its own
    /// window can be a later one, because it was long in the listing or has been listed again; but
    /// what has been told of it now must not go without a word.
    fn caught_up_above(&self, node: NodeId) -> Vec<NodeId> {
        let mut above = Vec::new();
        let mut at = self.tree.node(node).parent;
        while at != NONE && self.tree.has(at, Flags::DORMANT) && !self.tree.has(at, Flags::UNLISTED)
        {
            above.push(at);
            at = self.tree.node(at).parent;
        }
        above
    }

    /// The window of this node can close without a word.
    fn nothing_to_tell(&self, node: NodeId) -> bool {
        let busy = Flags::NOTING
            .union(Flags::PENDING)
            .union(Flags::DORMANT)
            .union(Flags::TASK)
            .union(Flags::DEAD);
        !self.tree.flags(node).intersects(busy)
            && self.tree.first_dir(node) == NONE
            && self.tree.untold(node) == 0
    }

    /// Closes windows that the queue has caught up with. False if there is none.
    pub(super) fn settle_some(&mut self, batch: &mut Batch) -> bool {
        if self.settling.is_none() {
            match self.windows.front() {
                Some(window) if window.seq <= self.seen => {}
                _ => return false,
            }
            let Some(window) = self.windows.pop_front() else {
                return false;
            };
            self.tree.unlist(window.node, Flags::WINDOW);
            self.open_settling(batch, window);
            return true;
        }
        // It can have been let go since, with all below it.
        self.settling.take_if(|settling| self.tree.root_of(settling.node) == NONE);
        for _ in 0..CHILDREN {
            if self.full(batch) {
                break;
            }
            let Some(Settling { node, next, tag: _ }) = self.settling else {
                break;
            };
            if next == NONE {
                self.settling = None;
                self.settled(node);
                break;
            }
            let following = self.tree.next(next);
            if let Some(settling) = &mut self.settling {
                settling.next = following;
            }
            self.settle_child(batch, next);
        }
        true
    }

    fn open_settling(&mut self, batch: &mut Batch, window: Window) {
        let node = window.node;
        if self.tree.has(node, Flags::DEAD) || self.watch_of(node).is_none() {
            return;
        }
        let listed = self.tree.flags(node).intersects(Flags::TASK | Flags::LISTING);
        if listed && !self.is_vacant(node) {
            // It is to be listed: the window stays open until then.
            return;
        }
        let was = self.tree.flags(node);
        let above = self.caught_up_above(node);
        self.settle_claim(node);
        if was.contains(Flags::PENDING) {
            self.announce(batch, node);
        }
        for at in above {
            self.settle_claim(at);
        }
        if was.contains(Flags::UNLISTED) {
            // Another place of the same directory, in the same watch: it was not listed before
            // that was certain.
            self.push_task_tagged(node, window.tag);
            return;
        }
        self.tell_folded(batch, node);
        if was.contains(Flags::NOTING) || self.tree.first_dir(node) != NONE {
            let next = self.tree.first_dir(node);
            if next == NONE {
                self.settled(node);
            } else {
                self.settling = Some(Settling { node, next, tag: window.tag });
            }
        } else {
            self.end_quiet(node);
        }
    }

    /// All that a window had to tell has been told.
    fn settled(&mut self, node: NodeId) {
        self.end_quiet(node);
        if self.keeps_noting(node) {
            return;
        }
        self.tree.clear(node, Flags::NOTING);
        self.list_after_all(node);
        if self.gaps.left_out.len() > self.gaps.most
            && let Some(number) = self.watch_of(node)
        {
            let mut child = self.tree.first_dir(node);
            while child != NONE {
                let next = self.tree.next(child);
                if self.tree.has(child, Flags::UNCOVERED) {
                    self.forget_left_out(number, child);
                }
                child = next;
            }
        }
    }

    /// Tells what a listing found and that has no nodes; or gives it nodes, where more is to be done.
    fn tell_folded(&mut self, batch: &mut Batch, node: NodeId) {
        let count = self.tree.untold(node);
        let Some(number) = self.watch_of(node).filter(|_| count > 0) else {
            return;
        };
        let once = self.watch(number).is_none_or(|watch| watch.mask & IN_ONESHOT != 0);
        let room = self.limits.max_events.saturating_sub(batch.len());
        if once || count > room || self.keeps_noting(node) {
            self.tree.unfold(node);
            return;
        }
        self.tell_all_folded(batch, node, count);
        if self.tracks(number) {
            self.tree.told(node);
        } else {
            self.tree.drop_fold(node);
        }
    }

    /// It could not be listed: what was seen of it is kept in mind until it can be.
    pub(super) fn keeps_noting(&self, node: NodeId) -> bool {
        self.tree.has(node, Flags::UNCOVERED | Flags::NOTING) && self.gaps.unlisted(node)
    }

    fn settle_child(&mut self, batch: &mut Batch, child: NodeId) {
        let flags = self.tree.flags(child);
        if flags.contains(Flags::PENDING) && !flags.contains(Flags::DOUBT) {
            self.tell_pending(batch, child);
        }
        if flags.contains(Flags::DOUBT) || self.tree.marks(child).intersects(NEWS) {
            let dir = self.tree.node(child).parent;
            if self.settle_doubt(batch, dir, child) {
                return;
            }
        }
        self.settled_child(child);
    }

    /// All of a child has been told.
    pub(super) fn settled_child(&mut self, child: NodeId) {
        let flags = self.tree.flags(child);
        let keeps = self.keeps(child) || self.keeps_noting(self.tree.node(child).parent);
        if flags.contains(Flags::TOMB) || (!flags.contains(Flags::DIR) && !keeps) {
            // A tomb, or a file that was noted for as long as the window was open.
            self.drop_child(child);
        }
    }

    /// Are files remembered where this one is?
    fn keeps(&self, child: NodeId) -> bool {
        self.tracking && self.watch_of(child).is_some_and(|number| self.tracks(number))
    }

    /// A node goes: nothing may point to it any more.
    pub(super) fn unsettle(&mut self, node: NodeId) {
        if let Some(settling) = &mut self.settling {
            if settling.next == node {
                settling.next = self.tree.next(node);
            }
            if settling.node == node {
                self.settling = None;
            }
        }
        if let Some(listing) = &mut self.listing
            && listing.doubt == node
        {
            listing.doubt = self.tree.next(node);
        }
    }
}
