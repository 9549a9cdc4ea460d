//! What could begin and has not yet.

use std::collections::VecDeque;

/// Something to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// The turn of a step may have come, or can come no more.
    Slot {
        /// Its scope.
        scope: usize,
        /// Its position there.
        position: usize,
    },
    /// The next attempt of an instance.
    Attempt(i32),
    /// More values of a `foreach`.
    Items(i32),
    /// The next round of a loop.
    Round(i32),
}

/// What could begin, in the order in which it came up.
#[derive(Clone, Debug, Default)]
pub(crate) struct WorkQueue {
    /// What needs no room.
    pub(crate) free: VecDeque<Work>,
    /// What needs room for an attempt.
    pub(crate) bounded: VecDeque<Work>,
}

impl WorkQueue {
    pub(crate) fn iter(&self) -> impl Iterator<Item = Work> {
        self.free.iter().chain(&self.bounded).copied()
    }
}
