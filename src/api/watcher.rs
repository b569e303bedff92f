//! The watcher: an engine behind a lock, and the users' callbacks.

use std::collections::HashMap;
use std::ffi::c_int;
use std::hash::BuildHasherDefault;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::abi::*;
use super::door::{self, Request, User};
use super::flow::Flow;
use super::ids::IdHasher;
use super::log::Log;
use super::making::Making;
use super::options::Options;
use super::process;
use super::progress::Progress;
use super::reading::Reader;
use super::report::{Outcome, failure};
use super::stream_door::Handle;
use super::stream_events::forget_watcher;
use crate::engine::{self, Engine, Failure, Kernel, Uncovered, WatchStart};
use crate::sys::{self, Call, Errno, OwnCwd};

/// Steps of a watch call that the calling thread makes itself, before a thread of its own with a
/// current directory of its own is worth its start.
const OWN_STEPS: usize = 2;
/// Entries a step, so that another thread that reads never waits long for the lock.
const STEP: usize = 512;

/// Directories between two figures for a progress function.
const FIGURES: u64 = 4096;

/// Watch, wd, mask and path of a watchpoint.
type Watchpoint = (i64, i32, u32, Vec<u8>);

/// A watch as the C layer sees it.
pub struct Entry {
    /// The user's side.
    pub user: User,
    path: Vec<u8>,
    // The same from "/" on; empty if that could not be known.
    absolute: Vec<u8>,
    /// Its events are told.
    pub alive: AtomicBool,
    /// The deletion of its root was told.
    pub deleted: AtomicBool,
}

/// One watcher.
pub struct Watcher {
    handle: AtomicPtr<inotify_watcher>,
    process: u32,
    descriptor: c_int,
    fd: AtomicI32,
    engine: Mutex<Option<Engine<Kernel>>>,
    /// The watches, by id.
    pub entries: Mutex<HashMap<i64, Arc<Entry>, BuildHasherDefault<IdHasher>>>,
    /// For the one thread that reads.
    pub reader: Mutex<Reader>,
    /// Most callbacks of one turn.
    pub max_events: usize,
    /// The deletion of a root is the end.
    pub lose_on_delete: bool,
    /// Is it read, and how it ends.
    pub flow: Flow,
    /// The operator's log.
    pub log: Log,
    /// The streams that it was registered at as a producer.
    streams: Mutex<Vec<Weak<Handle>>>,
    /// Watches that are being made, and who waits for one.
    pub making: Making,
    closed: AtomicBool,
    poisoned: AtomicBool,
    next_id: AtomicI64,
    /// Events delivered.
    pub delivered: AtomicU64,
    /// Events of a batch wait to be delivered, or are being. Set with the engine locked.
    pub undelivered: AtomicBool,
    /// Directories ignored meanwhile: nothing below them is told any more.
    pub muted: Mutex<Vec<(i64, Vec<u8>)>>,
    /// There are some.
    pub any_muted: AtomicBool,
}

