//! Renames: what is taken away, and where it is put.

use super::input::Raw;
use super::names::Name;
use super::settle::NEWS;
use super::tree::{Flags, Marks, NONE, NodeId};
use super::world::World;
use super::{Batch, Engine};

use libc::{IN_ISDIR, IN_MOVED_FROM, IN_MOVED_TO};

/// Most first halves kept for entries whose second half may never come.
const HELD: usize = 1024;
/// Most texts that are kept to be used again.
const SPARE: usize = 64;

/// The first half of a rename: what was taken away, and is to be put somewhere.
pub(super) struct Held {
    pub(super) watch: u32,
    pub(super) cookie: u32,
    /// The directory it was in.
    pub(super) from: NodeId,
    pub(super) from_wd: i32,
    pub(super) name: Vec<u8>,
    /// The subtree that was taken out, or `NONE`.
    pub(super) node: NodeId,
    /// Its path, as it was told; empty if it was not told.
    pub(super) old: Vec<u8>,
    /// It may have changed while events were lost, and no comparison finds it any more.
    pub(super) unseen: bool,
}

impl Held {
    /// The same for another node of where it is put, without what was taken out.
    pub(super) fn twin(&self) -> Self {
        let (name, old) = (self.name.clone(), self.old.clone());
        Self { node: NONE, name, old, ..*self }
    }
}

impl<W: World> Engine<W> {
    /// MOVED_FROM: tells it, and takes the entry out of the tree.
    pub(super) fn take(
        &mut self,
        batch: &mut Batch,
        number: u32,
        from: NodeId,
        name: &[u8],
        mask: u32,
        cookie: u32,
    ) -> Held {
        let mut held = Held {
            watch: number,
            cookie,
            from,
            from_wd: self.tree.node(from).wd,
            name: self.text(name),
            node: NONE,
            old: Vec::new(),
            unseen: false,
        };
        let live = self.live(number, from);
        let mut child = self.known(from, name, mask);
        let mut ended = false;
        if live && let Some(other) = child.filter(|&child| self.is_another(child, mask)) {
            self.tell_gone(batch, other);
            child = self.known(from, name, mask);
            ended = child.is_none() && !self.doubts(from);
        }
        if live && !ended && !self.unknown(number, from, child, mask) {
            self.vouch_gone(batch, from, child, name, mask);
            self.tell(batch, from, Some(name), mask, cookie, 0, &[]);
            if self.approach(from) {
                held.old = self.text(&[]);
                held.old.extend_from_slice(&self.near.path);
                held.old.extend_from_slice(name);
            }
        }
        if let Some(child) = child {
            held.unseen = self.tracks(number) && self.may_have_changed(child);
            // A directory whose wd is gone, and that is still to be compared, has what the consumer
            // believes; unless it was left out, for then it has nothing.
            let marks = self.tree.marks(child) & (Marks::STALE | Marks::LEFT_OUT);
            let compared = marks == Marks::STALE && self.tree.has(child, Flags::DIR);
            let ours = self.tree.node(child).wd != 0
                || self.tree.flags(child).intersects(Flags::EXCLUDED | Flags::UNCOVERED)
                || compared;
            if live && self.certain(child) && ours {
                self.unsettle(child);
                self.tree.detach(child);
                self.forget_near();
                held.node = child;
            } else if live || !self.end_later(child) {
                // Whether the wd is of the entry that moves cannot be told: it is watched anew
                // where it arrives. Nothing of it has been told.
                self.drop_child(child);
            }
        }
        self.leave_tomb(from, name);
        held
    }

