//! What is let go: nodes, wds, the kernel's watches.

use std::collections::VecDeque;

use super::Engine;
use super::hidden::HIDDEN;
use super::scan::gone;
use super::tree::{Flags, NONE, NodeId};
use super::world::World;

/// Watches removed in one go.
const PORTION: usize = 1024;
/// Most of the queue that is reckoned with, in events.
const QUEUE: usize = 16384;
/// How often in a row nothing is removed.
const PASSED: u32 = 8;
/// Most bytes of an event without a name.
const EVENT: usize = 16;

/// What is to be freed, and to be removed from the kernel: what came first goes first, so that a
/// barrier has an end.
#[derive(Default)]
pub(super) struct Doomed {
    tops: VecDeque<NodeId>,
    /// The way to the node of the first of them that goes next.
    way: Vec<NodeId>,
    /// Those of them that have been found again since are not removed.
    wds: VecDeque<i32>,
    /// How many of each there ever were.
    let_go: Count,
    /// A removal has put an event into the queue, which nobody has read.
    echo: bool,
    /// How many more may do so before the queue is read.
    room: Option<usize>,
    /// Turns in which nothing was removed, because there was more to be read.
    passed: u32,
}

/// Subtrees, and wds.
#[derive(Clone, Copy, Default)]
pub(super) struct Count {
    tops: u64,
    wds: u64,
}

impl Doomed {
    pub(super) fn is_empty(&self) -> bool {
        self.tops.is_empty() && self.way.is_empty() && self.wds.is_empty()
    }

    /// A subtree was let go.
    pub(super) fn push(&mut self, top: NodeId) {
        self.let_go.tops += 1;
        self.tops.push_back(top);
    }

    fn push_wd(&mut self, wd: i32) {
        self.let_go.wds += 1;
        self.wds.push_back(wd);
    }

    /// What was let go so far.
    pub(super) fn let_go(&self) -> Count {
        self.let_go
    }

    /// Is it freed? What it had in wds is known then.
    pub(super) fn freed(&self, so_far: Count) -> bool {
        let left = self.tops.len() + usize::from(!self.way.is_empty());
        self.let_go.tops - left as u64 >= so_far.tops
    }

    /// Are its wds removed?
    pub(super) fn removed(&self, so_far: Count) -> bool {
        self.let_go.wds - self.wds.len() as u64 >= so_far.wds
    }

    /// The queue is not empty, for certain.
    pub(super) fn echoes(&self) -> bool {
        self.echo
    }
}

impl<W: World> Engine<W> {
    /// Frees subtrees that were let go, with their kernel watches. False when there is nothing to do,
    /// or nothing to be done before events have been read.
    pub fn doom(&mut self, budget: usize) -> bool {
        self.doomed.passed = PASSED;
        self.let_go_some(budget)
    }

    /// The same, unless there is much to be read first.
    pub(super) fn let_go_some(&mut self, mut budget: usize) -> bool {
        self.doomed.echo = false;
        if self.doomed.is_empty() {
            return false;
        }
        let mut had = !(self.doomed.tops.is_empty() && self.doomed.way.is_empty());
        while budget > 0 {
            let Some(&at) = self.doomed.way.last() else {
                let Some(top) = self.doomed.tops.pop_front() else { break };
                self.doomed.way.push(top);
                continue;
            };
            let first = self.tree.first_dir(at);
            if first == NONE {
                self.doomed.way.pop();
                budget -= 1;
                self.free_node(at);
            } else {
                self.doomed.way.push(first);
            }
        }
        had |= self.remove_some();
        if had && self.doomed.is_empty() {
            self.wds.shrink_if_empty();
            self.tree.shrink_if_empty();
        }
        if self.gaps.due() {
            self.wake();
        }
        had
    }

    /// Each watch that is removed says so with an event, and if the queue has no room for it all
    /// watches have an overflow to deal with: so no more than half of the queue is filled with that.
    fn remove_some(&mut self) -> bool {
        if self.doomed.wds.is_empty() {
            return false;
        }
        if self.input.was_full() && self.doomed.passed < PASSED {
            self.doomed.passed += 1;
            return false;
        }
        self.doomed.passed = 0;
        let room = self.doomed.room.unwrap_or_else(|| self.room_in_queue());
        let mut left = room.min(PORTION);
        while left > 0 {
            let Some(wd) = self.doomed.wds.pop_front() else { break };
            if self.wds.spare(wd) {
                left -= 1;
                self.remove_now(wd);
            }
        }
        let removed = room.min(PORTION) - left;
        self.doomed.room = Some(room - removed);
        removed > 0
    }

