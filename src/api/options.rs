//! The options of a watcher, read and checked.

use std::ffi::{CStr, c_int, c_void};
use std::ptr::{null, null_mut};

use super::abi::*;
use super::door::{Sized as SizeLed, Zeroed};
use super::log::Log;
use super::reactor_abi::*;
use super::report::{Outcome, failure};
use crate::engine::Limits;

impl Zeroed for inotify_watcher_options {}

/// What a program asks for that says nothing.
const DEFAULTS: inotify_watcher_options = inotify_watcher_options {
    size: 0,
    flags: 0,
    read_size: 0,
    max_events: 0,
    max_scan: 0,
    reactor: null(),
    connection_lost: None,
    log: None,
    log_prefix: null(),
    user_data: null_mut(),
    log_level: 0,
    reserved: 0,
};

/// The least urgent level of syslog(3).
const LAST_LEVEL: u32 = 7;

/// The program's loop.
#[derive(Clone, Copy)]
pub struct Reactor(inotify_watcher_reactor);

// SAFETY: the pointer is only handed back to the program's functions, which the interface says are
// called on whichever thread called into the library.
unsafe impl Send for Reactor {}
// SAFETY: as above.
unsafe impl Sync for Reactor {}

impl Reactor {
    /// Into the loop, or out of it.
    pub fn call(
        &self,
        add: bool,
        fd: c_int,
        watcher: *mut inotify_watcher,
        slot: *mut *mut c_void,
    ) -> c_int {
        let function = if add { self.0.add_reader } else { self.0.remove_reader };
        match function {
            // SAFETY: the program's function with its context; the slot outlives the call.
            Some(function) => unsafe { function(self.0.context, fd, watcher, slot) },
            None => 0,
        }
    }
}

/// What is told of the end.
#[derive(Clone, Copy)]
pub struct Ending {
    function: inotify_watcher_connection_lost,
    user_data: *mut c_void,
}

// SAFETY: as for the reactor.
unsafe impl Send for Ending {}
// SAFETY: as for the reactor.
unsafe impl Sync for Ending {}

impl Ending {
    /// Tells it.
    pub fn tell(self, watcher: *mut inotify_watcher, reason: c_int) {
        if let Some(function) = self.function {
            // SAFETY: the program's function with its data.
            unsafe { function(watcher, reason, self.user_data) };
        }
    }
}

/// Options, checked.
pub struct Options {
    /// How much one do_read does.
    pub limits: Limits,
    /// The deletion of a root is the end of the watcher.
    pub lose_on_delete: bool,
    /// The loop.
    pub reactor: Option<Reactor>,
    /// Who is told of the end.
    pub ending: Ending,
    /// The log.
    pub log: Log,
}

impl Options {
    /// Reads them.
    ///
    /// # Safety
    /// `options` is NULL or points to a struct of at least the size it states, and so is its
    /// reactor; its prefix is NULL or NUL-terminated.
    pub unsafe fn parse(options: *const inotify_watcher_options) -> Outcome<Self> {
        // SAFETY: the caller's promise.
        let options = unsafe { SizeLed::read(options, "options") }?.unwrap_or(DEFAULTS);
        if options.flags & !RINOTIFY_LOSE_CONNECTION_ON_DELETE_SELF != 0 {
            return Err(failure(libc::EINVAL, "options.flags"));
        }
        if options.log_level > LAST_LEVEL {
            return Err(failure(libc::EINVAL, "options.log_level"));
        }
        if options.reserved != 0 {
            return Err(failure(libc::EINVAL, "options.reserved"));
        }
        // SAFETY: the caller's promise.
        let reactor = unsafe { SizeLed::read(options.reactor, "options.reactor") }?;
        if reactor.is_some_and(|reactor: inotify_watcher_reactor| {
            reactor.add_reader.is_none() || reactor.remove_reader.is_none()
        }) {
            return Err(failure(libc::EINVAL, "options.reactor"));
        }
        let prefix = match options.log_prefix.is_null() {
            true => None,
            // SAFETY: the caller's promise.
            false => Some(unsafe { CStr::from_ptr(options.log_prefix) }),
        };
        Ok(Self {
            limits: limits(&options)?,
            lose_on_delete: options.flags & RINOTIFY_LOSE_CONNECTION_ON_DELETE_SELF != 0,
            reactor: reactor.map(Reactor),
            ending: Ending { function: options.connection_lost, user_data: options.user_data },
            log: Log::new(options.log, prefix, options.log_level, options.user_data),
        })
    }
}

fn limits(options: &inotify_watcher_options) -> Outcome<Limits> {
    let mut limits = Limits { read_size: 65_536, max_events: 4096, max_scan: 1024 };
    let most = 16_777_216;
    let set = |value: u32, least: u32, place: &mut usize, step| {
        match value {
            0 => {}
            value if (least..=most).contains(&value) => *place = value as usize,
            _ => return Err(failure(libc::EINVAL, step)),
        }
        Ok(())
    };
    set(options.read_size, 512, &mut limits.read_size, "options.read_size")?;
    set(options.max_events, 1, &mut limits.max_events, "options.max_events")?;
    set(options.max_scan, 16, &mut limits.max_scan, "options.max_scan")?;
    Ok(limits)
}
