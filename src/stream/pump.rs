//! The lock of a stream, and the hand that carries out what the machine decides.

#![forbid(unsafe_code)]

use std::mem::forget;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::buffer::MOST_SLICES;
use super::machine::Machine;
use super::producer::Kind;
use super::step::{Counters, Limits, Step, Wrote};
use crate::sys::{Errno, thread_id};

/// The world of one stream: its descriptor, its reactor, its producers, the program. Its functions
/// are called without the lock, one at a time except for `write`, which may run beside another.
pub trait Outside {
    /// A producer.
    type Producer: Copy;

    /// Writes, once.
    fn write(&self, slices: &[&[u8]]) -> Wrote;
    /// Closes the writing half; false if there are no halves.
    fn half_close(&self) -> Result<bool, Errno>;
    /// Lets the descriptor go, for that reason (0: it was asked for). Nothing is written any more.
    fn close(&self, reason: i32);
    /// Has the reactor watch for room.
    fn add_writer(&self) -> Result<(), Errno>;
    /// Has the reactor forget the descriptor.
    fn remove_writer(&self);
    /// Tells a producer to pause.
    fn pause(&self, producer: Self::Producer);
    /// Tells a producer to go on.
    fn resume(&self, producer: Self::Producer);
    /// Tells a producer that it is over.
    fn stop(&self, producer: Self::Producer);
    /// Notes for an operator that the connection was lost, with that many bytes unsent.
    fn report(&self, reason: i32, unsent: usize);
    /// The connection was lost for that reason.
    fn lost(&self, reason: i32);
}

/// What a stream is at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Status {
    /// Not lost.
    pub connected: bool,
    /// Ends when everything is written.
    pub disconnecting: bool,
    /// Closes its writing half when everything is written.
    pub write_disconnecting: bool,
    /// Has closed its writing half.
    pub write_disconnected: bool,
    /// Waits for room.
    pub wants_write: bool,
    /// Holds more than it should.
    pub full: bool,
    /// The producer, and whether it is paused.
    pub producer: Option<(Kind, bool)>,
    /// Bytes that wait.
    pub buffered: usize,
    /// Bytes of memory held for them.
    pub memory: usize,
    /// Counters.
    pub counters: Counters,
}

/// Who carries out steps.
#[derive(Clone, Copy)]
struct Running {
    thread: i32,
    /// Number of the producer's function that runs, if one does.
    producer: Option<u64>,
}

struct State<P> {
    machine: Machine<P>,
    running: Option<Running>,
    /// The thread that writes.
    writing: Option<i32>,
    /// The threads that are inside a callback which runs beside the others.
    guests: Vec<i32>,
    /// Producer functions called so far.
    calls: u64,
    destroyed: bool,
}

/// Lets those who wait for a callback go on if an internal error took it away.
struct OnPanic<'a, F: FnMut()>(F, &'a Condvar);

impl<F: FnMut()> Drop for OnPanic<'_, F> {
    fn drop(&mut self) {
        (self.0)();
        self.1.notify_all();
    }
}

/// A stream.
pub struct Stream<O: Outside> {
    outside: O,
    state: Mutex<State<O::Producer>>,
    /// A callback has returned.
    returned: Condvar,
}

type Guard<'a, O> = MutexGuard<'a, State<<O as Outside>::Producer>>;

impl<O: Outside> Stream<O> {
    /// A connected stream.
    pub fn new(outside: O, limits: Limits, has_reactor: bool) -> Self {
        let machine = Machine::new(limits, has_reactor);
        let state = State {
            machine,
            running: None,
            writing: None,
            guests: Vec::new(),
            calls: 0,
            destroyed: false,
        };
        Self { outside, state: Mutex::new(state), returned: Condvar::new() }
    }

    /// What `new` was given.
    pub fn outside(&self) -> &O {
        &self.outside
    }

    /// -EBADF once the connection is lost.
    pub fn check(&self) -> Result<(), Errno> {
        self.state.lock().machine.check()
    }

    /// What it is at this moment.
    pub fn status(&self) -> Status {
        let state = self.state.lock();
        let machine = &state.machine;
        Status {
            connected: machine.connected(),
            disconnecting: machine.disconnecting(),
            write_disconnecting: machine.write_disconnecting(),
            write_disconnected: machine.write_disconnected(),
            wants_write: machine.wants_write(),
            full: machine.is_full(),
            producer: machine.producer(),
            buffered: machine.buffered(),
            memory: machine.memory(),
            counters: machine.counters,
        }
    }

