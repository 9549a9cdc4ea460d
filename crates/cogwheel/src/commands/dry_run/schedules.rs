//! When the schedules of a workflow come due.

use anyhow::Context as _;
use cogwheel_definition::ScheduleTrigger;
use cogwheel_definition::schedule::Calendar;
use cogwheel_engine::clock::Clock;
use serde::Serialize;

use super::super::instants::Instant;
use crate::output;

/// How many due instants of a schedule are shown.
const INSTANTS: usize = 5;

/// A schedule and when it comes due.
#[derive(Debug, Serialize)]
pub(super) struct PlannedSchedule {
    key: String,
    cron: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    every_seconds: Option<u64>,
    timezone: &'static str,
    next: Vec<Instant>,
    #[serde(skip)]
    shown: String,
}

impl PlannedSchedule {
    /// The next due instants of a schedule.
    pub(super) fn of(trigger: &ScheduleTrigger, clock: &impl Clock) -> anyhow::Result<Self> {
        let timing = &trigger.timing;
        let calendar = Calendar::new(timing)
            .map_err(anyhow::Error::msg)
            .with_context(|| format!("cannot read the schedule {}", trigger.key))?;
        let next = calendar.occurrences(clock.now()).take(INSTANTS);
        Ok(Self {
            key: trigger.key.clone(),
            cron: timing.expression().map(str::to_owned),
            every_seconds: timing.interval().map(|every| every.as_secs()),
            timezone: timing.timezone.name(),
            next: next.map(|due| Instant::of(due, timing.timezone)).collect(),
            shown: timing.shown(),
        })
    }

    /// The same for people.
    pub(super) fn to_text(&self) -> String {
        let Self { key, timezone, next, shown, .. } = self;
        let mut header = vec!["NEXT IN UTC".to_owned(), format!("NEXT IN {timezone}")];
        let has_marks = next.iter().any(|due| due.dst.is_some());
        header.extend(has_marks.then(|| "CLOCKS".to_owned()));
        let row = |due: &Instant| {
            let mut row = vec![due.utc.clone(), due.local.clone()];
            row.extend(has_marks.then(|| due.remark()));
            row
        };
        let rows: Vec<_> = next.iter().map(row).collect();
        let header: Vec<&str> = header.iter().map(String::as_str).collect();
        format!("{key}: {shown}\n{}", output::table(&header, &rows))
    }
}
