//! Open directories: opening without following symbolic links, listing, looking.

use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Call, Errno, call, call_size, refused, until_nul};

/// What an entry is, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A directory.
    Directory,
    /// Anything else.
    Other,
}

/// What is worth knowing of an entry, to tell later whether it has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Facts {
    /// What it is.
    pub kind: Kind,
    /// Inode number.
    pub ino: u64,
    /// Bytes.
    pub size: u64,
    /// Of the last change of its content: seconds, nanoseconds.
    pub mtime: (i64, i64),
    /// Of the last change of anything.
    pub ctime: (i64, i64),
    /// Type and permissions.
    pub mode: u32,
    /// User and group.
    pub owner: (u32, u32),
}

/// Most of a path that is given to one system call; PATH_MAX less the NUL and some room.
const CHUNK: usize = 4000;

/// Longer than a name may be (NAME_MAX, 255), so that a file system does not remember that there is
/// none: what is remembered of a directory that is being removed keeps it in memory, with its watch
/// (fs/namei.c, vfs_rmdir: shrink_dcache_parent passes over a name that is just being looked up).
const NO_NAME: &CStr = {
    const BYTES: [u8; 257] = {
        let mut bytes = [b'_'; 257];
        bytes[256] = 0;
        bytes
    };
    match CStr::from_bytes_with_nul(&BYTES) {
        Ok(name) => name,
        Err(_) => c"_",
    }
};

/// Numbers the open directories, because descriptors are used again.
static SERIAL: AtomicU64 = AtomicU64::new(1);

/// A descriptor that is closed with it. Not by close(2) of the C library, which is a cancellation point,
/// and that takes time in a process of several threads.
struct Fd(RawFd);

impl Drop for Fd {
    fn drop(&mut self) {
        // SAFETY: nobody else has the descriptor.
        unsafe { libc::syscall(libc::SYS_close, self.0) };
    }
}

/// An open directory.
pub struct Dir {
    fd: Fd,
    serial: u64,
    counts: Cell<Option<bool>>,
}

impl AsRawFd for Dir {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.0
    }
}

/// tmpfs of Linux 6.6 to 6.13 lists what was there at the opening, or when it was last sent back to
/// the beginning (fs/libfs.c, offset_dir_llseek); no other file system that is known does.
static LISTS_WHAT_IS_THERE: LazyLock<bool> =
    LazyLock::new(|| super::kernel_version().is_some_and(|version| version >= (6, 14)));

/// To list it. Whoever watches for IN_OPEN sees this.
const LIST: i32 = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC | libc::O_NONBLOCK;
/// To reach it: no event, and search permission is enough.
pub(super) const REACH: i32 = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;

impl Dir {
    /// Takes a descriptor that a system call of this file has just returned.
    fn own(fd: RawFd) -> Self {
        Self { fd: Fd(fd), serial: SERIAL.fetch_add(1, Ordering::Relaxed), counts: Cell::new(None) }
    }

    /// Whether it is on a file system that is known to count links, once that was noted.
    pub fn counts(&self) -> Option<bool> {
        self.counts.get()
    }

    /// Notes that.
    pub fn note_counts(&self, counts: bool) {
        self.counts.set(Some(counts));
    }

