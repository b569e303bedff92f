//! Answers that are structs: the last error, statistics, watchpoints.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};

use super::abi::*;
use super::watcher::Watcher;
use crate::engine::Failure;
use crate::sys::{self, Errno};

/// What a call returns that failed.
pub type Outcome<T> = Result<T, Failure>;

/// A failure without a path.
pub fn failure(errno: c_int, step: &'static str) -> Failure {
    Failure::new(Errno(errno), step, Vec::new())
}

struct Last {
    errno: c_int,
    limit: u64,
    step: CString,
    path: CString,
    message: CString,
}

thread_local! {
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
}

fn c_string(bytes: impl Into<Vec<u8>>) -> CString {
    let mut bytes: Vec<u8> = bytes.into();
    bytes.retain(|&byte| byte != 0);
    CString::new(bytes).unwrap_or_default()
}

/// strerror(3)'s text.
pub fn reason_text(errno: Errno) -> String {
    let mut text = [0u8; 256];
    // SAFETY: as many bytes as are there are given.
    unsafe { libc::strerror_r(errno.0, text.as_mut_ptr().cast(), text.len()) };
    let text = CStr::from_bytes_until_nul(&text).unwrap_or_default();
    text.to_string_lossy().into_owned()
}

/// Remembers a failure for the thread, and returns its errno value.
pub fn remember(failure: &Failure) -> c_int {
    let (errno, step, path) = (failure.errno, failure.step, &failure.path);
    let limit = sys::limit_in_force(errno, step);
    let mut message = format!("{step}: ").into_bytes();
    if !path.is_empty() {
        message.extend_from_slice(path);
        message.extend_from_slice(b": ");
    }
    message.extend_from_slice(reason_text(errno).as_bytes());
    if let Some((name, limit)) = limit {
        message.extend_from_slice(format!(" ({name}, the limit in force, is {limit})").as_bytes());
    }
    let last = Last {
        errno: errno.0,
        limit: limit.map_or(0, |(_, limit)| limit),
        step: c_string(step),
        path: c_string(path.clone()),
        message: c_string(message),
    };
    // A thread that is ending has no place left for it: then it is not remembered.
    let _ = LAST.try_with(|slot| {
        if let Ok(mut slot) = slot.try_borrow_mut() {
            *slot = Some(last);
        }
    });
    errno.0
}

/// Reads the `size` that a struct begins with.
///
/// # Safety
/// `at` points to at least a `size_t`.
pub unsafe fn stated_size<T>(at: *const T) -> usize {
    // SAFETY: the caller's promise.
    unsafe { at.cast::<usize>().read_unaligned() }
}

/// Writes the front of a struct, as far as the caller's reaches; its `size` stays the caller's.
///
/// # Safety
/// `at` points to `size` writable bytes.
pub unsafe fn write_front<T>(at: *mut T, size: usize, value: &T) {
    let word = size_of::<usize>();
    let len = size.min(size_of::<T>());
    // SAFETY: both sides have at least `len` bytes, and `len >= word` was checked by the caller.
    unsafe {
        let from = std::ptr::from_ref(value).cast::<u8>().add(word);
        at.cast::<u8>().add(word).copy_from_nonoverlapping(from, len - word);
    }
}

/// # Safety
/// `error` is NULL or points to a struct of at least the size it states.
pub unsafe fn last_error(error: *mut inotify_watcher_error) -> c_int {
    if error.is_null() {
        return -libc::EINVAL;
    }
    // SAFETY: not NULL, and every version of the struct begins with its size.
    let size = unsafe { stated_size(error) };
    if size < 16 {
        return -libc::EINVAL;
    }
    let empty: &CStr = c"";
    let mut out = inotify_watcher_error {
        size,
        error: 0,
        reserved: 0,
        limit: 0,
        step: empty.as_ptr(),
        path: empty.as_ptr(),
        path_len: 0,
        message: c"no error".as_ptr(),
    };
    let _ = LAST.try_with(|slot| {
        if let Ok(slot) = slot.try_borrow()
            && let Some(last) = &*slot
        {
            out.error = last.errno;
            out.limit = last.limit;
            out.step = last.step.as_ptr();
            out.path = last.path.as_ptr();
            out.path_len = last.path.as_bytes().len();
            out.message = last.message.as_ptr();
        }
    });
    // SAFETY: the caller's struct has `size` bytes.
    unsafe { write_front(error, size, &out) };
    0
}

/// Where a struct of answers goes.
pub struct StructOut<T> {
    at: *mut T,
    size: usize,
}

impl<T> StructOut<T> {
    /// # Safety
    /// `at` is NULL or points to a struct of at least the size it states, valid until `fill`.
    pub unsafe fn parse(at: *mut T, step: &'static str) -> Outcome<Self> {
        if at.is_null() {
            return Err(failure(libc::EINVAL, step));
        }
        // SAFETY: not NULL, and every version of the struct begins with its size.
        let size = unsafe { stated_size(at) };
        if size < 16 {
            return Err(failure(libc::EINVAL, step));
        }
        Ok(Self { at, size })
    }

    /// Writes it.
    pub fn fill(self, value: T) {
        // SAFETY: `parse` was promised `size` writable bytes.
        unsafe { write_front(self.at, self.size, &value) };
    }
}

/// Shows every watchpoint to the visitor.
pub fn for_each(
    watcher: &Watcher,
    visitor: inotify_watcher_visitor,
    user_data: *mut c_void,
) -> Outcome<c_int> {
    let visitor = visitor.ok_or_else(|| failure(libc::EINVAL, "visitor"))?;
    for (watch, wd, mask, path) in watcher.watchpoints()? {
        let path_len = path.len();
        let path = c_string(path);
        let shown = inotify_watcher_watchpoint {
            size: size_of::<inotify_watcher_watchpoint>(),
            watch,
            wd,
            mask,
            path: path.as_ptr().cast::<c_char>(),
            path_len,
        };
        // SAFETY: the visitor is the caller's function, for this data; the struct outlives the call.
        let answer = unsafe { visitor(&raw const shown, user_data) };
        if answer != 0 {
            return Ok(answer);
        }
    }
    Ok(0)
}

/// Shows every directory that is not covered to the visitor.
pub fn for_each_uncovered(
    watcher: &Watcher,
    watch: i64,
    visitor: inotify_watcher_uncovered_visitor,
    user_data: *mut c_void,
) -> Outcome<c_int> {
    let visitor = visitor.ok_or_else(|| failure(libc::EINVAL, "visitor"))?;
    for (watch, path, errno, step) in watcher.uncovered(watch)? {
        let path_len = path.len();
        let (path, step) = (c_string(path), c_string(step));
        let shown = inotify_watcher_uncovered {
            size: size_of::<inotify_watcher_uncovered>(),
            watch,
            error: errno.0,
            reserved: 0,
            step: step.as_ptr(),
            path: path.as_ptr(),
            path_len,
        };
        // SAFETY: the visitor is the caller's function, for this data; the struct outlives the call.
        let answer = unsafe { visitor(&raw const shown, user_data) };
        if answer != 0 {
            return Ok(answer);
        }
    }
    Ok(0)
}
