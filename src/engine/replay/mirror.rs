//! What a consumer believes that only applies events, by the rules that the library promises.

use std::collections::{BTreeMap, HashMap};

use super::{Disk, Ino};
use crate::api::abi::RINOTIFY_EVENT_ROOT;
use crate::engine::Excludes;
use libc::{
    IN_CREATE, IN_DELETE, IN_DELETE_SELF, IN_IGNORED, IN_ISDIR, IN_MOVE_SELF, IN_MOVED_FROM,
    IN_MOVED_TO, IN_Q_OVERFLOW,
};

/// One event, as it was delivered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// Id of the watch.
    pub watch: i64,
    /// Event bits.
    pub mask: u32,
    /// Rename cookie.
    pub cookie: u32,
    /// Flags of the C interface.
    pub flags: u32,
    /// errno value.
    pub error: i32,
    /// Path of the entry.
    pub path: Vec<u8>,
    /// Where its name starts in the path.
    pub name: usize,
    /// Where it was.
    pub old: Option<Vec<u8>>,
    /// The watch has ended.
    pub last: bool,
}

/// What a watch leaves out.
#[derive(Clone, Default)]
pub struct Filter {
    /// Its patterns.
    pub excludes: Excludes,
    /// Names that its filter says no to.
    pub refused: Vec<Vec<u8>>,
}

/// An entry and what is below it.
#[derive(Default, PartialEq, Eq)]
pub struct Entry {
    is_dir: bool,
    left_out: bool,
    seen: Option<Seen>,
    below: BTreeMap<Vec<u8>, Entry>,
}

/// What a look showed at the last event that said that there is something new to see: inode
/// and versions. None if it came by a rename: the kernel merges renames that differ in their
/// cookie alone, and then it can be another.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    /// The directory that the path led to: another than the believed one, if that had been renamed
    /// and the event of it was still to come.
    dir: Ino,
    ino: Ino,
    versions: [u32; 2],
}

/// Looks at a path whose name begins at `name`.
fn look(disk: &Disk, path: &[u8], name: usize) -> Option<Seen> {
    let dir = path.get(..name.checked_sub(1)?)?;
    let (dir, ino) = (disk.resolve(dir).ok()?, disk.resolve(path).ok()?);
    Some(Seen { dir, ino, versions: disk.versions(ino) })
}

/// A believed tree.
pub struct Mirror {
    root: Vec<u8>,
    ino: Ino,
    filter: Filter,
    tree: Entry,
    kept: HashMap<u32, (Vec<u8>, Entry)>,
    /// After an overflow it knows the files, too.
    tracks: bool,
    /// Files were lost, and will not be told.
    lost: bool,
    name: Option<Followed>,
}

/// What is believed of a root that follows its name.
struct Followed {
    /// It must be a directory, and all below it is told.
    deep: bool,
    /// Something is there.
    there: bool,
    /// What a look at the path showed when it was last told of.
    seen: Option<(Ino, [u32; 2])>,
}

