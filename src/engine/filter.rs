//! What is not wanted: patterns, and the caller's own decision. Both are asked before a directory
//! is opened or watched. The patterns decide at once. The caller's function cannot be called from
//! here, so its questions are put on a list. Until one is answered a new directory is not touched.
//! One that is watched, and was renamed, stops the reading of the queue: what is behind the rename
//! must not be told if the answer is no.

use super::Engine;
use super::tree::{Flags, Marks, NONE, NodeId};
use super::watches::WatchFlags;
use super::world::World;
use crate::sys::Errno;

/// A question for the caller.
pub(super) struct Question {
    pub(super) node: NodeId,
    pub(super) number: u32,
    tag: u32,
    /// The directory waits to be scanned.
    task: bool,
    /// The directory is watched: what the queue has of it waits.
    halts: bool,
    /// It is being asked.
    taken: bool,
}

/// The same, as the caller is to be asked.
#[derive(Debug)]
pub struct Ask {
    /// For the answer.
    pub serial: u64,
    /// Id of the watch.
    pub watch: i64,
    /// The directory.
    pub path: Vec<u8>,
    /// Where its name starts in the path.
    pub name: usize,
    /// How far below the root, 1 or more.
    pub depth: u32,
}

impl<W: World> Engine<W> {
    /// Do the patterns let a directory in? Asked once for each name that it has.
    pub(super) fn judge(&mut self, number: u32, node: NodeId) -> bool {
        if self.tree.marks(node).intersects(Marks::LEFT_OUT | Marks::JUDGED) {
            return !self.tree.marks(node).contains(Marks::LEFT_OUT);
        }
        let Some(watch) = self.watches.get(number as usize).and_then(Option::as_ref) else {
            return true;
        };
        if watch.excludes.is_empty() {
            return true;
        }
        let excludes = &watch.excludes;
        let mut out = excludes.match_name(self.tree.name(node));
        if !out && excludes.has_paths() {
            self.tree.relative(node, &mut self.scratch);
            out = excludes.match_path(&self.scratch);
        }
        self.tree.mark(node, if out { Marks::LEFT_OUT } else { Marks::JUDGED });
        !out
    }

    /// May a directory be watched and listed now? If not it is left out, or the caller is to be
    /// asked, and the answer leads to another task.
    pub(super) fn admitted(&mut self, number: u32, node: NodeId, tag: u32) -> bool {
        if self.tree.node(node).parent == NONE {
            return true;
        }
        if !self.judge(number, node) {
            self.leave_out(node);
            return false;
        }
        let asks = self.watch(number).is_some_and(|watch| watch.asks);
        if !asks || self.tree.marks(node).contains(Marks::AGREED) {
            return true;
        }
        self.put_question(number, node, tag, true);
        false
    }

    /// A directory has come to have another name or another parent: whether it is wanted is decided
    /// anew. What is below it keeps what was decided of it.
    pub(super) fn reconsider(&mut self, number: u32, node: NodeId) {
        let Some(watch) = self.watch(number) else { return };
        let asks = watch.asks;
        if (watch.excludes.is_empty() && !asks) || self.tree.has(node, Flags::EXCLUDED) {
            return;
        }
        let task = self.withdraw(node);
        self.tree.unmark(node, Marks::LEFT_OUT | Marks::JUDGED | Marks::AGREED);
        if !self.judge(number, node) {
            self.leave_out(node);
        } else if asks {
            self.put_question(number, node, self.tag, task);
        }
    }

    fn put_question(&mut self, number: u32, node: NodeId, tag: u32, task: bool) {
        let task = self.withdraw(node) || task;
        self.count_task(tag, true);
        self.tree.mark(node, Marks::ASKED);
        let halts = self.tree.node(node).wd != 0;
        self.halts += usize::from(halts);
        self.asked += 1;
        let question = Question { node, number, tag, task, halts, taken: false };
        self.questions.push_back((self.asked, question));
    }

    /// Takes a question from the list. Its tag is still counted.
    fn take_question(&mut self, serial: u64) -> Option<Question> {
        let at = self.questions.binary_search_by_key(&serial, |&(serial, _)| serial).ok()?;
        let (_, question) = self.questions.remove(at)?;
        self.halts -= usize::from(question.halts);
        self.tree.unmark(question.node, Marks::ASKED);
        Some(question)
    }

