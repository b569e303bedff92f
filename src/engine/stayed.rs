//! Is an entry still where it stood? A look by its name, that the queue has caught up with.

use super::Engine;
use super::ahead::Seen;
use super::exchange::kind_in;
use super::input::Raw;
use super::mask::DIRENT;
use super::moves::Held;
use super::tree::NodeId;
use super::world::World;
use crate::sys::Errno;

use libc::{
    IN_ATTRIB, IN_CREATE, IN_DELETE_SELF, IN_IGNORED, IN_ISDIR, IN_MOVE_SELF, IN_MOVED_FROM,
    IN_MOVED_TO, IN_Q_OVERFLOW,
};

/// How often a look is repeated that the queue has overtaken.
const LOOKS: u32 = 16;
/// So many renames of one name in a row are gone through to decide the first.
const CHAIN: u32 = 16;

impl<W: World> Engine<W> {
    /// Which directory moved away from the target: the one that stood there (an exchange), or the
    /// one that had just come? Their MOVE_SELF tells.
    pub(super) fn directory_stayed(
        &mut self,
        to: NodeId,
        raw: &Raw,
        next: &Raw,
        stood: i32,
        held: Option<&Held>,
    ) -> bool {
        let came = self.came(raw, held).unwrap_or(0);
        self.look(to, next.next, (&[stood, came], &[]), |_, raw| {
            if raw.wd == stood && raw.mask & IN_MOVE_SELF != 0 {
                return Seen::Yes(());
            }
            let replaced = raw.wd == stood && raw.mask & (IN_DELETE_SELF | IN_IGNORED) != 0;
            let again = came != 0 && raw.wd == came && raw.mask & IN_MOVE_SELF != 0;
            if replaced || again || raw.mask & IN_Q_OVERFLOW != 0 { Seen::No } else { Seen::End }
        })
        .is_some()
    }

    /// The same for what has no wd, files above all: only a look decides whether the target still exists;
    /// what the queue holds about it since then counts more.
    pub(super) fn still_there(&mut self, to: NodeId, next: &Raw, name: &[u8]) -> bool {
        self.remains(to, next, name, true, false).unwrap_or_else(|| {
            self.ask(to, name, next.cookie, kind_in(next), false);
            false
        })
    }

    /// Is there something at a name after `next` took something away from it? `alone`: that was not
    /// exchanged for what came before.
    pub(super) fn remains(
        &mut self,
        to: NodeId,
        next: &Raw,
        name: &[u8],
        attributes: bool,
        alone: bool,
    ) -> Option<bool> {
        let mut there = None;
        for _ in 0..LOOKS {
            let before = self.read_all();
            let end = self.input.end();
            there = match self.open_anywhere(to) {
                Ok(at) => {
                    let (_, dir) = &self.open[at];
                    let there = match self.world.kind_of(dir, name) {
                        Ok(kind) => (kind_in(next) == Some(kind)).then_some(true),
                        Err(Errno(libc::ENOENT)) => Some(false),
                        Err(_) => None,
                    };
                    // What the look has seen must have been queued, too.
                    if self.world.settle(dir) { there } else { None }
                }
                Err(_) => None,
            };
            if !self.read_all() || !before {
                there = None;
            }
            self.input.sort();
            let of_name = |raw: Raw| raw.wd == next.wd && raw.mask & DIRENT != 0;
            let overtaken = self.input.named(&[next.wd], name, end).any(of_name);
            if there.is_none() || !overtaken {
                break;
            }
            there = None;
        }
        if self.input.related(&[], &[], next.next).next().is_some() {
            // What is there now can have come to be by what was lost.
            there = None;
        }
        self.stayed(next, name, there, attributes, alone, CHAIN)
    }

    /// Did the entry stay when `next` took something of its name away? What is said of the name
    /// next decides, and a look if nothing is. `None`: neither is to be had, or one exchange may follow
    /// another more often than `left`. An ATTRIB can come late, when what it is about has gone on, so it
    /// shows an entry only where `attributes` says so.
    pub(super) fn stayed(
        &self,
        next: &Raw,
        name: &[u8],
        there: Option<bool>,
        attributes: bool,
        alone: bool,
        left: u32,
    ) -> Option<bool> {
        let whole = |raw: &Raw| raw.mask & IN_Q_OVERFLOW == 0;
        let wds = [next.wd];
        let of_dir = |after: usize| self.input.related(&wds, &[], after).take_while(whole);
        let of_name = || self.input.named(&wds, name, next.next).take_while(whole);
        let named = |raw: &Raw| self.input.name(raw) == name;
        let first = of_name().find(|raw| raw.mask & DIRENT != 0);
        // What comes between the halves of a rename to here can be about what that has brought, to which
        // the name leads already.
        let half = |of: Raw| {
            let from = |raw: &Raw| raw.mask & IN_MOVED_FROM != 0 && raw.cookie == of.cookie;
            let begins = self.input.related(&[], &[of.cookie], next.next).find(from);
            begins.map_or(of.at, |raw| raw.at.min(of.at))
        };
        let end = match first {
            Some(raw) if raw.mask & IN_MOVED_TO != 0 => half(raw),
            Some(raw) => raw.at,
            None => usize::MAX,
        };
        let shows = |raw: &Raw| attributes || raw.mask & IN_ATTRIB == 0;
        // Not of what `next` was exchanged for, whose own event is still to come.
        let comes = first.filter(|raw| alone && raw.mask & IN_MOVED_TO != 0);
        let early = comes.is_some_and(|raw| self.is_one_exchange(next, &raw));
        let used = !early && of_name().take_while(|raw| raw.at < end).any(|raw| shows(&raw));
        match first {
            // It came to be: it was not there.
            Some(raw) if raw.mask & IN_CREATE != 0 => Some(false),
            Some(raw) if raw.mask & IN_MOVED_TO != 0 => {
                // Perhaps an exchange again, for which it must have been there; or else it is
                // replaced, and whether there was something no longer matters much.
                let again = of_dir(raw.next).find(|raw| raw.mask & DIRENT != 0);
                let again = again.filter(|again| {
                    again.mask & IN_MOVED_FROM != 0 && again.cookie != raw.cookie && named(again)
                });
                let before = match again {
                    // It is of the kind that `next` took away.
                    Some(again) if (again.mask ^ next.mask) & IN_ISDIR != 0 => Some(false),
                    Some(again) if (again.mask ^ raw.mask) & IN_ISDIR != 0 => Some(true),
                    Some(again) if !self.swaps(next, &raw, &again) => Some(false),
                    Some(again) => match self.moved_twice(&raw, &again) {
                        Some(moved) => Some(!moved),
                        None if left == 0 => return None,
                        None => self.stayed(&again, name, there, attributes, false, left - 1),
                    },
                    None => Some(false),
                };
                before.map(|before| before || used)
            }
            Some(_) => Some(true),
            None => there.or(used.then_some(true)),
        }
    }
}
