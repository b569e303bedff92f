//! What a stream is to do next: the buffer, the producer, the endings. It acts on nothing.
//!
//! Callers change the state under a lock and then carry out what `next` says, one step at a time and
//! without the lock. Wishes are kept as wishes ("the writer is wanted", "the producer is to be
//! paused") and compared with what was last told, so that nothing is told out of order or in vain,
//! whichever threads the wishes come from.

#![forbid(unsafe_code)]

use super::buffer::{Buffer, Lent};
use super::producer::{Kind, Registered, Tell};
use super::step::{Counters, Limits, Step, Wrote};
use crate::sys::Errno;

#[derive(Debug)]
struct Loss {
    reason: i32,
    unsent: usize,
    closed: bool,
    reported: bool,
    told: bool,
}

/// The state of one stream. `P` stands for a producer.
#[derive(Debug)]
pub struct Machine<P> {
    limits: Limits,
    buffer: Buffer,
    producer: Option<Registered<P>>,
    /// A former producer that has not been told so yet.
    stopped: Option<P>,
    /// A pause is being said: what is written meanwhile does not call for another.
    pausing: bool,
    lent: bool,
    /// Callbacks that run beside the steps.
    guests: usize,
    blocked: bool,
    has_reactor: bool,
    unpollable: bool,
    wants_write: bool,
    added: bool,
    disconnecting: bool,
    write_disconnecting: bool,
    write_disconnected: bool,
    loss: Option<Loss>,
    /// Counters.
    pub counters: Counters,
}

const EBADF: Errno = Errno(libc::EBADF);
const EBUSY: Errno = Errno(libc::EBUSY);
const EPIPE: Errno = Errno(libc::EPIPE);

impl<P: Copy> Machine<P> {
    /// A connected stream with nothing to write.
    pub fn new(limits: Limits, has_reactor: bool) -> Self {
        Self {
            limits,
            buffer: Buffer::default(),
            producer: None,
            stopped: None,
            pausing: false,
            lent: false,
            guests: 0,
            blocked: false,
            has_reactor,
            unpollable: false,
            wants_write: false,
            added: false,
            disconnecting: false,
            write_disconnecting: false,
            write_disconnected: false,
            loss: None,
            counters: Counters::default(),
        }
    }

    /// -EBADF once the connection is lost.
    pub fn check(&self) -> Result<(), Errno> {
        if self.loss.is_some() { Err(EBADF) } else { Ok(()) }
    }

    /// The connection is not lost.
    pub fn connected(&self) -> bool {
        self.loss.is_none()
    }

    /// It will end when everything is written.
    pub fn disconnecting(&self) -> bool {
        self.connected() && self.disconnecting
    }

    /// The writing half will be closed when everything is written.
    pub fn write_disconnecting(&self) -> bool {
        self.connected() && self.write_disconnecting && !self.write_disconnected
    }

    /// The writing half is closed.
    pub fn write_disconnected(&self) -> bool {
        self.write_disconnected
    }

    /// More waits than the buffer is meant to hold.
    pub fn is_full(&self) -> bool {
        self.buffer.len() > self.limits.buffer
    }

    /// Bytes that wait.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Bytes of memory that the buffer holds.
    pub fn memory(&self) -> usize {
        self.buffer.memory()
    }

    /// It is to be told when the descriptor can be written.
    pub fn wants_write(&self) -> bool {
        self.wants_write
    }

    /// The last write found no room.
    pub fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// The producer's kind, and whether it is paused.
    pub fn producer(&self) -> Option<(Kind, bool)> {
        self.producer.as_ref().map(|registered| (registered.kind, registered.is_paused()))
    }

    /// Takes bytes, all of them or none.
    pub fn write<'a, I>(&mut self, parts: I) -> Result<(), Errno>
    where
        I: IntoIterator<Item = &'a [u8]> + Clone,
    {
        self.check()?;
        if self.write_disconnected {
            return Err(EPIPE);
        }
        let len = parts
            .clone()
            .into_iter()
            .try_fold(0_usize, |sum, part| sum.checked_add(part.len()))
            .ok_or(Errno(libc::EINVAL))?;
        if len == 0 {
            return Ok(());
        }
        if len > self.limits.most.saturating_sub(self.buffer.len()) {
            return Err(Errno(libc::ENOBUFS));
        }
        self.buffer.append(parts).map_err(|_| Errno(libc::ENOMEM))?;
        self.counters.accepted += len as u64;
        self.counters.peak = self.counters.peak.max(self.buffer.len());
        self.maybe_pause_producer();
        self.wants_write = true;
        self.blocked = false;
        Ok(())
    }

