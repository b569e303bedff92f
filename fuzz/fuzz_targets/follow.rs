//! Whatever happens to a path, and to what it leads to: a consumer who follows the name knows it at the
//! end.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rinotify::fuzz::follow(data));
