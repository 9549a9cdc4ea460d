//! The `WorkflowExecution` type.

use std::borrow::Cow;

use async_graphql::{Context, ID, Object, Result};
use cogwheel_engine::views::{ExecutionView, TimeCursor};
use serde_json::Value;

use super::bytes::whole;
use super::connection::Listed;
use super::instant::Instant;
use super::{
    Connection, ExecutionLog, ExecutionStatus, File, Priority, Step, Total, TriggerType, Workflow, WorkflowVersion,
};
use crate::cursor::{Cursor, PageArgs};
use crate::errors::internal;
use crate::ids::GlobalId;
use crate::limits::{list_cost, page_cost};
use crate::loaders::{ChildrenPage, FilesOfExecution, LogsPage, StepsPage, load};

/// How many input files an execution is reckoned to have.
const INPUT_FILES: usize = 1;

/// An execution.
pub(crate) struct Execution(ExecutionView);

impl From<ExecutionView> for Execution {
    fn from(view: ExecutionView) -> Self {
        Self(view)
    }
}

impl Listed for Execution {
    fn cursor(&self) -> String {
        TimeCursor { at: self.0.created_at, id: self.0.id.0 }.encode()
    }
}

/// One run of a workflow.
#[Object(name = "WorkflowExecution")]
impl Execution {
    /// Its global id.
    pub(crate) async fn id(&self) -> ID {
        GlobalId::WorkflowExecution(self.0.id).encode()
    }

    /// Where it stands.
    async fn status(&self) -> ExecutionStatus {
        self.0.status.into()
    }

    /// How early it is taken from the queue.
    async fn priority(&self) -> Priority {
        self.0.priority.into()
    }

    /// What set it off.
    async fn trigger_type(&self) -> TriggerType {
        self.0.trigger_type.into()
    }

    /// The key of the trigger in the workflow; null when a person or program asked.
    async fn trigger_key(&self) -> Option<&str> {
        self.0.trigger_key.as_deref()
    }

    /// What set it off, as expressions see it under `trigger`.
    async fn trigger(&self) -> &Value {
        &self.0.trigger
    }

    /// How many executions had set each other off before it; no chain grows longer than 16.
    async fn depth(&self) -> u64 {
        self.0.trigger["depth"].as_u64().unwrap_or(0)
    }

    /// Its inputs, defaults filled in.
    async fn inputs(&self) -> &Value {
        &self.0.inputs
    }

    /// What it put out.
    async fn result(&self, ctx: &Context<'_>) -> Result<Option<Cow<'_, Value>>> {
        whole(ctx, self.0.result.as_ref()).await
    }

    /// Why it did not complete.
    async fn error(&self) -> Option<&Value> {
        self.0.error.as_ref()
    }

    /// The workflow.
    async fn workflow(&self, ctx: &Context<'_>) -> Result<Workflow> {
        let workflow = load(ctx, self.0.workflow).await?;
        workflow.map(Workflow::from).ok_or_else(|| internal(&format_args!("execution {} has no workflow", self.0.id)))
    }

    /// The version that it runs.
    async fn workflow_version(&self, ctx: &Context<'_>) -> Result<WorkflowVersion> {
        let version = load(ctx, self.0.version).await?;
        version
            .map(WorkflowVersion::from)
            .ok_or_else(|| internal(&format_args!("execution {} has no version", self.0.id)))
    }

    /// Its steps in the order in which they came up.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn steps(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many rows from the front: 1 to 100, 50 if not given.")] first: Option<i32>,
        #[graphql(desc = "Only rows after this cursor.")] after: Option<String>,
        #[graphql(desc = "At most so many rows from the end: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only rows before this cursor.")] before: Option<String>,
    ) -> Result<Connection<Step>> {
        let page = PageArgs { first, after, last, before }.request()?;
        let rows = load(ctx, StepsPage { execution: self.0.id, page }).await?;
        Ok(Connection::new(page, rows, Total::Steps(self.0.id)))
    }

