//! Watches that are about a name (RINOTIFY_WATCH_FOLLOW_NAME): what stands under it, now and as of
//! the queue's place, and what is told when that changes. docs/follow-name.md has the argument.

use super::input::Raw;
use super::mask::{DIRENT, SYNTHETIC};
use super::tree::{Flags, NodeId};
use super::walk::Step;
use super::watches::{Failure, Watch, WatchFlags};
use super::world::World;
use super::{Batch, Engine, Head};

use libc::{
    IN_ATTRIB, IN_CLOSE_WRITE, IN_CREATE, IN_DELETE, IN_DELETE_SELF, IN_IGNORED, IN_ISDIR,
    IN_MOVE_SELF, IN_MOVED_FROM, IN_MOVED_TO, IN_ONESHOT, IN_UNMOUNT,
};

/// Flag of the C interface: the root itself has come or gone.
const ROOT: u32 = crate::api::abi::RINOTIFY_EVENT_ROOT;
/// Names that are looked at because of one event at its place, at the most.
const LOOKS: usize = 64;

/// What is known of a name that is followed. What is watched as its root is what the last walk
/// found; the caller has been told what the queue has said so far.
#[derive(Default)]
pub struct Follow {
    pub(super) steps: Vec<Step>,
    /// The last step looks for the root's own name.
    pub(super) at_end: bool,
    /// The caller believes that the root is there.
    pub(super) told: bool,
    /// As a directory: that, too, is gone when nothing is there to tell.
    pub(super) told_dir: bool,
    /// What is watched is not what the caller believes to be there.
    pub(super) fresh: bool,
    /// What was told last may be older than what is watched: until behind this poke the queue can say
    /// what came in between.
    pub(super) behind: Option<u64>,
    /// It was there from the beginning, and is told as such.
    pub(super) existing: bool,
    /// The pokes before the last walk, before the walk that found what is watched, and before the
    /// walk that found the directory of the last step: older events know less.
    pub(super) looked: u64,
    pub(super) since: u64,
    pub(super) trusted: u64,
    /// The first walk is done: what is found from now on has come since.
    pub(super) begun: bool,
    /// So has what is there.
    pub(super) new: bool,
    pub(super) links: u64,
    /// It was made under this name after the watch was.
    pub(super) made: bool,
    /// Something on the way has changed since it was last known where the name leads.
    pub(super) broken: bool,
    /// It is about to become a watch that follows its name.
    pub(super) joining: bool,
    /// What is below could not be reached by it, and is tried again when a mode on the way changes.
    pub(super) blocked: bool,
    /// Could not be reached to be listed.
    pub(super) unlisted: bool,
    /// What went wrong and has been told.
    pub(super) trouble: Option<Failure>,
    /// The same, for a directory on the way whose changes are not told.
    pub(super) blind: Option<Failure>,
    /// These, as the status has them: until what it leads to now is told.
    pub(super) uncovered: Vec<Failure>,
    /// There was no room for a watch or a descriptor.
    pub(super) short: bool,
}

impl<W: World> Engine<W> {
    pub(super) fn followed(&mut self, number: u32) -> Option<&mut Follow> {
        self.watch_mut(number)?.follow.as_deref_mut()
    }

    /// Is this the root of a watch that follows its name?
    pub(super) fn follows_name(&self, number: u32) -> bool {
        self.watch(number).is_some_and(|watch| watch.follow.is_some())
    }

    /// The first walk, for a watch that is being made. What it finds was there from the beginning.
    pub(super) fn begin_follow(&mut self, number: u32) -> Result<(), Failure> {
        if let Some(watch) = self.watch_mut(number) {
            watch.follow = Some(Box::default());
        }
        if let Some(failure) = self.seek(number) {
            return Err(failure);
        }
        if let Some(follow) = self.followed(number) {
            follow.begun = true;
        }
        self.begin_belief(number);
        Ok(())
    }

