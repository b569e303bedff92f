//! After a loss of events. What the tree holds is what the consumer believes; what the kernel lost
//! can have made any of it wrong. So everything that was queued while events were lost is dropped
//! where a tree is concerned, and then the tree is compared with the real one: every directory is
//! listed again, in bounded steps, while new events are used as ever, and what differs is told.
//!
//! The queue says only that it was full, not when it had room again; but events are lost at most up
//! to the moment when the overflow is read, for a later loss puts a new overflow into the queue
//! (fs/notify/notification.c, fsnotify_insert_event). A poke made after that is the end of it.

use super::gaps::{Gap, sorted};
use super::tree::{Flags, Marks, NodeId};
use super::world::World;
use super::{Batch, Engine, Notice};
use crate::api::abi::{RINOTIFY_EVENT_RESCAN_BEGIN, RINOTIFY_EVENT_RESCAN_END};
use crate::engine::input::Raw;
use crate::engine::mask::SYNTHETIC;

use libc::{IN_DELETE_SELF, IN_DONT_FOLLOW, IN_IGNORED, IN_MASK_ADD, IN_Q_OVERFLOW};

impl<W: World> Engine<W> {
    /// The queue has lost events: every watch is told.
    pub(super) fn overflow(&mut self) {
        self.counters.overflows += 1;
        for number in 0..self.watches.len() {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            if self.watch(number).is_some_and(|watch| !watch.ended) {
                self.tell_loss(number);
            }
        }
        // Pokes may be lost as well, and older ones still come; so this one is of its own kind.
        self.mark_loss();
    }

    fn tell_loss(&mut self, number: u32) {
        let Some(tree) = self.watch(number).map(|watch| watch.holds_tree()) else { return };
        let flags = if tree { RINOTIFY_EVENT_RESCAN_BEGIN } else { 0 };
        self.notice_root(number, IN_Q_OVERFLOW, flags, false);
        self.alarmed = true;
        if let Some(watch) = self.watch_mut(number).filter(|_| tree) {
            watch.rescanning = true;
            self.note_coverage(number);
        }
    }

    /// Makes that poke. If it fails it is due.
    pub(super) fn mark_loss(&mut self) {
        match self.world.mark(self.loss()) {
            Ok(()) => {
                self.issued += 1;
                self.resync = Some(self.issued);
                self.unmarked = None;
            }
            Err(errno) => {
                self.resync = Some(u64::MAX);
                self.unmarked = Some(errno);
            }
        }
    }

    /// With an empty queue its mark must have come out. Were it dropped behind bytes that are no events, all
    /// would be waited for without an end.
    pub(super) fn mark_lost_again(&mut self) {
        let waits = self.resync.is_some() && self.unmarked.is_none() && self.input.is_empty();
        if waits && self.world.queued() == 0 {
            self.mark_loss();
        }
    }

    /// The poke file that marks the end of the latest loss. An older mark can still be on its way if
    /// two overflows were read at once.
    pub(super) fn loss(&self) -> usize {
        usize::from(self.counters.overflows % 2 == 1)
    }

    /// Queues an event about the root of a watch.
    fn notice_root(&mut self, number: u32, mask: u32, flags: u32, last: bool) {
        let Some(watch) = self.watch(number) else { return };
        let path = watch.path.clone();
        let name = path.len();
        if watch.building && mask & IN_Q_OVERFLOW != 0 {
            // Nothing is told of a watch that is being made: one loss is enough then, and its end
            // is that of the last.
            let of = |notice: &Notice| notice.watch == number;
            let ends = |notice: &Notice| notice.flags & RINOTIFY_EVENT_RESCAN_END != 0;
            self.notices.retain(|notice| !(of(notice) && ends(notice)));
            if self.notices.iter().any(|notice| of(notice) && notice.mask & mask != 0) {
                return;
            }
        }
        let (cookie, error, gap) = (0, 0, None);
        let notice = Notice { watch: number, mask, flags, cookie, error, path, name, last, gap };
        self.notices.push_back(notice);
    }

