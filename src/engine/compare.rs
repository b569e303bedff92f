//! Comparing a directory with what is believed of it: what a listing has is out of doubt, and what
//! is still in doubt when the queue has caught up with the listing is gone.

use std::collections::HashSet;

use super::list::Listing;
use super::names::Name;
use super::prints::Change;
use super::settle::NEWS;
use super::tree::{Flags, Marks, NONE, NodeId};
use super::world::World;
use super::{Batch, Engine};
use crate::engine::mask::SYNTHETIC;
use crate::sys::{Errno, Kind};

use libc::{IN_ATTRIB, IN_CLOSE_WRITE, IN_DELETE, IN_ISDIR, IN_MODIFY};

impl<W: World> Engine<W> {
    /// Before a directory is listed to be compared: everything in it is in doubt, but what has ended since.
    pub(super) fn doubt(&mut self, at: &mut NodeId, ended: &HashSet<NodeId>, left: &mut usize) {
        const EACH: usize = 8;
        while *at != NONE && *left > 0 {
            *left -= 1;
            for _ in 0..EACH {
                if *at == NONE {
                    break;
                }
                let child = *at;
                *at = self.tree.next(child);
                if ended.contains(&child) {
                    continue;
                }
                let pending = self.tree.has(child, Flags::PENDING);
                if self.tree.has(child, Flags::TOMB) || (pending && self.tree.node(child).wd == 0) {
                    // Not told yet, or gone before: if it is there it is found again.
                    self.drop_child(child);
                } else {
                    // An earlier listing may have found another in its place: that counts no more.
                    self.out_of_doubt(child);
                    self.tree.set(child, Flags::DOUBT);
                }
            }
        }
    }

    /// What is below a directory cannot be compared, and stays in doubt. What was found there before
    /// events were lost, and not told yet, is not kept: it is found when the directory can be listed.
    pub(super) fn compare_later(&mut self, dir: NodeId) {
        let mut stack = vec![dir];
        while let Some(dir) = stack.pop() {
            let mut child = self.tree.first(dir);
            while child != NONE {
                let next = self.tree.next(child);
                if self.tree.has(child, Flags::PENDING) {
                    self.drop_child(child);
                } else if self.tree.has(child, Flags::DIR) {
                    self.tree.mark(child, Marks::STALE);
                    stack.push(child);
                }
                child = next;
            }
        }
    }

    /// An entry is the one that is believed to be there.
    pub(super) fn out_of_doubt(&mut self, child: NodeId) {
        self.tree.clear(child, Flags::DOUBT);
        self.tree.unmark(child, Marks::REPLACED | self.other_kind(child));
    }

    /// The mark of an entry that was replaced by one of another kind: a directory is never
    /// `CHANGED`, and nothing else is `STALE`.
    pub(super) fn other_kind(&self, child: NodeId) -> Marks {
        if self.tree.has(child, Flags::DIR) { Marks::CHANGED } else { Marks::STALE }
    }

    /// A listing that compares has an entry that is believed to be there.
    pub(super) fn found_again(
        &mut self,
        number: u32,
        listing: &mut Listing<W::Dir>,
        name: &[u8],
        kind: Kind,
        child: NodeId,
    ) {
        if !self.tree.has(child, Flags::DOUBT) {
            // The queue has spoken of it since.
            return;
        }
        let mut kind = kind;
        if listing.ended.contains(&child) {
            // What has been read of the listing can be older than its end.
            match self.world.kind_of(&listing.dir, name) {
                Ok(now) => kind = now,
                Err(Errno(libc::ENOENT)) => return,
                Err(errno) => {
                    listing.unseen = Some(errno);
                    return;
                }
            }
        }
        let is_dir = kind == Kind::Directory;
        let tracks = self.tracks(number);
        if self.tree.has(child, Flags::DIR) != is_dir {
            self.in_its_place(child, kind);
            return;
        }
        if is_dir && !self.same_directory(number, listing, name, child, tracks) {
            return;
        }
        if tracks && self.tree.has(child, Flags::PENDING) {
            self.remember(child, &listing.dir, name);
        } else if tracks {
            match self.compare(child, &listing.dir, name) {
                Ok(Change::None) => {}
                Ok(Change::Content) => self.tree.mark(child, Marks::CHANGED),
                Ok(Change::Attributes) => self.tree.mark(child, Marks::ATTRIBUTES),
                Ok(Change::Replaced) => {
                    self.tree.mark(child, Marks::REPLACED);
                    return;
                }
                // There is an entry of this kind; more is not to be known yet.
                Err(errno) => listing.unseen = Some(errno),
            }
        }
        self.out_of_doubt(child);
    }

