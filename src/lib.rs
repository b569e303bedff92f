//! librinotify.
#![deny(unsafe_code)]

pub mod api;
mod engine;
mod stream;
mod sys;
