//! The watcher: an engine behind a lock, the users' callbacks, and the thread that reads.

use std::collections::HashMap;
use std::ffi::{c_char, c_int};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicPtr, AtomicU64, Ordering};
use std::sync::mpsc;

use parking_lot::{Mutex, RwLock};

use super::abi::*;
use super::door::{self, Request, User};
use super::report::{Outcome, failure};
use crate::engine::{self, Batch, Engine, Failure, Kernel, Limits, WatchStart};
use crate::sys::{self, Errno, OwnCwd};

/// Steps of a watch call that the calling thread makes itself, before a thread of its own with a
/// current directory of its own is worth its start.
const OWN_STEPS: usize = 2;
/// Entries a step, so that another thread that reads never waits long for the lock.
const STEP: usize = 512;

/// A watch as the C layer sees it.
struct Entry {
    user: User,
    path: Vec<u8>,
    alive: AtomicBool,
}

/// What only the thread that reads touches: events on their way, and how far they are delivered.
#[derive(Default)]
struct Reader {
    batch: Batch,
    at: usize,
}

/// One watcher.
pub struct Watcher {
    handle: AtomicPtr<inotify_watcher>,
    process: i32,
    fd: AtomicI32,
    engine: Mutex<Option<Engine<Kernel>>>,
    entries: RwLock<HashMap<i64, Arc<Entry>>>,
    reader: Mutex<Reader>,
    max_events: usize,
    reading: AtomicI32,
    closed: AtomicBool,
    poisoned: AtomicBool,
    next_id: AtomicI64,
    delivered: AtomicU64,
    // Directories ignored while a batch is being delivered: nothing below them is told any more.
    muted: Mutex<Vec<(i64, Vec<u8>)>>,
    any_muted: AtomicBool,
}

impl Watcher {
    /// A watcher without watches.
    pub fn new(limits: Limits) -> Outcome<Arc<Self>> {
        let kernel =
            Kernel::new().map_err(|(errno, step)| Failure { errno, step, path: Vec::new() })?;
        Ok(Arc::new(Self {
            handle: AtomicPtr::new(ptr::null_mut()),
            process: sys::process_id(),
            fd: AtomicI32::new(kernel.fileno()),
            engine: Mutex::new(Some(Engine::new(kernel, limits))),
            entries: RwLock::default(),
            reader: Mutex::default(),
            max_events: limits.max_events,
            reading: AtomicI32::new(0),
            closed: AtomicBool::new(false),
            poisoned: AtomicBool::new(false),
            next_id: AtomicI64::new(1),
            delivered: AtomicU64::new(0),
            muted: Mutex::default(),
            any_muted: AtomicBool::new(false),
        }))
    }

    /// What callbacks get as their watcher.
    pub fn set_handle(&self, handle: *mut inotify_watcher) {
        self.handle.store(handle, Ordering::Relaxed);
    }

    /// Refuses calls that cannot be served.
    pub fn usable(&self) -> Outcome<()> {
        if self.foreign() {
            return Err(failure(libc::EPERM, "forked child"));
        }
        if self.closed.load(Ordering::Acquire) {
            return Err(failure(libc::EBADF, "watcher"));
        }
        if self.poisoned.load(Ordering::Acquire) {
            return Err(failure(libc::ENOTRECOVERABLE, "internal error"));
        }
        Ok(())
    }

    /// This is a child of the process that made it.
    pub fn foreign(&self) -> bool {
        sys::process_id() != self.process
    }

    /// An internal error: nothing in here can be relied on any more.
    pub fn poison(&self) {
        self.poisoned.store(true, Ordering::Release);
    }

    /// The descriptor, or -1.
    pub fn fileno(&self) -> c_int {
        self.fd.load(Ordering::Acquire)
    }

    fn engine<T>(&self, body: impl FnOnce(&mut Engine<Kernel>) -> T) -> Outcome<T> {
        let mut engine = self.engine.lock();
        engine.as_mut().map(body).ok_or_else(|| failure(libc::EBADF, "watcher"))
    }

    /// One turn.
    pub fn do_read(&self) -> Outcome<c_int> {
        self.as_reader(|reader| self.turn(reader))
    }

