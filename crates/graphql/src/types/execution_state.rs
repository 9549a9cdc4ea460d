//! The `ExecutionState` type: an execution as it stood.

use async_graphql::{Context, Object, Result, SimpleObject};
use cogwheel_engine::ExecutionId;
use cogwheel_engine::history::{self, TimeoutStatus};
use cogwheel_engine::ports::UndoRow;
use serde_json::{Value, json};

use super::Execution;
use super::enums::{ExecutionStatus, StepStatus};
use super::instant::Instant;
use super::saga::{CompensationDecision, CompensationStatus, SagaCause, SagaStatus, SagaTimeout};
use crate::cursor::MAX_PAGE;
use crate::errors::{bad_input, internal};
use crate::limits::list_cost;
use crate::loaders::load;

/// How many steps, undos and time limits are answered at once if nothing else is said.
const STEPS: usize = 50;

/// An execution as it stood after one of its events.
pub(crate) struct ExecutionState {
    execution: ExecutionId,
    state: history::ExecutionState,
}

impl ExecutionState {
    pub(crate) fn new(execution: ExecutionId, state: history::ExecutionState) -> Self {
        Self { execution, state }
    }
}

/// An execution as it stood after one of its events.
#[Object]
impl ExecutionState {
    /// The execution as it stands now.
    async fn execution(&self, ctx: &Context<'_>) -> Result<Execution> {
        let execution = load(ctx, self.execution).await?;
        execution
            .map(Execution::from)
            .ok_or_else(|| internal(&format_args!("execution {} has events and no row", self.execution)))
    }

    /// The version of that event in the execution's stream.
    async fn version(&self) -> i64 {
        self.state.version
    }

    /// When that event was recorded.
    async fn recorded_at(&self) -> Option<Instant> {
        self.state.at.map(Into::into)
    }

    /// Where it stood.
    async fn status(&self) -> Option<ExecutionStatus> {
        self.state.status.map(Into::into)
    }

    /// Its saga as it stood; null where it is none.
    async fn saga(&self) -> Option<SagaState> {
        let saga = self.state.saga.as_ref()?;
        Some(SagaState {
            status: saga.status.into(),
            cause: saga.cause.as_ref().map(|cause| cause.kind.into()),
            cause_detail: saga.cause.as_ref().map(|cause| json!(cause.error)),
            unwind_number: i32::try_from(saga.unwind_number).unwrap_or(i32::MAX),
            started_at: saga.started_at.map(Into::into),
            completed_at: saga.completed_at.map(Into::into),
            compensations: self.state.undos.values().map(CompensationState::from).collect(),
            timeouts: self.state.timeouts.values().map(timeout).collect(),
        })
    }

    /// How many steps it had.
    async fn step_count(&self) -> i32 {
        i32::try_from(self.state.steps.len()).unwrap_or(i32::MAX)
    }

    /// Its steps as they stood, by ordinal.
    #[graphql(
        complexity = "list_cost(first.and_then(|first| usize::try_from(first).ok()).unwrap_or(STEPS), child_complexity)"
    )]
    async fn steps(
        &self,
        #[graphql(desc = "At most so many: 1 to 100, 50 if not given.")] first: Option<i32>,
        #[graphql(desc = "Only those after the step with this ordinal.")] after_ordinal: Option<i32>,
    ) -> Result<Vec<StepState>> {
        let most = match first {
            None => STEPS,
            Some(first) => usize::try_from(first)
                .ok()
                .filter(|first| (1..=MAX_PAGE as usize).contains(first))
                .ok_or_else(|| bad_input(format!("`first` is from 1 to {MAX_PAGE}, not {first}")))?,
        };
        let after = after_ordinal.map_or(i32::MIN, |after| after.saturating_add(1));
        Ok(self.state.steps.range(after..).take(most).map(StepState::from).collect())
    }
}

/// A saga as it stood after an event.
#[derive(SimpleObject)]
pub(crate) struct SagaState {
    /// Where it stood.
    status: SagaStatus,
    /// Why it was undone.
    cause: Option<SagaCause>,
    /// What went wrong, or who asked.
    cause_detail: Option<Value>,
    /// How many unwindings had begun.
    unwind_number: i32,
    /// When it began.
    started_at: Option<Instant>,
    /// When it ended.
    completed_at: Option<Instant>,
    /// What was undone, by the ordinal of the steps.
    compensations: Vec<CompensationState>,
    /// Its time limits and those of its steps.
    timeouts: Vec<SagaTimeout>,
}

/// The undo of a step as it stood after an event.
#[derive(SimpleObject)]
pub(crate) struct CompensationState {
    /// The key of the step that was undone.
    step_key: String,
    /// 0 comes first; equal ones may run side by side.
    unwind_order: i32,
    /// Where it stood.
    status: CompensationStatus,
    /// How many attempts there had been after the first.
    retry_count: i32,
    /// When the first attempt began.
    started_at: Option<Instant>,
    /// When it was settled.
    completed_at: Option<Instant>,
    /// Why the last attempt failed.
    error: Option<Value>,
    /// What was decided about it last.
    resolution: Option<CompensationDecision>,
}

impl From<&UndoRow> for CompensationState {
    fn from(undo: &UndoRow) -> Self {
        Self {
            step_key: undo.step_key.clone(),
            unwind_order: i32::try_from(undo.unwind_order).unwrap_or(i32::MAX),
            status: undo.status.into(),
            retry_count: undo.retry_count,
            started_at: undo.started_at.map(Into::into),
            completed_at: undo.completed_at.map(Into::into),
            error: undo.error.clone(),
            resolution: undo.resolution.as_ref().map(|resolution| resolution.decision.into()),
        }
    }
}

/// A step as it stood after an event.
#[derive(SimpleObject)]
pub(crate) struct StepState {
    /// Its place in the execution.
    ordinal: i32,
    /// The ordinal of the step around it.
    parent_ordinal: Option<i32>,
    /// Its id in the workflow, behind those of the steps around it.
    step_key: String,
    /// Its type or construct.
    step_type: String,
    /// Where it stood.
    status: StepStatus,
    /// The number of the attempt, from 1.
    attempt: i32,
    /// When its first attempt began.
    started_at: Option<Instant>,
    /// When it ended.
    completed_at: Option<Instant>,
    /// Why it did not complete, or what its last attempt failed with: `kind`, `title` and `step`.
    error: Option<Value>,
}

impl From<(&i32, &history::StepAt)> for StepState {
    fn from((&ordinal, step): (&i32, &history::StepAt)) -> Self {
        Self {
            ordinal,
            parent_ordinal: step.parent,
            step_key: step.key.clone(),
            step_type: step.step_type.clone(),
            status: step.status.into(),
            attempt: step.attempt,
            started_at: step.started_at.map(Into::into),
            completed_at: step.completed_at.map(Into::into),
            error: step.error.clone(),
        }
    }
}

fn timeout(timeout: &history::TimeoutAt) -> SagaTimeout {
    SagaTimeout {
        step_key: timeout.step_key.clone(),
        kind: timeout.kind.into(),
        timeout_at: timeout.timeout_at.into(),
        fired_at: timeout.fired_at.map(Into::into),
        is_pending: timeout.status == TimeoutStatus::Pending,
    }
}
