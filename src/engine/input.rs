//! The read buffer: kernel events as they came, decoded without trusting a length.

use crate::sys::{Errno, until_nul};

/// Size of struct inotify_event without the name.
const HEADER: usize = 16;
/// The longest event, with a name of 255 bytes.
const LONGEST: usize = HEADER + 256;

/// One kernel event; the name points into the buffer by position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Raw {
    /// Watch descriptor.
    pub wd: i32,
    /// Event bits.
    pub mask: u32,
    /// Rename cookie.
    pub cookie: u32,
    /// Where the event starts.
    pub at: usize,
    /// Where the next one starts.
    pub next: usize,
    /// Length of the name without padding; 0: none.
    pub name_len: usize,
}

/// Bytes read from the kernel, and how far they are used.
pub struct Input {
    bytes: Vec<u8>,
    at: usize,
    end: usize,
    read_size: usize,
    full: bool,
}

impl Input {
    /// Reads `read_size` bytes at a time.
    pub fn new(read_size: usize) -> Self {
        Self { bytes: vec![0; read_size], at: 0, end: 0, read_size, full: false }
    }

    /// The place of a buffer that is in use elsewhere.
    pub fn none() -> Self {
        Self { bytes: Vec::new(), at: 0, end: 0, read_size: 0, full: false }
    }

    /// Nothing left to use.
    pub fn is_empty(&self) -> bool {
        self.at >= self.end
    }

    /// The last read filled its place, so there may be much more.
    pub fn was_full(&self) -> bool {
        self.full
    }

    /// Position of the next event.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Position behind the last byte read.
    pub fn end(&self) -> usize {
        self.end
    }

    /// The bytes used so far are not needed again.
    pub fn advance(&mut self, to: usize) {
        self.at = to.min(self.end);
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        (self.at, self.end) = (0, 0);
    }

    /// Bytes of memory held.
    pub fn memory(&self) -> usize {
        self.bytes.capacity()
    }

    /// Appends one read; what is already there keeps its position until the buffer has been used
    /// up, so that events can be looked at ahead of their turn.
    pub fn fill(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        if self.is_empty() {
            self.clear();
            // A long look ahead made it grow; it need not stay so.
            if self.bytes.len() > 16 * self.read_size.max(4096) {
                self.bytes.truncate(self.read_size);
                self.bytes.shrink_to_fit();
            }
        }
        let want = self.end + self.read_size;
        if self.bytes.len() < want {
            self.bytes.resize(want, 0);
        }
        let got = read(&mut self.bytes[self.end..want])?.min(self.read_size);
        self.end += got;
        self.full = got + LONGEST > self.read_size;
        Ok(got)
    }

    /// The event at a position; `None` at the end, or if what is there is no whole event (then
    /// the rest of the buffer is no use).
    #[inline]
    pub fn event(&self, at: usize) -> Option<Raw> {
        self.event_and_field(at).map(|(event, _)| event)
    }

    /// The same with the field that its name is in, which may have more behind it.
    #[inline]
    pub fn event_and_field(&self, at: usize) -> Option<(Raw, &[u8])> {
        let bytes = self.bytes.get(at..self.end)?;
        let (header, rest) = bytes.split_first_chunk::<HEADER>()?;
        let word =
            |i: usize| -> [u8; 4] { [header[i], header[i + 1], header[i + 2], header[i + 3]] };
        let len = u32::from_ne_bytes(word(12)) as usize;
        let field = rest.get(..len)?;
        let raw = Raw {
            wd: i32::from_ne_bytes(word(0)),
            mask: u32::from_ne_bytes(word(4)),
            cookie: u32::from_ne_bytes(word(8)),
            at,
            next: at + HEADER + len,
            name_len: until_nul(field),
        };
        Some((raw, field))
    }

    /// The name of an event.
    #[inline]
    pub fn name(&self, event: &Raw) -> &[u8] {
        let start = event.at + HEADER;
        self.bytes.get(start..start + event.name_len).unwrap_or(&[])
    }

