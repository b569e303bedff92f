//! Whether a rename is half of an exchange, of which the queue does not say so.

use std::collections::HashMap;

use super::ahead::Seen;
use super::input::Raw;
use super::mask::{DIRENT, MOVE};
use super::moves::Held;
use super::names::Name;
use super::tree::{Flags, NONE, NodeId};
use super::watches::WatchFlags;
use super::world::World;
use super::{Engine, Recheck};
use crate::sys::Kind;

use libc::{IN_DELETE, IN_ISDIR, IN_MOVE_SELF, IN_MOVED_FROM, IN_MOVED_TO, IN_Q_OVERFLOW};

/// What was decided of a MOVED_TO.
#[derive(Clone, Copy)]
pub(super) struct Exchange {
    /// It is half of an exchange, and this is the MOVED_FROM of what stood there.
    from: Option<Raw>,
    /// Whether something is left there is to be found out, after the MOVED_FROM of this cookie.
    asked: Option<(u32, bool)>,
    /// It was open for that watch whether an entry stood there, and with this it did.
    answered: bool,
}

/// What was decided of the renames in the buffer, for whichever watch met them first.
#[derive(Default)]
pub(super) struct Exchanges {
    all: Vec<Exchange>,
    // Their places by the cookies of their MOVED_TO, and of the MOVED_FROM of what stood there; and the
    // cookies of those MOVED_FROM after which something was left.
    places: HashMap<i64, u32>,
}

/// Decisions that the tables keep their memory for.
const KEPT: usize = 4096;

const FRONT: i64 = 0;
const REAR: i64 = 1 << 32;
const REST: i64 = 2 << 32;

impl Exchanges {
    pub(super) fn clear(&mut self) {
        if self.places.len() > KEPT {
            *self = Self::default();
        }
        self.all.clear();
        self.places.clear();
    }

    /// What was decided of the MOVED_TO of this cookie.
    fn of(&self, cookie: u32) -> Option<Exchange> {
        let at = self.places.get(&(FRONT | i64::from(cookie)))?;
        self.all.get(*at as usize).copied()
    }

    fn push(&mut self, cookie: u32, known: Exchange) {
        self.put(FRONT, cookie);
        if let Some(from) = &known.from {
            self.put(REAR, from.cookie);
        }
        self.all.push(known);
    }

    #[inline(never)]
    fn put(&mut self, half: i64, cookie: u32) {
        let at = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        self.places.insert(half | i64::from(cookie), at);
    }

    fn has(&self, half: i64, cookie: u32) -> bool {
        self.places.contains_key(&(half | i64::from(cookie)))
    }

    /// Does the rear half of an exchange that was decided arrive with this cookie? It does where the
    /// front half left, so nothing is there.
    fn bring_rear(&self, cookie: u32) -> bool {
        self.has(REAR, cookie)
    }

    /// Something was left after the MOVED_FROM of this cookie.
    pub(super) fn add_rest(&mut self, cookie: u32) {
        self.put(REST, cookie);
    }

    /// Was there, for another watch?
    pub(super) fn has_rest(&self, cookie: u32) -> bool {
        self.has(REST, cookie)
    }

    /// Is something there after the MOVED_FROM of this cookie: what it was exchanged for, or a rest?
    fn leave(&self, cookie: u32) -> bool {
        self.bring_rear(cookie) || self.has_rest(cookie)
    }
}

/// The kind of entry that an event is about.
pub(super) fn kind_in(raw: &Raw) -> Option<Kind> {
    Some(if raw.mask & IN_ISDIR != 0 { Kind::Directory } else { Kind::Other })
}

/// What stood at the target of a rename.
enum Stood {
    Nothing,
    /// A directory, watched.
    Watched(i32),
    /// Something that has no wd, or nothing.
    Perhaps,
}

