//! Scanning: watch first, list second, in bounded steps. Directories are reached by open
//! directories and names, never by a path that a rename or a symbolic link could lead elsewhere,
//! and every directory that is listed is shown to be the one that is watched.

use super::Engine;
use super::looks::LOOKED;
use super::names::Name;
use super::tree::{Flags, Marks, NONE, NodeId};
use super::world::World;
use crate::sys::Errno;

/// What claiming a directory costs, in entries listed.
pub(super) const CLAIM_COST: usize = 4;
/// How often a directory that cannot be reached is tried again while nothing happens.
const TRIES: u16 = 3;
/// How often at all: looking for a directory can itself put events into the queue.
pub(super) const ROUNDS: u16 = 500;

/// A directory to be watched or listed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task {
    pub(super) node: NodeId,
    pub(super) tag: u32,
    pub(super) tries: u16,
    pub(super) rounds: u16,
    /// Its inode number by a listing of its parent, 0 if it is not of one, and how many events had
    /// been used then.
    ino: u64,
    used: u32,
}

impl Task {
    pub(super) fn new(node: NodeId, tag: u32) -> Self {
        Self { node, tag, tries: 0, rounds: 0, ino: 0, used: 0 }
    }
}

/// Why a directory could not be watched or listed.
pub(super) struct Trouble {
    pub(super) errno: Errno,
    pub(super) step: &'static str,
    /// It was its parent that could not be reached.
    pub(super) reach: bool,
}

/// What is meant is not there, or not what it was.
pub(super) fn gone(errno: Errno) -> bool {
    matches!(errno.0, libc::ENOENT | libc::ENOTDIR | libc::ELOOP | libc::ESTALE | libc::EXDEV)
}

impl<W: World> Engine<W> {
    /// A directory is to be scanned.
    pub(super) fn push_task(&mut self, node: NodeId) {
        self.push_task_tagged(node, self.tag);
    }

    pub(super) fn push_task_tagged(&mut self, node: NodeId, tag: u32) {
        if !self.tree.has(node, Flags::TASK) {
            self.tree.set(node, Flags::TASK);
            self.count_task(tag, true);
            self.tasks.push_back(Task::new(node, tag));
        }
    }

    /// A node is not to be scanned any more: what it was is let go.
    pub(super) fn drop_task(&mut self, node: NodeId) {
        if !self.tree.has(node, Flags::TASK) {
            return;
        }
        let mut tags = Vec::new();
        let mut keep = |task: &Task| {
            let keep = task.node != node;
            if !keep {
                tags.push(task.tag);
            }
            keep
        };
        self.tasks.retain(&mut keep);
        self.blocked.retain(&mut keep);
        self.tree.unlist(node, Flags::TASK);
        for tag in tags {
            self.count_task(tag, false);
        }
    }

    /// A bounded step. True if anything was done.
    pub(super) fn scan(&mut self, budget: usize) -> bool {
        if self.outdate() {
            // What could not be reached may have come back.
            self.retry_blocked();
            self.widen();
            // A call can scan while events that were read wait for room in the batch.
            if self.input.is_empty() {
                self.recheck();
            } else {
                self.stale = self.to_recheck();
            }
        }
        self.use_room();
        if std::mem::take(&mut self.room) {
            self.seek_with_room();
            self.ways_with_room();
        }
        let idle = self.tasks.is_empty() && self.listing.is_none() && self.to_look.is_empty();
        let mut left = budget;
        self.seek_some(&mut left);
        self.check_roots(&mut left);
        self.count_looks();
        while left > 0 && self.can_look() {
            if self.listing.is_some() {
                self.list_some(&mut left);
            } else if let Some(task) = self.tasks.pop_front() {
                left = left.saturating_sub(CLAIM_COST);
                self.run(task);
            } else {
                break;
            }
        }
        self.wait_for_lookups();
        if !self.input.is_empty() {
            // A call that makes a watch has scanned while events that were read are not used yet.
            self.unforeseen = Some(self.input.position());
        }
        self.close_all();
        self.seal();
        !idle
    }

    /// An open directory would keep a deleted one alive, and its file system busy.
    pub(super) fn close_all(&mut self) {
        if self.tasks.is_empty() && self.listing.is_none() {
            self.open.clear();
        }
    }

    /// Have events been used since this was asked last? Then a wd made before is no longer young.
    pub(super) fn outdate(&mut self) -> bool {
        if self.stale {
            self.young_from = self.max_wd.saturating_add(1);
        }
        std::mem::take(&mut self.stale)
    }

    /// A task, a listing of this tag begins or ends.
    pub(super) fn count_task(&mut self, tag: u32, begins: bool) {
        // Few tags are open at a time, and the newest is the one most often asked for.
        if let Some((open, count)) = self.open_tasks.last_mut()
            && *open == tag
            && (begins || *count > 1)
        {
            *count = if begins { *count + 1 } else { *count - 1 };
            return;
        }
        let at = self.open_tasks.iter().rposition(|&(open, _)| open <= tag);
        match at.and_then(|at| self.open_tasks.get_mut(at)).filter(|open| open.0 == tag) {
            Some((_, count)) if begins => *count += 1,
            Some((_, count)) if *count > 1 => *count -= 1,
            Some(_) => self.open_tasks.retain(|&(open, _)| open != tag),
            None if begins => self.open_tasks.insert(at.map_or(0, |at| at + 1), (tag, 1)),
            None => {}
        }
    }

