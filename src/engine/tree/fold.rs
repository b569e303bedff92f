//! Entries that are no directories, without nodes: the names that a listing found, one behind the
//! other. Nothing outside the tree sees them: whoever asks for a child of such a directory gets
//! nodes, made then.

use super::chunks::Run;
use super::{FOLDED, Flags, NONE, NodeId, Tree};
use crate::engine::prints::Print;

/// The folded entries of one directory.
pub struct Fold {
    /// The first child that has a node; in a place that is free, the next free one.
    first: NodeId,
    count: u32,
    /// They have not been told yet.
    pending: bool,
    /// There is a print behind each name.
    printed: bool,
    names: Run,
}

/// Entries that are about to be folded: for each the length of its name, the name, and perhaps its
/// print.
#[derive(Default)]
pub struct Folding {
    // Longer than what is in it, so that nothing has to be made longer for one entry.
    bytes: Vec<u8>,
    end: usize,
    count: u32,
}

impl Folding {
    /// Adds an entry. One listing has either prints for all or for none.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "no more than 255")]
    pub fn push(&mut self, name: &[u8], print: Option<Print>) {
        const MOST: usize = 1 + 255 + Print::SIZE;
        if self.bytes.len() < self.end + MOST {
            self.bytes.resize((self.end + MOST) * 2, 0);
        }
        let field = &mut self.bytes[self.end..];
        // NAME_MAX is 255; a longer one cannot come from the kernel.
        let len = name.len().min(255);
        field[0] = len as u8;
        match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
            // Most are of this length, and so need no call to copy them: two halves that overlap.
            (Some(first), Some(last)) if len <= 16 => {
                field[1..9].copy_from_slice(first);
                field[len - 7..][..8].copy_from_slice(last);
            }
            _ => field[1..=len].copy_from_slice(&name[..len]),
        }
        self.end += 1 + len;
        if let Some(print) = print {
            self.bytes[self.end..][..Print::SIZE].copy_from_slice(&print.bytes());
            self.end += Print::SIZE;
        }
        self.count += 1;
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// The names of a fold, each with what is behind it, and its length.
struct Names<'a> {
    rest: &'a [u8],
    printed: bool,
}

impl<'a> Iterator for Names<'a> {
    type Item = (&'a [u8], usize);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (&len, field) = self.rest.split_first()?;
        let len = usize::from(len);
        self.rest = &field[len + if self.printed { Print::SIZE } else { 0 }..];
        Some((field, len))
    }
}

impl Tree {
    /// The first child. What is folded gets nodes.
    #[inline(never)]
    pub fn first(&mut self, id: NodeId) -> NodeId {
        self.unfold(id);
        self.node(id).first
    }

    /// The first child that has a node: all directories have.
    #[inline]
    pub fn first_dir(&self, id: NodeId) -> NodeId {
        let node = self.node(id);
        if node.is_folded() { self.folds[node.first as usize].first } else { node.first }
    }

    /// There are children, with nodes or without.
    pub fn has_children(&self, id: NodeId) -> bool {
        // A folded directory has the place of its fold there.
        self.node(id).first != NONE
    }

    pub(super) fn set_first(&mut self, id: NodeId, first: NodeId) {
        let node = self.node_mut(id);
        if node.is_folded() {
            let at = node.first as usize;
            self.folds[at].first = first;
        } else {
            node.first = first;
        }
    }

    /// Adds entries to a directory, which are no directories and that it does not have yet.
    pub fn fold(&mut self, id: NodeId, entries: &mut Folding, pending: bool, printed: bool) {
        self.added += u64::from(entries.count);
        if self.node(id).is_folded() {
            let fold = &mut self.folds[self.nodes[id as usize].first as usize];
            if (fold.pending, fold.printed) == (pending, printed) {
                let before = self.runs.get(fold.names).to_vec();
                self.runs.drop(fold.names);
                fold.names = self.runs.put([&before, entries.bytes()]);
                fold.count += entries.count;
                entries.clear();
                return;
            }
            self.unfold(id);
        }
        let names = self.runs.put([entries.bytes(), &[]]);
        let first = self.node(id).first;
        let fold = Fold { first, count: entries.count, pending, printed, names };
        entries.clear();
        let at = if self.free_fold == NONE {
            self.folds.push(fold);
            // As many as there are directories.
            NodeId::try_from(self.folds.len() - 1).unwrap_or(NONE)
        } else {
            let at = self.free_fold;
            self.free_fold = std::mem::replace(&mut self.folds[at as usize], fold).first;
            at
        };
        let node = self.node_mut(id);
        node.first = at;
        node.name.set(node.name.get() | FOLDED);
    }

