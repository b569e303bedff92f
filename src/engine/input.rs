//! The read buffer: kernel events as they came, decoded without trusting a length.

use super::chains::{Chains, Of};
use super::mask::{DIRENT, MOVE};
use crate::sys::{Errno, until_nul};

use libc::IN_Q_OVERFLOW;

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
    chains: Chains,
    #[cfg(test)]
    looked_at: std::cell::Cell<u64>,
}

/// Events that a look is about, in their order.
pub struct Related<'a> {
    input: &'a Input,
    of: Of<'a>,
    lists: Vec<&'a [u32]>,
    at: usize,
}

impl Iterator for Related<'_> {
    type Item = Raw;

    fn next(&mut self) -> Option<Raw> {
        loop {
            let mut first = u32::MAX;
            for list in &self.lists {
                first = list.first().map_or(first, |&at| first.min(at));
            }
            for list in &mut self.lists {
                if let [at, rest @ ..] = list
                    && *at == first
                {
                    *list = rest;
                }
            }
            let sorted = first != u32::MAX;
            let raw = self.input.event(if sorted { first as usize } else { self.at })?;
            if !sorted {
                self.at = raw.next;
            }
            if self.fits(&raw) {
                return Some(raw);
            }
        }
    }
}

impl Related<'_> {
    fn fits(&self, raw: &Raw) -> bool {
        let named = || self.of.name.is_none_or(|name| self.input.name(raw) == name);
        (self.of.wds.contains(&raw.wd) && named())
            || raw.mask & IN_Q_OVERFLOW != 0
            || (raw.mask & MOVE != 0 && self.of.cookies.contains(&raw.cookie))
    }
}

impl Input {
    /// Reads `read_size` bytes at a time.
    pub fn new(read_size: usize) -> Self {
        Self {
            bytes: vec![0; read_size],
            at: 0,
            end: 0,
            read_size,
            full: false,
            chains: Chains::default(),
            #[cfg(test)]
            looked_at: std::cell::Cell::default(),
        }
    }

    /// The place of a buffer that is in use elsewhere.
    pub fn none() -> Self {
        Self::new(0)
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
        self.chains.clear();
    }

    /// Bytes of memory held.
    pub fn memory(&self) -> usize {
        self.bytes.capacity() + self.chains.memory()
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
        #[cfg(test)]
        self.looked_at.set(self.looked_at.get() + 1);
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

    /// How often an event was looked at.
    #[cfg(test)]
    pub fn looked_at(&self) -> u64 {
        self.looked_at.get()
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
        self.chains.clear();
    }

    /// Before a look: what has been read is put in order, if it is much.
    #[inline]
    pub fn sort(&mut self) {
        if self.chains.lags(self.end) {
            self.sort_all();
        }
    }

    #[cold]
    fn sort_all(&mut self) {
        let mut chains = std::mem::take(&mut self.chains);
        loop {
            chains.grow();
            let before = chains.at;
            while let Some(raw) = self.event(chains.at)
                && chains.add(&raw, self.name(&raw))
            {}
            if chains.at == before {
                break;
            }
        }
        self.chains = chains;
    }

    /// The events from a position on that are of these wds or halves of these renames, and losses.
    pub fn related<'a>(&'a self, wds: &'a [i32], cookies: &'a [u32], after: usize) -> Related<'a> {
        self.all_of(Of { wds, cookies, name: None }, after)
    }

    /// The same for those of one name.
    pub fn named<'a>(&'a self, wds: &'a [i32], name: &'a [u8], after: usize) -> Related<'a> {
        self.all_of(Of { wds, cookies: &[], name: Some(name) }, after)
    }

    fn all_of<'a>(&'a self, of: Of<'a>, after: usize) -> Related<'a> {
        let lists = self.chains.related(&of, after);
        Related { input: self, of, lists, at: after.max(self.chains.at) }
    }

    /// The last event before a position of an entry that comes or goes: of this wd, and of this name.
    pub fn last_before(&self, wd: i32, name: Option<&[u8]>, end: usize) -> Option<Raw> {
        let fits = |raw: &Raw| {
            raw.wd == wd && raw.mask & DIRENT != 0 && name.is_none_or(|name| self.name(raw) == name)
        };
        let mut last = None;
        for raw in self.from(self.chains.at).take_while(|raw| raw.at < end) {
            if fits(&raw) {
                last = Some(raw);
            }
        }
        let mut early = self.chains.before(wd, name, end);
        while last.is_none()
            && let Some((&at, rest)) = early.split_last()
        {
            early = rest;
            last = self.event(at as usize).filter(fits);
        }
        last
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

    #[test]
    fn what_is_put_in_order_is_found_as_if_it_were_not() {
        let mut state = 1_u64;
        let mut next = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let masks = [
            libc::IN_MOVED_FROM,
            libc::IN_MOVED_TO,
            libc::IN_CREATE,
            libc::IN_ATTRIB,
            libc::IN_MOVE_SELF,
            IN_Q_OVERFLOW,
        ];
        let names: [&[u8]; 4] = [b"", b"a", b"b", b"cc"];
        for round in 0..200 {
            let mut bytes = Vec::new();
            for _ in 0..100 {
                let mask = masks[usize::try_from(next(6)).unwrap()];
                let of = if mask & DIRENT == 0 && next(2) == 0 { 0 } else { 1 + next(3) };
                let name = names[usize::try_from(of).unwrap()];
                let wd = i32::try_from(1 + next(3)).unwrap();
                let cookie = if mask & MOVE == 0 { 0 } else { 1 + u32::try_from(next(8)).unwrap() };
                bytes.extend(raw(wd, mask, cookie, name, 16 - name.len()));
            }
            let plain = filled(&bytes);
            let mut sorted = filled(&bytes);
            // All of it, a part, or what a read has brought since is not yet.
            sorted.end = [bytes.len(), bytes.len() / 64 * 32][round % 2];
            sorted.sort_all();
            sorted.end = bytes.len();
            for after in (0..bytes.len()).step_by(32) {
                let wds =
                    [1 + i32::try_from(next(4)).unwrap(), 1 + i32::try_from(next(4)).unwrap()];
                let cookies = [u32::try_from(next(9)).unwrap()];
                let all = |input: &Input| -> [Vec<Raw>; 3] {
                    [
                        input.related(&wds, &cookies, after).collect(),
                        input.related(&[], &[], after).collect(),
                        input.named(&wds[..1], b"a", after).collect(),
                    ]
                };
                assert_eq!(all(&plain), all(&sorted));
                for name in [None, Some(&b"b"[..])] {
                    let last = |input: &Input| input.last_before(wds[0], name, after);
                    assert_eq!(last(&plain), last(&sorted));
                }
            }
        }
    }
}
