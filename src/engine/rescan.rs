//! After a loss of events.

use super::world::World;
use super::{Engine, Notice};

impl<W: World> Engine<W> {
    /// The queue has lost events. Every watch is told.
    pub(super) fn overflow(&mut self) {
        self.counters.overflows += 1;
        // Pokes may be lost, too: whatever waits for one need not wait any longer.
        self.world.renew_pokes();
        self.seen = self.issued;
        for number in 0..self.watches.len() {
            let Some(watch) = &self.watches[number] else {
                continue;
            };
            if watch.ended {
                continue;
            }
            let path = watch.path.clone();
            let name = path.len();
            self.notices.push_back(Notice {
                watch: u32::try_from(number).unwrap_or(u32::MAX),
                mask: libc::IN_Q_OVERFLOW,
                flags: 0,
                error: 0,
                path,
                name,
            });
        }
    }
}
