//! Listing: what a directory has, read in bounded steps.

use std::collections::HashSet;

use super::Engine;
use super::gaps::is_limit;
use super::looks::READING;
use super::scan::{CLAIM_COST, Task, Trouble};
use super::tree::{Flags, Folding, Marks, NONE, NodeId};
use super::watches::WatchFlags;
use super::world::World;
use crate::sys::{Entry, Errno, Kind, ListBuffer};

/// A directory that is being listed.
pub(super) struct Listing<D> {
    pub(super) node: NodeId,
    pub(super) tag: u32,
    pub(super) dir: D,
    more: bool,
    /// Nothing was left out for an error.
    whole: bool,
    /// As long as this is how many children were ever added, the directory has none but what the
    /// first getdents64(2) told.
    fresh: Option<u64>,
    /// There was a first.
    continued: bool,
    /// What is believed is compared with it.
    compares: bool,
    /// The first child that is still to be put in doubt before.
    pub(super) doubt: NodeId,
    /// There are subdirectories to be scanned.
    descends: bool,
    /// Why entries could not be looked at that are to be compared.
    pub(super) unseen: Option<Errno>,
    /// What the queue has said to be gone meanwhile, though that is told later: what has been read of the
    /// listing can be older.
    pub(super) ended: HashSet<NodeId>,
}

impl<W: World> Engine<W> {
    /// `begun`: the first part is in the buffer.
    pub(super) fn begin_listing(&mut self, node: NodeId, tag: u32, dir: W::Dir, begun: bool) {
        // One of an earlier listing must not close before all of this one is known.
        let tag = self.cancel_window(node).map_or(tag, |older| older.min(tag));
        self.look_into();
        self.tree.set(node, Flags::LISTING);
        self.count_task(tag, true);
        if !begun {
            self.list_buffer.clear();
        }
        let fresh = (!self.tree.has_children(node)).then(|| self.tree.added());
        let compares = self.tree.marks(node).contains(Marks::STALE);
        let doubt = if compares { self.tree.first(node) } else { NONE };
        if compares {
            // What was told of it before and what came since cannot be told apart.
            self.end_quiet(node);
        }
        // What is found again may have to be scanned, too.
        let descends = compares || self.gaps.is_quiet(node);
        self.listing = Some(Listing {
            node,
            tag,
            dir,
            more: true,
            whole: true,
            fresh,
            continued: begun,
            compares,
            doubt,
            descends,
            unseen: None,
            ended: HashSet::new(),
        });
    }

    /// A directory that is being listed goes. Returns the tag of the listing.
    pub(super) fn stop_listing(&mut self, node: NodeId) -> Option<u32> {
        let listing = self.listing.take_if(|listing| listing.node == node)?;
        self.tree.clear(node, Flags::LISTING);
        self.count_task(listing.tag, false);
        Some(listing.tag)
    }

    /// A directory is to be listed from the beginning, whatever has been begun.
    pub(super) fn list_anew(&mut self, node: NodeId, tag: u32) {
        let begun = [self.stop_listing(node), self.cancel_window(node)];
        self.push_task_tagged(node, begun.into_iter().flatten().fold(tag, u32::min));
    }

