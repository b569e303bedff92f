//! Entries that come and go, and what a listing knows of them before the queue speaks of it.

use super::input::Raw;
use super::mask::SYNTHETIC;
use super::tree::{Flags, Marks, NONE, NodeId};
use super::watches::WatchFlags;
use super::world::World;
use super::{Batch, Engine};
use crate::sys::{Errno, Kind};

use libc::{IN_ATTRIB, IN_CREATE, IN_DELETE, IN_ISDIR};

impl<W: World> Engine<W> {
    /// The child of this name and kind. One of another kind is knowledge from a listing that the
    /// queue has not come to yet: it is dropped, for the queue will tell.
    pub(super) fn known(&mut self, node: NodeId, name: &[u8], mask: u32) -> Option<NodeId> {
        let child = self.tree.child(node, name)?;
        if self.tree.has(child, Flags::TOMB) {
            return None;
        }
        let same_kind = self.tree.has(child, Flags::DIR) == (mask & IN_ISDIR != 0);
        if !same_kind && self.tree.has(child, Flags::PENDING) {
            self.drop_gone(child);
            return self.tree.child(node, name);
        }
        Some(child)
    }

    /// An event about an entry shows that it is there: told first if it was not.
    pub(super) fn vouch(
        &mut self,
        batch: &mut Batch,
        number: u32,
        node: NodeId,
        name: &[u8],
        mask: u32,
    ) {
        match self.known(node, name, mask) {
            Some(child) if self.tree.has(child, Flags::PENDING) => self.tell_pending(batch, child),
            Some(_) => {}
            None if !self.tree.has(node, Flags::NOTING) => {}
            // It was under way when the entry left: the name is that of the moment before.
            None if self.has_left(node, name) => {}
            None => {
                let is_dir = mask & IN_ISDIR;
                self.tell(batch, node, Some(name), IN_CREATE | is_dir, 0, SYNTHETIC, &[]);
                let tag = self.tag_before_barrier();
                self.appear_tagged(number, node, name, is_dir != 0, true, tag);
            }
        }
    }

    /// Is an entry still to be announced, if it is there: by what a listing finds, or a look? An
    /// ATTRIB shows neither that it is nor what: its name is that of the moment, and it is told with
    /// no lock of the directory (fs/attr.c, notify_change), so it can come after the DELETE, and
    /// before the events of a rename that has brought something else. Nor does anything else where a
    /// look is to decide. Whoever is told of the entry later looks at it then.
    pub(super) fn untold(&mut self, number: u32, node: NodeId, mask: u32, name: &[u8]) -> bool {
        if self.is_of_another(node, mask, name) {
            return true;
        }
        let asked = self.is_asked(node, name);
        if mask & IN_ATTRIB == 0 && !asked {
            return false;
        }
        let announced = self.watch(number).is_some_and(|watch| {
            watch.mask & IN_CREATE != 0 || watch.flags.contains(WatchFlags::EMIT_EXISTING)
        });
        let unknown = asked || self.tree.has(node, Flags::NOTING);
        let child = self.tree.child(node, name).map(|child| self.tree.flags(child));
        let waits = |flags: Flags| flags.intersects(Flags::PENDING | Flags::TOMB);
        announced && child.map_or(unknown, waits)
    }

    /// An event that is queued without the lock of the directory, as that of a write is, can come after
    /// the entry has left its name. Is it of another kind than what a listing has found, or of what is
    /// not there? If it is not that late, the queue has yet to speak of the entry.
    fn is_of_another(&mut self, node: NodeId, mask: u32, name: &[u8]) -> bool {
        let open = Flags::NOTING | Flags::LISTING | Flags::WINDOW;
        if !self.tree.flags(node).intersects(open) {
            return false;
        }
        let is_dir = mask & IN_ISDIR != 0;
        if let Some(child) = self.tree.child(node, name) {
            let flags = self.tree.flags(child);
            return flags & (Flags::PENDING | Flags::DOUBT) == Flags::PENDING
                && flags.contains(Flags::DIR) != is_dir;
        }
        self.tree.has(node, Flags::NOTING)
            && self.open_dir(node).is_ok_and(|at| {
                let (_, dir) = &self.open[at];
                match self.world.kind_of(dir, name) {
                    Ok(kind) => (kind == Kind::Directory) != is_dir,
                    Err(errno) => errno == Errno(libc::ENOENT),
                }
            })
    }