impl<W: World> Engine<W> {
    /// If this MOVED_TO is the first half of an exchange: the MOVED_FROM of the entry that stood
    /// there. An exchange of a and b is queued as FROM a, TO b, FROM b, TO a; so is `mv a b; mv b
    /// a`, and then b is gone.
    pub(super) fn exchanged(
        &mut self,
        to: NodeId,
        raw: &Raw,
        name: &[u8],
        held: Option<&Held>,
        asked: &mut bool,
    ) -> Option<Raw> {
        if let Some(known) = self.exchanges.of(raw.cookie) {
            // Decided for another watch already: what its tree held then is the best knowledge.
            if let Some((cookie, there)) = known.asked {
                self.ask(to, name, cookie, kind_in(raw), there);
            }
            *asked |= known.answered;
            return known.from;
        }
        let answered = *asked;
        let from = self.find_exchange(to, raw, name, held);
        let asked = self.rechecks.iter().find(|asked| asked.dir == to && asked.name == name);
        let asked = asked.filter(|asked| !asked.open).map(|asked| (asked.cookie, asked.there));
        self.exchanges.push(raw.cookie, Exchange { from, asked, answered });
        from
    }

    fn find_exchange(
        &mut self,
        to: NodeId,
        raw: &Raw,
        name: &[u8],
        held: Option<&Held>,
    ) -> Option<Raw> {
        let wd = raw.wd;
        let target = Name::new(name);
        let next = self.look(to, raw.next, (&[wd], &[]), |engine, next| {
            if next.mask & IN_Q_OVERFLOW != 0 {
                return Seen::No;
            }
            if next.wd != wd || next.mask & DIRENT == 0 {
                return Seen::End;
            }
            let same = next.mask & IN_MOVED_FROM != 0
                && next.cookie != raw.cookie
                && engine.input.name(next) == target.get();
            if same { Seen::Yes(*next) } else { Seen::No }
        })?;
        if (next.mask ^ raw.mask) & IN_ISDIR != 0 {
            // What moves away is not what has just come.
            return Some(next);
        }
        // Of an exchange that was decided the rear half arrives where the front half left, so nothing
        // is there.
        let vacant = self.exchanges.bring_rear(raw.cookie);
        let before = if vacant { Some(false) } else { self.said_before(raw, target.get()) };
        let stood = self.stood(to, raw, target.get());
        let proven = held.is_some()
            || before == Some(true)
            || matches!(stood, Stood::Watched(_))
            || self.standing(to, name).is_some();
        let back = match held {
            Some(held) => self.goes_back(to, raw, &next, held.from_wd, &held.name),
            None => self.may_go_back(to, raw, &next),
        };
        let exchanged = before != Some(false)
            && back
            && match stood {
                // What is said to be gone may have come unseen. What moves away is then not what has
                // just come, whose MOVE_SELF would come a second time.
                Stood::Nothing => match self.came(raw, held) {
                    Some(wd) => self.moved_on(to, &next, wd, held) == Some(false),
                    None => false,
                },
                Stood::Watched(wd) => self.directory_stayed(to, raw, &next, wd, held),
                Stood::Perhaps => match self.came(raw, held) {
                    Some(wd) => self.moved_on(to, &next, wd, held) != Some(true),
                    None => self.still_there(to, &next, target.get()),
                },
            };
        let exchanged = exchanged && !self.has_moved_on(to, raw, &next, held);
        if exchanged && proven {
            return Some(next);
        }
        // If something is left, but whether it stood there before nothing shows, it is told as
        // something new, which comes out right either way. And the MOVE_SELF that seems to be of
        // what came can be of a move elsewhere that has no other event.
        // The kernel merges a MOVED_TO with an identical newest event, and does not compare cookies
        // (fs/notify/inotify/inotify_fsnotify.c, event_compare): something else may have come in
        // between and stand there now.
        match self.remains(to, &next, target.get(), back || held.is_some(), vacant || !back) {
            Some(true) => self.ask(to, name, next.cookie, kind_in(raw), true),
            Some(false) => {}
            None => self.ask(to, name, next.cookie, kind_in(raw), false),
        }
        None
    }

