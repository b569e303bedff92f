//! Event bits of inotify(7), by what they mean here.

/// All bits that a caller can ask to be told of.
pub const EVENTS: u32 = libc::IN_ALL_EVENTS;
/// An entry of a directory came or went.
pub const DIRENT: u32 = libc::IN_CREATE | libc::IN_DELETE | libc::IN_MOVED_FROM | libc::IN_MOVED_TO;
/// One of the halves of a rename.
pub const MOVE: u32 = libc::IN_MOVED_FROM | libc::IN_MOVED_TO;
/// Bits of inotify_add_watch(2) that a caller may set besides.
pub const MODIFIERS: u32 = libc::IN_ONLYDIR
    | libc::IN_DONT_FOLLOW
    | libc::IN_EXCL_UNLINK
    | libc::IN_MASK_CREATE
    | libc::IN_MASK_ADD
    | libc::IN_ONESHOT;
/// Bits that the kernel reports unasked; asking for them is harmless.
pub const UNASKED: u32 = libc::IN_UNMOUNT | libc::IN_Q_OVERFLOW | libc::IN_IGNORED | libc::IN_ISDIR;

/// Flag of the C interface: made by the library.
pub const SYNTHETIC: u32 = crate::api::abi::RINOTIFY_EVENT_SYNTHETIC;
/// Flag of the C interface: something failed.
pub const ERROR: u32 = crate::api::abi::RINOTIFY_EVENT_ERROR;
/// Flag of the C interface: the coverage of a watch has changed; the cookie says to what.
pub const COVERAGE: u32 = crate::api::abi::RINOTIFY_EVENT_COVERAGE;
