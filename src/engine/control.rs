//! What callers ask for: watches made and ended; questions answered.

use super::Engine;
use super::glob::Excludes;
use super::mask::DIRENT;
use super::tree::{Flags, NONE, NodeId};
use super::watches::{Failure, Watch, WatchFlags};
use super::world::World;
use crate::sys::Errno;

use libc::{IN_DONT_FOLLOW, IN_EXCL_UNLINK, IN_MASK_ADD, IN_ONLYDIR};

/// What a watch call asks for, checked.
#[derive(Clone, Debug)]
pub struct Request {
    /// The path as it was spelled; not empty, no NUL.
    pub path: Vec<u8>,
    /// The same from "/" on.
    pub absolute: Vec<u8>,
    /// IN_* bits.
    pub mask: u32,
    /// RINOTIFY_WATCH_* bits.
    pub flags: WatchFlags,
    /// Directories that are left out.
    pub excludes: Excludes,
    /// The caller is to be asked which of the others are, see `next_question`.
    pub asks: bool,
}

/// A watch that is being made.
#[derive(Clone, Copy, Debug)]
pub struct WatchStart {
    number: u32,
    tag: u32,
}

impl WatchStart {
    /// Is it the watch of this number?
    pub(super) fn is(self, number: u32) -> bool {
        self.number == number
    }
}

impl<W: World> Engine<W> {
    /// Makes a watch: its root is watched when this returns, what is below is for `build`.
    pub fn start_watch(&mut self, id: i64, request: Request) -> Result<WatchStart, Failure> {
        let Request { path, absolute, mask, flags, excludes, asks } = request;
        let number = match self.watches.iter().position(Option::is_none) {
            Some(free) => free,
            None => {
                self.watches.push(None);
                self.watches.len() - 1
            }
        };
        let slot = number;
        let number = u32::try_from(number)
            .map_err(|_| Failure::new(Errno(libc::ENOSPC), "watch", Vec::new()))?;
        let mut watch = Watch {
            id,
            root: NONE,
            path,
            absolute,
            identity: None,
            mask,
            flags,
            excludes,
            asks,
            building: true,
            gone: false,
            ended: false,
            born: 0,
            directories: 0,
            failure: None,
            limit_told: false,
            gaps: 0,
            left_out: 0,
            rescanning: false,
            track_later: None,
            knew: (false, false),
            unasked: false,
            untouched: false,
            noted: super::Coverage::Complete,
            way: Vec::new(),
            way_known: false,
            way_short: false,
            follow: None,
        };
        if flags.contains(WatchFlags::FOLLOW_NAME) {
            return self.start_following(number, watch);
        }
        watch.born = self.mark();
        let (dir, wd) = self.watch_root(&mut watch)?;
        let noting = flags.contains(WatchFlags::EMIT_EXISTING) && dir.is_some();
        let root = self.tree.add_root(number, Flags::DIR);
        if noting {
            self.tree.set(root, Flags::NOTING);
        }
        self.watches[slot] = Some(watch);
        if let Some(watch) = self.watch_mut(number) {
            watch.root = root;
        }
        self.by_id.insert(id, number);
        self.count_wishes();
        self.adopt(number, root, wd);
        self.tag += 1;
        let tag = self.tag;
        self.tag += 1;
        let list = self.watch(number).is_some_and(Watch::lists);
        match dir {
            Some(dir) if list => {
                self.keep(root, dir);
                self.push_task_tagged(root, tag);
            }
            _ => self.push_window(root, tag),
        }
        Ok(WatchStart { number, tag })
    }

    /// Makes a watch that follows its name.
    fn start_following(&mut self, number: u32, mut watch: Watch) -> Result<WatchStart, Failure> {
        watch.root = self.tree.add_root(number, Flags::DIR);
        self.by_id.insert(watch.id, number);
        self.watches[number as usize] = Some(watch);
        self.count_wishes();
        self.tag += 1;
        let tag = self.tag;
        let begun = self.begin_follow(number);
        self.tag += 1;
        if let Err(failure) = begun {
            self.end_watch(number);
            while self.doom(4096) {}
            self.purge();
            return Err(failure);
        }
        Ok(WatchStart { number, tag })
    }

