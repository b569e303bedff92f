//! Lines, and the way back from them.

use super::*;

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

const WORDS: [(u32, &str); 2] = [(libc::IN_MOVED_TO, "moved_to"), (libc::IN_CREATE, "create")];

fn text(event: &Event) -> String {
    let mut out = Vec::new();
    line(event, &WORDS, &mut out);
    String::from_utf8(out).expect("a line is UTF-8")
}

#[test]
fn a_plain_event() {
    let path = Some(&b"/tmp/a b"[..]);
    let event = Event { watch: 7, mask: libc::IN_CREATE, path, ..Event::default() };
    let expected = "{\"watch\":7,\"mask\":[\"create\"],\"is_dir\":false,\"path\":\"/tmp/a b\"}\n";
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
        coverage: 0,
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
        for path in [&[byte][..], &[b'a', byte, b'b'], &[byte, byte], &[0xc3, byte], &[byte, 0x80]]
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
