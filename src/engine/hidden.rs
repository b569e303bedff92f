//! Directories that are watched for nobody's events: the way to the root of a watch that follows a
//! name. One node for each, which the wd table has beside those of the callers' watches.

use std::collections::HashMap;

use super::Engine;
use super::gaps::sorted;
use super::tree::{Flags, NodeId, Tree};
use super::world::World;

use libc::{IN_DELETE_SELF, IN_MOVE_SELF};

/// In the place of a watch's number in the root nodes of these directories.
pub(super) const HIDDEN: u32 = Tree::LAST_ROOT;

/// What the kernel is asked for there: what can change where a name leads. No IN_EXCL_UNLINK: it
/// would hold for a caller's watch of the same directory, too.
pub(super) const PLACE: u32 = super::mask::DIRENT | IN_DELETE_SELF | IN_MOVE_SELF;

/// One such directory.
struct Place {
    node: NodeId,
    /// The watches that look for each name.
    names: HashMap<Vec<u8>, Vec<u32>>,
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
            Some(name) => out.extend(place.names.get(name).into_iter().flatten()),
            None => out.extend(place.names.values().flatten()),
        }
        if out.len() > 1 {
            *out = sorted(std::mem::take(out));
        }
    }

    pub(super) fn holds(&self, wd: i32) -> bool {
        self.places.contains_key(&wd)
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// A name is looked for.
    pub(super) fn add(&mut self, wd: i32, name: &[u8], watch: u32) {
        if let Some(place) = self.places.get_mut(&wd) {
            match place.names.get_mut(name) {
                Some(of_name) => of_name.push(watch),
                None => _ = place.names.insert(name.to_vec(), vec![watch]),
            }
        }
    }

    /// A name is no longer looked for.
    pub(super) fn remove(&mut self, wd: i32, name: &[u8], watch: u32) {
        let Some(place) = self.places.get_mut(&wd) else { return };
        let Some(of_name) = place.names.get_mut(name) else { return };
        if let Some(at) = of_name.iter().position(|&of| of == watch) {
            of_name.swap_remove(at);
        }
        if of_name.is_empty() {
            place.names.remove(name);
        }
    }
}

impl<W: World> Engine<W> {
    /// The directory of this wd has a hidden watchpoint.
    pub(super) fn hide(&mut self, wd: i32) {
        self.max_wd = self.max_wd.max(wd);
        if self.hidden.holds(wd) {
            return;
        }
        // Noting, so that its events go the long way.
        let node = self.tree.add_root(HIDDEN, Flags::DIR | Flags::NOTING);
        self.wds.add(&mut self.tree, wd, node);
        let place = Place { node, names: HashMap::new() };
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
            self.gave_back();
        }
    }

    /// Of the kernel's watches: those that are hidden and nothing else.
    pub(super) fn hidden_only(&self) -> usize {
        let alone = |place: &&Place| !self.tree.has(place.node, Flags::ALIASED);
        self.hidden.places.values().filter(alone).count()
    }
}
