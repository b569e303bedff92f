//! The functions of the C interface that control the flow of events, and end it.

use std::ffi::c_int;

use super::abi::inotify_watcher;
use super::door;

/// Puts the descriptor into the reactor's loop: from then on the loop reads the watcher. Without a
/// reactor the state alone is remembered, and inotify_watcher_wants_read() tells it. A second call
/// is a no-op.
///
/// A watcher with a reactor is stopped when it is made, one without is not. While a watcher is
/// paused it stays out of the loop, until inotify_watcher_resume_producing().
///
/// Returns 0, or what the reactor's add_reader returned, and the watcher is stopped; or -EBADF
/// (closed), -EINVAL (NULL), -ENOTRECOVERABLE. Any thread that the loop allows. Since 0.1.
///
/// # Safety
/// `watcher` is NULL or came from inotify_watcher_create().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_start_reading(watcher: *mut inotify_watcher) -> c_int {
    door::int(watcher, |w| w.start_reading())
}

/// Takes the descriptor out of the reactor's loop. What happens meanwhile stays in the kernel's
/// queue (if that overflows, it is told afterwards): inotify_watcher_do_read() reads nothing and
/// returns 0, inotify_watcher_sync() is -EAGAIN. Inside a callback it takes effect before the next
/// event. A second call is a no-op.
///
/// Returns 0, or -EBADF (closed), -EINVAL (NULL), -ENOTRECOVERABLE. Any thread that the loop allows.
/// Since 0.1.
///
/// # Safety
/// `watcher` is NULL or came from inotify_watcher_create().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_stop_reading(watcher: *mut inotify_watcher) -> c_int {
    door::int(watcher, |w| w.stop_reading())
}

/// Should the descriptor be polled: is the watcher neither stopped nor paused? For programs without
/// a reactor: ask before each poll. The descriptor stays readable while something waits, so a loop
/// that polls it all the same goes round and round.
///
/// Returns 1 or 0, or -EBADF (closed), -EINVAL (NULL), -ENOTRECOVERABLE. Any thread. Since 0.1.
///
/// # Safety
/// `watcher` is NULL or came from inotify_watcher_create().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_wants_read(watcher: *const inotify_watcher) -> c_int {
    door::int(watcher, |w| Ok(c_int::from(w.wants_read())))
}

/// Holds the watcher back, as inotify_watcher_stop_reading() does, for a consumer that has enough:
/// nothing is delivered, nothing is lost, and the descriptor is out of the loop. The two are counted
/// apart: a watcher is read when it is neither stopped nor paused. A second call is a no-op.
///
/// Returns 0, or -EBADF (closed), -EINVAL (NULL), -ENOTRECOVERABLE. Any thread that the loop allows.
/// Since 0.1.
///
/// # Safety
/// `watcher` is NULL or came from inotify_watcher_create().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_pause_producing(watcher: *mut inotify_watcher) -> c_int {
    door::int(watcher, |w| w.pause_producing())
}

/// Ends a pause. Unless the watcher is stopped, its descriptor goes back into the loop, and is
/// readable if anything waits. With an edge-triggered poll of the program's own, call
/// inotify_watcher_do_read() until it returns 0. Without a pause it is a no-op.
///
/// Returns 0, or what the reactor's add_reader returned, and the watcher is stopped; or -EBADF
/// (closed), -EINVAL (NULL), -ENOTRECOVERABLE. Any thread that the loop allows. Since 0.1.
///
/// # Safety
/// `watcher` is NULL or came from inotify_watcher_create().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_resume_producing(watcher: *mut inotify_watcher) -> c_int {
    door::int(watcher, |w| w.resume_producing())
}

/// For a consumer that wants no more, ever: inotify_watcher_lose_connection(), and returns what that
/// returns. Since 0.1.
///
/// # Safety
/// `watcher` is NULL or came from inotify_watcher_create().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_stop_producing(watcher: *mut inotify_watcher) -> c_int {
    door::lose_connection(watcher)
}

/// Closes the watcher without releasing the handle: it is taken out of the reactor's loop, every
/// watch ends, and connection_lost is called with the reason 0. From then on `fileno` is -1, and every
/// function but inotify_watcher_destroy() and this one returns -EBADF. If a callback is running, on
/// this or another thread, all of this happens when that returns: no event comes after it, and until
/// then the functions work as before. A second call is a no-op.
///
/// Returns 0, or -EINVAL (NULL), -EBADF (destroyed). Any thread that the loop allows. Since 0.1.
///
/// # Safety
/// `watcher` is NULL or came from inotify_watcher_create().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inotify_watcher_lose_connection(watcher: *mut inotify_watcher) -> c_int {
    door::lose_connection(watcher)
}