    /// A number of this opening, never used again.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    pub(super) fn open_at(at: RawFd, path: &CStr, flags: i32) -> Result<Self, Errno> {
        // SAFETY: `path` is NUL-terminated.
        call(Call::Open, || unsafe { libc::openat(at, path.as_ptr(), flags) }).map(Self::own)
    }

    /// Reaches a directory by path, of any length, following links (unless the last component is
    /// one and `nofollow` is set).
    pub fn open(path: &[u8], nofollow: bool) -> Result<Self, Errno> {
        let last = REACH | if nofollow { libc::O_NOFOLLOW } else { 0 };
        if path.len() <= CHUNK {
            return Self::open_at(libc::AT_FDCWD, &cstring(path)?, last);
        }
        let mut dir: Option<Self> = None;
        let mut rest = path;
        while !rest.is_empty() {
            let (head, tail) = chunk(rest);
            let at = dir.as_ref().map_or(libc::AT_FDCWD, Self::as_raw_fd);
            let flags = if tail.is_empty() { last } else { REACH };
            dir = Some(Self::open_at(at, &cstring(head)?, flags)?);
            rest = tail;
        }
        dir.ok_or(Errno(libc::ENOENT))
    }

    /// Opens a directory to list it: an entry of this one, or "." for this one itself.
    pub fn open_to_list(&self, name: &[u8]) -> Result<Self, Errno> {
        with_name(name, |name| Self::open_at(self.as_raw_fd(), name, LIST | libc::O_NOFOLLOW))
    }

    /// The same for an entry that is on the same mount, and so on the same file system.
    pub fn open_to_list_here(&self, name: &[u8]) -> Result<Self, Errno> {
        let flags = LIST | libc::O_NOFOLLOW;
        with_name(name, |name| openat2(self.as_raw_fd(), name, flags, libc::RESOLVE_NO_XDEV))
            .map(Self::own)
    }

    /// The same in the calling thread's current directory.
    pub(super) fn open_to_list_in_cwd(name: &CStr) -> Result<Self, Errno> {
        let flags = LIST | libc::O_NOFOLLOW;
        openat2(libc::AT_FDCWD, name, flags, libc::RESOLVE_NO_XDEV).map(Self::own)
    }

    /// Reaches one entry of the directory, which must itself be a directory.
    fn reach_child(&self, name: &[u8]) -> Result<Self, Errno> {
        Self::open_at(self.as_raw_fd(), &cstring(name)?, REACH | libc::O_NOFOLLOW)
    }

    /// Opens a directory below, of any depth, by a way that no symbolic link is part of. openat2(2)
    /// does it in one call; before Linux 5.6, or where a sandbox forbids it, one call a component.
    pub fn open_below(&self, path: &[u8]) -> Result<Self, Errno> {
        let mut dir: Option<Self> = None;
        let mut rest = path;
        while !rest.is_empty() {
            let (head, tail) = chunk(rest);
            let from = dir.as_ref().unwrap_or(self);
            let next = match from.open_beneath(head, 0) {
                Err(Errno(libc::ENOSYS | libc::EPERM)) => from.open_stepwise(head)?,
                other => other?,
            };
            dir = Some(next);
            rest = tail;
        }
        dir.ok_or(Errno(libc::EINVAL))
    }

    /// Reaches one entry of the directory unless it is a mount point (EXDEV). Without openat2(2) a
    /// mount point is known by its device: that of the same file system bound there is not.
    pub fn open_on_mount(&self, name: &[u8]) -> Result<Self, Errno> {
        match self.open_beneath(name, libc::RESOLVE_NO_XDEV) {
            Err(Errno(libc::ENOSYS | libc::EPERM)) => {
                let entry = self.reach_child(name)?;
                let same = entry.identity()?.0 == self.identity()?.0;
                if same { Ok(entry) } else { Err(Errno(libc::EXDEV)) }
            }
            other => other,
        }
    }

    fn open_beneath(&self, path: &[u8], more: u64) -> Result<Self, Errno> {
        let path = cstring(path)?;
        let resolve =
            libc::RESOLVE_BENEATH | libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_MAGICLINKS | more;
        // EAGAIN: a rename elsewhere raced with the walk; try again, a bounded number of times.
        for _ in 0..64 {
            match openat2(self.as_raw_fd(), &path, REACH | libc::O_NOFOLLOW, resolve) {
                Ok(fd) => return Ok(Self::own(fd)),
                Err(Errno(libc::EAGAIN)) => {}
                Err(errno) => return Err(errno),
            }
        }
        if more == 0 { self.open_stepwise(path.as_bytes()) } else { Err(Errno(libc::EAGAIN)) }
    }

    fn open_stepwise(&self, path: &[u8]) -> Result<Self, Errno> {
        let mut dir: Option<Self> = None;
        for name in path.split(|&b| b == b'/').filter(|name| !name.is_empty()) {
            dir = Some(dir.as_ref().unwrap_or(self).reach_child(name)?);
        }
        dir.ok_or(Errno(libc::EINVAL))
    }

    /// Waits until no operation on this directory's entries is under way: looking up a name that
    /// is in no cache takes the lock that creating, removing and renaming hold until they have told
    /// of it (fs/namei.c, lookup_slow and vfs_rename).
    /// False if there was no looking.
    pub fn settle(&self) -> bool {
        // That there is no such name is what makes it wait.
        let there = self.stat_at(NO_NAME).map(|_| ());
        matches!(there, Ok(()) | Err(Errno(libc::ENOENT | libc::ENAMETOOLONG)))
    }

    /// A directory that was opened before, on a file system that is known: the listing will have
    /// what is there now.
    pub fn rewind(&self) -> Result<(), Errno> {
        if *LISTS_WHAT_IS_THERE {
            return Ok(());
        }
        // SAFETY: no pointers.
        let at = call_size(Call::Getdents, || unsafe {
            libc::lseek(self.as_raw_fd(), 0, libc::SEEK_SET) as isize
        });
        at.map(|_| ())
    }

    /// Device and inode number of the directory itself.
    pub fn identity(&self) -> Result<(u64, u64), Errno> {
        self.stat(b"").map(|stat| (stat.st_dev, stat.st_ino))
    }

    /// Number of hard links of an entry that is a directory, and its device; 2 means that it has no
    /// subdirectory, on file systems that count them.
    pub fn links_of(&self, name: &[u8]) -> Result<(u64, u64), Errno> {
        self.stat(name).map(|stat| (stat.st_nlink, stat.st_dev))
    }

    /// Is an entry, a directory, on a file system that counts subdirectories as links? Only those
    /// that are known to: others may say 2 of every directory.
    pub fn counts_links(&self, name: &[u8]) -> bool {
        const KNOWN: [i64; 3] = [libc::EXT4_SUPER_MAGIC, libc::XFS_SUPER_MAGIC, libc::TMPFS_MAGIC];
        let entry = self.reach_child(name).and_then(|entry| entry.file_system());
        entry.is_ok_and(|kind| KNOWN.contains(&kind))
    }

    /// The magic number of its file system.
    pub(super) fn file_system(&self) -> Result<i64, Errno> {
        let mut stat = MaybeUninit::<libc::statfs>::uninit();
        // SAFETY: `stat` is filled when the call succeeds.
        call(Call::Statfs, || unsafe { libc::fstatfs(self.as_raw_fd(), stat.as_mut_ptr()) })?;
        // SAFETY: filled, for the call has succeeded.
        Ok(unsafe { stat.assume_init() }.f_type)
    }

    /// What an entry is; `ENOENT` if there is none.
    pub fn kind_of(&self, name: &[u8]) -> Result<Kind, Errno> {
        let stat = self.stat(name)?;
        let is_dir = stat.st_mode & libc::S_IFMT == libc::S_IFDIR;
        Ok(if is_dir { Kind::Directory } else { Kind::Other })
    }

    /// What is worth knowing of an entry.
    pub fn facts_of(&self, name: &[u8]) -> Result<Facts, Errno> {
        let stat = self.stat(name)?;
        let is_dir = stat.st_mode & libc::S_IFMT == libc::S_IFDIR;
        Ok(Facts {
            kind: if is_dir { Kind::Directory } else { Kind::Other },
            ino: stat.st_ino,
            size: stat.st_size.cast_unsigned(),
            mtime: (stat.st_mtime, stat.st_mtime_nsec),
            ctime: (stat.st_ctime, stat.st_ctime_nsec),
            mode: stat.st_mode,
            owner: (stat.st_uid, stat.st_gid),
        })
    }

    pub(super) fn stat(&self, name: &[u8]) -> Result<libc::stat, Errno> {
        with_name(name, |name| self.stat_at(name))
    }

    fn stat_at(&self, name: &CStr) -> Result<libc::stat, Errno> {
        let mut stat = MaybeUninit::<libc::stat>::uninit();
        let flags = libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH;
        // SAFETY: `name` is NUL-terminated, and `stat` has room for what the kernel writes.
        call(Call::Stat, || unsafe {
            libc::fstatat(self.as_raw_fd(), name.as_ptr(), stat.as_mut_ptr(), flags)
        })?;
        // SAFETY: filled, for the call has succeeded.
        Ok(unsafe { stat.assume_init() })
    }
}