    pub(super) fn note_silently(&mut self, number: u32, node: NodeId, name: &[u8], mask: u32) {
        let noting = self.tree.has(node, Flags::NOTING);
        if noting && self.known(node, name, mask).is_none() && !self.has_left(node, name) {
            let tag = self.tag_before_barrier();
            self.appear_tagged(number, node, name, mask & IN_ISDIR != 0, false, tag);
        }
    }

    pub(super) fn created(
        &mut self,
        batch: &mut Batch,
        number: u32,
        node: NodeId,
        raw: &Raw,
        name: &[u8],
    ) {
        let live = self.live(number, node);
        if live {
            let told = self
                .tree
                .child(node, name)
                .filter(|&child| !self.tree.flags(child).intersects(Flags::PENDING | Flags::TOMB));
            if let Some(child) = told {
                // Its end was lost; the consumer must not see it come twice. Or a listing has found it
                // where nothing is told of what a listing finds.
                let open = Flags::CLAIM | Flags::TASK | Flags::LISTING | Flags::WINDOW;
                let flags = self.tree.flags(node);
                let noted = flags.contains(Flags::NOTING) || !flags.intersects(open);
                if noted || self.doubts(node) {
                    let is_dir = if self.tree.has(child, Flags::DIR) { IN_ISDIR } else { 0 };
                    self.tell(batch, node, Some(name), IN_DELETE | is_dir, 0, SYNTHETIC, &[]);
                }
                self.drop_child(child);
            }
        }
        self.appear(number, node, name, raw.mask & IN_ISDIR != 0, live);
        if live {
            self.tell(batch, node, Some(name), raw.mask, raw.cookie, 0, &[]);
            self.tell_early(batch, number, node, raw, name);
        }
    }

    /// An entry has come to be. Returns its node, if it needs one.
    pub(super) fn appear(
        &mut self,
        number: u32,
        parent: NodeId,
        name: &[u8],
        is_dir: bool,
        live: bool,
    ) -> Option<NodeId> {
        self.appear_tagged(number, parent, name, is_dir, live, self.tag)
    }

    /// The same; what there is to be listed is of this tag.
    fn appear_tagged(
        &mut self,
        number: u32,
        parent: NodeId,
        name: &[u8],
        is_dir: bool,
        live: bool,
        tag: u32,
    ) -> Option<NodeId> {
        let noting = self.tree.has(parent, Flags::NOTING);
        let flags = self.watch(number)?.flags;
        let follow = is_dir && flags.contains(WatchFlags::AUTO_ADD);
        let mut child = self.tree.child(parent, name);
        // A listing under way can still have what had the name before: it must find it taken.
        let blocks = child.is_some() && self.tree.has(parent, Flags::LISTING);
        if let Some(old) = child {
            let unknown = self.tree.flags(old).intersects(Flags::PENDING | Flags::TOMB)
                && !self.tree.has(old, Flags::DOUBT);
            if !live && self.end_later(old) {
                let kind = if self.tree.has(old, Flags::DIR) == is_dir {
                    Marks::empty()
                } else {
                    self.other_kind(old)
                };
                self.tree.mark(old, Marks::REPLACED | kind);
                return None;
            }
            if !unknown || self.tree.has(old, Flags::DIR) != is_dir {
                self.drop_child(old);
                child = None;
            } else if self.tree.has(old, Flags::TOMB) {
                self.tree.clear(old, Flags::TOMB);
            }
        }
        let tracks = self.tracks(number);
        let remembered = noting || follow || tracks;
        if child.is_none() && !remembered && !blocks {
            return None;
        }
        let kind = if is_dir { Flags::DIR } else { Flags::empty() };
        let node = match child {
            Some(node) => node,
            None => self.tree.add(parent, name, kind),
        };
        if tracks {
            self.unprint(node);
        }
        if live {
            self.tree.clear(node, Flags::PENDING);
        } else if noting || (child.is_none() && remembered && self.doubts(parent)) {
            self.tree.set(node, Flags::PENDING);
        }
        if follow && self.welcome(number, node) {
            // Of what is watched only from now on something can have come unseen.
            let late = self.tree.node(node).wd == 0 && !self.tree.has(node, Flags::TASK);
            if live || noting || late {
                self.tree.set(node, Flags::NOTING);
            }
            if self.tree.node(node).wd == 0 {
                self.push_task_tagged(node, tag);
            }
        }
        Some(node)
    }

