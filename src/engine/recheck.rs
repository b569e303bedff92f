//! Entries of which the queue did not say whether they still exist.

use super::input::Raw;
use super::mask::{DIRENT, SYNTHETIC};
use super::scan::{ROUNDS, gone};
use super::tree::{Flags, NodeId};
use super::world::World;
use super::{Batch, Engine, Recheck};
use crate::sys::{Errno, Kind};

use libc::{IN_ATTRIB, IN_CREATE, IN_ISDIR, IN_MOVED_TO};

/// So often an answer that the directory refused is asked for once more when it is covered again.
const TIMES: u8 = 16;
/// And so often what is found is looked at once more because there is something in the queue.
const AHEAD: u16 = 16;

impl<W: World> Engine<W> {
    /// An event tells whether an entry was there that could not be looked at.
    pub(super) fn answer_recheck(
        &mut self,
        batch: &mut Batch,
        number: u32,
        node: NodeId,
        raw: &Raw,
        name: &[u8],
    ) {
        // The MOVED_FROM that raised the question is no answer, nor is what stands before it.
        for asked in &mut self.rechecks {
            if asked.cookie == raw.cookie && asked.dir == node {
                asked.open = true;
                return;
            }
        }
        let late = |asked: &Recheck| {
            // Of what that MOVED_FROM took away; but if nobody can look, it counts.
            raw.mask & IN_ATTRIB != 0 || !asked.put_off
        };
        let mut asks = self.rechecks.iter().filter(|asked| asked.open && asked.dir == node);
        if raw.mask & DIRENT == 0 && asks.any(|asked| asked.name == name && late(asked)) {
            return;
        }
        if raw.mask & IN_MOVED_TO != 0 {
            // If it is half of an exchange, something was there; see `arrive`.
            return;
        }
        let asked = self.take_recheck(node, name);
        if asked && raw.mask & IN_CREATE == 0 {
            self.tell_found(batch, number, node, name, raw.mask);
        }
    }

    /// What came and was not told, because the kernel merged it with what came before, is left
    /// when that has moved away. True if it is told now.
    pub(super) fn tell_rest(
        &mut self,
        batch: &mut Batch,
        number: u32,
        node: NodeId,
        raw: &Raw,
        name: &[u8],
    ) -> bool {
        let rest = |asked: &Recheck| {
            asked.there && asked.dir == node && asked.cookie == raw.cookie && asked.name == name
        };
        // For another watch it may have been found out already.
        let known = self.exchanges.has_rest(raw.cookie);
        match self.rechecks.iter().position(rest) {
            Some(at) => drop(self.rechecks.swap_remove(at)),
            None if known => {}
            None => return false,
        }
        if !known {
            self.exchanges.add_rest(raw.cookie);
        }
        self.tell_found(batch, number, node, name, raw.mask);
        true
    }

    /// Is it to be found out whether an entry is there? Not any more.
    pub(super) fn take_recheck(&mut self, dir: NodeId, name: &[u8]) -> bool {
        let before = self.rechecks.len();
        self.rechecks.retain(|asked| asked.dir != dir || asked.name != name || !asked.open);
        self.rechecks.len() != before
    }

    /// An entry turns out to be there.
    pub(super) fn tell_found(
        &mut self,
        batch: &mut Batch,
        number: u32,
        dir: NodeId,
        name: &[u8],
        mask: u32,
    ) {
        let is_dir = mask & IN_ISDIR;
        if let Some(child) = self.known(dir, name, mask) {
            if self.tree.has(child, Flags::DOUBT) {
                let kind = if is_dir == 0 { Kind::Other } else { Kind::Directory };
                self.in_its_place(child, kind);
            }
            return;
        }
        if self.live(number, dir) {
            self.tell(batch, dir, Some(name), IN_CREATE | is_dir, 0, SYNTHETIC, &[]);
            self.appear(number, dir, name, is_dir != 0, true);
        } else if self.tree.has(dir, Flags::NOTING) {
            self.appear(number, dir, name, is_dir != 0, false);
        }
    }

    /// The node of an entry, if there is one and the queue did not say that it is gone.
    pub(super) fn standing(&mut self, dir: NodeId, name: &[u8]) -> Option<NodeId> {
        self.tree.child(dir, name).filter(|&child| !self.tree.has(child, Flags::TOMB))
    }

    /// Is it open whether an entry is there?
    pub(super) fn is_asked(&self, dir: NodeId, name: &[u8]) -> bool {
        let mut open = self.rechecks.iter().filter(|asked| asked.open && asked.dir == dir);
        open.any(|asked| asked.name == name)
    }

