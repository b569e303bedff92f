//! Whether there is anything to do.

use super::Engine;
use super::world::World;

impl<W: World> Engine<W> {
    /// Something is left that no kernel event will call for.
    pub(super) fn has_work(&self) -> bool {
        !self.input.is_empty()
            || self.window_due()
            || self.listing.is_some()
            || !self.tasks.is_empty()
            || !self.unsealed.is_empty()
            || self.next_notice().is_some()
            || !self.doomed.is_empty()
            || self.has_questions()
            || !self.roots.is_empty()
            || self.gaps.due()
            || (self.room && self.wants_room())
            || self.has_told_gaps()
            || !self.to_look.is_empty()
            || (self.stale && (!self.blocked.is_empty() || self.to_recheck()))
    }

    /// A loss of events is to be told, before anything that comes behind it.
    pub(super) fn loss_due(&self) -> bool {
        self.alarmed && self.next_notice().is_some()
    }

    /// A window is being told, or can be: the queue has caught up with it.
    pub(super) fn window_due(&self) -> bool {
        self.settling.is_some()
            || self.windows.front().is_some_and(|window| window.seq <= self.seen)
    }

    /// Nothing at all is left, begun or waited for, but for the end of renames: a turn that has used events
    /// is over with that.
    #[inline]
    pub(super) fn is_calm(&self) -> bool {
        let scan = self.tasks.is_empty()
            && self.blocked.is_empty()
            && self.listing.is_none()
            && self.open.is_empty()
            && self.looked_up.is_empty()
            && self.narrow.is_empty()
            && self.joins.is_empty()
            && self.to_look.is_empty()
            && self.questions.is_empty()
            && !self.room;
        let windows = self.unsealed.is_empty()
            && self.windows.is_empty()
            && self.settling.is_none()
            && self.rechecks.is_empty();
        let loss = self.resync.is_none()
            && self.rescan.is_none()
            && self.roots.is_empty()
            && !self.unplaced;
        let told = self.notices.is_empty() && self.gaps.is_empty() && self.doomed.is_empty();
        let queue = self.input.is_empty()
            && self.halts == 0
            && self.unpoked.is_none()
            && self.unmarked.is_none();
        scan && windows && loss && told && queue
    }
}