    /// The call that made the watch returns: what is to be told can be.
    pub(super) fn follow_made(&mut self, number: u32) {
        if self.follows_name(number) {
            // It can be something else by now, of which nothing was told.
            self.begin_belief(number);
        }
    }

    /// Nothing was told yet: what is there is known to the caller, or about to be told as such.
    fn begin_belief(&mut self, number: u32) {
        let Some(watch) = self.watch_mut(number) else { return };
        let emit = watch.flags.contains(WatchFlags::EMIT_EXISTING);
        let root = watch.root;
        let there = self.is_there(number);
        let told_dir = self.tree.has(root, Flags::DIR);
        if let Some(follow) = self.followed(number) {
            follow.told_dir = told_dir;
            follow.existing = there && emit;
            follow.told = there && !emit;
            follow.fresh = there && emit;
        }
        self.news(number);
    }

    /// The watch follows its name from now on; nothing of it changes before.
    pub(super) fn follow_late(&mut self, number: u32) -> Result<(), Failure> {
        let Some(watch) = self.watch_mut(number) else { return Ok(()) };
        watch.flags |= WatchFlags::FOLLOW_NAME;
        let root = watch.root;
        let told_dir = self.tree.has(root, Flags::DIR);
        let joining = Follow { told: true, told_dir, joining: true, ..Follow::default() };
        if let Some(watch) = self.watch_mut(number) {
            watch.follow = Some(Box::new(joining));
        }
        self.leave_way(number);
        let before = self.notices.len();
        let failure = self.seek(number);
        if let Some(follow) = self.followed(number) {
            (follow.joining, follow.begun) = (false, true);
        }
        match failure {
            None => {
                // Nobody waits for it on its way any more.
                self.try_below_root(number);
                self.note_coverage(number);
                Ok(())
            }
            Some(failure) => {
                // The call says it.
                self.notices.truncate(before);
                self.unfollow(number);
                Err(failure)
            }
        }
    }

    /// Looks at the name because the caller has asked for something else. What is then in the way is for
    /// the call to say, and changes nothing.
    pub(super) fn seek_as_asked(&mut self, number: u32) -> Option<Failure> {
        let before = self.notices.len();
        if let Some(follow) = self.followed(number) {
            follow.joining = true;
        }
        let failure = self.seek(number);
        if let Some(follow) = self.followed(number) {
            follow.joining = false;
        }
        if failure.is_some() {
            self.notices.truncate(before);
        } else {
            self.note_coverage(number);
        }
        failure
    }

    /// The watch ends, or is about an inode from now on.
    pub(super) fn unfollow(&mut self, number: u32) {
        let Some(watch) = self.watch_mut(number) else { return };
        watch.flags -= WatchFlags::FOLLOW_NAME;
        if let Some(follow) = watch.follow.take() {
            // What was history before is not news now.
            watch.born = watch.born.max(follow.since);
            self.leave_steps(number, follow.steps);
        }
    }

    /// There is a root to be watched.
    pub(super) fn is_there(&self, number: u32) -> bool {
        self.watch(number).is_some_and(|watch| self.tree.node(watch.root).wd != 0)
    }

    /// Is there something that the caller is to be told when the queue has caught up?
    pub(super) fn news(&mut self, number: u32) {
        let Some(watch) = self.watch(number) else { return };
        let root = watch.root;
        let Some(follow) = &watch.follow else { return };
        let wd = self.tree.node(root).wd;
        let due = if wd == 0 { follow.told } else { follow.fresh };
        if !due {
            return self.tree.clear(root, Flags::PENDING);
        }
        self.tree.set(root, Flags::PENDING);
        let waits = Flags::WINDOW | Flags::LISTING;
        let listed = wd != 0 && self.tree.has(root, Flags::TASK);
        if !listed && !self.tree.flags(root).intersects(waits) {
            self.push_window(root, self.tag);
        }
    }

