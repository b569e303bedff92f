//! An event as one line of JSON.
//!
//! A path is bytes, JSON is Unicode. A path that is valid UTF-8 is written as it is, with escapes
//! for quotes, backslashes, every control character (C0, DEL, C1) and the two line separators, so
//! that no name can end the line, start another or move a terminal's cursor. A path that is not has
//! U+FFFD for each part that cannot be written and is given once more, whole, in base64, under the
//! same key with `_b64` added. So the bytes are always there, and "is the other key there?" tells
//! a U+FFFD in a name from one of these.

#![forbid(unsafe_code)]

use crate::api::abi::{
    RINOTIFY_COVERAGE_COMPLETE, RINOTIFY_COVERAGE_OUT_OF_STEP, RINOTIFY_COVERAGE_PARTIAL,
    RINOTIFY_EVENT_COVERAGE, RINOTIFY_EVENT_ERROR, RINOTIFY_EVENT_RESCAN_BEGIN,
    RINOTIFY_EVENT_RESCAN_END, RINOTIFY_EVENT_ROOT, RINOTIFY_EVENT_SYNTHETIC,
};

/// Takes the line, piece by piece.
pub trait Sink {
    /// Takes the next bytes.
    fn put(&mut self, bytes: &[u8]);
}

/// What a line says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Event<'a> {
    /// The watch's id.
    pub watch: i64,
    /// IN_* bits.
    pub mask: u32,
    /// The rename cookie.
    pub cookie: u32,
    /// RINOTIFY_EVENT_* bits.
    pub flags: u32,
    /// An errno value, or 0.
    pub error: i32,
    /// A RINOTIFY_COVERAGE_* value, or 0.
    pub coverage: u32,
    /// The path.
    pub path: Option<&'a [u8]>,
    /// Where it was.
    pub old_path: Option<&'a [u8]>,
}

/// Words of the flags.
const FLAG_WORDS: [(u32, &str); 6] = [
    (RINOTIFY_EVENT_SYNTHETIC, "synthetic"),
    (RINOTIFY_EVENT_ERROR, "error"),
    (RINOTIFY_EVENT_RESCAN_BEGIN, "rescan_begin"),
    (RINOTIFY_EVENT_RESCAN_END, "rescan_end"),
    (RINOTIFY_EVENT_COVERAGE, "coverage"),
    (RINOTIFY_EVENT_ROOT, "root"),
];

/// Words of the coverage.
const COVERAGE_WORDS: [(u32, &str); 3] = [
    (RINOTIFY_COVERAGE_COMPLETE, "complete"),
    (RINOTIFY_COVERAGE_PARTIAL, "partial"),
    (RINOTIFY_COVERAGE_OUT_OF_STEP, "out_of_step"),
];

/// Writes an event as one object and a newline. `mask_words` are the words of the mask's bits.
pub fn line(event: &Event, mask_words: &[(u32, &str)], out: &mut impl Sink) {
    out.put(b"{\"watch\":");
    if event.watch < 0 {
        out.put(b"-");
    }
    number(event.watch.unsigned_abs(), out);
    out.put(b",\"mask\":");
    // A directory has a key of its own.
    words(event.mask & !libc::IN_ISDIR, mask_words, out);
    let is_dir = event.mask & libc::IN_ISDIR != 0;
    out.put(if is_dir { b",\"is_dir\":true" } else { b",\"is_dir\":false" });
    if event.cookie != 0 {
        out.put(b",\"cookie\":");
        number(event.cookie.into(), out);
    }
    if event.flags != 0 {
        out.put(b",\"flags\":");
        words(event.flags, &FLAG_WORDS, out);
    }
    if event.error != 0 {
        out.put(if event.error < 0 { b",\"error\":-" } else { b",\"error\":" });
        number(event.error.unsigned_abs().into(), out);
    }
    if let Some((_, word)) = COVERAGE_WORDS.iter().find(|&&(value, _)| value == event.coverage) {
        open_string("coverage", "", out);
        out.put(word.as_bytes());
        out.put(b"\"");
    }
    match event.path {
        Some(path) => path_of("path", path, out),
        None => out.put(b",\"path\":null"),
    }
    if let Some(path) = event.old_path {
        path_of("old_path", path, out);
    }
    out.put(b"}\n");
}