    /// Takes all of the bytes or none. True: the buffer is full now, please pause.
    pub fn write<'a, I>(&self, parts: I) -> Result<bool, Errno>
    where
        I: IntoIterator<Item = &'a [u8]> + Clone,
    {
        let mut state = self.state.lock();
        state.machine.write(parts)?;
        let state = self.carry_out(state);
        Ok(state.machine.is_full())
    }

    /// Writes at once what the descriptor takes, past the buffer; 0 if something waits in it. A
    /// failure is told and changes nothing.
    pub fn write_some_data(&self, data: &[u8]) -> Result<usize, Errno> {
        let mut state = self.state.lock();
        if !state.machine.begin_direct()? {
            return Ok(0);
        }
        let (mut state, wrote) = self.write_out(state, &[data]);
        state.machine.end_direct(wrote);
        drop(self.carry_out(state));
        match wrote {
            Wrote::Some(count) => Ok(count),
            Wrote::Blocked | Wrote::Interrupted => Ok(0),
            Wrote::Failed(errno) => Err(errno),
        }
    }

    /// Writes once. True: something is left, and the descriptor may take more now.
    pub fn do_write(&self) -> Result<bool, Errno> {
        let (state, wrote) = self.write_once(self.state.lock());
        let wrote = wrote?;
        let state = self.carry_out(state);
        match wrote {
            Wrote::Failed(errno) => Err(errno),
            _ => {
                let machine = &state.machine;
                Ok(machine.connected() && !machine.is_blocked() && machine.buffered() > 0)
            }
        }
    }

    /// Asks to be told when there is room.
    pub fn start_writing(&self) -> Result<(), Errno> {
        self.change(Machine::start_writing)
    }

    /// Asks not to be told until the next write.
    pub fn stop_writing(&self) -> Result<(), Errno> {
        self.change(Machine::stop_writing)
    }

    /// Ends the connection when everything is written.
    pub fn lose_connection(&self) {
        self.change(Machine::lose_connection);
    }

    /// Closes the writing half when everything is written.
    pub fn lose_write_connection(&self) -> Result<(), Errno> {
        self.change(Machine::lose_write_connection)
    }

    /// Ends the connection now.
    pub fn abort(&self, reason: i32) {
        self.change(|machine| machine.lose(reason));
    }

    /// Registers a producer.
    pub fn register_producer(&self, producer: O::Producer, kind: Kind) -> Result<(), Errno> {
        self.change(|machine| machine.register_producer(producer, kind))
    }

    /// Forgets the producer. When it returns, no function of the producer runs, except further
    /// down the stack of this thread. False if there was none.
    pub fn unregister_producer(&self) -> bool {
        self.unregister(self.state.lock())
    }

    /// The same, if it is the one that is meant.
    pub fn unregister_producer_if(&self, is: impl FnOnce(&O::Producer) -> bool) -> bool {
        let state = self.state.lock();
        state.machine.registered().is_some_and(is) && self.unregister(state)
    }

    fn unregister(&self, mut state: MutexGuard<'_, State<O::Producer>>) -> bool {
        let found = state.machine.unregister_producer();
        let mut state = self.carry_out(state);
        let me = thread_id();
        let call = state.running.filter(|running| running.thread != me).and_then(|r| r.producer);
        while call.is_some() && state.running.and_then(|running| running.producer) == call {
            let inside = state.writing == Some(me) || state.guests.contains(&me);
            if inside && state.destroyed {
                // Whoever destroys the stream, in that very function maybe, waits for this thread.
                break;
            }
            self.returned.wait(&mut state);
        }
        found
    }

    /// Runs a callback that may run beside the others, and that the end of the stream waits for.
    pub fn callback<T>(&self, body: impl FnOnce() -> T) -> Result<T, Errno> {
        let me = thread_id();
        let leave = || {
            let mut state = self.state.lock();
            if let Some(place) = state.guests.iter().position(|guest| *guest == me) {
                state.guests.swap_remove(place);
            }
            state.machine.leave();
            state
        };
        let mut state = self.state.lock();
        state.machine.enter()?;
        state.guests.push(me);
        drop(state);
        let free = OnPanic(|| drop(leave()), &self.returned);
        let result = body();
        forget(free);
        let state = leave();
        self.returned.notify_all();
        drop(self.carry_out(state));
        Ok(result)
    }

