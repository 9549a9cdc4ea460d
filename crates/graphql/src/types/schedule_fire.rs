//! The `ScheduleFire` type.

use async_graphql::{Context, ID, Object, Result};
use cogwheel_engine::views::{FireView, TimeCursor};

use super::connection::Listed;
use super::enums::{ScheduleFireOutcome, ScheduleSkipReason};
use super::instant::Instant;
use super::{Execution, Schedule};
use crate::cursor::Cursor;
use crate::errors::internal;
use crate::ids::GlobalId;
use crate::loaders::load;

/// One due instant in the ledger.
pub(crate) struct ScheduleFire(FireView);

impl From<FireView> for ScheduleFire {
    fn from(view: FireView) -> Self {
        Self(view)
    }
}

impl Listed for ScheduleFire {
    fn cursor(&self) -> String {
        TimeCursor { at: self.0.due_at, id: self.0.id }.encode()
    }
}

/// One due instant of a schedule, with what came of it.
#[Object]
impl ScheduleFire {
    /// Its global id.
    pub(crate) async fn id(&self) -> ID {
        GlobalId::ScheduleFire(self.0.id).encode()
    }

    /// When it was due.
    async fn due_at(&self) -> Instant {
        self.0.due_at.into()
    }

    /// What came of it.
    async fn outcome(&self) -> ScheduleFireOutcome {
        if self.0.fired { ScheduleFireOutcome::Fired } else { ScheduleFireOutcome::Skipped }
    }

    /// Why it started nothing.
    async fn skip_reason(&self) -> Option<Result<ScheduleSkipReason>> {
        self.0.skip_reason.as_deref().map(ScheduleSkipReason::from_word)
    }

    /// Whether it was made up for after the server was down.
    async fn is_catch_up(&self) -> bool {
        self.0.is_catch_up
    }

    /// When it started something.
    async fn fired_at(&self) -> Option<Instant> {
        self.0.fired_at.map(Into::into)
    }

    /// Milliseconds from the due instant to the start.
    async fn lateness_ms(&self) -> Option<i64> {
        self.0.lateness_ms
    }

    /// What it started; null when it started nothing or the execution was cleaned away.
    async fn execution(&self, ctx: &Context<'_>) -> Option<Result<Execution>> {
        load(ctx, self.0.execution?).await.transpose().map(|found| found.map(Execution::from))
    }

    /// The schedule.
    async fn schedule(&self, ctx: &Context<'_>) -> Result<Schedule> {
        let schedule = load(ctx, self.0.schedule).await?;
        schedule.map(Schedule::from).ok_or_else(|| internal(&format_args!("due instant {} has no schedule", self.0.id)))
    }
}