    /// No event has been lost since: the comparison can begin.
    pub(super) fn in_step(&mut self) {
        let seen = self.seen;
        self.seen = self.resync.take().unwrap_or(self.issued);
        self.held.clear();
        self.done.clear();
        self.exchanges.clear();
        self.abandon();
        self.gaps.retried = false;
        self.rescan = Some(self.tag);
        // The end waits for them, too.
        self.seek_all(seen);
        self.tag += 1;
        self.doubt_ways();
        self.roots.clear();
        self.placed = Some(Vec::new());
        self.leaves.clear();
        self.joins.clear();
        self.gaps.late.clear();
        for number in 0..self.watches.len() {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            let Some(watch) = self.watch(number).filter(|watch| !watch.ended) else { continue };
            // Of one that was made since, events that came before the mark were dropped, too.
            if watch.holds_tree() && !watch.rescanning {
                self.tell_loss(number);
            }
            self.roots.push(number);
        }
    }

    /// What was begun in a tree before events were lost is not to be gone on with: what a listing
    /// found may have moved out of the tree since, and nothing would say so. The comparison comes
    /// to all of it, from the root down.
    fn abandon(&mut self) {
        let compared = |engine: &Self, node: NodeId| {
            let watch = engine.watch_of(node).and_then(|number| engine.watch(number));
            watch.is_some_and(|watch| watch.holds_tree() && !watch.building)
        };
        if self.settling.as_ref().is_some_and(|settling| compared(self, settling.node)) {
            self.settling = None;
        }
        if let Some(node) = self.listing.as_ref().map(|listing| listing.node)
            && compared(self, node)
        {
            self.stop_listing(node);
        }
        self.retain_windows(&mut |engine, window| {
            let node = window.node;
            let goes = engine.tree.has(node, Flags::DEAD) || compared(engine, node);
            if goes {
                engine.tree.unlist(node, Flags::WINDOW);
            }
            !goes
        });
        let tasks = std::mem::take(&mut self.tasks);
        let blocked = std::mem::take(&mut self.blocked);
        for task in tasks.into_iter().chain(blocked) {
            if self.tree.has(task.node, Flags::DEAD) || compared(self, task.node) {
                self.count_task(task.tag, false);
                self.tree.unlist(task.node, Flags::TASK);
            } else {
                self.tasks.push_back(task);
            }
        }
        // What has forgotten something is still to be known as such.
        let forgets = |(&node, gap): (&NodeId, &Gap)| {
            (gap.again && gap.filled.is_some() && compared(self, node)).then_some(node)
        };
        let forgets: Vec<_> = self.gaps.at.iter().filter_map(forgets).collect();
        for node in forgets {
            self.gaps.unfill(node);
            self.gaps.quiet.remove(&node);
            self.tree.set(node, Flags::UNCOVERED);
        }
        let mut asked = std::mem::take(&mut self.rechecks);
        asked.retain_mut(|asked| {
            asked.open = true;
            !compared(self, asked.dir)
        });
        self.rechecks = asked;
    }

    /// Does an event count that is of a directory whose place is not certain? None does that is
    /// about the inside of a tree: the comparison will show what it told.
    pub(super) fn counts(
        &mut self,
        batch: &mut Batch,
        number: u32,
        node: NodeId,
        raw: &Raw,
    ) -> bool {
        let tree = self.watch(number).is_some_and(|watch| watch.holds_tree());
        if !tree || (raw.name_len == 0 && self.tree.has(node, Flags::ROOT)) {
            return true;
        }
        // With a name it would be about an entry, which the kernel does not send.
        if raw.mask & IN_IGNORED != 0 && raw.name_len == 0 {
            self.gave_back();
            // This much is true: the directory is no more. Its name can lead to another by now, which
            // then was told, unless the events of the directory above do not count either.
            let parent = self.tree.node(node).parent;
            let told = self.live(number, parent) && !self.tree.has(node, Flags::PENDING);
            let believed = self.tree.has(node, Flags::DOUBT) || !self.is_placed(parent);
            if self.certain(node) && told && believed {
                self.tell_gone(batch, node);
                return false;
            }
            self.wds.remove(&mut self.tree, node);
            self.tree.clear(node, Flags::CLAIM | Flags::PROVEN | Flags::DORMANT);
            self.tree.set(node, Flags::NOTING);
            match self.rescan {
                Some(tag) => self.compare_below(node, tag),
                // With what is above it.
                None => self.tree.mark(node, Marks::STALE),
            }
        }
        false
    }

