//! What is told: the path of the moment, the caller's mask, entries whose telling was due.

use super::mask::{COVERAGE, SYNTHETIC};
use super::tree::{Flags, NONE, NodeId};
use super::watches::{Coverage, WatchFlags};
use super::world::World;
use super::{Batch, Engine, Head};

use libc::{
    IN_CREATE, IN_DELETE_SELF, IN_IGNORED, IN_ISDIR, IN_ONESHOT, IN_Q_OVERFLOW, IN_UNMOUNT,
};

/// The directory of the last event, because events come in runs.
#[derive(Default)]
pub(super) struct Near {
    // Set together with the others; nothing is near before.
    node: Option<NodeId>,
    /// The watch that it is in.
    pub(super) watch: u32,
    /// Its path, with a slash behind.
    pub(super) path: Vec<u8>,
    // The length of its path alone.
    len: usize,
    // The directory above, and the length of its path with the slash.
    up: Option<NodeId>,
    up_len: usize,
    // How often a path was composed.
    edition: u64,
    way: Vec<NodeId>,
}

/// What of the events of a directory is told, and to whom.
#[derive(Clone, Copy, Default)]
pub(super) struct Aim {
    pub(super) watch: i64,
    /// No bits: nothing.
    pub(super) mask: u32,
    /// The watch ends with the first event.
    pub(super) once: bool,
}

/// An event that is about no kernel event.
pub(super) struct Notice {
    pub(super) watch: u32,
    pub(super) mask: u32,
    pub(super) cookie: u32,
    pub(super) flags: u32,
    pub(super) error: i32,
    pub(super) path: Vec<u8>,
    pub(super) name: usize,
    /// The watch ends with it.
    pub(super) last: bool,
    /// It is about a directory that is not covered, and about this gap of it; its path is that of
    /// the moment when it is told.
    pub(super) gap: Option<(NodeId, u64)>,
}

impl Notice {
    fn tells_loss(&self) -> bool {
        let out_of_step = self.flags & COVERAGE != 0 && self.cookie == Coverage::OutOfStep as u32;
        self.mask & IN_Q_OVERFLOW != 0 || out_of_step
    }
}

impl<W: World> Engine<W> {
    /// Remembers the directory of the event, with its path. False if it is in no watch.
    #[inline]
    pub(super) fn approach(&mut self, node: NodeId) -> bool {
        self.near.node == Some(node) || self.compose(node)
    }

    fn compose(&mut self, node: NodeId) -> bool {
        let near = &mut self.near;
        let parent = self.tree.node(node).parent;
        let above = (parent != NONE).then_some(parent);
        if above.is_some() && above == near.up {
            near.path.truncate(near.up_len);
        } else if above.is_some() && above == near.node {
            (near.up, near.up_len) = (above, near.path.len());
        } else {
            near.node = None;
            near.up = None;
            let Some(number) = self.tree.climb(node, &mut near.way) else {
                return false;
            };
            let Some(Some(watch)) = self.watches.get(number as usize) else {
                return false;
            };
            near.watch = number;
            near.path.clear();
            near.path.extend_from_slice(&watch.path);
            near.len = near.path.len();
            if near.path.last() != Some(&b'/') {
                near.path.push(b'/');
            }
            for &at in near.way.iter().skip(1).rev() {
                self.tree.append_name(at, &mut near.path);
                near.path.push(b'/');
            }
            (near.up, near.up_len) = (above, near.path.len());
        }
        if above.is_some() {
            self.tree.append_name(node, &mut near.path);
            near.len = near.path.len();
            near.path.push(b'/');
        }
        near.node = Some(node);
        near.edition += 1;
        true
    }

    /// The tree has changed: a path that was composed may be wrong.
    pub(super) fn forget_near(&mut self) {
        (self.near.node, self.near.up) = (None, None);
        self.kin.set((NONE, 0));
    }

    /// A directory without children goes, or has moved: only its own path is wrong then.
    pub(super) fn forget_near_of(&mut self, node: NodeId) {
        if self.near.up == Some(node) || self.kin.get().0 == node {
            self.forget_near();
        } else if self.near.node == Some(node) {
            self.near.node = None;
        }
    }

    /// What is told of the entries of this directory; they can be put into the batch.
    #[inline]
    pub(super) fn aim(&mut self, batch: &mut Batch, node: NodeId) -> Aim {
        if !self.approach(node) {
            return Aim::default();
        }
        batch.set_dir(self.near.edition, &self.near.path);
        match self.watches.get(self.near.watch as usize) {
            Some(Some(watch)) if !watch.building && !watch.ended => Aim {
                watch: watch.id,
                mask: watch.mask & super::EVENTS,
                once: watch.mask & IN_ONESHOT != 0,
            },
            _ => Aim::default(),
        }
    }

    /// Tells an event about an entry of a directory, or about the directory itself.
    #[expect(clippy::too_many_arguments, reason = "an event has as many parts")]
    pub(super) fn tell(
        &mut self,
        batch: &mut Batch,
        node: NodeId,
        name: Option<&[u8]>,
        mask: u32,
        cookie: u32,
        flags: u32,
        old: &[u8],
    ) {
        let Some(head) = self.head(node, name.is_some(), mask, cookie, flags) else {
            return;
        };
        let near = &self.near;
        if let Some(name) = name {
            batch.set_dir(near.edition, &near.path);
            batch.push_entry(head, name, name.len());
        } else {
            let own = if self.tree.has(node, Flags::ROOT) { 0 } else { near.len - near.up_len };
            batch.push_path(head, &near.path[..near.len], near.len - own);
        }
        if !old.is_empty() {
            batch.add_extra(0, old);
        }
        self.told(batch, mask);
    }

