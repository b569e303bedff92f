//! The file system and the inotify queue of the replay: what each operation changes, and which
//! events the kernel queues for it, in its order (fs/namei.c; include/linux/fsnotify.h;
//! fs/notify/inotify). An operation changes the tree at once; its events land one by one, as long
//! as it holds the locks of its directories.

mod ops;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;

use crate::sys::{Errno, Facts, Kind};
use libc::{
    IN_ACCESS, IN_CLOSE_NOWRITE, IN_DELETE_SELF, IN_IGNORED, IN_ISDIR, IN_MASK_ADD, IN_MOVE_SELF,
    IN_ONESHOT, IN_OPEN, IN_Q_OVERFLOW,
};

/// An inode number.
pub type Ino = usize;
/// The root of everything.
const ROOT: Ino = 0;
/// Symbolic links that one path may lead through (include/linux/namei.h, MAXSYMLINKS).
const LINKS: u32 = 40;
/// Wds start here, so that small numbers in garbage hit some.
const FIRST_WD: i32 = 1;

/// A file or a directory.
pub struct Inode {
    /// The entries of a directory, each with its place in listings.
    pub entries: Option<BTreeMap<Vec<u8>, (Ino, u64)>>,
    /// Where a symbolic link leads.
    target: Option<Vec<u8>>,
    links: u32,
    /// How often its content and its attributes were changed.
    versions: [u32; 2],
    /// It has had two names: what is done to it by one is not told of the other.
    shared: bool,
    /// Where a directory is.
    place: Option<(Ino, Vec<u8>)>,
    handles: u32,
    /// What the mode lets the library do: 4 to read, 1 to search.
    mode: u8,
    /// Removed, and its end not told yet because it is open.
    gone: bool,
}

/// What the kernel watches at an inode.
#[derive(Clone, Copy)]
pub struct Mark {
    /// The watch descriptor.
    pub wd: i32,
    /// Event bits and modifiers.
    pub mask: u32,
}

/// An operation on the file system, by absolute paths.
#[derive(Clone, Debug)]
pub enum Op {
    /// mkdir(2)
    Mkdir(Vec<u8>),
    /// open(2) with `O_CREAT`, nothing else told
    Create(Vec<u8>),
    /// unlink(2)
    Unlink(Vec<u8>),
    /// rmdir(2)
    Rmdir(Vec<u8>),
    /// rename(2)
    Rename(Vec<u8>, Vec<u8>),
    /// renameat2(2) with `RENAME_EXCHANGE`
    Exchange(Vec<u8>, Vec<u8>),
    /// link(2)
    Link(Vec<u8>, Vec<u8>),
    /// symlink(2): what is written in it, and where it is
    Symlink(Vec<u8>, Vec<u8>),
    /// write(2)
    Write(Vec<u8>),
    /// chmod(2), to what the library may do then: 4 to read, 1 to search
    Chmod(Vec<u8>, u8),
    /// open(2) with `O_PATH`: another process has it open
    Hold(Vec<u8>),
    /// close(2) of what was opened first
    Release,
}

/// One thing that an operation has yet to tell.
enum Telling {
    /// Of an entry, to its directory.
    Entry(Ino, u32, u32, Vec<u8>),
    /// Of a directory, to the one it is in then (fs/notify/fsnotify.c, __fsnotify_parent).
    Inner(Ino, u32),
    /// Of an inode, to itself.
    Own(Ino, u32),
    /// It has no name any more.
    Gone(Ino),
}

/// An operation under way: the tree is changed, events are still to come.
struct Flight {
    serial: u64,
    locks: Vec<Ino>,
    tellings: VecDeque<Telling>,
}

/// Handles that were closed since the last look: the inode, and whether it was opened to list.
type Closed = Rc<RefCell<Vec<(Ino, bool)>>>;

/// An open directory.
pub struct Handle {
    /// What is open.
    pub ino: Ino,
    /// How far it was listed.
    pub at: Cell<u64>,
    /// It has been sent back to the beginning.
    pub again: Cell<bool>,
    listing: bool,
    closed: Closed,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.closed.borrow_mut().push((self.ino, self.listing));
    }
}

/// The tree, the marks and the queue.
pub struct Disk {
    inodes: Vec<Inode>,
    /// By inode.
    pub marks: HashMap<Ino, Mark>,
    next_wd: i32,
    queue: VecDeque<Vec<u8>>,
    /// Bytes that read(2) returns as they are, before the queue.
    pub garbage: VecDeque<Vec<u8>>,
    /// Events that the queue holds at most.
    pub queue_limit: usize,
    /// Inode numbers are used again.
    pub reuses: bool,
    /// What other processes have open.
    held: VecDeque<Ino>,
    closed: Closed,
    flights: Vec<Flight>,
    cookie: u32,
    serial: u64,
}

