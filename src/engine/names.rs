//! Names of tree nodes, in one arena with free lists by size class.

/// Bytes that a name's place is a multiple of.
const UNIT: usize = 4;
/// Size classes: names of up to 255 bytes.
const CLASSES: usize = 64;
const NONE: u32 = u32::MAX;

/// The arena. A name is known by its place (in units) and its length.
pub struct Names {
    bytes: Vec<u8>,
    free: [u32; CLASSES],
}

impl Default for Names {
    fn default() -> Self {
        Self { bytes: Vec::new(), free: [NONE; CLASSES] }
    }
}

impl Names {
    fn class(len: u8) -> usize {
        usize::from(len).div_ceil(UNIT).max(1) - 1
    }

    /// Stores a name.
    pub fn add(&mut self, name: &[u8]) -> (u32, u8) {
        // NAME_MAX is 255; a longer one cannot come from the kernel.
        let len = u8::try_from(name.len()).unwrap_or(u8::MAX);
        let name = &name[..usize::from(len)];
        let class = Self::class(len);
        let place = self.free[class];
        let start = if place == NONE {
            let start = self.bytes.len();
            self.bytes.resize(start + (class + 1) * UNIT, 0);
            start
        } else {
            let start = place as usize * UNIT;
            let link = &self.bytes[start..start + 4];
            self.free[class] = u32::from_ne_bytes([link[0], link[1], link[2], link[3]]);
            start
        };
        self.bytes[start..start + name.len()].copy_from_slice(name);
        (u32::try_from(start / UNIT).unwrap_or(NONE), len)
    }

    /// The name at a place.
    #[inline]
    pub fn get(&self, place: u32, len: u8) -> &[u8] {
        let start = place as usize * UNIT;
        &self.bytes[start..start + usize::from(len)]
    }

    /// The same with more behind it, if there is, so that it can be copied in pieces.
    #[inline]
    pub fn field(&self, place: u32, len: u8) -> &[u8] {
        const PIECE: usize = 16;
        let start = place as usize * UNIT;
        let end = start + usize::from(len).max(PIECE);
        &self.bytes[start..end.min(self.bytes.len())]
    }

    /// Appends the name at a place.
    #[inline]
    pub fn append(&self, place: u32, len: u8, out: &mut Vec<u8>) {
        // Most are short, and so need no call to copy them.
        const SHORT: usize = 16;
        let (start, len) = (place as usize * UNIT, usize::from(len));
        match self.bytes.get(start..).and_then(|from| from.first_chunk::<SHORT>()) {
            Some(piece) if len <= SHORT => {
                let end = out.len() + len;
                out.extend_from_slice(piece);
                out.truncate(end);
            }
            _ => out.extend_from_slice(&self.bytes[start..start + len]),
        }
    }

    /// Gives a place back.
    pub fn remove(&mut self, place: u32, len: u8) {
        let class = Self::class(len);
        let start = place as usize * UNIT;
        self.bytes[start..start + 4].copy_from_slice(&self.free[class].to_ne_bytes());
        self.free[class] = place;
    }

    /// Bytes of memory held.
    pub fn memory(&self) -> usize {
        self.bytes.capacity()
    }
}

/// A name copied out of the read buffer.
#[derive(Clone, Copy)]
pub(super) struct Name {
    bytes: [u8; 256],
    len: usize,
}

impl Name {
    pub(super) fn new(name: &[u8]) -> Self {
        let len = name.len().min(256);
        let mut bytes = [0; 256];
        bytes[..len].copy_from_slice(&name[..len]);
        Self { bytes, len }
    }

    pub(super) fn get(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_used_again() {
        let mut names = Names::default();
        let (a, len) = names.add(b"alpha");
        let (b, _) = names.add(b"b");
        names.remove(a, len);
        let (c, _) = names.add(b"gamma12");
        assert_eq!(a, c);
        assert_eq!(names.get(c, 7), b"gamma12");
        assert_eq!(names.get(b, 1), b"b");
    }
}