fn openat2(at: RawFd, path: &CStr, flags: i32, resolve: u64) -> Result<RawFd, Errno> {
    // SAFETY: all zero is a valid open_how.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = u64::from(flags.cast_unsigned());
    how.resolve = resolve;
    // SAFETY: `path` and `how` are valid, and the size is that of `how`.
    call(Call::Openat2, || unsafe {
        let size = size_of::<libc::open_how>();
        libc::syscall(libc::SYS_openat2, at, path.as_ptr(), &raw const how, size) as i32
    })
}

/// Splits a long path at a slash; the rest has no leading slash.
fn chunk(path: &[u8]) -> (&[u8], &[u8]) {
    if path.len() <= CHUNK {
        return (path, &[]);
    }
    match path[..CHUNK].iter().rposition(|&b| b == b'/') {
        Some(slash) if slash > 0 => (&path[..slash], &path[slash + 1..]),
        _ => (path, &[]),
    }
}

/// A name with its NUL, without an allocation, and without writing more than the name.
pub(super) fn with_name<T>(
    name: &[u8],
    run: impl FnOnce(&CStr) -> Result<T, Errno>,
) -> Result<T, Errno> {
    if name == b"." {
        return run(c".");
    }
    let mut bytes = [MaybeUninit::<u8>::uninit(); 256];
    if name.len() >= bytes.len() {
        return Err(Errno(libc::ENAMETOOLONG));
    }
    if until_nul(name) != name.len() {
        return Err(Errno(libc::EINVAL));
    }
    let start = bytes.as_mut_ptr().cast::<u8>();
    // SAFETY: the name and its NUL have room, all of the slice is written then, and the NUL at its
    // end is the only one.
    let name = unsafe {
        start.copy_from_nonoverlapping(name.as_ptr(), name.len());
        start.add(name.len()).write(0);
        CStr::from_bytes_with_nul_unchecked(std::slice::from_raw_parts(start, name.len() + 1))
    };
    run(name)
}

