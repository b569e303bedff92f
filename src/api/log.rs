//! The operator's log: one line for what is worth it.

use std::ffi::{CStr, CString, c_int, c_void};
use std::fmt::Write;

use super::reactor_abi::{RINOTIFY_LOG_INFO, inotify_watcher_log};
use super::report::reason_text;
use crate::sys::{self, Errno};

/// The program's log function, with what goes along.
pub struct Log {
    function: inotify_watcher_log,
    prefix: CString,
    level: u32,
    user_data: *mut c_void,
}

// SAFETY: the pointer is only handed back to the program's function, which may be called on any
// thread that the program calls the library on.
unsafe impl Send for Log {}
// SAFETY: as above.
unsafe impl Sync for Log {}

impl Log {
    /// Lines up to `level`; 0: all.
    pub fn new(
        function: inotify_watcher_log,
        prefix: Option<&CStr>,
        level: u32,
        user_data: *mut c_void,
    ) -> Self {
        let prefix = prefix.unwrap_or(c"inotify_watcher").to_owned();
        let level = if level == 0 { RINOTIFY_LOG_INFO } else { level };
        Self { function, prefix, level, user_data }
    }

    /// One line, if anybody wants it.
    pub fn line(&self, level: u32, text: impl FnOnce() -> String) {
        let Some(function) = self.function else { return };
        if level > self.level {
            return;
        }
        let Ok(text) = CString::new(text()) else { return };
        // SAFETY: the program's function with its data; the strings live until it returns.
        unsafe { function(level, self.prefix.as_ptr(), text.as_ptr(), self.user_data) };
    }
}

/// A path as part of a line: what could do something to a terminal, or end the line, is escaped, and
/// so is what is not UTF-8.
pub fn shown(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '\\' => text.push_str("\\\\"),
                letter if letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}') => {
                    escape(&mut text, letter.encode_utf8(&mut [0; 4]).as_bytes());
                }
                letter => text.push(letter),
            }
        }
        escape(&mut text, chunk.invalid());
    }
    text
}

fn escape(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing into a string cannot fail.
        let _ = write!(text, "\\x{byte:02x}");
    }
}

/// What a watch could not do.
pub fn trouble(path: &[u8], error: c_int) -> String {
    let mut text = format!("{}: {}", shown(path), reason_text(Errno(error)));
    if let Some((name, limit)) = sys::limit_in_force(Errno(error), "inotify_add_watch") {
        let _ = write!(text, " ({name}, the limit in force, is {limit})");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn what_is_shown_stays_on_its_line() {
        assert_eq!(shown(b"plain/\xc3\xa4"), "plain/ä");
        assert_eq!(shown(b"a\nb\x1b[2J\\\x7f"), "a\\x0ab\\x1b[2J\\\\\\x7f");
        assert_eq!(shown(b"\xff/\xc2\x9b\xe2\x80\xa8"), "\\xff/\\xc2\\x9b\\xe2\\x80\\xa8");
    }
}