    /// The queue has caught up with a walk, or an event of the new root comes out.
    pub(super) fn tell_news(&mut self, batch: &mut Batch, number: u32) {
        let Some(watch) = self.watch(number) else { return };
        let (root, building) = (watch.root, watch.building);
        let there = self.tree.node(root).wd != 0;
        let is_dir = if self.tree.has(root, Flags::DIR) { IN_ISDIR } else { 0 };
        let Some(follow) = self.followed(number) else { return };
        let due = if there { follow.fresh } else { follow.told };
        if building || !due {
            return;
        }
        let existing = std::mem::take(&mut follow.existing);
        (follow.told, follow.fresh, follow.behind) = (there, false, None);
        let mask = match (there, existing) {
            (false, _) if follow.told_dir => IN_DELETE | IN_ISDIR,
            (false, _) => IN_DELETE,
            (true, true) => IN_CREATE | is_dir,
            (true, false) => IN_MOVED_TO | is_dir,
        };
        self.tell_root(batch, number, mask, 0, SYNTHETIC);
    }

    fn tell_root(&mut self, batch: &mut Batch, number: u32, mask: u32, cookie: u32, flags: u32) {
        let Some(watch) = self.watch(number).filter(|watch| !watch.building && !watch.ended) else {
            return;
        };
        let head = Head { watch: watch.id, mask, cookie, flags: flags | ROOT };
        batch.push_path(head, &watch.path, watch.path.len());
        let once = watch.mask & IN_ONESHOT != 0;
        if let Some(follow) = self.followed(number) {
            follow.told_dir = mask & IN_ISDIR != 0;
        }
        self.counters.synthetic += u64::from(flags & SYNTHETIC != 0);
        if once {
            self.fired(batch, number);
        }
    }

    /// An event of a hidden watchpoint.
    pub(super) fn hidden_event(&mut self, batch: &mut Batch, raw: &Raw, name: &[u8]) {
        let own = IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED | IN_ATTRIB;
        let named = DIRENT | IN_CLOSE_WRITE | IN_ATTRIB;
        let mut users = Vec::new();
        if raw.name_len != 0 && raw.mask & named != 0 {
            self.hidden.users(raw.wd, Some(name), &mut users);
        } else if raw.name_len == 0 && raw.mask & own != 0 {
            self.hidden.users(raw.wd, None, &mut users);
        }
        if raw.mask & IN_IGNORED != 0 {
            self.hidden_gone(raw.wd);
        }
        let mut at_once = LOOKS;
        for number in users {
            self.step_event(batch, number, raw, name, &mut at_once);
        }
    }

    /// An event about a step of the way.
    fn step_event(
        &mut self,
        batch: &mut Batch,
        number: u32,
        raw: &Raw,
        name: &[u8],
        at_once: &mut usize,
    ) {
        let seen = self.seen;
        let Some(follow) = self.followed(number) else {
            return self.way_changed(number);
        };
        let at_last = follow.at_end
            && follow.steps.last().is_some_and(|step| step.wd == raw.wd && step.name == name);
        let trusted = at_last && raw.name_len != 0 && seen >= follow.trusted;
        if raw.mask & IN_CLOSE_WRITE != 0 {
            if trusted {
                self.closed_by_name(batch, number);
            }
        } else if raw.mask & IN_ATTRIB != 0 {
            let waits = |failure: &Failure| failure.errno.0 == libc::EACCES;
            let trouble = [&follow.trouble, &follow.blind].into_iter().flatten();
            let waiting = trouble.into_iter().any(waits) || follow.blocked;
            if waiting && seen >= follow.looked {
                self.seek(number);
            }
        } else if trusted && raw.mask & DIRENT != 0 {
            if raw.mask & (IN_CREATE | IN_MOVED_TO) != 0 {
                self.root_came(batch, number, raw, name);
            } else {
                self.root_went(batch, number, raw);
            }
        } else if seen >= follow.looked {
            follow.broken = true;
            if *at_once > 0 {
                *at_once -= 1;
                self.seek(number);
            } else {
                // Nothing is told of what may not be there, and one event does not cost thousands of
                // walks.
                self.vacate(number);
                self.seek_later(number);
            }
        }
    }

