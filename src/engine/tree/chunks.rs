//! Runs of bytes that are kept for a while, many small ones in one piece of memory: two calls of the
//! allocator for each directory that is listed are saved.

/// Bytes of a piece. Small, for it is kept as long as one run in it is.
const CHUNK: usize = 4096;

/// Pieces of which the list stays when nothing is kept.
const FEW: usize = 16;

/// Where a run is.
#[derive(Clone, Copy, Default)]
pub struct Run {
    chunk: u32,
    at: u32,
    len: u32,
}

impl Run {
    /// Its length.
    pub fn len(self) -> usize {
        self.len as usize
    }
}

#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    /// How many of them are of runs that are kept.
    kept: usize,
}

/// The runs.
#[derive(Default)]
pub struct Chunks {
    all: Vec<Chunk>,
    /// Those that have no memory.
    free: Vec<u32>,
    /// The one that is filled.
    current: Option<u32>,
    held: usize,
    kept: usize,
}

impl Chunks {
    /// Keeps what these parts are together.
    #[expect(clippy::cast_possible_truncation, reason = "places in memory for names of entries")]
    pub fn put(&mut self, parts: [&[u8]; 2]) -> Run {
        let len = parts[0].len() + parts[1].len();
        let at = match self.current.map(|at| (at, &self.all[at as usize].bytes)) {
            Some((at, bytes)) if bytes.len() + len <= CHUNK => at,
            _ => self.begin(len),
        };
        let chunk = &mut self.all[at as usize];
        let run = Run { chunk: at, at: chunk.bytes.len() as u32, len: len as u32 };
        for part in parts {
            chunk.bytes.extend_from_slice(part);
        }
        chunk.kept += len;
        self.kept += len;
        run
    }

    /// A new piece, which is the current one unless a run of this length fills it.
    #[expect(clippy::cast_possible_truncation, reason = "there is a run of bytes in each")]
    fn begin(&mut self, len: usize) -> u32 {
        let at = self.free.pop().unwrap_or(self.all.len() as u32);
        if at as usize == self.all.len() {
            self.all.push(Chunk::default());
        }
        let room = len.max(CHUNK);
        let chunk = &mut self.all[at as usize];
        chunk.bytes.reserve_exact(room);
        self.held += chunk.bytes.capacity();
        if len < CHUNK {
            let before = self.current.replace(at);
            // Nothing more comes into it.
            if let Some(before) = before.filter(|&at| self.all[at as usize].kept == 0) {
                self.release(before);
            }
        }
        at
    }

    /// The bytes of a run.
    pub fn get(&self, run: Run) -> &[u8] {
        if run.len == 0 {
            return &[];
        }
        &self.all[run.chunk as usize].bytes[run.at as usize..][..run.len()]
    }

    /// A run is not kept any more.
    pub fn drop(&mut self, run: Run) {
        if run.len == 0 {
            return;
        }
        self.kept -= run.len();
        if self.kept == 0 && self.all.len() > FEW {
            *self = Self::default();
            return;
        }
        let chunk = &mut self.all[run.chunk as usize];
        chunk.kept -= run.len();
        if chunk.kept > 0 {
            return;
        }
        if self.current == Some(run.chunk) {
            chunk.bytes.clear();
        } else if chunk.bytes.capacity() > 0 {
            self.release(run.chunk);
        }
    }

    fn release(&mut self, at: u32) {
        let chunk = std::mem::take(&mut self.all[at as usize]);
        self.held -= chunk.bytes.capacity();
        self.free.push(at);
    }

    /// Bytes of all runs.
    #[cfg(test)]
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// Bytes of memory held.
    pub fn memory(&self) -> usize {
        let tables = self.all.capacity() * size_of::<Chunk>() + self.free.capacity() * 4;
        self.held + tables
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_come_and_go() {
        let mut chunks = Chunks::default();
        let mut kept: Vec<(Run, Vec<u8>)> = Vec::new();
        let mut state = 1u64;
        let mut draw = |below: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) % below
        };
        for round in 0..20_000u64 {
            if draw(3) < 2 || kept.is_empty() {
                let len = if draw(50) == 0 { draw(3 * CHUNK as u64) } else { draw(200) };
                let text = vec![round as u8; len as usize];
                let (first, second) = text.split_at(len as usize / 3);
                kept.push((chunks.put([first, second]), text));
            } else {
                let (run, text) = kept.swap_remove(draw(kept.len() as u64) as usize);
                assert_eq!(chunks.get(run), text);
                chunks.drop(run);
            }
        }
        for (run, text) in &kept {
            assert_eq!(chunks.get(*run), text);
        }
        assert!(chunks.memory() > 0);
        for (run, _) in kept {
            chunks.drop(run);
        }
        assert_eq!((chunks.kept(), chunks.memory()), (0, 0));
        let run = chunks.put([b"few", b""]);
        chunks.drop(run);
        assert!(chunks.held <= CHUNK, "{} bytes are held for nothing", chunks.held);
    }
}