    fn maybe_pause_producer(&mut self) {
        let full = self.is_full();
        if let Some(registered) = self.producer.as_mut().filter(|_| full) {
            registered.overfed(self.pausing);
        }
    }

    /// Lends what one write is to be given; `end_write` must follow. `None` if nothing waits, which
    /// counts as a write that is done.
    pub fn begin_write(&mut self) -> Result<Option<Lent>, Errno> {
        self.check()?;
        if self.lent {
            return Err(EBUSY);
        }
        self.blocked = false;
        let lent = self.buffer.lend(self.limits.send);
        self.lent = lent.is_some();
        if !self.lent {
            self.after_write();
        }
        Ok(lent)
    }

    /// Takes back what `begin_write` lent.
    pub fn end_write(&mut self, lent: Lent, wrote: Wrote) {
        self.lent = false;
        if let Some(loss) = &mut self.loss {
            if let Wrote::Some(count) = wrote {
                loss.unsent = loss.unsent.saturating_sub(count);
                self.counters.written += count as u64;
            }
            return;
        }
        match wrote {
            Wrote::Some(count) => {
                self.buffer.give_back(lent, count);
                self.counters.written += count as u64;
                self.counters.writes += 1;
                self.after_write();
            }
            Wrote::Blocked => {
                self.buffer.give_back(lent, 0);
                self.blocked = true;
            }
            Wrote::Interrupted => self.buffer.give_back(lent, 0),
            Wrote::Failed(errno) => self.lose(errno.0),
        }
    }

    /// Begins a write that goes past the buffer. False if it must not: something waits already.
    pub fn begin_direct(&mut self) -> Result<bool, Errno> {
        self.check()?;
        if self.lent {
            return Err(EBUSY);
        }
        if self.write_disconnected {
            return Err(EPIPE);
        }
        self.lent = self.buffer.is_empty();
        Ok(self.lent)
    }

    /// The write that `begin_direct` began is over.
    pub fn end_direct(&mut self, wrote: Wrote) {
        self.lent = false;
        if let Wrote::Some(count) = wrote {
            self.counters.accepted += count as u64;
            self.counters.written += count as u64;
            self.counters.writes += 1;
        }
    }

    /// A callback begins that the last step has to wait for. Refused once the connection is lost.
    pub fn enter(&mut self) -> Result<(), Errno> {
        self.check()?;
        self.guests += 1;
        Ok(())
    }

    /// It has returned.
    pub fn leave(&mut self) {
        self.guests = self.guests.saturating_sub(1);
    }

    /// Neither the write nor the callbacks that are under way are to be waited for.
    pub fn forsake(&mut self) {
        self.lent = false;
        self.guests = 0;
    }

    fn after_write(&mut self) {
        if self.buffer.is_empty() {
            self.wants_write = false;
        }
        let little = self.buffer.len() <= self.limits.resume;
        if let Some(registered) = self.producer.as_mut().filter(|_| little) {
            registered.drained(self.disconnecting || self.write_disconnecting);
        }
    }

    /// Asks to be told when the descriptor can be written.
    pub fn start_writing(&mut self) -> Result<(), Errno> {
        self.check()?;
        self.wants_write = true;
        self.blocked = false;
        Ok(())
    }

    /// Asks not to be told any more, until the next write.
    pub fn stop_writing(&mut self) -> Result<(), Errno> {
        self.check()?;
        self.wants_write = false;
        Ok(())
    }

    /// Ends the connection when everything is written and a pull producer has finished.
    pub fn lose_connection(&mut self) {
        if self.connected() && !self.disconnecting {
            self.disconnecting = true;
            self.wants_write = !self.write_disconnected;
        }
    }

    /// Closes the writing half when everything is written and a pull producer has finished.
    pub fn lose_write_connection(&mut self) -> Result<(), Errno> {
        self.check()?;
        if !self.write_disconnecting {
            self.write_disconnecting = true;
            self.wants_write = true;
        }
        Ok(())
    }

    /// The connection is over, now.
    pub fn lose(&mut self, reason: i32) {
        if self.loss.is_some() {
            return;
        }
        self.loss = Some(Loss {
            reason,
            unsent: self.buffer.len(),
            closed: false,
            reported: false,
            told: false,
        });
        self.buffer.clear();
        self.wants_write = false;
        self.dismiss_producer();
    }

