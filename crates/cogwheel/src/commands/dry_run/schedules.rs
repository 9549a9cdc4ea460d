//! When the schedules of a workflow come due.

use anyhow::Context as _;
use cogwheel_definition::ScheduleTrigger;
use cogwheel_definition::cron::Cron;
use cogwheel_engine::clock::Clock;
use serde::Serialize;

use crate::output;

/// How many due instants of a schedule are shown.
const INSTANTS: usize = 5;

/// A schedule and when it comes due.
#[derive(Debug, Serialize)]
pub(super) struct PlannedSchedule {
    key: String,
    cron: String,
    timezone: &'static str,
    next: Vec<Instant>,
}

/// One due instant, as RFC 3339.
#[derive(Debug, Serialize)]
struct Instant {
    utc: String,
    /// On the wall clock of the schedule's zone.
    local: String,
}

impl PlannedSchedule {
    /// The next due instants of a schedule.
    pub(super) fn of(trigger: &ScheduleTrigger, clock: &impl Clock) -> anyhow::Result<Self> {
        let zone = trigger.timezone;
        let cron = Cron::parse(&trigger.cron)
            .map_err(anyhow::Error::msg)
            .with_context(|| format!("cannot read the cron expression of {}", trigger.key))?;
        let first = cron.next_after(zone, clock.now());
        let next = std::iter::successors(first, |&due| cron.next_after(zone, due))
            .take(INSTANTS)
            .map(|due| Instant { utc: due.to_rfc3339(), local: due.with_timezone(&zone).to_rfc3339() })
            .collect();
        Ok(Self { key: trigger.key.clone(), cron: trigger.cron.clone(), timezone: zone.name(), next })
    }

    /// The same for people.
    pub(super) fn to_text(&self) -> String {
        let Self { key, cron, timezone, next } = self;
        let rows: Vec<_> = next.iter().map(|due| vec![due.utc.clone(), due.local.clone()]).collect();
        format!("{key}: {cron}\n{}", output::table(&["NEXT IN UTC", &format!("NEXT IN {timezone}")], &rows))
    }
}
