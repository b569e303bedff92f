//! Whatever bytes read(2) returns: no panic, no endless loop, no memory without bound.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rinotify::fuzz::decode(data));
