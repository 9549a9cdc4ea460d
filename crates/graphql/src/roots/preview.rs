//! When a schedule that need not exist would come due.

use async_graphql::{Context, InputObject, Object, Result};
use chrono::{DateTime, TimeDelta, Utc};
use cogwheel_engine::schedule::{self, Calendar, Cron, Dst, Exclusion, Timing, parse_zone};

use crate::errors::bad_input;
use crate::types::{DstGap, DstOverlap, DueInstant, Instant};

/// The most instants of one preview: a year of hours.
const MOST: usize = 8784;

/// What a preview costs beside its fields: it asks no database.
const COST: usize = 10;

/// What can be asked about schedules that need not exist.
#[derive(Default)]
pub(crate) struct PreviewQuery;

/// What can be asked about schedules that need not exist.
#[Object]
impl PreviewQuery {
    /// When a cron expression comes due, with what changes of the clocks do to it. Nothing is stored.
    #[graphql(complexity = "COST + child_complexity")]
    #[expect(clippy::too_many_arguments, reason = "they are the arguments of the field")]
    async fn preview_schedule(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The cron expression.")] cron: String,
        #[graphql(
            desc = "The IANA name of the zone whose wall clock it speaks of.",
            default_with = "\"UTC\".to_owned()"
        )]
        timezone: String,
        #[graphql(desc = "What becomes of times that a change of the clocks skips or repeats.")] dst: Option<DstRules>,
        #[graphql(desc = "The first instant that counts; now if not given.")] from: Option<Instant>,
        #[graphql(desc = "The last instant that counts.")] until: Option<Instant>,
        #[graphql(desc = "At most so many instants, 1 to 8784; 10 if neither it nor `until` is given.")] count: Option<
            i32,
        >,
        #[graphql(desc = "Dates to leave out: `2026-12-25`, `12-25`, `2026-12-24..2027-01-02`.")] exclude: Option<
            Vec<String>,
        >,
    ) -> Result<Vec<DueInstant>> {
        let all = if until.is_some() { MOST } else { 10 };
        let count = count.map_or(Some(all), |count| usize::try_from(count).ok());
        let mut problems = Vec::new();
        let count = count.filter(|count| (1..=MOST).contains(count)).unwrap_or_else(|| {
            problems.push(format!("`count` is a number from 1 to {MOST}"));
            1
        });
        if let Err(found) = Cron::parse(&cron) {
            let place = |at: usize| cron.get(..at).map_or(0, |before| before.chars().count()) + 1;
            let told =
                |problem: schedule::CronProblem| format!("`cron`, column {}: {problem}", place(problem.range.start));
            problems.extend(found.into_iter().map(told));
        }
        let zone =
            parse_zone(&timezone).map_err(|(what, help)| problems.push(format!("`timezone`: {what} ({help})"))).ok();
        let mut dates = Vec::new();
        for date in exclude.iter().flatten() {
            match Exclusion::parse(date) {
                Ok(date) => dates.push(date),
                Err((what, help)) => problems.push(format!("`exclude`: {what} ({help})")),
            }
        }
        let Some(zone) = zone.filter(|_| problems.is_empty()) else { return Err(bad_input(problems.join("; "))) };
        let dst = dst.map(Dst::from).unwrap_or_default();
        let timing = Timing { dst, exclude: dates, ..Timing::cron(cron, zone) };
        let calendar = Calendar::new(&timing).map_err(bad_input)?;
        let from: DateTime<Utc> = match from {
            Some(from) => from.into(),
            None => ctx.data::<std::sync::Arc<dyn crate::Services>>()?.now(),
        };
        let until: Option<DateTime<Utc>> = until.map(Into::into);
        calendar
            .occurrences(from - TimeDelta::microseconds(1))
            .take_while(|due| until.is_none_or(|until| due.due_at <= until))
            .take(count)
            .map(|due| DueInstant::new(&calendar, due))
            .collect()
    }
}

/// What becomes of times of the wall clock that a change of the clocks skips or repeats.
#[derive(InputObject)]
pub(crate) struct DstRules {
    /// Of skipped ones; SHIFT if not given.
    gap: Option<DstGap>,
    /// Of repeated ones; FIRST if not given.
    overlap: Option<DstOverlap>,
}

impl From<DstRules> for Dst {
    fn from(rules: DstRules) -> Self {
        Self {
            gap: match rules.gap {
                None | Some(DstGap::Shift) => schedule::DstGap::Shift,
                Some(DstGap::Skip) => schedule::DstGap::Skip,
            },
            overlap: match rules.overlap {
                None | Some(DstOverlap::First) => schedule::DstOverlap::First,
                Some(DstOverlap::Last) => schedule::DstOverlap::Last,
                Some(DstOverlap::Both) => schedule::DstOverlap::Both,
            },
        }
    }
}
