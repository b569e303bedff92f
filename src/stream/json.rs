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
    RINOTIFY_EVENT_ERROR, RINOTIFY_EVENT_RESCAN_BEGIN, RINOTIFY_EVENT_RESCAN_END,
    RINOTIFY_EVENT_SYNTHETIC,
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
    /// The path.
    pub path: Option<&'a [u8]>,
    /// Where it was.
    pub old_path: Option<&'a [u8]>,
}

/// Words of the mask's bits, in the order of the bits; IN_ISDIR has a key of its own.
const MASK_WORDS: [(u32, &str); 15] = [
    (libc::IN_ACCESS, "access"),
    (libc::IN_MODIFY, "modify"),
    (libc::IN_ATTRIB, "attrib"),
    (libc::IN_CLOSE_WRITE, "close_write"),
    (libc::IN_CLOSE_NOWRITE, "close_nowrite"),
    (libc::IN_OPEN, "open"),
    (libc::IN_MOVED_FROM, "moved_from"),
    (libc::IN_MOVED_TO, "moved_to"),
    (libc::IN_CREATE, "create"),
    (libc::IN_DELETE, "delete"),
    (libc::IN_DELETE_SELF, "delete_self"),
    (libc::IN_MOVE_SELF, "move_self"),
    (libc::IN_UNMOUNT, "unmount"),
    (libc::IN_Q_OVERFLOW, "queue_overflow"),
    (libc::IN_IGNORED, "ignored"),
];

/// Words of the flags.
const FLAG_WORDS: [(u32, &str); 4] = [
    (RINOTIFY_EVENT_SYNTHETIC, "synthetic"),
    (RINOTIFY_EVENT_ERROR, "error"),
    (RINOTIFY_EVENT_RESCAN_BEGIN, "rescan_begin"),
    (RINOTIFY_EVENT_RESCAN_END, "rescan_end"),
];