    /// Finds out what becomes of something that was taken out, and does it. `after` is the place
    /// in the buffer behind its MOVED_FROM.
    pub(super) fn place(&mut self, batch: &mut Batch, after: usize, mut held: Held) {
        if held.node == NONE {
            if held.old.is_empty() {
                self.let_go(held);
                return;
            }
            if self.held.len() >= HELD {
                let oldest = self.held.remove(0);
                self.let_go(oldest);
            }
            self.held.push(held);
            return;
        }
        // An ignored directory has no wd; its destination counts all the same.
        // And when events were lost, the wd may be of another.
        let wd = match self.tree.node(held.node).wd {
            0 => i32::MIN,
            _ if self.is_doubtful(held.watch, held.node) => i32::MIN,
            wd => wd,
        };
        if let Some(to) = self.destination(held.from, after, held.cookie, wd) {
            let number = held.watch;
            let mut nodes = Vec::new();
            self.wds.all(&self.tree, to.wd, &mut nodes);
            nodes.retain(|&node| self.watch_of(node) == Some(number));
            nodes.retain(|&node| self.is_placed(node) && !self.is_past(node));
            if let Some(&target) = nodes.first() {
                let name = Name::new(self.input.name(&to));
                for _ in &nodes {
                    self.done.push((held.cookie, IN_MOVED_TO, number));
                }
                if self.live(number, target) {
                    self.announce(batch, target);
                }
                self.expire(target, held.cookie);
                let twin = held.twin();
                self.arrive(batch, number, target, &to, name.get(), Some(held));
                for &other in &nodes[1..] {
                    // It can have gone with what the first one has taken the place of.
                    if self.tree.node(other).wd != to.wd {
                        continue;
                    }
                    self.arrive(batch, number, other, &to, name.get(), Some(twin.twin()));
                }
                return;
            }
            // Should the directory count when that is used, the entry has been found in it by then.
            self.done.push((held.cookie, IN_MOVED_TO, number));
        }
        // It left the tree; or it went to a directory that was not watched then, where a scan finds
        // it, as something new.
        let node = std::mem::replace(&mut held.node, NONE);
        self.doomed.push(node);
    }

    /// MOVED_TO: tells it, and puts what is held there. An exchange is told so that the consumer's
    /// rules come out right: what stood there is taken away first.
    pub(super) fn arrive(
        &mut self,
        batch: &mut Batch,
        number: u32,
        to: NodeId,
        raw: &Raw,
        name: &[u8],
        held: Option<Held>,
    ) {
        let mut asked = self.take_recheck(to, name);
        let other = self.exchanged(to, raw, name, held.as_ref(), &mut asked);
        if let Some(from) = &other
            && (asked || self.was_taken_for_gone(number, to, from.mask))
        {
            self.tell_found(batch, number, to, name, from.mask);
        }
        let other = other.map(|from| {
            self.done.push((from.cookie, IN_MOVED_FROM, number));
            (from.next, self.take(batch, number, to, name, from.mask, from.cookie))
        });
        self.put(batch, number, to, raw, name, held);
        if let Some((after, other)) = other {
            self.place(batch, after, other);
        }
    }

    /// What an exchange takes away was there. If it is a directory of which nothing is known where each
    /// one is, an exchange before was taken for a move and back: nothing showed more then.
    fn was_taken_for_gone(&self, number: u32, dir: NodeId, mask: u32) -> bool {
        mask & IN_ISDIR != 0
            && !self.doubts(dir)
            && !self.tree.has(dir, Flags::NOTING)
            && self.all_known(number, dir, true)
    }

    pub(super) fn put(
        &mut self,
        batch: &mut Batch,
        number: u32,
        to: NodeId,
        raw: &Raw,
        name: &[u8],
        held: Option<Held>,
    ) {
        let live = self.live(number, to);
        let (mut node, old, unseen) = match held {
            Some(Held { node, name, old, unseen, .. }) => {
                self.keep_text(name);
                (node, old, unseen)
            }
            None => (NONE, Vec::new(), false),
        };
        if node != NONE && !live {
            self.doomed.push(node);
            node = NONE;
        }
        if node == NONE {
            self.drop_claim(to, name);
            self.appear(number, to, name, raw.mask & IN_ISDIR != 0, live);
        } else {
            if let Some(replaced) = self.tree.child(to, name) {
                self.drop_child(replaced);
            }
            self.put_node(node, to, name);
            self.reconsider(number, node);
        }
        if live {
            self.tell(batch, to, Some(name), raw.mask, raw.cookie, 0, &old);
            self.tell_early(batch, number, to, raw, name);
            if unseen {
                self.tell_changed(batch, to, name, raw.mask & IN_ISDIR, raw.mask & IN_ISDIR == 0);
            }
        }
        self.keep_text(old);
    }