    /// Tasks that could not reach their directory: the tree has changed, they may now.
    pub(super) fn retry_blocked(&mut self) {
        for task in self.blocked.drain(..) {
            self.tasks.push_back(task);
        }
    }

    /// Forgets tasks and windows of nodes that are gone.
    pub(super) fn purge(&mut self) {
        let mut left = std::mem::take(&mut self.tasks);
        left.extend(self.blocked.drain(..));
        for task in left {
            if self.tree.has(task.node, Flags::DEAD) {
                self.count_task(task.tag, false);
                self.tree.unlist(task.node, Flags::TASK);
            } else {
                self.tasks.push_back(task);
            }
        }
        self.retain_windows(&mut |engine, window| {
            let dead = engine.tree.has(window.node, Flags::DEAD);
            if dead {
                engine.tree.unlist(window.node, Flags::WINDOW);
            }
            !dead
        });
    }

    fn run(&mut self, task: Task) {
        let node = task.node;
        self.count_task(task.tag, false);
        let dead = self.tree.has(node, Flags::DEAD);
        self.tree.unlist(node, Flags::TASK);
        if dead {
            return;
        }
        let Some(number) = self.watch_of(node) else {
            return;
        };
        // Nor is anything below the root if that is not asked for any more.
        let inner = self.tree.node(node).parent != NONE;
        let unwanted = inner && self.watch(number).is_some_and(|watch| !watch.deep());
        if unwanted || self.tree.has(node, Flags::EXCLUDED) || self.is_vacant(node) {
            return;
        }
        if !self.admitted(number, node, task.tag) {
            return;
        }
        if self.gaps.forgets(node) && !self.tree.marks(node).contains(Marks::STALE) {
            // Whatever it is listed for: what is not known was told before.
            self.gaps.quiet.insert(node);
        }
        let mut outcome = self.scan_node(number, task);
        if let Err(Trouble { errno: Errno(libc::EMFILE | libc::ENFILE), .. }) = outcome
            && !self.open.is_empty()
        {
            // With fewer of our own.
            self.open.clear();
            outcome = self.scan_node(number, task);
        }
        match outcome {
            Ok(()) => self.covered(node, task.tag),
            Err(trouble) => self.scan_failed(number, task, trouble),
        }
    }

    /// Watches a node, if it is not, and begins to list it, if it must be.
    fn scan_node(&mut self, number: u32, task: Task) -> Result<(), Trouble> {
        let Task { node, tag, .. } = task;
        let reach = |errno| Trouble { errno, step: "open", reach: true };
        let own = |step| move |errno| Trouble { errno, step, reach: false };
        let (open, add) = (own("open"), own("inotify_add_watch"));
        let wanted = self.wanted(number, node);
        let (dir, listable) = if self.tree.node(node).parent == NONE {
            let at = self.open_dir(node).map_err(open)?;
            let (_, root) = &self.open[at];
            (self.world.open_below(root, b".").map_err(open)?, false)
        } else {
            let parent = self.tree.node(node).parent;
            let at = self.open_dir(parent).map_err(reach)?;
            let unwatched = self.tree.node(node).wd == 0;
            let stays = unwatched && self.stays(number);
            if unwatched
                && !stays
                && !self.tree.has(node, Flags::NOTING)
                && !self.tracks(number)
                && !self.claim_by_name(number, at, node, tag).map_err(add)?
            {
                return Ok(());
            }
            if unwatched
                && !stays
                && let Some((wd, dir)) = self.watch_and_open(at, task, wanted)
            {
                self.adopt(number, node, wd);
                if self.tree.has(node, Flags::UNLISTED) {
                    self.push_window(node, tag);
                } else if !self.joined(node) {
                    self.begin_listing(node, tag, dir, true);
                } else {
                    // What was read is older than the mark before which no event counts.
                    let dir = self.world.open_to_list(&dir, b".").map_err(open)?;
                    self.begin_listing(node, tag, dir, false);
                }
                return Ok(());
            }
            if stays {
                match self
                    .open_on_mount(number, at, Name::new(self.tree.name(node)).get())
                    .map_err(open)?
                {
                    Some(dir) => (dir, false),
                    None => {
                        self.leave_out(node);
                        return Ok(());
                    }
                }
            } else {
                self.open_entry(number, at, node).map_err(open)?
            }
        };
        let wd = self.world.add(&dir, b".", wanted).map_err(add)?;
        if self.tree.node(node).wd == 0 {
            self.adopt(number, node, wd);
            let leaf = !self.tree.has(node, Flags::NOTING)
                && !self.tree.has(node, Flags::UNLISTED)
                && !self.tracks(number)
                && self.tree.node(node).parent != NONE
                && !self.tree.has_children(node)
                && self.world.links_of(&dir, b".") == Ok(2);
            if leaf {
                self.tree.unmark(node, Marks::STALE);
                self.push_window(node, tag);
                return Ok(());
            }
        } else if self.tree.node(node).wd != wd {
            // Another directory has taken the name; the queue will tell where this one went.
            self.refuse(wd);
            return Err(reach(Errno(libc::ESTALE)));
        } else if !self.is_placed(node) {
            // Only its name shows where it is, which can be ahead of a rename under way.
            self.note_lookup(self.tree.node(node).parent);
        }
        self.set_placed(node);
        if self.tree.has(node, Flags::UNLISTED) {
            self.push_window(node, tag);
            return Ok(());
        }
        // Opened after it is watched: some file systems (btrfs) list what was there at the opening.
        let dir = if listable && self.world.rewind(&dir).is_ok() {
            dir
        } else {
            self.world.open_to_list(&dir, b".").map_err(open)?
        };
        self.begin_listing(node, tag, dir, false);
        Ok(())
    }