    /// How many events may be put into the queue. The kernel counts one by one what is there
    /// (fs/notify/inotify/inotify_user.c, inotify_ioctl), so this is asked once after each read, and
    /// a large queue is not used as such.
    fn room_in_queue(&mut self) -> usize {
        let half = self.world.queue_limit().min(QUEUE) / 2;
        match self.world.queued() {
            0 => half.max(1),
            // Not to be had: some, so that it ends.
            usize::MAX => half.clamp(1, 16),
            queued => half.saturating_sub(queued / EVENT),
        }
    }

    /// Events have been read.
    pub(super) fn queue_was_read(&mut self) {
        (self.doomed.echo, self.doomed.room) = (false, None);
    }

    fn remove_now(&mut self, wd: i32) {
        self.doomed.echo |= self.world.remove(wd);
        self.gave_back();
    }

    /// There is room for one more kernel watch.
    pub(super) fn gave_back(&mut self) {
        self.gaps.more_room(self.tag);
        self.room = true;
    }

    /// The kernel is not to watch this any more, and no node has it.
    pub(super) fn unwanted(&mut self, wd: i32) {
        if self.wds.doom(wd) {
            self.doomed.push_wd(wd);
        }
    }

    /// Takes the wd from a node: from the kernel, too, if nobody else has it. If somebody has, the
    /// kernel goes on telling what it was asked for: while inotify_add_watch(2) replaces a mask, the
    /// watch has none for a moment, and what happens then is lost (fs/notify/inotify/inotify_user.c,
    /// inotify_update_existing_watch, which clears the mask before it sets it).
    pub(super) fn release_wd(&mut self, node: NodeId) {
        let wd = self.tree.node(node).wd;
        if wd == 0 {
            return;
        }
        // What is followed by name must have a wd of its own each time that it is found: the
        // events of the one before are about another time, and there is only one to remove.
        let number = if self.tree.node(node).parent == NONE { self.watch_of(node) } else { None };
        let at_once = number.is_some_and(|number| number == HIDDEN || self.follows_name(number));
        if self.wds.release(&mut self.tree, node) {
            if !at_once {
                self.doomed.push_wd(wd);
            } else if self.wds.spare(wd) {
                self.remove_now(wd);
            }
        }
    }

    /// Asks for what could not be asked for where a directory was thought to be.
    pub(super) fn widen(&mut self) {
        for node in std::mem::take(&mut self.narrow) {
            let Some(number) = self.watch_of(node) else { continue };
            let mask = self.wanted(number, node);
            let asked = self.open_dir(node).and_then(|at| {
                let (_, dir) = &self.open[at];
                self.world.add(dir, b".", mask)
            });
            match asked {
                Ok(_) => {}
                Err(errno) if gone(errno) => self.narrow.push(node),
                Err(errno) => self.uncover(number, node, errno, "inotify_add_watch"),
            }
        }
    }

    /// Frees a node without children.
    pub(super) fn free_node(&mut self, node: NodeId) {
        self.unsettle(node);
        self.stop_listing(node);
        self.withdraw(node);
        self.release_wd(node);
        self.drop_gap(node);
        self.forget_leaf(node);
        self.joins.retain(|&(joined, _)| joined != node);
        self.relisted.remove(&node);
        self.to_relist.remove(&node);
        self.open.retain(|&(open, _)| open != node);
        self.narrow.retain(|&narrow| narrow != node);
        self.rechecks.retain(|asked| asked.dir != node);
        for held in self.held.iter_mut().filter(|held| held.from == node) {
            held.from = NONE;
        }
        if self.tree.has(node, Flags::DIR) {
            self.forget_near_of(node);
        }
        if self.tree.has(node, Flags::ROOT) {
            let number = self.tree.root_number(node) as usize;
            self.watches[number] = None;
        } else if self.tree.node(node).parent != NONE {
            self.tree.detach(node);
        }
        self.tree.free(node);
    }
}