    /// If what stood there goes where nobody watches, nothing need be queued before what has just come moves
    /// on, and then the kernel merges that MOVED_FROM with the one before. Only a look shows it.
    fn has_moved_on(&mut self, to: NodeId, raw: &Raw, next: &Raw, held: Option<&Held>) -> bool {
        let goes = |later: Raw| later.mask & IN_MOVED_TO != 0 && later.cookie == next.cookie;
        if held.is_some() || self.came(raw, held).is_none() {
            return false;
        }
        let name = Name::new(self.input.name(next));
        !self.input.related(&[], &[next.cookie], next.next).any(goes)
            && self.remains(to, next, name.get(), false, false) != Some(true)
    }

    /// In an exchange the second entry goes where the first came from, and nothing else happens to the
    /// entries there in between.
    fn goes_back(&mut self, to: NodeId, raw: &Raw, next: &Raw, wd: i32, name: &[u8]) -> bool {
        let cookie = next.cookie;
        let other =
            move |event: &Raw| event.mask & DIRENT != 0 && event.wd == wd && event.cookie != cookie;
        let between = |event: &Raw| event.at < next.at;
        if self.input.related(&[wd], &[], raw.next).take_while(between).any(|e| other(&e)) {
            return false;
        }
        self.look(to, next.next, (&[wd], &[cookie]), |engine, event| {
            if event.mask & IN_MOVED_TO != 0 && event.cookie == cookie {
                let back = event.wd == wd && engine.input.name(event) == name;
                return if back { Seen::Yes(()) } else { Seen::No };
            }
            if event.mask & IN_Q_OVERFLOW != 0 || other(event) { Seen::No } else { Seen::End }
        })
        .is_some()
    }

    /// The same where it is not known where the first came from. It came from where the second goes,
    /// which cannot be if that was watched then and nothing left it.
    fn may_go_back(&mut self, to: NodeId, raw: &Raw, next: &Raw) -> bool {
        let mut from = None;
        for earlier in self.input.related(&[], &[raw.cookie], 0) {
            if earlier.at >= raw.at {
                break;
            }
            if earlier.mask & IN_MOVED_FROM != 0 && earlier.cookie == raw.cookie {
                from = Some((earlier.wd, Name::new(self.input.name(&earlier))));
            }
        }
        // Between the two events of a rename nothing else happens to the entries here.
        let complete = self.input.last_before(raw.wd, None, raw.at).is_some();
        if self.comparison_of(to).is_some() || (from.is_none() && !complete) {
            return true;
        }
        let cookie = next.cookie;
        self.look(to, next.next, (&[], &[cookie]), |engine, raw| {
            if raw.mask & IN_MOVED_TO != 0 && raw.cookie == cookie {
                return Seen::Yes(match &from {
                    Some((wd, name)) => raw.wd == *wd && engine.input.name(raw) == name.get(),
                    None => !engine.told_of_leaving(raw.wd),
                });
            }
            if raw.mask & IN_Q_OVERFLOW != 0 { Seen::No } else { Seen::End }
        })
        .unwrap_or(true)
    }

    /// Has the queue told for long what leaves the directory of a wd?
    fn told_of_leaving(&self, wd: i32) -> bool {
        let mut nodes = Vec::new();
        self.wds.all(&self.tree, wd, &mut nodes);
        let told = |&node: &NodeId| {
            !self.tree.has(node, Flags::CLAIM) && self.base_mask(node) & IN_MOVED_FROM != 0
        };
        nodes.iter().any(told)
    }

    /// To be found out, when there is time to look, whether an entry is there.
    pub(super) fn ask(
        &mut self,
        dir: NodeId,
        name: &[u8],
        cookie: u32,
        kind: Option<Kind>,
        there: bool,
    ) {
        self.rechecks.retain(|asked| asked.dir != dir || asked.name != name);
        self.rechecks.push(Recheck {
            dir,
            name: name.to_vec(),
            cookie,
            kind,
            there,
            open: false,
            tries: 0,
            tag: self.comparison_of(dir).unwrap_or(self.tag),
            put_off: false,
            times: 0,
            gone: None,
        });
    }

