//! Watches that are being made: of two threads that ask for the same one at the same time the second
//! waits for the first, and then has the watch that a later call would have.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};

use super::door::User;
use super::process;

/// What a call asks for.
struct Call {
    thread: usize,
    path: Vec<u8>,
    absolute: Option<Vec<u8>>,
    callback: usize,
    data: usize,
}

/// Calls under way.
#[derive(Default)]
pub struct Making {
    calls: Mutex<Vec<Call>>,
    done: Condvar,
    over: AtomicBool,
}

/// One of them, until this is dropped.
pub struct Made<'a>(&'a Making);

impl Making {
    /// Begins a call, when no other thread makes the same watch. A thread that makes a watch already,
    /// and is inside one of the program's functions, does not wait: others may be waiting for it. Nor
    /// does one that waits go on waiting when the watcher ends: who ends it may be waiting for this one.
    pub fn begin(&self, path: &[u8], absolute: Option<&[u8]>, user: &User) -> Made<'_> {
        let call = Call {
            thread: process::thread(),
            path: path.to_vec(),
            absolute: absolute.map(<[u8]>::to_vec),
            callback: user.callback as usize,
            data: user.data.cast::<c_void>() as usize,
        };
        let mut calls = self.calls.lock();
        if !calls.iter().any(|other| other.thread == call.thread) {
            let over = || self.over.load(Ordering::Relaxed);
            while !over() && calls.iter().any(|other| other.is_same(&call)) {
                self.done.wait(&mut calls);
            }
        }
        calls.push(call);
        Made(self)
    }

    /// The watcher ends: no call waits for another from here on.
    pub fn give_up(&self) {
        let _calls = self.calls.lock();
        self.over.store(true, Ordering::Relaxed);
        self.done.notify_all();
    }

    /// Is this thread inside such a call, in one of the program's functions?
    pub fn here(&self) -> bool {
        let thread = process::thread();
        self.calls.lock().iter().any(|call| call.thread == thread)
    }
}

impl Call {
    fn is_same(&self, other: &Self) -> bool {
        let here = match (&self.absolute, &other.absolute) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        let users = (self.callback, self.data) == (other.callback, other.data);
        users && here && self.path == other.path
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        let thread = process::thread();
        let mut calls = self.0.calls.lock();
        // The innermost of this thread is the one that ends.
        if let Some(at) = calls.iter().rposition(|call| call.thread == thread) {
            calls.remove(at);
        }
        self.0.done.notify_all();
    }
}
