//! Reading: a turn of the engine, and its events to the callbacks.

use std::ffi::{c_char, c_int};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::abi::{RINOTIFY_EVENT_COVERAGE, inotify_watcher_event};
use super::flow::Reading;
use super::report::{Outcome, failure};
use super::watcher::{Entry, Watcher};
use crate::engine::{Batch, Engine, Paths, READ};
use crate::sys::Errno;

/// What only the thread that reads touches: events on their way, and how far they are delivered.
#[derive(Default)]
pub struct Reader {
    batch: Batch,
    paths: Paths,
    at: usize,
    /// A root was deleted, and its watch has ended.
    root_gone: bool,
}

impl Reader {
    fn delivered(&self) -> bool {
        self.at >= self.batch.len()
    }
}

impl Watcher {
    /// One turn.
    pub fn do_read(&self) -> Outcome<c_int> {
        self.as_reader(|reader| if self.flow.held() { Ok(0) } else { self.turn(reader) })
    }

    /// Turns until the barrier has come out.
    pub fn sync(&self) -> Outcome<c_int> {
        if self.making.here() {
            // It would wait for the answer of the filter that calls it.
            return Err(failure(libc::EBUSY, "sync"));
        }
        self.as_reader(|reader| {
            self.engine(Engine::begin_sync)??;
            loop {
                if self.flow.held() {
                    return Err(failure(libc::EAGAIN, "paused"));
                }
                self.turn(reader)?;
                if reader.delivered() && self.engine(Engine::sync_done)? {
                    return Ok(0);
                }
            }
        })
    }

    /// Runs `body` as the one thread that reads.
    fn as_reader(&self, body: impl FnOnce(&mut Reader) -> Outcome<c_int>) -> Outcome<c_int> {
        let reading = Reading::begin(&self.flow)?;
        let result = body(&mut self.reader.lock());
        drop(reading);
        if self.is_closed() {
            // What a callback asked for, or the end of a root.
            let _ = self.settle(false);
        }
        result
    }

    fn turn(&self, reader: &mut Reader) -> Outcome<c_int> {
        let mut worked: Outcome<bool> = Ok(true);
        if reader.delivered() {
            reader.batch.clear();
            reader.paths.clear();
            reader.at = 0;
            let lost;
            (worked, lost) = self.engine(|engine| {
                self.unmute();
                let before = engine.counters.overflows;
                let worked = engine.turn(&mut reader.batch);
                self.undelivered.store(!reader.delivered(), Ordering::Release);
                (worked, engine.counters.overflows != before)
            })?;
            if lost {
                self.log_overflow();
            }
        }
        let delivered = self.deliver(reader);
        if reader.delivered() {
            self.undelivered.store(false, Ordering::Release);
        }
        let asked = if reader.delivered() { self.ask_filters() } else { 0 };
        if reader.root_gone && reader.delivered() && self.lose_on_delete {
            self.mark_end(0);
        }
        let worked = match worked {
            Ok(worked) => worked,
            Err(failure) => {
                if failure.step == READ && !passes(failure.errno) {
                    // It will not read again.
                    self.mark_end(failure.errno.0);
                }
                return Err(failure);
            }
        };
        self.usable()?;
        // One kernel event can be several of ours: what is over the bound comes with the next call.
        let left = !reader.delivered();
        if left {
            self.engine(Engine::wake)?;
        }
        let delivered = c_int::try_from(delivered).unwrap_or(c_int::MAX);
        Ok(if worked || left || asked > 0 { delivered.max(1) } else { delivered })
    }

    /// Calls the callbacks, as many as one call may. No lock is held while one runs.
    fn deliver(&self, reader: &mut Reader) -> usize {
        let handle = self.handle();
        let Reader { batch, paths, at, root_gone } = reader;
        let mut near: Option<(i64, Arc<Entry>)> = None;
        let mut count = 0;
        while count < self.max_events {
            let Some(out) = batch.get(*at) else { break };
            if self.is_closed() || self.flow.held() {
                break;
            }
            *at += 1;
            if near.as_ref().is_none_or(|&(id, _)| id != out.watch) {
                let found = self.entries.lock().get(&out.watch).map(|e| (out.watch, e.clone()));
                // The one before may be the last to have its watch, which is released then: with no
                // lock held.
                near = found;
            }
            let Some((_, entry)) = &near else { continue };
            if !entry.alive.load(Ordering::Acquire) {
                continue;
            }
            let (text, name) = paths.compose(batch, out);
            let path = &text[..text.len() - 1];
            if self.any_muted.load(Ordering::Acquire) && self.is_muted(out.watch, path) {
                continue;
            }
            let text: *const c_char = text.as_ptr().cast();
            let named = name < path.len();
            let (error, old) = batch.extra(out);
            let coverage = if out.flags & RINOTIFY_EVENT_COVERAGE != 0 { out.cookie } else { 0 };
            let event = inotify_watcher_event {
                size: size_of::<inotify_watcher_event>(),
                watch: out.watch,
                mask: out.mask,
                cookie: if coverage == 0 { out.cookie } else { 0 },
                flags: out.flags,
                error,
                path: text,
                path_len: path.len(),
                name: if named { text.wrapping_add(name) } else { ptr::null() },
                old_path: if old.is_empty() { ptr::null() } else { old.as_ptr().cast() },
                old_path_len: old.len(),
                coverage,
                reserved: 0,
            };
            if !named && out.mask & libc::IN_DELETE_SELF != 0 {
                entry.deleted.store(true, Ordering::Relaxed);
            }
            // SAFETY: the user's function, for the user's data; the event and what it points to
            // live in this frame and in the batch, which only the reading thread touches.
            unsafe { (entry.user.callback)(handle, &raw const event, entry.user.data) };
            count += 1;
            // Closed, the log may be gone with the rest of the program's things.
            if error != 0 && !self.is_closed() {
                self.log_trouble(path, error);
            }
            if out.last {
                entry.alive.store(false, Ordering::Release);
            }
            // Its last event was told, or nobody wants it.
            *root_gone |= entry.deleted.load(Ordering::Relaxed) && !is(&entry.alive);
            if out.last {
                let gone = self.entries.lock().remove(&out.watch);
                drop(gone);
                near = None;
            }
        }
        self.delivered.fetch_add(count as u64, Ordering::Relaxed);
        count
    }

    /// A directory ignored while events of a batch wait, be it for the next call: what is below is not
    /// told any more.
    pub fn mute(&self, directories: Vec<(i64, Vec<u8>)>) {
        if self.undelivered.load(Ordering::Acquire) {
            self.muted.lock().extend(directories);
            self.any_muted.store(true, Ordering::Release);
        }
    }

    fn unmute(&self) {
        if self.any_muted.swap(false, Ordering::AcqRel) {
            self.muted.lock().clear();
        }
    }

    fn is_muted(&self, watch: i64, path: &[u8]) -> bool {
        self.muted.lock().iter().any(|(id, prefix)| {
            *id == watch
                && path.strip_prefix(&prefix[..]).is_some_and(|rest| rest.first() == Some(&b'/'))
        })
    }
}

/// A want of memory or the like, which may be over the next time.
fn passes(errno: Errno) -> bool {
    matches!(
        errno.0,
        libc::ENOMEM | libc::ENOBUFS | libc::ENOSPC | libc::EMFILE | libc::ENFILE | libc::EINTR
    )
}

fn is(flag: &AtomicBool) -> bool {
    flag.load(Ordering::Acquire)
}
