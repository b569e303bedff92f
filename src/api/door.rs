//! The door: handles are looked up, arguments parsed, panics kept in, results turned into the
//! C return value. It stands once.

use std::cell::Cell;
use std::collections::VecDeque;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Once};

use parking_lot::Mutex;

use super::abi::*;
use super::options::Options;
use super::report::{Outcome, failure, remember};
use super::watcher::Watcher;
use crate::engine::{EVENTS, Excludes, Failure, MODIFIERS, UNASKED, WatchFlags};
use crate::sys::Errno;

/// What a handle points to. Slots are never freed, and used again only after many others, so a
/// handle that was destroyed is refused instead of being followed into freed memory.
#[derive(Default)]
pub struct Slot {
    watcher: Mutex<Option<Arc<Watcher>>>,
}

/// Slots that rest before the first of them is used again.
const RESTING: usize = 1024;

static FREE: Mutex<VecDeque<&'static Slot>> = Mutex::new(VecDeque::new());

fn slot<'a>(handle: *const inotify_watcher) -> Option<&'a Slot> {
    // SAFETY: every handle that `create` gave out points to a slot, and slots live for ever.
    unsafe { handle.cast::<Slot>().as_ref() }
}

thread_local! {
    /// How deep this thread is inside the library: its panics are reported by return values, so
    /// the hook prints nothing for them.
    static INSIDE: Cell<u32> = const { Cell::new(0) };
}

static HOOK: Once = Once::new();

/// Panics inside the library print nothing; those of the rest of the program are left as they are.
pub fn quiet_panics() {
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let inside = INSIDE.try_with(Cell::get).unwrap_or(0) > 0;
            if !inside {
                before(info);
            }
        }));
    });
}

/// Runs `body` as the library's own code.
pub fn guarded<T>(body: impl FnOnce() -> T) -> std::thread::Result<T> {
    let _ = INSIDE.try_with(|inside| inside.set(inside.get() + 1));
    let result = catch_unwind(AssertUnwindSafe(body));
    let _ = INSIDE.try_with(|inside| inside.set(inside.get() - 1));
    result
}

/// Marks a thread of the library's own.
pub fn inside() {
    let _ = INSIDE.try_with(|inside| inside.set(1));
}

/// Looks the handle up and runs `body`.
pub fn with<T>(
    handle: *const inotify_watcher,
    body: impl FnOnce(&Arc<Watcher>) -> T,
) -> Outcome<T> {
    let watcher = enter(handle)?;
    guarded(|| body(&watcher)).map_err(|_| broken(&watcher))
}

// Not in every function anew.
#[inline(never)]
fn enter(handle: *const inotify_watcher) -> Outcome<Arc<Watcher>> {
    let slot = slot(handle).ok_or_else(|| failure(libc::EINVAL, "watcher"))?;
    let watcher = slot.watcher.lock().clone().ok_or_else(|| failure(libc::EBADF, "watcher"))?;
    watcher.usable()?;
    Ok(watcher)
}

#[cold]
#[inline(never)]
fn broken(watcher: &Watcher) -> Failure {
    watcher.break_down();
    failure(libc::ENOTRECOVERABLE, "internal error")
}

fn ret<T: From<c_int>>(result: Outcome<T>) -> T {
    result.unwrap_or_else(|failure| T::from(code(&failure)))
}

/// What a function returns for a failure, which is kept for `inotify_watcher_last_error`.
#[cold]
#[inline(never)]
fn code(failure: &Failure) -> c_int {
    -remember(failure)
}

/// A function that returns an int.
pub fn int(
    handle: *const inotify_watcher,
    body: impl FnOnce(&Arc<Watcher>) -> Outcome<c_int>,
) -> c_int {
    ret(with(handle, body).and_then(|result| result))
}

/// A function that returns an id.
pub fn int64(
    handle: *const inotify_watcher,
    body: impl FnOnce(&Arc<Watcher>) -> Outcome<i64>,
) -> i64 {
    ret(with(handle, body).and_then(|result| result))
}

