//! The list of what is not covered.

use std::collections::{BTreeSet, BinaryHeap, HashMap, HashSet};

use super::scan::gone;
use super::tree::NodeId;
use crate::sys::Errno;

use libc::IN_ATTRIB;

/// Most directories that are remembered one by one because a limit left them out. Beyond it their
/// parents are, which are listed again when there is room.
const LEFT_OUT: usize = 1 << 16;

/// A directory that is not covered.
pub(super) struct Gap {
    pub(super) watch: u32,
    pub(super) errno: Errno,
    pub(super) step: &'static str,
    /// Tells this gap from one that the same node had before.
    pub(super) serial: u64,
    /// Not its listing failed, but some of what is in it was left out and forgotten.
    pub(super) again: bool,
    /// It was listed, but entries could not be looked at that are to be compared.
    pub(super) unseen: bool,
    /// It was chosen to use room that was given back, and has not used it yet.
    pub(super) owed: bool,
    /// It was tried once more because its root was found in its place.
    pub(super) back: bool,
    /// Covered again: the tag of the scan of which not all is told yet.
    pub(super) filled: Option<u32>,
    /// The directory whose mode is in the way: itself or one above; `NONE` if that is not the reason.
    pub(super) blocker: NodeId,
}

impl Gap {
    /// Is it the root that is to be reached first?
    pub(super) fn waits_for(&self, root: NodeId) -> bool {
        gone(self.errno) || self.blocker == root
    }
}

/// A directory whose mode keeps others from being covered.
pub(super) struct Blocker {
    /// Where its ATTRIB is told: its parent, or itself if it is a root.
    pub(super) anchor: NodeId,
    pub(super) waiting: HashSet<NodeId>,
}

/// Everything that is not covered.
pub(super) struct Gaps {
    pub(super) at: HashMap<NodeId, Gap>,
    pub(super) blockers: HashMap<NodeId, Blocker>,
    /// Directories of which ATTRIB is wanted, and for how many blockers.
    pub(super) anchors: HashMap<NodeId, u32>,
    /// Gaps because of another directory above.
    pub(super) far: HashSet<NodeId>,
    /// Gaps that wait for room, the oldest first.
    pub(super) left_out: BTreeSet<(u64, NodeId)>,
    /// Those of them before this one have been chosen to use room.
    pub(super) passed: u64,
    /// Kernel watches given back since the last look at `left_out`, and ever.
    pub(super) room: usize,
    given_back: u64,
    /// The tag of the first of them: barriers wait for what is made good by them.
    pub(super) room_tag: u32,
    /// Covered again, by the tags of their scans: see `Gap::filled`.
    pub(super) filled: BTreeSet<(u64, NodeId)>,
    /// Names that can be followed again, but what stems from the scan of this tag is not told yet.
    pub(super) found: Vec<(u32, u32)>,
    /// Directories that are listed for what was left out: what they have was told before.
    pub(super) quiet: HashSet<NodeId>,
    /// Directories that were compared after the comparison of the tree was over; their windows are
    /// open.
    pub(super) late: HashSet<NodeId>,
    /// All were tried again since events were lost.
    pub(super) retried: bool,
    pub(super) serial: u64,
    /// See `LEFT_OUT`.
    pub(super) most: usize,
}

impl Default for Gaps {
    fn default() -> Self {
        Self {
            at: HashMap::new(),
            blockers: HashMap::new(),
            anchors: HashMap::new(),
            far: HashSet::new(),
            left_out: BTreeSet::new(),
            passed: 0,
            room: 0,
            given_back: 0,
            room_tag: 0,
            filled: BTreeSet::new(),
            found: Vec::new(),
            quiet: HashSet::new(),
            late: HashSet::new(),
            retried: true,
            serial: 0,
            most: LEFT_OUT,
        }
    }
}