fn number(value: u64, out: &mut impl Sink) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut left = value;
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.put(&digits[at..]);
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// An array of words; bits without one come last, as one hexadecimal number.
fn words(bits: u32, words: &[(u32, &str)], out: &mut impl Sink) {
    let (mut left, mut separator) = (bits, &b"["[..]);
    for (bit, word) in words {
        if left & bit != 0 {
            left &= !bit;
            out.put(separator);
            out.put(b"\"");
            out.put(word.as_bytes());
            out.put(b"\"");
            separator = b",";
        }
    }
    if left != 0 || bits == 0 {
        out.put(separator);
    }
    if left != 0 {
        let mut digits = [0; 8];
        for (index, digit) in digits.iter_mut().enumerate() {
            *digit = HEX[(left >> (28 - 4 * index)) as usize & 15];
        }
        out.put(b"\"0x");
        out.put(&digits[left.leading_zeros() as usize / 4..]);
        out.put(b"\"");
    }
    out.put(b"]");
}

fn path_of(key: &str, path: &[u8], out: &mut impl Sink) {
    open_string(key, "", out);
    if std::str::from_utf8(path).is_ok() {
        escape(path, out);
        out.put(b"\"");
        return;
    }
    for chunk in path.utf8_chunks() {
        escape(chunk.valid().as_bytes(), out);
        if !chunk.invalid().is_empty() {
            out.put("\u{fffd}".as_bytes());
        }
    }
    out.put(b"\"");
    open_string(key, "_b64", out);
    base64(path, out);
    out.put(b"\"");
}

fn open_string(key: &str, suffix: &str, out: &mut impl Sink) {
    out.put(b",\"");
    out.put(key.as_bytes());
    out.put(suffix.as_bytes());
    out.put(b"\":\"");
}

/// Writes valid UTF-8, escaped.
fn escape(text: &[u8], out: &mut impl Sink) {
    let (mut from, mut at) = (0, 0);
    while let Some(&byte) = text.get(at) {
        if matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e) {
            at += 1;
            continue;
        }
        let Some((code, len)) = special(&text[at..]) else {
            at += 1;
            continue;
        };
        out.put(&text[from..at]);
        match code {
            0x22 => out.put(b"\\\""),
            0x5c => out.put(b"\\\\"),
            0x08 => out.put(b"\\b"),
            0x09 => out.put(b"\\t"),
            0x0a => out.put(b"\\n"),
            0x0c => out.put(b"\\f"),
            0x0d => out.put(b"\\r"),
            _ => {
                let digit = |shift: u16| HEX[usize::from(code >> shift) & 15];
                out.put(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
            }
        }
        at += len;
        from = at;
    }
    out.put(&text[from..]);
}

/// The character at the start, and its length, if it is not to stand as it is.
fn special(text: &[u8]) -> Option<(u16, usize)> {
    match *text {
        [byte, ..] if byte < 0x80 => Some((byte.into(), 1)),
        [0xc2, byte @ 0x80..0xa0, ..] => Some((byte.into(), 2)),
        [0xe2, 0x80, byte @ 0xa8..=0xa9, ..] => Some((0x2028 + u16::from(byte - 0xa8), 3)),
        _ => None,
    }
}

/// With padding, in the usual alphabet (RFC 4648, section 4).
fn base64(bytes: &[u8], out: &mut impl Sink) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for piece in bytes.chunks(3) {
        let byte = |index: usize| u32::from(piece.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let mut group = [b'='; 4];
        for (index, place) in group.iter_mut().take(piece.len() + 1).enumerate() {
            *place = ALPHABET[(bits >> (18 - 6 * index)) as usize & 63];
        }
        out.put(&group);
    }
}

#[cfg(test)]
mod tests;
