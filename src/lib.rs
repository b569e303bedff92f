//! librinotify.
#![deny(unsafe_code)]

pub mod api;
mod engine;
mod stream;
mod sys;

/// What the fuzz targets run.
#[cfg(fuzzing)]
pub mod fuzz {
    pub use crate::engine::replay::fuzz::{decode, follow, operations};
}
