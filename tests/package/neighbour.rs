//! Another Rust library, as a program may have one beside librinotify.

/// Needs the runtime that two libraries could quarrel about: unwinding, allocation, arguments.
#[unsafe(no_mangle)]
pub extern "C" fn neighbour_unwinds() -> bool {
    std::panic::set_hook(Box::new(|_| {}));
    let none: Vec<usize> = Vec::new();
    std::panic::catch_unwind(|| none[std::env::args().count()]).is_err()
}
