//! Directories that are not covered are tried again: as directories that are new.

use super::Engine;
use super::gaps::{Gap, sorted};
use super::tree::{Flags, Marks, NONE, NodeId};
use super::world::World;
use crate::sys::Errno;

/// So many watches given back make it worth to list a directory again while more is going on.
const ROOM: usize = 256;

impl<W: World> Engine<W> {
    /// A gap is tried again, as a directory that is new.
    pub(super) fn try_again(&mut self, node: NodeId, tag: u32) {
        let Some(gap) = self.gaps.at.get(&node) else {
            return;
        };
        let (number, again, unseen) = (gap.watch, gap.again, gap.unseen);
        if unseen {
            self.tree.mark(node, Marks::STALE);
        }
        if self.tree.node(node).wd == 0 && self.announces(number) && !again {
            self.tree.set(node, Flags::NOTING);
        }
        let tag = self.cancel_window(node).map_or(tag, |older| older.min(tag));
        if again {
            self.gaps.quiet.insert(node);
        }
        self.push_task_tagged(node, tag);
    }

    /// The same for many of them, in the order of their nodes.
    pub(super) fn try_all_again(&mut self, mut nodes: Vec<NodeId>) {
        // One that is covered is on its way to be told.
        nodes.retain(|&node| self.tree.has(node, Flags::UNCOVERED));
        if nodes.is_empty() {
            return;
        }
        // A tag of its own, to know when all that comes of it is told.
        self.tag += 1;
        let tag = self.tag;
        self.tag += 1;
        for node in sorted(nodes) {
            self.try_again(node, tag);
        }
    }

    /// The window of a directory is closed that was listed for what was left out of it, or compared.
    pub(super) fn end_quiet(&mut self, node: NodeId) {
        if !self.gaps.quiet.is_empty() && self.gaps.quiet.remove(&node) {
            // There may be something to be looked at in it.
            self.stale = true;
        }
        if !self.gaps.late.is_empty() {
            self.gaps.late.remove(&node);
        }
    }

    /// Everything that is not covered is tried again: asked for from outside.
    pub fn retry(&mut self) {
        let all = self.gaps.at.keys().copied().collect();
        self.try_all_again(all);
        self.seek_troubled();
        if self.has_work() {
            self.wake();
        }
    }

    /// Room that was given back is used for what was left out.
    pub(super) fn use_room(&mut self) {
        if !self.gaps.due() {
            self.gaps.room = 0;
            return;
        }
        let quiet = self.input.is_empty() && self.world.queued() == 0;
        let list_again = quiet || self.gaps.room >= ROOM;
        let mut again = Vec::new();
        // What was chosen before is not passed over each time: it can be as much as there is.
        let (mut passed, mut put_off) = (self.gaps.passed, u64::MAX);
        for &(serial, node) in self.gaps.left_out.range((passed, 0)..) {
            if again.len() >= self.gaps.room {
                break;
            }
            passed = serial + 1;
            let Some(gap) = self.gaps.at.get_mut(&node) else {
                continue;
            };
            let covered = !self.tree.has(node, Flags::UNCOVERED);
            if gap.owed || covered {
                continue;
            }
            if gap.again && !list_again {
                put_off = put_off.min(serial);
                continue;
            }
            gap.owed = true;
            again.push(node);
        }
        self.gaps.passed = passed.min(put_off);
        // What could not be used now can be when the queue is empty.
        self.gaps.room = if list_again { 0 } else { self.gaps.room - again.len() };
        for node in again {
            self.try_again(node, self.gaps.room_tag);
        }
    }

    /// More is left out than is remembered one by one: then it is its parent that is, and is listed
    /// again. A directory that is still to be told stays until then.
    pub(super) fn forget_left_out(&mut self, number: u32, node: NodeId) {
        let parent = self.tree.node(node).parent;
        let kept = self.gaps.left_out.len() <= self.gaps.most
            || parent == NONE
            || self.tree.has(parent, Flags::NOTING)
            || (self.gaps.unlisted(parent) && !self.gaps.is_filled(parent))
            || self.tracks(number)
            || self.tree.node(node).wd != 0
            || self.tree.has_children(node)
            || self.tree.flags(node).intersects(Flags::PENDING | Flags::TASK);
        if kept {
            return;
        }
        let Some(&Gap { errno, step, .. }) = self.gaps.at.get(&node) else {
            return;
        };
        self.list_later(number, parent, errno, step);
        self.drop_child(node);
    }

    /// A directory has subdirectories that were left out and are not remembered.
    pub(super) fn list_later(
        &mut self,
        number: u32,
        node: NodeId,
        errno: Errno,
        step: &'static str,
    ) {
        self.tree.set(node, Flags::UNCOVERED);
        let listed = self.gaps.is_filled(node);
        self.gaps.unfill(node);
        if let Some(gap) = self.gaps.at.get_mut(&node).filter(|_| !listed) {
            gap.owed = false;
            self.gaps.passed = self.gaps.passed.min(gap.serial);
            return;
        }
        self.enter(number, node, errno, step);
        if let Some(gap) = self.gaps.at.get_mut(&node) {
            gap.again = true;
        }
        self.note_coverage(number);
    }
}
