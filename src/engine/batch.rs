//! What one turn of the engine hands over for delivery: events, with their paths in one arena.

/// The parts of an event that are no path.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Id of the watch.
    pub watch: i64,
    /// Kernel event bits.
    pub mask: u32,
    /// Rename cookie or 0.
    pub cookie: u32,
    /// Flags of the C interface.
    pub flags: u32,
}

/// One event to deliver. Its path is that of a directory with its slash, which neighbours share,
/// and a name; both are in the arena.
#[derive(Clone, Copy, Debug)]
pub struct Out {
    /// Id of the watch.
    pub watch: i64,
    /// Kernel event bits.
    pub mask: u32,
    /// Rename cookie or 0; what the coverage has become, in an event that tells it.
    pub cookie: u32,
    /// Flags of the C interface.
    pub flags: u32,
    dir: u32,
    dir_len: u32,
    name: u32,
    // Its number in the list of rare parts, from 1 on; 0: none.
    extra: u32,
    name_len: u16,
    /// The watch has ended with this event.
    pub last: bool,
}

const _: () = assert!(size_of::<Out>() == 40, "a turn writes and reads thousands");

/// What few events have.
#[derive(Clone, Copy)]
struct Extra {
    error: i32,
    old: u32,
    old_len: u32,
}

/// Names are stored in pieces of this size, with a NUL behind, as the kernel pads them.
const PIECE: usize = 16;
/// The longest name; what is longer cannot come from the kernel.
const NAME_MAX: usize = 255;
/// A turn ends at so many bytes of paths.
const ENOUGH: usize = 64 << 20;

/// Events of one turn. Used again and again, so that nothing is allocated in steady state.
#[derive(Default)]
pub struct Batch {
    events: Vec<Out>,
    arena: Vec<u8>,
    extras: Vec<Extra>,
    // The directory whose path the next entries share: which composition of it, and where it is.
    edition: u64,
    dir: u32,
    dir_len: u32,
}

#[expect(clippy::cast_possible_truncation, reason = "a turn ends far below 4 GiB, see `is_large`")]
fn place(at: usize) -> u32 {
    at as u32
}

impl Batch {
    /// Empties it, keeping the memory unless a burst made it very large.
    pub fn clear(&mut self) {
        self.events.clear();
        self.arena.clear();
        self.arena.shrink_to(4 << 20);
        self.extras.clear();
        self.edition = 0;
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// It holds more bytes than one turn should.
    pub fn is_large(&self) -> bool {
        self.arena.len() >= ENOUGH
    }

    /// The event at a place.
    #[inline]
    pub fn get(&self, at: usize) -> Option<&Out> {
        self.events.get(at)
    }

    /// The directory of the entries that follow: its path with a slash behind. A path that was
    /// composed anew has another edition.
    #[inline]
    pub fn set_dir(&mut self, edition: u64, path: &[u8]) {
        if self.edition != edition {
            self.edition = edition;
            (self.dir, self.dir_len) = (place(self.arena.len()), place(path.len()));
            self.arena.extend_from_slice(path);
        }
    }

    /// Appends an event about an entry of that directory. `field` has the name, of this length,
    /// and may have more behind it.
    #[inline(always)]
    pub fn push_entry(&mut self, head: Head, field: &[u8], len: usize) {
        let (name, len) = (self.arena.len(), len.min(NAME_MAX));
        match field.first_chunk::<PIECE>() {
            Some(piece) if len < PIECE => {
                self.arena.extend_from_slice(piece);
                // A name that does not come from the kernel has anything behind it.
                self.arena[name + len] = 0;
            }
            _ => self.put_name(&field[..len]),
        }
        self.push(head, (self.dir, self.dir_len), name, len);
    }

    #[inline(never)]
    fn put_name(&mut self, name: &[u8]) {
        self.arena.extend_from_slice(name);
        self.arena.resize(self.arena.len() + PIECE - name.len() % PIECE, 0);
    }

    /// Appends an event with a path of its own; its name, if it has one, starts at `name`.
    pub fn push_path(&mut self, head: Head, path: &[u8], name: usize) {
        let start = self.arena.len();
        self.arena.extend_from_slice(path);
        self.arena.push(0);
        self.push(head, (place(start), place(name)), start + name, path.len() - name);
    }

    #[inline(always)]
    fn push(&mut self, head: Head, (dir, dir_len): (u32, u32), name: usize, name_len: usize) {
        let Head { watch, mask, cookie, flags } = head;
        #[expect(clippy::cast_possible_truncation, reason = "a name has 255 bytes at the most")]
        let name_len = name_len as u16;
        let (name, extra, last) = (place(name), 0, false);
        self.events.push(Out {
            watch,
            mask,
            cookie,
            flags,
            dir,
            dir_len,
            name,
            extra,
            name_len,
            last,
        });
    }

    /// Gives the newest event an errno value and an old path, the one or the other perhaps none.
    pub fn add_extra(&mut self, error: i32, old: &[u8]) {
        let Some(event) = self.events.last_mut() else {
            return;
        };
        let (start, len) = (place(self.arena.len()), place(old.len()));
        if !old.is_empty() {
            self.arena.extend_from_slice(old);
            self.arena.push(0);
        }
        self.extras.push(Extra { error, old: start, old_len: len });
        event.extra = place(self.extras.len());
    }

    /// Marks the newest event as the last of its watch.
    pub fn mark_last(&mut self) {
        if let Some(event) = self.events.last_mut() {
            event.last = true;
        }
    }

    /// What few events have: an errno value, and an old path, NUL-terminated where it stands;
    /// empty: there is none.
    #[inline]
    pub fn extra(&self, out: &Out) -> (i32, &[u8]) {
        if out.extra == 0 {
            return (0, &[]);
        }
        let Extra { error, old, old_len } = self.extras[out.extra as usize - 1];
        (error, &self.arena[old as usize..(old + old_len) as usize])
    }
}

/// Puts the paths of events together for delivery, one after the other.
#[derive(Default)]
pub struct Paths {
    buffer: Vec<u8>,
    // Where the directory in the buffer is in the arena, and its length; 0: none.
    dir: u32,
    dir_len: u32,
}

impl Paths {
    /// The batch has been emptied.
    pub fn clear(&mut self) {
        self.dir_len = 0;
    }

