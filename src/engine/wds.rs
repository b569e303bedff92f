//! From a watch descriptor to the nodes it serves.

use std::collections::HashMap;

use super::tree::{Flags, NONE, NodeId, Tree};

/// wds that stay together: they are given out in order, so most leaves are full.
const LEAF: usize = 32;
/// In the place of a node: nobody wants the watch, and it is to be removed.
const DOOMED: NodeId = NONE - 1;
/// Places in a new table of leaves.
const FIRST: usize = 16;

/// The table: in leaves, found by open addressing. A wd has its first node there; the others are
/// in a side table.
pub struct Wds {
    // The upper half has the number of the leaf and one, the lower its place; 0: free.
    table: Vec<u64>,
    // How far a hash is shifted to the right, for the size of the table.
    shift: u32,
    leaves: Vec<[NodeId; LEAF]>,
    // How many of a leaf are in use.
    filled: Vec<u8>,
    // Leaves not in use.
    free: Vec<u32>,
    used: usize,
    doomed: usize,
    others: HashMap<i32, Vec<NodeId>>,
}

impl Default for Wds {
    fn default() -> Self {
        Self {
            table: vec![0; FIRST],
            shift: u64::BITS - FIRST.trailing_zeros(),
            leaves: Vec::new(),
            filled: Vec::new(),
            free: Vec::new(),
            used: 0,
            doomed: 0,
            others: HashMap::new(),
        }
    }
}

fn parts(wd: i32) -> (u64, usize) {
    let wd = wd.cast_unsigned() as usize;
    ((wd / LEAF) as u64 + 1, wd % LEAF)
}

