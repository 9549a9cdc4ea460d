//! Cuts a stream of bytes into log lines.

use crate::text::{self, MAX_LINE};

/// Bytes in, lines out; holds at most one unfinished line and the last chunk.
#[derive(Default)]
pub(super) struct Lines {
    pending: Vec<u8>,
    /// Where the next line begins in `pending`.
    start: usize,
    /// How far after `start` there is known to be no line end.
    searched: usize,
}

impl Lines {
    /// Takes the next bytes of the stream.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.pending.drain(..self.start);
        self.start = 0;
        self.pending.extend_from_slice(bytes);
    }

    /// The next line without its end, or the next piece of an over-long one; `None` until more bytes come.
    pub(super) fn next(&mut self) -> Option<String> {
        let unread = &self.pending[self.start..];
        let end = unread[self.searched..].iter().position(|byte| *byte == b'\n').map(|at| self.searched + at);
        let (bytes, ended_by) = match end {
            Some(end) => (&unread[..end], 1),
            // One byte more than a line holds may still be the carriage return of its end.
            None if unread.len() > MAX_LINE + 1 => (unread, 0),
            None => {
                self.searched = unread.len();
                return None;
            }
        };
        let (line, used) = take(bytes, ended_by);
        self.start += used;
        self.searched = 0;
        Some(line)
    }

    /// What is left once the stream has ended; call it until there is nothing.
    pub(super) fn rest(&mut self) -> Option<String> {
        let unread = &self.pending[self.start..];
        if unread.is_empty() {
            return None;
        }
        let (line, used) = take(unread, 0);
        self.start += used;
        Some(line)
    }
}

/// One line's text of `bytes`, and how many bytes it takes up together with its end.
fn take(bytes: &[u8], ended_by: usize) -> (String, usize) {
    let content = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let (line, used) = text::line(content);
    let used = if used == content.len() { bytes.len() + ended_by } else { used };
    (line, used)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(chunks: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut all = Vec::new();
        for chunk in chunks {
            lines.push(chunk);
            all.extend(std::iter::from_fn(|| lines.next()));
        }
        all.extend(std::iter::from_fn(|| lines.rest()));
        all
    }

    #[test]
    fn line_ends_are_trimmed_wherever_the_chunks_part() {
        assert_eq!(lines_of(&[b"a\nb\r\n\nlast"]), ["a", "b", "", "last"]);
        assert_eq!(lines_of(&[b"a", b"b\r", b"\nc", b"\n"]), ["ab", "c"]);
        assert_eq!(lines_of(&[b"50%\r100%\n"]), ["50%\r100%"]);
        assert_eq!(lines_of(&[b""]), Vec::<String>::new());
    }

    #[test]
    fn a_character_across_chunks_stays_whole_and_other_bytes_are_replaced() {
        let euro = "€".as_bytes();
        assert_eq!(lines_of(&[&euro[..1], &euro[1..], b"\n"]), ["€"]);
        assert_eq!(lines_of(&[b"\xff\xfe ok\n"]), ["\u{FFFD}\u{FFFD} ok"]);
    }

    #[test]
    fn a_line_of_the_largest_length_stays_whole() {
        for end in ["", "\n", "\r\n"] {
            let whole = "x".repeat(MAX_LINE);
            assert_eq!(lines_of(&[format!("{whole}{end}").as_bytes()]), [whole]);
        }
    }

    #[test]
    fn longer_lines_are_split_and_nothing_is_lost() {
        let long = "é1€".repeat(MAX_LINE);
        for chunk in [1000, 16 * 1024, 1_000_000] {
            let mut chunks: Vec<&[u8]> = long.as_bytes().chunks(chunk).collect();
            chunks.push(b"\nnext\n");
            let lines = lines_of(&chunks);
            assert!(lines.iter().all(|line| line.len() <= MAX_LINE));
            assert_eq!(lines.concat(), format!("{long}next"));
            assert_eq!(lines.last().unwrap(), "next");
        }
        let garbage = vec![0xff; 3 * MAX_LINE];
        let lines = lines_of(&[&garbage]);
        assert!(lines.iter().all(|line| line.len() <= MAX_LINE));
        assert_eq!(lines.concat().chars().count(), garbage.len());
    }
}