    fn dismiss_producer(&mut self) {
        if let Some(registered) = self.producer.take() {
            self.stopped = Some(registered.producer);
        }
    }

    /// Registers a producer.
    pub fn register_producer(&mut self, producer: P, kind: Kind) -> Result<(), Errno> {
        self.check()?;
        if self.producer.is_some() {
            return Err(EBUSY);
        }
        if self.write_disconnected {
            return Err(EPIPE);
        }
        self.producer = Some(Registered::new(producer, kind));
        Ok(())
    }

    /// Who it is.
    pub fn registered(&self) -> Option<&P> {
        self.producer.as_ref().map(|registered| &registered.producer)
    }

    /// Forgets the producer, which is told nothing. False if there was none.
    pub fn unregister_producer(&mut self) -> bool {
        self.wants_write |= self.connected() && self.disconnecting && !self.write_disconnected;
        self.stopped = None;
        self.producer.take().is_some()
    }

    /// What is to be carried out now, if anything; it counts as done. The producer comes first, then
    /// the reactor; and at the end the producer, the reactor, the descriptor, the program.
    pub fn next(&mut self) -> Option<Step<P>> {
        if let Some(producer) = self.stopped.take() {
            return Some(Step::Stop(producer));
        }
        self.finish_if_asked();
        if let Some(producer) = self.stopped.take() {
            return Some(Step::Stop(producer));
        }
        if self.loss.is_some() {
            return self.next_of_the_end();
        }
        if let Some(step) = self.next_for_producer() {
            return Some(step);
        }
        let done = self.buffer.is_empty() && !self.lent && !self.has_pull_producer();
        if done && self.write_disconnecting && !self.write_disconnected {
            self.write_disconnected = true;
            return Some(Step::HalfClose);
        }
        if self.has_reactor && !self.unpollable && self.wants_write != self.added {
            self.added = self.wants_write;
            return Some(if self.added { Step::AddWriter } else { Step::RemoveWriter });
        }
        let flush = self.unpollable && self.wants_write && !self.blocked && !self.lent;
        flush.then_some(Step::Flush)
    }

    fn has_pull_producer(&self) -> bool {
        self.producer.as_ref().is_some_and(|registered| registered.kind == Kind::Pull)
    }

    fn finish_if_asked(&mut self) {
        if self.disconnecting
            && self.buffer.is_empty()
            && !self.lent
            && (self.write_disconnected || !self.has_pull_producer())
        {
            self.lose(0);
        }
    }

    fn next_of_the_end(&mut self) -> Option<Step<P>> {
        if self.added {
            self.added = false;
            return Some(Step::RemoveWriter);
        }
        let (lent, guests) = (self.lent, self.guests);
        let loss = self.loss.as_mut()?;
        if !loss.closed {
            // Whoever is writing closes it when he is done: the number must not be used again.
            loss.closed = !lent;
            return loss.closed.then_some(Step::Close { reason: loss.reason });
        }
        if !loss.reported {
            loss.reported = true;
            return Some(Step::Report { reason: loss.reason, unsent: loss.unsent });
        }
        if !loss.told && guests == 0 {
            loss.told = true;
            return Some(Step::Lost { reason: loss.reason });
        }
        None
    }

    fn next_for_producer(&mut self) -> Option<Step<P>> {
        let registered = self.producer.as_mut()?;
        let producer = registered.producer;
        Some(match registered.next()? {
            Tell::Pause => {
                self.pausing = true;
                self.counters.pauses += 1;
                Step::Pause(producer)
            }
            Tell::Resume => {
                self.counters.resumes += 1;
                Step::Resume(producer)
            }
        })
    }

    /// The producer was told to pause.
    pub fn paused(&mut self) {
        self.pausing = false;
    }

    /// What the reactor answered to `AddWriter`.
    pub fn writer_added(&mut self, result: Result<(), Errno>) {
        let Err(errno) = result else { return };
        self.added = false;
        if errno == Errno(libc::EPERM) {
            self.unpollable = true;
        } else {
            self.lose(errno.0);
        }
    }

    /// How `HalfClose` went; `Ok(false)` if the descriptor has no halves.
    pub fn half_closed(&mut self, result: Result<bool, Errno>) {
        match result {
            Ok(true) => {
                self.wants_write = false;
                // Nothing that it could write would be taken.
                self.dismiss_producer();
            }
            Ok(false) => self.lose(0),
            Err(errno) => self.lose(errno.0),
        }
    }
}