    /// Something else has the name of an entry that is in doubt.
    pub(super) fn in_its_place(&mut self, child: NodeId, kind: Kind) {
        let same = self.tree.has(child, Flags::DIR) == (kind == Kind::Directory);
        let other = if same { Marks::empty() } else { self.other_kind(child) };
        self.tree.mark(child, Marks::REPLACED | other);
    }

    /// Is the directory of this name the one that is believed to be there? What is in it is
    /// compared then.
    fn same_directory(
        &mut self,
        number: u32,
        listing: &Listing<W::Dir>,
        name: &[u8],
        child: NodeId,
        tracks: bool,
    ) -> bool {
        let aside = Marks::LEFT_OUT | Marks::ASKED;
        if self.tree.has(child, Flags::EXCLUDED) || self.tree.marks(child).intersects(aside) {
            return true;
        }
        if self.gaps.forgets(child) {
            // What the consumer knows of it is not known here.
            self.tree.mark(child, Marks::REPLACED);
            return false;
        }
        let wd = self.tree.node(child).wd;
        if wd == 0 {
            // Where all entries are remembered one without a wd can be one that nobody follows.
            let followed = self.descends(number, listing.node) && (self.follows(number) || !tracks);
            if followed || self.tree.flags(child).intersects(Flags::UNCOVERED | Flags::NOTING) {
                self.doubt_inside(number, child);
                self.push_front(child, listing.tag);
            }
            return true;
        }
        let wanted = self.wanted(number, child);
        match self.world.add(&listing.dir, name, wanted) {
            Ok(is) if is == wd => {
                self.set_placed(child);
                // It can be on the way to being compared already, because it has moved.
                let begun = Flags::TASK | Flags::LISTING | Flags::WINDOW;
                let open = Flags::CLAIM | Flags::DORMANT | Flags::NOTING | Flags::UNCOVERED | begun;
                let bare = !tracks
                    && !self.tree.has_children(child)
                    && !self.tree.flags(child).intersects(open);
                if !bare || self.world.links_of(&listing.dir, name) != Ok(2) {
                    self.doubt_inside(number, child);
                    self.push_front(child, listing.tag);
                } else {
                    self.tree.unmark(child, Marks::STALE);
                    self.end_quiet(child);
                    if self.follows(number) {
                        self.note_leaf(child);
                    }
                }
                true
            }
            Ok(other) => {
                self.refuse(other);
                self.tree.mark(child, Marks::REPLACED);
                false
            }
            // What was listed has gone since, and the queue tells that, or has told it.
            Err(Errno(libc::ENOENT | libc::ENOTDIR | libc::ELOOP)) => false,
            Err(errno) => {
                // There is a directory; whether it is the same cannot be known yet.
                self.doubt_inside(number, child);
                self.uncover(number, child, errno, "inotify_add_watch");
                true
            }
        }
    }

    /// What is believed of a directory's inside is to be compared. If it could never be listed, and
    /// nothing is told of what a first listing finds, there is nothing believed: it is covered as if it
    /// were the first time.
    fn doubt_inside(&mut self, number: u32, dir: NodeId) {
        let never = self.tree.node(dir).wd == 0 || self.gaps.unlisted(dir);
        let blank = never
            && !self.announces(number)
            && !self.tree.has(dir, Flags::NOTING)
            && !self.tree.has_children(dir);
        if !blank {
            self.tree.mark(dir, Marks::STALE);
        }
    }

