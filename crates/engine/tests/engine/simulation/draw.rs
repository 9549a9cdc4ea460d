//! Chance, drawn from the seed and from what it is about, so that one draw does not depend on how many came before.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// Where draws come from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draw(pub(super) u64);

impl Draw {
    /// A number of this subject.
    pub(super) fn number(self, subject: impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.0, subject).hash(&mut hasher);
        hasher.finish()
    }

    /// A number below `bound`.
    pub(super) fn below(self, bound: u64, subject: impl Hash) -> u64 {
        self.number(subject) % bound
    }

    /// Whether what happens this many times in a thousand happens.
    pub(super) fn happens(self, in_a_thousand: u64, subject: impl Hash) -> bool {
        self.below(1000, subject) < in_a_thousand
    }

    /// A time of up to so many milliseconds.
    pub(super) fn time(self, most: u64, subject: impl Hash) -> Duration {
        Duration::from_millis(self.below(most + 1, subject))
    }
}