fn text(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

impl Mirror {
    /// Nothing is known of the tree at `root`, which is this inode.
    pub fn new(root: &[u8], ino: Ino, filter: Filter, tracks: bool) -> Self {
        let tree = Entry { is_dir: true, ..Entry::default() };
        let kept = HashMap::new();
        Self { root: root.to_vec(), ino, filter, tree, kept, tracks, lost: false, name: None }
    }

    /// Nothing is known of what the path leads to.
    pub fn following(path: &[u8], deep: bool, filter: Filter, tracks: bool) -> Self {
        let name = Some(Followed { deep, there: false, seen: None });
        Self { name, ..Self::new(path, 0, filter, tracks) }
    }

    /// Is it about a name?
    pub fn follows(&self) -> bool {
        self.name.is_some()
    }

    /// Does it follow its name, and nothing is there?
    pub fn is_vacant(&self) -> bool {
        self.name.as_ref().is_some_and(|name| !name.there)
    }

    /// An event of a watch that follows its name. True if that is all that there is to it.
    fn named(&mut self, told: &Told, disk: &Disk) -> Result<bool, String> {
        let Some(name) = &mut self.name else { return Ok(false) };
        let path = text(&self.root);
        let own = told.name >= told.path.len();
        let look = || disk.follow(&self.root).ok().map(|ino| (ino, disk.versions(ino)));
        if told.mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED) != 0 && own {
            return Err(format!("the end of {path} itself was told"));
        }
        if told.flags & RINOTIFY_EVENT_ROOT != 0 {
            let is_dir = told.mask & IN_ISDIR != 0;
            match told.mask & (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO) {
                IN_CREATE if name.there => return Err(format!("{path} was told already")),
                IN_CREATE | IN_MOVED_TO => name.there = true,
                IN_DELETE | IN_MOVED_FROM if !name.there => {
                    return Err(format!("{path} was not told"));
                }
                IN_DELETE | IN_MOVED_FROM if is_dir != self.tree.is_dir => {
                    return Err(format!("{path} was told to be something else"));
                }
                IN_DELETE | IN_MOVED_FROM => name.there = false,
                mask => return Err(format!("{mask:x} of the name {path}")),
            }
            self.tree = Entry { is_dir, ..Entry::default() };
            name.seen = look();
            return Ok(true);
        }
        if told.mask & IN_Q_OVERFLOW != 0 {
            name.seen = look();
        } else if told.mask != 0 && !name.there {
            return Err(format!("an event of {} while nothing was there", text(&told.path)));
        } else if own && told.mask != 0 {
            name.seen = look();
        }
        // What is below a directory that is not asked for all of it is another matter.
        Ok(!name.deep)
    }

    /// Is what a name leads to what was told?
    fn compare_name(&self, name: &Followed, disk: &Disk) -> Result<(), String> {
        let path = text(&self.root);
        let real = disk.follow(&self.root).ok();
        // What is no directory is an error there.
        let real = real.filter(|&ino| !name.deep || disk.is_dir(ino));
        let Some(ino) = real else {
            let gone = if name.there { Err(format!("{path} is not there")) } else { Ok(()) };
            return gone;
        };
        if !name.there {
            return Err(format!("{path} is there and was not told"));
        }
        if disk.is_dir(ino) != self.tree.is_dir {
            return Err(format!("{path} is something else"));
        }
        if name.deep {
            return differ(&self.root, &self.tree, disk, ino, self.lost);
        }
        let now = (ino, disk.versions(ino));
        if !disk.is_dir(ino) && name.seen != Some(now) {
            return Err(format!("{path} is {now:?}, was told {:?}", name.seen));
        }
        Ok(())
    }

    /// An entry has come to stand at a path: one that is left out has nothing below it.
    fn stand(&self, path: &[u8], entry: &mut Entry) {
        let below = path.strip_prefix(&self.root[..]).unwrap_or_default();
        let below = below.strip_prefix(b"/").unwrap_or(below);
        let name = below.rsplit(|&b| b == b'/').next().unwrap_or_default();
        let Filter { excludes, refused } = &self.filter;
        entry.left_out = entry.is_dir
            && (excludes.match_name(name)
                || excludes.match_path(below)
                || refused.iter().any(|refused| refused == name));
        if entry.left_out {
            entry.below.clear();
        }
    }

    /// Is nothing left out?
    pub fn wants_all(&self) -> bool {
        self.name.as_ref().is_none_or(|name| name.deep)
            && self.filter.refused.is_empty()
            && self.filter.excludes == Excludes::default()
    }

    /// May a directory be watched?
    pub fn wants(&self, path: &[u8]) -> bool {
        let below = path.strip_prefix(&self.root[..]).unwrap_or_default();
        let mut at = &self.tree;
        for name in below.split(|&b| b == b'/').filter(|name| !name.is_empty()) {
            match at.below.get(name) {
                Some(entry) if !entry.left_out => at = entry,
                _ => return false,
            }
        }
        true
    }

    /// The directories that are believed to be there and watched, if all are known.
    pub fn watched(&self) -> Option<Vec<Vec<u8>>> {
        if self.name.as_ref().is_some_and(|name| !name.deep) {
            return None;
        }
        let mut all = Vec::new();
        let mut stack = vec![(self.root.clone(), &self.tree)];
        if self.is_vacant() {
            stack.clear();
        }
        while let Some((path, entry)) = stack.pop() {
            for (name, below) in &entry.below {
                if below.is_dir && !below.left_out {
                    stack.push(([&path[..], b"/", name].concat(), below));
                }
            }
            all.push(path);
        }
        Some(all)
    }

    fn dir(&mut self, path: &[u8]) -> Result<&mut Entry, String> {
        let below = path
            .strip_prefix(&self.root[..])
            .ok_or_else(|| format!("{} is outside", text(path)))?;
        let mut at = &mut self.tree;
        for name in below.split(|&b| b == b'/').filter(|name| !name.is_empty()) {
            at = at
                .below
                .get_mut(name)
                .filter(|entry| entry.is_dir)
                .ok_or_else(|| format!("no directory was told at or above {}", text(path)))?;
            if at.left_out {
                return Err(format!("{} is in what is left out", text(path)));
            }
        }
        Ok(at)
    }

    /// Applies an event.
    pub fn apply(&mut self, told: &Told, disk: &Disk) -> Result<(), String> {
        if told.mask & IN_Q_OVERFLOW != 0 {
            self.lost = !self.tracks;
            self.kept.clear();
        }
        if self.named(told, disk)? {
            return Ok(());
        }
        let seen = look(disk, &told.path, told.name);
        let lost = self.lost;
        let bits = told.mask & (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO);
        let path = text(&told.path);
        if told.name >= told.path.len() {
            return if bits == 0 { Ok(()) } else { Err(format!("{path} has no name")) };
        }
        let name = &told.path[told.name..];
        let is_dir = told.mask & IN_ISDIR != 0;
        if bits == IN_MOVED_TO {
            return self.moved_to(told, name, is_dir, seen);
        }
        let mut come = Entry { is_dir, ..Entry::default() };
        self.stand(&told.path, &mut come);
        let here = self.dir(&told.path[..told.name])?;
        if bits == 0 {
            // One task can change an entry before the event of another, which made it, is queued;
            // and the name of one that is gone can still be told.
            if let Some(entry) = here.below.get_mut(name)
                && entry.seen.is_some()
            {
                entry.seen = seen;
            }
            return Ok(());
        }
        let known = here.below.get(name).map(|entry| entry.is_dir);
        if bits == IN_CREATE {
            let over_file = lost && known == Some(false);
            if known.is_some() && !over_file {
                return Err(format!("{path} was told already"));
            }
            here.below.insert(name.to_vec(), come);
            return Ok(());
        }
        match known {
            None if lost && !is_dir => return Ok(()),
            None => return Err(format!("{path} was not told")),
            Some(dir) if dir != is_dir => {
                return Err(format!("{path} was told to be something else"));
            }
            Some(_) => {}
        }
        let entry = here.below.remove(name).unwrap_or_default();
        if bits == IN_MOVED_FROM {
            self.kept.insert(told.cookie, (told.path.clone(), entry));
        }
        Ok(())
    }

    fn moved_to(
        &mut self,
        told: &Told,
        name: &[u8],
        is_dir: bool,
        seen: Option<Seen>,
    ) -> Result<(), String> {
        let path = text(&told.path);
        let kept = self.kept.remove(&told.cookie);
        let mut entry = match (&told.old, kept) {
            (Some(old), Some((from, mut entry))) if *old == from => {
                entry.seen = None;
                if entry.is_dir != is_dir {
                    return Err(format!("{path} is something else than what was taken away"));
                }
                entry
            }
            (Some(_), None) if self.lost && !is_dir => Entry::default(),
            (Some(old), kept) => {
                let kept = kept.map(|(from, _)| text(&from));
                return Err(format!("{path} comes from {}, kept is {kept:?}", text(old)));
            }
            (None, Some((from, _))) => {
                return Err(format!("{path} without old path, kept is {}", text(&from)));
            }
            (None, None) => Entry { is_dir, seen, ..Entry::default() },
        };
        self.stand(&told.path, &mut entry);
        let here = self.dir(&told.path[..told.name])?;
        here.below.insert(name.to_vec(), entry);
        Ok(())
    }

    /// Does the path of the root still lead to it?
    pub fn is_there(&self, disk: &Disk) -> bool {
        if let Some(name) = &self.name {
            // Nothing else can be in the way of one that is not there.
            return match disk.follow(&self.root) {
                Ok(ino) => !name.deep || disk.is_dir(ino),
                Err(_) => !disk.is_refused(&self.root),
            };
        }
        disk.resolve(&self.root) == Ok(self.ino)
    }

    /// Is that what is on the disk? Not asked if the root has moved: what could not be listed
    /// before that cannot be reached any more.
    pub fn compare(&self, disk: &Disk) -> Result<(), String> {
        if let Some(name) = &self.name {
            return self.compare_name(name, disk);
        }
        if !self.is_there(disk) {
            return Ok(());
        }
        differ(&self.root, &self.tree, disk, self.ino, self.lost)
    }
}

