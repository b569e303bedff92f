//! A registered producer: what it is to be told, and what it was told last.

#![forbid(unsafe_code)]

/// How a producer works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It writes when it likes, until it is paused.
    Push,
    /// It writes once each time it is asked.
    Pull,
}

/// What to tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tell {
    /// Pause.
    Pause,
    /// Go on; or, to a pull producer: the next piece, please.
    Resume,
}

/// A producer and its state.
#[derive(Debug)]
pub struct Registered<P> {
    /// The producer.
    pub producer: P,
    /// Its kind.
    pub kind: Kind,
    /// Push: it is to be paused.
    paused: bool,
    /// Push: it was told to pause, and not yet to resume.
    told: bool,
    /// Push: it wrote although the buffer was full, and is to be told again. Pull: to be asked.
    again: bool,
}

impl<P> Registered<P> {
    /// A push producer runs; a pull producer is to be asked.
    pub fn new(producer: P, kind: Kind) -> Self {
        Self { producer, kind, paused: false, told: false, again: kind == Kind::Pull }
    }

    /// It is a push producer that is to be paused.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// A write has left the buffer full. `pausing`: the write was made while the producer was being
    /// told, and does not call for another word.
    pub fn overfed(&mut self, pausing: bool) {
        if self.kind == Kind::Push {
            self.paused = true;
            self.again = self.told && !pausing;
        }
    }

    /// What waited is written. `ending`: the connection, or its writing half, will end now.
    pub fn drained(&mut self, ending: bool) {
        match self.kind {
            Kind::Pull => self.again = true,
            // What it could add would not be waited for, however little time it had.
            Kind::Push if ending => {}
            Kind::Push => {
                self.paused = false;
                self.again = false;
            }
        }
    }

    /// What it must be told now, if anything; it counts as told.
    pub fn next(&mut self) -> Option<Tell> {
        let tell = match self.kind {
            Kind::Pull => self.again.then_some(Tell::Resume),
            Kind::Push if self.paused => (!self.told || self.again).then_some(Tell::Pause),
            Kind::Push => self.told.then_some(Tell::Resume),
        };
        if tell.is_some() {
            self.told = tell == Some(Tell::Pause);
            self.again = false;
        }
        tell
    }
}
