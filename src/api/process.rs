//! Which process and which thread this is, without a system call each time.

use std::ffi::c_void;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::sys::{self, Call, call, refused};

/// A page that the kernel clears in a forked child.
struct Page(*const AtomicU32);

// SAFETY: it points to an atomic that lives as long as the process.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

static PAGE: OnceLock<Option<Page>> = OnceLock::new();
/// How many processes this memory has been the memory of.
static GENERATIONS: AtomicU32 = AtomicU32::new(0);

/// A number that is another one in a forked child.
pub fn generation() -> u32 {
    let Some(Page(page)) = PAGE.get_or_init(wiped_page) else {
        // Never 0 or negative.
        return sys::process_id().unsigned_abs();
    };
    // SAFETY: the page is never unmapped.
    let word = unsafe { &**page };
    match word.load(Ordering::Relaxed) {
        0 => {
            let next = GENERATIONS.fetch_add(1, Ordering::Relaxed) + 1;
            // Another thread of the same child may have been first.
            match word.compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => next,
                Err(first) => first,
            }
        }
        known => known,
    }
}

/// Source: `MADV_WIPEONFORK` in madvise(2), Linux 4.14. `None` where it is not to be had.
fn wiped_page() -> Option<Page> {
    // SAFETY: no pointers are handed in; a failed sysconf(3) says -1.
    let size = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()?;
    if refused(Call::Mmap).is_some() {
        return None;
    }
    // SAFETY: a new mapping, which nobody else knows.
    let page = unsafe {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        libc::mmap(std::ptr::null_mut(), size, access, kind, -1, 0)
    };
    if page == libc::MAP_FAILED {
        return None;
    }
    let advise = |advice| {
        // SAFETY: the mapping is ours, and nothing in it is used yet.
        call(Call::Madvise, || unsafe { libc::madvise(page, size, advice) }).is_ok()
    };
    // Something that accepts advice which cannot be (an emulator) only says yes.
    if !advise(-1) && advise(libc::MADV_WIPEONFORK) {
        return Some(Page(page.cast::<c_void>().cast_const().cast()));
    }
    // SAFETY: ours still.
    unsafe { libc::munmap(page, size) };
    None
}

thread_local! {
    static HERE: u8 = const { 0 };
}

/// A number that no other living thread has. Never 0.
pub fn thread() -> usize {
    HERE.with(|here| std::ptr::from_ref(here).addr())
}

#[cfg(test)]
mod tests {
    use super::{generation, thread};

    #[test]
    fn threads_differ_and_processes_differ() {
        let (process, here) = (generation(), thread());
        assert_eq!((process, here), (generation(), thread()));
        let other =
            std::thread::scope(|scope| scope.spawn(|| (generation(), thread())).join().unwrap());
        assert_eq!(other.0, process);
        assert_ne!(other.1, here);

        // SAFETY: the child calls nothing but what a child of several threads may.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let told = generation();
            let right = told != process && told != 0 && told == generation() && thread() == here;
            // SAFETY: ends the child without running anything of the parent's.
            unsafe { libc::_exit(i32::from(!right)) };
        }
        let mut status = -1;
        // SAFETY: `status` is a valid out parameter.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!(status, 0);
        assert_eq!(generation(), process);
    }
}
