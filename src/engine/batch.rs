//! What one turn of the engine hands over for delivery: events, with their paths in one arena.

/// One event to deliver.
#[derive(Clone, Copy, Debug)]
pub struct Out {
    /// Id of the watch.
    pub watch: i64,
    /// Kernel event bits.
    pub mask: u32,
    /// Rename cookie or 0.
    pub cookie: u32,
    /// Flags of the C interface.
    pub flags: u32,
    /// errno value or 0.
    pub error: i32,
    /// Where the path starts in the arena; it is NUL-terminated there.
    pub path: usize,
    /// Its length.
    pub path_len: usize,
    /// Where in the path the name starts; `path_len` if the event is about the root.
    pub name: usize,
    /// Where the old path starts, if `old_len` is not 0.
    pub old: usize,
    /// Its length; 0: there is none.
    pub old_len: usize,
    /// The watch has ended with this event.
    pub last: bool,
}

/// Events of one turn. Used again and again, so that nothing is allocated in steady state.
#[derive(Default)]
pub struct Batch {
    events: Vec<Out>,
    arena: Vec<u8>,
}

impl Batch {
    /// Empties it, keeping the memory unless a burst made it very large.
    pub fn clear(&mut self) {
        self.events.clear();
        self.arena.clear();
        self.arena.shrink_to(4 << 20);
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// The events, in order.
    pub fn events(&self) -> &[Out] {
        &self.events
    }

    /// The bytes that `Out::path` and `Out::old` point into.
    pub fn arena(&self) -> &[u8] {
        &self.arena
    }

    /// Puts a string into the arena, joined from a directory and an optional name, and returns
    /// where it starts, its length, and where the name starts in it.
    #[inline]
    pub fn put_path(&mut self, dir: &[u8], name: Option<&[u8]>) -> (usize, usize, usize) {
        let start = self.arena.len();
        self.arena.extend_from_slice(dir);
        let mut at = dir.len();
        if let Some(name) = name {
            if dir.last() != Some(&b'/') {
                self.arena.push(b'/');
                at += 1;
            }
            self.arena.extend_from_slice(name);
        }
        let len = self.arena.len() - start;
        self.arena.push(0);
        (start, len, at)
    }

    /// Appends an event.
    #[inline]
    pub fn push(&mut self, event: Out) {
        self.events.push(event);
    }

    /// Marks the newest event as the last of its watch.
    pub fn mark_last(&mut self) {
        if let Some(event) = self.events.last_mut() {
            event.last = true;
        }
    }
}