    /// Reached first, if it is a directory that will be listed, so that what is listed is what is
    /// watched. By the path as it was spelled: the absolute one may lead through a directory that
    /// this process may not search.
    fn watch_root(&mut self, watch: &mut Watch) -> Result<(Option<W::Dir>, i32), Failure> {
        let path = watch.path.clone();
        let fail = |step| {
            let path = path.clone();
            move |errno| Failure::new(errno, step, path)
        };
        let modifiers = watch.mask & (IN_DONT_FOLLOW | IN_ONLYDIR);
        if watch.lists() {
            let nofollow = watch.mask & IN_DONT_FOLLOW != 0;
            match self.world.open(&path, nofollow) {
                Ok(dir) => {
                    watch.identity = Some(self.world.identity(&dir).map_err(fail("fstat"))?);
                    let mask = watch.root_mask() | IN_EXCL_UNLINK | IN_MASK_ADD;
                    let wd = self.world.add(&dir, b".", mask).map_err(fail("inotify_add_watch"))?;
                    return Ok((Some(dir), wd));
                }
                // A file has nothing to list, which is no error.
                Err(Errno(libc::ENOTDIR)) if !watch.deep() => {
                    watch.flags.remove(WatchFlags::TRACK_ENTRIES);
                }
                Err(errno) => return Err(fail("open")(errno)),
            }
        }
        let mask = watch.root_mask() | modifiers | IN_MASK_ADD;
        if !watch.lists()
            && watch.mask & DIRENT != 0
            && let Ok(dir) = self.world.open(&path, watch.mask & IN_DONT_FOLLOW != 0)
            && let Ok(identity) = self.world.identity(&dir)
            && let Ok(wd) = self.world.add(&dir, b".", mask & !IN_DONT_FOLLOW)
        {
            // What stands at a name may have to be found out.
            watch.identity = Some(identity);
            return Ok((None, wd));
        }
        let wd = self.world.add_path(&path, mask).map_err(fail("inotify_add_watch"))?;
        Ok((None, wd))
    }

    /// Scans on. True when the tree is watched.
    pub fn build(&mut self, start: WatchStart, budget: usize) -> bool {
        let failed = self.watch(start.number).is_none_or(|watch| watch.failure.is_some());
        if failed || !self.building(start) {
            return true;
        }
        self.scan(budget);
        self.drop_looks();
        !self.building(start)
    }

    fn building(&self, start: WatchStart) -> bool {
        self.open_tasks.iter().any(|&(tag, _)| tag == start.tag)
            && (!self.tasks.is_empty() || self.listing.is_some() || self.questions_of(start.number))
    }

    /// Directories watched so far.
    pub fn progress(&self, start: WatchStart) -> u64 {
        self.watch(start.number).map_or(0, |watch| watch.directories)
    }

    /// The watch is made, or has failed and is gone.
    pub fn finish_watch(&mut self, start: WatchStart, give_up: bool) -> Result<(), Failure> {
        let Some(watch) = self.watch_mut(start.number) else {
            return Err(Failure::new(Errno(libc::EBADF), "watch", Vec::new()));
        };
        let failure = watch.failure.take().or_else(|| {
            give_up.then(|| Failure::new(Errno(libc::ECANCELED), "progress", watch.path.clone()))
        });
        if let Some(failure) = failure {
            self.end_watch(start.number);
            while self.doom(4096) {}
            self.purge();
            return Err(failure);
        }
        watch.building = false;
        self.follow_made(start.number);
        self.open_early();
        self.seal();
        if self.has_work() {
            self.wake();
        }
        if let Err(failure) = self.poke_again() {
            let path = self.watch(start.number).map_or_else(Vec::new, |watch| watch.path.clone());
            // What waits for the queue to catch up would wait for ever.
            self.end_watch(start.number);
            while self.doom(4096) {}
            self.purge();
            return Err(Failure::new(failure.errno, failure.step, path));
        }
        Ok(())
    }

    /// Is there such a watch, whose end has not been read?
    pub fn lives(&self, id: i64) -> bool {
        let number = self.by_id.get(&id);
        number.and_then(|&number| self.watch(number)).is_some_and(|watch| !watch.gone)
    }

