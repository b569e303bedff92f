//! Filters: the engine's questions about directories, put to the callers' functions with no lock
//! held.

use std::ffi::c_char;
use std::sync::atomic::Ordering;

use super::abi::inotify_watcher_directory;
use super::watcher::{Entry, Watcher};
use crate::engine::{Ask, WatchStart};

impl Watcher {
    /// Puts what is to be asked about a watch that is being made to its filter, on the thread that
    /// makes it.
    pub fn ask_for(&self, start: WatchStart, entry: &Entry) {
        if entry.user.filter.is_none() {
            return;
        }
        // Closed meanwhile: that is for the caller to find.
        while let Ok(Some(ask)) = self.engine(|engine| engine.next_question(Some(start))) {
            let serial = ask.serial;
            let wanted = self.wants(entry, ask);
            let _ = self.engine(|engine| engine.answer(serial, wanted));
        }
    }

    /// The same for all watches that are made, on the thread that reads. As many as one call may
    /// ask; returns how many.
    pub fn ask_filters(&self) -> usize {
        let mut count = 0;
        while count < self.max_events && !self.is_closed() && !self.flow.held() {
            let Ok(Some(ask)) = self.engine(|engine| engine.next_question(None)) else {
                break;
            };
            let (serial, watch) = (ask.serial, ask.watch);
            let entry = self.entries.lock().get(&watch).cloned();
            // Of a watch that has just ended nothing is asked, and nothing comes of the answer.
            let entry = entry.filter(|entry| entry.alive.load(Ordering::Acquire));
            let wanted = entry.is_none_or(|entry| self.wants(&entry, ask));
            let _ = self.engine(|engine| engine.answer(serial, wanted));
            count += 1;
        }
        if count > 0 {
            let _ = self.engine(|engine| engine.rouse());
        }
        count
    }

    fn wants(&self, entry: &Entry, ask: Ask) -> bool {
        let Some(filter) = entry.user.filter else {
            return true;
        };
        let Ask { watch, mut path, name, depth, .. } = ask;
        let path_len = path.len();
        path.push(0);
        let text: *const c_char = path.as_ptr().cast();
        let directory = inotify_watcher_directory {
            size: size_of::<inotify_watcher_directory>(),
            watch,
            path: text,
            path_len,
            name: text.wrapping_add(name),
            depth,
            reserved: 0,
        };
        // SAFETY: the user's function, for the user's data; the struct and what it points to live in
        // this frame.
        unsafe { filter(self.handle(), &raw const directory, entry.user.data) != 0 }
    }
}