    /// Its log in order, or that of one of its steps.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn logs(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only lines of the step with this ordinal.")] step_ordinal: Option<i32>,
        #[graphql(desc = "At most so many rows from the front: 1 to 100, 50 if not given.")] first: Option<i32>,
        #[graphql(desc = "Only rows after this cursor.")] after: Option<String>,
        #[graphql(desc = "At most so many rows from the end: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only rows before this cursor.")] before: Option<String>,
    ) -> Result<Connection<ExecutionLog>> {
        let page = PageArgs { first, after, last, before }.request()?;
        let rows = load(ctx, LogsPage { execution: self.0.id, step: step_ordinal, page }).await?;
        Ok(Connection::new(page, rows, Total::Logs(self.0.id, step_ordinal)))
    }

    /// The execution one of whose steps started it; null when none did or that one was cleaned away.
    async fn parent(&self, ctx: &Context<'_>) -> Option<Result<Self>> {
        load(ctx, self.0.parent?.execution).await.transpose().map(|found| found.map(Self))
    }

    /// The ordinal of that step in `parent`.
    async fn parent_step_ordinal(&self) -> Option<i32> {
        self.0.parent.map(|parent| parent.step_ordinal)
    }

    /// The executions that its steps started, newest first.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn children(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many rows from the front: 1 to 100, 50 if not given.")] first: Option<i32>,
        #[graphql(desc = "Only rows after this cursor.")] after: Option<String>,
        #[graphql(desc = "At most so many rows from the end: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only rows before this cursor.")] before: Option<String>,
    ) -> Result<Connection<Self>> {
        let page = PageArgs { first, after, last, before }.request()?;
        let rows = load(ctx, ChildrenPage { execution: self.0.id, page }).await?;
        Ok(Connection::new(page, rows, Total::ChildrenOf(self.0.id)))
    }

    /// The execution that it does over again; null when there is none or it was cleaned away.
    async fn rerun_of(&self, ctx: &Context<'_>) -> Option<Result<Self>> {
        load(ctx, self.0.rerun_of?).await.transpose().map(|found| found.map(Self))
    }

    /// The ordinal, in `rerunOf`, of the step that it goes on from; null when it does anew whatever did not complete.
    async fn rerun_from_ordinal(&self) -> Option<i32> {
        self.0.rerun_from_ordinal
    }

    /// How often the work had been done over before, from 0.
    async fn retry_count(&self) -> i32 {
        self.0.retry_count
    }

    /// The files that it took in.
    #[graphql(complexity = "list_cost(INPUT_FILES, child_complexity)")]
    async fn files(&self, ctx: &Context<'_>) -> Result<Vec<File>> {
        let files = load(ctx, FilesOfExecution(self.0.id)).await?.unwrap_or_default();
        Ok(files.into_iter().map(File::from).collect())
    }

    /// Ties together what belongs together: the same for everything that one cause set off.
    async fn correlation_id(&self) -> String {
        self.0.correlation_id.to_string()
    }

    /// The caller's key: the same key of the same workflow is the same execution.
    async fn idempotency_key(&self) -> Option<&str> {
        self.0.idempotency_key.as_deref()
    }

    /// When it was accepted.
    async fn created_at(&self) -> Instant {
        self.0.created_at.into()
    }

    /// When it began to run.
    async fn started_at(&self) -> Option<Instant> {
        self.0.started_at.map(Into::into)
    }

    /// When it ended.
    async fn completed_at(&self) -> Option<Instant> {
        self.0.completed_at.map(Into::into)
    }

    /// When it must have ended.
    async fn deadline_at(&self) -> Option<Instant> {
        self.0.deadline_at.map(Into::into)
    }

    /// When it must be looked at next whatever else happens: the end of a wait, the next attempt, a time limit. Null when it
    /// has ended, or waits for somebody else without a limit.
    async fn next_wake_at(&self) -> Option<Instant> {
        self.0.next_wake_at.map(Into::into)
    }

    /// When somebody first asked for its end; null if nobody did.
    async fn cancel_requested_at(&self) -> Option<Instant> {
        self.0.cancel_requested_at.map(Into::into)
    }

    /// Why, in the words of whoever asked first; null if they gave no reason.
    async fn cancel_reason(&self) -> Option<&str> {
        self.0.cancel_reason.as_deref()
    }

    /// Milliseconds from begin to end.
    async fn execution_time_ms(&self) -> Option<i64> {
        self.0.execution_time_ms
    }
}