impl Wds {
    #[expect(clippy::cast_possible_truncation, reason = "the shift leaves as many bits as needed")]
    fn home(&self, number: u64) -> usize {
        (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
    }

    /// The place of a leaf in the table.
    #[inline]
    fn find(&self, number: u64) -> Result<usize, usize> {
        let mask = self.table.len() - 1;
        let mut at = self.home(number);
        loop {
            let slot = self.table[at];
            if slot >> 32 == number {
                return Ok(at);
            }
            if slot == 0 {
                return Err(at);
            }
            at = (at + 1) & mask;
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the lower half is wanted")]
    fn leaf(&self, at: usize) -> usize {
        self.table[at] as u32 as usize
    }

    /// What is in the place of a wd; `NONE`: nothing.
    #[inline]
    fn slot(&self, wd: i32) -> NodeId {
        let (number, at) = parts(wd);
        match self.find(number) {
            Ok(place) => self.leaves[self.leaf(place)][at],
            Err(_) => NONE,
        }
    }

    /// Puts something into the place of a wd.
    fn put(&mut self, wd: i32, id: NodeId) {
        let (number, at) = parts(wd);
        let place = match self.find(number) {
            Ok(place) => place,
            Err(_) if id == NONE => return,
            Err(_) => self.add_leaf(number),
        };
        let leaf = self.leaf(place);
        let old = std::mem::replace(&mut self.leaves[leaf][at], id);
        self.used += usize::from(id < DOOMED);
        self.used -= usize::from(old < DOOMED);
        self.doomed += usize::from(id == DOOMED);
        self.doomed -= usize::from(old == DOOMED);
        self.filled[leaf] += u8::from(id != NONE);
        self.filled[leaf] -= u8::from(old != NONE);
        if self.filled[leaf] == 0 {
            self.free.push(u32::try_from(leaf).unwrap_or(NONE));
            self.remove_leaf(place);
        }
    }

    fn add_leaf(&mut self, number: u64) -> usize {
        let count = self.leaves.len() - self.free.len();
        if (count + 1) * 2 > self.table.len() {
            self.resize(self.table.len() * 2);
        }
        let leaf = self.free.pop().unwrap_or_else(|| {
            self.leaves.push([NONE; LEAF]);
            self.filled.push(0);
            // 2^31 wds are 2^26 leaves.
            u32::try_from(self.leaves.len() - 1).unwrap_or(NONE)
        });
        let (Ok(place) | Err(place)) = self.find(number);
        self.table[place] = number << 32 | u64::from(leaf);
        place
    }

    fn resize(&mut self, size: usize) {
        let old = std::mem::replace(&mut self.table, vec![0; size]);
        self.shift = u64::BITS - size.trailing_zeros();
        for slot in old.into_iter().filter(|&slot| slot != 0) {
            let (Ok(place) | Err(place)) = self.find(slot >> 32);
            self.table[place] = slot;
        }
    }

    fn remove_leaf(&mut self, place: usize) {
        let mask = self.table.len() - 1;
        // Close the gap: move back what a search would no longer reach.
        let (mut gap, mut at) = (place, place);
        loop {
            at = (at + 1) & mask;
            let other = self.table[at];
            if other == 0 {
                break;
            }
            let home = self.home(other >> 32);
            if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(gap) & mask) {
                self.table[gap] = other;
                gap = at;
            }
        }
        self.table[gap] = 0;
    }

    /// The first node of a wd.
    #[inline]
    pub fn get(&self, wd: i32) -> Option<NodeId> {
        let id = self.slot(wd);
        (id < DOOMED).then_some(id)
    }

    /// The node of a wd; or else, whether anything is known of it.
    #[inline]
    pub fn look(&self, wd: i32) -> Result<NodeId, bool> {
        let id = self.slot(wd);
        if id < DOOMED { Ok(id) } else { Err(id != NONE) }
    }

    /// All nodes of a wd.
    pub fn all(&self, tree: &Tree, wd: i32, out: &mut Vec<NodeId>) {
        out.clear();
        if let Some(first) = self.get(wd) {
            out.push(first);
            if tree.has(first, Flags::ALIASED) {
                out.extend(self.others.get(&wd).into_iter().flatten());
            }
        }
    }

    /// Gives a node its wd.
    pub fn add(&mut self, tree: &mut Tree, wd: i32, id: NodeId) {
        let (number, at) = parts(wd);
        let place = self.find(number).unwrap_or_else(|_| self.add_leaf(number));
        let leaf = self.leaf(place);
        let slot = &mut self.leaves[leaf][at];
        if *slot < DOOMED {
            tree.set(*slot, Flags::ALIASED);
            tree.set(id, Flags::ALIASED);
            self.others.entry(wd).or_default().push(id);
        } else {
            self.filled[leaf] += u8::from(*slot == NONE);
            self.doomed -= usize::from(*slot == DOOMED);
            self.used += 1;
            *slot = id;
        }
        tree.node_mut(id).wd = wd;
    }

    /// Takes the wd from a node. True if that was its last one: nobody is interested any more.
    pub fn remove(&mut self, tree: &mut Tree, id: NodeId) -> bool {
        self.take(tree, id, NONE)
    }

    /// The same, and the watch is to be removed if nobody is interested any more.
    pub fn release(&mut self, tree: &mut Tree, id: NodeId) -> bool {
        self.take(tree, id, DOOMED)
    }

    fn take(&mut self, tree: &mut Tree, id: NodeId, after: NodeId) -> bool {
        let wd = tree.node(id).wd;
        let Some(first) = self.get(wd) else {
            return false;
        };
        tree.node_mut(id).wd = 0;
        if !tree.has(first, Flags::ALIASED) {
            self.put(wd, after);
            return true;
        }
        if let Some(others) = self.others.get_mut(&wd) {
            let mut left = first;
            if first == id {
                left = others.pop().unwrap_or(NONE);
            } else {
                others.retain(|&other| other != id);
            }
            if others.is_empty() {
                self.others.remove(&wd);
                tree.clear(left, Flags::ALIASED);
            }
            self.put(wd, left);
        }
        tree.clear(id, Flags::ALIASED);
        false
    }

    /// A watch without a node is to be removed. True if it was not before.
    pub fn doom(&mut self, wd: i32) -> bool {
        let new = self.slot(wd) != DOOMED;
        if new {
            self.put(wd, DOOMED);
        }
        new
    }

    /// It is being removed, or to be kept, or the kernel has dropped it. False if that was not to be
    /// done any more.
    pub fn spare(&mut self, wd: i32) -> bool {
        let doomed = self.slot(wd) == DOOMED;
        if doomed {
            self.put(wd, NONE);
        }
        doomed
    }

    /// Kernel watches in use.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Gives back memory that many more watches have left behind.
    pub fn shrink_if_empty(&mut self) {
        if self.len() + self.doomed == 0 && self.leaves.len() > 64 {
            *self = Self::default();
        }
    }

    /// Bytes of memory held.
    pub fn memory(&self) -> usize {
        self.table.capacity() * size_of::<u64>()
            + self.leaves.capacity() * size_of::<[NodeId; LEAF]>()
            + self.filled.capacity()
            + self.free.capacity() * size_of::<u32>()
            + self.others.capacity() * 48
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
        assert_eq!(wds.get(7), Some(twin));
        assert!(!tree.has(twin, Flags::ALIASED));
        assert!(wds.remove(&mut tree, twin));
        for &(wd, id) in ids.iter().skip(1).step_by(2) {
            assert_eq!(wds.get(wd * 7), Some(id));
            assert!(wds.remove(&mut tree, id));
        }
        for (at, &(wd, id)) in ids.iter().enumerate().skip(1) {
            assert_eq!(wds.get(wd * 7), (at % 2 == 0).then_some(id));
        }
    }

    #[test]
    fn three_nodes_of_a_wd_go_in_any_order() {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut tree = Tree::default();
            let mut wds = Wds::default();
            let ids = [0, 1, 2].map(|number| tree.add_root(number, Flags::DIR));
            for id in ids {
                wds.add(&mut tree, 5, id);
            }
            assert_eq!(wds.len(), 1);
            assert!(!wds.remove(&mut tree, ids[order[0]]));
            assert!(!wds.remove(&mut tree, ids[order[1]]));
            assert_eq!(wds.get(5), Some(ids[order[2]]));
            assert!(ids.iter().all(|&id| !tree.has(id, Flags::ALIASED)));
            assert!(wds.remove(&mut tree, ids[order[2]]));
            assert_eq!((wds.get(5), wds.len()), (None, 0));
        }
    }

    #[test]
    fn leaves_come_and_go() {
        let mut tree = Tree::default();
        let mut wds = Wds::default();
        let ids: Vec<_> = (0..300).map(|number| tree.add_root(number, Flags::DIR)).collect();
        // Far apart, and the numbers of a queue that never gives one out again.
        for round in 0..20 {
            let wd = |at: usize| i32::try_from(round * 2_000_000 + at * 1111 + 1).unwrap();
            for (at, &id) in ids.iter().enumerate() {
                wds.add(&mut tree, wd(at), id);
            }
            for (at, &id) in ids.iter().enumerate() {
                assert_eq!(wds.get(wd(at)), Some(id));
                assert_eq!(wds.get(wd(at) + 1), None);
            }
            for (at, &id) in ids.iter().enumerate() {
                assert!(wds.release(&mut tree, id));
                assert!(at % 3 == 0 || wds.spare(wd(at)));
                assert_eq!(wds.get(wd(at)), None);
            }
            assert_eq!((wds.len(), wds.doomed), (0, 100));
            for at in 0..ids.len() {
                wds.spare(wd(at));
            }
            assert_eq!(wds.doomed, 0);
            assert!(wds.leaves.len() <= 300);
        }
    }

    #[test]
    fn a_doomed_wd_is_removed_once_or_comes_back() {
        let mut tree = Tree::default();
        let mut wds = Wds::default();
        let ids = [0, 1].map(|number| tree.add_root(number, Flags::DIR));
        wds.add(&mut tree, 3, ids[0]);
        wds.add(&mut tree, 3, ids[1]);
        assert!(!wds.release(&mut tree, ids[0]));
        assert_eq!(wds.look(3), Ok(ids[1]));
        assert!(wds.release(&mut tree, ids[1]));
        assert_eq!((wds.len(), wds.get(3), wds.look(3)), (0, None, Err(true)));
        assert!(!wds.doom(3));
        assert!(wds.spare(3));
        assert!(!wds.spare(3));
        assert_eq!(wds.look(3), Err(false));
        assert!(wds.doom(3));
        wds.add(&mut tree, 3, ids[0]);
        assert_eq!((wds.len(), wds.spare(3), wds.get(3)), (1, false, Some(ids[0])));
        // The kernel can have dropped it before.
        assert!(wds.release(&mut tree, ids[0]));
        assert!(wds.spare(3));
        assert!(!wds.spare(3));
    }
}
