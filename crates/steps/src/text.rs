//! Makes storable text of arbitrary bytes.

/// The longest log line, in bytes of UTF-8; longer ones are split.
pub(crate) const MAX_LINE: usize = 64 * 1024;

/// What stands for bytes that are no text.
const REPLACEMENT: &str = "\u{FFFD}";

/// The bytes as text: whatever is not UTF-8, and U+0000, which a database may refuse, becomes U+FFFD.
pub(crate) fn readable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    if text.contains('\0') { text.replace('\0', REPLACEMENT) } else { text.into_owned() }
}

/// As much of `bytes` as one log line holds, and how many bytes that is.
pub(crate) fn line(bytes: &[u8]) -> (String, usize) {
    let whole = cut(bytes, MAX_LINE);
    let text = readable(&bytes[..whole]);
    if text.len() <= MAX_LINE {
        return (text, whole);
    }
    // Each byte that is no text grows to the three of U+FFFD.
    let third = cut(bytes, MAX_LINE / REPLACEMENT.len());
    (readable(&bytes[..third]), third)
}

/// The largest length up to `limit` at which `bytes` can be cut without parting a character.
pub(crate) fn cut(bytes: &[u8], limit: usize) -> usize {
    if bytes.len() <= limit {
        return bytes.len();
    }
    let is_inside = |at: &usize| bytes[*at] & 0b1100_0000 == 0b1000_0000;
    // A character has at most three bytes after its first; more of them are not UTF-8 anyway.
    (limit.saturating_sub(3)..=limit).rev().find(|at| !is_inside(at)).unwrap_or(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_replaced_and_colours_stay() {
        assert_eq!(readable(b"a\xffb\0c"), "a\u{FFFD}b\u{FFFD}c");
        assert_eq!(readable(b"\x1b[31mred\x1b[0m"), "\x1b[31mred\x1b[0m");
    }

    #[test]
    fn a_cut_never_parts_a_character() {
        let text = "aé€😀".as_bytes();
        for limit in 0..=text.len() {
            assert!(std::str::from_utf8(&text[..cut(text, limit)]).is_ok(), "{limit}");
        }
        assert_eq!(cut(&[0x80; 10], 5), 5);
    }

    #[test]
    fn a_line_is_never_longer_than_the_limit() {
        for bytes in [vec![b'x'; 3 * MAX_LINE], vec![0xff; 3 * MAX_LINE], vec![0; 3 * MAX_LINE]] {
            let (text, used) = line(&bytes);
            assert!(text.len() <= MAX_LINE && used > 0);
        }
    }
}
