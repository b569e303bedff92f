//! Listing a directory, and what getdents64(2) fills in.

use std::os::fd::AsRawFd;
use std::sync::LazyLock;

use super::dir::{Dir, Kind};
use super::{Call, Errno, call_size};

/// What of struct linux_dirent64 is before the name: u64 ino, i64 off, u16 reclen, u8 type.
const HEAD: usize = 19;
/// The longest of them: a name of NAME_MAX bytes and its NUL, rounded up to eight.
const LONGEST: usize = (HEAD + 256).next_multiple_of(8);
/// Bytes of a part, and to how many doublings of that a listing whose place was lost begins again.
const PART: usize = 32 * 1024;
const DOUBLED: u32 = 10;
/// Since Linux 6.6 a place in a tmpfs is the number of an entry, and going there costs nothing.
static HAS_PLACES: LazyLock<bool> =
    LazyLock::new(|| super::kernel_version().is_none_or(|version| version >= (6, 6)));

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
    /// The next part must begin with this entry.
    next: Vec<u8>,
    /// Something was read of this directory, and not held back what is next.
    loose: bool,
    /// How often it was begun again.
    again: u32,
}

impl Default for ListBuffer {
    fn default() -> Self {
        Self { bytes: vec![0; PART], ..Self::none() }
    }
}

impl ListBuffer {
    /// The place of a buffer that is in use elsewhere.
    pub fn none() -> Self {
        Self { bytes: Vec::new(), at: 0, end: 0, next: Vec::new(), loose: false, again: 0 }
    }

    /// Forgets what is left of an earlier listing.
    pub fn clear(&mut self) {
        (self.at, self.end) = (0, 0);
        self.next.clear();
        (self.loose, self.again) = (false, 0);
        if self.bytes.len() > PART {
            self.bytes = vec![0; PART];
        }
    }

    /// Bytes of memory held.
    pub fn memory(&self) -> usize {
        self.bytes.len()
    }
}

impl Dir {
    /// Reads on in the directory. False at its end. What was read before can come again.
    ///
    /// tmpfs keeps the place between two parts as the number of the entry that is next. If that
    /// goes meanwhile it goes on at the next lower number (fs/libfs.c, offset_dir_lookup), but the order
    /// of its listing is another one: what was exchanged, or put in the place of something else, has a
    /// low number and stands among the newest. So entries that nobody touched would be left out. Therefore
    /// the last entry of a part is read again with the next part, and if it does not come first, the
    /// listing begins again, in parts that are twice as long, so that it ends whatever happens. An
    /// overlayfs hands the places of what is below it through.
    pub fn list(&self, buffer: &mut ListBuffer) -> Result<bool, Errno> {
        let mut room = self.fill(buffer)?;
        // Without an end there was room for more: a signal ended the part before.
        let moved = match buffer.next.is_empty() {
            true => buffer.loose && buffer.end > 0,
            false => !buffer.begins_with_next(),
        };
        if moved && self.loses_its_place() {
            if buffer.again >= DOUBLED {
                return Err(Errno(libc::EAGAIN));
            }
            buffer.again += 1;
            let doubled = buffer.bytes.len() * 2;
            buffer.bytes.resize(doubled, 0);
            self.go_to(0)?;
            room = self.fill(buffer)?;
        }
        buffer.next.clear();
        let full = room - buffer.end < LONGEST;
        buffer.loose = !full;
        if full && self.loses_its_place() {
            self.hold_back(buffer)?;
        }
        Ok(buffer.end > 0)
    }

    /// Takes the last entry out of what was read, to be read again.
    fn hold_back(&self, buffer: &mut ListBuffer) -> Result<(), Errno> {
        let (mut at, mut place) = (0, 0);
        while let Some(head) = buffer.head(at) {
            let end = at + record_length(head);
            if end >= buffer.end {
                break;
            }
            (at, place) = (end, place_behind(head));
        }
        // A part with nothing but that one would make no progress.
        if at > 0 {
            self.go_to(place)?;
            // Its number, and the name with its NUL, behind which there is whatever was there before.
            let field = &buffer.bytes[at + HEAD..buffer.end];
            let name = &field[..field.len().min(until_nul(field) + 1)];
            buffer.next.extend_from_slice(&buffer.bytes[at..at + 8]);
            buffer.next.extend_from_slice(name);
            buffer.end = at;
        }
        Ok(())
    }

    fn go_to(&self, place: i64) -> Result<(), Errno> {
        // SAFETY: no pointers.
        let at = call_size(Call::Getdents, || unsafe {
            libc::lseek(self.as_raw_fd(), place, libc::SEEK_SET) as isize
        });
        at.map(|_| ())
    }

    /// Can a listing go on at the wrong place?
    fn loses_its_place(&self) -> bool {
        const PLACES: [i64; 2] = [libc::TMPFS_MAGIC, libc::OVERLAYFS_SUPER_MAGIC];
        *HAS_PLACES && self.file_system().is_ok_and(|kind| PLACES.contains(&kind))
    }