    /// The name leads to what it led to before. If something on the way has changed it may have led
    /// nowhere for a moment, and whoever was told of a file just then has found nothing.
    pub(super) fn found_same(&mut self, number: u32, root: NodeId) {
        let dir = self.tree.has(root, Flags::DIR);
        let Some(follow) = self.followed(number) else { return };
        if std::mem::take(&mut follow.broken) && !dir && follow.told {
            follow.fresh = true;
        }
        if std::mem::take(&mut follow.blocked) {
            self.try_below_root(number);
        }
    }

    /// Is what is watched newer than the event that the queue is at? The walk has seen what it
    /// tells of.
    fn is_newer(&mut self, number: u32) -> bool {
        let seen = self.seen;
        let there = self.is_there(number);
        self.followed(number).is_some_and(|f| seen < if there { f.since } else { f.looked })
    }

    /// Is the queue at an event from before a watch was made, or before what its name leads to was found?
    /// The same wd was another watch's then, or had the name of another place. All that is known of the
    /// directories of the watch is newer, so none of it counts.
    pub(super) fn is_history(&self, number: u32) -> bool {
        self.watch(number).is_some_and(|watch| {
            let found = watch.follow.as_ref().map_or(0, |follow| follow.since);
            self.seen < found.max(watch.born)
        })
    }

    /// The root's name was taken away.
    fn root_went(&mut self, batch: &mut Batch, number: u32, raw: &Raw) {
        if raw.mask & IN_MOVED_FROM != 0 && self.was_exchanged(number, raw) {
            return;
        }
        let newer = self.is_newer(number);
        let there = self.is_there(number);
        let Some(follow) = self.followed(number) else { return };
        let told = std::mem::replace(&mut follow.told, false);
        follow.fresh |= newer && there;
        (follow.made, follow.existing, follow.behind) = (false, false, None);
        let told_dir = follow.told_dir;
        if told && told_dir == (raw.mask & IN_ISDIR != 0) {
            self.tell_root(batch, number, raw.mask, raw.cookie, 0);
        } else if told {
            // What took its place goes, of which nothing was told.
            let kind = if told_dir { IN_ISDIR } else { 0 };
            self.tell_root(batch, number, IN_DELETE | kind, 0, SYNTHETIC);
        }
        if !self.follows_name(number) {
            // That was all it was to tell.
            return;
        }
        if newer {
            self.news(number);
        } else {
            self.vacate(number);
            self.seek(number);
        }
    }

    /// In an exchange what comes to a name is told before what goes from there. Is that of another kind
    /// than what was told, or is what was told still there, with nothing in the queue that can have
    /// brought it back?
    fn was_exchanged(&mut self, number: u32, raw: &Raw) -> bool {
        let is_dir = raw.mask & IN_ISDIR != 0;
        // If nothing can be watched there, what was told may be older than what goes.
        let there = self.is_there(number);
        let another = |follow: &mut Follow| follow.told && follow.told_dir != is_dir;
        if there && self.followed(number).is_some_and(another) {
            return true;
        }
        let stands = |engine: &Self| {
            let watch = engine.watch(number)?;
            watch.follow.as_ref().filter(|follow| follow.told && !follow.fresh)?;
            Some(engine.tree.node(watch.root).wd).filter(|&wd| wd != 0)
        };
        let Some(before) = stands(self) else { return false };
        let way = self.followed(number).map_or_else(Vec::new, |follow| follow.steps.clone());
        self.seek(number);
        let stays = self.watch(number).is_some_and(|w| self.tree.node(w.root).wd == before);
        if !stays || !self.read_all() {
            return false;
        }
        self.input.sort();
        // By its name, or by way of a directory above.
        let comes = |later: &Raw| {
            let name = self.input.name(later);
            later.mask & DIRENT != 0 && way.iter().any(|s| s.wd == later.wd && s.name == name)
        };
        let wds: Vec<_> = way.iter().map(|step| step.wd).collect();
        !self.input.related(&wds, &[], raw.next).any(|later| comes(&later))
    }