    /// The queue has caught up with a listing that compared: what was not found is gone, what was
    /// found to be different is told. True if it is gone; another can have its number then.
    pub(super) fn settle_doubt(&mut self, batch: &mut Batch, dir: NodeId, child: NodeId) -> bool {
        let marks = self.tree.marks(child);
        if self.tree.has(child, Flags::DOUBT) {
            if self.tree.marks(dir).contains(Marks::STALE) {
                // It is to be compared again.
                return false;
            }
            let name = Name::new(self.tree.name(child));
            self.tell_gone(batch, child);
            if let Some(other) = self.tree.child(dir, name.get()) {
                self.tell_pending(batch, other);
                // It is before all that are still to be settled.
                self.settled_child(other);
            }
            return true;
        }
        let changes = marks & NEWS;
        if changes.is_empty() {
            return false;
        }
        self.tree.unmark(child, changes);
        let name = Name::new(self.tree.name(child));
        let is_dir = if self.tree.has(child, Flags::DIR) { IN_ISDIR } else { 0 };
        self.tell_changed(batch, dir, name.get(), is_dir, changes.contains(Marks::CHANGED));
        false
    }

    /// Tells that an entry is not as it was: its content, or its attributes.
    #[cold]
    pub(super) fn tell_changed(
        &mut self,
        batch: &mut Batch,
        dir: NodeId,
        name: &[u8],
        is_dir: u32,
        content: bool,
    ) {
        let mask = self.watch_of(dir).and_then(|number| self.watch(number)).map_or(0, |w| w.mask);
        let first = |bits: &[u32]| bits.iter().copied().find(|bit| mask & bit != 0).unwrap_or(0);
        let bits = if content { first(&[IN_MODIFY, IN_CLOSE_WRITE, IN_ATTRIB]) } else { IN_ATTRIB };
        self.tell(batch, dir, Some(name), bits | is_dir, 0, SYNTHETIC, &[]);
    }

    /// Is what is remembered of an entry still to be compared, or the difference to be told?
    pub(super) fn may_have_changed(&self, child: NodeId) -> bool {
        let marks = self.tree.marks(child) & (NEWS | Marks::REPLACED);
        let dir = self.tree.marks(self.tree.node(child).parent);
        let unseen = self.tree.has(child, Flags::DOUBT) || dir.contains(Marks::STALE);
        (unseen || !marks.is_empty()) && !self.tree.has(child, Flags::PENDING)
    }

    /// Tells that an entry is gone, and takes it out of the tree.
    pub(super) fn tell_gone(&mut self, batch: &mut Batch, child: NodeId) {
        let parent = self.tree.node(child).parent;
        let name = Name::new(self.tree.name(child));
        let is_dir = if self.tree.has(child, Flags::DIR) { IN_ISDIR } else { 0 };
        if !self.tree.has(child, Flags::PENDING) {
            self.tell(batch, parent, Some(name.get()), IN_DELETE | is_dir, 0, SYNTHETIC, &[]);
        }
        self.drop_gone(child);
    }

    /// Takes an entry that is gone out of the tree, and puts there what a comparison has found in
    /// its place.
    pub(super) fn drop_gone(&mut self, child: NodeId) {
        let parent = self.tree.node(child).parent;
        let name = Name::new(self.tree.name(child));
        let (flags, marks) = (self.tree.flags(child), self.tree.marks(child));
        let other_kind = self.other_kind(child);
        self.drop_child(child);
        if !marks.contains(Marks::REPLACED) {
            return;
        }
        let open = Flags::LISTING | Flags::WINDOW | Flags::TASK;
        let told = self.settling.as_ref().is_some_and(|settling| settling.node == parent);
        if !told && !self.tree.flags(parent).intersects(open) {
            // That comparison was given up: another one will find what there is, and tell it.
            return;
        }
        // What the listing found in its place is as good as found only now.
        let is_dir = flags.contains(Flags::DIR) != marks.contains(other_kind);
        let Some(number) = self.watch_of(parent) else { return };
        let kind = if is_dir { Flags::DIR } else { Flags::empty() };
        let node = self.tree.add(parent, name.get(), kind | Flags::PENDING);
        if self.tracks(number) {
            self.unprint(node);
        }
        if is_dir && self.follows(number) {
            self.tree.set(node, Flags::NOTING);
            // It stems from what was listed, which a barrier waits for.
            let listed = self.settling.as_ref().map(|settling| settling.tag);
            let tag = self.comparison(number).or(listed).unwrap_or(self.tag);
            self.push_task_tagged(node, tag);
        }
    }
}
