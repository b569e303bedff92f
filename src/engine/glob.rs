//! Patterns of directories that are not wanted, as fnmatch(3) has them in the POSIX locale: bytes,
//! no encoding, and no time that grows faster than the product of the lengths.

/// The patterns of one watch.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Excludes {
    /// Matched against names.
    names: Vec<Box<[u8]>>,
    /// Matched against paths below the root, component by component.
    paths: Vec<Box<[u8]>>,
}

impl Excludes {
    /// Takes one more. A slash at the end does not count, for only directories are asked about; one
    /// at the beginning ties the pattern to the root, as one in the middle does. False if nothing
    /// is left of it.
    pub fn add(&mut self, pattern: &[u8]) -> bool {
        let end = pattern.iter().rposition(|&b| b != b'/').map_or(0, |last| last + 1);
        let pattern = &pattern[..end];
        let bare = pattern.strip_prefix(b"/").unwrap_or(pattern);
        if bare.is_empty() {
            return false;
        }
        let list = if pattern.contains(&b'/') { &mut self.paths } else { &mut self.names };
        list.push(bare.into());
        true
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.paths.is_empty()
    }

    /// Does one match this name?
    pub fn match_name(&self, name: &[u8]) -> bool {
        self.names.iter().any(|pattern| matches(pattern, name))
    }

    /// There are some that are about paths.
    pub fn has_paths(&self) -> bool {
        !self.paths.is_empty()
    }

    /// Does one match this path below the root?
    pub fn match_path(&self, path: &[u8]) -> bool {
        self.paths.iter().any(|pattern| matches_path(pattern, path))
    }
}

/// With FNM_PATHNAME: a slash is matched by a slash alone.
fn matches_path(pattern: &[u8], path: &[u8]) -> bool {
    let mut patterns = pattern.split(|&b| b == b'/');
    let mut names = path.split(|&b| b == b'/');
    loop {
        match (patterns.next(), names.next()) {
            (None, None) => return true,
            (Some(pattern), Some(name)) if matches(pattern, name) => {}
            _ => return false,
        }
    }
}

/// One component.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    // Behind the last star, and how much of the name it has taken.
    let mut star: Option<(usize, usize)> = None;
    loop {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            star = Some((p, n));
            continue;
        }
        if p == pattern.len() && n == name.len() {
            return true;
        }
        let next = name.get(n).and_then(|&byte| one(pattern, p, byte));
        if let Some(next) = next {
            (p, n) = (next, n + 1);
            continue;
        }
        // The last star takes one more; that those before it need not is what keeps this short.
        match star {
            Some((after, taken)) if taken < name.len() => {
                star = Some((after, taken + 1));
                (p, n) = (after, taken + 1);
            }
            _ => return false,
        }
    }
}

/// Does what stands at `p` match this byte? Then where it ends.
fn one(pattern: &[u8], p: usize, byte: u8) -> Option<usize> {
    let (wanted, end) = match *pattern.get(p)? {
        b'?' => return Some(p + 1),
        b'[' => match bracket(pattern, p + 1, byte) {
            Some((true, end)) => return Some(end),
            Some((false, _)) => return None,
            // Never closed: a bracket like any other byte.
            None => (b'[', p + 1),
        },
        b'\\' => (*pattern.get(p + 1)?, p + 2),
        other => (other, p + 1),
    };
    (wanted == byte).then_some(end)
}

/// A bracket expression from behind its bracket: does it match, and where does it end?
fn bracket(pattern: &[u8], mut p: usize, byte: u8) -> Option<(bool, usize)> {
    let inverted = matches!(pattern.get(p), Some(b'!' | b'^'));
    p += usize::from(inverted);
    let (mut found, mut first) = (false, true);
    loop {
        if pattern.get(p) == Some(&b']') && !first {
            return Some((found != inverted, p + 1));
        }
        first = false;
        if let (b'[', Some(b':')) = (*pattern.get(p)?, pattern.get(p + 1))
            && let Some((name, end)) = delimited(pattern, p + 2, b':')
        {
            found |= class(name)?(&byte);
            p = end;
            continue;
        }
        let (from, end) = element(pattern, p)?;
        p = end;
        let mut to = from;
        if pattern.get(p) == Some(&b'-') && pattern.get(p + 1).is_some_and(|&b| b != b']') {
            (to, p) = element(pattern, p + 1)?;
        }
        found |= (from..=to).contains(&byte);
    }
}

/// One byte of a bracket expression, however it is written.
fn element(pattern: &[u8], p: usize) -> Option<(u8, usize)> {
    let byte = *pattern.get(p)?;
    match (byte, pattern.get(p + 1)) {
        (b'\\', Some(&escaped)) => Some((escaped, p + 2)),
        (b'[', Some(&kind @ (b'=' | b'.'))) => match delimited(pattern, p + 2, kind) {
            Some((&[named], end)) => Some((named, end)),
            Some(_) => None,
            None => Some((byte, p + 1)),
        },
        _ => Some((byte, p + 1)),
    }
}

