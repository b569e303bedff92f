//! Looking ahead in the queue, as for where a renamed directory goes. The kernel queues all events of
//! one rename while it holds the locks of both parent directories (fs/namei.c, vfs_rename;
//! include/linux/fsnotify.h, fsnotify_move), so they come soon, and nothing else happens to these
//! directories' entries between them.

use super::Engine;
use super::gaps::sorted;
use super::input::Raw;
use super::mask::{DIRENT, MOVE};
use super::tree::{Flags, NONE, NodeId};
use super::world::World;

use libc::{IN_CREATE, IN_IGNORED, IN_MOVE_SELF, IN_MOVED_TO, IN_Q_OVERFLOW};

/// How often the queue is asked again when the directory whose lock would be waited for cannot be
/// reached.
const PATIENCE: u32 = 2000;

/// Most bytes that are read for one look.
const READ_ALL: usize = 1 << 24;

/// Events of an exchange within one directory.
const EXCHANGE: u32 = 4;

/// What looking at the buffer found.
pub(super) enum Seen<T> {
    Yes(T),
    No,
    /// The buffer ends before it is decided.
    End,
}

impl<W: World> Engine<W> {
    /// Looks at the events behind `after` that are of these wds or renames until something is decided,
    /// reading on as far as the queue goes. When the queue is empty, whatever is still under way at `dir`
    /// is waited for; what has not been queued then never will be.
    pub(super) fn look<T>(
        &mut self,
        dir: NodeId,
        after: usize,
        of: (&[i32], &[u32]),
        mut decide: impl FnMut(&Self, &Raw) -> Seen<T>,
    ) -> Option<T> {
        let mut found = None;
        self.look_through(dir, after, of, &mut |engine, raw| match decide(engine, raw) {
            Seen::Yes(what) => {
                found = Some(what);
                true
            }
            Seen::No => true,
            Seen::End => false,
        });
        found
    }

    fn look_through(
        &mut self,
        dir: NodeId,
        after: usize,
        (wds, cookies): (&[i32], &[u32]),
        decides: &mut dyn FnMut(&Self, &Raw) -> bool,
    ) {
        let mut at = after;
        let mut waited = false;
        let mut patience = PATIENCE;
        loop {
            self.input.sort();
            if self.input.related(wds, cookies, at).any(|raw| decides(self, &raw)) {
                return;
            }
            at = self.input.end().max(at);
            match self.fill() {
                Ok(got) if got > 0 => continue,
                Err(_) if patience > 0 => {
                    // What is queued is not lost, and the next read may bring it.
                    patience -= 1;
                    continue;
                }
                Err(_) => return,
                Ok(_) => {}
            }
            if waited || patience == 0 {
                return;
            }
            if self.wait_for(dir) {
                waited = true;
            } else {
                patience -= 1;
                self.world.give_way();
            }
        }
    }

    /// A name in this directory has shown what it leads to.
    pub(super) fn note_lookup(&mut self, dir: NodeId) {
        if dir != NONE && self.looked_up.last() != Some(&dir) {
            self.looked_up.push(dir);
        }
    }

    /// A name can lead to what a rename under way has put there before any of its events is queued
    /// (fs/namei.c, vfs_rename: d_exchange and d_move come before fsnotify_move, the lock is held
    /// until after it). Waits for those, so that the queue, when it has caught up with now, has
    /// caught up with what was found.
    pub(super) fn wait_for_lookups(&mut self) {
        let mut dirs = sorted(std::mem::take(&mut self.looked_up));
        for dir in dirs.drain(..) {
            if self.watch_of(dir).is_some() {
                // If it cannot be reached, it moves itself, and what was found in it with it.
                self.wait_for(dir);
            }
        }
        self.looked_up = dirs;
    }

    /// Waits until no operation on the entries of a directory is under way. False if it cannot be
    /// reached now.
    pub(super) fn wait_for(&mut self, dir: NodeId) -> bool {
        let Ok(at) = self.open_anywhere(dir) else {
            return false;
        };
        let (_, dir) = &self.open[at];
        self.world.settle(dir)
    }

    /// Where a directory goes that was taken away: its MOVED_TO, or none if it left what is watched,
    /// which its MOVE_SELF shows, or something else that happens where it was.
    pub(super) fn destination(
        &mut self,
        from: NodeId,
        after: usize,
        cookie: u32,
        wd: i32,
    ) -> Option<Raw> {
        let from_wd = match self.tree.node(from).wd {
            0 => i32::MIN,
            wd => wd,
        };
        self.look(from, after, (&[wd, from_wd], &[cookie]), |_, raw| {
            if raw.mask & IN_MOVED_TO != 0 && raw.cookie == cookie {
                return Seen::Yes(*raw);
            }
            let settled = raw.wd == wd && raw.mask & (IN_MOVE_SELF | IN_IGNORED) != 0
                || raw.wd == from_wd && raw.mask & DIRENT != 0;
            if settled || raw.mask & IN_Q_OVERFLOW != 0 { Seen::No } else { Seen::End }
        })
    }

    /// An event about an entry that nobody has been told of can come ahead of what makes the entry, which
    /// can be opened before its CREATE is queued (fs/namei.c, lookup_open), or brings it, with the new name
    /// already: then it says nothing of what stood there, and is told behind that. Returns its position.
    pub(super) fn comes_early(&mut self, node: NodeId, raw: &Raw, name: &[u8]) -> Option<usize> {
        let child = self.tree.child(node, name).map(|child| self.tree.flags(child));
        let told = |flags: Flags| !flags.intersects(Flags::PENDING | Flags::TOMB);
        if !self.tree.has(node, Flags::NOTING) || child.is_some_and(told) {
            return None;
        }
        let mut halves = 0;
        self.look(node, raw.next, (&[raw.wd], &[]), |engine, next| {
            if next.mask & IN_Q_OVERFLOW != 0 {
                return Seen::No;
            }
            if next.wd != raw.wd || next.mask & DIRENT == 0 {
                return Seen::End;
            }
            halves += 1;
            let here = engine.input.name(next) == name;
            if here && (next.mask & IN_MOVED_TO != 0 || (next.mask & IN_CREATE != 0 && halves == 1))
            {
                return Seen::Yes(next.at);
            }
            if next.mask & MOVE == 0 || halves > EXCHANGE { Seen::No } else { Seen::End }
        })
    }

    /// All that is queued now. False if it could not be read, or is too much.
    pub(super) fn read_all(&mut self) -> bool {
        let all = self.world.queued();
        let mut left = all.min(READ_ALL);
        let mut patience = PATIENCE;
        while left > 0 {
            match self.fill() {
                Ok(0) => return true,
                Ok(got) => left = left.saturating_sub(got),
                Err(_) if patience > 0 => patience -= 1,
                Err(_) => return false,
            }
        }
        all <= READ_ALL
    }
}