    /// Reads on in the listing.
    pub(super) fn list_some(&mut self, left: &mut usize) {
        let Some(mut listing) = self.listing.take() else {
            return;
        };
        let node = listing.node;
        let Some(number) = self.watch_of(node) else {
            self.count_task(listing.tag, false);
            return;
        };
        self.doubt(&mut listing.doubt, &listing.ended, left);
        let mut buffer = std::mem::replace(&mut self.list_buffer, ListBuffer::none());
        let tracks = self.tracks(number);
        let noting = self.tree.has(node, Flags::NOTING);
        // See `remember_told`.
        let told = tracks && self.relisted.contains(&node);
        let unsure = told && (!self.input.is_empty() || self.world.queued() > 0);
        let folds = (noting || tracks)
            && !listing.compares
            && !unsure
            && !self.gaps.is_quiet(node)
            && !self.is_news(number, node, false)
            && !self.rechecks.iter().any(|asked| asked.dir == node);
        let mut folding = std::mem::take(&mut self.folding);
        while *left > 0 && listing.more && self.looks >= READING {
            match buffer.next_entry() {
                Some(entry) => {
                    *left = left.saturating_sub(1);
                    let kind = match entry.kind {
                        Some(kind) => Ok(kind),
                        None => self.world.kind_of(&listing.dir, entry.name),
                    };
                    let fresh = listing.fresh == Some(self.tree.added());
                    if folds && fresh && kind == Ok(Kind::Other) {
                        // The queue has not spoken of it, and nobody else has seen it yet.
                        let print =
                            if tracks { self.print_of(&listing.dir, entry.name) } else { None };
                        if !tracks || print.is_some() {
                            folding.push(entry.name, print);
                            continue;
                        }
                    }
                    match kind {
                        Ok(kind) => self.found(number, node, &mut listing, &entry, kind, left),
                        // It has gone since it was listed, which the queue tells.
                        Err(Errno(libc::ENOENT)) => {}
                        Err(errno) => {
                            listing.whole = false;
                            self.uncover(number, node, errno, "fstatat");
                        }
                    }
                    if self.gaps.no_more(node) {
                        listing.more = false;
                    }
                }
                None => match self.world.list(&listing.dir, &mut buffer) {
                    Ok(more) => {
                        self.looks = self.looks.saturating_sub(READING);
                        listing.more = more;
                        if !more {
                            // That took the directory's lock, after all names in it were looked up.
                            self.looked_up.retain(|&dir| dir != node);
                        }
                        if std::mem::replace(&mut listing.continued, true) {
                            self.fold_found(&mut listing, &mut folding, noting, tracks);
                            listing.fresh = None;
                        }
                    }
                    Err(errno) => {
                        listing.more = false;
                        listing.whole = false;
                        // ENOENT: the directory was removed while it was listed, which is its end.
                        if errno.0 != libc::ENOENT {
                            self.uncover(number, node, errno, "getdents64");
                        }
                    }
                },
            }
        }
        self.list_buffer = buffer;
        self.fold_found(&mut listing, &mut folding, noting, tracks);
        self.folding = folding;
        if listing.more {
            self.listing = Some(listing);
            return;
        }
        if listing.whole {
            self.tree.unmark(node, Marks::STALE);
            if listing.compares && self.comparison(number).is_none_or(|of| of < listing.tag) {
                self.gaps.late.insert(node);
            }
            if let Some(errno) = listing.unseen {
                self.uncover(number, node, errno, "fstatat");
                self.gaps.see_later(node);
            }
        }
        self.tree.clear(node, Flags::LISTING);
        if !self.relisted.is_empty() {
            self.relisted.remove(&node);
        }
        self.listed(node);
        self.count_task(listing.tag, false);
        // One that is open already is not of this listing.
        let tag = self.cancel_window(node).map_or(listing.tag, |older| older.min(listing.tag));
        self.push_window(node, tag);
        if listing.descends {
            // For the subdirectories. Closing the one that was listed is an event.
            if !self.looking {
                self.keep(node, listing.dir);
            } else if let Ok(dir) = self.world.open_below(&listing.dir, b".") {
                self.keep(node, dir);
            }
        }
    }

    /// What was found and needs no nodes becomes part of the tree.
    fn fold_found(
        &mut self,
        listing: &mut Listing<W::Dir>,
        folding: &mut Folding,
        noting: bool,
        tracks: bool,
    ) {
        if folding.is_empty() {
            return;
        }
        let fresh = listing.fresh == Some(self.tree.added());
        self.tree.fold(listing.node, folding, noting, tracks);
        if fresh {
            listing.fresh = Some(self.tree.added());
        }
    }

    /// A listing has this entry.
    fn found(
        &mut self,
        number: u32,
        parent: NodeId,
        listing: &mut Listing<W::Dir>,
        entry: &Entry,
        kind: Kind,
        left: &mut usize,
    ) {
        let name = entry.name;
        let noting = self.tree.has(parent, Flags::NOTING);
        let is_dir = kind == Kind::Directory;
        let follows = is_dir && self.follows(number);
        // What is found only now came while events were lost.
        let new = noting || listing.compares || self.is_news(number, parent, is_dir);
        let descend = if listing.compares && !noting {
            follows
        } else {
            is_dir && self.descends(number, parent)
        };
        let tracks = self.tracks(number);
        // Directories that are there already, and are left alone, are remembered: a later one is
        // known to be new.
        if !descend && !noting && !tracks && !follows {
            // But what is watched already, by a watch that follows nothing new, is compared.
            let compares = listing.compares && is_dir;
            let known = if compares { self.tree.child(parent, name) } else { None };
            if let Some(child) = known {
                self.found_again(number, listing, name, kind, child);
            }
            return;
        }
        let fresh = listing.fresh == Some(self.tree.added());
        let known = if fresh { None } else { self.tree.child(parent, name) };
        if let Some(child) = known {
            // The queue has spoken of it already, or an earlier listing has it.
            if listing.compares {
                self.found_again(number, listing, name, kind, child);
            } else if self.relisted.contains(&parent) {
                if tracks {
                    self.remember_told(child, &listing.dir, name);
                }
                if descend && is_dir && self.is_left_alone(child) && self.judge(number, child) {
                    listing.descends = true;
                    self.push_found(child, listing.tag, entry.ino);
                }
            }
            return;
        }
        if self.rechecks.iter().any(|asked| asked.dir == parent && asked.name == name) {
            // It is about to be looked at, and told if it is there.
            return;
        }
        if self.gaps.is_quiet(parent) {
            if is_dir {
                self.found_left_out(number, parent, listing, name, left);
            }
            return;
        }
        let mut flags = if is_dir { Flags::DIR } else { Flags::empty() };
        if new {
            flags |= Flags::PENDING;
        }
        let node = self.tree.add(parent, name, flags);
        if fresh {
            listing.fresh = Some(self.tree.added());
        }
        if tracks && new {
            self.remember(node, &listing.dir, name);
        } else if tracks {
            self.remember_told(node, &listing.dir, name);
        }
        if !descend || !self.judge(number, node) {
            return;
        }
        if new {
            self.tree.set(node, Flags::NOTING);
        }
        // Where it is to be listed in any case it is opened first, and watched by that.
        if new || tracks || self.stays(number) {
            listing.descends = true;
            self.push_found(node, listing.tag, entry.ino);
            return;
        }
        if !self.admitted(number, node, listing.tag) {
            listing.descends = true;
            return;
        }
        *left = left.saturating_sub(CLAIM_COST);
        let wanted = self.wanted(number, node);
        match self.world.add(&listing.dir, name, wanted) {
            Ok(wd) => {
                self.adopt(number, node, wd);
                let leaf = !self.tree.has(node, Flags::UNLISTED)
                    && self.world.links_of(&listing.dir, name) == Ok(2);
                if leaf || self.tree.has(node, Flags::UNLISTED) {
                    self.push_window(node, listing.tag);
                } else {
                    listing.descends = true;
                    self.push_front(node, listing.tag);
                }
            }
            Err(errno) => {
                let task = Task::new(node, listing.tag);
                let trouble = Trouble { errno, step: "inotify_add_watch", reach: false };
                self.scan_failed(number, task, trouble);
            }
        }
    }

