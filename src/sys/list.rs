//! Listing a directory, and what getdents64(2) fills in.

use std::os::fd::AsRawFd;

use super::dir::{Dir, Kind};
use super::{Call, Errno, call_size};

/// What of struct linux_dirent64 is before the name: u64 ino, i64 off, u16 reclen, u8 type.
const HEAD: usize = 19;

/// One entry of a listing.
#[derive(Debug)]
pub struct Entry<'a> {
    /// Its name: bytes without a slash.
    pub name: &'a [u8],
    /// Inode number, of the directory that it names if something is mounted there.
    pub ino: u64,
    /// `None` if the file system does not say (DT_UNKNOWN).
    pub kind: Option<Kind>,
}

/// What getdents64(2) filled in, and how far it was read.
pub struct ListBuffer {
    bytes: Vec<u8>,
    at: usize,
    end: usize,
}

impl Default for ListBuffer {
    fn default() -> Self {
        Self { bytes: vec![0; 32 * 1024], at: 0, end: 0 }
    }
}

impl ListBuffer {
    /// The place of a buffer that is in use elsewhere.
    pub fn none() -> Self {
        Self { bytes: Vec::new(), at: 0, end: 0 }
    }

    /// Forgets what is left of an earlier listing.
    pub fn clear(&mut self) {
        self.at = 0;
        self.end = 0;
    }

    /// Bytes of memory held.
    pub fn memory(&self) -> usize {
        self.bytes.len()
    }
}

impl Dir {
    /// Reads on in the directory. False at its end.
    pub fn list(&self, buffer: &mut ListBuffer) -> Result<bool, Errno> {
        let len = buffer.bytes.len();
        #[cfg(feature = "faults")]
        let len = super::fault::list_size(len);
        // SAFETY: the kernel writes at most `len` bytes into the buffer.
        let got = call_size(Call::Getdents, || unsafe {
            libc::syscall(libc::SYS_getdents64, self.as_raw_fd(), buffer.bytes.as_mut_ptr(), len)
                as isize
        })?;
        #[cfg(feature = "faults")]
        super::fault::strip_types(&mut buffer.bytes[..got]);
        (buffer.at, buffer.end) = (0, got);
        Ok(got > 0)
    }
}

#[cfg(any(test, fuzzing))]
impl ListBuffer {
    /// What getdents64(2) would fill in for these entries.
    pub fn fill<'a>(&mut self, entries: impl Iterator<Item = Entry<'a>>) {
        self.bytes.clear();
        for entry in entries {
            let reclen = (19 + entry.name.len() + 1).next_multiple_of(8);
            let end = self.bytes.len() + reclen;
            self.bytes.extend(entry.ino.to_ne_bytes());
            self.bytes.extend(0i64.to_ne_bytes());
            self.bytes.extend(u16::try_from(reclen).unwrap_or(u16::MAX).to_ne_bytes());
            self.bytes.push(match entry.kind {
                None => libc::DT_UNKNOWN,
                Some(Kind::Directory) => libc::DT_DIR,
                Some(Kind::Other) => libc::DT_REG,
            });
            self.bytes.extend(entry.name);
            self.bytes.resize(end, 0);
        }
        (self.at, self.end) = (0, self.bytes.len());
    }
}

impl ListBuffer {
    /// The next entry, "." and ".." left out.
    pub fn next_entry(&mut self) -> Option<Entry<'_>> {
        loop {
            let record = self.bytes.get(self.at..self.end)?;
            let (head, rest) = record.split_first_chunk::<HEAD>()?;
            let reclen = usize::from(u16::from_ne_bytes([head[16], head[17]])).max(HEAD);
            let kind = match head[18] {
                libc::DT_UNKNOWN => None,
                libc::DT_DIR => Some(Kind::Directory),
                _ => Some(Kind::Other),
            };
            let field = rest.get(..reclen - HEAD).unwrap_or(rest);
            let len = until_nul(field);
            let dots = field.first() == Some(&b'.') && matches!(&field[..len], b"." | b"..");
            let start = self.at + HEAD;
            self.at += reclen;
            if !dots {
                let ino = inode_number(head);
                return Some(Entry { name: &self.bytes[start..start + len], ino, kind });
            }
        }
    }

    /// Inode number of the directory itself, if its own entry is in what was read. ext4 lists it among
    /// the others, in the order of their hashes.
    pub fn own_number(&self) -> Option<u64> {
        let mut at = self.at;
        loop {
            let record = self.bytes.get(at..self.end)?;
            let (head, rest) = record.split_first_chunk::<HEAD>()?;
            if rest.starts_with(b".\0") {
                return Some(inode_number(head));
            }
            at += usize::from(u16::from_ne_bytes([head[16], head[17]])).max(HEAD);
        }
    }
}

fn inode_number(head: &[u8; HEAD]) -> u64 {
    head.first_chunk().map_or(0, |number| u64::from_ne_bytes(*number))
}

/// Bytes before the first NUL, eight at a time.
#[inline]
pub fn until_nul(field: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    let (mut at, mut rest) = (0, field);
    while let Some((chunk, more)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        // The lowest bit that is set belongs to the first byte that is 0.
        let zero = word.wrapping_sub(ONES) & !word & (ONES << 7);
        if zero != 0 {
            return at + (zero.trailing_zeros() / 8) as usize;
        }
        (at, rest) = (at + 8, more);
    }
    at + rest.iter().position(|&b| b == 0).unwrap_or(rest.len())
}