    /// The question about a directory does not matter any more. True if the directory waited to be
    /// scanned.
    pub(super) fn withdraw(&mut self, node: NodeId) -> bool {
        if !self.tree.marks(node).contains(Marks::ASKED) {
            return false;
        }
        let mut at = self.questions.iter().filter(|(_, question)| question.node == node);
        let serial = at.next().map(|&(serial, _)| serial);
        serial.and_then(|serial| self.take_question(serial)).is_some_and(|question| {
            self.count_task(question.tag, false);
            question.task
        })
    }

    /// A directory is not wanted: whatever of it is watched is let go. It keeps its node, because
    /// its entry is still the parent's to tell.
    pub(super) fn leave_out(&mut self, node: NodeId) {
        self.let_go_all_of(node);
        self.tree.unmark(node, Marks::JUDGED | Marks::AGREED);
        self.tree.mark(node, Marks::LEFT_OUT);
    }

    /// The question that is to be put to the caller next: of a watch that is being made, or of all
    /// that are.
    pub fn next_question(&mut self, of: Option<super::WatchStart>) -> Option<Ask> {
        loop {
            let building = |number| self.is_building(number);
            let waiting = |(_, question): &&(u64, Question)| {
                !question.taken
                    && match of {
                        Some(start) => start.is(question.number),
                        None => !building(question.number),
                    }
            };
            let at = self.questions.iter().position(|question| waiting(&question))?;
            let &(serial, Question { node, number, .. }) = self.questions.get(at)?;
            if self.watch_of(node) != Some(number) {
                self.withdraw(node);
                continue;
            }
            if let Some((_, question)) = self.questions.get_mut(at) {
                question.taken = true;
            }
            let path = self.path_of(number, node);
            let name = path.len() - self.tree.name(node).len();
            let mut depth = 0;
            let mut at = self.tree.node(node).parent;
            while at != NONE {
                depth += 1;
                at = self.tree.node(at).parent;
            }
            let watch = self.watch(number).map_or(0, |watch| watch.id);
            return Some(Ask { serial, watch, path, name, depth });
        }
    }

    /// The caller has decided. An answer to a question that was withdrawn counts for nothing.
    pub fn answer(&mut self, serial: u64, wanted: bool) {
        let Some(Question { node, number, tag, task, .. }) = self.take_question(serial) else {
            return;
        };
        if self.watch_of(node) != Some(number) {
            // It was let go while the caller was asked.
        } else if !wanted {
            self.leave_out(node);
        } else {
            self.tree.mark(node, Marks::AGREED);
            if task {
                self.push_front(node, tag);
            }
        }
        self.count_task(tag, false);
    }

    /// Makes the descriptor readable if anything is left to do.
    pub fn rouse(&mut self) {
        if self.has_work() {
            self.wake();
        }
    }

    /// Its call has not returned yet: that one asks for it.
    pub(super) fn is_building(&self, number: u32) -> bool {
        self.watch(number).is_some_and(|watch| watch.building)
    }

    /// There are questions that the thread that reads is to ask.
    pub(super) fn has_questions(&self) -> bool {
        self.questions.iter().any(|(_, question)| !self.is_building(question.number))
    }

    /// There are questions of this watch.
    pub(super) fn questions_of(&self, number: u32) -> bool {
        self.questions.iter().any(|(_, question)| question.number == number)
    }

    /// Reaches an entry of an open directory, if it is on the file system of the root and no mount
    /// point.
    pub(super) fn open_on_mount(
        &mut self,
        number: u32,
        at: usize,
        name: &[u8],
    ) -> Result<Option<W::Dir>, Errno> {
        let (_, parent) = &self.open[at];
        let dir = match self.world.open_on_mount(parent, name) {
            Err(Errno(libc::EXDEV)) => return Ok(None),
            dir => dir?,
        };
        let (device, _) = self.world.identity(&dir)?;
        let root = self.watch(number).and_then(|watch| watch.identity);
        Ok((root.is_none_or(|(of_root, _)| of_root == device)).then_some(dir))
    }

    /// Does this watch end at mount points?
    pub(super) fn stays(&self, number: u32) -> bool {
        let stays = |watch: &super::Watch| watch.flags.contains(WatchFlags::ONE_FILE_SYSTEM);
        self.watch(number).is_some_and(stays)
    }
}