fn differ(path: &[u8], entry: &Entry, disk: &Disk, ino: Ino, lost: bool) -> Result<(), String> {
    let (false, Ok(real)) = (entry.left_out, disk.entries(ino)) else {
        return Ok(());
    };
    if !disk.covers(ino) {
        return Ok(());
    }
    let below = |name: &[u8]| [path, b"/", name].concat();
    for (name, entry) in &entry.below {
        if !real.contains_key(name) && (!lost || entry.is_dir) {
            return Err(format!("{} was told and is not there", text(&below(name))));
        }
    }
    let dir = ino;
    for (name, &(ino, _)) in real {
        let path = below(name);
        let believed = entry.below.get(name);
        if lost && !disk.is_dir(ino) && believed.is_none_or(|entry| !entry.is_dir) {
            continue;
        }
        let Some(entry) = believed else {
            return Err(format!("{} is there and was not told", text(&path)));
        };
        if entry.is_dir != disk.is_dir(ino) {
            return Err(format!("{} is something else", text(&path)));
        }
        if let (Some(seen), false) = (entry.seen, lost || disk.shared(ino) || entry.is_dir)
            && let (now, then) = ((ino, disk.versions(ino)), (seen.ino, seen.versions))
            && seen.dir == dir
            && now != then
        {
            return Err(format!("{} is {now:?}, was told {then:?}", text(&path)));
        }
        differ(&path, entry, disk, ino, lost)?;
    }
    Ok(())
}
