//! Where a subscription stands, as clients hold it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};

/// How far apart the order of notices and the order of time stamps may be. What changed this shortly before a position
/// is told again: twice is harmless, never is not.
const SLACK: TimeDelta = TimeDelta::seconds(10);

/// Everything that changed up to an instant has been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// The instant.
    pub(crate) newest: DateTime<Utc>,
    /// When the oldest execution that was live then was accepted: whatever changes later was accepted since.
    pub(crate) floor: DateTime<Utc>,
}

impl Position {
    /// The opaque text.
    pub(crate) fn encode(self) -> String {
        URL_SAFE_NO_PAD.encode(format!("p:{}:{}", self.newest.timestamp_micros(), self.floor.timestamp_micros()))
    }

    /// Reads it back.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let decoded = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (newest, floor) = decoded.strip_prefix("p:")?.split_once(':')?;
        let instant = |micros: &str| DateTime::from_timestamp_micros(micros.parse().ok()?);
        Some(Self { newest: instant(newest)?, floor: instant(floor)? })
    }

    /// Whether a change at `at` may not have been told yet.
    pub(crate) fn may_miss(&self, at: DateTime<Utc>) -> bool {
        self.newest.signed_duration_since(at) < SLACK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(micros).unwrap()
    }

    #[test]
    fn a_position_reads_back() {
        let position = Position { newest: at(1_763_786_100_123_456), floor: at(5) };
        assert_eq!(Position::decode(&position.encode()), Some(position));
        assert_eq!(Position::decode("nonsense"), None);
        assert_eq!(Position::decode(""), None);
    }

    #[test]
    fn what_changed_shortly_before_is_told_again() {
        let position = Position { newest: at(60_000_000), floor: at(0) };
        assert!(position.may_miss(at(61_000_000)));
        assert!(position.may_miss(at(55_000_000)));
        assert!(!position.may_miss(at(49_000_000)));
    }
}
