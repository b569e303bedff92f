//! The barrier: what was complete before it is told, and what the library had to do because of it is
//! done. Each stage has an end even if the tree never rests.

use super::Engine;
use super::release::Count;
use super::watches::Failure;
use super::world::World;

/// What a barrier makes room for can give back watches by itself; under load something always does.
const ROUNDS: u32 = 4;
/// So many directories can show themselves to have been there before it; under load there is no last one.
const LATE: u32 = 4096;

/// A barrier under way.
#[derive(Clone, Copy)]
pub(super) struct Barrier {
    stage: Stage,
    rounds: u32,
    given_back: Option<u64>,
    /// A directory was being listed: should it have been removed, its end is told when it is closed.
    listed: bool,
    /// Directories that were found late, see `LATE`.
    late: u32,
}

#[derive(Clone, Copy)]
enum Stage {
    /// Its poke is in the queue.
    Queued(u64),
    /// What was let go by then is being freed, and its kernel watches are being removed.
    Freeing(Count),
    Removing(Count),
    /// What was begun by then is being told; it bears no higher tag.
    Telling(u32),
}

impl<W: World> Engine<W> {
    /// Is there anything that stems from before a barrier?
    pub(super) fn pending_before(&self, tag: u32) -> bool {
        self.unfinished().is_some_and(|first| first <= tag)
            || !self.notices.is_empty()
            || self.to_recheck()
            || self.gaps.pending_before(tag)
            || !self.to_look.is_empty()
    }

    /// The tag of the oldest scan that is not all told.
    pub(super) fn unfinished(&self) -> Option<u32> {
        // No scan has the highest tag there is.
        let mut first = self.open_tasks.first().map_or(u32::MAX, |&(first, _)| first);
        if let Some(settling) = &self.settling {
            first = first.min(settling.tag);
        }
        let (some, others) = self.windows.as_slices();
        for part in [&self.unsealed[..], some, others] {
            for window in part {
                first = first.min(window.tag);
            }
        }
        (first != u32::MAX).then_some(first)
    }

    /// Puts the barrier into the queue.
    pub fn begin_sync(&mut self) -> Result<(), Failure> {
        self.sync = Some(self.barrier(ROUNDS));
        self.poke_again()
    }

    fn barrier(&mut self, rounds: u32) -> Barrier {
        // What is open here and was removed has no end before it is closed.
        self.open.clear();
        let stage = Stage::Queued(self.poke());
        let (given_back, listed) = (self.gaps.given_back(), self.listing.is_some());
        Barrier { stage, rounds, given_back, listed, late: 0 }
    }

    /// The barrier has come out, and what it was to wait for is done.
    pub fn sync_done(&mut self) -> bool {
        while let Some(Barrier { stage, rounds, given_back, listed, late }) = self.sync {
            let next = match stage {
                Stage::Queued(seq) if self.seen >= seq => Stage::Freeing(self.doomed.let_go()),
                Stage::Freeing(so_far) if self.doomed.freed(so_far) => {
                    Stage::Removing(self.doomed.let_go())
                }
                Stage::Removing(so_far) if self.doomed.removed(so_far) => {
                    self.tag += 1;
                    Stage::Telling(self.tag - 1)
                }
                Stage::Telling(tag) if !self.is_open(tag) => {
                    let freed = given_back != self.gaps.given_back();
                    let more = !self.doomed.is_empty() || freed || listed;
                    self.sync = (more && rounds > 0).then(|| self.barrier(rounds - 1));
                    continue;
                }
                _ => return false,
            };
            self.sync = Some(Barrier { stage: next, rounds, given_back, listed, late });
        }
        true
    }

    /// The tag of what has shown itself to be there, and can have come before a barrier that is waited for.
    pub(super) fn tag_before_barrier(&mut self) -> u32 {
        match &mut self.sync {
            Some(Barrier { stage: Stage::Telling(tag), late, .. }) if *late < LATE => {
                *late += 1;
                *tag
            }
            _ => self.tag,
        }
    }

    fn is_open(&self, tag: u32) -> bool {
        self.resync.is_some() || self.rescan.is_some() || self.pending_before(tag)
    }
}
