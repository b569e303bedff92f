//! Flow control of a watcher: is it read, is its descriptor in the program's loop, and how it ends.
//!
//! Every change is first noted, under the lock, and then carried out by `settle`, without it: by
//! the thread that made the change, or, if another one is calling out just then, by that one when
//! it comes back. So each function of the program is called by one thread at a time, and may itself
//! ask for any change.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use parking_lot::{Condvar, Mutex};

use super::door::guarded;
use super::log;
use super::options::{Ending, Reactor};
use super::process;
use super::reactor_abi::{RINOTIFY_LOG_ERROR, RINOTIFY_LOG_WARNING};
use super::report::{Outcome, failure, reason_text};
use super::watcher::Watcher;
use crate::engine::Engine;
use crate::sys::Errno;

/// What is wanted, and how far it is carried out.
pub struct State {
    /// start_reading and stop_reading.
    reading: bool,
    /// pause_producing and resume_producing.
    paused: bool,
    /// The descriptor is in the loop.
    added: bool,
    /// The thread that reads, or 0.
    pub reader: usize,
    /// The thread that calls the reactor, or 0.
    calling: usize,
    /// The thread that takes the watcher down and tells of it, or 0.
    ending: usize,
    /// It is to end, for this reason.
    end: Option<c_int>,
    /// The end has begun.
    ended: bool,
}

/// The flow of one watcher.
pub struct Flow {
    /// Held for a moment only, never while anything else is called.
    state: Mutex<State>,
    idle: Condvar,
    /// Nothing is to be delivered now; a copy for the reading thread.
    held: AtomicBool,
    reactor: Option<Reactor>,
    ending: Ending,
    /// For the reactor's code.
    slot: AtomicPtr<c_void>,
}

impl Flow {
    /// In the beginning a watcher with a reactor is not in the loop, one without is read by the
    /// program.
    pub fn new(reactor: Option<Reactor>, ending: Ending) -> Self {
        let state = State {
            reading: reactor.is_none(),
            paused: false,
            added: false,
            reader: 0,
            calling: 0,
            ending: 0,
            end: None,
            ended: false,
        };
        Self {
            held: AtomicBool::new(!state.reading),
            state: Mutex::new(state),
            idle: Condvar::new(),
            reactor,
            ending,
            slot: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Nothing is to be delivered now.
    pub fn held(&self) -> bool {
        self.held.load(Ordering::Acquire)
    }

    fn hold(&self, state: &State) {
        self.held.store(!state.reading || state.paused, Ordering::Release);
    }
}

/// The calling thread reads, until this is dropped.
pub struct Reading<'a>(&'a Flow);

impl<'a> Reading<'a> {
    /// -EBUSY if there is one already.
    pub fn begin(flow: &'a Flow) -> Outcome<Self> {
        let mut state = flow.state.lock();
        if state.end.is_some() {
            return Err(failure(libc::EBADF, "watcher"));
        }
        if state.reader != 0 {
            return Err(failure(libc::EBUSY, "reader"));
        }
        state.reader = process::thread();
        Ok(Self(flow))
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.state.lock().reader = 0;
        self.0.idle.notify_all();
    }
}

impl Watcher {
    /// Into the loop.
    pub fn start_reading(&self) -> Outcome<c_int> {
        self.let_flow(|state| std::mem::replace(&mut state.reading, true))
    }

    /// Out of the loop.
    pub fn stop_reading(&self) -> Outcome<c_int> {
        self.change(|state| state.reading = false);
        self.settle(false).map(|()| 0)
    }

    /// The consumer has enough for now.
    pub fn pause_producing(&self) -> Outcome<c_int> {
        self.change(|state| state.paused = true);
        self.settle(false).map(|()| 0)
    }

    /// It can take more.
    pub fn resume_producing(&self) -> Outcome<c_int> {
        self.let_flow(|state| !std::mem::replace(&mut state.paused, false))
    }

    /// Should the descriptor be polled?
    pub fn wants_read(&self) -> bool {
        !self.flow.held()
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.flow.state.lock();
        let result = change(&mut state);
        self.flow.hold(&state);
        result
    }