    /// Turns until the barrier has come out.
    pub fn sync(&self) -> Outcome<c_int> {
        self.as_reader(|reader| {
            self.engine(Engine::begin_sync)?;
            loop {
                self.turn(reader)?;
                if reader.at >= reader.batch.len() && self.engine(Engine::sync_done)? {
                    return Ok(0);
                }
            }
        })
    }

    /// Runs `body` as the one thread that reads.
    fn as_reader(&self, body: impl FnOnce(&mut Reader) -> Outcome<c_int>) -> Outcome<c_int> {
        let Some(mut reader) = self.reader.try_lock() else {
            return Err(failure(libc::EBUSY, "reader"));
        };
        self.reading.store(sys::thread_id(), Ordering::Release);
        let result = body(&mut reader);
        self.reading.store(0, Ordering::Release);
        drop(reader);
        if self.closed.load(Ordering::Acquire) {
            self.tear_down();
        }
        result
    }

    fn turn(&self, reader: &mut Reader) -> Outcome<c_int> {
        let mut worked = Ok(true);
        if reader.at >= reader.batch.len() {
            reader.batch.clear();
            reader.at = 0;
            if self.any_muted.swap(false, Ordering::AcqRel) {
                self.muted.lock().clear();
            }
            worked = self.engine(|engine| engine.turn(&mut reader.batch))?;
        }
        let delivered = self.deliver(reader);
        if self.closed.load(Ordering::Acquire) {
            return Err(failure(libc::EBADF, "watcher"));
        }
        // One kernel event can be several of ours: what is over the bound comes with the next call.
        let left = reader.at < reader.batch.len();
        let dropped = self.engine(|engine| {
            if left {
                engine.wake();
            }
            engine.take_dropped()
        })?;
        if !dropped.is_empty() {
            let gone: Vec<_> = {
                let mut entries = self.entries.write();
                dropped.iter().filter_map(|id| entries.remove(id)).collect()
            };
            drop(gone);
        }
        let worked = worked.map_err(|errno| Failure { errno, step: "read", path: Vec::new() })?;
        let delivered = c_int::try_from(delivered).unwrap_or(c_int::MAX);
        Ok(if worked || left { delivered.max(1) } else { delivered })
    }

    /// Calls the callbacks, as many as one call may. No lock is held while one runs.
    fn deliver(&self, reader: &mut Reader) -> usize {
        let handle = self.handle.load(Ordering::Relaxed);
        let Reader { batch, at } = reader;
        let arena = batch.arena();
        let mut near: Option<(i64, Arc<Entry>)> = None;
        let mut count = 0;
        while count < self.max_events && *at < batch.len() {
            let out = batch.events()[*at];
            *at += 1;
            if self.closed.load(Ordering::Acquire) {
                break;
            }
            if near.as_ref().is_none_or(|&(id, _)| id != out.watch) {
                near = self.entries.read().get(&out.watch).map(|e| (out.watch, e.clone()));
            }
            let Some((_, entry)) = &near else { continue };
            if !entry.alive.load(Ordering::Acquire) {
                continue;
            }
            let path = &arena[out.path..];
            if self.any_muted.load(Ordering::Acquire)
                && self.is_muted(out.watch, &path[..out.path_len])
            {
                continue;
            }
            let text: *const c_char = path.as_ptr().cast();
            let named = out.name < out.path_len;
            let old = if out.old_len > 0 { &arena[out.old..] } else { &[] };
            let event = inotify_watcher_event {
                size: size_of::<inotify_watcher_event>(),
                watch: out.watch,
                mask: out.mask,
                cookie: out.cookie,
                flags: out.flags,
                error: out.error,
                path: text,
                path_len: out.path_len,
                name: if named { text.wrapping_add(out.name) } else { ptr::null() },
                old_path: if old.is_empty() { ptr::null() } else { old.as_ptr().cast() },
                old_path_len: out.old_len,
            };
            // SAFETY: the user's function, for the user's data; the event and what it points to
            // live in this frame and in the batch, which only the reading thread touches.
            unsafe { (entry.user.callback)(handle, &raw const event, entry.user.data) };
            count += 1;
            if out.last {
                entry.alive.store(false, Ordering::Release);
                let gone = self.entries.write().remove(&out.watch);
                drop(gone);
                near = None;
            }
        }
        self.delivered.fetch_add(count as u64, Ordering::Relaxed);
        count
    }

