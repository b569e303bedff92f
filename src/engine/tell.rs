//! What is told: the path of the moment, the caller's mask, entries whose telling was due.

use super::input::Raw;
use super::mask::SYNTHETIC;
use super::names::Name;
use super::tree::{Flags, NONE, NodeId};
use super::watches::WatchFlags;
use super::world::World;
use super::{Batch, Engine, Notice, Out};

use libc::{IN_CREATE, IN_DELETE_SELF, IN_IGNORED, IN_ISDIR, IN_ONESHOT, IN_UNMOUNT};

impl<W: World> Engine<W> {
    /// Remembers the directory of the event, with its path. False if it is in no watch.
    #[inline]
    pub(super) fn approach(&mut self, node: NodeId) -> bool {
        if self.near == node {
            return true;
        }
        let Some(number) = self.watch_of(node) else {
            return false;
        };
        self.near_watch = number;
        let Some(Some(watch)) = self.watches.get(number as usize) else {
            return false;
        };
        self.near_path.clear();
        self.near_path.extend_from_slice(&watch.path);
        self.tree.relative(node, &mut self.scratch);
        if !self.scratch.is_empty() {
            if self.near_path.last() != Some(&b'/') {
                self.near_path.push(b'/');
            }
            self.near_path.extend_from_slice(&self.scratch);
        }
        self.near = node;
        true
    }

    /// The tree has changed: a path that was composed may be wrong.
    pub(super) fn forget_near(&mut self) {
        self.near = NONE;
    }

    /// The short way: an event about an entry that the tree does not hold.
    #[inline]
    pub(super) fn tell_entry(&mut self, batch: &mut Batch, node: NodeId, raw: &Raw) {
        if !self.approach(node) {
            return;
        }
        let Some(Some(watch)) = self.watches.get(self.near_watch as usize) else {
            return;
        };
        if raw.mask & watch.mask & super::EVENTS == 0 || watch.building || watch.ended {
            return;
        }
        let name = self.input.name(raw);
        let (path, path_len, name) = batch.put_path(&self.near_path, Some(name));
        batch.push(Out {
            watch: watch.id,
            mask: raw.mask,
            cookie: raw.cookie,
            flags: 0,
            error: 0,
            path,
            path_len,
            name,
            old: 0,
            old_len: 0,
            last: false,
        });
        if watch.mask & IN_ONESHOT != 0 {
            self.fired(batch, self.near_watch);
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
        if !self.approach(node) {
            return;
        }
        let Some(Some(watch)) = self.watches.get(self.near_watch as usize) else {
            return;
        };
        let existing = flags & SYNTHETIC != 0
            && watch.flags.contains(WatchFlags::EMIT_EXISTING)
            && mask & IN_CREATE != 0;
        let forced = name.is_none() && mask & (IN_DELETE_SELF | IN_IGNORED | IN_UNMOUNT) != 0;
        if watch.building || watch.ended {
            return;
        }
        if mask & watch.mask & super::EVENTS == 0 && !existing && !forced {
            return;
        }
        if flags & SYNTHETIC != 0 {
            self.counters.synthetic += 1;
        }
        let (path, path_len, name) = match name {
            Some(name) => batch.put_path(&self.near_path, Some(name)),
            None => {
                let (path, len, _) = batch.put_path(&self.near_path, None);
                let root = self.tree.has(node, Flags::ROOT);
                let own = self.tree.name(node).len();
                (path, len, if root { len } else { len - own })
            }
        };
        let (old, old_len, _) = if old.is_empty() { (0, 0, 0) } else { batch.put_path(old, None) };
        batch.push(Out {
            watch: watch.id,
            mask,
            cookie,
            flags,
            error: 0,
            path,
            path_len,
            name,
            old,
            old_len,
            last: false,
        });
        if watch.mask & IN_ONESHOT != 0 && mask & IN_IGNORED == 0 {
            self.fired(batch, self.near_watch);
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

    pub(super) fn tell_notice(&mut self, batch: &mut Batch, notice: &Notice) {
        let Some(watch) = self.watch(notice.watch) else {
            return;
        };
        if watch.building || watch.ended {
            return;
        }
        let id = watch.id;
        let (path, path_len, _) = batch.put_path(&notice.path, None);
        batch.push(Out {
            watch: id,
            mask: notice.mask,
            cookie: 0,
            flags: notice.flags,
            error: notice.error,
            path,
            path_len,
            name: notice.name,
            old: 0,
            old_len: 0,
            last: false,
        });
    }

    /// Tells what the way to a node has that was not told yet; an event of the node shows that all
    /// claims on the way are right.
    pub(super) fn announce(&mut self, batch: &mut Batch, node: NodeId) {
        let news = Flags::PENDING | Flags::CLAIM;
        if !self.tree.flags(node).intersects(news) {
            return;
        }
        let mut way = Vec::new();
        let mut at = node;
        while at != NONE && self.tree.flags(at).intersects(news) {
            way.push(at);
            at = self.tree.node(at).parent;
        }
        for &at in way.iter().rev() {
            if self.tree.has(at, Flags::CLAIM) {
                self.tree.set(at, Flags::PROVEN);
            }
            if self.tree.has(at, Flags::PENDING) {
                self.tell_pending(batch, at);
            }
        }
    }

    /// Tells an entry that a listing found.
    pub(super) fn tell_pending(&mut self, batch: &mut Batch, node: NodeId) {
        self.tree.clear(node, Flags::PENDING);
        let parent = self.tree.node(node).parent;
        let name = Name::new(self.tree.name(node));
        let is_dir = if self.tree.has(node, Flags::DIR) { IN_ISDIR } else { 0 };
        self.tell(batch, parent, Some(name.get()), IN_CREATE | is_dir, 0, SYNTHETIC, &[]);
    }
}
