//! A buffered, non-blocking writer over any descriptor, with back-pressure on whoever feeds it.
//!
//! `buffer` holds the bytes, `machine` decides, `pump` has the lock and carries out what was
//! decided, `fd` writes, `json` formats events. All but `fd` are free of unsafe code, and nothing
//! here knows C: the interface implements `Outside` with the program's functions.

mod buffer;
mod machine;
mod pump;
#[cfg(test)]
mod tests;

pub mod fd;
pub mod json;

pub use buffer::MOST_SLICES;
pub use machine::{Counters, Kind, Limits, Wrote};
pub use pump::{Outside, Status, Stream};