    /// The path of an event, a NUL, and where the name starts: at the NUL if there is none.
    #[inline]
    pub fn compose<'a>(&'a mut self, batch: &'a Batch, out: &Out) -> (&'a [u8], usize) {
        let (dir, dir_len) = (out.dir as usize, out.dir_len as usize);
        let (name, len) = (out.name as usize, usize::from(out.name_len));
        if name == dir + dir_len {
            // The first of its directory, or a path of its own: whole in the arena.
            return (&batch.arena[dir..=name + len], dir_len);
        }
        if self.dir != out.dir || self.dir_len != out.dir_len {
            (self.dir, self.dir_len) = (out.dir, out.dir_len);
            let need = dir_len + NAME_MAX + 1 + PIECE;
            if self.buffer.len() < need {
                self.buffer.resize(need * 2, 0);
            }
            self.buffer[..dir_len].copy_from_slice(&batch.arena[dir..dir + dir_len]);
        }
        if len < PIECE {
            let piece = &batch.arena[name..name + PIECE];
            self.buffer[dir_len..dir_len + PIECE].copy_from_slice(piece);
        } else {
            self.buffer[dir_len..=dir_len + len].copy_from_slice(&batch.arena[name..=name + len]);
        }
        (&self.buffer[..=dir_len + len], dir_len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Head = Head { watch: 1, mask: 2, cookie: 3, flags: 4 };

    fn paths(batch: &Batch) -> Vec<(Vec<u8>, usize)> {
        let mut paths = Paths::default();
        let compose = |at| {
            let (path, name) = paths.compose(batch, batch.get(at)?);
            assert_eq!(path.last(), Some(&0));
            Some((path[..path.len() - 1].to_vec(), name))
        };
        (0..).map_while(compose).collect()
    }

    #[test]
    fn entries_share_their_directory() {
        let mut batch = Batch::default();
        let long = [b'x'; 255];
        for _ in 0..2 {
            batch.set_dir(1, b"/a/");
            batch.push_entry(HEAD, b"one\0\0\0\0\0\0\0\0\0\0\0\0\0rest", 3);
            batch.push_entry(HEAD, b"two", 3);
            batch.push_path(HEAD, b"/root", 5);
            batch.set_dir(1, b"/a/");
            batch.push_entry(HEAD, &long, 255);
            batch.push_entry(HEAD, b"fifteen bytes..\0", 15);
            batch.push_entry(HEAD, b"sixteen bytes...\0\0", 16);
            batch.set_dir(2, b"/b/c/");
            batch.add_extra(5, b"/old");
            batch.push_entry(HEAD, b"three", 5);
            batch.set_dir(1, b"/a/");
            batch.push_entry(HEAD, b"four", 4);
            let names = [&b"one"[..], b"two", b"", &long, b"fifteen bytes..", b"sixteen bytes..."];
            let mut expected: Vec<_> =
                names.iter().map(|name| ([b"/a/", *name].concat(), 3)).collect();
            expected[2] = (b"/root".to_vec(), 5);
            expected.push((b"/b/c/three".to_vec(), 5));
            expected.push((b"/a/four".to_vec(), 3));
            assert_eq!(paths(&batch), expected);
            assert_eq!(batch.extra(batch.get(5).unwrap()), (5, &b"/old"[..]));
            assert_eq!(batch.extra(batch.get(6).unwrap()), (0, &b""[..]));
            batch.clear();
        }
    }
}
