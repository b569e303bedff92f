//! Where in the read buffer the events of a wd, of a rename and of a name are. A look ahead asks for few of
//! them, and the queue can hold a million.

use std::hash::{BuildHasher, RandomState};

use super::input::Raw;
use super::mask::MOVE;

use libc::IN_Q_OVERFLOW;

/// Fewest bytes that are worth it: fewer are looked through as fast, and nothing is allocated for them; and
/// fewest bytes more.
// Both ways are tested with few events.
const WORTH: [usize; 2] = if cfg!(any(test, fuzzing)) { [64, 64] } else { [1 << 18, 4096] };
/// Lists in a new table.
const FIRST: usize = 256;

/// Events that a look is about: those of these wds, and of this name if there is one, and the halves of
/// these renames; and losses of events, always.
#[derive(Clone, Copy)]
pub struct Of<'a> {
    pub wds: &'a [i32],
    pub name: Option<&'a [u8]>,
    pub cookies: &'a [u32],
}

/// Positions of events, ascending, in lists by what they have in common: a hash of it, so that a list can have
/// others as well.
#[derive(Default)]
pub struct Chains {
    lists: Vec<Vec<u32>>,
    count: usize,
    losses: Vec<u32>,
    hasher: RandomState,
    /// So far the buffer has been gone through.
    pub at: usize,
}

/// What the events of a list have in common.
#[derive(Hash)]
enum Key<'a> {
    Wd(i32),
    Cookie(u32),
    Name(i32, &'a [u8]),
}

impl Chains {
    /// Forgets everything.
    pub fn clear(&mut self) {
        if self.at > 0 {
            *self = Self::default();
        }
    }

    /// Is it worth going on to there?
    pub fn lags(&self, end: usize) -> bool {
        end.saturating_sub(self.at) > WORTH[usize::from(self.at > 0)]
    }

    /// Before events are added: is the table large enough? If not it is empty now.
    pub fn grow(&mut self) {
        if self.count >= self.lists.len() * 4 {
            let size = (self.lists.len() * 4).max(FIRST);
            self.clear();
            self.lists.resize(size, Vec::new());
        }
    }

    /// The next event. False if the table is to grow, or the position is out of range.
    pub fn add(&mut self, raw: &Raw, name: &[u8]) -> bool {
        let Ok(at) = u32::try_from(raw.at) else { return false };
        if self.count >= self.lists.len() * 4 {
            return false;
        }
        self.put(&Key::Wd(raw.wd), at);
        if raw.mask & MOVE != 0 {
            self.put(&Key::Cookie(raw.cookie), at);
        }
        if raw.mask & IN_Q_OVERFLOW != 0 {
            self.losses.push(at);
        }
        if !name.is_empty() {
            self.put(&Key::Name(raw.wd, name), at);
        }
        self.at = raw.next;
        true
    }

    fn put(&mut self, key: &Key<'_>, at: u32) {
        let place = self.place(key);
        if self.lists[place].last() != Some(&at) {
            self.lists[place].push(at);
        }
        self.count += 1;
    }

    #[expect(clippy::cast_possible_truncation, reason = "the lower bits are wanted")]
    fn place(&self, key: &Key<'_>) -> usize {
        self.hasher.hash_one(key) as usize & self.lists.len().wrapping_sub(1)
    }

    /// The lists that have what a look is about, from a position on.
    pub fn related<'a>(&'a self, of: &Of<'_>, after: usize) -> Vec<&'a [u32]> {
        if after >= self.at {
            return Vec::new();
        }
        let mut all = Vec::new();
        for &wd in of.wds {
            all.push(self.list(wd, of.name));
        }
        for &cookie in of.cookies {
            all.push(self.list_of(&Key::Cookie(cookie)));
        }
        all.push(&self.losses);
        for list in &mut all {
            *list = &list[list.partition_point(|&at| (at as usize) < after)..];
        }
        all
    }

    fn list(&self, wd: i32, name: Option<&[u8]>) -> &[u32] {
        self.list_of(&name.map_or(Key::Wd(wd), |name| Key::Name(wd, name)))
    }

    fn list_of(&self, key: &Key<'_>) -> &[u32] {
        self.lists.get(self.place(key)).map_or(&[], Vec::as_slice)
    }

    /// A list that has those of a wd, and of a name, before a position.
    pub fn before(&self, wd: i32, name: Option<&[u8]>, end: usize) -> &[u32] {
        let list = self.list(wd, name);
        &list[..list.partition_point(|&at| (at as usize) < end)]
    }

    /// Bytes of memory held.
    pub fn memory(&self) -> usize {
        self.lists.capacity() * size_of::<Vec<u32>>() + self.count * size_of::<u32>()
    }
}