    /// The same, for what has been used already.
    pub(super) fn ask_now(&mut self, dir: NodeId, name: &[u8], cookie: u32) {
        if self.rechecks.iter().any(|asked| asked.dir == dir && asked.name == name) {
            return;
        }
        self.ask(dir, name, cookie, None, false);
        if let Some(asked) = self.rechecks.last_mut() {
            asked.open = true;
        }
    }

    /// What the buffer has last said about a name before this event: that it is there, or not.
    fn said_before(&self, raw: &Raw, name: &[u8]) -> Option<bool> {
        let last = self.input.last_before(raw.wd, Some(name), raw.at)?;
        if last.mask & IN_MOVED_FROM == 0 {
            return Some(last.mask & IN_DELETE == 0);
        }
        // It moved away; but if that was in an exchange, another has come in its place. One that no watch
        // had to find out about is not known.
        let decided = |cookie: u32| self.exchanges.of(cookie).is_some();
        let came = self.input.last_before(raw.wd, None, last.at);
        let came = came.filter(|came| self.input.name(came) == name);
        if came.is_some_and(|came| {
            came.mask & IN_MOVED_TO != 0 && came.cookie != last.cookie && !decided(came.cookie)
        }) {
            return None;
        }
        if self.exchanges.leave(last.cookie) {
            return Some(true);
        }
        let asked = self.rechecks.iter().any(|asked| asked.cookie == last.cookie);
        (!asked).then_some(false)
    }

    /// What stood at the target before.
    fn stood(&mut self, to: NodeId, raw: &Raw, name: &[u8]) -> Stood {
        if raw.mask & IN_ISDIR == 0 {
            return Stood::Perhaps;
        }
        let mut nodes = Vec::new();
        self.wds.all(&self.tree, self.tree.node(to).wd, &mut nodes);
        let mut nothing = false;
        for node in nodes {
            // After a loss of events what a tree has is not what stands there.
            let number = self.watch_of(node).filter(|&of| self.comparison(of).is_none());
            let Some((number, watch)) = number.and_then(|of| Some((of, self.watch(of)?))) else {
                continue;
            };
            let follows = watch.flags.contains(WatchFlags::RECURSIVE | WatchFlags::AUTO_ADD);
            match self.tree.child(node, name) {
                Some(child) if self.tree.has(child, Flags::TOMB) => nothing = true,
                Some(child)
                    if self.certain(child)
                        && self.tree.node(child).wd != 0
                        && !self.is_doubtful(number, child) =>
                {
                    return Stood::Watched(self.tree.node(child).wd);
                }
                Some(_) => return Stood::Perhaps,
                // Where new directories are followed, each has a node from its first event on;
                // unless a listing has not come to it yet.
                None if follows
                    && !self.tree.flags(node).intersects(Flags::LISTING | Flags::TASK) =>
                {
                    nothing = true;
                }
                None => {}
            }
        }
        if nothing { Stood::Nothing } else { Stood::Perhaps }
    }

    /// The wd of the directory that came.
    pub(super) fn came(&self, raw: &Raw, held: Option<&Held>) -> Option<i32> {
        let Some(held) = held else { return self.came_with(raw) };
        // When events were lost, the wd may be of another.
        let known = held.node != NONE && !self.is_doubtful(held.watch, held.node);
        if known && self.tree.node(held.node).wd != 0 {
            return Some(self.tree.node(held.node).wd);
        }
        // Another directory can have moved elsewhere at that moment; so only one that another watch
        // knows where this one came from.
        let mut nodes = Vec::new();
        self.came_with(raw).filter(|&wd| {
            self.wds.all(&self.tree, wd, &mut nodes);
            nodes.iter().any(|&node| {
                let parent = self.tree.node(node).parent;
                let place = parent != NONE && self.tree.node(parent).wd == held.from_wd;
                place && self.tree.name(node) == held.name
            })
        })
    }

