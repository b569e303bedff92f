//! The watches: what each call asked for.

use bitflags::bitflags;

use super::follow::Follow;
use super::glob::Excludes;
use super::mask::{DIRENT, EVENTS};
use super::tree::NodeId;
use super::walk::Step;
use crate::sys::Errno;

bitflags! {
    /// RINOTIFY_WATCH_* bits.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct WatchFlags: u32 {
        /// Watch the directories below.
        const RECURSIVE = 0x1;
        /// Watch new directories.
        const AUTO_ADD = 0x2;
        /// Report what is there already.
        const EMIT_EXISTING = 0x4;
        /// Remember every entry, to tell the difference after a loss of events.
        const TRACK_ENTRIES = 0x8;
        /// Stay on the file system, and the mount, of the root.
        const ONE_FILE_SYSTEM = 0x10;
        /// Watch what the path leads to, whatever that is at the time.
        const FOLLOW_NAME = 0x20;
    }
}

/// Why something could not be done: which step, and where. Boxed, because it is part of many results
/// and seldom there.
#[derive(Clone, Debug)]
pub struct Failure(Box<Why>);

impl Failure {
    /// A failure of this step.
    #[cold]
    #[inline(never)]
    pub fn new(errno: Errno, step: &'static str, path: Vec<u8>) -> Self {
        Self(Box::new(Why { errno, step, path }))
    }
}

impl std::ops::Deref for Failure {
    type Target = Why;

    fn deref(&self) -> &Why {
        &self.0
    }
}

/// What a failure consists of.
#[derive(Clone, Debug)]
pub struct Why {
    /// The errno value.
    pub errno: Errno,
    /// The system call or argument.
    pub step: &'static str,
    /// The path, in the spelling of the watch.
    pub path: Vec<u8>,
}

/// One watch.
pub struct Watch {
    /// Its id.
    pub id: i64,
    /// Its root.
    pub root: NodeId,
    /// The path as the caller spelled it.
    pub path: Vec<u8>,
    /// The same from "/" on, to get there later.
    pub absolute: Vec<u8>,
    /// Device and inode number of the root, if it is a directory that is scanned.
    pub identity: Option<(u64, u64)>,
    /// The caller's mask, event bits and the others.
    pub mask: u32,
    /// The caller's flags.
    pub flags: WatchFlags,
    /// Directories that are left out.
    pub excludes: Excludes,
    /// The caller decides which of the others are.
    pub asks: bool,
    /// The call that makes it has not returned yet: nothing is delivered.
    pub building: bool,
    /// The end of its root was told; IN_IGNORED is to follow.
    pub gone: bool,
    /// It has ended; its nodes are being freed.
    pub ended: bool,
    /// The poke before it was made: what the queue tells from before is none of it.
    pub born: u64,
    /// Directories watched by the call that makes it, for its progress.
    pub directories: u64,
    /// What made the call fail.
    pub failure: Option<Failure>,
    /// A limit was reached and told; not told again before nothing is left out because of one.
    pub limit_told: bool,
    /// Directories that are not covered.
    pub gaps: u64,
    /// Of these, those that a limit left out.
    pub left_out: u64,
    /// Events were lost, and the tree is being brought back in step.
    pub rescanning: bool,
    /// Entries are to be remembered, or not any more, once it is back in step.
    pub track_later: Option<bool>,
    /// Other flags are being taken on: before, all subdirectories, all other entries of what is listed
    /// for that were known.
    pub knew: (bool, bool),
    /// The kernel was not asked for the mask: another directory stood at the path.
    pub unasked: bool,
    /// Its root is watched, and nothing that came or went in it was told since.
    pub untouched: bool,
    /// The coverage that was told last.
    pub noted: Coverage,
    /// The way to the root, while something waits for it.
    pub(super) way: Vec<Step>,
    /// Nothing is known to have been lost of it.
    pub(super) way_known: bool,
    /// There was no room to watch all of it.
    pub(super) way_short: bool,
    /// What is known of the name, if it is followed.
    pub follow: Option<Box<Follow>>,
}

/// How much of its tree a watch sees: RINOTIFY_COVERAGE_*.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coverage {
    /// All of it.
    Complete = 1,
    /// There are directories that could not be watched or listed.
    Partial = 2,
    /// Events were lost.
    OutOfStep = 3,
}

impl Watch {
    /// How much of its tree it sees.
    pub fn coverage(&self) -> Coverage {
        match self.not_covered() {
            _ if self.rescanning => Coverage::OutOfStep,
            0 => Coverage::Complete,
            _ => Coverage::Partial,
        }
    }

    /// Directories that are not covered, and what keeps its name from being followed.
    pub fn not_covered(&self) -> u64 {
        self.gaps + self.follow.as_ref().map_or(0, |follow| follow.uncovered.len() as u64)
    }

    /// Directories below the root are followed.
    pub fn deep(&self) -> bool {
        self.flags.intersects(WatchFlags::RECURSIVE | WatchFlags::AUTO_ADD)
    }

    /// The inside of its root is known, and compared after a loss of events.
    pub fn holds_tree(&self) -> bool {
        self.deep() || self.flags.contains(WatchFlags::TRACK_ENTRIES)
    }

    /// Its root is listed when it is made.
    pub fn lists(&self) -> bool {
        self.holds_tree() || self.flags.contains(WatchFlags::EMIT_EXISTING)
    }

    /// What the kernel is asked for at a directory below the root. MOVE_SELF settles the pairing of
    /// renames; the other self events are the parent's to tell. EXCL_UNLINK, because the path of an
    /// event about an unlinked file that is still open would be wrong.
    pub fn inner_mask(&self) -> u32 {
        let own = self.mask & EVENTS & !libc::IN_DELETE_SELF;
        let wanted = if self.mask & libc::IN_DELETE_SELF != 0 && self.mask & libc::IN_DELETE == 0 {
            libc::IN_DELETE_SELF
        } else {
            0
        };
        own | wanted | DIRENT | libc::IN_MOVE_SELF | libc::IN_EXCL_UNLINK
    }

    /// What the kernel is asked for at the root.
    pub fn root_mask(&self) -> u32 {
        let deep = if self.lists() {
            DIRENT
        } else if self.mask & (libc::IN_MOVED_FROM | libc::IN_MOVED_TO) != 0 {
            // Both halves, to pair them.
            libc::IN_MOVED_FROM | libc::IN_MOVED_TO
        } else {
            0
        };
        let follow = self.flags.contains(WatchFlags::FOLLOW_NAME);
        let gone = if follow { libc::IN_MOVE_SELF } else { 0 } | libc::IN_DELETE_SELF;
        (self.mask & EVENTS) | deep | gone | self.modifiers()
    }

    fn modifiers(&self) -> u32 {
        if self.deep() { libc::IN_EXCL_UNLINK } else { self.mask & libc::IN_EXCL_UNLINK }
    }
}