/// # Safety
/// `options` is NULL or points to a struct of at least the size it states, with pointers that are
/// NULL or what they say.
pub unsafe fn create(options: *const inotify_watcher_options) -> *mut inotify_watcher {
    quiet_panics();
    // SAFETY: the caller's promise.
    let options = unsafe { Options::parse(options) };
    let made = guarded(|| Watcher::new(options?))
        .unwrap_or_else(|_| Err(failure(libc::ENOTRECOVERABLE, "internal error")));
    match made {
        Ok(watcher) => {
            let slot = {
                let mut free = FREE.lock();
                if free.len() > RESTING { free.pop_front() } else { None }
            };
            let slot = slot.unwrap_or_else(|| Box::leak(Box::default()));
            let handle = std::ptr::from_ref(slot).cast_mut().cast::<inotify_watcher>();
            watcher.set_handle(handle);
            *slot.watcher.lock() = Some(watcher);
            handle
        }
        Err(failure) => {
            let errno = remember(&failure);
            // SAFETY: the location is valid for the life of the thread.
            unsafe { *libc::__errno_location() = errno };
            std::ptr::null_mut()
        }
    }
}

/// Releases a handle.
pub fn destroy(handle: *mut inotify_watcher) {
    let Some(slot) = slot(handle) else { return };
    // In a forked child a thread that is no more may hold the lock for ever: then there is nobody
    // left to use the slot, either.
    let Some(mut place) = slot.watcher.try_lock_for(std::time::Duration::from_secs(1)) else {
        return;
    };
    let taken = place.take();
    drop(place);
    if let Some(watcher) = taken {
        let foreign = watcher.foreign();
        // A panic in here leaves the watcher closed; there is nobody to tell.
        let _ = guarded(|| watcher.destroy());
        if !foreign {
            FREE.lock().push_back(slot);
        } else if let Some(mut free) = FREE.try_lock() {
            // In a forked child the holder of the lock may be no more.
            free.push_back(slot);
        }
    }
}

/// Closes, once.
pub fn lose_connection(handle: *mut inotify_watcher) -> c_int {
    let closed = slot(handle).map(|slot| slot.watcher.lock().clone());
    match closed {
        None => ret(Err(failure(libc::EINVAL, "watcher"))),
        Some(None) => ret(Err(failure(libc::EBADF, "watcher"))),
        Some(Some(watcher)) if watcher.foreign() => ret(watcher.usable().map(|()| 0)),
        Some(Some(watcher)) => {
            if guarded(|| watcher.lose_connection()).is_err() {
                watcher.break_down();
                return ret(Err(failure(libc::ENOTRECOVERABLE, "internal error")));
            }
            0
        }
    }
}

/// Structs that begin with their size.
pub trait Sized: std::marker::Sized {
    /// Takes a copy, as openat2(2) does: what the caller's version lacks is zero, what ours lacks
    /// must be.
    ///
    /// # Safety
    /// `at` is NULL or points to as many bytes as the size there states. All zero must be a value
    /// of the type.
    unsafe fn read(at: *const Self, step: &'static str) -> Outcome<Option<Self>>;
}

/// More than a page is no struct of any version.
const LARGEST: usize = 4096;

/// Types for which all zero is a value.
pub trait Zeroed {}
impl Zeroed for inotify_watcher_watch_options {}

impl<T: Zeroed> Sized for T {
    unsafe fn read(at: *const Self, step: &'static str) -> Outcome<Option<Self>> {
        if at.is_null() {
            return Ok(None);
        }
        // SAFETY: not NULL, so it points to at least its size.
        let size = unsafe { at.cast::<usize>().read_unaligned() };
        if size < size_of::<usize>() {
            return Err(failure(libc::EINVAL, step));
        }
        if size > LARGEST {
            return Err(failure(libc::E2BIG, step));
        }
        // SAFETY: the caller states that many bytes.
        let bytes = unsafe { std::slice::from_raw_parts(at.cast::<u8>(), size) };
        let known = size.min(size_of::<Self>());
        if bytes[known..].iter().any(|&byte| byte != 0) {
            return Err(failure(libc::E2BIG, step));
        }
        let mut value = std::mem::MaybeUninit::<Self>::zeroed();
        // SAFETY: at most the size of the value is copied, and all zero is a value of it; what C
        // wrote over it are integers and pointers.
        let value = unsafe {
            value.as_mut_ptr().cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), known);
            value.assume_init()
        };
        Ok(Some(value))
    }
}

/// Strings that come in.
pub struct Input;

impl Input {
    /// Copies a path that the kernel is to follow: not empty, shorter than PATH_MAX.
    ///
    /// # Safety
    /// `path` is NULL or NUL-terminated.
    pub unsafe fn path(path: *const c_char) -> Outcome<Vec<u8>> {
        // SAFETY: the caller's promise.
        let path = unsafe { Self::any_path(path) }?;
        if path.len() >= libc::PATH_MAX as usize {
            let path = path[..64].to_vec();
            return Err(Failure::new(Errno(libc::ENAMETOOLONG), "path", path));
        }
        Ok(path)
    }

