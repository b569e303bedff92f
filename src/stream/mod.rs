//! A buffered, non-blocking writer over any descriptor, with back-pressure on whoever feeds it.
//!
//! `buffer` holds the bytes, `machine` decides (`producer` for it about a producer), `pump` has the
//! lock and carries out the steps that were decided, `fd` writes, `json` formats events. All but
//! `fd` are free of unsafe code, and nothing here knows C: the interface implements `Outside` with
//! the program's functions.

mod buffer;
mod machine;
mod producer;
mod pump;
mod step;
#[cfg(test)]
mod tests;

pub mod fd;
pub mod json;

pub use buffer::MOST_SLICES;
pub use producer::Kind;
pub use pump::{Outside, Status, Stream};
pub use step::{Limits, Wrote};