    /// Ends the connection if it is not lost yet. When it returns, no callback of the stream will
    /// run again; none runs, except further down the stack of this thread.
    pub fn destroy(&self) {
        let mut state = self.state.lock();
        state.machine.lose(libc::ECANCELED);
        state.destroyed = true;
        self.returned.notify_all();
        let me = thread_id();
        while state.running.is_some_and(|running| running.thread != me)
            || state.writing.is_some_and(|thread| thread != me)
            || state.guests.iter().any(|guest| *guest != me)
        {
            self.returned.wait(&mut state);
        }
        // What is left are callers further up the stack.
        state.machine.forsake();
        // Inside a callback of our own the rest cannot wait for its return: then the program's data
        // may be gone.
        let running = state.running.take();
        self.carry_out(state).running = running;
    }

    fn change<T>(&self, change: impl FnOnce(&mut Machine<O::Producer>) -> T) -> T {
        let mut state = self.state.lock();
        let result = change(&mut state.machine);
        drop(self.carry_out(state));
        result
    }

    /// One write of what waits.
    fn write_once<'a>(&'a self, mut state: Guard<'a, O>) -> (Guard<'a, O>, Result<Wrote, Errno>) {
        let lent = match state.machine.begin_write() {
            Ok(Some(lent)) => lent,
            Ok(None) => return (state, Ok(Wrote::Some(0))),
            Err(errno) => return (state, Err(errno)),
        };
        let mut slices: [&[u8]; MOST_SLICES] = [&[]; MOST_SLICES];
        let mut count = 0;
        for (place, slice) in slices.iter_mut().zip(lent.slices()) {
            *place = slice;
            count += 1;
        }
        let (mut state, wrote) = self.write_out(state, &slices[..count]);
        state.machine.end_write(lent, wrote);
        (state, Ok(wrote))
    }

    fn write_out<'a>(&'a self, state: Guard<'a, O>, slices: &[&[u8]]) -> (Guard<'a, O>, Wrote) {
        let free = OnPanic(|| self.state.lock().writing = None, &self.returned);
        let mut state = state;
        state.writing = Some(thread_id());
        let wrote = MutexGuard::unlocked(&mut state, || self.outside.write(slices));
        state.writing = None;
        self.returned.notify_all();
        forget(free);
        (state, wrote)
    }

    /// Carries out what is to be done, unless somebody is at it: a caller further up the stack, or
    /// another thread, which will then do this too. So callbacks never run out of order.
    fn carry_out<'a>(&'a self, state: Guard<'a, O>) -> Guard<'a, O> {
        if state.running.is_some() {
            return state;
        }
        let free = OnPanic(|| self.state.lock().running = None, &self.returned);
        // Declared after `free`, so that it has unlocked before that locks.
        let mut state = state;
        let mut next = state.machine.next();
        let thread = if next.is_some() { thread_id() } else { 0 };
        while let Some(step) = next {
            let producer = matches!(step, Step::Pause(_) | Step::Resume(_) | Step::Stop(_));
            state.calls += u64::from(producer);
            let producer = producer.then_some(state.calls);
            state.running = Some(Running { thread, producer });
            state = self.act(state, step);
            self.returned.notify_all();
            next = state.machine.next();
        }
        state.running = None;
        forget(free);
        if thread != 0 {
            self.returned.notify_all();
        }
        state
    }

    fn act<'a>(&'a self, mut state: Guard<'a, O>, step: Step<O::Producer>) -> Guard<'a, O> {
        let outside = &self.outside;
        match step {
            Step::Pause(producer) => {
                MutexGuard::unlocked(&mut state, || outside.pause(producer));
                state.machine.paused();
            }
            Step::Resume(producer) => {
                MutexGuard::unlocked(&mut state, || outside.resume(producer));
            }
            Step::Stop(producer) => MutexGuard::unlocked(&mut state, || outside.stop(producer)),
            Step::AddWriter => {
                let result = MutexGuard::unlocked(&mut state, || outside.add_writer());
                state.machine.writer_added(result);
            }
            Step::RemoveWriter => MutexGuard::unlocked(&mut state, || outside.remove_writer()),
            Step::Flush => state = self.write_once(state).0,
            Step::HalfClose => {
                let result = MutexGuard::unlocked(&mut state, || outside.half_close());
                state.machine.half_closed(result);
            }
            Step::Close { reason } => MutexGuard::unlocked(&mut state, || outside.close(reason)),
            Step::Report { reason, unsent } => {
                MutexGuard::unlocked(&mut state, || outside.report(reason, unsent));
            }
            Step::Lost { reason } => MutexGuard::unlocked(&mut state, || outside.lost(reason)),
        }
        state
    }
}