    /// Drops events behind a position; what is no event stays.
    pub fn retain(&mut self, from: usize, mut keep: impl FnMut(&Raw, &[u8]) -> bool) {
        let (mut at, mut to) = (from, from);
        while let Some(event) = self.event(at) {
            if keep(&event, self.name(&event)) {
                self.bytes.copy_within(at..event.next, to);
                to += event.next - at;
            }
            at = event.next;
        }
        self.bytes.copy_within(at..self.end, to);
        self.end -= at - to;
    }

    /// The events from a position on, without using them.
    pub fn from(&self, at: usize) -> impl Iterator<Item = Raw> + '_ {
        let mut at = at;
        std::iter::from_fn(move || {
            let event = self.event(at)?;
            at = event.next;
            Some(event)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(wd: i32, mask: u32, cookie: u32, name: &[u8], pad: usize) -> Vec<u8> {
        let len = name.len() + pad;
        let mut bytes = Vec::new();
        bytes.extend(wd.to_ne_bytes());
        bytes.extend(mask.to_ne_bytes());
        bytes.extend(cookie.to_ne_bytes());
        bytes.extend(u32::try_from(len).unwrap().to_ne_bytes());
        bytes.extend(name);
        bytes.extend(std::iter::repeat_n(0, pad));
        bytes
    }

    fn filled(bytes: &[u8]) -> Input {
        let mut input = Input::new(bytes.len().max(1));
        input
            .fill(|buffer| {
                buffer[..bytes.len()].copy_from_slice(bytes);
                Ok(bytes.len())
            })
            .unwrap();
        input
    }

    #[test]
    fn decodes_names_with_and_without_padding() {
        let mut bytes = raw(1, 2, 3, b"abc", 13);
        bytes.extend(raw(4, 5, 6, b"", 0));
        bytes.extend(raw(7, 8, 9, b"full", 0));
        let input = filled(&bytes);
        let all: Vec<_> = input.from(0).map(|e| (e.wd, input.name(&e).to_vec())).collect();
        assert_eq!(all, [(1, b"abc".to_vec()), (4, b"".to_vec()), (7, b"full".to_vec())]);
    }

    #[test]
    fn names_of_every_length() {
        for len in 0..256 {
            for pad in [0, 1, 7, 16] {
                let name: Vec<u8> = (0..len).map(|i| 0x7f + (i % 3) as u8).collect();
                let input = filled(&raw(1, 2, 3, &name, pad));
                let event = input.event(0).unwrap();
                assert_eq!(input.name(&event), name);
                assert_eq!(input.event_and_field(0).unwrap().1.len(), len + pad);
            }
        }
        let input = filled(&raw(1, 2, 3, b"a\0b\x01\0\0\0\0\0\0\0\0\0\0\0\0", 0));
        assert_eq!(input.event(0).unwrap().name_len, 1);
    }

    #[test]
    fn a_length_that_lies_ends_the_buffer() {
        let mut bytes = raw(1, 2, 3, b"abc", 1);
        let mut lie = raw(1, 2, 3, b"abc", 1);
        lie[12..16].copy_from_slice(&u32::MAX.to_ne_bytes());
        bytes.extend(lie);
        let input = filled(&bytes);
        assert_eq!(input.from(0).count(), 1);
    }

    #[test]
    fn looking_ahead_keeps_positions() {
        let one = raw(1, 2, 3, b"a", 15);
        let mut input = filled(&one);
        let first = input.event(0).unwrap();
        input
            .fill(|buffer| {
                buffer[..one.len()].copy_from_slice(&one);
                Ok(one.len())
            })
            .unwrap();
        assert_eq!(input.event(0), Some(first));
        assert_eq!(input.from(0).count(), 2);
        input.advance(first.next);
        assert!(!input.is_empty());
    }
}