    fn is_muted(&self, watch: i64, path: &[u8]) -> bool {
        self.muted.lock().iter().any(|(id, prefix)| {
            *id == watch
                && path.strip_prefix(&prefix[..]).is_some_and(|rest| rest.first() == Some(&b'/'))
        })
    }

    /// Makes a watch, or changes one.
    pub fn watch(&self, path: &[u8], request: Request) -> Outcome<i64> {
        let Request { mask, flags, user, progress } = request;
        let at = |errno: Errno, step| Failure { errno, step, path: path.to_vec() };
        if let Some(id) = self.same(path, &user) {
            if mask & libc::IN_MASK_CREATE != 0 {
                return Err(at(Errno(libc::EEXIST), "watch"));
            }
            // The watch keeps the release function that it was made with.
            self.engine(|engine| engine.change_watch(id, mask, flags))?;
            return Ok(id);
        }
        // Without it the tree can be scanned now, but what comes later cannot be reached.
        let absolute = sys::absolute(path).unwrap_or_else(|_| path.to_vec());
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let request = engine::Request { path: path.to_vec(), absolute, mask, flags };
        let start = self.engine(|engine| {
            if mask & libc::IN_MASK_CREATE != 0 && !engine.roots(path).is_empty() {
                return Err(at(Errno(libc::EEXIST), "watch"));
            }
            engine.start_watch(id, request)
        })??;
        let data = user.data;
        let entry = Arc::new(Entry { user, path: path.to_vec(), alive: AtomicBool::new(true) });
        let go_on = self.build(start, |directories| match progress {
            // SAFETY: the user's function for the user's data.
            Some(progress) => unsafe { progress(directories, data) == 0 },
            None => true,
        });
        // Known before it is finished: events come from then on.
        self.entries.write().insert(id, entry.clone());
        let made = self.engine(|engine| {
            engine.finish_watch(start, !go_on)?;
            entry.user.made.store(true, Ordering::Release);
            Ok(())
        });
        if let Err(failure) = made.and_then(|made| made) {
            self.entries.write().remove(&id);
            return Err(failure);
        }
        Ok(id)
    }

    /// The watch of the same path, callback and user data.
    fn same(&self, path: &[u8], user: &User) -> Option<i64> {
        self.entries
            .read()
            .iter()
            .find(|(_, entry)| {
                entry.path == path
                    && ptr::fn_addr_eq(entry.user.callback, user.callback)
                    && entry.user.data == user.data
                    && entry.alive.load(Ordering::Acquire)
            })
            .map(|(&id, _)| id)
    }

