//! The `Schedule` type.

use async_graphql::{Context, ID, Object, Result};
use chrono::{DateTime, Utc};
use cogwheel_engine::schedule::Calendar;
use cogwheel_engine::views::{ScheduleView, TimeCursor};
use serde_json::Value;

use super::connection::Listed;
use super::enums::{CatchUp, DstGap, DstOverlap, OverlapPolicy};
use super::instant::Instant;
use super::{Connection, DueInstant, ScheduleFire, Total, Workflow};
use crate::cursor::{Cursor, PageArgs};
use crate::errors::{bad_input, internal};
use crate::ids::GlobalId;
use crate::limits::{list_cost, page_cost};
use crate::loaders::{FiresPage, load};

/// The most instants that are told in advance.
const MOST_NEXT: usize = 100;

/// A time trigger of a workflow.
pub(crate) struct Schedule(ScheduleView);

impl From<ScheduleView> for Schedule {
    fn from(view: ScheduleView) -> Self {
        Self(view)
    }
}

impl Listed for Schedule {
    fn cursor(&self) -> String {
        TimeCursor { at: self.0.created_at, id: self.0.id.0 }.encode()
    }
}

/// The times at which a workflow is started.
#[Object]
impl Schedule {
    /// Its global id.
    pub(crate) async fn id(&self) -> ID {
        GlobalId::Schedule(self.0.id).encode()
    }

    /// Its key in the workflow.
    async fn trigger_key(&self) -> &str {
        &self.0.trigger_key
    }

    /// The cron expression.
    async fn cron(&self) -> Option<&str> {
        self.0.cron.as_deref()
    }

    /// The IANA time zone that it is read in.
    async fn timezone(&self) -> &str {
        &self.0.timezone
    }

    /// Milliseconds from one due instant to the next, where it is an interval and no cron expression.
    async fn every_ms(&self) -> Option<i64> {
        self.0.interval_seconds.map(|seconds| seconds.saturating_mul(1000))
    }

    /// What becomes of times that a change of the clocks skips.
    async fn dst_gap(&self) -> Result<DstGap> {
        DstGap::from_word(&self.0.dst_gap)
    }

    /// What becomes of times that a change of the clocks repeats.
    async fn dst_overlap(&self) -> Result<DstOverlap> {
        DstOverlap::from_word(&self.0.dst_overlap)
    }

    /// The dates in its zone on which what is due starts nothing, as they are written.
    async fn exclude(&self) -> Vec<String> {
        let dates = self.0.details.as_ref().and_then(|details| details.get("exclude")).and_then(Value::as_array);
        dates.into_iter().flatten().filter_map(|date| date.as_str().map(str::to_owned)).collect()
    }

    /// Nothing is due before.
    async fn starts_at(&self) -> Option<Instant> {
        self.0.timing()?.starts_at.map(Into::into)
    }

    /// Nothing is due after.
    async fn ends_at(&self) -> Option<Instant> {
        self.0.timing()?.ends_at.map(Into::into)
    }

    /// By how many milliseconds at most starts are put off after their due instants.
    async fn jitter_ms(&self) -> i32 {
        self.0.jitter_ms
    }

    /// Due instants older than so many milliseconds are not made up for; null for no limit.
    async fn catch_up_window_ms(&self) -> Option<i64> {
        self.0.catch_up_window_seconds.map(|seconds| seconds.saturating_mul(1000))
    }

    /// The instants after `after`, or after its last one with an outcome, at which it starts something; none while it does
    /// not fire.
    #[graphql(complexity = "list_cost(count.clamp(0, 100) as usize, child_complexity)")]
    async fn next_fires(
        &self,
        #[graphql(desc = "How many: 1 to 100.", default = 5)] count: i32,
        #[graphql(desc = "Only instants after this one.")] after: Option<Instant>,
    ) -> Result<Vec<DueInstant>> {
        let count = usize::try_from(count).ok().filter(|count| (1..=MOST_NEXT).contains(count));
        let count = count.ok_or_else(|| bad_input(format!("`count` is a number from 1 to {MOST_NEXT}")))?;
        let (Some(next), Some(timing)) = (self.0.next_due_at.filter(|_| self.0.is_enabled), self.0.timing()) else {
            return Ok(Vec::new());
        };
        let Ok(calendar) = Calendar::new(&timing) else { return Ok(Vec::new()) };
        let before = |next: DateTime<Utc>| next - chrono::TimeDelta::microseconds(1);
        let after = after.map_or_else(|| before(next), Into::into);
        calendar.occurrences(after).take(count).map(|due| DueInstant::new(&calendar, due)).collect()
    }

    /// What becomes of due instants that were missed while the server was down.
    async fn catch_up(&self) -> Result<CatchUp> {
        CatchUp::from_word(&self.0.catch_up)
    }

    /// What becomes of a due instant while the previous run is still going.
    async fn overlap(&self) -> Result<OverlapPolicy> {
        OverlapPolicy::from_word(&self.0.overlap)
    }

    /// Whether it fires: the active version has it, and nobody switched it off.
    async fn is_enabled(&self) -> bool {
        self.0.is_enabled
    }

    /// The coming due instant.
    async fn next_due_at(&self) -> Option<Instant> {
        self.0.next_due_at.map(Into::into)
    }

    /// The last due instant with an outcome.
    async fn last_due_at(&self) -> Option<Instant> {
        self.0.last_due_at.map(Into::into)
    }

    /// When it last started something.
    async fn last_fired_at(&self) -> Option<Instant> {
        self.0.last_fired_at.map(Into::into)
    }

    /// The workflow that it starts.
    async fn workflow(&self, ctx: &Context<'_>) -> Result<Workflow> {
        let workflow = load(ctx, self.0.workflow).await?;
        workflow.map(Workflow::from).ok_or_else(|| internal(&format_args!("schedule {} has no workflow", self.0.id)))
    }

    /// Its due instants with what came of them, latest first.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn fires(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many rows from the front: 1 to 100, 50 if not given.")] first: Option<i32>,
        #[graphql(desc = "Only rows after this cursor.")] after: Option<String>,
        #[graphql(desc = "At most so many rows from the end: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only rows before this cursor.")] before: Option<String>,
    ) -> Result<Connection<ScheduleFire>> {
        let page = PageArgs { first, after, last, before }.request()?;
        let rows = load(ctx, FiresPage { schedule: self.0.id, page }).await?;
        Ok(Connection::new(page, rows, Total::FiresOf(self.0.id)))
    }
}
