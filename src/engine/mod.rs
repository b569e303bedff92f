//! All the thinking: from bytes of the queue to events with true paths.
#![forbid(unsafe_code)]

mod ahead;
mod apply;
mod barrier;
mod batch;
mod blockers;
mod chains;
mod change;
mod claim;
mod compare;
mod control;
mod coverage;
mod doubts;
mod entries;
mod exchange;
mod figures;
mod filter;
mod flags;
mod follow;
mod gaps;
mod glob;
mod hidden;
mod index;
mod input;
mod list;
mod looks;
mod mask;
mod moves;
mod names;
mod prints;
mod reach;
mod recheck;
mod release;
#[cfg(any(test, fuzzing))]
pub mod replay;
mod rescan;
mod retry;
mod scan;
mod seek;
mod settle;
mod stayed;
mod tell;
mod tree;
mod walk;
mod watches;
mod way;
mod wds;
mod work;
mod world;

use std::cell::Cell;
use std::collections::{HashMap, HashSet, VecDeque};

pub use batch::{Batch, Head, Paths};
pub use control::{Request, WatchStart};
pub use coverage::Uncovered;
pub use filter::Ask;
pub use glob::Excludes;
pub use mask::{EVENTS, MODIFIERS, UNASKED};
pub use watches::{Coverage, Failure, WatchFlags};
pub use world::{Kernel, World};

use crate::sys::{Errno, Kind, ListBuffer};
use barrier::Barrier;
use exchange::Exchanges;
use filter::Question;
use gaps::Gaps;
use hidden::Hidden;
use input::Input;
use list::Listing;
use moves::Held;
use prints::Prints;
use release::Doomed;
use scan::Task;
use settle::{Settling, Window};
use tell::{Near, Notice};
use tree::{Folding, NONE, NodeId, Tree};
use watches::Watch;
use wds::Wds;

/// The step whose failure a watcher may not survive.
pub const READ: &str = "read";

/// How much one turn may do.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes a read.
    pub read_size: usize,
    /// Events a turn.
    pub max_events: usize,
    /// Directory entries a turn.
    pub max_scan: usize,
}

/// Counters for the statistics.
#[derive(Clone, Copy, Default, Debug)]
pub struct Counters {
    /// read(2) calls that returned something.
    pub reads: u64,
    /// Kernel events read.
    pub kernel_events: u64,
    /// Synthetic events made.
    pub synthetic: u64,
    /// Overflows seen.
    pub overflows: u64,
}

/// The state of one watcher, without its callbacks.
pub struct Engine<W: World> {
    /// The kernel.
    pub world: W,
    limits: Limits,
    input: Input,
    tree: Tree,
    wds: Wds,
    watches: Vec<Option<Watch>>,
    by_id: HashMap<i64, u32>,

    // Texts of renames that are over, to be used again.
    spare: Vec<Vec<u8>>,
    // Renames: first halves of entries that are not watched, and second halves told ahead.
    held: Vec<Held>,
    done: Vec<(u32, u32, u32)>,
    exchanges: Exchanges,
    // Position, watch, mask: what is to be told behind a CREATE or a MOVED_TO in the buffer.
    ahead_of: Vec<(usize, u32, u32)>,

    // Scanning. How many tasks and listings of each tag there are, by the tag.
    tasks: VecDeque<Task>,
    open_tasks: Vec<(u32, usize)>,
    blocked: Vec<Task>,
    listing: Option<Listing<W::Dir>>,
    list_buffer: ListBuffer,
    // What a listing has found, on its way into the tree.
    folding: Folding,
    open: Vec<(NodeId, W::Dir)>,
    gaps: Gaps,
    rechecks: Vec<Recheck>,
    // What the callers' filters are to be asked, by a number of its own.
    questions: VecDeque<(u64, Question)>,
    asked: u64,
    // Those without whose answer the queue cannot be used any further.
    halts: usize,
    // Directories whose watch has less than is wanted, and that could not be reached.
    narrow: Vec<NodeId>,
    max_wd: i32,
    young_from: i32,
    // Directories that were watched for less before, and the poke behind what was queued then.
    joins: Vec<(NodeId, u64)>,
    stale: bool,

    // After a loss of events: the poke that ends it, the tag of what is compared then, roots that
    // are still to be looked at.
    resync: Option<u64>,
    rescan: Option<u32>,
    roots: Vec<u32>,
    // Since then, and until all of them are, a bit for each node that is certain to be where it is
    // believed to be; the second: whether all are is to be found out.
    placed: Option<Vec<u64>>,
    // A bit for each that was compared without being listed.
    leaves: Vec<u64>,
    unplaced: bool,
    // From here on what was read has not been looked through for directories that are still to come.
    unforeseen: Option<usize>,
    // What is remembered of entries, if a watch wants it.
    prints: Prints,
    tracking: bool,

    // A watch asks for what the library's own looking causes, and how much of it may be caused yet.
    looking: bool,
    looks: usize,

