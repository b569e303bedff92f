//! One kernel event after the other: what it does to the tree, and what is told of it.

use super::hidden::HIDDEN;
use super::input::{Input, Raw};
use super::looks::LOOKED;
use super::mask::{DIRENT, MOVE, SYNTHETIC};
use super::names::Name;
use super::tell::Aim;
use super::tree::{Flags, Marks, NONE, NodeId};
use super::watches::Failure;
use super::world::World;
use super::{Batch, Engine, Head};
use crate::sys::Errno;

use libc::{
    IN_ATTRIB, IN_CREATE, IN_DELETE, IN_DELETE_SELF, IN_IGNORED, IN_ISDIR, IN_MOVE_SELF,
    IN_MOVED_FROM, IN_MOVED_TO, IN_Q_OVERFLOW, IN_UNMOUNT,
};

impl<W: World> Engine<W> {
    /// Uses up the buffer, until the batch is full or something must be told first: a loss of events, or
    /// what is in a window, for which all that comes behind the poke that closes it counts.
    pub(super) fn process(&mut self, batch: &mut Batch) -> bool {
        let mut worked = false;
        let mut pokes = self.world.poke_wds();
        while !self.full(batch) && !self.window_due() && !self.loss_due() && self.halts == 0 {
            if let Some(from) = self.unforeseen.take() {
                self.foresee(from);
            }
            if self.hurry(batch) {
                worked = true;
                continue;
            }
            let Some(raw) = self.input.event(self.input.position()) else {
                // Nothing, or bytes that are no event: no use keeping them.
                self.input.clear();
                break;
            };
            worked = true;
            if let Some(node) = self.wds.get(raw.wd) {
                self.counters.kernel_events += 1;
                self.stale = true;
                if raw.mask & !IN_ISDIR != 0 {
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
                    pokes = self.world.poke_wds();
                    // Told before what comes next.
                    self.input.advance(raw.next);
                    self.finish(batch);
                    continue;
                } else if raw.mask & IN_IGNORED != 0 && self.wds.spare(raw.wd) {
                    self.gave_back();
                }
            }
            self.input.advance(raw.next);
        }
        worked
    }

    /// The short way: events in a row that are no rename, nothing of a directory's coming and going,
    /// and about directories that nothing is open about. False if the next one is none.
    fn hurry(&mut self, batch: &mut Batch) -> bool {
        let calm = self.rechecks.is_empty() && self.resync.is_none() && self.rescan.is_none();
        if !calm || self.tracking || !self.ahead_of.is_empty() {
            return false;
        }
        let mut long = if self.held.is_empty() { MOVE } else { DIRENT };
        if self.gaps.blocked() {
            long |= IN_ATTRIB;
        }
        let room = self.limits.max_events.saturating_sub(batch.len());
        // Nothing below uses it, and so it can be borrowed from.
        let mut input = std::mem::replace(&mut self.input, Input::none());
        let (mut at, mut count, mut ended) = (input.position(), 0, 0);
        let mut last = NONE;
        let mut aim = Aim::default();
        while count < room {
            let Some((raw, field)) = input.event_and_field(at) else { break };
            let node = match self.wds.look(raw.wd) {
                Ok(node) => node,
                // The echo of a removal.
                Err(false) if raw.mask == IN_IGNORED => {
                    (at, ended) = (raw.next, ended + 1);
                    continue;
                }
                Err(_) => break,
            };
            let far = raw.name_len == 0
                || raw.mask & long != 0
                || (raw.mask & IN_ISDIR != 0 && raw.mask & (DIRENT | LOOKED) != 0)
                || self.tree.flags(node).intersects(Flags::UNSETTLED)
                || self.tree.marks(node).contains(Marks::STALE)
                || (self.placed.is_some() && !self.is_placed(node));
            if far {
                break;
            }
            (at, count) = (raw.next, count + 1);
            if node != last {
                last = node;
                aim = self.aim(batch, node);
            }
            if raw.mask & aim.mask != 0 {
                let head = Head { watch: aim.watch, mask: raw.mask, cookie: raw.cookie, flags: 0 };
                batch.push_entry(head, field, raw.name_len);
                if aim.once {
                    self.fired(batch, self.near.watch);
                    break;
                }
            }
        }
        input.advance(at);
        self.input = input;
        self.counters.kernel_events += count as u64 + ended;
        self.stale |= count > 0;
        count > 0 || ended > 0
    }

