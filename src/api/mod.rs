//! The C interface: pointers are parsed at the door, user code is called with no lock held.
#![expect(unsafe_code, reason = "raw pointers come in here, and system calls are made in `sys`")]

pub mod abi;
mod asking;
mod door;
mod flow;
pub mod flow_functions;
pub mod functions;
mod ids;
mod log;
mod making;
mod names;
mod options;
mod process;
mod progress;
pub mod reactor_abi;
mod reading;
mod report;
pub mod stream;
pub mod stream_abi;
mod stream_door;
pub mod stream_events;
mod stream_options;
mod stream_program;
mod watcher;
