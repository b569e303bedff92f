//! Looking where a name leads that is followed, and watching what is there.

use super::follow::Follow;
use super::mask::ERROR;
use super::tree::{Flags, Marks, NONE, NodeId};
use super::walk::{End, Step, no_room};
use super::watches::{Failure, Watch, WatchFlags};
use super::world::World;
use super::{Engine, Notice};
use crate::sys::Errno;

/// Steps that are kept of ways that could not be gone to their ends.
const KEPT: usize = 256;

/// A name that is to be looked at, unless that was done since.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Glance {
    number: u32,
    /// As of this look.
    looked: u64,
    tag: u32,
}

impl<W: World> Engine<W> {
    pub(super) fn leave_step(&mut self, number: u32, step: &Step) {
        if step.wd == 0 {
            return;
        }
        self.hidden.remove(step.wd, &step.name, number);
        self.unhide(step.wd);
    }

    /// Looks where the name leads, and watches that. Tells nothing: what the queue still says of it
    /// comes first. Returns what went wrong.
    pub(super) fn seek(&mut self, number: u32) -> Option<Failure> {
        let mark = self.mark();
        let (failure, elsewhere) = self.seek_behind(number, mark);
        if elsewhere {
            self.trust(&[number]);
        }
        failure
    }

    /// A place in the queue behind all that is in it.
    pub(super) fn mark(&mut self) -> u64 {
        // While events are being lost none counts.
        let none = self.resync.is_some() || (self.input.is_empty() && self.world.queued() == 0);
        if none { self.seen } else { self.poke() }
    }

    /// Another watch may have had the last directory of a way before, and not have asked for all that
    /// tells of a file there: only from here on every event of it is queued.
    fn trust(&mut self, names: &[u32]) {
        if names.is_empty() {
            return;
        }
        let all_asked = self.mark();
        for &number in names {
            if let Some(follow) = self.followed(number) {
                follow.trusted = all_asked;
            }
        }
    }

    /// The same behind a mark that was set before. True: its last directory is another one.
    fn seek_behind(&mut self, number: u32, mark: u64) -> (Option<Failure>, bool) {
        if !self.follows_name(number) {
            return (None, false);
        }
        let walk = self.walk(number, false);
        let Some(root) = self.watch(number).map(|watch| watch.root) else { return (None, false) };
        for step in walk.steps.iter().filter(|step| step.wd != 0) {
            self.hidden.add(step.wd, &step.name, number);
        }
        let Some(follow) = self.followed(number) else { return (None, false) };
        follow.looked = mark;
        let place = |steps: &[Step], at_end: bool| steps.last().filter(|_| at_end).cloned();
        let elsewhere = match (place(&walk.steps, walk.at_end), place(&follow.steps, follow.at_end))
        {
            (Some(now), Some(before)) => now != before,
            (now, before) => now.is_some() || before.is_some(),
        };
        follow.at_end = walk.at_end;
        if elsewhere {
            follow.trusted = u64::MAX;
        }
        let mut old = std::mem::replace(&mut follow.steps, walk.steps);
        if matches!(&walk.end, End::Trouble(found) if no_room(found.errno)) && old.len() <= KEPT {
            // It was not gone to its end: what is known of the rest is kept.
            follow.at_end = false;
            old.retain(|step| !follow.steps.contains(step));
            follow.steps.append(&mut old);
        }
        self.note_blind(number, walk.blind.as_ref());
        let was = self.tree.node(root).wd;
        let mut failure = None;
        match walk.end {
            End::Found { wd, .. } if wd == was => {
                self.note_trouble(number, None);
                self.found_same(number, root);
                self.list_again(number, root);
            }
            End::Found { wd, dir, links } => {
                self.note_trouble(number, None);
                self.vacate(number);
                self.occupy(number, mark, wd, dir, links);
            }
            End::Trouble(found) => {
                let joining = self.followed(number).is_some_and(|follow| follow.joining);
                // What is watched already needs no room: that is another one.
                let other = found.errno == Errno(libc::ENOSPC) && walk.at_end;
                let keep = (no_room(found.errno) && !other) || joining;
                self.note_trouble(number, Some(&found));
                failure = Some(found);
                // Before what was not covered below is forgotten: it is no better than it was.
                self.note_uncovered(number);
                if !keep && was != 0 {
                    self.vacate(number);
                }
            }
            End::Nothing => {
                self.note_trouble(number, None);
                if was != 0 {
                    self.vacate(number);
                }
            }
        }
        // Not before: what was on the way can be the root now.
        self.leave_steps(number, old);
        self.leave(&walk.wds);
        self.news(number);
        self.note_uncovered(number);
        (failure, elsewhere)
    }

