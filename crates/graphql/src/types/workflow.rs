//! The `Workflow` type.

use async_graphql::{Context, ID, Object, Result};
use cogwheel_engine::views::{TimeCursor, WorkflowView};
use serde_json::Value;

use super::connection::Listed;
use super::instant::Instant;
use super::{Connection, Execution, FileWatch, Schedule, Total, WorkflowStatus, WorkflowVersion};
use crate::cursor::{Cursor, PageArgs};
use crate::ids::GlobalId;
use crate::limits::{list_cost, page_cost};
use crate::loaders::{ExecutionsPage, SchedulesOf, WatchesOf, load};

/// How many triggers of one kind a workflow is reckoned to have.
const TRIGGERS: usize = 5;

/// A workflow.
#[derive(Clone)]
pub(crate) struct Workflow(WorkflowView);

impl From<WorkflowView> for Workflow {
    fn from(view: WorkflowView) -> Self {
        Self(view)
    }
}

impl Listed for Workflow {
    fn cursor(&self) -> String {
        TimeCursor { at: self.0.created_at, id: self.0.id.0 }.encode()
    }
}

/// A workflow: what is to be done, and what sets it off.
#[Object]
impl Workflow {
    /// Its global id.
    pub(crate) async fn id(&self) -> ID {
        GlobalId::Workflow(self.0.id).encode()
    }

    /// Its name, unique among the workflows that are not deleted.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// What it is for.
    async fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// Its labels.
    async fn labels(&self) -> &Value {
        &self.0.labels
    }

    /// Where it stands in its life.
    async fn status(&self) -> WorkflowStatus {
        self.0.status.into()
    }

    /// Whether it may be started; `setWorkflowEnabled` pauses and resumes it.
    async fn is_enabled(&self) -> bool {
        self.0.is_enabled
    }

    /// The file that it comes from, relative to its workflow folder.
    async fn origin_path(&self) -> Option<&str> {
        self.0.origin_path.as_deref()
    }

    /// The version that new executions run.
    async fn active_version(&self, ctx: &Context<'_>) -> Option<Result<WorkflowVersion>> {
        load(ctx, self.0.active_version?).await.transpose().map(|found| found.map(WorkflowVersion::from))
    }

    /// Its schedules by trigger key.
    #[graphql(complexity = "list_cost(TRIGGERS, child_complexity)")]
    async fn schedules(&self, ctx: &Context<'_>) -> Result<Vec<Schedule>> {
        let schedules = load(ctx, SchedulesOf(self.0.id)).await?.unwrap_or_default();
        Ok(schedules.into_iter().map(Schedule::from).collect())
    }

    /// Its file watches by trigger key.
    #[graphql(complexity = "list_cost(TRIGGERS, child_complexity)")]
    async fn file_watches(&self, ctx: &Context<'_>) -> Result<Vec<FileWatch>> {
        let watches = load(ctx, WatchesOf(self.0.id)).await?.unwrap_or_default();
        Ok(watches.into_iter().map(FileWatch::from).collect())
    }

    /// Its executions, newest first.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn executions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many rows from the front: 1 to 100, 50 if not given.")] first: Option<i32>,
        #[graphql(desc = "Only rows after this cursor.")] after: Option<String>,
        #[graphql(desc = "At most so many rows from the end: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only rows before this cursor.")] before: Option<String>,
    ) -> Result<Connection<Execution>> {
        let page = PageArgs { first, after, last, before }.request()?;
        let rows = load(ctx, ExecutionsPage { workflow: self.0.id, page }).await?;
        Ok(Connection::new(page, rows, Total::ExecutionsOf(self.0.id)))
    }

    /// How many executions ended, those that were cleaned away included.
    async fn total_executions(&self) -> i64 {
        self.0.total_executions
    }

    /// How many of them completed.
    async fn successful_executions(&self) -> i64 {
        self.0.successful_executions
    }

    /// How many of them failed, timed out or were compensated.
    async fn failed_executions(&self) -> i64 {
        self.0.failed_executions
    }

    /// When an execution last ended.
    async fn last_execution_at(&self) -> Option<Instant> {
        self.0.last_execution_at.map(Into::into)
    }

    /// When it was made.
    async fn created_at(&self) -> Instant {
        self.0.created_at.into()
    }

    /// When it last changed.
    async fn updated_at(&self) -> Instant {
        self.0.updated_at.into()
    }
}
