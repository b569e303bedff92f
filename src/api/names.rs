//! Words for the bits of a mask.

use std::ffi::c_char;

/// The seed's words, in the order of the bits.
pub const WORDS: [(u32, &str); 22] = [
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
    (libc::IN_ONLYDIR, "only_dir"),
    (libc::IN_DONT_FOLLOW, "dont_follow"),
    (libc::IN_EXCL_UNLINK, "excl_unlink"),
    (libc::IN_MASK_CREATE, "mask_create"),
    (libc::IN_MASK_ADD, "mask_add"),
    (libc::IN_ISDIR, "is_dir"),
    (libc::IN_ONESHOT, "one_shot"),
];

/// The words, joined.
pub fn join(mask: u32) -> String {
    let mut left = mask;
    let mut words: Vec<&str> = Vec::new();
    for (bit, word) in WORDS {
        if mask & bit != 0 {
            left &= !bit;
            words.push(word);
        }
    }
    let rest = format!("{left:#x}");
    if left != 0 {
        words.push(&rest);
    }
    words.join("|")
}

/// Writes the words as snprintf(3) does.
///
/// # Safety
/// `buffer` has room for `size` bytes.
pub unsafe fn write(mask: u32, buffer: *mut c_char, size: usize) -> usize {
    let text = join(mask);
    if size > 0 && !buffer.is_null() {
        let len = text.len().min(size - 1);
        // SAFETY: `len + 1 <= size` bytes are written, for which the caller has promised room.
        unsafe {
            buffer.cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), len);
            *buffer.add(len) = 0;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::join;

    #[test]
    fn words_in_the_order_of_the_bits() {
        assert_eq!(join(libc::IN_ISDIR | libc::IN_CREATE), "create|is_dir");
        assert_eq!(join(0), "");
        assert_eq!(join(libc::IN_DELETE | 1 << 20), "delete|0x100000");
    }
}