    /// Something has come under the root's name.
    fn root_came(&mut self, batch: &mut Batch, number: u32, raw: &Raw, name: &[u8]) {
        if !self.is_newer(number) {
            self.vacate(number);
            self.seek(number);
        }
        let there = self.is_there(number);
        let Some(follow) = self.followed(number) else { return };
        let step = follow.steps.last().filter(|_| follow.at_end);
        let same = step.is_some_and(|step| step.wd == raw.wd && step.name == name);
        if !same || follow.trouble.is_some() {
            // A link, whose end a walk has to find; or something that cannot be watched.
            return;
        }
        let told = std::mem::replace(&mut follow.told, true);
        (follow.fresh, follow.existing, follow.behind) = (false, false, Some(follow.since));
        // Another name of a file that has been written before.
        let created = raw.mask & (IN_CREATE | IN_ISDIR) == IN_CREATE;
        let whole = created && there && follow.links > 1;
        let gone = if follow.told_dir { IN_DELETE | IN_ISDIR } else { IN_DELETE };
        follow.made = created && !whole;
        self.news(number);
        if told && !whole && raw.mask & IN_CREATE != 0 {
            // It is made where nothing was: that what was there has gone is not told yet.
            self.tell_root(batch, number, gone, 0, SYNTHETIC);
        }
        if whole {
            self.tell_root(batch, number, IN_MOVED_TO, 0, SYNTHETIC);
        } else {
            self.tell_root(batch, number, raw.mask, raw.cookie, 0);
        }
    }

    /// A file of the root's name was closed that had been written. Once it is watched itself that is
    /// told by its own event; of a new file before, or perhaps before, by this one. What came as a
    /// whole is told when it is watched, so whoever reads it then has all of it.
    fn closed_by_name(&mut self, batch: &mut Batch, number: u32) {
        let Some(watch) = self.watch(number) else { return };
        let root = watch.root;
        if !self.tree.has(root, Flags::WINDOW) || self.tree.has(root, Flags::DIR) {
            return;
        }
        let there = self.is_there(number);
        let Some(follow) = self.followed(number) else { return };
        if there && std::mem::take(&mut follow.fresh) {
            follow.made = true;
            let told = std::mem::replace(&mut follow.told, true);
            self.news(number);
            // What is in it, the next event says.
            let mask = if told { IN_MOVED_TO } else { IN_CREATE };
            self.tell_root(batch, number, mask, 0, SYNTHETIC);
        }
        if self.followed(number).is_some_and(|follow| follow.told && follow.made) {
            self.tell(batch, root, None, IN_CLOSE_WRITE, 0, 0, &[]);
        }
    }

    /// An event of the root itself.
    pub(super) fn root_event(&mut self, batch: &mut Batch, number: u32, node: NodeId, raw: &Raw) {
        let live = self.live(number, node);
        let seen = self.seen;
        let closes = self.watch(number).is_some_and(Watch::closes);
        let Some(follow) = self.followed(number) else { return };
        let (told, look) = (follow.told, seen >= follow.looked);
        let of_end = raw.mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED) != 0;
        let by_name = follow.made
            && closes
            && follow.at_end
            && follow.steps.last().is_some_and(|s| s.wd != 0);
        if raw.mask & IN_IGNORED != 0 {
            self.wds.remove(&mut self.tree, node);
            self.gave_back();
            self.vacate(number);
            self.news(number);
        }
        if of_end {
            // Told by the name's own events, which are about to come.
            if look {
                self.seek_later(number);
            }
            return;
        }
        let twice = raw.mask & IN_CLOSE_WRITE != 0 && by_name && self.tree.has(node, Flags::WINDOW);
        if live && told && !twice {
            self.tell(batch, node, None, raw.mask, raw.cookie, 0, &[]);
        }
    }
}
