//! From a watch descriptor to the nodes it serves.

use std::collections::{HashMap, HashSet};

use super::tree::{Flags, NONE, NodeId, Tree};

/// Slots that stay together, because wds are given out in order.
const LINE: usize = 16;

/// The table. A slot has the first node of a wd; the others are in a side table.
#[derive(Default)]
pub struct Wds {
    slots: Vec<NodeId>,
    used: usize,
    others: HashMap<i32, Vec<NodeId>>,
    zombies: HashSet<i32>,
}

impl Wds {
    fn home(&self, wd: i32) -> usize {
        let wd = wd.cast_unsigned() as usize;
        let line = (wd / LINE).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        (line.wrapping_mul(LINE) + wd % LINE) & (self.slots.len() - 1)
    }

    fn find(&self, tree: &Tree, wd: i32) -> Result<usize, usize> {
        let mask = self.slots.len() - 1;
        let mut at = self.home(wd);
        loop {
            let id = self.slots[at];
            if id == NONE {
                return Err(at);
            }
            if tree.node(id).wd == wd {
                return Ok(at);
            }
            at = (at + 1) & mask;
        }
    }

    /// The first node of a wd.
    #[inline]
    pub fn get(&self, tree: &Tree, wd: i32) -> Option<NodeId> {
        if self.slots.is_empty() || wd <= 0 {
            return None;
        }
        self.find(tree, wd).ok().map(|at| self.slots[at])
    }

    /// All nodes of a wd.
    pub fn all(&self, tree: &Tree, wd: i32, out: &mut Vec<NodeId>) {
        out.clear();
        if let Some(first) = self.get(tree, wd) {
            out.push(first);
            if tree.has(first, Flags::ALIASED) {
                out.extend(self.others.get(&wd).into_iter().flatten());
            }
        }
    }

    /// Gives a node its wd.
    pub fn add(&mut self, tree: &mut Tree, wd: i32, id: NodeId) {
        self.zombies.remove(&wd);
        if (self.used + 1) * 8 > self.slots.len() * 7 {
            self.grow(tree);
        }
        match self.find(tree, wd) {
            Ok(at) => {
                tree.set(self.slots[at], Flags::ALIASED);
                tree.set(id, Flags::ALIASED);
                self.others.entry(wd).or_default().push(id);
            }
            Err(at) => {
                self.slots[at] = id;
                self.used += 1;
            }
        }
        tree.node_mut(id).wd = wd;
    }

    fn grow(&mut self, tree: &Tree) {
        let size = (self.slots.len() * 2).max(64);
        let old = std::mem::replace(&mut self.slots, vec![NONE; size]);
        for id in old.into_iter().filter(|&id| id != NONE) {
            if let Err(at) = self.find(tree, tree.node(id).wd) {
                self.slots[at] = id;
            }
        }
    }

    /// Takes the wd from a node. True if that was its last one: nobody is interested any more.
    pub fn remove(&mut self, tree: &mut Tree, id: NodeId) -> bool {
        let wd = tree.node(id).wd;
        let Ok(at) = self.find(tree, wd) else {
            return false;
        };
        if let Some(others) = self.others.get_mut(&wd) {
            if self.slots[at] == id {
                if let Some(next) = others.pop() {
                    self.slots[at] = next;
                }
            } else {
                others.retain(|&other| other != id);
            }
            if others.is_empty() {
                self.others.remove(&wd);
                tree.clear(self.slots[at], Flags::ALIASED);
            }
            tree.clear(id, Flags::ALIASED);
            tree.node_mut(id).wd = 0;
            return false;
        }
        let mask = self.slots.len() - 1;
        let mut gap = at;
        let mut at = at;
        loop {
            at = (at + 1) & mask;
            let other = self.slots[at];
            if other == NONE {
                break;
            }
            let home = self.home(tree.node(other).wd);
            if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(gap) & mask) {
                self.slots[gap] = other;
                gap = at;
            }
        }
        self.slots[gap] = NONE;
        self.used -= 1;
        tree.node_mut(id).wd = 0;
        true
    }

    /// The directory of a wd was deleted: the kernel drops the watch when nobody has it open any
    /// more, and says so with `IN_IGNORED`.
    pub fn bury(&mut self, wd: i32) {
        self.zombies.insert(wd);
    }

    /// `IN_IGNORED` of a wd without a node.
    pub fn forget(&mut self, wd: i32) {
        self.zombies.remove(&wd);
    }

    /// Kernel watches in use.
    pub fn len(&self) -> usize {
        self.used + self.zombies.len()
    }

    /// Gives back memory that many more watches have left behind.
    pub fn shrink_if_empty(&mut self) {
        if self.used == 0 && self.slots.len() > 1024 {
            self.slots = Vec::new();
            self.zombies.shrink_to_fit();
        }
    }

    /// Bytes of memory held.
    pub fn memory(&self) -> usize {
        self.slots.capacity() * size_of::<NodeId>()
            + self.others.capacity() * 48
            + self.zombies.capacity() * 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_wds_and_shared_ones() {
        let mut tree = Tree::default();
        let mut wds = Wds::default();
        let root = tree.add_root(0, Flags::DIR);
        let ids: Vec<_> =
            (1..3000).map(|i| (i, tree.add(root, format!("{i}").as_bytes(), Flags::DIR))).collect();
        for &(wd, id) in &ids {
            wds.add(&mut tree, wd * 7, id);
        }
        let twin = tree.add(root, b"twin", Flags::DIR);
        wds.add(&mut tree, 7, twin);
        let mut all = Vec::new();
        wds.all(&tree, 7, &mut all);
        assert_eq!(all, [ids[0].1, twin]);
        assert!(!wds.remove(&mut tree, ids[0].1));
        assert_eq!(wds.get(&tree, 7), Some(twin));
        assert!(!tree.has(twin, Flags::ALIASED));
        assert!(wds.remove(&mut tree, twin));
        for &(wd, id) in ids.iter().skip(1).step_by(2) {
            assert_eq!(wds.get(&tree, wd * 7), Some(id));
            assert!(wds.remove(&mut tree, id));
        }
        for (at, &(wd, id)) in ids.iter().enumerate().skip(1) {
            assert_eq!(wds.get(&tree, wd * 7), (at % 2 == 0).then_some(id));
        }
    }
}
