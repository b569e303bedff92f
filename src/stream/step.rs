//! What the machine and the hand that serves it say to each other.

#![forbid(unsafe_code)]

use crate::sys::Errno;

/// How much is kept, and how much goes out at once. All but `resume` and `most` are above 0.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// More than this waiting: the buffer is full, a push producer is paused.
    pub buffer: usize,
    /// No more than this waiting: the producer is asked to go on.
    pub resume: usize,
    /// Nothing is taken that would make it more; `usize::MAX` for no such limit.
    pub most: usize,
    /// Most bytes that one write is given.
    pub send: usize,
}

/// One step for the outside, to be carried out without the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<P> {
    /// Tell the producer to pause; then `paused`.
    Pause(P),
    /// Ask the producer to go on, or a pull producer for its next piece.
    Resume(P),
    /// Tell a former producer that it is over.
    Stop(P),
    /// Have the reactor watch for room; then `writer_added`.
    AddWriter,
    /// Have the reactor forget the descriptor.
    RemoveWriter,
    /// Write now: the reactor cannot watch this descriptor, which is always ready.
    Flush,
    /// Close the writing half; then `half_closed`.
    HalfClose,
    /// Let the descriptor go. Nobody uses it any more.
    Close {
        /// Why; 0 if it was asked for.
        reason: i32,
    },
    /// Note for the operator how it ended.
    Report {
        /// Why; 0 if it was asked for.
        reason: i32,
        /// Bytes that were taken and not written.
        unsent: usize,
    },
    /// The last step of all.
    Lost {
        /// Why; 0 if it was asked for.
        reason: i32,
    },
}

/// What a write led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrote {
    /// Bytes, maybe fewer than were offered.
    Some(usize),
    /// The descriptor takes nothing now.
    Blocked,
    /// A signal came first.
    Interrupted,
    /// The connection is gone.
    Failed(Errno),
}

/// Counters, for statistics.
#[derive(Clone, Copy, Default, Debug)]
pub struct Counters {
    /// Bytes taken.
    pub accepted: u64,
    /// Bytes written.
    pub written: u64,
    /// Writes that took something.
    pub writes: u64,
    /// Most bytes that ever waited.
    pub peak: usize,
    /// Times a producer was told to pause.
    pub pauses: u64,
    /// Times a producer was told to resume, or asked.
    pub resumes: u64,
}