pub(super) fn cstring(path: &[u8]) -> Result<CString, Errno> {
    CString::new(path).map_err(|_| Errno(libc::EINVAL))
}

/// A path that stays right when the process changes its current directory.
pub fn absolute(path: &[u8]) -> Result<Vec<u8>, Errno> {
    use std::os::unix::ffi::OsStringExt;
    if path.first() == Some(&b'/') {
        return Ok(path.to_vec());
    }
    if let Some(errno) = refused(Call::Getcwd) {
        return Err(errno);
    }
    let here = std::env::current_dir()
        .map_err(|error| Errno(error.raw_os_error().unwrap_or(libc::ENOENT)))?;
    let mut full = here.into_os_string().into_vec();
    if full.last() != Some(&b'/') {
        full.push(b'/');
    }
    full.extend_from_slice(path);
    Ok(full)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::ListBuffer;

    /// As the scan does it: opened, perhaps changed, then listed.
    #[test]
    fn a_listing_has_what_came_after_the_opening() {
        for base in ["/dev/shm", "/tmp"] {
            let path = format!("{base}/rinotify-opened-{}", std::process::id());
            if std::fs::create_dir(&path).is_err() {
                continue;
            }
            let dir = Dir::open(path.as_bytes(), true).unwrap();
            let opened = dir.open_to_list(b".").unwrap();
            let known = dir.counts_links(b".");
            std::fs::write(format!("{path}/later"), "").unwrap();
            let mut buffer = ListBuffer::default();
            let mut found = false;
            if known {
                opened.rewind().unwrap();
                while opened.list(&mut buffer).unwrap() {
                    while let Some(entry) = buffer.next_entry() {
                        found |= entry.name == b"later";
                    }
                }
            }
            std::fs::remove_dir_all(&path).unwrap();
            assert_eq!(found, known, "{base}");
        }
    }

    #[test]
    fn names_get_their_nul() {
        let long = [b'x'; 255];
        for name in [&b""[..], b".", b"name", &long] {
            let given = with_name(name, |name| Ok(name.to_bytes_with_nul().to_vec()));
            assert_eq!(given, Ok([name, b"\0"].concat()));
        }
        assert_eq!(with_name(&[b'x'; 256], |_| Ok(())), Err(Errno(libc::ENAMETOOLONG)));
        assert_eq!(with_name(b"a\0b", |_| Ok(())), Err(Errno(libc::EINVAL)));
    }
}
