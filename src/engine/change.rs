//! What is asked for again: another mask, other flags, of a watch that stands.

use super::Engine;
use super::mask::EVENTS;
use super::scan::gone;
use super::tree::{Flags, Marks, NONE, NodeId};
use super::watches::{Failure, Watch, WatchFlags};
use super::world::World;
use crate::sys::Errno;

use libc::{IN_DONT_FOLLOW, IN_MASK_ADD, IN_ONLYDIR};

impl<W: World> Engine<W> {
    /// Changes mask and flags of a watch, in the kernel too. If that fails at the root it is as it
    /// was; what fails below is told as an event.
    pub fn change_watch(&mut self, id: i64, mask: u32, flags: WatchFlags) -> Result<(), Failure> {
        let changed = self.change_to(id, mask, flags);
        // One that fails can have found something, too.
        if self.has_work() {
            self.wake();
        }
        let poked = self.poke_again();
        changed.and(poked)
    }

    fn change_to(&mut self, id: i64, mask: u32, flags: WatchFlags) -> Result<(), Failure> {
        let Some(&number) = self.by_id.get(&id) else {
            return Ok(());
        };
        let follow = flags.contains(WatchFlags::FOLLOW_NAME);
        let flags = self.fitting(number, mask, flags)?;
        let followed = self.follows_name(number);
        if follow && !followed {
            self.follow_late(number)?;
        } else if !follow && followed && !self.is_there(number) {
            let path = self.watch(number).map_or_else(Vec::new, |watch| watch.path.clone());
            return Err(Failure::new(Errno(libc::ENOENT), "watch", path));
        }
        let out_of_step = self.resync.is_some() || self.rescan.is_some();
        let Some(watch) = self.watch_mut(number) else {
            return Ok(());
        };
        let (old, spelled) = (watch.mask, watch.path.clone());
        let before_flags = watch.flags;
        let mut flags = flags;
        let later = watch.track_later.take();
        let track = WatchFlags::TRACK_ENTRIES;
        if out_of_step && watch.holds_tree() && (flags ^ before_flags).contains(track) {
            // What is known of entries is just being compared.
            watch.track_later = Some(flags.contains(track));
            flags.toggle(track);
        }
        let new = if mask & IN_MASK_ADD != 0 { mask | (watch.mask & EVENTS) } else { mask };
        // A link or what it leads to: what is watched stays so, unless it is looked for by its name.
        let new = if follow { new } else { new & !IN_DONT_FOLLOW | watch.mask & IN_DONT_FOLLOW };
        let unasked = watch.unasked;
        let before = (watch.root_mask(), watch.inner_mask(), watch.flags);
        watch.mask = new;
        watch.flags = flags;
        let tracked = before_flags.contains(WatchFlags::TRACK_ENTRIES);
        let tracks = flags.contains(WatchFlags::TRACK_ENTRIES);
        let after = (watch.root_mask(), watch.inner_mask(), watch.flags);
        let (root, path) = (watch.root, watch.absolute.clone());
        if follow {
            // The directories on the way may have to be asked for something else now; and who asks
            // again wants to know what is there.
            if let Some(failure) = self.seek_as_asked(number) {
                if let Some(watch) = self.watch_mut(number) {
                    (watch.mask, watch.flags, watch.track_later) = (old, before.2, later);
                }
                if followed {
                    self.seek(number);
                } else {
                    self.unfollow(number);
                    self.note_coverage(number);
                }
                return Err(failure);
            }
        } else if (before.0 != after.0 || unasked) && self.is_there(number) {
            let mask = after.0 | self.gaps.bits(root) | (new & IN_DONT_FOLLOW) | IN_MASK_ADD;
            // As for a new watch, the spelling may lead there where the absolute path does not.
            let added = match self.world.add_path(&path, mask) {
                Err(Errno(libc::EACCES | libc::ENAMETOOLONG)) => {
                    self.world.add_path(&spelled, mask)
                }
                other => other,
            };
            let asked = added.and_then(|is| self.confirm(root, is));
            // It may have been replaced, which the queue will tell.
            if let Some(watch) = self.watch_mut(number) {
                watch.unasked = asked == Err(Errno(libc::ESTALE));
                let again = watch.unasked && (watch.identity.is_some() || watch.holds_tree());
                if again && !self.narrow.contains(&root) {
                    // It is asked for when the path leads to it again.
                    self.narrow.push(root);
                }
            }
            if let Err(errno) = asked
                && errno != Errno(libc::ESTALE)
            {
                if let Some(watch) = self.watch_mut(number) {
                    (watch.mask, watch.flags, watch.track_later) = (old, before.2, later);
                }
                return Err(Failure::new(errno, "inotify_add_watch", spelled));
            }
        }
        if followed && !follow {
            // The watch is about what it has now, from now on.
            self.unfollow(number);
            self.note_coverage(number);
        }
        if !after.2.intersects(WatchFlags::RECURSIVE | WatchFlags::AUTO_ADD) {
            self.let_go_below(root, tracked && tracks);
        }
        let deep = WatchFlags::RECURSIVE | WatchFlags::AUTO_ADD;
        let deeper = after.2.difference(before.2) & deep;
        self.count_wishes();
        if before.1 != after.1 {
            self.remask_below(number, root, after.1);
        }
        if tracked && !tracks {
            self.forget_files(root);
        }
        let remember = tracks && !tracked;
        if !deeper.is_empty() || remember {
            let all = WatchFlags::AUTO_ADD | WatchFlags::TRACK_ENTRIES;
            self.note_known(number, before.2.intersects(all), tracked);
        }
        if (!deeper.is_empty() || remember) && self.is_there(number) {
            let wd = self.tree.node(root).wd;
            // It may have been replaced, which the queue will tell.
            if let Ok(dir) = self.world.open(&path, new & IN_DONT_FOLLOW != 0)
                && self.verify(&dir, wd).is_ok()
            {
                let identity = self.world.identity(&dir).ok();
                if let Some(watch) = self.watch_mut(number) {
                    watch.identity = identity;
                }
                self.keep(root, dir);
            }
            self.list_once_more(root);
            if remember || deeper.contains(WatchFlags::AUTO_ADD) {
                // Where new directories are followed, all that there are are known.
                self.list_all_below(root);
            }
            while self.tree.has(root, Flags::TASK) || self.listing.is_some() {
                self.scan(4096);
                self.drop_looks();
            }
        }
        Ok(())
    }

