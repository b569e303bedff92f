//! Questions about the tables.

use super::Engine;
use super::tree::{Flags, NONE};
use super::world::World;

impl<W: World> Engine<W> {
    /// Numbers for the statistics: watches, kernel watches, nodes, pending, bytes of memory, kernel
    /// watches that are nobody's.
    pub fn figures(&self) -> [u64; 6] {
        let memory = self.tree.memory()
            + self.wds.memory()
            + self.input.memory()
            + self.list_buffer.memory()
            + self.tasks.capacity() * size_of::<super::Task>()
            + self.windows.capacity() * size_of::<super::Window>()
            + (self.unsealed.capacity() + self.early.capacity()) * size_of::<super::Window>()
            + self.prints.memory()
            + self.near.path.capacity()
            + self.gaps.memory()
            + self.scratch.capacity();
        let pending = self.tasks.len()
            + self.blocked.len()
            + usize::from(self.listing.is_some())
            + self.questions.len()
            + self.unsealed.len()
            + self.early.len()
            + self.windows.len()
            + self.to_look.len();
        let hidden = self.hidden_only();
        let (wds, nodes) = (self.wds.len() - hidden, self.tree.dirs() - self.hidden.len());
        [self.by_id.len(), wds, nodes, pending, memory, hidden].map(|n| n as u64)
    }

    /// Every watchpoint: watch, wd, mask, path.
    pub fn watchpoints(&self) -> Vec<(i64, i32, u32, Vec<u8>)> {
        let mut all = Vec::new();
        for watch in self.watches.iter().flatten().filter(|watch| !watch.ended) {
            let mut stack = vec![(watch.root, watch.path.clone())];
            while let Some((node, path)) = stack.pop() {
                let mut child = self.tree.first_dir(node);
                while child != NONE {
                    if self.tree.has(child, Flags::DIR) {
                        let mut below = path.clone();
                        if below.last() != Some(&b'/') {
                            below.push(b'/');
                        }
                        below.extend_from_slice(self.tree.name(child));
                        stack.push((child, below));
                    }
                    child = self.tree.next(child);
                }
                let wd = self.tree.node(node).wd;
                if wd != 0 {
                    let root = node == watch.root;
                    let mask = if root { watch.root_mask() } else { watch.inner_mask() };
                    let mask = mask | self.gaps.bits(node);
                    all.push((watch.id, wd, mask, path));
                }
            }
        }
        all
    }
}