    /// One getdents64(2). Returns how much there was room for.
    fn fill(&self, buffer: &mut ListBuffer) -> Result<usize, Errno> {
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
        Ok(len)
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
    fn head(&self, at: usize) -> Option<&[u8; HEAD]> {
        self.bytes.get(at..self.end)?.first_chunk()
    }

    /// Is the first entry the one that was held back?
    fn begins_with_next(&self) -> bool {
        let (number, name) = self.next.split_at(8);
        let read = &self.bytes[..self.end];
        read.starts_with(number) && read.get(HEAD..).is_some_and(|read| read.starts_with(name))
    }

    /// The next entry, "." and ".." left out.
    pub fn next_entry(&mut self) -> Option<Entry<'_>> {
        loop {
            let record = self.bytes.get(self.at..self.end)?;
            let (head, rest) = record.split_first_chunk::<HEAD>()?;
            let reclen = record_length(head);
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
            at += record_length(head);
        }
    }
}

fn record_length(head: &[u8; HEAD]) -> usize {
    usize::from(u16::from_ne_bytes([head[16], head[17]])).max(HEAD)
}

/// Where a listing goes on behind an entry.
fn place_behind(head: &[u8; HEAD]) -> i64 {
    head[8..].first_chunk().map_or(0, |place| i64::from_ne_bytes(*place))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::fs;

    fn part(dir: &Dir, buffer: &mut ListBuffer, seen: &mut BTreeMap<String, u32>) -> bool {
        let more = dir.list(buffer).unwrap();
        while let Some(entry) = buffer.next_entry() {
            *seen.entry(String::from_utf8_lossy(entry.name).into_owned()).or_default() += 1;
        }
        more
    }

    /// Lists 3,000 files, where that is possible; `change` is told after the first part what comes next.
    fn listed(base: &str, change: impl Fn(&str, &str)) -> Option<BTreeMap<String, u32>> {
        let path = format!("{base}/rinotify-parts-{}", std::process::id());
        // Behind names of other lengths there is what was in the buffer before.
        let file = |number: usize| format!("{path}/{number:04}{}", &"xxxxxxx"[..number % 8]);
        if fs::create_dir(&path).is_err() {
            return None;
        }
        for number in 0..3000 {
            fs::write(file(number), "").unwrap();
        }
        // What takes the place of another has its number, but stands among the newest.
        for number in (0..3000).step_by(2) {
            fs::write(format!("{path}/new"), "").unwrap();
            fs::rename(format!("{path}/new"), file(number)).unwrap();
        }
        let dir = Dir::open(path.as_bytes(), true).unwrap().open_to_list(b".").unwrap();
        let (mut buffer, mut seen, mut all) =
            (ListBuffer::default(), BTreeMap::new(), BTreeMap::new());
        assert!(part(&dir, &mut buffer, &mut seen));
        let rest = Dir::open(path.as_bytes(), true).unwrap().open_to_list(b".").unwrap();
        let mut ahead = ListBuffer::default();
        assert!(part(&rest, &mut ahead, &mut all));
        assert_eq!(seen, all);
        ahead.bytes.truncate(1024);
        let next = loop {
            assert!(rest.list(&mut ahead).unwrap());
            let first = ahead.next_entry().map(|entry| entry.name.to_vec());
            if let Some(name) = first.and_then(|name| String::from_utf8(name).ok()) {
                break name;
            }
        };
        assert!(!seen.contains_key(&next));
        change(&path, &format!("{path}/{next}"));
        while part(&dir, &mut buffer, &mut seen) {}
        for entry in fs::read_dir(&path).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(name == "new" || seen.contains_key(&name), "{name} is missing, {base}");
        }
        fs::remove_dir_all(&path).unwrap();
        Some(seen)
    }

    /// Whatever comes next is gone by then, each time.
    #[test]
    fn a_listing_in_parts_ends() {
        let path = format!("/dev/shm/rinotify-ends-{}", std::process::id());
        if fs::create_dir(&path).is_err() {
            return;
        }
        for number in 0..5000 {
            fs::write(format!("{path}/{number}"), "").unwrap();
        }
        let dir = Dir::open(path.as_bytes(), true).unwrap().open_to_list(b".").unwrap();
        let (mut buffer, mut seen) = (ListBuffer::default(), BTreeMap::new());
        while part(&dir, &mut buffer, &mut seen) {
            if let Some(name) = buffer.next.get(8..) {
                let name = String::from_utf8_lossy(&name[..until_nul(name)]).into_owned();
                fs::remove_file(format!("{path}/{name}")).unwrap();
            }
        }
        let left: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap()).collect();
        assert!(left.len() < 5000 || !dir.loses_its_place());
        for entry in left {
            assert!(seen.contains_key(entry.file_name().to_str().unwrap()), "{entry:?} is missing");
        }
        buffer.clear();
        assert_eq!(buffer.memory(), PART);
        fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn a_listing_in_parts_misses_nothing() {
        for base in ["/dev/shm", "/tmp"] {
            listed(base, |_, next| fs::remove_file(next).unwrap());
            if base == "/tmp" {
                continue;
            }
            let once = |seen: BTreeMap<_, _>| seen.len() == 3000 && seen.values().all(|&n| n == 1);
            assert!(listed(base, |_, _| {}).is_none_or(once));
            listed(base, |path, next| fs::rename(next, format!("{path}/new")).unwrap());
            listed(base, |path, next| {
                fs::write(format!("{path}/new"), "").unwrap();
                fs::rename(format!("{path}/new"), next).unwrap();
            });
        }
    }
}
