//! The options of a stream, read and checked.

use std::ffi::{CStr, CString};
use std::ptr::{null, null_mut};

use super::door::{Sized as SizeLed, Zeroed};
use super::reactor_abi::*;
use super::report::{Outcome, failure};
use super::stream_abi::*;
use crate::stream::Limits;

impl Zeroed for inotify_watcher_stream_options {}
impl Zeroed for inotify_watcher_reactor {}

/// What a program asks for that says nothing.
const DEFAULTS: inotify_watcher_stream_options = inotify_watcher_stream_options {
    size: 0,
    flags: 0,
    reserved: 0,
    buffer_size: 0,
    send_limit: 0,
    resume_size: 0,
    max_buffer: 0,
    reactor: null(),
    write: None,
    connection_lost: None,
    formatter: None,
    log: None,
    log_prefix: null(),
    user_data: null_mut(),
};

/// Options, as far as they are checked by themselves.
pub struct Asked {
    /// The options, the numbers as they came.
    pub options: inotify_watcher_stream_options,
    /// Their reactor.
    pub reactor: Option<inotify_watcher_reactor>,
    /// Their prefix.
    pub prefix: CString,
}

impl Asked {
    /// Reads them.
    ///
    /// # Safety
    /// `options` is NULL or points to a struct of at least the size it states, and so is its
    /// reactor; its prefix is NULL or NUL-terminated.
    pub unsafe fn parse(options: *const inotify_watcher_stream_options) -> Outcome<Self> {
        // SAFETY: the caller's promise.
        let options = unsafe { SizeLed::read(options, "options") }?.unwrap_or(DEFAULTS);
        let known = RINOTIFY_STREAM_CLOSE_FD | RINOTIFY_STREAM_KEEP_FLAGS;
        if options.flags & !known != 0 || options.reserved != 0 {
            return Err(failure(libc::EINVAL, "options.flags"));
        }
        // SAFETY: the caller's promise.
        let reactor = unsafe { SizeLed::read(options.reactor, "options.reactor") }?;
        if reactor.is_some_and(|reactor: inotify_watcher_reactor| {
            reactor.add_writer.is_none() || reactor.remove_writer.is_none()
        }) {
            return Err(failure(libc::EINVAL, "options.reactor"));
        }
        let prefix = if options.log_prefix.is_null() {
            c"inotify_watcher_stream".into()
        } else {
            // SAFETY: the caller's promise.
            unsafe { CStr::from_ptr(options.log_prefix) }.into()
        };
        Ok(Self { options, reactor, prefix })
    }

    /// The numbers, checked against each other.
    pub fn limits(&self) -> Outcome<Limits> {
        let options = &self.options;
        let or = |value: usize, default: usize| if value == 0 { default } else { value };
        let limits = Limits {
            buffer: or(options.buffer_size, 64 * 1024),
            resume: options.resume_size,
            most: or(options.max_buffer, usize::MAX),
            send: or(options.send_limit, 128 * 1024),
        };
        if limits.resume > limits.buffer {
            return Err(failure(libc::EINVAL, "options.resume_size"));
        }
        if limits.most < limits.buffer {
            return Err(failure(libc::EINVAL, "options.max_buffer"));
        }
        Ok(limits)
    }
}