impl Watcher {
    /// A watcher without watches.
    pub fn new(options: Options) -> Outcome<Arc<Self>> {
        let Options { limits, lose_on_delete, reactor, ending, log } = options;
        let kernel = Kernel::new()?;
        Ok(Arc::new(Self {
            handle: AtomicPtr::new(ptr::null_mut()),
            process: process::generation(),
            descriptor: kernel.fileno(),
            fd: AtomicI32::new(kernel.fileno()),
            engine: Mutex::new(Some(Engine::new(kernel, limits))),
            entries: Mutex::default(),
            reader: Mutex::default(),
            max_events: limits.max_events,
            lose_on_delete,
            flow: Flow::new(reactor, ending),
            log,
            streams: Mutex::default(),
            making: Making::default(),
            closed: AtomicBool::new(false),
            poisoned: AtomicBool::new(false),
            next_id: AtomicI64::new(1),
            delivered: AtomicU64::new(0),
            undelivered: AtomicBool::new(false),
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
        if self.poisoned.load(Ordering::Acquire) {
            return Err(failure(libc::ENOTRECOVERABLE, "internal error"));
        }
        if self.is_closed() {
            return Err(failure(libc::EBADF, "watcher"));
        }
        Ok(())
    }

    /// This is a child of the process that made it.
    pub fn foreign(&self) -> bool {
        process::generation() != self.process
    }

    /// Nothing in here can be relied on any more.
    pub fn mark_broken(&self) {
        self.poisoned.store(true, Ordering::Release);
    }

    /// Calls are refused, and nothing is delivered any more.
    pub fn close_door(&self) {
        self.closed.store(true, Ordering::Release);
        self.fd.store(-1, Ordering::Release);
        self.making.give_up();
    }

    /// It has ended, or is about to.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// What callbacks get as their watcher.
    pub fn handle(&self) -> *mut inotify_watcher {
        self.handle.load(Ordering::Relaxed)
    }

    /// The descriptor, while the engine is there.
    pub fn descriptor(&self) -> c_int {
        self.descriptor
    }

    /// The descriptor, or -1.
    pub fn fileno(&self) -> c_int {
        self.fd.load(Ordering::Acquire)
    }

    /// Runs `body` on the engine, under its lock.
    pub fn engine<T>(&self, body: impl FnOnce(&mut Engine<Kernel>) -> T) -> Outcome<T> {
        let mut engine = self.engine.lock();
        engine.as_mut().map(body).ok_or_else(|| failure(libc::EBADF, "watcher"))
    }

    /// Makes a watch, or changes one.
    pub fn watch(&self, path: &[u8], request: Request) -> Outcome<i64> {
        let Request { mask, flags, user, progress, excludes } = request;
        let at = |errno: Errno, step| Failure::new(errno, step, path.to_vec());
        // Without it the tree can be scanned now, but what comes later cannot be reached.
        let absolute = sys::absolute(path).ok();
        let _made = self.making.begin(path, absolute.as_deref(), &user);
        // It can have ended meanwhile.
        self.usable()?;
        for id in self.same(path, absolute.as_deref(), &user) {
            let changed = self.engine(|engine| {
                // It has ended, though its last events may not have been delivered.
                if !engine.lives(id) {
                    return Ok(false);
                }
                if mask & libc::IN_MASK_CREATE != 0 {
                    return Err(at(Errno(libc::EEXIST), "watch"));
                }
                // The watch keeps the release function and the filters that it was made with.
                engine.change_watch(id, mask, flags).map(|()| true)
            })??;
            if changed {
                return Ok(id);
            }
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let request = engine::Request {
            path: path.to_vec(),
            absolute: absolute.clone().unwrap_or_else(|| path.to_vec()),
            mask,
            flags,
            excludes,
            asks: user.filter.is_some(),
        };
        let start = self.engine(|engine| {
            if mask & libc::IN_MASK_CREATE != 0 && engine.is_root(&request.absolute) {
                return Err(at(Errno(libc::EEXIST), "watch"));
            }
            engine.start_watch(id, request)
        })??;
        let data = user.data;
        let entry = Arc::new(Entry {
            user,
            path: path.to_vec(),
            absolute: absolute.unwrap_or_default(),
            alive: AtomicBool::new(true),
            deleted: AtomicBool::new(false),
        });
        let mut tell = progress.map(|progress| {
            // SAFETY: the user's function for the user's data.
            move |directories| unsafe { progress(directories, data) == 0 }
        });
        let go_on = self.build(start, &entry, tell.as_mut().map(|tell| tell as _));
        // Known before it is finished: events come from then on.
        self.entries.lock().insert(id, entry.clone());
        let made = self.engine(|engine| {
            engine.finish_watch(start, !go_on)?;
            entry.user.made.store(true, Ordering::Release);
            Ok(())
        });
        if let Err(failure) = made.and_then(|made| made) {
            self.entries.lock().remove(&id);
            return Err(failure);
        }
        Ok(id)
    }

    /// The watches of the same path, callback and user data: no more than one of them lives, unless a
    /// function of the program asked for it while it was made. A relative path is another one in another
    /// directory; where neither is known, the spelling decides. One that is still being made has no
    /// id yet that anybody could use: it may fail, and cannot be ended.
    fn same(&self, path: &[u8], absolute: Option<&[u8]>, user: &User) -> Vec<i64> {
        let here = |entry: &Entry| {
            absolute.is_none_or(|full| entry.absolute.is_empty() || entry.absolute == full)
        };
        self.entries
            .lock()
            .iter()
            .filter(|(_, entry)| {
                entry.path == path
                    && here(entry)
                    && ptr::fn_addr_eq(entry.user.callback, user.callback)
                    && entry.user.data == user.data
                    && entry.user.made.load(Ordering::Acquire)
                    && entry.alive.load(Ordering::Acquire)
            })
            .map(|(&id, _)| id)
            .collect()
    }

    /// A step of scanning the tree of a new watch: is it complete, and how many directories are
    /// watched?
    fn step(&self, start: WatchStart, cwd: &mut Option<OwnCwd>) -> (bool, u64) {
        let result = self.engine(|engine| {
            engine.world.cwd = cwd.take();
            let done = engine.build(start, STEP);
            *cwd = engine.world.cwd.take();
            (done, engine.progress(start))
        });
        // Closed meanwhile: that is for the caller to find.
        result.unwrap_or((true, 0))
    }

    /// Scans the tree of a new watch, in steps. False if the progress function gave up.
    fn build(
        &self,
        start: WatchStart,
        entry: &Entry,
        mut progress: Option<&mut dyn FnMut(u64) -> bool>,
    ) -> bool {
        if entry.user.filter.is_some() {
            // It is called on this thread, after each step.
            return self.build_alone(start, entry, progress);
        }
        for _ in 0..OWN_STEPS {
            let (done, _) = self.step(start, &mut None);
            if done {
                return true;
            }
        }
        let wanted = progress.is_some();
        let figures = Progress::default();
        let scanning = figures.scanning();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let work = || {
                door::inside();
                // Not allowed here: names are then taken by way of /proc/self/fd.
                let mut cwd = OwnCwd::new().ok();
                let scanning = scanning;
                let mut next = 0;
                while !stop.load(Ordering::Acquire) {
                    let (done, directories) = self.step(start, &mut cwd);
                    if wanted && directories >= next {
                        next = directories + FIGURES;
                        scanning.tell(directories);
                    }
                    if done {
                        break;
                    }
                }
                if let Some(cwd) = cwd {
                    cwd.leave();
                }
            };
            let thread = sys::without_signals(|| match sys::refused(Call::Thread) {
                Some(_) => None,
                None => {
                    let thread = std::thread::Builder::new().name("rinotify".into());
                    thread.spawn_scoped(scope, work).ok()
                }
            });
            let Some(thread) = thread else {
                // No thread to be had: on this one, then.
                return self.build_alone(start, entry, progress);
            };
            let mut go_on = true;
            if let Some(progress) = &mut progress {
                while let Some(directories) = figures.next() {
                    if go_on && !progress(directories) {
                        go_on = false;
                        stop.store(true, Ordering::Release);
                    }
                }
            }
            // Joined, not only finished: no thread outlives the call.
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
            go_on
        })
    }

    /// The same without a thread of its own, and with a filter.
    fn build_alone(
        &self,
        start: WatchStart,
        entry: &Entry,
        mut progress: Option<&mut dyn FnMut(u64) -> bool>,
    ) -> bool {
        let mut next = 0;
        loop {
            let (done, directories) = self.step(start, &mut None);
            if done {
                return true;
            }
            self.ask_for(start, entry);
            if let Some(progress) = &mut progress
                && directories >= next
            {
                next = directories + FIGURES;
                if !progress(directories) {
                    return false;
                }
            }
        }
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
        // Before a reading thread begins a new batch, of which what is at that path then is told.
        let found = self.engine(|engine| {
            let excluded = engine.exclude(path);
            let found = !excluded.is_empty();
            self.mute(excluded);
            found
        })?;
        if !found {
            return Err(Failure::new(Errno(libc::ENOENT), "ignore", path.to_vec()));
        }
        self.free_memory()?;
        Ok(0)
    }

    /// Ends one watch.
    pub fn ignore_watch(&self, id: i64) -> Outcome<c_int> {
        if self.end(id)? { Ok(0) } else { Err(failure(libc::ENOENT, "ignore_watch")) }
    }

    fn end(&self, id: i64) -> Outcome<bool> {
        let entry = self.entries.lock().remove(&id);
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
        let [watches, watchpoints, directories, pending, memory, hidden] = figures;
        Ok(inotify_watcher_stats {
            size: size_of::<inotify_watcher_stats>(),
            watches,
            watchpoints,
            internal_watchpoints: 2 + hidden,
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
    pub fn watchpoints(&self) -> Outcome<Vec<Watchpoint>> {
        self.engine(|engine| engine.watchpoints())
    }

    /// What a watch sees of its tree.
    pub fn status(&self, watch: i64) -> Outcome<inotify_watcher_status> {
        let (coverage, uncovered) = self
            .engine(|engine| engine.status(watch))?
            .ok_or_else(|| failure(libc::ENOENT, "watch"))?;
        let size = size_of::<inotify_watcher_status>();
        Ok(inotify_watcher_status { size, coverage: coverage as u32, reserved: 0, uncovered })
    }

    /// What is not covered, of one watch or of all.
    pub fn uncovered(&self, watch: i64) -> Outcome<Vec<Uncovered>> {
        self.engine(|engine| engine.uncovered(watch))?.ok_or_else(|| failure(libc::ENOENT, "watch"))
    }

    /// Tries it all again.
    pub fn retry(&self) -> Outcome<c_int> {
        self.engine(Engine::retry)?;
        Ok(0)
    }

    /// Closes the copy of the descriptor that a forked child has, and nothing else.
    pub fn close_copy(&self) {
        // Threads of the parent may have held the locks when it forked.
        if let Some(mut engine) = self.engine.try_lock() {
            *engine = None;
        }
    }

    /// It has become the producer of a stream. False if it has ended.
    pub fn feeds(&self, stream: Weak<Handle>) -> bool {
        let mut streams = self.streams.lock();
        streams.retain(|known| known.strong_count() > 0 && !known.ptr_eq(&stream));
        streams.push(stream);
        !self.is_closed()
    }

    /// No stream asks anything of it any more.
    pub fn leave_streams(&self) {
        let streams = std::mem::take(&mut *self.streams.lock());
        for stream in streams.iter().filter_map(Weak::upgrade) {
            forget_watcher(&stream, self.handle());
        }
    }

    /// Closes the descriptor and releases the users' data.
    pub fn tear_down(&self) {
        let engine = self.engine.lock().take();
        drop(engine);
        let entries = std::mem::take(&mut *self.entries.lock());
        for entry in entries.values() {
            entry.alive.store(false, Ordering::Release);
        }
        drop(entries);
    }
}
