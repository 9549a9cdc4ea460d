//! The `StepExecution` type.

use std::borrow::Cow;

use async_graphql::{Context, ID, Object, Result};
use cogwheel_engine::views::StepView;
use serde_json::Value;

use super::bytes::whole;
use super::connection::Listed;
use super::enums::StepStatus;
use super::instant::Instant;
use super::{Artifact, Connection, Execution, ExecutionLog, Total};
use crate::cursor::{Cursor, PageArgs};
use crate::errors::internal;
use crate::ids::GlobalId;
use crate::limits::{list_cost, page_cost};
use crate::loaders::{ArtifactsOf, LogsPage, load};

/// How many files a step is reckoned to leave.
const ARTIFACTS: usize = 10;

/// A step of an execution.
pub(crate) struct Step(StepView);

impl From<StepView> for Step {
    fn from(view: StepView) -> Self {
        Self(view)
    }
}

impl Listed for Step {
    fn cursor(&self) -> String {
        self.0.ordinal.encode()
    }
}

/// A step of an execution, with its attempts.
#[Object(name = "StepExecution")]
impl Step {
    /// Its global id.
    pub(crate) async fn id(&self) -> ID {
        GlobalId::StepExecution(self.0.execution, self.0.ordinal).encode()
    }

    /// Its place in the execution, by the order in which steps came up.
    async fn ordinal(&self) -> i32 {
        self.0.ordinal
    }

    /// The ordinal of the step around it: of the group, the choice, the `foreach` or the loop that it is a part of.
    async fn parent_ordinal(&self) -> Option<i32> {
        self.0.parent_ordinal
    }

    /// Its id in the workflow, behind those of the steps around it and with the numbers of its rounds and values:
    /// `load[3].send`. Unique in the execution; what a retry goes on from.
    async fn step_key(&self) -> &str {
        &self.0.step_key
    }

    /// Its name for people.
    async fn step_name(&self) -> &str {
        &self.0.step_name
    }

    /// Its type, such as `shell`, or its construct: `group`, `switch`, `foreach`, `loop`.
    async fn step_type(&self) -> &str {
        &self.0.step_type
    }

    /// Where it stands.
    async fn status(&self) -> StepStatus {
        self.0.status.into()
    }

    /// The number of the current or last attempt, from 1.
    async fn attempt(&self) -> i32 {
        self.0.attempt
    }

    /// Earlier attempts: when they began and ended, and why they did not do.
    async fn attempt_history(&self) -> &Value {
        &self.0.attempt_history
    }

    /// What it was given.
    async fn input(&self) -> Option<&Value> {
        self.0.input.as_ref()
    }

    /// What it put out.
    async fn output(&self, ctx: &Context<'_>) -> Result<Option<Cow<'_, Value>>> {
        whole(ctx, self.0.output.as_ref()).await
    }

    /// The files that it left in its folder for artifacts, by name: at most 1000.
    #[graphql(complexity = "list_cost(ARTIFACTS, child_complexity)")]
    async fn artifacts(&self, ctx: &Context<'_>) -> Result<Vec<Artifact>> {
        let artifacts = load(ctx, ArtifactsOf(self.0.execution, self.0.ordinal)).await?.unwrap_or_default();
        Ok(artifacts.into_iter().map(Artifact::from).collect())
    }

    /// Why it did not complete.
    async fn error(&self) -> Option<&Value> {
        self.0.error.as_ref()
    }

    /// The name of the signal that it waits for, or waited for.
    async fn wait_signal_name(&self) -> Option<&str> {
        self.0.wait_signal_name.as_deref()
    }

    /// What tells signals of that name apart; without it, only those sent to this very execution count.
    async fn wait_correlation_key(&self) -> Option<&str> {
        self.0.wait_correlation_key.as_deref()
    }

    /// When it goes on by itself: the end of a wait, the next attempt, the next round.
    async fn wake_at(&self) -> Option<Instant> {
        self.0.wake_at.map(Into::into)
    }

    /// When the current attempt must have ended.
    async fn timeout_at(&self) -> Option<Instant> {
        self.0.timeout_at.map(Into::into)
    }

    /// When its first attempt began.
    async fn started_at(&self) -> Option<Instant> {
        self.0.started_at.map(Into::into)
    }

    /// When it ended.
    async fn completed_at(&self) -> Option<Instant> {
        self.0.completed_at.map(Into::into)
    }

    /// Milliseconds from begin to end.
    async fn execution_time_ms(&self) -> Option<i64> {
        self.0.execution_time_ms
    }

    /// Its log in order.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn logs(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many rows from the front: 1 to 100, 50 if not given.")] first: Option<i32>,
        #[graphql(desc = "Only rows after this cursor.")] after: Option<String>,
        #[graphql(desc = "At most so many rows from the end: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only rows before this cursor.")] before: Option<String>,
    ) -> Result<Connection<ExecutionLog>> {
        let page = PageArgs { first, after, last, before }.request()?;
        let (execution, step) = (self.0.execution, Some(self.0.ordinal));
        let rows = load(ctx, LogsPage { execution, step, page }).await?;
        Ok(Connection::new(page, rows, Total::Logs(execution, step)))
    }

    /// The execution.
    async fn execution(&self, ctx: &Context<'_>) -> Result<Execution> {
        let (execution, ordinal) = (self.0.execution, self.0.ordinal);
        let row = load(ctx, execution).await?;
        row.map(Execution::from)
            .ok_or_else(|| internal(&format_args!("step {ordinal} of {execution} has no execution")))
    }
}