impl Gaps {
    /// Bytes of memory held.
    pub(super) fn memory(&self) -> usize {
        self.at.capacity() * (size_of::<(NodeId, Gap)>() + 1)
            + self.blockers.capacity() * (size_of::<(NodeId, Blocker)>() + 1)
            + (self.anchors.capacity() + self.far.capacity()) * 9
            + (self.left_out.len() + self.filled.len()) * 24
            + self.found.capacity() * size_of::<(u32, u32)>()
    }

    /// Nothing is left out, or was until what is still to be told; and no room was given back.
    pub(super) fn is_empty(&self) -> bool {
        self.at.is_empty() && self.filled.is_empty() && self.found.is_empty() && self.room == 0
    }

    /// Somebody waits for the mode of a directory to change.
    #[inline]
    pub(super) fn blocked(&self) -> bool {
        !self.blockers.is_empty()
    }

    /// A kernel watch was given back.
    pub(super) fn more_room(&mut self, tag: u32) {
        self.one_more(tag);
        self.given_back += 1;
    }

    /// One more of what was left out can be tried again.
    pub(super) fn one_more(&mut self, tag: u32) {
        if self.room == 0 {
            self.room_tag = tag;
        }
        self.room += 1;
    }

    /// Kernel watches that were given back so far, if something waits for one.
    pub(super) fn given_back(&self) -> Option<u64> {
        (!self.left_out.is_empty()).then_some(self.given_back)
    }

    /// There is room, and something waits for it.
    pub(super) fn due(&self) -> bool {
        self.room > 0 && !self.left_out.is_empty()
    }

    /// Is what stems from a barrier's time still being made good?
    pub(super) fn pending_before(&self, tag: u32) -> bool {
        self.due()
            || self.filled.range((0, 0)..).next().is_some_and(|&(of, _)| of <= tag.into())
            || self.found.iter().any(|&(_, of)| of <= tag)
    }

    /// Is the directory covered again, and not all told?
    pub(super) fn is_filled(&self, node: NodeId) -> bool {
        self.at.get(&node).is_some_and(|gap| gap.filled.is_some())
    }

    /// It is not covered after all.
    pub(super) fn unfill(&mut self, node: NodeId) {
        if let Some(tag) = self.at.get_mut(&node).and_then(|gap| gap.filled.take()) {
            self.filled.remove(&(tag.into(), node));
        }
    }

    /// Was the listing of this directory not to be had? All names seen in it are noted until it is.
    pub(super) fn unlisted(&self, node: NodeId) -> bool {
        self.at.get(&node).is_some_and(|gap| !gap.again && !gap.unseen)
    }

    /// Entries of this directory are to be compared when they can be looked at.
    pub(super) fn see_later(&mut self, node: NodeId) {
        if let Some(gap) = self.at.get_mut(&node) {
            gap.unseen = true;
        }
    }

    /// Has it subdirectories that were left out and are not remembered?
    pub(super) fn forgets(&self, node: NodeId) -> bool {
        self.at.get(&node).is_some_and(|gap| gap.again)
    }

    /// Is the directory listed for what was left out of it?
    pub(super) fn is_quiet(&self, node: NodeId) -> bool {
        !self.quiet.is_empty() && self.quiet.contains(&node)
    }

    /// A directory is listed for what was left out of it, and there was no room for all of that.
    pub(super) fn no_more(&self, node: NodeId) -> bool {
        self.is_quiet(node) && !self.is_filled(node)
    }

    /// What is asked of the kernel at a directory besides what its watch wants.
    pub(super) fn bits(&self, node: NodeId) -> u32 {
        if self.anchors.contains_key(&node) { IN_ATTRIB } else { 0 }
    }
}

/// Each number once, in order: by a heap, as the sorts of the standard library are larger than all that is
/// sorted here.
pub(super) fn sorted(numbers: Vec<u32>) -> Vec<u32> {
    let mut sorted = BinaryHeap::from(numbers).into_sorted_vec();
    sorted.dedup();
    sorted
}

/// An error that is about a limit, not about the directory.
pub(super) fn is_limit(errno: Errno) -> bool {
    matches!(errno.0, libc::ENOSPC | libc::ENOMEM | libc::EMFILE | libc::ENFILE)
}
