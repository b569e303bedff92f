//! One kernel event after the other: what it does to the tree, and what is told of it.

use super::mask::{DIRENT, MOVE, SYNTHETIC};
use super::tree::{Flags, NONE, NodeId};
use super::watches::WatchFlags;
use super::world::World;
use super::{Batch, Engine, Exchange, Notice, Out};
use crate::engine::input::Raw;

use libc::{
    IN_CREATE, IN_DELETE, IN_DELETE_SELF, IN_IGNORED, IN_ISDIR, IN_MOVE_SELF, IN_MOVED_FROM,
    IN_MOVED_TO, IN_ONESHOT, IN_Q_OVERFLOW, IN_UNMOUNT,
};

/// What opening, listing and closing a directory causes.
const LOOKED: u32 = libc::IN_OPEN | libc::IN_ACCESS | libc::IN_CLOSE_NOWRITE;
/// Most first halves kept for entries whose second half may never come.
const HELD: usize = 1024;

/// The first half of a rename: what was taken away, and is to be put somewhere.
pub(super) struct Held {
    pub(super) watch: u32,
    pub(super) cookie: u32,
    /// The directory it was in.
    pub(super) from: NodeId,
    pub(super) from_wd: i32,
    pub(super) name: Vec<u8>,
    /// The subtree that was taken out, or `NONE`.
    pub(super) node: NodeId,
    /// Its path, as it was told; empty if it was not told.
    pub(super) old: Vec<u8>,
}

/// A name copied out of the read buffer.
#[derive(Clone, Copy)]
pub(super) struct Name {
    bytes: [u8; 256],
    len: usize,
}

impl Name {
    pub(super) fn new(name: &[u8]) -> Self {
        let len = name.len().min(256);
        let mut bytes = [0; 256];
        bytes[..len].copy_from_slice(&name[..len]);
        Self { bytes, len }
    }

