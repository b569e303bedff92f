//! An index of nodes by a hash. Its slots have the hash beside the node, so that growing, shrinking
//! and closing a gap touch no node; it is cut into shards that do so each by itself, so that no
//! step is long.

use super::tree::{NONE, NodeId};

/// Shards, by the upper bits of the hash.
const SHARDS: usize = 64;
/// Slots of a new shard.
const FIRST: usize = 8;
/// Nothing is there.
const FREE: u64 = u64::MAX;

/// The index. No node is in it twice.
#[derive(Default)]
pub struct Index {
    shards: Vec<Shard>,
}

/// The upper half of a slot has half of the hash, the lower the node.
#[derive(Clone, Default)]
struct Shard {
    slots: Vec<u64>,
    used: usize,
}

#[expect(clippy::cast_possible_truncation, reason = "this half of the hash is for the shard")]
fn part(hash: u64) -> u32 {
    hash as u32
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is the node")]
fn node(slot: u64) -> NodeId {
    slot as NodeId
}

impl Index {
    fn shard(&self, hash: u64) -> Option<&Shard> {
        self.shards.get((hash >> 58) as usize)
    }

    /// Adds a node.
    pub fn add(&mut self, hash: u64, id: NodeId) {
        if self.shards.is_empty() {
            self.shards = vec![Shard::default(); SHARDS];
        }
        let shard = &mut self.shards[(hash >> 58) as usize];
        if (shard.used + 1) * 4 > shard.slots.len() * 3 {
            shard.resize((shard.slots.len() * 2).max(FIRST));
        }
        shard.used += 1;
        shard.put(u64::from(part(hash)) << 32 | u64::from(id));
    }

    /// The node of this hash that is the one.
    #[inline]
    pub fn find(&self, hash: u64, mut is: impl FnMut(NodeId) -> bool) -> Option<NodeId> {
        let shard = self.shard(hash)?;
        let mask = shard.slots.len().checked_sub(1)?;
        let mut at = part(hash) as usize & mask;
        loop {
            let slot = shard.slots[at];
            if slot == FREE {
                return None;
            }
            if slot >> 32 == u64::from(part(hash)) && is(node(slot)) {
                return Some(node(slot));
            }
            at = (at + 1) & mask;
        }
    }

    /// Removes a node, if it is there.
    pub fn remove(&mut self, hash: u64, id: NodeId) {
        let Some(shard) = self.shards.get_mut((hash >> 58) as usize) else {
            return;
        };
        let wanted = u64::from(part(hash)) << 32 | u64::from(id);
        if shard.remove(wanted) {
            shard.used -= 1;
            if shard.used == 0 {
                *shard = Shard::default();
            } else if shard.slots.len() > FIRST && shard.used * 8 < shard.slots.len() {
                shard.resize(shard.slots.len() / 2);
            }
        }
    }

    /// Bytes of memory held.
    pub fn memory(&self) -> usize {
        let slots: usize = self.shards.iter().map(|shard| shard.slots.capacity()).sum();
        slots * size_of::<u64>() + self.shards.capacity() * size_of::<Shard>()
    }
}

impl Shard {
    fn home(&self, slot: u64) -> usize {
        (slot >> 32) as usize & (self.slots.len() - 1)
    }

    fn put(&mut self, slot: u64) {
        let mut at = self.home(slot);
        while self.slots[at] != FREE {
            at = (at + 1) & (self.slots.len() - 1);
        }
        self.slots[at] = slot;
    }

    fn resize(&mut self, size: usize) {
        let old = std::mem::replace(&mut self.slots, vec![FREE; size]);
        for slot in old.into_iter().filter(|&slot| slot != FREE) {
            self.put(slot);
        }
    }

    fn remove(&mut self, wanted: u64) -> bool {
        let Some(mask) = self.slots.len().checked_sub(1) else {
            return false;
        };
        let mut at = self.home(wanted);
        while self.slots[at] != wanted {
            if self.slots[at] == FREE {
                return false;
            }
            at = (at + 1) & mask;
        }
        // Close the gap: move back what a search would no longer reach.
        let mut gap = at;
        loop {
            at = (at + 1) & mask;
            let other = self.slots[at];
            if other == FREE {
                break;
            }
            let home = self.home(other);
            if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(gap) & mask) {
                self.slots[gap] = other;
                gap = at;
            }
        }
        self.slots[gap] = FREE;
        true
    }
}

const _: () = assert!(NONE == u32::MAX, "a slot of no node is free");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_and_shrinks() {
        let mut index = Index::default();
        // Few homes, and some hashes more than once.
        let hash = |id: u32| {
            let mixed = u64::from(id / 3).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (mixed & !0xffff) | u64::from(id % 7)
        };
        for id in 0..20_000 {
            index.add(hash(id), id);
        }
        let full = index.memory();
        for id in (0..20_000).filter(|id| id % 5 != 0) {
            index.remove(hash(id), id);
            index.remove(hash(id), id);
        }
        for id in 0..20_000 {
            let found = index.find(hash(id), |other| other == id);
            assert_eq!(found, (id % 5 == 0).then_some(id));
        }
        assert!(index.memory() < full);
        for id in (0..20_000).step_by(5) {
            index.remove(hash(id), id);
        }
        assert_eq!(index.memory(), SHARDS * size_of::<Shard>());
        assert_eq!(index.find(hash(1), |_| true), None);
    }
}