    // Windows: claims and listings that wait for the queue to catch up.
    unsealed: Vec<Window>,
    /// Windows of watches that are being made.
    early: Vec<Window>,
    // So many of them have been met by an empty queue.
    early_quiet: usize,
    /// Directories in which names were looked up to watch what they lead to, and nothing has waited
    /// since for what was under way in them.
    looked_up: Vec<NodeId>,
    windows: VecDeque<Window>,
    settling: Option<Settling>,
    issued: u64,
    seen: u64,
    // Why a poke could not be made that is due.
    unpoked: Option<Errno>,
    unmarked: Option<Errno>,
    tag: u32,
    sync: Option<Barrier>,

    // The ways to names that are followed, and watches whose way is to be looked at again.
    hidden: Hidden,
    to_look: VecDeque<seek::Glance>,
    /// Directories that are listed once more because of other flags; those that are to be when they have
    /// been told.
    relisted: HashSet<NodeId>,
    to_relist: HashSet<NodeId>,
    // A watch was given back to the kernel.
    room: bool,

    // Subtrees whose kernel watches are still to be removed.
    doomed: Doomed,
    notices: VecDeque<Notice>,
    // One of them tells a loss of events, which waits for no other.
    alarmed: bool,

    near: Near,
    // A directory, and the watch it is in; forgotten as what is near.
    kin: Cell<(NodeId, u32)>,
    scratch: Vec<u8>,
    aliases: Vec<NodeId>,

    /// Counters.
    pub counters: Counters,
}

/// An entry of which the queue did not say whether it still exists, after the MOVED_FROM of this
/// cookie.
struct Recheck {
    dir: NodeId,
    name: Vec<u8>,
    cookie: u32,
    /// What it is; `None` if that is not known.
    kind: Option<Kind>,
    /// It is known to exist, and is to be told after that MOVED_FROM.
    there: bool,
    /// That MOVED_FROM has been used.
    open: bool,
    tries: u16,
    tag: u32,
    /// The directory may not be searched; and how often that was so.
    put_off: bool,
    times: u8,
    /// Nothing is there; whether something was, the queue tells before this poke.
    gone: Option<u64>,
}