    /// Scans the tree of a new watch, in steps. False if the progress function gave up.
    fn build(&self, start: WatchStart, mut progress: impl FnMut(u64) -> bool) -> bool {
        let step = |cwd: &mut Option<OwnCwd>| {
            let result = self.engine(|engine| {
                engine.world.cwd = cwd.take();
                let done = engine.build(start, STEP);
                *cwd = engine.world.cwd.take();
                (done, engine.progress(start))
            });
            // Closed meanwhile: that is for the caller to find.
            result.unwrap_or((true, 0))
        };
        for _ in 0..OWN_STEPS {
            let (done, _) = step(&mut None);
            if done {
                return true;
            }
        }
        let (tell, told) = mpsc::sync_channel(1);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let work = || {
                door::inside();
                // Not allowed here: names are then taken by way of /proc/self/fd.
                let mut cwd = OwnCwd::new().ok();
                let tell = tell;
                while !stop.load(Ordering::Acquire) {
                    let (done, directories) = step(&mut cwd);
                    // The caller has not taken the last figure yet: it will get a later one.
                    let _ = tell.try_send(directories);
                    if done {
                        break;
                    }
                }
            };
            let thread = sys::without_signals(|| {
                std::thread::Builder::new().name("rinotify".into()).spawn_scoped(scope, work)
            });
            let Ok(thread) = thread else {
                // No thread to be had: on this one, then.
                while !step(&mut None).0 {}
                return true;
            };
            let mut go_on = true;
            while let Ok(directories) = told.recv() {
                if go_on && !progress(directories) {
                    go_on = false;
                    stop.store(true, Ordering::Release);
                }
            }
            // Joined, not only finished: no thread outlives the call.
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
            go_on
        })
    }

    /// Ends watches by path.
    pub fn ignore(&self, path: &[u8]) -> Outcome<c_int> {
        let ids = self.engine(|engine| engine.roots(path))?;
        let mut ended = false;
        for id in ids {
            ended |= self.end(id)?;
        }
        if ended {
            return Ok(0);
        }
        let excluded = self.engine(|engine| engine.exclude(path))?;
        if excluded.is_empty() {
            let path = path.to_vec();
            return Err(Failure { errno: Errno(libc::ENOENT), step: "ignore", path });
        }
        let end = path.iter().rposition(|&b| b != b'/').map_or(0, |last| last + 1);
        let prefix = path[..end].to_vec();
        if self.reading.load(Ordering::Acquire) != 0 {
            self.muted.lock().extend(excluded.into_iter().map(|id| (id, prefix.clone())));
            self.any_muted.store(true, Ordering::Release);
        }
        self.free_memory()?;
        Ok(0)
    }

    /// Ends one watch.
    pub fn ignore_watch(&self, id: i64) -> Outcome<c_int> {
        if self.end(id)? { Ok(0) } else { Err(failure(libc::ENOENT, "ignore_watch")) }
    }

    fn end(&self, id: i64) -> Outcome<bool> {
        let entry = self.entries.write().remove(&id);
        let Some(entry) = entry else { return Ok(false) };
        let was = entry.alive.swap(false, Ordering::AcqRel);
        self.engine(|engine| engine.ignore_id(id))?;
        self.free_memory()?;
        drop(entry);
        Ok(was)
    }

    /// Removes kernel watches that were let go, in steps, so that a reading thread need not wait.
    fn free_memory(&self) -> Outcome<()> {
        while self.engine(|engine| engine.doom(STEP))? {}
        Ok(())
    }

    /// Asks the tables.
    pub fn is_watched(&self, path: &[u8]) -> Outcome<c_int> {
        self.engine(|engine| c_int::from(engine.is_watched(path)))
    }

    /// The counters.
    pub fn stats(&self) -> Outcome<inotify_watcher_stats> {
        let (figures, counters) = self.engine(|engine| (engine.figures(), engine.counters))?;
        let [watches, watchpoints, directories, pending, memory] = figures;
        Ok(inotify_watcher_stats {
            size: size_of::<inotify_watcher_stats>(),
            watches,
            watchpoints,
            internal_watchpoints: 2,
            directories,
            pending,
            memory,
            reads: counters.reads,
            kernel_events: counters.kernel_events,
            delivered: self.delivered.load(Ordering::Relaxed),
            synthetic: counters.synthetic,
            overflows: counters.overflows,
        })
    }

    /// All watchpoints.
    pub fn watchpoints(&self) -> Outcome<Vec<(i64, i32, u32, Vec<u8>)>> {
        self.engine(|engine| engine.watchpoints())
    }

    /// Ends everything: at once, or when the running callback returns.
    pub fn lose_connection(&self) {
        if self.foreign() {
            return;
        }
        self.closed.store(true, Ordering::Release);
        self.fd.store(-1, Ordering::Release);
        let free = self.reader.try_lock().is_some();
        if free {
            self.tear_down();
        }
    }

    /// Ends everything, and waits for a callback that runs on another thread.
    pub fn destroy(&self) {
        if self.foreign() {
            // Threads of the parent may have held the locks when it forked.
            if let Some(mut engine) = self.engine.try_lock() {
                *engine = None;
            }
            return;
        }
        self.closed.store(true, Ordering::Release);
        self.fd.store(-1, Ordering::Release);
        if self.reading.load(Ordering::Acquire) == sys::thread_id() {
            // Inside a callback: the reading thread, which this is, does it afterwards.
            return;
        }
        drop(self.reader.lock());
        self.tear_down();
    }

    /// Closes the descriptor and releases the users' data.
    fn tear_down(&self) {
        let engine = self.engine.lock().take();
        drop(engine);
        let entries = std::mem::take(&mut *self.entries.write());
        for entry in entries.values() {
            entry.alive.store(false, Ordering::Release);
        }
        drop(entries);
    }
}
