//! The way to a root that its path does not lead to, or that must not be searched: watched as the way to
//! a name that is followed is, for as long as a directory below waits for it.

use super::Engine;
use super::tree::NodeId;
use super::walk::{End, Step};
use super::watches::Watch;
use super::world::World;

impl<W: World> Engine<W> {
    /// A directory is not covered because its root is out of reach: what comes back to the root's path
    /// is waited for.
    pub(super) fn await_root(&mut self, number: u32, node: NodeId) {
        let known = self.watch(number).is_none_or(|watch| watch.way_known);
        if known || self.follows_name(number) {
            return;
        }
        if self.open_root(number).is_ok() {
            // It came back since; or something else was in the way, so this is done once.
            if self
                .gaps
                .at
                .get_mut(&node)
                .is_some_and(|gap| !std::mem::replace(&mut gap.back, true))
            {
                self.try_again(node, self.tag);
            }
            return;
        }
        self.watch_way(number);
        if self.open_root(number).is_ok() {
            // It came back before the way was watched.
            self.try_again(node, self.tag);
        }
    }

    /// The same for a root whose mode is in the way, or that of a directory above it.
    pub(super) fn await_root_mode(&mut self, number: u32) {
        if let Some(follow) = self.followed(number) {
            // What its own way is blocked by is for the name to tell, unless it is open again by then:
            // then it is tried once more, after the modes on the way are asked for.
            follow.blocked = true;
            self.seek_later(number);
        } else {
            self.watch_way(number);
        }
    }

    fn watch_way(&mut self, number: u32) {
        let mut walk = self.walk(number, false);
        let mut short = walk.is_short();
        if matches!(walk.end, End::Trouble(_)) {
            // Where it leads through what must not be searched, the caller's spelling may do.
            let other = self.walk(number, true);
            short |= other.is_short();
            walk.steps.extend(other.steps);
            walk.wds.extend(other.wds);
        }
        for step in walk.steps.iter().filter(|step| step.wd != 0) {
            self.hidden.add(step.wd, &step.name, number);
        }
        if let Some(watch) = self.watch_mut(number) {
            (watch.way_known, watch.way_short) = (!short, short);
            let old = std::mem::replace(&mut watch.way, walk.steps);
            self.leave_steps(number, old);
        }
        self.leave(&walk.wds);
    }

    /// An event of a directory on the way.
    pub(super) fn way_changed(&mut self, number: u32) {
        self.watch_way(number);
        if self.open_root(number).is_err() {
            return;
        }
        if !self.try_below_root(number) {
            self.leave_way(number);
        }
    }

    /// What could not be reached by way of the root is tried again. False if there is nothing.
    pub(super) fn try_below_root(&mut self, number: u32) -> bool {
        let Some(root) = self.watch(number).map(|watch| watch.root) else { return false };
        let waiting = |(&node, gap): (&NodeId, &super::gaps::Gap)| {
            (gap.watch == number && gap.waits_for(root)).then_some(node)
        };
        let waiting: Vec<_> = self.gaps.at.iter().filter_map(waiting).collect();
        let any = !waiting.is_empty();
        self.try_all_again(waiting);
        any
    }

    /// There is room again for ways that could not be watched as a whole.
    pub(super) fn ways_with_room(&mut self) {
        let short = |(at, watch): (usize, &Option<Watch>)| {
            watch
                .as_ref()
                .filter(|watch| watch.way_short && !watch.ended)
                .and(u32::try_from(at).ok())
        };
        let short: Vec<_> = self.watches.iter().enumerate().filter_map(short).collect();
        for number in short {
            self.try_below_root(number);
        }
    }

    /// Nothing waits for the root any more.
    pub(super) fn leave_way(&mut self, number: u32) {
        let Some(Watch { way, way_known, way_short, .. }) = self.watch_mut(number) else { return };
        (*way_known, *way_short) = (false, false);
        let old = std::mem::take(way);
        self.leave_steps(number, old);
    }

    /// Events were lost: where each way leads is found out when something waits for it still.
    pub(super) fn doubt_ways(&mut self) {
        for watch in self.watches.iter_mut().flatten() {
            watch.way_known = false;
        }
    }

    pub(super) fn leave_steps(&mut self, number: u32, steps: Vec<Step>) {
        for step in steps {
            self.leave_step(number, &step);
        }
    }
}