/// Writes an event as one object and a newline.
pub fn line(event: &Event, out: &mut impl Sink) {
    out.put(b"{\"watch\":");
    if event.watch < 0 {
        out.put(b"-");
    }
    number(event.watch.unsigned_abs(), out);
    out.put(b",\"mask\":");
    words(event.mask & !libc::IN_ISDIR, &MASK_WORDS, out);
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
mod tests {
    use super::*;

    impl Sink for Vec<u8> {
        fn put(&mut self, bytes: &[u8]) {
            self.extend_from_slice(bytes);
        }
    }

    fn text(event: &Event) -> String {
        let mut out = Vec::new();
        line(event, &mut out);
        String::from_utf8(out).expect("a line is UTF-8")
    }

    #[test]
    fn a_plain_event() {
        let path = Some(&b"/tmp/a b"[..]);
        let event = Event { watch: 7, mask: libc::IN_CREATE, path, ..Event::default() };
        let expected =
            "{\"watch\":7,\"mask\":[\"create\"],\"is_dir\":false,\"path\":\"/tmp/a b\"}\n";
        assert_eq!(text(&event), expected);
    }

    #[test]
    fn everything_at_once() {
        let event = Event {
            watch: i64::MAX,
            mask: libc::IN_MOVED_TO | libc::IN_ISDIR | 0x10_0000,
            cookie: u32::MAX,
            flags: 0x3 | 0x8000_0000,
            error: libc::ENOSPC,
            path: Some(b"/new"),
            old_path: Some(b"/old"),
        };
        let expected = "{\"watch\":9223372036854775807,\"mask\":[\"moved_to\",\"0x100000\"],\
            \"is_dir\":true,\"cookie\":4294967295,\"flags\":[\"synthetic\",\"error\",\
            \"0x80000000\"],\"error\":28,\"path\":\"/new\",\"old_path\":\"/old\"}\n";
        assert_eq!(text(&event), expected);
    }

    #[test]
    fn nothing_at_all() {
        let expected = "{\"watch\":0,\"mask\":[],\"is_dir\":false,\"path\":null}\n";
        assert_eq!(text(&Event::default()), expected);
        let event = Event { watch: i64::MIN, error: i32::MIN, path: Some(b""), ..Event::default() };
        let expected = "{\"watch\":-9223372036854775808,\"mask\":[],\"is_dir\":false,\
            \"error\":-2147483648,\"path\":\"\"}\n";
        assert_eq!(text(&event), expected);
    }

    /// A path, through the line and a reader of its own.
    fn round_trip(path: &[u8]) -> (String, Option<Vec<u8>>) {
        let line = text(&Event { watch: 1, path: Some(path), ..Event::default() });
        assert!(line.ends_with('\n'));
        let line = &line[..line.len() - 1];
        assert!(!line.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')));
        let value = &line[line.find("\"path\":\"").unwrap() + 8..];
        let (path, rest) = read_string(value);
        let coded = rest.strip_prefix(",\"path_b64\":\"").map(|rest| decode(&read_string(rest).0));
        (path, coded)
    }

    fn read_string(text: &str) -> (String, &str) {
        let mut out = String::new();
        let mut chars = text.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => return (out, &text[at + 1..]),
                '\\' => match chars.next().unwrap().1 {
                    'u' => {
                        let code = &text[at + 2..at + 6];
                        out.push(char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap());
                        chars.nth(3);
                    }
                    'n' => out.push('\n'),
                    'r' => out.push('\r'),
                    't' => out.push('\t'),
                    'b' => out.push('\u{8}'),
                    'f' => out.push('\u{c}'),
                    c @ ('"' | '\\') => out.push(c),
                    c => panic!("escape {c}"),
                },
                c => out.push(c),
            }
        }
        panic!("no end: {text}")
    }

    fn decode(text: &str) -> Vec<u8> {
        assert_eq!(text.len() % 4, 0);
        let value = |c: u8| match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => 0,
            _ => panic!("not base64: {c}"),
        };
        let mut out = Vec::new();
        for group in text.as_bytes().chunks(4) {
            let bits = group.iter().fold(0_u32, |bits, c| bits << 6 | u32::from(value(*c)));
            let padding = group.iter().filter(|c| **c == b'=').count();
            out.extend_from_slice(&bits.to_be_bytes()[1..4 - padding]);
        }
        out
    }

    #[test]
    fn every_byte_comes_back() {
        for byte in 0..=255_u8 {
            for path in
                [&[byte][..], &[b'a', byte, b'b'], &[byte, byte], &[0xc3, byte], &[byte, 0x80]]
            {
                let (shown, coded) = round_trip(path);
                match std::str::from_utf8(path) {
                    Ok(path) => assert_eq!((shown.as_str(), coded), (path, None)),
                    Err(_) => {
                        assert_eq!(shown, String::from_utf8_lossy(path));
                        assert_eq!(coded.as_deref(), Some(path));
                    }
                }
            }
        }
    }

    #[test]
    fn every_character_comes_back() {
        let all: Vec<char> = ('\0'..=char::MAX).collect();
        for some in all.chunks(5000) {
            let path = String::from_iter(some);
            let (shown, coded) = round_trip(path.as_bytes());
            assert!(shown == path && coded.is_none(), "from {:?}", some[0]);
        }
    }

    #[test]
    fn a_replacement_character_in_a_name_is_told_from_ours() {
        assert_eq!(round_trip("a\u{fffd}".as_bytes()), ("a\u{fffd}".into(), None));
        assert_eq!(round_trip(b"a\xff"), ("a\u{fffd}".into(), Some(b"a\xff".to_vec())));
        assert_eq!(round_trip(b"\xed\xa0\x80").1, Some(b"\xed\xa0\x80".to_vec()));
    }

    #[test]
    fn base64_as_the_rfc_has_it() {
        for (bytes, expected) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v")] {
            let mut out = Vec::new();
            base64(bytes.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