    /// What the queue had of an entry ahead of the event that brings it.
    pub(super) fn tell_early(
        &mut self,
        batch: &mut Batch,
        number: u32,
        dir: NodeId,
        raw: &Raw,
        name: &[u8],
    ) {
        let early = |&(at, of, _): &(usize, u32, u32)| (at, of) == (raw.at, number);
        while let Some(at) = self.ahead_of.iter().position(early) {
            let (_, _, mask) = self.ahead_of.remove(at);
            self.tell(batch, dir, Some(name), mask, 0, 0, &[]);
        }
    }

    /// Another directory has come under a name. What a listing found there may be the one that was replaced.
    fn drop_claim(&mut self, dir: NodeId, name: &[u8]) {
        let Some(child) = self.tree.child(dir, name) else { return };
        if self.tree.has(child, Flags::PENDING) && self.tree.node(child).wd != 0 {
            self.drop_child(child);
        }
    }

    /// A copy of a name or a path, in memory that was used before.
    fn text(&mut self, of: &[u8]) -> Vec<u8> {
        let mut text = self.spare.pop().unwrap_or_default();
        text.extend_from_slice(of);
        text
    }

    fn keep_text(&mut self, mut text: Vec<u8>) {
        if self.spare.len() < SPARE && text.capacity() != 0 {
            text.clear();
            self.spare.push(text);
        }
    }

    fn let_go(&mut self, held: Held) {
        self.keep_text(held.name);
        self.keep_text(held.old);
    }

    /// Puts a subtree back into the tree. If its window was still open it is listed again: the
    /// listing may be of another directory that had its old name.
    pub(super) fn put_node(&mut self, node: NodeId, parent: NodeId, name: &[u8]) {
        self.tree.attach(node, parent, name);
        self.out_of_doubt(node);
        self.tree.unmark(node, NEWS);
        self.forget_near();
        if let Some(tag) = self.comparison_of(node) {
            self.compare_below(node, tag);
        } else if self.tree.marks(node).contains(Marks::STALE) {
            // It was below what could not be searched.
            self.list_anew(node, self.tag);
        } else if self.tree.has(node, Flags::CLAIM) {
            self.drop_unsure(node);
            self.list_anew(node, self.tag);
        }
        self.gaps_moved(node);
        self.retry_blocked();
    }

    /// What an earlier listing has found in a directory, or missed, can be of another one.
    pub(super) fn drop_unsure(&mut self, dir: NodeId) {
        let mut child = self.tree.first(dir);
        while child != NONE {
            let next = self.tree.next(child);
            if self.tree.flags(child).intersects(Flags::PENDING | Flags::TOMB) {
                self.drop_child(child);
            }
            child = next;
        }
    }

    /// Something in this directory goes on, so a rename out of it is complete: the second half has
    /// been queued, or never will be, for the kernel holds the directory's lock between the two
    /// (fs/namei.c, vfs_rename).
    pub(super) fn expire(&mut self, node: NodeId, cookie: u32) {
        let over = |held: &Held| held.from == node && held.cookie != cookie;
        while let Some(at) = self.held.iter().position(over) {
            let held = self.held.remove(at);
            self.let_go(held);
        }
    }

    pub(super) fn told_ahead(&mut self, cookie: u32, kind: u32, number: u32) -> bool {
        let at = self.done.iter().position(|&done| done == (cookie, kind, number));
        at.map(|at| self.done.swap_remove(at)).is_some()
    }
}