impl<W: World> Engine<W> {
    /// An engine without watches.
    pub fn new(world: W, limits: Limits) -> Self {
        Self {
            world,
            limits,
            input: Input::new(limits.read_size),
            tree: Tree::default(),
            wds: Wds::default(),
            watches: Vec::new(),
            by_id: HashMap::new(),
            spare: Vec::new(),
            held: Vec::new(),
            done: Vec::new(),
            exchanges: Exchanges::default(),
            ahead_of: Vec::new(),
            tasks: VecDeque::new(),
            open_tasks: Vec::new(),
            blocked: Vec::new(),
            listing: None,
            list_buffer: ListBuffer::default(),
            folding: Folding::default(),
            open: Vec::new(),
            gaps: Gaps::default(),
            rechecks: Vec::new(),
            questions: VecDeque::new(),
            asked: 0,
            halts: 0,
            narrow: Vec::new(),
            max_wd: 0,
            young_from: 1,
            joins: Vec::new(),
            stale: false,
            resync: None,
            rescan: None,
            roots: Vec::new(),
            placed: None,
            leaves: Vec::new(),
            unplaced: false,
            unforeseen: None,
            prints: Prints::default(),
            tracking: false,
            looking: false,
            looks: usize::MAX,
            unsealed: Vec::new(),
            early: Vec::new(),
            early_quiet: 0,
            looked_up: Vec::new(),
            windows: VecDeque::new(),
            settling: None,
            issued: 0,
            seen: 0,
            unpoked: None,
            unmarked: None,
            tag: 0,
            sync: None,
            hidden: Hidden::default(),
            to_look: VecDeque::new(),
            relisted: HashSet::new(),
            to_relist: HashSet::new(),
            room: false,
            doomed: Doomed::default(),
            notices: VecDeque::new(),
            alarmed: false,
            near: Near::default(),
            kin: Cell::new((NONE, 0)),
            scratch: Vec::new(),
            aliases: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// A bounded amount of work; events go to `batch`. True if work was done or is left.
    pub fn turn(&mut self, batch: &mut Batch) -> Result<bool, Failure> {
        let mut worked = false;
        let calm = self.is_calm();
        if self.halts == 0 {
            worked |= !calm && self.finish(batch);
            // What is due comes before anything that is queued.
            let due = self.window_due() || self.loss_due();
            if self.input.is_empty() && !self.full(batch) && !due {
                let failed = |errno| Failure::new(errno, READ, Vec::new());
                worked |= self.fill().map_err(failed)? > 0;
                if self.rescan.is_some() {
                    // All that a comparison is ahead of.
                    self.read_all();
                }
            }
            worked |= self.process(batch);
        }
        if calm && worked && self.is_calm() {
            // The rest of a turn would find nothing to do, and the callbacks wait for it.
            self.outdate();
            return Ok(true);
        }
        if self.input.is_empty() && !self.full(batch) && self.halts == 0 {
            worked |= self.scan(self.limits.max_scan);
            worked |= self.finish(batch);
        }
        if self.let_go_some(256) {
            worked = true;
        }
        self.close_all();
        self.end_rescan();
        self.all_placed();
        self.mark_lost_again();
        let left = self.has_work();
        if left {
            if !self.doomed.echoes() {
                self.wake();
            }
        } else if !worked && self.tracking {
            // Not while the tree is busy: what a look sees then can be lost before it is told.
            self.refresh();
        }
        self.poke_again()?;
        if !self.input.is_empty() || left {
            return Ok(true);
        }
        Ok(worked)
    }

    fn full(&self, batch: &Batch) -> bool {
        batch.len() >= self.limits.max_events || batch.is_large()
    }

    /// One read of the queue.
    fn fill(&mut self) -> Result<usize, Errno> {
        if self.input.is_empty() {
            // All of it is about events in the buffer.
            self.exchanges.clear();
            self.ahead_of.clear();
            self.done.clear();
        }
        let world = &mut self.world;
        let got = self.input.fill(|buffer| world.read(buffer))?;
        self.queue_was_read();
        if got > 0 {
            self.counters.reads += 1;
            // What could not be reached may be now, whatever it was that came.
            self.stale |= !self.blocked.is_empty() || self.to_recheck();
            if self.rescan.is_some() {
                // Not at once: an event can be in the middle of being used.
                self.unforeseen.get_or_insert(self.input.end() - got);
            }
        }
        Ok(got)
    }

    /// What was begun: windows that can close, notices.
    fn finish(&mut self, batch: &mut Batch) -> bool {
        let mut worked = false;
        // Most windows close without a word, so events alone do not bound it.
        for _ in 0..self.limits.max_scan {
            if self.full(batch) {
                break;
            }
            if let Some(at) = self.next_notice() {
                self.tell_notice(batch, at);
            } else if !self.settle_some(batch) && !self.close_gap() {
                break;
            }
            worked = true;
        }
        worked
    }

    /// Makes the descriptor readable, if nothing else does.
    pub fn wake(&mut self) {
        if self.perhaps_empty() {
            self.poke();
        }
    }

    /// There may be nothing in the queue.
    fn perhaps_empty(&mut self) -> bool {
        matches!(self.world.queued(), 0 | usize::MAX)
    }

    /// Queues an event of our own; returns its number. If that fails it is due, and the number is
    /// that of the next one that is made.
    fn poke(&mut self) -> u64 {
        let which = usize::from(self.issued % 2 == 1);
        // A poke that is lost because the queue is full leaves an overflow in its place.
        match self.world.poke(which) {
            Ok(()) => {
                self.issued += 1;
                self.unpoked = None;
                self.issued
            }
            Err(errno) => {
                self.unpoked = Some(errno);
                self.issued + 1
            }
        }
    }

    /// Makes the poke that is due, if there is one.
    pub(super) fn poke_again(&mut self) -> Result<(), Failure> {
        if self.unpoked.is_some() {
            self.poke();
        }
        if self.unmarked.is_some() {
            self.mark_loss();
        }
        let failed = |step| move |errno| Err(Failure::new(errno, step, Vec::new()));
        self.unpoked.map_or(Ok(()), failed("fchmod"))?;
        self.unmarked.map_or(Ok(()), failed("ftruncate"))
    }

    fn watch(&self, number: u32) -> Option<&Watch> {
        self.watches.get(number as usize)?.as_ref()
    }

    fn watch_mut(&mut self, number: u32) -> Option<&mut Watch> {
        self.watches.get_mut(number as usize)?.as_mut()
    }

    /// The watch that a node belongs to, if it is still in its tree.
    fn watch_of(&self, node: NodeId) -> Option<u32> {
        // What is asked for comes in runs of siblings.
        let parent = self.tree.node(node).parent;
        let (last, number) = self.kin.get();
        if parent == last && parent != NONE {
            return Some(number);
        }
        let root = self.tree.root_of(node);
        if root == NONE {
            return None;
        }
        let number = self.tree.root_number(root);
        self.kin.set((parent, number));
        Some(number)
    }

    /// The path of a node, in the spelling of its watch.
    fn path_of(&mut self, number: u32, node: NodeId) -> Vec<u8> {
        let mut path = self.watch(number).map_or_else(Vec::new, |watch| watch.path.clone());
        let mut below = std::mem::take(&mut self.scratch);
        self.tree.relative(node, &mut below);
        if !below.is_empty() {
            if path.last() != Some(&b'/') {
                path.push(b'/');
            }
            path.extend_from_slice(&below);
        }
        self.scratch = below;
        path
    }
}

const _: () = assert!(size_of::<tree::Node>() == 28, "the memory figures rest on it");