    /// Nothing stands under the name; what did is let go.
    pub(super) fn vacate(&mut self, number: u32) {
        let Some(watch) = self.watch_mut(number) else { return };
        let root = watch.root;
        watch.identity = None;
        if let Some(follow) = &mut watch.follow {
            (follow.fresh, follow.unlisted, follow.made, follow.links) = (false, false, false, 0);
            (follow.broken, follow.blocked) = (false, false);
        }
        while self.tree.first(root) != NONE {
            let child = self.tree.first(root);
            self.drop_child(child);
        }
        self.unsettle(root);
        self.stop_listing(root);
        // What comes in its place can be something that is not listed.
        self.drop_task(root);
        self.cancel_window(root);
        self.release_wd(root);
        self.tree.clear(root, !Flags::ROOT);
        self.tree.unmark(root, Marks::all());
        self.drop_gap(root);
        self.withdraw(root);
        self.open.retain(|&(open, _)| open != root);
        self.narrow.retain(|&node| node != root);
        self.rechecks.retain(|asked| asked.dir != root);
        self.held.retain(|held| held.watch != number);
        self.forget_near();
    }

    /// This stands under the name now.
    fn occupy(&mut self, number: u32, mark: u64, wd: i32, dir: Option<W::Dir>, links: u64) {
        let identity = dir.as_ref().and_then(|dir| self.world.identity(dir).ok());
        let Some(watch) = self.watch_mut(number) else { return };
        let (root, flags, building) = (watch.root, watch.flags, watch.building);
        let lists = watch.lists();
        watch.identity = identity;
        if let Some(follow) = &mut watch.follow {
            (follow.fresh, follow.since, follow.links) = (true, mark, links);
            follow.new = follow.begun;
        }
        if dir.is_some() {
            self.tree.set(root, Flags::DIR);
        }
        self.adopt(number, root, wd);
        let Some(dir) = dir.filter(|_| lists) else {
            if !building {
                // It has arrived, and whoever is told of that looks at it: an event from before is
                // no harm, but what happens to it from now on must not be missed.
                self.tree.clear(root, Flags::CLAIM | Flags::DORMANT);
            }
            return self.push_window(root, self.tag);
        };
        let emit = flags.contains(WatchFlags::EMIT_EXISTING);
        let noting = emit || (flags.contains(WatchFlags::AUTO_ADD) && !building);
        if noting {
            self.tree.set(root, Flags::NOTING);
        }
        self.keep(root, dir);
        self.push_task(root);
    }

    /// A root that follows its name, with nothing there.
    pub(super) fn is_vacant(&self, node: NodeId) -> bool {
        self.tree.has(node, Flags::ROOT) && self.tree.node(node).wd == 0
    }

    /// What is there has come after the watch was made.
    pub(super) fn is_new(&self, number: u32) -> bool {
        let follow = self.watch(number).and_then(|watch| watch.follow.as_ref());
        follow.is_some_and(|follow| follow.new)
    }

    /// Its listing had to be put off.
    fn list_again(&mut self, number: u32, root: NodeId) {
        if let Some(follow) = self.followed(number)
            && std::mem::take(&mut follow.unlisted)
        {
            self.push_task(root);
        }
    }

    /// The root could not be reached to be listed: the queue will say where it is. True if it is
    /// one that is followed.
    pub(super) fn root_out_of_reach(&mut self, number: u32, node: NodeId) -> bool {
        if !self.tree.has(node, Flags::ROOT) {
            return false;
        }
        let followed = self.followed(number).map(|follow| follow.unlisted = true).is_some();
        if followed && self.comparison(number).is_some() {
            // What was found in it and not told waits for nothing any more.
            self.compare_later(node);
        }
        followed
    }

    /// Looks at a name when the events that have been read are used up.
    pub(super) fn seek_later(&mut self, number: u32) {
        let looked = self.followed(number).map_or(0, |follow| follow.looked);
        let look = Glance { number, looked, tag: self.tag };
        if self.to_look.back() != Some(&look) {
            self.to_look.push_back(look);
        }
    }

    /// Events were lost, after this poke: every name is looked at again.
    pub(super) fn seek_all(&mut self, seen: u64) {
        for number in 0..self.watches.len() {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            if self
                .followed(number)
                .is_some_and(|follow| follow.behind.is_some_and(|behind| seen <= behind))
            {
                // What is there is not what was told, and the queue will not say so.
                self.vacate(number);
            }
        }
        self.seek_those(|_| true);
    }

