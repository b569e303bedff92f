//! Whatever happens to the tree, at whatever moment: a consumer of the events knows it at the end.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rinotify::fuzz::operations(data));