fn push_names(path: &[u8], names: &mut Vec<Vec<u8>>) {
    let some = |name: &&[u8]| !name.is_empty() && *name != b".";
    names.extend(path.split(|&b| b == b'/').rev().filter(some).map(<[u8]>::to_vec));
}

fn error<T>(errno: i32) -> Result<T, Errno> {
    Err(Errno(errno))
}

impl Default for Disk {
    fn default() -> Self {
        let mut disk = Self {
            inodes: Vec::new(),
            marks: HashMap::new(),
            next_wd: FIRST_WD,
            queue: VecDeque::new(),
            garbage: VecDeque::new(),
            queue_limit: 1 << 20,
            reuses: false,
            held: VecDeque::new(),
            closed: Closed::default(),
            flights: Vec::new(),
            cookie: 0,
            serial: 0,
        };
        disk.inode(true);
        disk
    }
}

impl Disk {
    /// A new inode. Also one that is in no directory, for the pokes.
    pub fn inode(&mut self, dir: bool) -> Ino {
        let entries = dir.then(BTreeMap::new);
        let links = u32::from(!dir);
        let free = if self.reuses { self.free_inode() } else { None };
        let mut inode = Inode {
            entries,
            target: None,
            links,
            versions: [0; 2],
            shared: false,
            place: None,
            handles: 0,
            mode: 5,
            gone: false,
        };
        if let Some(ino) = free {
            // Times go on.
            inode.versions = self.inodes[ino].versions.map(|version| version + 1);
            self.inodes[ino] = inode;
            return ino;
        }
        self.inodes.push(inode);
        self.inodes.len() - 1
    }

    /// An inode that nothing refers to any more.
    fn free_inode(&self) -> Option<Ino> {
        let idle = self.flights.is_empty() && self.closed.borrow().is_empty();
        let free = |&ino: &Ino| {
            let inode = &self.inodes[ino];
            let gone = if self.is_dir(ino) { self.is_dead(ino) } else { inode.links == 0 };
            gone && inode.handles == 0 && !self.marks.contains_key(&ino)
        };
        (0..self.inodes.len()).rev().filter(|_| idle).find(free)
    }

    /// Is it a directory?
    pub fn is_dir(&self, ino: Ino) -> bool {
        self.inodes[ino].entries.is_some()
    }

    /// The entries of a directory.
    pub fn entries(&self, ino: Ino) -> Result<&BTreeMap<Vec<u8>, (Ino, u64)>, Errno> {
        self.inodes[ino].entries.as_ref().ok_or(Errno(libc::ENOTDIR))
    }

    /// A removed directory has no entries, not even for a look.
    pub fn is_dead(&self, ino: Ino) -> bool {
        ino != ROOT && self.is_dir(ino) && self.inodes[ino].place.is_none()
    }

    /// The entry of this name.
    pub fn lookup(&self, dir: Ino, name: &[u8]) -> Result<Ino, Errno> {
        if name == b"." {
            return if self.is_dir(dir) { Ok(dir) } else { error(libc::ENOTDIR) };
        }
        if name.len() > 255 {
            return error(libc::ENAMETOOLONG);
        }
        self.entries(dir)?.get(name).map(|&(ino, _)| ino).ok_or(Errno(libc::ENOENT))
    }

    /// The directory above.
    pub fn above(&self, ino: Ino) -> Result<Ino, Errno> {
        match &self.inodes[ino].place {
            Some((dir, _)) => Ok(*dir),
            None if ino == ROOT => Ok(ROOT),
            None => error(libc::ENOENT),
        }
    }

    /// What a path leads to from a directory on.
    pub fn walk(&self, from: Ino, path: &[u8]) -> Result<Ino, Errno> {
        let names = path.split(|&b| b == b'/').filter(|name| !name.is_empty());
        names.into_iter().try_fold(from, |dir, name| self.lookup(dir, name))
    }

    /// The same from the root on.
    pub fn resolve(&self, path: &[u8]) -> Result<Ino, Errno> {
        self.walk(ROOT, path)
    }

    /// What a path leads to, through symbolic links.
    pub fn follow(&self, path: &[u8]) -> Result<Ino, Errno> {
        self.go(path, &|_, _| Ok(())).and_then(|(ino, only_dir)| self.at_end(ino, only_dir))
    }

    /// Is something in the way: a circle of links, or a file where a link ends in a slash?
    pub fn is_refused(&self, path: &[u8]) -> bool {
        match self.go(path, &|_, _| Ok(())) {
            Ok((ino, only_dir)) => self.at_end(ino, only_dir).is_err(),
            Err(errno) => errno.0 == libc::ELOOP,
        }
    }

