//! Due instants as they are shown.

use chrono_tz::Tz;
use cogwheel_definition::schedule::{DstMark, Occurrence};
use serde::Serialize;

/// One due instant, as RFC 3339.
#[derive(Debug, Serialize)]
pub(super) struct Instant {
    pub(super) utc: String,
    /// On the wall clock of the schedule's zone.
    pub(super) local: String,
    /// What a change of the clocks has to do with it: `shifted`, `first` or `second`.
    pub(super) dst: Option<&'static str>,
    /// The skipped time of the wall clock that it stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) shifted_from: Option<String>,
}

impl Instant {
    pub(super) fn of(occurrence: Occurrence, zone: Tz) -> Self {
        let Occurrence { due_at, mark } = occurrence;
        let shifted_from = match mark {
            Some(DstMark::Shifted(time)) => Some(time.format("%Y-%m-%dT%H:%M:%S").to_string()),
            Some(DstMark::First | DstMark::Second) | None => None,
        };
        Self {
            utc: due_at.to_rfc3339(),
            local: due_at.with_timezone(&zone).to_rfc3339(),
            dst: mark.map(DstMark::as_str),
            shifted_from,
        }
    }

    /// The mark for people.
    pub(super) fn remark(&self) -> String {
        match (self.dst, &self.shifted_from) {
            (_, Some(time)) => format!("shifted: {} is skipped", time.replace('T', " ")),
            (Some(which), None) => format!("{which} of two"),
            (None, None) => String::new(),
        }
    }
}
