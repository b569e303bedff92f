//! The C interface: pointers are parsed at the door, user code is called with no lock held.
#![expect(unsafe_code, reason = "raw pointers come in here, and system calls are made in `sys`")]

pub mod abi;
mod door;
pub mod functions;
mod names;
mod report;
mod watcher;