    /// Is there an entry to be looked at? Not while its directory is listed for what was left out of it,
    /// and nothing is told of what is found.
    pub(super) fn to_recheck(&self) -> bool {
        self.rechecks.iter().any(|asked| !asked.put_off && !self.gaps.is_quiet(asked.dir))
    }

    /// A directory can be searched again: what could not be found out in it can be now.
    pub(super) fn recheck_again(&mut self, dir: NodeId, tag: u32) {
        // Where a directory can be listed, and its entries not looked at, it would have no end.
        let again = |asked: &&mut Recheck| asked.dir == dir && asked.put_off && asked.times < TIMES;
        for asked in self.rechecks.iter_mut().filter(again) {
            (asked.put_off, asked.tries, asked.tag) = (false, 0, tag);
            self.stale = true;
        }
    }

    /// Files of which the queue could not say whether they still exist.
    pub(super) fn recheck(&mut self) {
        if !self.to_recheck() {
            return;
        }
        let mut waiting = Vec::new();
        for mut asked in std::mem::take(&mut self.rechecks) {
            let waits = asked.put_off || self.gaps.is_quiet(asked.dir);
            if waits || asked.gone.is_some_and(|seq| seq > self.seen) {
                self.rechecks.push(asked);
                continue;
            }
            if asked.gone.is_some() {
                continue;
            }
            let (dir, name) = (asked.dir, asked.name.clone());
            let name = &name[..];
            if self.tree.has(dir, Flags::DEAD) || self.watch_of(dir).is_none() {
                continue;
            }
            let looked = self.open_anywhere(dir).and_then(|at| {
                let (_, open) = &self.open[at];
                let looked = match self.world.kind_of(open, name) {
                    // What is of another kind has come in its place, and its own event tells of it.
                    Ok(kind) => Ok(Some(kind).filter(|_| asked.kind.is_none_or(|of| of == kind))),
                    Err(Errno(libc::ENOENT)) => Ok(None),
                    Err(errno) => Err(errno),
                };
                // A rename shows in a look before it is queued.
                if looked.is_err() || self.world.settle(open) {
                    looked
                } else {
                    Err(Errno(libc::ESTALE))
                }
            });
            match looked {
                Ok(None) if !self.input.is_empty() || self.world.queued() > 0 => {
                    // It may have been there until just now, which the queue tells.
                    waiting.push(asked);
                }
                Ok(Some(_)) if asked.tries < AHEAD && self.world.queued() > 0 => {
                    // It can be ahead of the end of what stood there.
                    asked.tries += 1;
                    self.stale = true;
                    self.rechecks.push(asked);
                }
                Ok(kind) => {
                    let Some(kind) = kind else { continue };
                    if let Some(child) = self.standing(dir, name) {
                        // The end of that one is not told yet.
                        if self.tree.has(child, Flags::DOUBT) {
                            self.in_its_place(child, kind);
                        }
                        continue;
                    }
                    if let Some(tomb) = self.tree.child(dir, name) {
                        self.drop_child(tomb);
                    }
                    let is_dir = kind == Kind::Directory;
                    let Some(number) = self.watch_of(dir) else { continue };
                    let kind = if is_dir { Flags::DIR } else { Flags::empty() };
                    let node = self.tree.add(dir, name, kind | Flags::PENDING);
                    if is_dir && self.follows(number) {
                        self.tree.set(node, Flags::NOTING);
                        self.push_task_tagged(node, asked.tag);
                    }
                    if self.tracks(number) {
                        self.unprint(node);
                    }
                    // A listing under way opens one at its end.
                    if !self.tree.has(dir, Flags::LISTING) {
                        let tag = self.cancel_window(dir);
                        self.push_window(dir, tag.map_or(asked.tag, |tag| tag.min(asked.tag)));
                    }
                }
                Err(errno) => {
                    asked.tries = asked.tries.saturating_add(1);
                    if asked.tries < ROUNDS {
                        self.rechecks.push(asked);
                        if self.input.is_empty() && self.perhaps_empty() {
                            // So that it is tried again.
                            self.stale = true;
                            self.world.give_way();
                        }
                    } else if let Some(number) = self.watch_of(dir) {
                        let gone = gone(errno);
                        if gone && !self.lost(dir) {
                            self.stale = true;
                        } else {
                            self.uncover(number, dir, errno, "fstatat");
                            asked.put_off = true;
                            asked.times = asked.times.saturating_add(1);
                            if gone {
                                self.await_root(number, dir);
                            }
                        }
                        self.rechecks.push(asked);
                    }
                }
            }
        }
        let gone = (!waiting.is_empty() && self.resync.is_none()).then(|| self.poke());
        for asked in waiting {
            self.rechecks.push(Recheck { gone, ..asked });
        }
    }
}
