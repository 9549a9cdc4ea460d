//! Opaque cursors and the page arguments that every connection takes.

use std::fmt::Display;
use std::str::FromStr;

use async_graphql::Error;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use cogwheel_engine::views::{PageRequest, TimeCursor};
use uuid::Uuid;

use crate::errors::bad_input;

/// How many rows a page has when the client does not say.
pub(crate) const DEFAULT_PAGE: u32 = 50;
/// How many rows a page has at the most.
pub(crate) const MAX_PAGE: u32 = 100;

/// A place in a list, as clients hold it.
pub(crate) trait Cursor: Sized {
    /// The opaque text.
    fn encode(&self) -> String;
    /// Reads it back.
    fn decode(text: &str) -> Option<Self>;
}

impl Cursor for TimeCursor {
    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("t:{}:{}", self.at.timestamp_micros(), self.id))
    }

    fn decode(text: &str) -> Option<Self> {
        let (micros, id) = payload(text, "t:")?.split_once(':').map(|(at, id)| (at.to_owned(), id.to_owned()))?;
        let at = DateTime::<Utc>::from_timestamp_micros(micros.parse().ok()?)?;
        Some(Self { at, id: Uuid::try_parse(&id).ok()? })
    }
}

macro_rules! ordinal_cursor {
    ($number:ty) => {
        impl Cursor for $number {
            fn encode(&self) -> String {
                encode_ordinal(self)
            }

            fn decode(text: &str) -> Option<Self> {
                decode_ordinal(text)
            }
        }
    };
}

ordinal_cursor!(i32);
ordinal_cursor!(i64);

fn encode_ordinal(ordinal: &impl Display) -> String {
    URL_SAFE_NO_PAD.encode(format!("n:{ordinal}"))
}

fn decode_ordinal<N: FromStr>(text: &str) -> Option<N> {
    payload(text, "n:")?.parse().ok()
}

fn payload(text: &str, prefix: &str) -> Option<String> {
    let decoded = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    decoded.strip_prefix(prefix).map(ToOwned::to_owned)
}

/// The four arguments of a connection, as sent.
pub(crate) struct PageArgs {
    pub(crate) first: Option<i32>,
    pub(crate) after: Option<String>,
    pub(crate) last: Option<i32>,
    pub(crate) before: Option<String>,
}

impl PageArgs {
    /// What they ask for.
    pub(crate) fn request<C: Cursor>(&self) -> Result<PageRequest<C>, Error> {
        match self {
            Self { first: Some(_), last: Some(_), .. } => {
                Err(bad_input("`first` and `last` cannot be combined; page forward with `first`, backward with `last`"))
            }
            Self { after: Some(_), before: Some(_), .. } => {
                Err(bad_input("`after` and `before` cannot be combined; give one of them"))
            }
            Self { first: Some(_), before: Some(_), .. } => {
                Err(bad_input("`before` goes with `last`, not with `first`"))
            }
            Self { last: Some(_), after: Some(_), .. } => Err(bad_input("`after` goes with `first`, not with `last`")),
            Self { first: None, after: None, last, before } if last.is_some() || before.is_some() => {
                Ok(PageRequest::Backward { last: size("last", *last)?, before: place("before", before.as_deref())? })
            }
            Self { first, after, .. } => {
                Ok(PageRequest::Forward { first: size("first", *first)?, after: place("after", after.as_deref())? })
            }
        }
    }
}

fn size(argument: &str, asked: Option<i32>) -> Result<u32, Error> {
    let Some(asked) = asked else { return Ok(DEFAULT_PAGE) };
    match u32::try_from(asked) {
        Ok(asked @ 1..=MAX_PAGE) => Ok(asked),
        _ => Err(bad_input(format!("`{argument}` must be between 1 and {MAX_PAGE}, not {asked}"))),
    }
}

fn place<C: Cursor>(argument: &str, cursor: Option<&str>) -> Result<Option<C>, Error> {
    let Some(text) = cursor else { return Ok(None) };
    match C::decode(text) {
        Some(place) => Ok(Some(place)),
        None => Err(bad_input(format!("`{argument}` is not a cursor of this list; use one that the list has given"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(first: Option<i32>, after: Option<&str>, last: Option<i32>, before: Option<&str>) -> PageArgs {
        PageArgs { first, after: after.map(Into::into), last, before: before.map(Into::into) }
    }

    #[test]
    fn cursors_read_back_to_the_microsecond() {
        let at = DateTime::from_timestamp_micros(1_763_786_100_123_456).unwrap();
        let cursor = TimeCursor { at, id: Uuid::from_u128(7) };
        assert_eq!(TimeCursor::decode(&cursor.encode()), Some(cursor));
        assert_eq!(i32::decode(&7_i32.encode()), Some(7));
        assert_eq!(i64::decode(&i64::MAX.encode()), Some(i64::MAX));
    }

    #[test]
    fn without_arguments_the_first_fifty_are_meant() {
        let request = args(None, None, None, None).request::<i32>().unwrap();
        assert_eq!(request, PageRequest::Forward { first: 50, after: None });
    }

    #[test]
    fn before_alone_pages_backward() {
        let before = 9_i32.encode();
        let request = args(None, None, None, Some(&before)).request::<i32>().unwrap();
        assert_eq!(request, PageRequest::Backward { last: 50, before: Some(9) });
    }

    #[test]
    fn pages_over_the_limit_and_mixed_directions_are_refused() {
        let cursor = 1_i32.encode();
        for (wrong, says) in [
            (args(Some(101), None, None, None), "`first` must be between 1 and 100, not 101"),
            (args(Some(0), None, None, None), "`first` must be between 1 and 100, not 0"),
            (args(None, None, Some(-1), None), "`last` must be between 1 and 100, not -1"),
            (args(Some(1), None, Some(1), None), "`first` and `last` cannot be combined"),
            (args(Some(1), None, None, Some(&cursor)), "`before` goes with `last`"),
            (args(None, Some(&cursor), Some(1), None), "`after` goes with `first`"),
            (args(None, Some(&cursor), None, Some(&cursor)), "`after` and `before` cannot be combined"),
            (args(Some(1), Some("?"), None, None), "`after` is not a cursor of this list"),
        ] {
            assert!(wrong.request::<i32>().unwrap_err().message.starts_with(says), "{says}");
        }
    }

    #[test]
    fn a_cursor_of_another_kind_of_list_is_refused() {
        let step = 3_i32.encode();
        assert!(args(Some(1), Some(&step), None, None).request::<TimeCursor>().is_err());
    }
}
