//! The bytes that wait to be written: a list of blocks, each byte copied once on its way in.
//!
//! Small writes share a block, so a million short lines cost no more than their bytes; a block goes
//! back to the allocator as soon as it was written, so a backlog that is gone holds no memory.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::mem::take;

/// Room of the first block: an idle connection should not cost 64 KiB for one line.
const SMALLEST_BLOCK: usize = 4 * 1024;
/// Room of the blocks of a long backlog.
const LARGEST_BLOCK: usize = 64 * 1024;
/// Slots that the list of blocks may keep when the buffer is empty.
const KEPT_SLOTS: usize = 32;
/// Most blocks that one write gathers: 1 MiB of the largest.
pub const MOST_SLICES: usize = 16;

/// Memory for the bytes could not be had; none of them was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory;

/// Bytes, of which the first `start` are written already.
#[derive(Debug, Default)]
struct Block {
    bytes: Vec<u8>,
    start: usize,
}

impl Block {
    fn with_room(room: usize) -> Result<Self, NoMemory> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(room).map_err(|_| NoMemory)?;
        Ok(Self { bytes, start: 0 })
    }

    fn room(&self) -> usize {
        self.bytes.capacity() - self.bytes.len()
    }

    fn waiting(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

/// A first-in, first-out buffer of bytes.
#[derive(Debug, Default)]
pub struct Buffer {
    /// Those that are lent out left an empty block in their place, at the front.
    blocks: VecDeque<Block>,
    /// Bytes that wait, those lent out included.
    len: usize,
}

/// The oldest bytes of a buffer, lent to a write that runs without the lock.
///
/// It owns its blocks, so what is appended meanwhile moves none of its bytes.
#[derive(Debug, Default)]
pub struct Lent {
    blocks: [Block; MOST_SLICES],
    count: usize,
    limit: usize,
}

impl Lent {
    /// The bytes to write, oldest first, no more than the limit altogether.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let mut left = self.limit;
        self.blocks[..self.count].iter().map_while(move |block| {
            let bytes = block.waiting();
            let bytes = &bytes[..bytes.len().min(left)];
            left -= bytes.len();
            (!bytes.is_empty()).then_some(bytes)
        })
    }

    /// How many bytes `slices` has.
    pub fn len(&self) -> usize {
        self.slices().map(<[u8]>::len).sum()
    }
}

impl Buffer {
    /// Bytes that wait to be written.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of memory held, those lent out not counted.
    pub fn memory(&self) -> usize {
        let blocks: usize = self.blocks.iter().map(|block| block.bytes.capacity()).sum();
        blocks + self.blocks.capacity() * size_of::<Block>()
    }

    /// Takes all of `parts`, or nothing if there is no memory for it.
    pub fn append<'a>(
        &mut self,
        parts: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(), NoMemory> {
        let (blocks, len) = (self.blocks.len(), self.len);
        let tail = self.blocks.back().map_or(0, |block| block.bytes.len());
        let result = parts.into_iter().try_for_each(|part| self.append_one(part));
        if result.is_err() {
            self.blocks.truncate(blocks);
            if let Some(block) = self.blocks.back_mut() {
                block.bytes.truncate(tail);
            }
            self.len = len;
        }
        result
    }

    fn append_one(&mut self, mut part: &[u8]) -> Result<(), NoMemory> {
        while !part.is_empty() {
            if self.blocks.back().is_none_or(|block| block.room() == 0) {
                // Doubles up to the largest: few blocks hold much, and little is wasted.
                let room = self.len.max(part.len()).clamp(SMALLEST_BLOCK, LARGEST_BLOCK);
                self.blocks.try_reserve(1).map_err(|_| NoMemory)?;
                self.blocks.push_back(Block::with_room(room)?);
            }
            let block = self.blocks.back_mut().ok_or(NoMemory)?;
            let (now, later) = part.split_at(part.len().min(block.room()));
            block.bytes.extend_from_slice(now);
            self.len += now.len();
            part = later;
        }
        Ok(())
    }

    /// Lends the oldest bytes, at most `limit` of them; `None` if nothing waits. They count as
    /// waiting until they are given back. Only one piece may be lent at a time.
    pub fn lend(&mut self, limit: usize) -> Option<Lent> {
        if self.is_empty() {
            return None;
        }
        let mut lent = Lent { limit, ..Lent::default() };
        let mut bytes = 0;
        for (block, place) in self.blocks.iter_mut().zip(&mut lent.blocks) {
            if bytes >= limit {
                break;
            }
            bytes += block.waiting().len();
            *place = take(block);
            lent.count += 1;
        }
        Some(lent)
    }

