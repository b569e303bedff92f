//! How far the making of a watch is: from the thread that scans to the one that waits for it.

use parking_lot::{Condvar, Mutex};

/// The newest figure that was not taken yet.
#[derive(Default)]
pub struct Progress {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    figure: Option<u64>,
    ended: bool,
}

/// The scanning side; the figures end when it is dropped, by a panic, too.
pub struct Scanning<'a>(&'a Progress);

impl Progress {
    /// The side that scans.
    pub fn scanning(&self) -> Scanning<'_> {
        Scanning(self)
    }

    /// Waits for a figure. `None`: there will be none any more.
    pub fn next(&self) -> Option<u64> {
        let mut state = self.state.lock();
        loop {
            if let Some(figure) = state.figure.take() {
                return Some(figure);
            }
            if state.ended {
                return None;
            }
            self.changed.wait(&mut state);
        }
    }
}

impl Scanning<'_> {
    /// A figure in the place of one that was not taken yet.
    pub fn tell(&self, figure: u64) {
        self.0.state.lock().figure = Some(figure);
        self.0.changed.notify_one();
    }
}

impl Drop for Scanning<'_> {
    fn drop(&mut self) {
        self.0.state.lock().ended = true;
        self.0.changed.notify_one();
    }
}
