//! The `DueInstant` type.

use async_graphql::{Result, SimpleObject};
use chrono::SecondsFormat;
use cogwheel_engine::schedule::{Calendar, DstMark as Mark, Occurrence};

use super::enums::DstMark;
use super::instant::Instant;

/// A coming or imagined due instant of a schedule.
#[derive(SimpleObject)]
pub(crate) struct DueInstant {
    /// When.
    due_at: Instant,
    /// The same on the wall clock of the schedule's zone, with its offset: `2026-03-29T03:00:00+02:00`.
    local: String,
    /// What a change of the clocks has to do with it; null for most.
    dst_mark: Option<DstMark>,
    /// The skipped time of the wall clock that it stands for, where it is shifted: `2026-03-29T02:30:00`.
    shifted_from: Option<String>,
}

impl DueInstant {
    /// One instant of a calendar.
    pub(crate) fn new(calendar: &Calendar, due: Occurrence) -> Result<Self> {
        let Occurrence { due_at, mark } = due;
        let shifted_from = match mark {
            Some(Mark::Shifted(time)) => Some(time.format("%Y-%m-%dT%H:%M:%S").to_string()),
            Some(Mark::First | Mark::Second) | None => None,
        };
        Ok(Self {
            due_at: due_at.into(),
            local: due_at.with_timezone(&calendar.timing().timezone).to_rfc3339_opts(SecondsFormat::Secs, false),
            dst_mark: mark.map(|mark| DstMark::from_word(mark.as_str())).transpose()?,
            shifted_from,
        })
    }
}