    pub(super) fn poked(&mut self, raw: &Raw, pokes: [i32; 2]) {
        if self.resync.is_some() {
            let mark = raw.mask & libc::IN_MODIFY != 0 && self.unmarked.is_none();
            if mark && raw.wd == pokes[self.loss()] {
                self.in_step();
            }
            return;
        }
        if raw.mask & libc::IN_ATTRIB == 0 {
            return;
        }
        // They come in turn; were one missing, the next would not be of the expected file.
        let expected = pokes[usize::from(self.seen % 2 == 1)];
        self.seen += if raw.wd == expected { 1 } else { 2 };
        self.seen = self.seen.min(self.issued);
        let seen = self.seen;
        self.joins.retain(|&(_, seq)| seq > seen);
        self.stale |= self.rechecks.iter().any(|asked| asked.gone.is_some());
    }

    /// Events of this node are told as they come.
    pub(super) fn live(&self, number: u32, node: NodeId) -> bool {
        !self.tree.has(node, Flags::DORMANT)
            && self.watch(number).is_some_and(|watch| !watch.building)
    }

    /// The long way: everything that touches the tree, or that an open window has a say in.
    pub(super) fn event(&mut self, batch: &mut Batch, first: NodeId, raw: &Raw) {
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

    pub(super) fn event_at(&mut self, batch: &mut Batch, node: NodeId, raw: &Raw, name: &Name) {
        let Some(number) = self.watch_of(node) else {
            return;
        };
        if number == HIDDEN {
            self.hidden_event(batch, raw, name.get());
            return;
        }
        if !self.is_placed(node) && !self.counts(batch, number, node, raw) {
            return;
        }
        let past = self.is_history(number) || self.is_past(node);
        if raw.mask & (IN_IGNORED | IN_UNMOUNT) == 0 && past {
            return;
        }
        if raw.mask & IN_ATTRIB != 0 && self.gaps.blocked() {
            self.attributes_changed(node, name.get());
        }
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
        let young = self.is_young(node);
        let suspect = self.suspects(node, raw.mask);
        let believed = !suspect || self.believed(batch, number, node, raw, name);
        if raw.mask & DIRENT != 0 {
            self.touch(number, node);
        }
        if !believed {
            return;
        }
        if !self.rechecks.is_empty() {
            self.answer_recheck(batch, number, node, raw, name);
        }
        if raw.mask & IN_MOVED_FROM != 0 {
            let held = self.take(batch, number, node, name, raw.mask, raw.cookie);
            self.place(batch, raw.next, held);
            let told = self.tell_rest(batch, number, node, raw, name);
            if young && !told && self.standing(node, name).is_none() {
                // The first rename in a directory that has just been watched can be the rear half
                // of an exchange whose front half was not seen.
                self.ask_now(node, name, raw.cookie);
            }
        } else if raw.mask & IN_MOVED_TO != 0 {
            let at =
                self.held.iter().position(|held| held.cookie == raw.cookie && held.watch == number);
            // A second node of this directory may be the one whose events are told.
            let held = at.map(|at| match self.live(number, node) {
                true => self.held.remove(at),
                false => self.held[at].twin(),
            });
            self.arrive(batch, number, node, raw, name, held);
        } else if raw.mask & IN_CREATE != 0 {
            self.created(batch, number, node, raw, name);
        } else if raw.mask & IN_DELETE != 0 {
            self.deleted(batch, number, node, raw, name);
        } else if !self.untold(number, node, raw.mask, name) {
            if self.live(number, node) {
                if let Some(at) = self.comes_early(node, raw, name) {
                    self.ahead_of.push((at, number, raw.mask));
                } else {
                    self.vouch(batch, number, node, name, raw.mask);
                    self.tell(batch, node, Some(name), raw.mask, raw.cookie, 0, &[]);
                }
            } else if self.comes_early(node, raw, name).is_none() {
                self.note_silently(number, node, name, raw.mask);
            }
        }
        if self.tracking && self.tracks(number) {
            self.changed(node, name, raw.mask);
        }
    }

    /// An event about a watched directory or file itself.
    pub(super) fn own_event(&mut self, batch: &mut Batch, number: u32, node: NodeId, raw: &Raw) {
        if self.tree.has(node, Flags::ROOT) {
            if self.follows_name(number) {
                self.root_event(batch, number, node, raw);
            } else {
                self.plain_root_event(batch, number, node, raw);
            }
            return;
        }
        let live = self.live(number, node);
        if raw.mask & IN_IGNORED != 0 {
            self.wds.remove(&mut self.tree, node);
            self.gave_back();
            if self.is_deleted_next(number, node, raw) {
                return;
            }
            // It is still in the tree, so its name now leads to something else: a directory that
            // was moved over it.
            self.tree.clear(node, Flags::CLAIM | Flags::PROVEN | Flags::DORMANT);
            self.tree.set(node, Flags::NOTING);
            self.drop_unsure(node);
            if let Some(tag) = self.comparison(number) {
                self.compare_below(node, tag);
                return;
            }
            self.list_anew(node, self.tag);
            return;
        }
        if raw.mask & IN_UNMOUNT != 0 {
            self.unmounted(batch, node, raw);
            return;
        }
        // The parent's event with the name tells it, where the mask lets it.
        let mask = self.watch(number).map_or(0, |watch| watch.mask);
        // The kernel may have been asked for its end by another watch, whose root it is.
        let ends = raw.mask & mask & IN_DELETE_SELF != 0;
        let only_here =
            (ends && mask & IN_DELETE == 0) || (raw.mask & IN_MOVE_SELF != 0 && mask & MOVE == 0);
        if live && only_here {
            self.tell(batch, node, None, raw.mask, raw.cookie, 0, &[]);
        }
    }

    /// The same about the root of a watch that does not follow its name.
    fn plain_root_event(&mut self, batch: &mut Batch, number: u32, node: NodeId, raw: &Raw) {
        let ended = raw.mask & IN_IGNORED != 0;
        if ended && self.root_lost_early(number) {
            self.wds.remove(&mut self.tree, node);
            self.gave_back();
            return;
        }
        let unmounted = raw.mask & IN_UNMOUNT != 0;
        if (ended || unmounted) && self.tree.has(node, Flags::DORMANT) {
            // A wd is given out once, so this is the end of this watch, though its events did not count
            // yet. Its DELETE_SELF can have been one of them.
            self.settle_claim(node);
            if ended && self.watch(number).is_some_and(|watch| !watch.gone) {
                self.tell(batch, node, None, IN_DELETE_SELF, 0, SYNTHETIC, &[]);
            }
        }
        if self.live(number, node) {
            self.tell(batch, node, None, raw.mask, raw.cookie, 0, &[]);
            let end = raw.mask & (IN_DELETE_SELF | IN_UNMOUNT) != 0;
            if let Some(watch) = self.watch_mut(number).filter(|_| end) {
                watch.gone = true;
            }
        }
        if ended {
            batch.mark_last();
            self.wds.remove(&mut self.tree, node);
            self.gave_back();
            self.end_watch(number);
        }
    }

    /// The very next event is the one that the parent has of its end (include/linux/fsnotify.h,
    /// d_delete_notify), as it is unless something else went on at the same time.
    fn is_deleted_next(&self, number: u32, node: NodeId, raw: &Raw) -> bool {
        let parent = self.tree.node(node).parent;
        let next = self.input.event(raw.next);
        // It is used, and in the usual way.
        let used = self.resync.is_none()
            && !self.doubts(parent)
            && !self.is_history(number)
            && !self.is_past(parent);
        used && next.is_some_and(|next| {
            next.mask == IN_DELETE | IN_ISDIR
                && next.wd == self.tree.node(parent).wd
                && self.input.name(&next) == self.tree.name(node)
        })
    }

    /// The root of a watch that is still being made is gone: the call that makes it fails. True if
    /// it is such a watch.
    fn root_lost_early(&mut self, number: u32) -> bool {
        let Some(watch) = self.watch_mut(number).filter(|watch| watch.building) else {
            return false;
        };
        let gone = Failure::new(Errno(libc::ENOENT), "watch", watch.path.clone());
        watch.failure.get_or_insert(gone);
        true
    }

    /// The file system of a directory is gone: told once, where it was mounted, and what was below
    /// is let go. The kernel tells it for each directory, in no order (fs/notify/fsnotify.c,
    /// fsnotify_unmount_inodes).
    pub(super) fn unmounted(&mut self, batch: &mut Batch, node: NodeId, raw: &Raw) {
        self.read_all();
        let parent = self.tree.node(self.tree.node(node).parent).wd;
        self.input.sort();
        let unmounted = |later: Raw| later.wd == parent && later.mask & IN_UNMOUNT != 0;
        let above = self.input.related(&[parent], &[], raw.next).any(unmounted);
        // A parent without a wd has been unmounted before.
        if parent == 0 || above {
            return;
        }
        self.tell(batch, node, None, raw.mask, 0, 0, &[]);
        while self.tree.first(node) != NONE {
            let child = self.tree.first(node);
            self.drop_child(child);
        }
    }
}