    /// What is a file has nothing below it: no directories, and no entries.
    fn fitting(
        &mut self,
        number: u32,
        mask: u32,
        flags: WatchFlags,
    ) -> Result<WatchFlags, Failure> {
        let deep = flags.intersects(WatchFlags::RECURSIVE | WatchFlags::AUTO_ADD);
        let tracks = flags.contains(WatchFlags::TRACK_ENTRIES);
        let holds = |watch: &&Watch| if deep { watch.deep() } else { watch.holds_tree() };
        let Some(watch) = self.watch(number).filter(|watch| (deep || tracks) && !holds(watch))
        else {
            return Ok(flags);
        };
        let follow = flags.contains(WatchFlags::FOLLOW_NAME);
        let nofollow = IN_DONT_FOLLOW & if follow { mask } else { watch.mask } != 0;
        let path = watch.path.clone();
        let file = self.is_there(number)
            && self.world.open(&path, nofollow).is_err_and(|e| e.0 == libc::ENOTDIR);
        if file && deep {
            return Err(Failure::new(Errno(libc::ENOTDIR), "open", path));
        }
        Ok(if file && !follow { flags - WatchFlags::TRACK_ENTRIES } else { flags })
    }

    /// Files are no longer remembered.
    fn forget_files(&mut self, root: NodeId) {
        let mut stack = vec![root];
        while let Some(dir) = stack.pop() {
            let mut child = self.tree.first(dir);
            while child != NONE {
                let next = self.tree.next(child);
                if self.tree.has(child, Flags::DIR) {
                    stack.push(child);
                } else if self.tree.marks(child).contains(Marks::REPLACED) {
                    // A directory stands there, of which it is not told yet.
                    self.drop_gone(child);
                } else if !self.tree.flags(dir).intersects(Flags::NOTING | Flags::LISTING) {
                    self.drop_child(child);
                }
                child = next;
            }
        }
    }