    /// The same, as far as the modes let the library go.
    pub fn reach(&self, path: &[u8]) -> Result<Ino, Errno> {
        let may = |disk: &Self, dir| disk.search(dir, b".").map(|_| ());
        self.go(path, &may).and_then(|(ino, only_dir)| self.at_end(ino, only_dir))
    }

    fn at_end(&self, ino: Ino, only_dir: bool) -> Result<Ino, Errno> {
        if only_dir && !self.is_dir(ino) { error(libc::ENOTDIR) } else { Ok(ino) }
    }

    /// What a path leads to, and whether that has to be a directory, since the last link ends in a slash.
    fn go(
        &self,
        path: &[u8],
        may: &dyn Fn(&Self, Ino) -> Result<(), Errno>,
    ) -> Result<(Ino, bool), Errno> {
        let (mut at, mut links, mut only_dir) = (ROOT, 0, false);
        let mut names = Vec::new();
        push_names(path, &mut names);
        while let Some(name) = names.pop() {
            may(self, at)?;
            let ino = match &name[..] {
                b".." => self.above(at)?,
                name => self.lookup(at, name)?,
            };
            let Some(target) = self.target(ino) else {
                at = ino;
                continue;
            };
            links += 1;
            if links > LINKS {
                return error(libc::ELOOP);
            }
            if target.first() == Some(&b'/') {
                at = ROOT;
            }
            only_dir |= names.is_empty() && target.last() == Some(&b'/');
            push_names(target, &mut names);
        }
        Ok((at, only_dir))
    }

    /// What is written in a symbolic link.
    pub fn target(&self, ino: Ino) -> Option<&[u8]> {
        self.inodes[ino].target.as_deref()
    }

    /// How many names a file has.
    pub fn links(&self, ino: Ino) -> u32 {
        self.inodes[ino].links
    }

    /// The entry of this name, if the mode lets the library look it up.
    pub fn search(&self, dir: Ino, name: &[u8]) -> Result<Ino, Errno> {
        if self.is_dir(dir) && self.inodes[dir].mode & 1 == 0 {
            return error(libc::EACCES);
        }
        self.lookup(dir, name)
    }

    /// What a path leads the library to from a directory on.
    pub fn seek(&self, from: Ino, path: &[u8]) -> Result<Ino, Errno> {
        let names = path.split(|&b| b == b'/').filter(|name| !name.is_empty());
        names.into_iter().try_fold(from, |dir, name| self.search(dir, name))
    }

    /// May the library read it?
    pub fn readable(&self, ino: Ino) -> Result<(), Errno> {
        if self.inodes[ino].mode & 4 == 0 { error(libc::EACCES) } else { Ok(()) }
    }

    /// Can the library see what is in a directory?
    pub fn covers(&self, ino: Ino) -> bool {
        self.inodes[ino].mode == 5
    }

