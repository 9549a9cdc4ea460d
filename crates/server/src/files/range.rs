//! The one range of bytes that a download may be about.

use std::ops::Range;

/// What a `Range` header asks of so many bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All: there is no header, or one that is about something else.
    All,
    /// These.
    Part(Range<u64>),
    /// Some that are not there.
    NotThere,
}

/// Reads a header. Several ranges, and what cannot be read, mean all, as the specification allows.
pub(super) fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some(range) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else { return Wanted::All };
    let Some((first, last)) = range.split_once('-') else { return Wanted::All };
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        return match last.parse::<u64>() {
            Ok(0) => Wanted::NotThere,
            Ok(_) if size == 0 => Wanted::NotThere,
            Ok(length) => Wanted::Part(size.saturating_sub(length)..size),
            Err(_) => Wanted::All,
        };
    }
    let Ok(first) = first.parse::<u64>() else { return Wanted::All };
    let end = if last.is_empty() { Some(size) } else { last.parse::<u64>().ok().map(|last| last.saturating_add(1)) };
    match end {
        Some(end) if end <= first && !last.is_empty() => Wanted::All,
        Some(_) if first >= size => Wanted::NotThere,
        Some(end) => Wanted::Part(first..end.min(size)),
        None => Wanted::All,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_understood() {
        for (header, expected) in [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=2-4", Wanted::Part(2..5)),
            ("bytes=8-", Wanted::Part(8..10)),
            ("bytes=8-99", Wanted::Part(8..10)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=-99", Wanted::Part(0..10)),
            ("bytes=10-", Wanted::NotThere),
            ("bytes=-0", Wanted::NotThere),
            ("bytes=4-2", Wanted::All),
            ("bytes=0-1,4-5", Wanted::All),
            ("bytes=x-", Wanted::All),
            ("lines=1-2", Wanted::All),
            ("bytes=", Wanted::All),
        ] {
            assert_eq!(wanted(Some(header), 10), expected, "{header}");
        }
        assert_eq!(wanted(None, 10), Wanted::All);
        assert_eq!((wanted(Some("bytes=0-"), 0), wanted(Some("bytes=-1"), 0)), (Wanted::NotThere, Wanted::NotThere));
    }
}
