//! What a node carries in bits.

use bitflags::bitflags;

bitflags! {
    /// What is known of a node.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Flags: u16 {
        /// It is a directory.
        const DIR = 1;
        /// It is the root of a watch; `name` is the number of the watch.
        const ROOT = 1 << 1;
        /// A listing found it, and it has not been told yet.
        const PENDING = 1 << 2;
        /// Its wd was found by name, and the queue has not caught up with that moment yet.
        const CLAIM = 1 << 3;
        /// An event of the wd showed that the claim is right.
        const PROVEN = 1 << 4;
        /// The wd was there before the claim: its older events are not about this node, so none
        /// counts before the claim is settled.
        const DORMANT = 1 << 5;
        /// All names seen in it are noted as children until its window closes.
        const NOTING = 1 << 6;
        /// Its listing is under way: names that went are kept as tombs.
        const LISTING = 1 << 7;
        /// It is in the list of tasks.
        const TASK = 1 << 8;
        /// It is in the list of windows.
        const WINDOW = 1 << 9;
        /// The entry is known to be gone; a listing under way may still find the name.
        const TOMB = 1 << 10;
        /// The caller ignored it: not watched, nothing below it told.
        const EXCLUDED = 1 << 11;
        /// Freed, but a list still has it.
        const DEAD = 1 << 12;
        /// Its wd has other nodes, too.
        const ALIASED = 1 << 13;
        /// It could not be watched; the reason is in a table.
        const UNCOVERED = 1 << 14;
        /// It was there before a loss of events, and has not been found again yet.
        const DOUBT = 1 << 15;
    }
}

impl Flags {
    /// With any of these an event needs more than the short way.
    pub const UNSETTLED: Self = Self::PENDING
        .union(Self::CLAIM)
        .union(Self::DORMANT)
        .union(Self::NOTING)
        .union(Self::LISTING)
        .union(Self::WINDOW)
        .union(Self::EXCLUDED)
        .union(Self::ALIASED);
    /// A dormant claim whose directory is not listed before it is settled. (No event proves a
    /// dormant claim, so the bit is free.)
    pub const UNLISTED: Self = Self::DORMANT.union(Self::PROVEN);
    /// A list has the node, so its number cannot be used again yet.
    pub const LISTED: Self = Self::TASK.union(Self::WINDOW);
}

bitflags! {
    /// What was decided of a directory.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Marks: u8 {
        /// It is not wanted, or on another file system: not watched, nothing below it told.
        const LEFT_OUT = 1;
        /// The patterns let it in.
        const JUDGED = 1 << 1;
        /// The caller is to be asked.
        const ASKED = 1 << 2;
        /// The caller let it in.
        const AGREED = 1 << 3;
        /// What is believed of its inside is to be compared with what is there.
        const STALE = 1 << 4;
        /// Another entry has its name.
        const REPLACED = 1 << 5;
        /// Its content is not as it was told.
        const CHANGED = 1 << 6;
        /// Its attributes are not as they were told.
        const ATTRIBUTES = 1 << 7;
    }
}
