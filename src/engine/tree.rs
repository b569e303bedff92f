//! The nodes of all watched trees: parent, name, wd. A rename is one relink; a path is composed
//! when it is told.

use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, RandomState};

pub use super::flags::{Flags, Marks};
use super::index::Index;
use super::names::Names;
use super::prints::Print;
use chunks::Chunks;
use fold::Fold;
pub use fold::Folding;

/// Index of a node.
pub type NodeId = u32;
/// No node.
pub const NONE: NodeId = NodeId::MAX;

/// In the place of a node's name: its children are in the index.
const INDEXED: u32 = 1 << 31;
/// In the same place: it has entries without nodes, and `first` is the place of its fold.
const FOLDED: u32 = 1 << 30;
/// Most children that are looked through for a name.
const FEW: usize = 16;

/// A directory, or for a while an entry of another kind.
pub struct Node {
    /// The directory it is in; `NONE` for a root and what was taken out of the tree.
    pub parent: NodeId,
    // The first child, or the place of its fold.
    first: NodeId,
    next: NodeId,
    prev: NodeId,
    // Its place, or the number of the watch of a root; and two bits. Names of 4 GB have room.
    name: Cell<u32>,
    /// Watch descriptor, 0 if not watched.
    pub wd: i32,
    /// See there.
    pub flags: Flags,
    marks: Marks,
    name_len: u8,
}

/// What is counted as a directory: a root that follows its name is one for good, whatever stands there.
const DIRS: Flags = Flags::DIR.union(Flags::ROOT);

impl Node {
    #[inline]
    fn place(&self) -> u32 {
        self.name.get() & !(INDEXED | FOLDED)
    }

    #[inline]
    fn is_folded(&self) -> bool {
        self.name.get() & FOLDED != 0
    }

    fn is_indexed(&self) -> bool {
        self.name.get() & INDEXED != 0
    }
}

/// All nodes. The children of a directory are looked through for a name as long as they are few;
/// when they are not, and a name is asked for, they go into an index by (parent, name).
pub struct Tree {
    nodes: Vec<Node>,
    names: Names,
    free: NodeId,
    live: usize,
    dirs: usize,
    added: u64,
    // Entries without nodes; places in there that are free; how many bytes they have.
    folds: Vec<Fold>,
    free_fold: NodeId,
    runs: Chunks,
    // By node, if a watch wants it.
    prints: Vec<Print>,
    // Filled on demand, when something is searched for.
    index: RefCell<Index>,
    seed: u64,
}

impl Default for Tree {
    fn default() -> Self {
        // Keyed, so that nobody who names files can choose collisions.
        let seed = RandomState::new().hash_one(0x72_69_6e_6f) | 1;
        Self {
            nodes: Vec::new(),
            names: Names::default(),
            free: NONE,
            live: 0,
            dirs: 0,
            added: 0,
            folds: Vec::new(),
            free_fold: NONE,
            runs: Chunks::default(),
            prints: Vec::new(),
            index: RefCell::default(),
            seed,
        }
    }
}

/// A product, its two halves folded into one.
pub(super) fn fold(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    #[expect(clippy::cast_possible_truncation, reason = "the two halves are folded")]
    let folded = (wide as u64) ^ ((wide >> 64) as u64);
    folded
}

impl Tree {
    /// The highest number that a root can have.
    pub const LAST_ROOT: u32 = FOLDED - 1;