    /// A change after which more may flow; it tells whether nothing had to be changed.
    fn let_flow(&self, change: impl FnOnce(&mut State) -> bool) -> Outcome<c_int> {
        let same = self.change(change);
        if !same {
            // What was read before, and what is unfinished, calls for no event of its own.
            self.engine(Engine::wake)?;
        }
        self.settle(false).map(|()| 0)
    }

    /// The watcher is to end, if it is not already. Nothing is delivered from here on.
    pub fn mark_end(&self, reason: c_int) {
        let mut state = self.flow.state.lock();
        if state.end.is_none() {
            state.end = Some(reason);
            self.close_door();
        }
    }

    /// Ends everything: at once, or when the running callback returns.
    pub fn lose_connection(&self) {
        self.mark_end(0);
        // Out of the loop cannot fail.
        let _ = self.settle(false);
    }

    /// An internal error: nothing in here can be relied on any more.
    pub fn break_down(&self) {
        self.mark_broken();
        self.log.line(RINOTIFY_LOG_ERROR, || "internal error: the watcher is out of use".into());
        self.mark_end(libc::ENOTRECOVERABLE);
        let _ = self.settle(false);
    }

    /// Ends everything, and waits for what runs on another thread.
    pub fn destroy(&self) {
        if self.foreign() {
            self.close_copy();
            return;
        }
        self.mark_end(libc::ECANCELED);
        let _ = self.settle(true);
    }

    /// Carries out what is wanted, as far as it can be now; the rest is for whoever is in the way.
    /// With `wait`, waits for other threads, and takes the watcher down inside a callback, too.
    pub fn settle(&self, wait: bool) -> Outcome<()> {
        let me = process::thread();
        let mut result = Ok(());
        let mut state = self.flow.state.lock();
        loop {
            let others = [state.reader, state.calling, state.ending];
            if wait && others.iter().any(|&thread| thread != 0 && thread != me) {
                self.flow.idle.wait(&mut state);
                continue;
            }
            if state.calling != 0 {
                return result;
            }
            let add = state.reading && !state.paused && state.end.is_none();
            if let Some(reactor) = self.flow.reactor.filter(|_| add != state.added) {
                state.calling = me;
                drop(state);
                let slot = self.flow.slot.as_ptr();
                let answer = reactor.call(add, self.descriptor(), self.handle(), slot);
                let refused = add && answer < 0;
                if refused {
                    let known = (-4095..0).contains(&answer);
                    let errno = if known { -answer } else { libc::EINVAL };
                    result = Err(failure(errno, "add_reader"));
                    self.log.line(RINOTIFY_LOG_ERROR, || {
                        format!("cannot be read from the loop: {}", reason_text(Errno(errno)))
                    });
                }
                state = self.flow.state.lock();
                state.calling = 0;
                state.added = add && !refused;
                if refused {
                    // Or it would be tried for ever.
                    state.reading = false;
                    self.flow.hold(&state);
                }
                self.flow.idle.notify_all();
                continue;
            }
            let free = state.reader == 0 || (wait && state.reader == me);
            match state.end {
                Some(reason) if free && !state.ended => {
                    state.ended = true;
                    state.ending = me;
                    drop(state);
                    self.lost(reason);
                    state = self.flow.state.lock();
                    state.ending = 0;
                    self.flow.idle.notify_all();
                }
                _ => return result,
            }
        }
    }

    fn lost(&self, reason: c_int) {
        // After an internal error the tables may be in any state; then they are left alone.
        let _ = guarded(|| self.tear_down());
        self.leave_streams();
        if reason != 0 && reason != libc::ECANCELED {
            self.log.line(RINOTIFY_LOG_WARNING, || {
                format!("connection lost: {}", reason_text(Errno(reason)))
            });
        }
        self.flow.ending.tell(self.handle(), reason);
    }

    /// One line for each overflow.
    pub fn log_overflow(&self) {
        self.log.line(RINOTIFY_LOG_WARNING, || {
            "overflow: the kernel's queue was full, events were lost".into()
        });
    }

