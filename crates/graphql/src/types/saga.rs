//! The types of sagas.

use async_graphql::{Context, Enum, Object, Result, SimpleObject};
use cogwheel_engine::ports;
use cogwheel_engine::views::{CompensationView, SagaTimeoutView, SagaView, TimeCursor};
use serde_json::Value;

use super::connection::Listed;
use super::instant::Instant;
use super::{Execution, Step};
use crate::cursor::Cursor;
use crate::errors::internal;
use crate::limits::list_cost;
use crate::loaders::{CompensationsOf, SagaOf, StepKey, TimeoutsOf, load};

/// How many undos and time limits a saga is reckoned to have.
const PARTS: usize = 10;

/// Where a saga stands.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "cogwheel_engine::SagaStatus")]
pub(crate) enum SagaStatus {
    /// Nothing of it has begun.
    Pending,
    /// Its steps run.
    Running,
    /// Its steps did what they were for.
    Completed,
    /// They are being undone.
    Compensating,
    /// Nothing of them is left; also where there was nothing to undo.
    Compensated,
    /// Something of them is left: the execution's error names it.
    Failed,
}

/// Why everything is undone.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "cogwheel_engine::CauseKind")]
pub(crate) enum SagaCause {
    /// A step failed for good.
    StepFailed,
    /// The time limit of the execution, or the deadline of the saga, passed.
    TimedOut,
    /// Somebody cancelled the execution.
    Cancelled,
    /// An operator asked for it to be undone.
    Operator,
    /// The execution that started this one is undone.
    Parent,
}

/// Where the undo of a step stands.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "cogwheel_engine::UndoStatus")]
pub(crate) enum CompensationStatus {
    /// Its turn has not come, or its next attempt has not.
    Pending,
    /// An attempt is under way.
    Running,
    /// It is undone, or somebody says that it was by hand.
    Completed,
    /// It could not be undone.
    Failed,
    /// An operator gave it up.
    Skipped,
}

/// What an operator decided about an undo.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "cogwheel_engine::UndoDecision")]
pub(crate) enum CompensationDecision {
    /// It is tried again, with all of its attempts.
    Retry,
    /// It is given up: the saga ends failed, and names it.
    Skip,
    /// It was undone by hand: it counts as done.
    Force,
}

/// What a time limit is one of.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "ports::TimeoutKind")]
pub(crate) enum SagaTimeoutKind {
    /// The saga as a whole.
    Saga,
    /// A step.
    Step,
    /// The undoing of a step.
    Compensation,
}

/// An execution whose steps can be undone.
pub(crate) struct Saga(SagaView);

impl From<SagaView> for Saga {
    fn from(view: SagaView) -> Self {
        Self(view)
    }
}

impl Listed for Saga {
    fn cursor(&self) -> String {
        TimeCursor { at: self.0.created_at, id: self.0.execution.0 }.encode()
    }
}

/// An execution whose steps can be undone: what is undone, and how far that is.
#[Object]
impl Saga {
    /// The execution.
    async fn execution(&self, ctx: &Context<'_>) -> Result<Execution> {
        let execution = load(ctx, self.0.execution).await?;
        execution
            .map(Execution::from)
            .ok_or_else(|| internal(&format_args!("saga {} has no execution", self.0.execution)))
    }

    /// The workflow's name when it began.
    async fn workflow(&self) -> &str {
        &self.0.workflow
    }

    /// Where it stands.
    async fn status(&self) -> SagaStatus {
        self.0.status.into()
    }

    /// The keys of the steps whose undo has failed and waits for a decision. What does not depend on them goes on; once
    /// nothing else does, the saga is paused until somebody decides.
    async fn paused_at(&self, ctx: &Context<'_>) -> Result<Vec<String>> {
        if !self.0.pauses || self.0.status != cogwheel_engine::SagaStatus::Compensating {
            return Ok(Vec::new());
        }
        let all = load(ctx, CompensationsOf(self.0.execution)).await?.unwrap_or_default();
        let failed = all.into_iter().filter(|undo| undo.status == cogwheel_engine::UndoStatus::Failed);
        Ok(failed.map(|undo| undo.step_key).collect())
    }

    /// Whether failed undos wait for a decision; otherwise they are left as they are, and named in the end.
    async fn pauses_on_failure(&self) -> bool {
        self.0.pauses
    }

    /// Why it is undone; once recorded it never changes.
    async fn cause(&self) -> Option<SagaCause> {
        self.0.cause.map(Into::into)
    }

    /// What went wrong, or who asked.
    async fn cause_detail(&self) -> Option<&Value> {
        self.0.cause_detail.as_ref()
    }

    /// How many unwindings have begun.
    async fn unwind_number(&self) -> i32 {
        self.0.unwind_number
    }

    /// The workflow's own steps, each with its class: `compensatable`, `pivot`, `retriable` or `plain`.
    async fn steps(&self) -> &Value {
        &self.0.steps
    }