    /// Entries are remembered from now on, or not any more.
    pub(super) fn track_later(&mut self, number: u32) {
        let Some(watch) = self.watch_mut(number) else { return };
        let Some(tracks) = watch.track_later.take() else { return };
        watch.flags.set(WatchFlags::TRACK_ENTRIES, tracks);
        let (root, dirs) = (watch.root, watch.flags.contains(WatchFlags::AUTO_ADD) || !tracks);
        self.note_known(number, dirs, false);
        self.count_wishes();
        if !tracks {
            self.forget_files(root);
        } else if self.is_there(number) {
            self.list_once_more(root);
            self.list_all_below(root);
        }
    }

    /// Directories are to be listed for other flags: was each subdirectory known before, and each file? Not
    /// if some are still to be listed for an earlier change.
    fn note_known(&mut self, number: u32, dirs: bool, files: bool) {
        let mut waiting = self.relisted.iter().chain(&self.to_relist);
        let waits = waiting.any(|&node| self.watch_of(node) == Some(number));
        if let Some(watch) = self.watch_mut(number) {
            let before = if waits { watch.knew } else { (true, true) };
            watch.knew = (before.0 && dirs, before.1 && files);
        }
    }

    /// Nothing below the root is watched any more. `keeps`: its own entries are remembered still.
    fn let_go_below(&mut self, root: NodeId, keeps: bool) {
        let mut child = self.tree.first(root);
        while child != NONE {
            let next = self.tree.next(child);
            if !keeps {
                self.drop_child(child);
            } else if self.tree.has(child, Flags::DIR) {
                self.let_go_all_of(child);
            }
            child = next;
        }
    }

    /// A directory is listed for other flags; if it is being told, after that.
    fn list_once_more(&mut self, node: NodeId) {
        if self.tree.has(node, Flags::NOTING) {
            self.to_relist.insert(node);
        } else {
            self.relisted.insert(node);
            self.push_task(node);
        }
    }

    /// All of a directory has been told.
    pub(super) fn list_after_all(&mut self, node: NodeId) {
        if !self.to_relist.is_empty() && self.to_relist.remove(&node) {
            self.relisted.insert(node);
            self.push_task(node);
        }
    }

    /// All directories that are watched are listed once more.
    fn list_all_below(&mut self, root: NodeId) {
        let mut stack = vec![root];
        while let Some(dir) = stack.pop() {
            let mut child = self.tree.first_dir(dir);
            while child != NONE {
                if self.tree.has(child, Flags::DIR) && self.tree.node(child).wd != 0 {
                    self.list_once_more(child);
                    stack.push(child);
                }
                child = self.tree.next(child);
            }
        }
    }

    fn remask_below(&mut self, number: u32, dir: NodeId, mask: u32) {
        let mut stack = vec![dir];
        while let Some(dir) = stack.pop() {
            let mut child = self.tree.first_dir(dir);
            while child != NONE {
                if self.tree.node(child).wd != 0 {
                    stack.push(child);
                    let done = self.open_dir(dir).and_then(|at| {
                        let name = self.tree.name(child).to_vec();
                        let bits_here = self.gaps.bits(child);
                        let (_, dir) = &self.open[at];
                        let bits = bits_here | IN_ONLYDIR | IN_DONT_FOLLOW | IN_MASK_ADD;
                        let is = self.world.add(dir, &name, mask | bits)?;
                        self.confirm(child, is)
                    });
                    match done {
                        Ok(()) => {}
                        // It has been moved: once the queue has said where, it is asked for there.
                        Err(errno) if gone(errno) => self.narrow.push(child),
                        Err(errno) => self.uncover(number, child, errno, "inotify_add_watch"),
                    }
                }
                child = self.tree.next(child);
            }
        }
        self.open.clear();
    }

    /// Was the kernel asked at this node's directory?
    fn confirm(&mut self, node: NodeId, is: i32) -> Result<(), Errno> {
        if is == self.tree.node(node).wd {
            return Ok(());
        }
        self.refuse(is);
        Err(Errno(libc::ESTALE))
    }
}