    /// The names are still to be dropped.
    fn take_fold(&mut self, id: NodeId) -> Option<Fold> {
        if !self.node(id).is_folded() {
            return None;
        }
        let node = &mut self.nodes[id as usize];
        let at = node.first;
        let (first, names) = (self.free_fold, Run::default());
        let free = Fold { first, count: 0, pending: false, printed: false, names };
        let fold = std::mem::replace(&mut self.folds[at as usize], free);
        self.free_fold = at;
        node.first = fold.first;
        node.name.set(node.name.get() & !FOLDED);
        Some(fold)
    }

    /// Gives nodes to what is folded.
    #[inline]
    pub fn unfold(&mut self, id: NodeId) {
        if self.node(id).is_folded() {
            self.unfold_all(id);
        }
    }

    #[cold]
    fn unfold_all(&mut self, id: NodeId) {
        let Some(fold) = self.take_fold(id) else { return };
        let flags = if fold.pending { Flags::PENDING } else { Flags::empty() };
        let before = self.added;
        let names = self.runs.get(fold.names).to_vec();
        self.runs.drop(fold.names);
        for (field, len) in (Names { rest: &names, printed: fold.printed }) {
            let child = self.add(id, &field[..len], flags);
            if fold.printed {
                self.set_print(child, Print::read(&field[len..]));
            }
        }
        // They were counted when they were folded.
        self.added = before;
    }

    /// What is folded is of no interest any more.
    pub fn drop_fold(&mut self, id: NodeId) {
        if let Some(fold) = self.take_fold(id) {
            self.runs.drop(fold.names);
        }
    }

    /// How many entries are folded and have not been told yet.
    pub fn untold(&self, id: NodeId) -> usize {
        let node = self.node(id);
        if !node.is_folded() {
            return 0;
        }
        let fold = &self.folds[node.first as usize];
        if fold.pending { fold.count as usize } else { 0 }
    }

    /// The names of what is folded, each with what is behind it, and its length.
    pub fn folded(&self, id: NodeId) -> impl Iterator<Item = (&[u8], usize)> {
        let node = self.node(id);
        let fold = node.is_folded().then(|| &self.folds[node.first as usize]);
        let names = |fold: &Fold| Names { rest: self.runs.get(fold.names), printed: fold.printed };
        fold.into_iter().flat_map(names)
    }

    /// What is folded has been told.
    pub fn told(&mut self, id: NodeId) {
        let node = &self.nodes[id as usize];
        if node.is_folded() {
            self.folds[node.first as usize].pending = false;
        }
    }

    /// What is remembered of an entry.
    pub fn print(&self, id: NodeId) -> Print {
        self.prints.get(id as usize).copied().unwrap_or_default()
    }

    /// Remembers it.
    pub fn set_print(&mut self, id: NodeId, print: Print) {
        let at = id as usize;
        if at >= self.prints.len() {
            self.prints.resize(at + 1, Print::default());
        }
        self.prints[at] = print;
    }

    /// Forgets what is remembered of all entries.
    pub fn clear_prints(&mut self) {
        self.prints = Vec::new();
    }

    pub(super) fn memory_of_files(&self) -> usize {
        self.folds.capacity() * size_of::<Fold>()
            + self.runs.memory()
            + self.prints.capacity() * size_of::<Print>()
    }
}

impl Folding {
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.end]
    }

    fn clear(&mut self) {
        (self.end, self.count) = (0, 0);
    }
}
