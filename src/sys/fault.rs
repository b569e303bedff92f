//! For tests only: system calls that fail when they are told to. Compiled with the feature
//! `faults`, which nothing that is installed has; `tests/faults/faults.h` is the interface.

use std::ffi::{c_char, c_int};

use parking_lot::Mutex;

use super::{Call, Errno};

/// Names for the plans, in the order of `Call`.
const NAMES: [&std::ffi::CStr; CALLS] = [
    c"inotify_init1",
    c"inotify_add_watch",
    c"inotify_rm_watch",
    c"read",
    c"ioctl",
    c"memfd_create",
    c"fchmod",
    c"futimens",
    c"ftruncate",
    c"openat",
    c"openat2",
    c"getdents64",
    c"fstatat",
    c"fstatfs",
    c"getcwd",
    c"unshare",
    c"fchdir",
    c"pthread_create",
    c"mmap",
    c"madvise",
    c"fcntl",
    c"sendmsg",
    c"writev",
    c"shutdown",
];
const CALLS: usize = Call::Shutdown as usize + 1;

/// Directory entries come in pieces that are as small as they can be.
const SHORT_LISTS: u32 = 1;
/// Directory entries have no type.
const NO_TYPES: u32 = 2;

/// Errors that a random failure is drawn from.
const MOST_ERRORS: usize = 16;

/// What is to happen to one call.
#[derive(Clone, Copy)]
struct Plan {
    made: u64,
    failed: u64,
    /// The number of the first call that fails, or 0.
    from: u64,
    /// How many from then on.
    count: u64,
    error: c_int,
    per_million: u32,
    /// Which of the errors, one bit each.
    among: u32,
}

struct Plans {
    of: [Plan; CALLS],
    random: u64,
    errors: [c_int; MOST_ERRORS],
    error_count: usize,
    lists: u32,
}

const NONE: Plan =
    Plan { made: 0, failed: 0, from: 0, count: 0, error: 0, per_million: 0, among: 0 };
static PLANS: Mutex<Plans> = Mutex::new(Plans {
    of: [NONE; CALLS],
    random: 0,
    errors: [0; MOST_ERRORS],
    error_count: 0,
    lists: 0,
});

impl Plans {
    /// splitmix64.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn due(&mut self, which: usize) -> c_int {
        let plan = &mut self.of[which];
        plan.made += 1;
        let (made, error, per_million, among) =
            (plan.made, plan.error, plan.per_million, plan.among);
        if plan.from != 0 && made >= plan.from && made - plan.from < plan.count {
            return error;
        }
        let among = among & ((1 << self.error_count) - 1);
        if per_million == 0 || among == 0 {
            return 0;
        }
        let drawn = self.draw();
        if drawn % 1_000_000 >= u64::from(per_million) {
            return 0;
        }
        let skip = (drawn >> 32) as usize % among.count_ones() as usize;
        let bit = (0..MOST_ERRORS).filter(|bit| among & (1 << bit) != 0).nth(skip);
        bit.map_or(0, |bit| self.errors[bit])
    }
}

/// Is this call to fail, and how?
pub fn refused(which: Call) -> Option<Errno> {
    let mut plans = PLANS.lock();
    let error = plans.due(which as usize);
    if error == 0 {
        return None;
    }
    plans.of[which as usize].failed += 1;
    Some(Errno(error))
}

/// How much of a buffer a listing may use: room for one entry with the longest name.
pub fn list_size(len: usize) -> usize {
    if PLANS.lock().lists & SHORT_LISTS != 0 { len.min(280) } else { len }
}

/// Takes the types out of a listing.
pub fn strip_types(bytes: &mut [u8]) {
    if PLANS.lock().lists & NO_TYPES == 0 {
        return;
    }
    let mut at = 0;
    while let Some(&[low, high]) = bytes.get(at + 16..at + 18) {
        let length = usize::from(u16::from_ne_bytes([low, high]));
        if length < 19 || at + length > bytes.len() {
            break;
        }
        bytes[at + 18] = libc::DT_UNKNOWN;
        at += length;
    }
}

/// The name of call number `which`; NULL behind the last.
#[unsafe(no_mangle)]
pub extern "C" fn rinotify_fault_name(which: u32) -> *const c_char {
    NAMES.get(which as usize).map_or(std::ptr::null(), |name| name.as_ptr())
}

/// Nothing fails any more, and all counts are 0.
#[unsafe(no_mangle)]
pub extern "C" fn rinotify_fault_clear() {
    let mut plans = PLANS.lock();
    plans.of = [NONE; CALLS];
    plans.error_count = 0;
    plans.lists = 0;
}

/// `count` calls from the `from`th on, counted from now, fail with `error`.
#[unsafe(no_mangle)]
pub extern "C" fn rinotify_fault_plan(which: u32, from: u64, count: u64, error: c_int) -> c_int {
    match PLANS.lock().of.get_mut(which as usize) {
        Some(plan) => {
            *plan = Plan { from, count, error, ..NONE };
            0
        }
        None => -libc::EINVAL,
    }
}

/// Each such call fails with a probability, with one of the errors of `rinotify_fault_errors`
/// whose bit is set in `among`.
#[unsafe(no_mangle)]
pub extern "C" fn rinotify_fault_random(which: u32, per_million: u32, among: u32) -> c_int {
    match PLANS.lock().of.get_mut(which as usize) {
        Some(plan) => {
            (plan.per_million, plan.among) = (per_million, among);
            0
        }
        None => -libc::EINVAL,
    }
}

/// What random failures are drawn from, and where the drawing begins.
///
/// # Safety
/// `errors` points to `count` integers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rinotify_fault_errors(
    errors: *const c_int,
    count: usize,
    seed: u64,
) -> c_int {
    if count > MOST_ERRORS {
        return -libc::E2BIG;
    }
    let mut plans = PLANS.lock();
    // SAFETY: the caller's promise.
    plans.errors[..count].copy_from_slice(unsafe { std::slice::from_raw_parts(errors, count) });
    plans.error_count = count;
    plans.random = seed;
    0
}

/// How listings come: RINOTIFY_FAULT_SHORT_LISTS, RINOTIFY_FAULT_NO_TYPES.
#[unsafe(no_mangle)]
pub extern "C" fn rinotify_fault_lists(how: u32) {
    PLANS.lock().lists = how & (SHORT_LISTS | NO_TYPES);
}

/// How many such calls were made since the plans were last cleared or this one was made.
#[unsafe(no_mangle)]
pub extern "C" fn rinotify_fault_made(which: u32) -> u64 {
    PLANS.lock().of.get(which as usize).map_or(0, |plan| plan.made)
}

/// How many of them failed on demand.
#[unsafe(no_mangle)]
pub extern "C" fn rinotify_fault_failed(which: u32) -> u64 {
    PLANS.lock().of.get(which as usize).map_or(0, |plan| plan.failed)
}