    /// Is a watched root still there? Then what is below it is compared.
    pub(super) fn check_roots(&mut self, left: &mut usize) {
        while *left > 0 {
            let (Some(number), Some(tag)) = (self.roots.pop(), self.rescan) else { return };
            *left = left.saturating_sub(8);
            let Some(watch) = self.watch(number).filter(|watch| !watch.ended) else {
                continue;
            };
            let (root, tree) = (watch.root, watch.holds_tree());
            let wd = self.tree.node(root).wd;
            if self.follows_name(number) {
                // Looked for by its name already.
                self.set_placed(root);
                if tree && wd != 0 {
                    self.compare_below(root, tag);
                }
                continue;
            }
            let there = if tree && watch.identity.is_some() {
                self.leads_to(root, wd)
            } else {
                let mask = watch.root_mask() | (watch.mask & IN_DONT_FOLLOW) | IN_MASK_ADD;
                let path = watch.absolute.clone();
                match self.world.add_path(&path, mask) {
                    Ok(is) if is != wd => {
                        self.refuse(is);
                        false
                    }
                    other => other.is_ok(),
                }
            };
            if !there && !self.world.knows(wd) {
                // Its end was lost. What waits until something below it is told waits for ever.
                self.notices.retain(|notice| notice.watch != number || notice.gap.is_none());
                if !self.watch(number).is_some_and(|watch| watch.gone) {
                    self.notice_root(number, IN_DELETE_SELF, SYNTHETIC, false);
                }
                self.notice_root(number, IN_IGNORED, 0, true);
            } else if tree {
                self.set_placed(root);
                self.compare_below(root, tag);
            }
        }
    }

    /// Does the path of a root lead to it? Its number can be another's if its end was lost.
    fn leads_to(&mut self, root: NodeId, wd: i32) -> bool {
        let Ok(at) = self.open_dir(root) else { return false };
        let (_, dir) = self.open.remove(at);
        let is = self.verify(&dir, wd).is_ok();
        if is {
            self.keep(root, dir);
        }
        is
    }

    /// All that is believed of a directory's inside is to be compared with what is there.
    pub(super) fn compare_below(&mut self, node: NodeId, tag: u32) {
        self.tree.mark(node, Marks::STALE);
        self.list_anew(node, tag);
    }

    /// The comparison is complete when nothing of it is left.
    pub(super) fn end_rescan(&mut self) {
        let Some(tag) = self.rescan else { return };
        if self.resync.is_some() || !self.roots.is_empty() || self.pending_before(tag) {
            return;
        }
        if !std::mem::replace(&mut self.gaps.retried, true) && !self.gaps.at.is_empty() {
            // What changed the mode of a directory may be lost, too.
            // But one that is covered again, and not all told, is listed: what a second listing
            // finds, and the queue has yet to tell, would be taken as told if that is lost.
            let open = |&node: &NodeId| self.tree.has(node, Flags::UNCOVERED);
            for node in sorted(self.gaps.at.keys().copied().filter(open).collect()) {
                self.try_again(node, tag);
            }
            return;
        }
        self.rescan = None;
        self.unplaced = true;
        for number in 0..self.watches.len() {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            // One that was made since then has lost nothing, and was not told of a beginning.
            if let Some(watch) = self.watch_mut(number).filter(|watch| watch.rescanning) {
                watch.rescanning = false;
                if !watch.ended {
                    self.notice_root(number, 0, RINOTIFY_EVENT_RESCAN_END, false);
                }
                self.note_coverage(number);
            }
            self.track_later(number);
        }
    }
}