    fn parent<'a>(&self, path: &'a [u8]) -> Result<(Ino, &'a [u8]), Errno> {
        let Some(slash) = path.iter().rposition(|&b| b == b'/') else {
            return error(libc::EINVAL);
        };
        let (dir, name) = (self.resolve(&path[..slash])?, &path[slash + 1..]);
        if name.is_empty() || !self.is_dir(dir) {
            return error(libc::EINVAL);
        }
        if self.is_dead(dir) { error(libc::ENOENT) } else { Ok((dir, name)) }
    }

    /// How often its content and its attributes were changed.
    pub fn versions(&self, ino: Ino) -> [u32; 2] {
        self.inodes[ino].versions
    }

    /// It has had two names.
    pub fn shared(&self, ino: Ino) -> bool {
        self.inodes[ino].shared
    }

    /// What stat(2) says of it.
    pub fn facts(&self, ino: Ino) -> Facts {
        let [content, attributes] = self.inodes[ino].versions;
        let kind = if self.is_dir(ino) { Kind::Directory } else { Kind::Other };
        Facts {
            kind,
            ino: ino as u64,
            size: 0,
            mtime: (i64::from(content), 0),
            ctime: (i64::from(content), i64::from(attributes)),
            mode: attributes,
            owner: (0, 0),
        }
    }

    /// Opens a directory.
    pub fn handle(&mut self, ino: Ino, listing: bool) -> Result<Handle, Errno> {
        if !self.is_dir(ino) {
            return error(if self.target(ino).is_some() { libc::ELOOP } else { libc::ENOTDIR });
        }
        if listing {
            self.tell_looking(ino, IN_OPEN);
        }
        self.inodes[ino].handles += 1;
        let (at, again) = (Cell::new(0), Cell::new(false));
        Ok(Handle { ino, at, again, listing, closed: self.closed.clone() })
    }

    /// A directory was opened, read or closed.
    pub fn tell_looking(&mut self, ino: Ino, mask: u32) {
        debug_assert!(mask & (IN_OPEN | IN_ACCESS | IN_CLOSE_NOWRITE) != 0);
        if let Some((dir, name)) = self.inodes[ino].place.clone() {
            self.tell(dir, mask | IN_ISDIR, 0, &name);
        }
        self.tell(ino, mask | IN_ISDIR, 0, b"");
    }

    /// What the closing of handles causes. Called before anything else is queued.
    pub fn close_handles(&mut self) {
        loop {
            let Some((ino, listing)) = self.closed.borrow_mut().pop() else {
                return;
            };
            self.inodes[ino].handles -= 1;
            if listing {
                self.tell_looking(ino, IN_CLOSE_NOWRITE);
            }
            if self.inodes[ino].gone {
                self.end(ino);
            }
        }
    }

    // ---- marks and the queue

    /// inotify_add_watch(2)
    pub fn mark(&mut self, ino: Ino, mask: u32) -> Result<i32, Errno> {
        if mask & libc::IN_ONLYDIR != 0 && !self.is_dir(ino) {
            return error(libc::ENOTDIR);
        }
        let bits = mask & (libc::IN_ALL_EVENTS | IN_ONESHOT | libc::IN_EXCL_UNLINK);
        if bits & libc::IN_ALL_EVENTS == 0 {
            return error(libc::EINVAL);
        }
        if let Some(mark) = self.marks.get_mut(&ino) {
            assert!(mask & IN_MASK_ADD != 0, "a mask is replaced, which can lose events");
            mark.mask |= bits;
            return Ok(mark.wd);
        }
        let wd = self.next_wd;
        self.next_wd += 1;
        self.marks.insert(ino, Mark { wd, mask: bits });
        Ok(wd)
    }

    /// inotify_rm_watch(2), and what the kernel does by itself.
    pub fn unmark(&mut self, wd: i32) -> bool {
        let ino = self.marks.iter().find(|(_, mark)| mark.wd == wd).map(|(&ino, _)| ino);
        if let Some(ino) = ino {
            self.marks.remove(&ino);
            self.push(wd, IN_IGNORED, 0, b"");
        }
        ino.is_some()
    }

    fn tell(&mut self, ino: Ino, mask: u32, cookie: u32, name: &[u8]) {
        let Some(mark) = self.marks.get(&ino).copied() else {
            return;
        };
        if mark.mask & mask & libc::IN_ALL_EVENTS == 0 {
            return;
        }
        let bare = mask & (IN_DELETE_SELF | IN_MOVE_SELF) != 0;
        self.push(mark.wd, if bare { mask & !IN_ISDIR } else { mask }, cookie, name);
        if mark.mask & IN_ONESHOT != 0 {
            self.unmark(mark.wd);
        }
    }

    /// Puts an event into the queue, unless the newest one is the same (event_compare, which
    /// looks at no cookie), or there is no room.
    pub fn push(&mut self, wd: i32, mask: u32, cookie: u32, name: &[u8]) {
        let overflow = wd == -1;
        if !overflow && self.queue.len() >= self.queue_limit {
            // There is one at most (fs/notify/notification.c).
            let overflow = (-1i32).to_ne_bytes();
            let told = self.queue.iter().any(|event| event[..4] == overflow);
            if !told {
                self.push(-1, IN_Q_OVERFLOW, 0, b"");
            }
            return;
        }
        let len = if name.is_empty() { 0 } else { (name.len() + 1).next_multiple_of(16) };
        let mut bytes = Vec::with_capacity(16 + len);
        bytes.extend(wd.to_ne_bytes());
        bytes.extend(mask.to_ne_bytes());
        bytes.extend(cookie.to_ne_bytes());
        bytes.extend((len as u32).to_ne_bytes());
        bytes.extend(name);
        bytes.resize(16 + len, 0);
        let same = |last: &Vec<u8>| last[..8] == bytes[..8] && last[12..] == bytes[12..];
        if mask & IN_IGNORED == 0 && self.queue.back().is_some_and(same) {
            return;
        }
        self.queue.push_back(bytes);
    }

    /// read(2): whole events, as many as fit.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Errno> {
        if let Some(mut bytes) = self.garbage.pop_front() {
            let len = bytes.len().min(buffer.len());
            buffer[..len].copy_from_slice(&bytes[..len]);
            bytes.drain(..len);
            if !bytes.is_empty() {
                self.garbage.push_front(bytes);
            }
            return Ok(len);
        }
        let mut used = 0;
        while let Some(event) = self.queue.front() {
            if used + event.len() > buffer.len() {
                return if used == 0 { error(libc::EINVAL) } else { Ok(used) };
            }
            buffer[used..used + event.len()].copy_from_slice(event);
            used += event.len();
            self.queue.pop_front();
        }
        Ok(used)
    }

    /// Bytes in the queue.
    pub fn queued(&self) -> usize {
        self.queue.iter().chain(&self.garbage).map(Vec::len).sum()
    }

    // ---- operations
}