    /// The wd of the directory that came with this MOVED_TO: its MOVE_SELF follows (include/linux/
    /// fsnotify.h, fsnotify_move).
    fn came_with(&self, raw: &Raw) -> Option<i32> {
        // The library's own pokes come anywhere.
        let pokes = self.world.poke_wds();
        let next = self.input.from(raw.next).find(|next| !pokes.contains(&next.wd))?;
        let shown = raw.mask & IN_ISDIR != 0 && next.mask & IN_MOVE_SELF != 0;
        // One that was taken from the kernel meanwhile does not tell its next move; and one that has left
        // what is watched can move elsewhere without another event.
        let mut nodes = Vec::new();
        if shown {
            self.wds.all(&self.tree, next.wd, &mut nodes);
        }
        nodes.iter().any(|&node| self.tree.root_of(node) != NONE).then_some(next.wd)
    }

    /// Can it be one exchange that takes an entry away with `left` and brings another to its name with
    /// `comes`? Then nothing else happens to the entries of either directory in between.
    pub(super) fn is_one_exchange(&self, left: &Raw, comes: &Raw) -> bool {
        let cookies = [left.cookie];
        let mut halves = self.input.related(&[], &cookies, left.next);
        let half = |raw: &Raw| raw.mask & MOVE != 0 && raw.cookie == left.cookie;
        let Some(place) = halves.find(half).filter(|raw| raw.at < comes.at) else { return false };
        let wds = [left.wd, place.wd];
        let all = self.input.related(&wds, &[], left.next).take_while(|raw| raw.at < comes.at);
        let mut others = all.filter(|raw| {
            let own = raw.cookie == left.cookie || raw.cookie == comes.cookie;
            raw.mask & DIRENT != 0 && !own && (raw.wd == left.wd || raw.at > place.at)
        });
        others.next().is_none() && self.swaps(left, comes, left)
    }

    /// Does what moves away with `again` go where that came from which came with `raw`? Both are
    /// behind `after`.
    pub(super) fn swaps(&self, after: &Raw, raw: &Raw, again: &Raw) -> bool {
        let half = |mask: u32, cookie: u32| {
            let cookies = [cookie];
            let mut all = self.input.related(&[], &cookies, after.next);
            all.find(|other| other.mask & mask != 0 && other.cookie == cookie)
        };
        let from = half(IN_MOVED_FROM, raw.cookie);
        let to = half(IN_MOVED_TO, again.cookie);
        match (from, to) {
            (Some(from), Some(to)) => {
                from.wd == to.wd && self.input.name(&from) == self.input.name(&to)
            }
            // Perhaps with what is not watched.
            (None, None) => true,
            _ => false,
        }
    }

    /// Was it the directory that came with `raw` that moved on with `again`? `None`: what is queued
    /// does not show it.
    pub(super) fn moved_twice(&self, raw: &Raw, again: &Raw) -> Option<bool> {
        let came = self.came_with(raw)?;
        for later in self.input.related(&[came, again.wd], &[], again.next) {
            if later.wd == came && later.mask & IN_MOVE_SELF != 0 {
                return Some(true);
            }
            if later.mask & IN_Q_OVERFLOW != 0 {
                return None;
            }
            if later.wd == again.wd && later.mask & DIRENT != 0 && later.cookie != again.cookie {
                return Some(false);
            }
        }
        None
    }

    /// Has the directory that came moved on with `next`? Then its MOVE_SELF comes a second time,
    /// before anything else happens to the entries here. `None`: that may have been lost.
    fn moved_on(&mut self, to: NodeId, next: &Raw, came: i32, held: Option<&Held>) -> Option<bool> {
        let from = held.map_or(0, |held| held.from_wd);
        let (wd, cookie) = (next.wd, next.cookie);
        let found = self.look(to, next.next, (&[came, wd, from], &[]), |_, raw| {
            if raw.wd == came && raw.mask & IN_MOVE_SELF != 0 {
                return Seen::Yes(Some(true));
            }
            if raw.mask & IN_Q_OVERFLOW != 0 {
                return Seen::Yes(None);
            }
            let here = raw.mask & DIRENT != 0 && (raw.wd == wd || raw.wd == from);
            if here && raw.cookie != cookie { Seen::No } else { Seen::End }
        });
        found.unwrap_or(Some(false))
    }
}