    /// What is undone, in the order in which it is.
    #[graphql(complexity = "list_cost(PARTS, child_complexity)")]
    async fn compensations(&self, ctx: &Context<'_>) -> Result<Vec<Compensation>> {
        let all = load(ctx, CompensationsOf(self.0.execution)).await?.unwrap_or_default();
        Ok(all.into_iter().map(Compensation).collect())
    }

    /// Its time limits and those of its steps, the earliest first.
    #[graphql(complexity = "list_cost(PARTS, child_complexity)")]
    async fn timeouts(&self, ctx: &Context<'_>) -> Result<Vec<SagaTimeout>> {
        let all = load(ctx, TimeoutsOf(self.0.execution)).await?.unwrap_or_default();
        Ok(all.into_iter().map(SagaTimeout::from).collect())
    }

    /// The saga of the execution that started this one, where that is one.
    async fn parent(&self, ctx: &Context<'_>) -> Option<Result<Saga>> {
        load(ctx, SagaOf(self.0.parent?)).await.transpose().map(|found| found.map(Saga::from))
    }

    /// Ties together what belongs together.
    async fn correlation_id(&self) -> String {
        self.0.correlation_id.to_string()
    }

    /// When its steps must have ended, where it says so.
    async fn deadline_at(&self) -> Option<Instant> {
        self.0.timeout_at.map(Into::into)
    }

    /// When it began.
    async fn started_at(&self) -> Option<Instant> {
        self.0.started_at.map(Into::into)
    }

    /// When it ended; null again while a completed one is undone after all.
    async fn completed_at(&self) -> Option<Instant> {
        self.0.completed_at.map(Into::into)
    }
}

/// The undo of one step.
pub(crate) struct Compensation(CompensationView);

/// The undo of one step: how far it is, and what was decided about it.
#[Object]
impl Compensation {
    /// The key of the step that is undone; it names it when something is decided about it.
    async fn step_key(&self) -> &str {
        &self.0.step_key
    }

    /// The step that is undone.
    async fn step(&self, ctx: &Context<'_>) -> Option<Result<Step>> {
        let key = StepKey(self.0.execution, self.0.step_ordinal);
        load(ctx, key).await.transpose().map(|found| found.map(Step::from))
    }

    /// 0 comes first; equal ones may run side by side.
    async fn unwind_order(&self) -> i32 {
        self.0.unwind_order
    }

    /// What is done to undo it: `uses`, the key of the `step` that does it, and its `input` once it has begun.
    async fn command(&self) -> &Value {
        &self.0.command
    }

    /// Where it stands.
    async fn status(&self) -> CompensationStatus {
        self.0.status.into()
    }

    /// How many attempts there were after the first.
    async fn retry_count(&self) -> i32 {
        self.0.retry_count
    }

    /// How many there may be without an operator.
    async fn max_retries(&self) -> i32 {
        self.0.max_retries
    }

    /// When the next attempt begins.
    async fn next_attempt_at(&self) -> Option<Instant> {
        self.0.next_attempt_at.map(Into::into)
    }

    /// When the first attempt began.
    async fn started_at(&self) -> Option<Instant> {
        self.0.started_at.map(Into::into)
    }

    /// When it was settled.
    async fn completed_at(&self) -> Option<Instant> {
        self.0.completed_at.map(Into::into)
    }

    /// Why the last attempt failed.
    async fn error(&self) -> Option<&Value> {
        self.0.error.as_ref()
    }

    /// What was decided about it last.
    async fn resolution(&self) -> Option<CompensationDecision> {
        self.0.resolution.map(Into::into)
    }

    /// Why that was decided.
    async fn resolution_reason(&self) -> Option<&str> {
        self.0.resolution_reason.as_deref()
    }

    /// When that was decided.
    async fn resolved_at(&self) -> Option<Instant> {
        self.0.resolved_at.map(Into::into)
    }
}

/// A time limit of a saga, of one of its steps, or of an undo.
#[derive(SimpleObject)]
pub(crate) struct SagaTimeout {
    /// The key of the step; null for the saga as a whole.
    pub(super) step_key: Option<String>,
    /// What it limits.
    pub(super) kind: SagaTimeoutKind,
    /// When it passes, or would have.
    pub(super) timeout_at: Instant,
    /// When it was found to have passed.
    pub(super) fired_at: Option<Instant>,
    /// Whether it has not passed, and what it limits has not ended.
    pub(super) is_pending: bool,
}

impl From<SagaTimeoutView> for SagaTimeout {
    fn from(view: SagaTimeoutView) -> Self {
        let SagaTimeoutView { step_key, kind, timeout_at, fired_at, is_pending, execution: _ } = view;
        Self {
            step_key,
            kind: kind.into(),
            timeout_at: timeout_at.into(),
            fired_at: fired_at.map(Into::into),
            is_pending,
        }
    }
}