    /// Takes back what `lend` gave, less the first `written` bytes, which are gone for good.
    pub fn give_back(&mut self, mut lent: Lent, written: usize) {
        let mut left = written.min(lent.len());
        self.len -= left;
        let mut gone = 0;
        for (index, block) in lent.blocks[..lent.count].iter_mut().enumerate() {
            let here = block.waiting().len().min(left);
            block.start += here;
            left -= here;
            if block.waiting().is_empty() {
                gone += 1;
            } else if let Some(place) = self.blocks.get_mut(index) {
                *place = take(block);
            }
        }
        self.blocks.drain(..gone.min(self.blocks.len()));
        if self.is_empty() && self.blocks.capacity() > KEPT_SLOTS {
            self.blocks = VecDeque::new();
        }
    }

    /// Forgets everything. What is lent must not be given back then.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * 31 + i / 251) as u8).collect()
    }

    /// Writes `step` bytes at a time until nothing is left; what came out, and the writes it took.
    fn drain(buffer: &mut Buffer, limit: usize, step: usize) -> (Vec<u8>, usize) {
        let (mut out, mut writes) = (Vec::new(), 0);
        while let Some(lent) = buffer.lend(limit) {
            let bytes: Vec<u8> = lent.slices().flatten().copied().collect();
            assert_eq!(bytes.len(), lent.len());
            assert!(bytes.len() <= limit);
            let written = step.min(bytes.len());
            out.extend_from_slice(&bytes[..written]);
            buffer.give_back(lent, written);
            writes += 1;
        }
        (out, writes)
    }

    #[test]
    fn keeps_order_whatever_the_sizes() {
        for sizes in
            [&[1, 4095, 1, 4096, 5000, 70_000, 3][..], &[300_000], &[1; 9000], &[65_536; 3]]
        {
            for (limit, step) in [(100, 99), (1000, 999), (131_072, 131_072), (usize::MAX, 7777)] {
                let mut buffer = Buffer::default();
                let all = pattern(sizes.iter().sum());
                let mut at = 0;
                for size in sizes {
                    buffer.append([&all[at..at + size]]).unwrap();
                    at += size;
                }
                assert_eq!(buffer.len(), all.len());
                let (out, _) = drain(&mut buffer, limit, step);
                assert!(out == all, "sizes {sizes:?}, limit {limit}, step {step}");
                assert!(buffer.is_empty());
            }
        }
    }

    #[test]
    fn appending_while_lent_comes_after() {
        let mut buffer = Buffer::default();
        buffer.append([&b"one "[..], b"two "]).unwrap();
        let lent = buffer.lend(100).unwrap();
        buffer.append([&b"three"[..]]).unwrap();
        assert_eq!(buffer.len(), 13);
        buffer.give_back(lent, 4);
        assert_eq!(buffer.len(), 9);
        buffer.append([&b" four"[..]]).unwrap();
        assert_eq!(drain(&mut buffer, 100, 3).0, b"two three four");
    }

    #[test]
    fn nothing_written_changes_nothing() {
        let mut buffer = Buffer::default();
        let all = pattern(200_000);
        buffer.append([&all[..]]).unwrap();
        let before = buffer.memory();
        for _ in 0..3 {
            let lent = buffer.lend(131_072).unwrap();
            assert_eq!(lent.len(), 131_072);
            buffer.give_back(lent, 0);
        }
        assert_eq!((buffer.len(), buffer.memory()), (200_000, before));
        assert!(drain(&mut buffer, 131_072, 131_072).0 == all);
    }

    #[test]
    fn small_writes_share_blocks_and_a_gone_backlog_holds_nothing() {
        let mut buffer = Buffer::default();
        for _ in 0..1_000_000 {
            buffer.append([&b"0123456789"[..]]).unwrap();
        }
        assert!(
            buffer.memory() < 10_000_000 + 2 * LARGEST_BLOCK + 64 * 1024,
            "{}",
            buffer.memory()
        );
        let (out, writes) = drain(&mut buffer, 131_072, 131_072);
        assert_eq!(out.len(), 10_000_000);
        assert!(writes < 200, "{writes} writes");
        assert!(buffer.memory() <= KEPT_SLOTS * size_of::<Block>(), "{}", buffer.memory());
    }

    #[test]
    fn a_short_write_with_many_blocks_keeps_the_rest() {
        let mut buffer = Buffer::default();
        let all = pattern(3 << 20);
        buffer.append([&all[..]]).unwrap();
        let lent = buffer.lend(usize::MAX).unwrap();
        assert_eq!(lent.slices().count(), MOST_SLICES);
        buffer.give_back(lent, 100_001);
        assert!(drain(&mut buffer, usize::MAX, usize::MAX).0 == all[100_001..]);
    }

    #[test]
    fn clear_forgets() {
        let mut buffer = Buffer::default();
        buffer.append([&b"x"[..]]).unwrap();
        let lent = buffer.lend(1);
        buffer.clear();
        drop(lent);
        assert!(buffer.is_empty() && buffer.lend(1).is_none());
    }
}
