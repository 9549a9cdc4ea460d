//! The `Schedule` type.

use async_graphql::{Context, ID, Object, Result};
use cogwheel_engine::views::{ScheduleView, TimeCursor};

use super::connection::Listed;
use super::enums::{CatchUp, OverlapPolicy};
use super::instant::Instant;
use super::{Connection, ScheduleFire, Total, Workflow};
use crate::cursor::{Cursor, PageArgs};
use crate::errors::internal;
use crate::ids::GlobalId;
use crate::limits::page_cost;
use crate::loaders::{FiresPage, load};

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

    /// What becomes of due instants that were missed while the server was down.
    async fn catch_up(&self) -> Result<CatchUp> {
        CatchUp::from_word(&self.0.catch_up)
    }

    /// What becomes of a due instant while the previous run is still going.
    async fn overlap(&self) -> Result<OverlapPolicy> {
        OverlapPolicy::from_word(&self.0.overlap)
    }

    /// Whether it fires.
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