    /// The node.
    #[inline]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    /// The node, to change it.
    #[inline]
    pub fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id as usize]
    }

    /// Its flags.
    #[inline]
    pub fn flags(&self, id: NodeId) -> Flags {
        self.nodes[id as usize].flags
    }

    /// Sets flags.
    pub fn set(&mut self, id: NodeId, flags: Flags) {
        debug_assert!(!self.has(id, Flags::DEAD), "of what was freed");
        self.nodes[id as usize].flags |= flags;
    }

    /// Clears flags.
    pub fn clear(&mut self, id: NodeId, flags: Flags) {
        self.nodes[id as usize].flags -= flags;
    }

    /// What was decided of it.
    #[inline]
    pub fn marks(&self, id: NodeId) -> Marks {
        self.nodes[id as usize].marks
    }

    /// Sets marks.
    pub fn mark(&mut self, id: NodeId, marks: Marks) {
        debug_assert!(!self.has(id, Flags::DEAD), "of what was freed");
        self.nodes[id as usize].marks |= marks;
    }

    /// Clears marks.
    pub fn unmark(&mut self, id: NodeId, marks: Marks) {
        self.nodes[id as usize].marks -= marks;
    }

    /// Is there a node of this number, alive or dead?
    pub fn exists(&self, id: NodeId) -> bool {
        (id as usize) < self.nodes.len()
    }

    /// All of these are set.
    #[inline]
    pub fn has(&self, id: NodeId, flags: Flags) -> bool {
        self.nodes[id as usize].flags.contains(flags)
    }

    /// Those of them that are directories.
    pub fn dirs(&self) -> usize {
        self.dirs
    }

    /// Bytes of memory held.
    pub fn memory(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
            + self.names.memory()
            + self.index.borrow().memory()
            + self.memory_of_files()
    }

    /// Its name; empty for a root.
    #[inline]
    pub fn name(&self, id: NodeId) -> &[u8] {
        let node = self.node(id);
        if node.flags.contains(Flags::ROOT) {
            return &[];
        }
        self.names.get(node.place(), node.name_len)
    }

    /// For a root: the number of its watch.
    #[inline]
    pub fn root_number(&self, id: NodeId) -> u32 {
        self.node(id).place()
    }

    /// How many children were ever added.
    #[inline]
    pub fn added(&self) -> u64 {
        self.added
    }

    /// The next sibling.
    pub fn next(&self, id: NodeId) -> NodeId {
        self.node(id).next
    }

    /// The root above, or `NONE` if the node was taken out of its tree.
    #[inline]
    pub fn root_of(&self, id: NodeId) -> NodeId {
        let mut at = id;
        loop {
            let node = self.node(at);
            if node.parent == NONE {
                let root = node.flags & (Flags::ROOT | Flags::EXCLUDED) == Flags::ROOT;
                return if root { at } else { NONE };
            }
            at = node.parent;
        }
    }

    fn fresh(&mut self, node: Node) -> NodeId {
        self.live += 1;
        self.dirs += usize::from(node.flags.intersects(DIRS));
        if self.free == NONE {
            // 2^32 - 1 nodes of 28 bytes are 120 GB: memory ends first.
            let id = NodeId::try_from(self.nodes.len()).unwrap_or(NONE);
            self.nodes.push(node);
            return id;
        }
        let id = self.free;
        self.free = self.node(id).next;
        if let Some(print) = self.prints.get_mut(id as usize) {
            *print = Print::default();
        }
        self.nodes[id as usize] = node;
        id
    }

    /// A root for a watch.
    pub fn add_root(&mut self, number: u32, flags: Flags) -> NodeId {
        debug_assert!(number <= Self::LAST_ROOT);
        self.fresh(Node {
            parent: NONE,
            first: NONE,
            next: NONE,
            prev: NONE,
            name: Cell::new(number),
            wd: 0,
            flags: flags | Flags::ROOT,
            marks: Marks::empty(),
            name_len: 0,
        })
    }

    /// A child; there must be none of this name yet.
    pub fn add(&mut self, parent: NodeId, name: &[u8], flags: Flags) -> NodeId {
        debug_assert!(!self.is_among_the_latest(parent, name), "a second child of one name");
        let (place, name_len) = self.names.add(name);
        self.added += 1;
        let id = self.fresh(Node {
            parent: NONE,
            first: NONE,
            next: NONE,
            prev: NONE,
            name: Cell::new(place),
            wd: 0,
            flags,
            marks: Marks::empty(),
            name_len,
        });
        self.link(id, parent);
        id
    }

    /// Without an index, which is made when a name is asked for.
    fn is_among_the_latest(&self, parent: NodeId, name: &[u8]) -> bool {
        let some = |id: NodeId| (id != NONE).then_some(id);
        let children =
            std::iter::successors(some(self.first_dir(parent)), |&id| some(self.next(id)));
        children.take(FEW).any(|id| self.name(id) == name)
    }

    fn link(&mut self, id: NodeId, parent: NodeId) {
        let first = self.first_dir(parent);
        if first != NONE {
            self.node_mut(first).prev = id;
        }
        let node = self.node_mut(id);
        node.parent = parent;
        node.prev = NONE;
        node.next = first;
        self.set_first(parent, id);
        if self.node(parent).is_indexed() {
            let hash = self.hash_of(id);
            self.index.get_mut().add(hash, id);
        }
    }

    /// Takes a node, with all below it, out of the tree.
    pub fn detach(&mut self, id: NodeId) {
        let Node { parent, next, prev, .. } = *self.node(id);
        debug_assert!(parent != NONE, "taken out twice");
        if self.node(parent).is_indexed() {
            let hash = self.hash_of(id);
            self.index.get_mut().remove(hash, id);
        }
        if prev == NONE {
            self.set_first(parent, next);
            if next == NONE {
                let above = self.node_mut(parent);
                above.name.set(above.name.get() & !INDEXED);
            }
        } else {
            self.node_mut(prev).next = next;
        }
        if next != NONE {
            self.node_mut(next).prev = prev;
        }
        let node = self.node_mut(id);
        (node.parent, node.next, node.prev) = (NONE, NONE, NONE);
    }

    /// Puts a node that was taken out into a directory, under a name.
    pub fn attach(&mut self, id: NodeId, parent: NodeId, name: &[u8]) {
        let (place, len) = (self.node(id).place(), self.node(id).name_len);
        if self.names.get(place, len) != name {
            self.names.remove(place, len);
            let (place, len) = self.names.add(name);
            let node = self.node_mut(id);
            node.name.set(place | (node.name.get() & (INDEXED | FOLDED)));
            node.name_len = len;
        }
        self.added += 1;
        self.link(id, parent);
    }

    /// Frees a node that is out of the tree and has no children. If a list still has it, it stays
    /// as `DEAD` until `recycle`.
    pub fn free(&mut self, id: NodeId) {
        debug_assert!(!self.has(id, Flags::DEAD), "freed twice");
        self.drop_fold(id);
        debug_assert!(self.node(id).parent == NONE && self.first_dir(id) == NONE);
        let node = self.node(id);
        if !node.flags.contains(Flags::ROOT) {
            let (place, len) = (node.place(), node.name_len);
            self.names.remove(place, len);
        }
        self.live -= 1;
        self.dirs -= usize::from(self.flags(id).intersects(DIRS));
        let listed = self.flags(id) & Flags::LISTED;
        if listed.is_empty() {
            self.recycle(id);
        } else {
            self.node_mut(id).flags = listed | Flags::DEAD;
        }
    }

    /// A dead node has left a list.
    pub fn unlist(&mut self, id: NodeId, list: Flags) {
        debug_assert!(self.has(id, list), "it has left the list before");
        self.clear(id, list);
        if self.flags(id) == Flags::DEAD {
            self.recycle(id);
        }
    }

    fn recycle(&mut self, id: NodeId) {
        let free = self.free;
        let node = self.node_mut(id);
        node.flags = Flags::DEAD;
        node.parent = NONE;
        node.wd = 0;
        node.next = free;
        self.free = id;
    }

    fn hash(&self, parent: NodeId, name: &[u8]) -> u64 {
        let mut state = fold(self.seed ^ u64::from(parent), 0x9e37_79b9_7f4a_7c15);
        let mut chunks = name.chunks_exact(8);
        for chunk in &mut chunks {
            let mut word = [0; 8];
            word.copy_from_slice(chunk);
            state = fold(state ^ u64::from_ne_bytes(word), self.seed ^ 0xa076_1d64_78bd_642f);
        }
        let rest = chunks.remainder();
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        state ^= (name.len() as u64) << 56;
        fold(state ^ u64::from_ne_bytes(word), self.seed ^ 0xe703_7ed1_a0b4_28db)
    }

    fn hash_of(&self, id: NodeId) -> u64 {
        self.hash(self.node(id).parent, self.name(id))
    }

    /// The child of this name.
    #[inline(never)]
    pub fn child(&mut self, parent: NodeId, name: &[u8]) -> Option<NodeId> {
        self.unfold(parent);
        self.dir(parent, name)
    }

    /// The same, if it has a node: all directories have.
    #[inline(never)]
    pub fn dir(&self, parent: NodeId, name: &[u8]) -> Option<NodeId> {
        if !self.node(parent).is_indexed() {
            let mut at = self.first_dir(parent);
            for _ in 0..FEW {
                if at == NONE {
                    return None;
                }
                let node = self.node(at);
                if usize::from(node.name_len) == name.len() && self.name(at) == name {
                    return Some(at);
                }
                at = node.next;
            }
            if at == NONE {
                return None;
            }
            self.index_children(parent);
        }
        let is = |id| self.node(id).parent == parent && self.name(id) == name;
        self.index.borrow().find(self.hash(parent, name), is)
    }

    /// Nobody adds many without asking for the names of all: no more than one getdents64(2) told.
    #[cold]
    fn index_children(&self, parent: NodeId) {
        let mut index = self.index.borrow_mut();
        let mut at = self.first_dir(parent);
        while at != NONE {
            index.add(self.hash_of(at), at);
            at = self.node(at).next;
        }
        let name = &self.node(parent).name;
        name.set(name.get() | INDEXED);
    }

    /// Gives back memory that a much larger tree has left behind.
    pub fn shrink_if_empty(&mut self) {
        if self.live == 0 && self.nodes.capacity() > 4096 {
            let seed = self.seed;
            // Nodes that a list still has must keep their place.
            if self.nodes.iter().all(|node| node.flags == Flags::DEAD) {
                *self = Self { seed, ..Self::default() };
            }
        }
    }

    /// The nodes from this one up to below its root, and the number of the root's watch; `None`
    /// if it was taken out of its tree.
    #[inline]
    pub fn climb(&self, id: NodeId, way: &mut Vec<NodeId>) -> Option<u32> {
        way.clear();
        let mut at = id;
        loop {
            let node = self.node(at);
            if node.parent == NONE {
                let root = node.flags & (Flags::ROOT | Flags::EXCLUDED) == Flags::ROOT;
                return root.then(|| node.place());
            }
            way.push(at);
            at = node.parent;
        }
    }

    /// Its name with more behind it, if there is, so that it can be copied in pieces; and the
    /// length of the name. Not for roots.
    #[inline]
    pub fn name_field(&self, id: NodeId) -> (&[u8], usize) {
        let node = self.node(id);
        (self.names.field(node.place(), node.name_len), usize::from(node.name_len))
    }

    /// Appends the name of a node that is no root.
    #[inline]
    pub fn append_name(&self, id: NodeId, out: &mut Vec<u8>) {
        let node = self.node(id);
        self.names.append(node.place(), node.name_len, out);
    }

    /// Writes the path from below the root to the node, without a leading slash.
    pub fn relative(&self, id: NodeId, out: &mut Vec<u8>) {
        out.clear();
        let mut len = 0;
        let mut at = id;
        while self.node(at).parent != NONE {
            len += self.name(at).len() + 1;
            at = self.node(at).parent;
        }
        if len == 0 {
            return;
        }
        out.resize(len - 1, b'/');
        let mut end = out.len();
        at = id;
        while self.node(at).parent != NONE {
            let name = self.name(at);
            out[end - name.len()..end].copy_from_slice(name);
            end = (end - name.len()).saturating_sub(1);
            at = self.node(at).parent;
        }
    }
}

mod chunks;
mod fold;
#[cfg(test)]
mod tests;
