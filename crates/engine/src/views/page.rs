//! Keyset pages: page 1000 costs what page 1 costs.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// How many rows of a list.
pub type PageSize = u32;

/// A place in a list that is sorted by time and id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeCursor {
    /// The sort time.
    pub at: DateTime<Utc>,
    /// The row's id.
    pub id: Uuid,
}

/// Which part of a list. `C` is the kind of place the list is sorted by.
///
/// Lists by time run newest first, steps and logs in order. Forward means along that order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PageRequest<C = TimeCursor> {
    /// The first rows, or those after a place.
    Forward {
        /// How many at the most.
        first: PageSize,
        /// After which place.
        after: Option<C>,
    },
    /// The last rows, or those before a place.
    Backward {
        /// How many at the most.
        last: PageSize,
        /// Before which place.
        before: Option<C>,
    },
}

/// Part of a list, always in the list's order.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Whether more follow in the direction that was asked for.
    pub has_more: bool,
}
