//! What is not covered: directories that could not be watched or listed, why, and when each is tried
//! again. There is no timer: a mode is waited for by the ATTRIB that the parent tells, room under a
//! limit by what this watcher gives back itself, and everything by a call that asks for it.

use super::gaps::{Gap, is_limit};
use super::mask::COVERAGE;
use super::scan::gone;
use super::tree::{Flags, Marks, NONE, NodeId};
use super::watches::{Coverage, Failure, WatchFlags};
use super::world::World;
use super::{Engine, Notice, mask};
use crate::sys::Errno;

/// Watch and path of a directory that is not covered, why, and which step failed.
pub type Uncovered = (i64, Vec<u8>, Errno, &'static str);

impl<W: World> Engine<W> {
    /// Is what is found in a directory that is new told?
    pub(super) fn announces(&self, number: u32) -> bool {
        let told = WatchFlags::AUTO_ADD | WatchFlags::EMIT_EXISTING;
        self.watch(number).is_some_and(|watch| watch.flags.intersects(told))
    }

    /// Remembers, and tells once, that a directory is not covered.
    pub(super) fn uncover(&mut self, number: u32, node: NodeId, errno: Errno, step: &'static str) {
        let limit = is_limit(errno);
        let path = self.path_of(number, node);
        let Some(watch) = self.watch_mut(number) else {
            return;
        };
        if limit && watch.building {
            let failure = super::Failure::new(errno, step, path);
            watch.failure.get_or_insert(failure);
            return;
        }
        self.tree.set(node, Flags::UNCOVERED);
        if self.tree.marks(node).contains(Marks::STALE) {
            self.compare_later(node);
        }
        self.gaps.quiet.remove(&node);
        let told = self.enter(number, node, errno, step);
        let flags = self.tree.flags(node);
        if self.tree.node(node).wd != 0 && !flags.contains(Flags::LISTING) {
            // Its claim is to be settled all the same.
            self.push_window(node, self.tag);
        }
        if self.tree.node(node).wd != 0
            && flags.contains(Flags::CLAIM)
            && !flags.contains(Flags::PROVEN)
            && self.announces(number)
            && !self.gaps.forgets(node)
        {
            // No event of it was told yet, so what it has is to be told when it can be listed.
            self.tree.set(node, Flags::NOTING);
        }
        if errno.0 == libc::EACCES || errno.0 == libc::EPERM {
            self.block(number, node, step == "getdents64");
        }
        if !told {
            self.tell_gap(number, node, errno);
        }
        self.note_coverage(number);
        if limit {
            self.forget_left_out(number, node);
        }
    }

    /// Puts the gap into the table. True if the same was known of the directory.
    pub(super) fn enter(
        &mut self,
        number: u32,
        node: NodeId,
        errno: Errno,
        step: &'static str,
    ) -> bool {
        let limit = is_limit(errno);
        self.gaps.unfill(node);
        let old = self.gaps.at.remove(&node);
        self.gaps.serial += 1;
        let told = old.as_ref().is_some_and(|old| old.errno == errno);
        let serial = match &old {
            Some(old) => old.serial,
            None => self.gaps.serial,
        };
        let was_limit = old.as_ref().is_some_and(|old| is_limit(old.errno));
        if old.as_ref().is_some_and(|old| old.owed) && !limit {
            self.gaps.more_room(self.tag);
        }
        if was_limit && !limit {
            self.gaps.left_out.remove(&(serial, node));
        }
        let blocker = old.as_ref().map_or(NONE, |old| old.blocker);
        let unseen = old.as_ref().is_some_and(|old| old.unseen);
        // What was left out and forgotten stays so until it is listed.
        let again = old.as_ref().is_some_and(|old| old.again);
        let back = old.as_ref().is_some_and(|old| old.back);
        let (owed, filled, watch) = (false, None, number);
        let gap = Gap { watch, errno, step, serial, again, unseen, owed, back, filled, blocker };
        self.gaps.at.insert(node, gap);
        if limit {
            self.gaps.left_out.insert((serial, node));
            self.gaps.passed = self.gaps.passed.min(serial);
        }
        if errno.0 != libc::EACCES && errno.0 != libc::EPERM {
            self.unblock(node);
        }
        if gone(errno) {
            // A directory above has moved, and the queue may not have said so yet.
            self.gaps.far.insert(node);
        } else if blocker == NONE || blocker == node {
            self.gaps.far.remove(&node);
        }
        if let Some(watch) = self.watch_mut(number) {
            watch.gaps += u64::from(old.is_none());
            watch.left_out += u64::from(limit);
            watch.left_out -= u64::from(was_limit);
            if watch.left_out == 0 {
                watch.limit_told = false;
            }
        }
        told
    }

    /// Tells the error of a gap; of a limit once, until nothing is left out any more.
    fn tell_gap(&mut self, number: u32, node: NodeId, errno: Errno) {
        let Some(serial) = self.gaps.at.get(&node).map(|gap| gap.serial) else {
            return;
        };
        let Some(watch) = self.watch_mut(number) else {
            return;
        };
        if is_limit(errno) && std::mem::replace(&mut watch.limit_told, true) {
            return;
        }
        self.notices.push_back(Notice {
            watch: number,
            mask: libc::IN_ISDIR,
            cookie: 0,
            flags: mask::ERROR,
            error: errno.0,
            path: Vec::new(),
            name: 0,
            last: false,
            gap: Some((node, serial)),
        });
    }

    /// Is the directory of a notice to be announced first?
    pub(super) fn too_early(&self, notice: &Notice) -> bool {
        self.gap_of(notice).is_some_and(|node| self.tree.has(node, Flags::PENDING))
    }

    /// The directory of a notice, if what it says still holds.
    fn gap_of(&self, notice: &Notice) -> Option<NodeId> {
        let (node, serial) = notice.gap?;
        let gap = self.gaps.at.get(&node)?;
        let holds = gap.serial == serial && gap.errno.0 == notice.error;
        (holds && self.watch_of(node).is_some()).then_some(node)
    }

    /// The path of a notice, as of now. `None`: there is nothing to tell any more.
    pub(super) fn notice_path(&mut self, notice: &mut Notice) -> Option<()> {
        if notice.gap.is_none() {
            return Some(());
        }
        if let Some(node) = self.gap_of(notice) {
            notice.path = self.path_of(notice.watch, node);
            notice.name = notice.path.len() - self.tree.name(node).len();
            return Some(());
        }
        if is_limit(Errno(notice.error)) {
            // It is gone; the others that the limit left out are not.
            let number = notice.watch;
            if let Some(watch) = self.watch_mut(number) {
                watch.limit_told = false;
            }
            let at = |&&(_, node): &&(u64, NodeId)| {
                self.gaps.at.get(&node).is_some_and(|gap| gap.watch == number)
            };
            if let Some(&(_, node)) = self.gaps.left_out.range((0, 0)..).find(at)
                && let Some(errno) = self.gaps.at.get(&node).map(|gap| gap.errno)
            {
                self.tell_gap(number, node, errno);
            }
        }
        None
    }

    /// Tells the coverage of a watch, if it is not what was told last.
    pub(super) fn note_coverage(&mut self, number: u32) {
        let Some(watch) = self.watch_mut(number) else {
            return;
        };
        let coverage = watch.coverage();
        if watch.ended || watch.noted == coverage {
            return;
        }
        watch.noted = coverage;
        let path = watch.path.clone();
        let name = path.len();
        self.notices.push_back(Notice {
            watch: number,
            mask: 0,
            cookie: coverage as u32,
            flags: COVERAGE,
            error: 0,
            path,
            name,
            last: false,
            gap: None,
        });
    }

    /// A directory is covered, unless its listing still fails: told when all that its scan finds is
    /// told.
    pub(super) fn covered(&mut self, node: NodeId, tag: u32) {
        if self.gaps.at.is_empty() || !self.gaps.at.contains_key(&node) {
            return;
        }
        self.tree.clear(node, Flags::UNCOVERED);
        if !self.tree.has(node, Flags::LISTING) {
            self.unblock(node);
        }
        self.gaps.unfill(node);
        if let Some(gap) = self.gaps.at.get_mut(&node) {
            gap.owed = false;
            gap.filled = Some(tag);
        }
        self.gaps.filled.insert((tag.into(), node));
        self.recheck_again(node, tag);
    }

    /// A listing is over. Only now a directory that is covered no longer waits for a mode: else a
    /// listing that fails again and again would each time be taken for one that fails at first.
    pub(super) fn listed(&mut self, node: NodeId) {
        if self.gaps.is_filled(node) {
            self.unblock(node);
        }
    }

    /// A gap that is filled, and all told.
    fn told_gap(&self) -> Option<NodeId> {
        let first = if self.gaps.filled.is_empty() { None } else { self.unfinished() };
        let told = |&&(tag, _): &&(u64, NodeId)| first.is_none_or(|first| tag < first.into());
        let asks = |node| self.rechecks.iter().any(|asked| asked.dir == node && !asked.put_off);
        let mut filled = self.gaps.filled.range((0, 0)..).take_while(told).map(|&(_, node)| node);
        filled.find(|&node| !asks(node))
    }

    /// The same of a name.
    fn told_name(&self) -> Option<u32> {
        let first = if self.gaps.found.is_empty() { None } else { self.unfinished() };
        let told = |&&(_, tag): &&(u32, u32)| first.is_none_or(|first| first > tag);
        self.gaps.found.iter().find(told).map(|&(number, _)| number)
    }

    /// Is there one?
    pub(super) fn has_told_gaps(&self) -> bool {
        self.told_gap().is_some() || self.told_name().is_some()
    }

    /// Lets one go. True if there was one.
    pub(super) fn close_gap(&mut self) -> bool {
        if let Some(node) = self.told_gap() {
            let left_out = |gap: &&Gap| self.gaps.left_out.contains(&(gap.serial, node));
            if let Some(gap) = self.gaps.at.get(&node).filter(left_out) {
                // There may be room for one more: what another watch has already needs none. Whoever has
                // waited for this one waits for that one, too.
                let tag = gap.filled.unwrap_or(self.tag);
                self.gaps.one_more(tag);
            }
            self.forget_gap(node);
        } else if let Some(number) = self.told_name() {
            self.gaps.found.retain(|&(found, _)| found != number);
            self.name_covered(number);
        } else {
            return false;
        }
        true
    }

    /// Nothing is known to be missing at a node any more, or it goes.
    pub(super) fn forget_gap(&mut self, node: NodeId) {
        if self.gaps.at.is_empty() || !self.gaps.at.contains_key(&node) {
            return;
        }
        self.unblock(node);
        self.gaps.unfill(node);
        let Some(gap) = self.gaps.at.remove(&node) else {
            return;
        };
        self.tree.clear(node, Flags::UNCOVERED);
        self.unplaced = self.placed.is_some();
        self.gaps.far.remove(&node);
        let limit = is_limit(gap.errno);
        if limit {
            self.gaps.left_out.remove(&(gap.serial, node));
        }
        if gap.owed {
            self.gaps.more_room(self.tag);
        }
        if let Some(watch) = self.watch_mut(gap.watch) {
            watch.gaps -= 1;
            watch.left_out -= u64::from(limit);
            if watch.left_out == 0 {
                watch.limit_told = false;
            }
            if watch.gaps == 0 {
                self.leave_way(gap.watch);
            }
        }
        self.note_coverage(gap.watch);
    }

    /// A node is freed.
    pub(super) fn drop_gap(&mut self, node: NodeId) {
        self.forget_gap(node);
        self.end_quiet(node);
        if !self.gaps.anchors.is_empty() && self.gaps.anchors.remove(&node).is_some() {
            // A blocker has moved away, and is about to go, too.
            for known in self.gaps.blockers.values_mut().filter(|known| known.anchor == node) {
                known.anchor = NONE;
            }
        }
    }

    /// The coverage of a watch, and how many directories are not covered.
    pub fn status(&self, id: i64) -> Option<(Coverage, u64)> {
        let watch = self.watch(*self.by_id.get(&id)?)?;
        Some((watch.coverage(), watch.not_covered()))
    }

    /// What is not covered, of one watch or of all.
    pub fn uncovered(&mut self, id: i64) -> Option<Vec<Uncovered>> {
        let number = match id {
            0 => None,
            id => Some(*self.by_id.get(&id)?),
        };
        let gaps = self.gaps.at.iter().filter(|(_, gap)| number.is_none_or(|of| of == gap.watch));
        let gaps: Vec<_> =
            gaps.map(|(&node, gap)| (node, gap.watch, gap.errno, gap.step)).collect();
        let mut all = Vec::new();
        for (node, number, errno, step) in gaps {
            if self.watch_of(node).is_none() {
                continue;
            }
            let path = self.path_of(number, node);
            if let Some(watch) = self.watch(number).filter(|watch| !watch.building) {
                all.push((watch.id, path, errno, step));
            }
        }
        for watch in self.watches.iter().flatten() {
            if (id == 0 || watch.id == id)
                && !watch.building
                && !watch.ended
                && let Some(follow) = &watch.follow
            {
                let shown = |failure: &Failure| {
                    (watch.id, failure.path.clone(), failure.errno, failure.step)
                };
                all.extend(follow.uncovered.iter().map(shown));
            }
        }
        Some(all)
    }
}