    /// Is it a directory that is known, and was not to be watched before?
    fn is_left_alone(&self, child: NodeId) -> bool {
        let open = Flags::TASK
            .union(Flags::UNCOVERED)
            .union(Flags::EXCLUDED)
            .union(Flags::PENDING)
            .union(Flags::TOMB)
            .union(Flags::DEAD);
        let flags = self.tree.flags(child);
        flags.contains(Flags::DIR) && !flags.intersects(open) && self.tree.node(child).wd == 0
    }

    /// A directory is listed again because of other flags, and all entries of this kind were known before:
    /// one that is not known has come since. The queue says so, unless that is lost.
    fn is_news(&self, number: u32, parent: NodeId, is_dir: bool) -> bool {
        let Some(watch) = self.watch(number).filter(|_| self.relisted.contains(&parent)) else {
            return false;
        };
        if is_dir { watch.knew.0 && !self.gaps.forgets(parent) } else { watch.knew.1 }
    }

    /// Are new directories followed?
    pub(super) fn follows(&self, number: u32) -> bool {
        self.watch(number).is_some_and(|watch| watch.flags.contains(WatchFlags::AUTO_ADD))
    }

    /// A listing has a subdirectory that was left out of an earlier one, if the queue is not about
    /// to speak of it: it was told, but nothing below it.
    fn found_left_out(
        &mut self,
        number: u32,
        parent: NodeId,
        listing: &Listing<W::Dir>,
        name: &[u8],
        left: &mut usize,
    ) {
        let node = self.tree.add(parent, name, Flags::DIR | Flags::PENDING);
        if self.tracks(number) {
            self.remember(node, &listing.dir, name);
        }
        if !self.judge(number, node) {
            return;
        }
        if self.announces(number) {
            self.tree.set(node, Flags::NOTING);
        }
        if self.stays(number) || self.watch(number).is_some_and(|watch| watch.asks) {
            self.push_front(node, listing.tag);
            return;
        }
        *left = left.saturating_sub(CLAIM_COST);
        let wanted = self.wanted(number, node);
        match self.world.add(&listing.dir, name, wanted) {
            Ok(wd) => {
                self.adopt(number, node, wd);
                self.push_front(node, listing.tag);
            }
            Err(errno) if is_limit(errno) => {
                self.list_later(number, parent, errno, "inotify_add_watch");
                self.drop_child(node);
            }
            Err(errno) => {
                let task = Task::new(node, listing.tag);
                let trouble = Trouble { errno, step: "inotify_add_watch", reach: false };
                self.scan_failed(number, task, trouble);
            }
        }
    }

    /// Are the subdirectories of this directory watched?
    pub(super) fn descends(&self, number: u32, parent: NodeId) -> bool {
        let Some(watch) = self.watch(number) else {
            return false;
        };
        let noting = self.tree.has(parent, Flags::NOTING);
        let root = self.tree.has(parent, Flags::ROOT);
        if watch.flags.contains(WatchFlags::RECURSIVE) {
            return true;
        }
        // AUTO_ADD alone: what is new, with all below it, but not what was there.
        watch.flags.contains(WatchFlags::AUTO_ADD) && noting && (!root || self.is_new(number))
    }
}