    /// Watches a directory that a listing has found, opens it, both by its name, and begins to read it,
    /// if what is opened is certainly what is watched. What is opened is what was listed, by the inode
    /// number. If another was watched in between, the name has led elsewhere and back: two changes, of
    /// which the first was complete before the second, so that its event is queued before anything
    /// that is read now, and by that event the claim is dropped with all that was found. Provided
    /// that the event was not used before.
    fn watch_and_open(&mut self, at: usize, task: Task, wanted: u32) -> Option<(i32, W::Dir)> {
        let Task { node, ino, used, .. } = task;
        let told = self.looking || ino == 0 || used != self.events_used();
        if told || self.tree.node(node).wd != 0 {
            return None;
        }
        let (_, parent) = &self.open[at];
        let (wd, opened) = self.world.watch_and_open(parent, self.tree.name(node), wanted)?;
        let buffer = &mut self.list_buffer;
        buffer.clear();
        if let Ok(dir) = opened
            && self.world.list(&dir, buffer) == Ok(true)
            && buffer.own_number() == Some(ino)
        {
            return Some((wd, dir));
        }
        buffer.clear();
        self.refuse(wd);
        None
    }

    /// Opens an entry that is to be watched and listed. True: it can be listed as it is, else it
    /// may be good for no more than to reach it.
    fn open_entry(
        &mut self,
        number: u32,
        at: usize,
        node: NodeId,
    ) -> Result<(W::Dir, bool), Errno> {
        // Opening it to list it is an event of its parent, and should it then not be watched,
        // nothing would show whose it was.
        let told = self.watch(number).is_none_or(|watch| watch.mask & LOOKED != 0);
        let (name, (_, parent)) = (self.tree.name(node), &self.open[at]);
        if !told && let Ok(opened) = self.world.open_ahead(parent, name) {
            return Ok(opened);
        }
        Ok((self.world.open_below(parent, name)?, false))
    }

    pub(super) fn push_front(&mut self, node: NodeId, tag: u32) {
        if !self.tree.has(node, Flags::TASK) {
            self.tree.set(node, Flags::TASK);
            self.count_task(tag, true);
            self.tasks.push_front(Task::new(node, tag));
        }
    }

    /// The same for a directory that a listing has just found, with this inode number.
    pub(super) fn push_found(&mut self, node: NodeId, tag: u32, ino: u64) {
        self.push_front(node, tag);
        let used = self.events_used();
        if let Some(task) = self.tasks.front_mut().filter(|task| task.node == node) {
            (task.ino, task.used) = (ino, used);
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "no task waits for 2^32 events")]
    fn events_used(&self) -> u32 {
        self.counters.kernel_events as u32
    }

    /// A directory could not be watched or listed.
    pub(super) fn scan_failed(&mut self, number: u32, mut task: Task, trouble: Trouble) {
        let Trouble { errno, step, reach } = trouble;
        let node = task.node;
        let gone = gone(errno);
        let watched = self.tree.node(node).wd != 0;
        if gone && (reach || watched) && self.tree.node(node).parent != NONE {
            // A directory above has moved; the queue will say where, unless it has said all.
            let quiet = self.input.is_empty() && self.perhaps_empty();
            if quiet {
                task.tries += 1;
                self.world.give_way();
            }
            task.rounds += 1;
            let hopeless = task.rounds > ROUNDS;
            if !hopeless && (task.tries < TRIES || !self.lost(node)) {
                self.tree.set(node, Flags::TASK);
                self.count_task(task.tag, true);
                self.blocked.push(task);
                if quiet {
                    // So that it is tried again.
                    self.stale = true;
                }
                return;
            }
        } else if gone && self.tree.node(node).parent != NONE {
            // The entry itself is gone, or no directory any more: the queue will tell.
            return;
        }
        if gone && self.root_out_of_reach(number, node) {
            return;
        }
        if gone && self.compare_above(node, task.tag) {
            return;
        }
        self.uncover(number, node, errno, step);
        if gone {
            self.await_root(number, node);
        }
    }
}