    pub(super) fn get(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl<W: World> Engine<W> {
    /// Uses up the buffer, until the batch is full or a window must be told first.
    pub(super) fn process(&mut self, batch: &mut Batch) -> bool {
        let mut worked = false;
        let pokes = self.world.poke_wds();
        while !self.full(batch) && self.settling.is_none() {
            let Some(raw) = self.input.event(self.input.position()) else {
                // Nothing, or bytes that are no event: no use keeping them.
                self.input.clear();
                break;
            };
            worked = true;
            if let Some(node) = self.wds.get(&self.tree, raw.wd) {
                self.counters.kernel_events += 1;
                self.stale = true;
                let entry = raw.mask & DIRENT != 0;
                let short = raw.name_len > 0
                    && (raw.mask & LOOKED == 0 || raw.mask & IN_ISDIR == 0)
                    && !self.tree.flags(node).intersects(Flags::UNSETTLED)
                    && self.rechecks.is_empty()
                    && raw.mask & MOVE == 0
                    && !(entry && (raw.mask & IN_ISDIR != 0 || !self.held.is_empty()));
                if short {
                    self.tell_entry(batch, node, &raw);
                } else if raw.mask & !IN_ISDIR != 0 {
                    self.event(batch, node, &raw);
                }
            } else if pokes.contains(&raw.wd) {
                self.poked(&raw, pokes);
                self.input.advance(raw.next);
                self.finish(batch);
                continue;
            } else {
                self.counters.kernel_events += 1;
                if raw.mask & IN_Q_OVERFLOW != 0 {
                    self.overflow();
                } else if raw.mask & IN_IGNORED != 0 {
                    self.wds.forget(raw.wd);
                }
            }
            self.input.advance(raw.next);
        }
        worked
    }

    fn poked(&mut self, raw: &Raw, pokes: [i32; 2]) {
        if raw.mask & libc::IN_ATTRIB == 0 {
            return;
        }
        // They come in turn; were one missing, the next would not be of the expected file.
        let expected = pokes[usize::from(self.seen % 2 == 1)];
        self.seen += if raw.wd == expected { 1 } else { 2 };
        self.seen = self.seen.min(self.issued);
    }

    /// Remembers the directory of the event, with its path. False if it is in no watch.
    #[inline]
    fn approach(&mut self, node: NodeId) -> bool {
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
    fn tell_entry(&mut self, batch: &mut Batch, node: NodeId, raw: &Raw) {
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
    fn fired(&mut self, batch: &mut Batch, number: u32) {
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

    /// Events of this node are told as they come.
    fn live(&self, number: u32, node: NodeId) -> bool {
        !self.tree.has(node, Flags::DORMANT)
            && self.watch(number).is_some_and(|watch| !watch.building)
    }

    /// The long way: everything that touches the tree, or that an open window has a say in.
    fn event(&mut self, batch: &mut Batch, first: NodeId, raw: &Raw) {
        let name = Name::new(self.input.name(raw));
        if !self.tree.has(first, Flags::ALIASED) {
            self.event_at(batch, first, raw, &name);
            return;
        }
        let mut nodes = std::mem::take(&mut self.aliases);
        self.wds.all(&self.tree, raw.wd, &mut nodes);
        for &node in &nodes {
            // An event may have ended what it was about.
            if self.tree.node(node).wd == raw.wd {
                self.event_at(batch, node, raw, &name);
            }
        }
        self.aliases = nodes;
    }

    fn event_at(&mut self, batch: &mut Batch, node: NodeId, raw: &Raw, name: &Name) {
        let Some(number) = self.watch_of(node) else {
            return;
        };
        if self.live(number, node) {
            self.announce(batch, node);
        }
        if raw.mask & LOOKED != 0 && self.looked(node, raw, name) {
            return;
        }
        if raw.name_len == 0 {
            self.own_event(batch, number, node, raw);
            return;
        }
        let ahead = raw.mask & MOVE != 0 && self.told_ahead(raw.cookie, raw.mask & MOVE, number);
        if ahead {
            return;
        }
        if raw.mask & DIRENT != 0 {
            self.expire(node, raw.cookie);
        }
        let name = name.get();
        if !self.rechecks.is_empty() {
            self.answer_recheck(batch, number, node, raw, name);
        }
        if raw.mask & IN_MOVED_FROM != 0 {
            let held = self.take(batch, number, node, name, raw.mask, raw.cookie);
            self.place(batch, raw.next, held);
            self.tell_rest(batch, number, node, raw, name);
        } else if raw.mask & IN_MOVED_TO != 0 {
            let at =
                self.held.iter().position(|held| held.cookie == raw.cookie && held.watch == number);
            let held = at.map(|at| self.held.remove(at));
            self.arrive(batch, number, node, raw, name, held);
        } else if raw.mask & IN_CREATE != 0 {
            self.created(batch, number, node, raw, name);
        } else if raw.mask & IN_DELETE != 0 {
            self.deleted(batch, number, node, raw, name);
        } else {
            if self.live(number, node) {
                self.vouch(batch, number, node, name, raw.mask);
                self.tell(batch, node, Some(name), raw.mask, raw.cookie, 0, &[]);
            } else {
                self.note_silently(number, node, name, raw.mask);
            }
        }
    }

    /// An event tells whether an entry was there that could not be looked at.
    fn answer_recheck(
        &mut self,
        batch: &mut Batch,
        number: u32,
        node: NodeId,
        raw: &Raw,
        name: &[u8],
    ) {
        // The MOVED_FROM that raised the question is no answer, nor is what stands before it.
        for asked in &mut self.rechecks {
            if asked.cookie == raw.cookie && asked.dir == node {
                asked.open = true;
                return;
            }
        }
        let asked = self.take_recheck(node, name);
        if asked && raw.mask & (IN_CREATE | IN_MOVED_TO) == 0 {
            self.tell_found(batch, number, node, name, raw.mask);
        }
    }

    /// What came and was not told, because the kernel merged it with what came before, is left
    /// when that has moved away.
    fn tell_rest(&mut self, batch: &mut Batch, number: u32, node: NodeId, raw: &Raw, name: &[u8]) {
        let rest = |asked: &super::Recheck| {
            asked.there && asked.dir == node && asked.cookie == raw.cookie && asked.name == name
        };
        if let Some(at) = self.rechecks.iter().position(rest) {
            self.rechecks.swap_remove(at);
            self.exchanges.push(Exchange { cookie: 0, from: Some(*raw), asked: None });
            self.tell_found(batch, number, node, name, raw.mask);
        }
    }

    /// Is it to be found out whether an entry is there? Not any more.
    fn take_recheck(&mut self, dir: NodeId, name: &[u8]) -> bool {
        let before = self.rechecks.len();
        self.rechecks.retain(|asked| asked.dir != dir || asked.name != name || !asked.open);
        self.rechecks.len() != before
    }

    /// An entry turns out to be there.
    fn tell_found(&mut self, batch: &mut Batch, number: u32, dir: NodeId, name: &[u8], mask: u32) {
        if self.known(dir, name, mask).is_some() {
            return;
        }
        let is_dir = mask & IN_ISDIR;
        if self.live(number, dir) {
            self.tell(batch, dir, Some(name), IN_CREATE | is_dir, 0, SYNTHETIC, &[]);
            self.appear(number, dir, name, is_dir != 0, true);
        } else if self.tree.has(dir, Flags::NOTING) {
            self.appear(number, dir, name, is_dir != 0, false);
        }
    }

    /// Was it the library that looked into a directory? While its window is open it did; that
    /// nobody else did at the same time cannot be known.
    fn looked(&self, node: NodeId, raw: &Raw, name: &Name) -> bool {
        let about = if raw.name_len == 0 {
            Some(node)
        } else if raw.mask & IN_ISDIR != 0 {
            self.tree.child(node, name.get())
        } else {
            None
        };
        let scanning = Flags::CLAIM | Flags::LISTING | Flags::WINDOW | Flags::TASK;
        about.is_some_and(|about| self.tree.flags(about).intersects(scanning))
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

    /// The child of this name and kind. One of another kind is knowledge from a listing that the
    /// queue has not come to yet: it is dropped, for the queue will tell.
    fn known(&mut self, node: NodeId, name: &[u8], mask: u32) -> Option<NodeId> {
        let child = self.tree.child(node, name)?;
        if self.tree.has(child, Flags::TOMB) {
            return None;
        }
        let same_kind = self.tree.has(child, Flags::DIR) == (mask & IN_ISDIR != 0);
        if !same_kind && self.tree.has(child, Flags::PENDING) {
            self.drop_child(child);
            return None;
        }
        Some(child)
    }

    /// An event about an entry shows that it is there: told first if it was not.
    fn vouch(&mut self, batch: &mut Batch, number: u32, node: NodeId, name: &[u8], mask: u32) {
        match self.known(node, name, mask) {
            Some(child) if self.tree.has(child, Flags::PENDING) => self.tell_pending(batch, child),
            Some(_) => {}
            None if !self.tree.has(node, Flags::NOTING) => {}
            None => {
                let is_dir = mask & IN_ISDIR;
                self.tell(batch, node, Some(name), IN_CREATE | is_dir, 0, SYNTHETIC, &[]);
                self.appear(number, node, name, is_dir != 0, true);
            }
        }
    }

    fn note_silently(&mut self, number: u32, node: NodeId, name: &[u8], mask: u32) {
        if self.tree.has(node, Flags::NOTING) && self.known(node, name, mask).is_none() {
            self.appear(number, node, name, mask & IN_ISDIR != 0, false);
        }
    }

    fn created(&mut self, batch: &mut Batch, number: u32, node: NodeId, raw: &Raw, name: &[u8]) {
        let live = self.live(number, node);
        if live {
            let told = self
                .tree
                .child(node, name)
                .filter(|&child| !self.tree.flags(child).intersects(Flags::PENDING | Flags::TOMB));
            if let Some(child) = told {
                // Its end was lost; the consumer must not see it come twice.
                let is_dir = if self.tree.has(child, Flags::DIR) { IN_ISDIR } else { 0 };
                self.tell(batch, node, Some(name), IN_DELETE | is_dir, 0, SYNTHETIC, &[]);
                self.drop_child(child);
            }
        }
        self.appear(number, node, name, raw.mask & IN_ISDIR != 0, live);
        if live {
            self.tell(batch, node, Some(name), raw.mask, raw.cookie, 0, &[]);
        }
    }

    /// An entry has come to be. Returns its node, if it needs one.
    fn appear(
        &mut self,
        number: u32,
        parent: NodeId,
        name: &[u8],
        is_dir: bool,
        live: bool,
    ) -> Option<NodeId> {
        let noting = self.tree.has(parent, Flags::NOTING);
        let flags = self.watch(number)?.flags;
        let follow = is_dir && flags.contains(WatchFlags::AUTO_ADD);
        let mut child = self.tree.child(parent, name);
        if let Some(old) = child {
            let unknown = self.tree.flags(old).intersects(Flags::PENDING | Flags::TOMB);
            if !unknown || self.tree.has(old, Flags::DIR) != is_dir {
                self.drop_child(old);
                child = None;
            } else if self.tree.has(old, Flags::TOMB) {
                self.tree.clear(old, Flags::TOMB);
            }
        }
        if child.is_none() && !noting && !follow {
            return None;
        }
        let kind = if is_dir { Flags::DIR } else { Flags::empty() };
        let node = match child {
            Some(node) => node,
            None => self.tree.add(parent, name, kind),
        };
        if live {
            self.tree.clear(node, Flags::PENDING);
        } else if noting {
            self.tree.set(node, Flags::PENDING);
        }
        if follow {
            if live || noting {
                self.tree.set(node, Flags::NOTING);
            }
            if self.tree.node(node).wd == 0 {
                self.push_task(node);
            }
        }
        Some(node)
    }

    fn deleted(&mut self, batch: &mut Batch, number: u32, node: NodeId, raw: &Raw, name: &[u8]) {
        let child = self.known(node, name, raw.mask);
        if self.live(number, node) {
            self.vouch_gone(batch, node, child, name, raw.mask);
            self.tell(batch, node, Some(name), raw.mask, raw.cookie, 0, &[]);
        }
        if let Some(child) = child {
            let wd = self.tree.node(child).wd;
            if self.certain(child) && wd != 0 {
                // The kernel drops the watch by itself.
                if self.wds.remove(&mut self.tree, child) {
                    self.wds.bury(wd);
                }
            }
            self.drop_child(child);
        }
        self.leave_tomb(node, name);
    }

    /// An entry goes: if it was not told yet that it came, that is told first.
    fn vouch_gone(
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

    /// A listing under way must not bring the name back.
    fn leave_tomb(&mut self, node: NodeId, name: &[u8]) {
        if self.tree.has(node, Flags::LISTING) && self.tree.child(node, name).is_none() {
            self.tree.add(node, name, Flags::TOMB);
        }
    }

    /// MOVED_FROM: tells it, and takes the entry out of the tree.
    pub(super) fn take(
        &mut self,
        batch: &mut Batch,
        number: u32,
        from: NodeId,
        name: &[u8],
        mask: u32,
        cookie: u32,
    ) -> Held {
        let mut held = Held {
            watch: number,
            cookie,
            from,
            from_wd: self.tree.node(from).wd,
            name: name.to_vec(),
            node: NONE,
            old: Vec::new(),
        };
        let child = self.known(from, name, mask);
        let live = self.live(number, from);
        if live {
            self.vouch_gone(batch, from, child, name, mask);
            self.tell(batch, from, Some(name), mask, cookie, 0, &[]);
            if self.approach(from) {
                held.old.extend_from_slice(&self.near_path);
                if held.old.last() != Some(&b'/') {
                    held.old.push(b'/');
                }
                held.old.extend_from_slice(name);
            }
        }
        if let Some(child) = child {
            let ours = self.tree.node(child).wd != 0 || self.tree.has(child, Flags::EXCLUDED);
            if live && self.certain(child) && ours {
                self.unsettle(child);
                self.tree.detach(child);
                self.forget_near();
                held.node = child;
            } else {
                // Whether the wd is of the entry that moves cannot be told: it is watched anew
                // where it arrives. Nothing of it has been told.
                self.drop_child(child);
            }
        }
        self.leave_tomb(from, name);
        held
    }

    /// Finds out what becomes of something that was taken out, and does it. `after` is the place
    /// in the buffer behind its MOVED_FROM.
    pub(super) fn place(&mut self, batch: &mut Batch, after: usize, mut held: Held) {
        if held.node == NONE {
            if !held.old.is_empty() {
                if self.held.len() >= HELD {
                    self.held.remove(0);
                }
                self.held.push(held);
            }
            return;
        }
        // An ignored directory has no wd; its destination counts all the same.
        let wd = match self.tree.node(held.node).wd {
            0 => i32::MIN,
            wd => wd,
        };
        if let Some(to) = self.destination(held.from, after, held.cookie, wd) {
            let number = held.watch;
            let mut nodes = Vec::new();
            self.wds.all(&self.tree, to.wd, &mut nodes);
            nodes.retain(|&node| self.watch_of(node) == Some(number));
            if let Some(&target) = nodes.first() {
                let name = Name::new(self.input.name(&to));
                for _ in &nodes {
                    self.done.push((held.cookie, IN_MOVED_TO, number));
                }
                if self.live(number, target) {
                    self.announce(batch, target);
                }
                self.expire(target, held.cookie);
                let old = held.old.clone();
                let (cookie, from, from_wd) = (held.cookie, held.from, held.from_wd);
                let from_name = held.name.clone();
                self.arrive(batch, number, target, &to, name.get(), Some(held));
                for &other in &nodes[1..] {
                    let twin = Held {
                        watch: number,
                        cookie,
                        from,
                        from_wd,
                        name: from_name.clone(),
                        node: NONE,
                        old: old.clone(),
                    };
                    self.arrive(batch, number, other, &to, name.get(), Some(twin));
                }
                return;
            }
        }
        // It left the tree; or it went to a directory that was not watched then, where a scan finds
        // it, as something new.
        let node = std::mem::replace(&mut held.node, NONE);
        self.doomed.push(node);
    }

    /// MOVED_TO: tells it, and puts what is held there. An exchange is told so that the consumer's
    /// rules come out right: what stood there is taken away first.
    pub(super) fn arrive(
        &mut self,
        batch: &mut Batch,
        number: u32,
        to: NodeId,
        raw: &Raw,
        name: &[u8],
        held: Option<Held>,
    ) {
        let asked = self.take_recheck(to, name);
        let other = self.exchanged(to, raw, name, held.as_ref());
        if let (true, Some(from)) = (asked, &other) {
            self.tell_found(batch, number, to, name, from.mask);
        }
        let other = other.map(|from| {
            self.done.push((from.cookie, IN_MOVED_FROM, number));
            (from.next, self.take(batch, number, to, name, from.mask, from.cookie))
        });
        self.put(batch, number, to, raw, name, held);
        if let Some((after, other)) = other {
            self.place(batch, after, other);
        }
    }

    fn put(
        &mut self,
        batch: &mut Batch,
        number: u32,
        to: NodeId,
        raw: &Raw,
        name: &[u8],
        held: Option<Held>,
    ) {
        let live = self.live(number, to);
        let (mut node, old) = held.map_or((NONE, Vec::new()), |held| (held.node, held.old));
        if node != NONE && !live {
            self.doomed.push(node);
            node = NONE;
        }
        if node == NONE {
            self.appear(number, to, name, raw.mask & IN_ISDIR != 0, live);
        } else {
            if let Some(replaced) = self.tree.child(to, name) {
                self.drop_child(replaced);
            }
            self.put_node(node, to, name);
        }
        if live {
            self.tell(batch, to, Some(name), raw.mask, raw.cookie, 0, &old);
        }
    }

    /// Puts a subtree back into the tree. If its window was still open it is listed again: the
    /// listing may be of another directory that had its old name.
    fn put_node(&mut self, node: NodeId, parent: NodeId, name: &[u8]) {
        self.tree.attach(node, parent, name);
        self.forget_near();
        if self.tree.has(node, Flags::CLAIM) {
            let mut child = self.tree.node(node).first;
            while child != NONE {
                let next = self.tree.next(child);
                if self.tree.has(child, Flags::PENDING) {
                    self.drop_child(child);
                }
                child = next;
            }
            self.stop_listing(node);
            self.cancel_window(node);
            self.push_task(node);
        }
        self.retry_blocked();
    }

    /// Something in this directory goes on, so a rename out of it is complete: the second half has
    /// been queued, or never will be, for the kernel holds the directory's lock between the two
    /// (fs/namei.c, vfs_rename).
    fn expire(&mut self, node: NodeId, cookie: u32) {
        if !self.held.is_empty() {
            self.held.retain(|held| held.from != node || held.cookie == cookie);
        }
    }

    fn told_ahead(&mut self, cookie: u32, kind: u32, number: u32) -> bool {
        let at = self.done.iter().position(|&done| done == (cookie, kind, number));
        at.map(|at| self.done.swap_remove(at)).is_some()
    }

    /// An event about a watched directory or file itself.
    fn own_event(&mut self, batch: &mut Batch, number: u32, node: NodeId, raw: &Raw) {
        let live = self.live(number, node);
        if self.tree.has(node, Flags::ROOT) {
            if live {
                self.tell(batch, node, None, raw.mask, raw.cookie, 0, &[]);
            }
            if raw.mask & IN_IGNORED != 0 {
                if live {
                    batch.mark_last();
                }
                self.wds.remove(&mut self.tree, node);
                if !live && let Some(watch) = self.watch(number) {
                    self.dropped.push(watch.id);
                }
                self.end_watch(number);
            }
            return;
        }
        if raw.mask & IN_IGNORED != 0 {
            self.wds.remove(&mut self.tree, node);
            // It is still in the tree, so its name now leads to something else: a directory that
            // was moved over it.
            self.tree.clear(node, Flags::CLAIM | Flags::PROVEN | Flags::DORMANT);
            self.tree.set(node, Flags::NOTING);
            self.stop_listing(node);
            self.cancel_window(node);
            self.push_task(node);
            return;
        }
        if raw.mask & IN_UNMOUNT != 0 {
            self.unmounted(batch, node, raw);
            return;
        }
        // The parent's event with the name tells it, where the mask lets it.
        let mask = self.watch(number).map_or(0, |watch| watch.mask);
        let only_here = (raw.mask & IN_DELETE_SELF != 0 && mask & IN_DELETE == 0)
            || (raw.mask & IN_MOVE_SELF != 0 && mask & MOVE == 0);
        if live && only_here {
            self.tell(batch, node, None, raw.mask, raw.cookie, 0, &[]);
        }
    }

    /// The file system of a directory is gone: told once, where it was mounted, and what was below
    /// is let go. The kernel tells it for each directory, in no order (fs/notify/fsnotify.c,
    /// fsnotify_unmount_inodes).
    fn unmounted(&mut self, batch: &mut Batch, node: NodeId, raw: &Raw) {
        while self.fill().is_ok_and(|got| got > 0) {}
        let parent = self.tree.node(self.tree.node(node).parent).wd;
        let above = self
            .input
            .from(raw.next)
            .any(|later| later.wd == parent && later.mask & IN_UNMOUNT != 0);
        // A parent without a wd has been unmounted before.
        if parent == 0 || above {
            return;
        }
        self.tell(batch, node, None, raw.mask, 0, 0, &[]);
        while self.tree.node(node).first != NONE {
            let child = self.tree.node(node).first;
            self.drop_child(child);
        }
    }

    /// Takes a child, with all below it, out of the tree for good.
    pub(super) fn drop_child(&mut self, child: NodeId) {
        self.unsettle(child);
        self.tree.detach(child);
        self.forget_near();
        if self.tree.node(child).first == NONE {
            self.free_node(child);
        } else {
            self.doomed.push(child);
        }
    }
}