    /// Ends a watch; its kernel watches go by and by, see `doom`.
    pub(super) fn end_watch(&mut self, number: u32) {
        let Some(watch) = self.watch_mut(number) else {
            return;
        };
        if std::mem::replace(&mut watch.ended, true) {
            return;
        }
        let (id, root) = (watch.id, watch.root);
        self.unfollow(number);
        self.leave_way(number);
        self.by_id.remove(&id);
        self.count_wishes();
        self.held.retain(|held| held.watch != number);
        self.done.retain(|&(_, _, of)| of != number);
        self.notices.retain(|notice| notice.watch != number);
        self.roots.retain(|&of| of != number);
        self.tree.set(root, Flags::EXCLUDED);
        self.forget_near();
        self.doomed.push(root);
    }

    /// Ends a watch by id; its kernel watches are gone when this returns.
    pub fn ignore_id(&mut self, id: i64) -> bool {
        let Some(&number) = self.by_id.get(&id) else {
            return false;
        };
        if self.watch(number).is_none_or(|watch| watch.building) {
            return false;
        }
        self.end_watch(number);
        true
    }

    /// Ids of the watches whose root is this path.
    pub fn roots(&self, path: &[u8]) -> Vec<i64> {
        let path = trim(path);
        let watches = self.watches.iter().flatten();
        // There are few of one path.
        let mut ids = Vec::new();
        for watch in watches.filter(|watch| !watch.ended && !watch.building) {
            if trim(&watch.path) == path {
                ids.insert(ids.partition_point(|&id| id < watch.id), watch.id);
            }
        }
        ids
    }

    /// Is there a watch of this absolute path?
    pub fn is_root(&self, absolute: &[u8]) -> bool {
        let path = trim(absolute);
        self.watches
            .iter()
            .flatten()
            .filter(|watch| !watch.ended && !watch.building && !watch.gone)
            .any(|watch| trim(&watch.absolute) == path)
    }

    /// The directories at this path, below roots: watched, or known to be not covered.
    fn below(&self, path: &[u8]) -> Vec<NodeId> {
        let path = trim(path);
        let mut found = Vec::new();
        for watch in self.watches.iter().flatten().filter(|watch| !watch.ended) {
            let Some(rest) = path.strip_prefix(trim(&watch.path)) else {
                continue;
            };
            if !rest.starts_with(b"/") && trim(&watch.path) != b"/" {
                continue;
            }
            let names = rest.split(|&b| b == b'/').filter(|name| !name.is_empty());
            let node =
                names.into_iter().try_fold(watch.root, |node, name| self.tree.dir(node, name));
            if let Some(node) = node
                && (self.tree.node(node).wd != 0 || self.tree.has(node, Flags::UNCOVERED))
                && node != watch.root
            {
                found.push(node);
            }
        }
        found
    }

    /// Stops watching directories at this path, below roots; ids of the watches concerned, and the path
    /// as it is told.
    pub fn exclude(&mut self, path: &[u8]) -> Vec<(i64, Vec<u8>)> {
        let mut found = Vec::new();
        for node in self.below(path) {
            if let Some(number) = self.watch_of(node)
                && let Some(id) = self.watch(number).map(|watch| watch.id)
            {
                found.push((id, self.path_of(number, node)));
            }
            self.let_go_all_of(node);
            self.tree.set(node, Flags::EXCLUDED);
        }
        if self.has_work() {
            self.wake();
        }
        found
    }

    /// A directory and all below it is not watched any more; its own entry stays.
    pub(super) fn let_go_all_of(&mut self, node: NodeId) {
        while self.tree.first(node) != NONE {
            let child = self.tree.first(node);
            self.drop_child(child);
        }
        self.unwatch(node);
        self.withdraw(node);
        self.stop_listing(node);
        self.cancel_window(node);
        self.forget_gap(node);
        self.end_quiet(node);
        self.rechecks.retain(|asked| asked.dir != node);
        self.open.retain(|&(open, _)| open != node);
        self.tree.clear(node, Flags::NOTING);
        self.forget_near();
    }

    /// Is this path a root, or a directory watched below one?
    pub fn is_watched(&self, path: &[u8]) -> bool {
        !self.roots(path).is_empty()
            || self.below(path).iter().any(|&node| self.tree.node(node).wd != 0)
    }
}

/// A path without trailing slashes.
fn trim(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|&b| b != b'/').map_or(1, |last| last + 1);
    &path[..end.min(path.len())]
}
