//! The notify crate behind a C interface, so that the same C driver measures it.
//!
//! SPDX-License-Identifier: MIT OR Apache-2.0

use notify::event::{EventKind, ModifyKind, RenameMode};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::ffi::{c_char, c_int, c_void, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const IN_ATTRIB: u32 = 0x4;
const IN_MOVED_FROM: u32 = 0x40;
const IN_MOVED_TO: u32 = 0x80;
const IN_CREATE: u32 = 0x100;
const IN_DELETE: u32 = 0x200;
const IN_Q_OVERFLOW: u32 = 0x4000;
const IN_ISDIR: u32 = 0x4000_0000;

type Tell = extern "C" fn(mask: u32, path: *const c_char, len: usize);

fn mask(kind: &EventKind) -> u32 {
    use notify::event::{CreateKind, RemoveKind};
    match kind {
        EventKind::Create(CreateKind::Folder) => IN_CREATE | IN_ISDIR,
        EventKind::Create(_) => IN_CREATE,
        EventKind::Remove(RemoveKind::Folder) => IN_DELETE | IN_ISDIR,
        EventKind::Remove(_) => IN_DELETE,
        EventKind::Modify(ModifyKind::Name(RenameMode::From)) => IN_MOVED_FROM,
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => IN_MOVED_TO,
        _ => IN_ATTRIB,
    }
}

fn deliver(tell: Tell, result: notify::Result<notify::Event>) {
    let Ok(event) = result else { return };
    // What was opened or closed is not in the mask that the others are measured with.
    if matches!(event.kind, EventKind::Access(_)) {
        return;
    }
    if event.need_rescan() {
        tell(IN_Q_OVERFLOW, c"".as_ptr(), 0);
        return;
    }
    if let Some(path) = event.paths.last() {
        let bytes = path.as_os_str().as_bytes();
        tell(mask(&event.kind), bytes.as_ptr().cast(), bytes.len());
    }
}

#[no_mangle]
pub extern "C" fn peer_notify_open(tell: Tell) -> *mut c_void {
    match notify::recommended_watcher(move |event| deliver(tell, event)) {
        Ok(watcher) => Box::into_raw(Box::new(watcher)).cast(),
        Err(_) => std::ptr::null_mut(),
    }
}

/// # Safety
/// `path` has `len` bytes.
unsafe fn path<'a>(path: *const u8, len: usize) -> &'a Path {
    Path::new(OsStr::from_bytes(unsafe {
        std::slice::from_raw_parts(path, len)
    }))
}

fn status(result: notify::Result<()>) -> c_int {
    match result {
        Ok(()) => 0,
        Err(error) => match error.kind {
            notify::ErrorKind::Io(io) => -io.raw_os_error().unwrap_or(5),
            _ => -5,
        },
    }
}

/// # Safety
/// `watcher` came from `peer_notify_open`; `at` has `len` bytes.
#[no_mangle]
pub unsafe extern "C" fn peer_notify_watch(watcher: *mut c_void, at: *const u8, len: usize) -> c_int {
    let watcher = unsafe { &mut *watcher.cast::<RecommendedWatcher>() };
    status(watcher.watch(unsafe { path(at, len) }, RecursiveMode::Recursive))
}

/// # Safety
/// As `peer_notify_watch`.
#[no_mangle]
pub unsafe extern "C" fn peer_notify_ignore(watcher: *mut c_void, at: *const u8, len: usize) -> c_int {
    let watcher = unsafe { &mut *watcher.cast::<RecommendedWatcher>() };
    status(watcher.unwatch(unsafe { path(at, len) }))
}

/// # Safety
/// `watcher` came from `peer_notify_open` and is not used again.
#[no_mangle]
pub unsafe extern "C" fn peer_notify_close(watcher: *mut c_void) {
    drop(unsafe { Box::from_raw(watcher.cast::<RecommendedWatcher>()) });
}