    /// Copies a path that is only compared, of any length: not empty.
    ///
    /// # Safety
    /// `path` is NULL or NUL-terminated.
    pub unsafe fn any_path(path: *const c_char) -> Outcome<Vec<u8>> {
        if path.is_null() {
            return Err(failure(libc::EINVAL, "path"));
        }
        // SAFETY: the caller's promise.
        let bytes = unsafe { CStr::from_ptr(path) }.to_bytes();
        if bytes.is_empty() {
            return Err(failure(libc::EINVAL, "path"));
        }
        Ok(bytes.to_vec())
    }
}

/// The user's side of a watch.
pub struct User {
    /// The callback.
    pub callback: unsafe extern "C-unwind" fn(
        *mut inotify_watcher,
        *const inotify_watcher_event,
        *mut c_void,
    ),
    /// Decides about directories.
    pub filter: inotify_watcher_filter,
    /// Its data.
    pub data: *mut c_void,
    /// Called when this is dropped, once the watch is made: until then the data are the caller's.
    pub release: inotify_watcher_release,
    /// The watch is made.
    pub made: AtomicBool,
}

// SAFETY: the pointer is only handed back to the user's functions, which the interface says are
// called on the reading thread, and `release` on the thread that ends the watch.
unsafe impl Send for User {}
// SAFETY: as above.
unsafe impl Sync for User {}

impl Drop for User {
    fn drop(&mut self) {
        if let (Some(release), true) = (self.release, *self.made.get_mut()) {
            // SAFETY: the user's function for the user's data, called once, here.
            unsafe { release(self.data) };
        }
    }
}

/// What a watch call asks for, checked.
pub struct Request {
    /// IN_* bits.
    pub mask: u32,
    /// RINOTIFY_WATCH_* bits.
    pub flags: WatchFlags,
    /// The user's side.
    pub user: User,
    /// Called while a tree is added.
    pub progress: inotify_watcher_progress,
    /// Directories that are left out.
    pub excludes: Excludes,
}

impl Request {
    /// From the arguments of the simple call.
    pub fn simple(
        mask: u32,
        flags: u32,
        callback: inotify_watcher_callback,
        data: *mut c_void,
    ) -> Outcome<Self> {
        let callback = callback.ok_or_else(|| failure(libc::EINVAL, "callback"))?;
        let mask_fails = || failure(libc::EINVAL, "mask");
        if mask & EVENTS == 0 || mask & !(EVENTS | MODIFIERS | UNASKED) != 0 {
            return Err(mask_fails());
        }
        if mask & libc::IN_MASK_ADD != 0 && mask & libc::IN_MASK_CREATE != 0 {
            return Err(mask_fails());
        }
        let flags = WatchFlags::from_bits(flags).ok_or_else(|| failure(libc::EINVAL, "flags"))?;
        Ok(Self {
            mask,
            flags,
            user: User {
                callback,
                filter: None,
                data,
                release: None,
                made: AtomicBool::new(false),
            },
            progress: None,
            excludes: Excludes::default(),
        })
    }

    /// From the options.
    ///
    /// # Safety
    /// `options` is NULL or points to a struct of at least the size it states, with a list of
    /// patterns that is NULL or ended by NULL, of strings that are NUL-terminated.
    pub unsafe fn parse(options: *const inotify_watcher_watch_options) -> Outcome<Self> {
        // SAFETY: the caller's promise.
        let options = unsafe { Sized::read(options, "options") }?;
        let options = options.ok_or_else(|| failure(libc::EINVAL, "options"))?;
        let mut request =
            Self::simple(options.mask, options.flags, options.callback, options.user_data)?;
        request.user.release = options.release;
        request.progress = options.progress;
        request.user.filter = options.filter;
        // SAFETY: the caller's promise.
        request.excludes = unsafe { patterns(options.excludes) }?;
        Ok(request)
    }
}

/// # Safety
/// `list` is NULL or ended by NULL, its strings are NUL-terminated.
unsafe fn patterns(list: *const *const c_char) -> Outcome<Excludes> {
    let mut excludes = Excludes::default();
    let mut at = list;
    // SAFETY: not NULL, and not behind the NULL that ends the list.
    while let Some(&pattern) = unsafe { at.as_ref() }.filter(|pattern| !pattern.is_null()) {
        // SAFETY: the caller's promise.
        let pattern = unsafe { CStr::from_ptr(pattern) };
        if !excludes.add(pattern.to_bytes()) {
            return Err(failure(libc::EINVAL, "options.excludes"));
        }
        at = at.wrapping_add(1);
    }
    Ok(excludes)
}