    /// The event of a directory, or of a name in it, if it is to be told; the directory is near then.
    fn head(
        &mut self,
        node: NodeId,
        named: bool,
        mask: u32,
        cookie: u32,
        flags: u32,
    ) -> Option<Head> {
        if !self.approach(node) {
            return None;
        }
        let watch = self.watches.get(self.near.watch as usize)?.as_ref()?;
        let existing = flags & SYNTHETIC != 0
            && watch.flags.contains(WatchFlags::EMIT_EXISTING)
            && mask & IN_CREATE != 0;
        let forced = !named && mask & (IN_DELETE_SELF | IN_IGNORED | IN_UNMOUNT) != 0;
        if watch.building || watch.ended {
            return None;
        }
        if mask & watch.mask & super::EVENTS == 0 && !existing && !forced {
            return None;
        }
        if flags & SYNTHETIC != 0 {
            self.counters.synthetic += 1;
        }
        Some(Head { watch: watch.id, mask, cookie, flags })
    }

    /// An event of what is near was told: a one-shot watch ends with it.
    fn told(&mut self, batch: &mut Batch, mask: u32) {
        let watch = self.watch(self.near.watch);
        if watch.is_some_and(|watch| watch.mask & IN_ONESHOT != 0) && mask & IN_IGNORED == 0 {
            self.fired(batch, self.near.watch);
        }
    }

    /// A one-shot watch has had its event.
    pub(super) fn fired(&mut self, batch: &mut Batch, number: u32) {
        let Some(root) = self.watch(number).map(|watch| watch.root) else {
            return;
        };
        self.tell(batch, root, None, IN_IGNORED, 0, 0, &[]);
        batch.mark_last();
        self.end_watch(number);
    }

    /// The first notice whose watch's call has returned, unless its directory is to be told first.
    /// What follows that waits, too, but not a loss of events: it is told before anything that is found
    /// after it.
    #[inline]
    pub(super) fn next_notice(&self) -> Option<usize> {
        if self.notices.is_empty() {
            return None;
        }
        let made = |notice: &Notice| !self.watch(notice.watch).is_some_and(|watch| watch.building);
        let first = self.notices.iter().position(made)?;
        if !self.too_early(&self.notices[first]) {
            return Some(first);
        }
        let ready = |notice: &Notice| made(notice) && !self.too_early(notice);
        if self.alarmed { self.notices.iter().position(ready) } else { None }
    }

    pub(super) fn tell_notice(&mut self, batch: &mut Batch, at: usize) {
        let Some(mut notice) = self.notices.remove(at) else { return };
        if self.alarmed {
            self.alarmed = self.notices.iter().any(Notice::tells_loss);
        }
        let Some(watch) = self.watch(notice.watch) else {
            return;
        };
        if watch.building || watch.ended {
            return;
        }
        let id = watch.id;
        if self.notice_path(&mut notice).is_none() {
            return;
        }
        let Notice { mask, cookie, flags, .. } = notice;
        batch.push_path(Head { watch: id, mask, cookie, flags }, &notice.path, notice.name);
        if notice.error != 0 {
            batch.add_extra(notice.error, &[]);
        }
        if notice.last {
            batch.mark_last();
            self.end_watch(notice.watch);
        }
    }

    /// Tells what the way to a node has that was not told yet; an event of the node shows that all
    /// claims on the way are right.
    pub(super) fn announce(&mut self, batch: &mut Batch, node: NodeId) {
        let news = Flags::PENDING | Flags::CLAIM;
        if !self.tree.flags(node).intersects(news) {
            return;
        }
        let parent = self.tree.node(node).parent;
        if parent == NONE || !self.tree.flags(parent).intersects(news) {
            self.announce_one(batch, node);
            return;
        }
        let mut way = Vec::new();
        let mut at = node;
        while at != NONE && self.tree.flags(at).intersects(news) {
            way.push(at);
            at = self.tree.node(at).parent;
        }
        for &at in way.iter().rev() {
            self.announce_one(batch, at);
        }
    }

    fn announce_one(&mut self, batch: &mut Batch, node: NodeId) {
        let flags = self.tree.flags(node);
        if flags.contains(Flags::CLAIM) && !flags.contains(Flags::DORMANT) {
            self.tree.set(node, Flags::PROVEN);
        }
        if flags.contains(Flags::PENDING) {
            self.tell_pending(batch, node);
        }
    }

    /// Tells what a listing found in a directory and that has no nodes.
    pub(super) fn tell_all_folded(&mut self, batch: &mut Batch, dir: NodeId, count: usize) {
        if self.gaps.is_quiet(dir) {
            return;
        }
        if let Some(head) = self.head(dir, true, IN_CREATE, 0, SYNTHETIC) {
            batch.set_dir(self.near.edition, &self.near.path);
            for (field, len) in self.tree.folded(dir) {
                batch.push_entry(head, field, len);
            }
            self.counters.synthetic += count as u64 - 1;
        }
    }

    /// Tells an entry that a listing found.
    pub(super) fn tell_pending(&mut self, batch: &mut Batch, node: NodeId) {
        self.tree.clear(node, Flags::PENDING);
        if self.tree.has(node, Flags::ROOT) {
            self.tell_news(batch, self.tree.root_number(node));
            return;
        }
        let parent = self.tree.node(node).parent;
        if self.gaps.is_quiet(parent) {
            // It was told when it came, and only left out.
            return;
        }
        let mask = IN_CREATE | if self.tree.has(node, Flags::DIR) { IN_ISDIR } else { 0 };
        if let Some(head) = self.head(parent, true, mask, 0, SYNTHETIC) {
            batch.set_dir(self.near.edition, &self.near.path);
            let (field, len) = self.tree.name_field(node);
            batch.push_entry(head, field, len);
            self.told(batch, mask);
        }
    }
}