    /// One line for what a watch could not do.
    pub fn log_trouble(&self, path: &[u8], error: c_int) {
        self.log.line(RINOTIFY_LOG_WARNING, || log::trouble(path, error));
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::{CStr, c_char, c_int, c_void};
    use std::ptr::null;

    use super::super::abi::{inotify_watcher, inotify_watcher_options};
    use super::super::door;
    use super::super::functions::*;
    use super::super::reactor_abi::*;

    #[derive(Default)]
    struct Seen {
        added: i32,
        lost: Vec<c_int>,
        lines: Vec<String>,
    }

    fn seen<'a>(at: *mut c_void) -> &'a mut Seen {
        // SAFETY: every test hands in its own, and its functions run one at a time.
        unsafe { &mut *at.cast() }
    }

    unsafe extern "C-unwind" fn add(
        context: *mut c_void,
        _: c_int,
        _: *mut inotify_watcher,
        _: *mut *mut c_void,
    ) -> c_int {
        seen(context).added += 1;
        0
    }

    unsafe extern "C-unwind" fn remove(
        context: *mut c_void,
        _: c_int,
        _: *mut inotify_watcher,
        _: *mut *mut c_void,
    ) -> c_int {
        seen(context).added -= 1;
        0
    }

    unsafe extern "C-unwind" fn lost(
        watcher: *mut inotify_watcher,
        reason: c_int,
        user_data: *mut c_void,
    ) {
        seen(user_data).lost.push(reason);
        // SAFETY: a watcher, in the middle of its end.
        assert_eq!(unsafe { inotify_watcher_do_read(watcher) }, -libc::ENOTRECOVERABLE);
    }

    unsafe extern "C-unwind" fn line(
        level: u32,
        prefix: *const c_char,
        message: *const c_char,
        user_data: *mut c_void,
    ) {
        // SAFETY: the log's strings.
        let [prefix, message] =
            [prefix, message].map(|text| unsafe { CStr::from_ptr(text) }.to_str().unwrap());
        seen(user_data).lines.push(format!("{prefix} {level} {message}"));
    }

    #[test]
    fn an_internal_error_ends_the_watcher() {
        let mut record = Seen::default();
        let at = (&raw mut record).cast::<c_void>();
        let reactor = inotify_watcher_reactor {
            size: size_of::<inotify_watcher_reactor>(),
            context: at,
            add_reader: Some(add),
            remove_reader: Some(remove),
            add_writer: None,
            remove_writer: None,
        };
        let options = inotify_watcher_options {
            size: size_of::<inotify_watcher_options>(),
            flags: 0,
            read_size: 0,
            max_events: 0,
            max_scan: 0,
            reactor: &raw const reactor,
            connection_lost: Some(lost),
            log: Some(line),
            log_prefix: null(),
            user_data: at,
            log_level: 0,
            reserved: 0,
        };
        // SAFETY: options and watcher are what they should be; `record` outlives the watcher.
        unsafe {
            let watcher = inotify_watcher_create(&raw const options);
            assert!(!watcher.is_null());
            assert_eq!(inotify_watcher_start_reading(watcher), 0);
            assert_eq!(seen(at).added, 1);
            assert_eq!(door::int(watcher, |_| panic!("a bug")), -libc::ENOTRECOVERABLE);
            // The loop would call again and again.
            assert_eq!(seen(at).added, 0);
            assert_eq!(seen(at).lost, [libc::ENOTRECOVERABLE]);
            assert_eq!(inotify_watcher_fileno(watcher), -1);
            assert_eq!(inotify_watcher_do_read(watcher), -libc::ENOTRECOVERABLE);
            assert_eq!(inotify_watcher_start_reading(watcher), -libc::ENOTRECOVERABLE);
            inotify_watcher_destroy(watcher);
            assert_eq!(seen(at).added, 0);
            assert_eq!(seen(at).lost.len(), 1);
            assert_eq!(
                seen(at).lines[0],
                "inotify_watcher 3 internal error: the watcher is out of use"
            );
        }
    }
}
