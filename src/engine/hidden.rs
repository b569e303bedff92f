//! Directories that are watched for nobody's events: the way to the root of a watch that follows a
//! name. One node for each, which the wd table has beside those of the callers' watches.

use std::collections::HashMap;

use super::Engine;
use super::tree::{Flags, NodeId, Tree};
use super::world::World;

use libc::{IN_DELETE_SELF, IN_MASK_ADD, IN_MOVE_SELF, IN_ONLYDIR};

/// In the place of a watch's number in the root nodes of these directories.
pub(super) const HIDDEN: u32 = Tree::LAST_ROOT;

/// What the kernel is asked for there: what can change where a name leads. No IN_EXCL_UNLINK: it
/// would hold for a caller's watch of the same directory, too.
pub(super) const PLACE: u32 = super::mask::DIRENT | IN_DELETE_SELF | IN_MOVE_SELF;

/// A watch looks for a name in a directory.
struct Use {
    watch: u32,
    /// Asked of the kernel besides.
    bits: u32,
}

/// One such directory.
struct Place {
    node: NodeId,
    /// How it was reached.
    path: Vec<u8>,
    names: HashMap<Vec<u8>, Vec<Use>>,
}

/// All of them, by wd.
#[derive(Default)]
pub(super) struct Hidden {
    places: HashMap<i32, Place>,
}

impl Hidden {
    /// Watches that look for a name in the directory of a wd, or for any, into `out`.
    pub(super) fn users(&self, wd: i32, name: Option<&[u8]>, out: &mut Vec<u32>) {
        out.clear();
        let Some(place) = self.places.get(&wd) else { return };
        match name {
            Some(name) => out.extend(place.names.get(name).into_iter().flatten().map(|u| u.watch)),
            None => out.extend(place.names.values().flatten().map(|u| u.watch)),
        }
        out.sort_unstable();
        out.dedup();
    }

    /// What the kernel is asked for in the directory of a wd; nothing if nobody is there.
    pub(super) fn mask(&self, wd: i32) -> u32 {
        match self.places.get(&wd) {
            Some(place) => place.names.values().flatten().fold(PLACE, |mask, u| mask | u.bits),
            None => 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// A name is looked for.
    pub(super) fn add(&mut self, wd: i32, name: &[u8], watch: u32, bits: u32) {
        if let Some(place) = self.places.get_mut(&wd) {
            let of_name = match place.names.get_mut(name) {
                Some(of_name) => of_name,
                None => place.names.entry(name.to_vec()).or_default(),
            };
            of_name.push(Use { watch, bits });
        }
    }

    /// A name is no longer looked for. Returns the bits that were asked for because of that.
    pub(super) fn remove(&mut self, wd: i32, name: &[u8], watch: u32) -> u32 {
        let Some(place) = self.places.get_mut(&wd) else { return 0 };
        let Some(of_name) = place.names.get_mut(name) else { return 0 };
        let Some(at) = of_name.iter().position(|u| u.watch == watch) else { return 0 };
        let bits = of_name.swap_remove(at).bits;
        if of_name.is_empty() {
            place.names.remove(name);
        }
        bits
    }
}

impl<W: World> Engine<W> {
    /// The directory of this wd has a hidden watchpoint.
    pub(super) fn hide(&mut self, wd: i32, path: &[u8]) {
        self.max_wd = self.max_wd.max(wd);
        if self.hidden.places.contains_key(&wd) {
            return;
        }
        // Noting, so that its events go the long way.
        let node = self.tree.add_root(HIDDEN, Flags::DIR | Flags::NOTING);
        self.wds.add(&mut self.tree, wd, node);
        let place = Place { node, path: path.to_vec(), names: HashMap::new() };
        self.hidden.places.insert(wd, place);
    }

    /// Callers' watches have the directory, too.
    pub(super) fn is_shared(&self, wd: i32) -> bool {
        let place = self.hidden.places.get(&wd);
        place.is_none_or(|place| self.tree.has(place.node, Flags::ALIASED))
    }

    /// Lets a hidden watchpoint go that nobody uses.
    pub(super) fn unhide(&mut self, wd: i32) {
        let unused = |place: &Place| place.names.is_empty();
        if self.hidden.places.get(&wd).is_some_and(unused)
            && let Some(place) = self.hidden.places.remove(&wd)
        {
            self.release_wd(place.node);
            self.tree.free(place.node);
        }
    }

    /// The kernel has dropped the watch of a wd.
    pub(super) fn hidden_gone(&mut self, wd: i32) {
        if let Some(place) = self.hidden.places.remove(&wd) {
            self.wds.remove(&mut self.tree, place.node);
            self.tree.free(place.node);
        }
    }

    /// Asks the kernel for no more than this, by way of a hidden watchpoint's path.
    pub(super) fn narrow_hidden(&mut self, wd: i32, mask: u32) -> bool {
        let Some(path) = self.hidden.places.get(&wd).map(|place| place.path.clone()) else {
            return false;
        };
        // The path has no symbolic links; what is one now leads elsewhere.
        let (top, below) = match path.strip_prefix(b"/") {
            Some(below) => (&b"/"[..], below),
            None => (&b"."[..], &path[..]),
        };
        let below = if below.is_empty() { &b"."[..] } else { below };
        let opened = self.world.open(top, false).and_then(|top| self.world.open_below(&top, below));
        let Ok(dir) = opened else {
            return false;
        };
        match self.world.add(&dir, b".", PLACE | IN_MASK_ADD | IN_ONLYDIR) {
            Ok(is) if is == wd => self.world.add(&dir, b".", mask | IN_ONLYDIR) == Ok(wd),
            Ok(other) => {
                self.refuse(other);
                false
            }
            Err(_) => false,
        }
    }

    /// Of the kernel's watches: those that are hidden and nothing else.
    pub(super) fn hidden_only(&self) -> usize {
        let alone = |place: &&Place| !self.tree.has(place.node, Flags::ALIASED);
        self.hidden.places.values().filter(alone).count()
    }
}