    /// Do the patterns let in a directory of which an event has just told the path?
    fn welcome(&mut self, number: u32, node: NodeId) -> bool {
        self.tree.unmark(node, Marks::LEFT_OUT | Marks::JUDGED);
        let wanted = self.judge(number, node);
        if !wanted {
            self.leave_out(node);
        }
        wanted
    }

    pub(super) fn deleted(
        &mut self,
        batch: &mut Batch,
        number: u32,
        node: NodeId,
        raw: &Raw,
        name: &[u8],
    ) {
        let child = self.known(node, name, raw.mask);
        let live = self.live(number, node);
        if live {
            self.vouch_gone(batch, node, child, name, raw.mask);
            self.tell(batch, node, Some(name), raw.mask, raw.cookie, 0, &[]);
        }
        if let Some(child) = child.filter(|&child| live || !self.end_later(child)) {
            // If it is watched still, the kernel keeps the watch for as long as somebody has the
            // directory open, or the dentry cache a name that was looked up in it last of all.
            self.drop_child(child);
        }
        self.leave_tomb(node, name);
    }

    /// An entry goes: if it was not told yet that it came, that is told first.
    pub(super) fn vouch_gone(
        &mut self,
        batch: &mut Batch,
        node: NodeId,
        child: Option<NodeId>,
        name: &[u8],
        mask: u32,
    ) {
        match child {
            Some(child) if self.tree.has(child, Flags::PENDING) => self.tell_pending(batch, child),
            None if self.tree.has(node, Flags::NOTING) => {
                let is_dir = mask & IN_ISDIR;
                self.tell(batch, node, Some(name), IN_CREATE | is_dir, 0, SYNTHETIC, &[]);
            }
            _ => {}
        }
    }

    /// Its wd is the one of this entry, as of this place in the queue.
    pub(super) fn certain(&self, node: NodeId) -> bool {
        let flags = self.tree.flags(node);
        !flags.contains(Flags::DORMANT)
            && (!flags.contains(Flags::CLAIM) || flags.contains(Flags::PROVEN))
    }

    /// Neither a listing under way must bring the name back, nor an event of the entry that is queued
    /// without the lock of the directory, as that of a write is, and comes later.
    pub(super) fn leave_tomb(&mut self, node: NodeId, name: &[u8]) {
        let flags = self.tree.flags(node);
        let noting = flags.contains(Flags::NOTING) && flags.intersects(Flags::WINDOW | Flags::TASK);
        let open = noting || flags.contains(Flags::LISTING);
        if open && self.tree.child(node, name).is_none() {
            self.tree.add(node, name, Flags::TOMB);
        }
    }

    /// Did the queue say that an entry is gone, and nothing of the name since?
    fn has_left(&mut self, node: NodeId, name: &[u8]) -> bool {
        self.tree.child(node, name).is_some_and(|child| self.tree.has(child, Flags::TOMB))
    }

    /// Nothing is told of a directory whose wd can be that of another place. Was an entry told that goes
    /// now, because the directory is compared with what stood there before? Then it is in doubt until
    /// the window closes, and told to be gone then.
    #[cold]
    pub(super) fn end_later(&mut self, child: NodeId) -> bool {
        let dir = self.tree.node(child).parent;
        let told = self.doubts(dir)
            && !self.tree.flags(child).intersects(Flags::PENDING | Flags::TOMB)
            && self.watch_of(dir).is_some_and(|number| !self.is_building(number));
        if told {
            self.out_of_doubt(child);
            self.tree.set(child, Flags::DOUBT);
            if let Some(listing) = self.listing.as_mut().filter(|listing| listing.node == dir) {
                listing.ended.insert(child);
            }
        }
        told
    }

    /// Takes a child, with all below it, out of the tree for good.
    pub(super) fn drop_child(&mut self, child: NodeId) {
        self.unsettle(child);
        self.tree.detach(child);
        let watched = self.tree.node(child).wd != 0;
        if !watched && !self.tree.flags(child).intersects(Flags::DIR | Flags::UNCOVERED) {
            // Not watched, nothing below it: no list has it but those of the tree.
            self.tree.free(child);
            return;
        }
        if self.tree.first_dir(child) == NONE {
            self.free_node(child);
        } else {
            self.forget_near();
            self.doomed.push(child);
        }
    }
}