/// What stands up to the kind and a bracket.
fn delimited(pattern: &[u8], from: usize, kind: u8) -> Option<(&[u8], usize)> {
    let rest = &pattern[from..];
    let len = rest.windows(2).position(|end| end == [kind, b']'])?;
    Some((&rest[..len], from + len + 2))
}

fn class(name: &[u8]) -> Option<fn(&u8) -> bool> {
    Some(match name {
        b"alnum" => u8::is_ascii_alphanumeric,
        b"alpha" => u8::is_ascii_alphabetic,
        b"blank" => |byte| matches!(byte, b' ' | b'\t'),
        b"cntrl" => u8::is_ascii_control,
        b"digit" => u8::is_ascii_digit,
        b"graph" => u8::is_ascii_graphic,
        b"lower" => u8::is_ascii_lowercase,
        b"print" => |byte| matches!(byte, b' '..=b'~'),
        b"punct" => u8::is_ascii_punctuation,
        b"space" => |byte| matches!(byte, b' ' | b'\t'..=b'\r'),
        b"upper" => u8::is_ascii_uppercase,
        b"xdigit" => u8::is_ascii_hexdigit,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fnmatch;

    /// Numbers that look random.
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 >> 33).unwrap() % limit
        }

        fn text(&mut self, parts: &[&str], most: usize) -> Vec<u8> {
            (0..self.below(most + 1)).flat_map(|_| parts[self.below(parts.len())].bytes()).collect()
        }
    }

    #[test]
    fn the_c_library_says_the_same() {
        const PATTERN: [&str; 22] = [
            "a",
            "b",
            "c",
            ".",
            "-",
            "*",
            "*",
            "?",
            "[ab]",
            "[!a]",
            "[^b]",
            "[a-c]",
            "[]a]",
            "[a-]",
            "[[:alpha:]]",
            "[[:digit:]b]",
            "[![:lower:]]",
            "\\*",
            "\\a",
            "[\\]]",
            "[[.-.]]",
            "\u{e9}",
        ];
        const NAME: [&str; 9] = ["a", "b", "c", ".", "-", "*", "]", "1", "\u{e9}"];
        let mut random = Random(88_172_645_463_325_252);
        let mut matched = 0;
        for _ in 0..200_000 {
            let (pattern, name) = (random.text(&PATTERN, 5), random.text(&NAME, 6));
            let ours = matches(&pattern, &name);
            let text = (String::from_utf8_lossy(&pattern), String::from_utf8_lossy(&name));
            assert_eq!(ours, fnmatch(&pattern, &name, false), "{text:?}");
            matched += usize::from(ours);
        }
        assert!(matched > 10_000, "{matched} matched");
        for _ in 0..200_000 {
            let pattern = [random.text(&PATTERN, 3), random.text(&PATTERN, 3)].join(&b'/');
            let name = [random.text(&NAME, 3), random.text(&NAME, 3)].join(&b'/');
            let text = (String::from_utf8_lossy(&pattern), String::from_utf8_lossy(&name));
            let same = matches_path(&pattern, &name) == fnmatch(&pattern, &name, true);
            assert!(same, "{text:?}");
        }
    }

    #[test]
    fn odd_patterns() {
        for (pattern, name, wanted) in [
            (&b"["[..], &b"["[..], true),
            (b"[a", b"[a", true),
            (b"[a", b"a", false),
            (b"[]", b"[]", true),
            (b"[!]", b"[!]", true),
            (b"\\", b"\\", false),
            (b"[[:nothing:]]", b"n", false),
            (b"[c-a]", b"b", false),
            (b"[\x80-\xff]?", b"\xc3\xa9", true),
            (b"", b"", true),
            (b"*", b".git", true),
            (b"\xff*", b"\xff\xfe", true),
        ] {
            assert_eq!(matches(pattern, name), wanted, "{pattern:?} {name:?}");
        }
    }

    #[test]
    fn stars_do_not_explode() {
        let pattern = b"*a".repeat(100);
        let name = [&b"a".repeat(250)[..], b"b"].concat();
        assert!(!matches(&pattern, &name));
    }

    #[test]
    fn slashes() {
        let mut excludes = Excludes::default();
        assert!(!excludes.add(b""));
        assert!(!excludes.add(b"//"));
        for pattern in [&b".git"[..], b"target/", b"/build", b"src/*.d"] {
            assert!(excludes.add(pattern));
        }
        let out = |path: &[u8]| {
            let name = path.rsplit(|&b| b == b'/').next().unwrap();
            excludes.match_name(name) || excludes.match_path(path)
        };
        for path in [&b".git"[..], b"a/.git", b"a/b/target", b"build", b"src/x.d"] {
            assert!(out(path), "{path:?}");
        }
        for path in [&b"git"[..], b"a/build", b"src/a/x.d", b"a/src/x.d", b"src"] {
            assert!(!out(path), "{path:?}");
        }
    }
}