    /// There is room again for watches.
    pub(super) fn seek_with_room(&mut self) {
        self.seek_those(|follow| follow.short);
    }

    /// Does a name or the way to a root wait for that?
    pub(super) fn wants_room(&self) -> bool {
        let short = |watch: &Watch| {
            watch.way_short || watch.follow.as_ref().is_some_and(|follow| follow.short)
        };
        self.watches.iter().flatten().any(|watch| !watch.ended && short(watch))
    }

    /// Every name that could not be followed, or not in full, is looked at again.
    pub(super) fn seek_troubled(&mut self) {
        self.seek_those(|follow| follow.trouble.is_some() || follow.blind.is_some());
    }

    fn seek_those(&mut self, wanted: impl Fn(&Follow) -> bool) {
        for (at, watch) in self.watches.iter().enumerate() {
            if let Some(Watch { follow: Some(follow), ended: false, .. }) = watch
                && wanted(follow)
            {
                let number = u32::try_from(at).unwrap_or(u32::MAX);
                self.to_look.push_back(Glance { number, looked: follow.looked, tag: self.tag });
            }
        }
    }

    /// Looks at names that wait for it, unless that has been done, as many as the budget allows.
    pub(super) fn seek_some(&mut self, left: &mut usize) {
        let (mut mark, mut elsewhere) = (None, Vec::new());
        while *left > 0 {
            let Some(Glance { number, looked, tag }) = self.to_look.pop_front() else { break };
            if self.followed(number).is_none_or(|follow| follow.looked != looked) {
                continue;
            }
            *left = left.saturating_sub(16);
            // One mark for all: each puts an event into the queue.
            let behind = *mark.get_or_insert_with(|| self.mark());
            // What comes of it is waited for by who waits for the look.
            let newest = std::mem::replace(&mut self.tag, tag);
            if self.seek_behind(number, behind).1 {
                elsewhere.push(number);
            }
            self.tag = self.tag.max(newest);
        }
        self.trust(&elsewhere);
    }

    fn note_blind(&mut self, number: u32, blind: Option<&Failure>) {
        let Some(follow) = self.followed(number) else { return };
        let before = std::mem::replace(&mut follow.blind, blind.cloned());
        self.tell_trouble(number, before.as_ref(), blind);
    }

    fn note_trouble(&mut self, number: u32, failure: Option<&Failure>) {
        let Some(follow) = self.followed(number) else { return };
        let before = std::mem::replace(&mut follow.trouble, failure.cloned());
        let all = [&follow.trouble, &follow.blind];
        follow.short = all.into_iter().flatten().any(|failure| no_room(failure.errno));
        self.tell_trouble(number, before.as_ref(), failure);
    }

    /// Unless the same was told before.
    fn tell_trouble(&mut self, number: u32, before: Option<&Failure>, now: Option<&Failure>) {
        let Some((errno, path)) = now.map(|now| (now.errno, now.path.clone())) else { return };
        if before.is_some_and(|before| before.errno == errno && before.path == path) {
            return;
        }
        let name = path.len();
        let (mask, flags, error) = (0, ERROR, errno.0);
        self.notices.push_back(Notice {
            watch: number,
            mask,
            cookie: 0,
            flags,
            error,
            path,
            name,
            last: false,
            gap: None,
        });
    }

    /// What is in the way of a name counts as not covered; when nothing is any more, until what the
    /// name leads to is told.
    fn note_uncovered(&mut self, number: u32) {
        let tag = self.tag;
        let Some(follow) = self.followed(number) else { return };
        let now: Vec<_> = [&follow.trouble, &follow.blind].into_iter().flatten().cloned().collect();
        if now.is_empty() {
            if !follow.uncovered.is_empty() {
                self.gaps.found.retain(|&(found, _)| found != number);
                self.gaps.found.push((number, tag));
                self.tag += 1;
            }
            return;
        }
        follow.uncovered = now;
        if !follow.joining {
            self.note_coverage(number);
        }
    }

    /// All that a name leads to is told, which could not be followed before.
    pub(super) fn name_covered(&mut self, number: u32) {
        let Some(follow) = self.followed(number) else { return };
        if follow.trouble.is_none() && follow.blind.is_none() {
            follow.uncovered.clear();
            self.note_coverage(number);
        }
    }
}
