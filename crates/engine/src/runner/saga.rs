//! What is recorded of an execution as a saga, and what it has to do with the sagas of the executions that it started.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use cogwheel_definition::{MAIN_BLOCK, Step};
use cogwheel_machine::{
    Change, Execution, ExecutionId, ExecutionStatus, Input, PastOutcome, SagaView, StepState, StepStatus, UndoStatus,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::drive::Drive;
use crate::ports::{EndedChild, SagaInbox, SagaRow, SagaRows, TimeoutKind, TimeoutRow, TimeoutState, UndoRow};
use crate::saga::Asker;

/// The ordinal that stands for the saga itself where ids are made.
const WHOLE: i32 = -1;

/// The code of the failure of a saga whose deadline passed.
const SAGA_DEADLINE: &str = "timeout.saga";

/// Undos that changed since the last write.
#[derive(Default)]
pub(super) struct UnwrittenUndos {
    /// Whether all of them count as changed.
    all: bool,
    /// By the ordinal of the step that is undone.
    some: BTreeSet<i32>,
}

impl UnwrittenUndos {
    /// All are written: the database may know them otherwise, or not at all.
    pub(super) fn add_all(&mut self) {
        self.all = true;
    }

    /// Notes what follows from a change.
    pub(super) fn note(&mut self, execution: &Execution, change: &Change) {
        match change {
            Change::UnwindStarted { .. } => self.all = true,
            Change::UndoResolved { forward, .. } => drop(self.some.insert(*forward)),
            // Most sagas complete: then there is nothing to look for.
            other if execution.recorded_saga().is_some_and(|saga| saga.unwind_number > 0) => {
                self.some.extend(other.step().and_then(|step| execution.undone_by(step)));
            }
            _ => {}
        }
    }
}

/// What stands in the rows of a saga that its execution does not know itself.
pub(super) struct Origin {
    pub(super) correlation_id: Uuid,
    pub(super) parent: Option<ExecutionId>,
}

/// What became of an execution as a saga; nothing where it is none.
pub(super) fn rows(
    execution: &Execution,
    origin: &Origin,
    has_head: bool,
    steps: &BTreeSet<i32>,
    undos: &UnwrittenUndos,
    at: DateTime<Utc>,
) -> Option<Box<SagaRows>> {
    let recorded = execution.recorded_saga()?;
    let mut rows = SagaRows { heeds_unwind: execution.heeds_unwind(), ..SagaRows::default() };
    if has_head && let Some(view) = execution.saga() {
        rows.timeouts.extend(deadline(execution, &view, at));
        rows.saga = Some(saga_row(execution, &view, origin));
    }
    rows.timeouts.extend(steps.iter().filter_map(|&step| timeout(execution, execution.step(step)?)));
    if recorded.unwind_number > 0 {
        let all = execution.saga().filter(|_| undos.all).map(|view| view.undos.iter().map(|undo| undo.step).collect());
        let changed = all.as_ref().unwrap_or(&undos.some);
        rows.undos.extend(changed.iter().filter_map(|&step| undo_row(execution, recorded.unwind_number, step)));
    }
    (rows.saga.is_some() || !rows.undos.is_empty() || !rows.timeouts.is_empty()).then(|| Box::new(rows))
}

/// The end of a saga of which nobody can tell what becomes.
pub(crate) fn given_up() -> Box<SagaRows> {
    Box::new(SagaRows { gives_up: true, ..SagaRows::default() })
}

fn saga_row(execution: &Execution, view: &SagaView<'_>, origin: &Origin) -> SagaRow {
    let workflow = execution.workflow();
    let main = &workflow.blocks[MAIN_BLOCK].steps;
    let classes: Value = main
        .iter()
        .map(|&step| json!({ "id": workflow.steps[step].id, "class": class(&workflow.steps[step]) }))
        .collect();
    let has_ended = |state: &&StepState| {
        state.parent.is_none() && state.status.is_terminal() && execution.definition(state).block == MAIN_BLOCK
    };
    SagaRow {
        saga_type: workflow.name.clone(),
        status: view.status,
        cause: view.cause.as_deref().cloned(),
        on_undo_failure: view.on_undo_failure,
        current_step: count(execution.steps().iter().filter(has_ended).count()),
        total_steps: count(main.len()),
        steps: classes,
        unwind_number: view.unwind_number,
        correlation_id: origin.correlation_id,
        parent: origin.parent,
        deadline_at: view.deadline_at,
        started_at: execution.started_at(),
        completed_at: execution.completed_at(),
    }
}

/// Which part a step has in its saga.
fn class(step: &Step) -> &'static str {
    if step.pivot {
        "pivot"
    } else if step.compensate.is_some() {
        "compensatable"
    } else if step.retry.as_ref().is_some_and(|retry| retry.attempts == u32::MAX) {
        "retriable"
    } else {
        "plain"
    }
}

fn undo_row(execution: &Execution, unwind_number: u32, step: i32) -> Option<UndoRow> {
    let view = execution.undo_of(step)?;
    let workflow = execution.workflow();
    let block = execution.definition(execution.step(step)?).compensate?;
    let definition = &workflow.steps[*workflow.blocks[block].steps.first()?];
    let undo = view.undo.and_then(|undo| execution.step(undo));
    let attempts = definition.retry.as_ref().map_or(1, |retry| retry.attempts);
    let is_settled = matches!(view.status, UndoStatus::Completed | UndoStatus::Skipped | UndoStatus::Failed);
    let decided_at = view.resolution.map(|resolution| resolution.at);
    Some(UndoRow {
        unwind_number,
        step_key: view.step_key.to_owned(),
        step_ordinal: step,
        unwind_order: view.unwind_order,
        command: json!({
            "uses": definition.action.step_type(),
            "step": undo.map(|undo| &undo.key),
            "input": undo.and_then(|undo| undo.input.as_ref()),
        }),
        status: view.status,
        retry_count: (view.tries - 1).max(0),
        max_retries: i32::try_from(attempts - 1).unwrap_or(i32::MAX),
        next_attempt_at: undo.and_then(|undo| undo.wake_at).filter(|_| view.status == UndoStatus::Pending),
        started_at: undo.and_then(|undo| undo.started_at),
        completed_at: undo.and_then(|undo| undo.completed_at).or(decided_at).filter(|_| is_settled),
        error: undo.and_then(last_error),
        resolution: view.resolution.cloned(),
    })
}

/// Why the last attempt failed, of those whose failure is known.
fn last_error(state: &StepState) -> Option<Value> {
    let past = || state.history.iter().rev().find_map(|past| past.error.as_ref());
    let error = state.error.as_ref().or_else(|| past().filter(|_| state.status != StepStatus::Completed));
    error.and_then(|error| serde_json::to_value(error).ok())
}

/// The deadline of the saga as a whole, where it says one.
fn deadline(execution: &Execution, view: &SagaView<'_>, at: DateTime<Utc>) -> Option<TimeoutRow> {
    let (deadline_at, began_at) = view.deadline_at.zip(execution.started_at())?;
    let has_passed = view.cause.as_ref().is_some_and(|cause| cause.error.code() == SAGA_DEADLINE);
    let state = if has_passed {
        TimeoutState::Fired(at)
    } else if execution.runs_main_steps() {
        TimeoutState::Pending(deadline_at)
    } else {
        TimeoutState::Cancelled
    };
    let id = execution.id().of_attempt(WHOLE, 0, began_at);
    Some(TimeoutRow { id, step_key: None, kind: TimeoutKind::Saga, state })
}

/// The time limit of a step instance, where it has one.
fn timeout(execution: &Execution, step: &StepState) -> Option<TimeoutRow> {
    execution.definition(step).timeout?;
    let began_at = step.started_at?;
    let passed_at = match step.status {
        StepStatus::TimedOut => step.completed_at,
        StepStatus::Retrying => {
            let last = step.history.last().filter(|past| past.outcome == PastOutcome::TimedOut);
            last.map(|past| past.ended_at)
        }
        _ => None,
    };
    let state = match (passed_at, step.timeout_at.filter(|_| !step.status.is_terminal())) {
        (Some(passed_at), _) => TimeoutState::Fired(passed_at),
        (None, Some(timeout_at)) => TimeoutState::Pending(timeout_at),
        (None, None) => TimeoutState::Cancelled,
    };
    let kind = if execution.undone_by(step.ordinal).is_some() { TimeoutKind::Compensation } else { TimeoutKind::Step };
    let id = execution.id().of_attempt(step.ordinal, 0, began_at);
    Some(TimeoutRow { id, step_key: Some(step.key.clone()), kind, state })
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

impl Drive<'_> {
    pub(super) fn is_saga(&self) -> bool {
        self.execution.recorded_saga().is_some()
    }

    /// What was asked of the saga becomes pending, as far as it was not taken in before.
    pub(super) fn hear_saga(&mut self, asked: SagaInbox) {
        let Some(recorded) = self.execution.recorded_saga() else { return };
        if let Some(asked) = asked.unwind.filter(|_| recorded.cause.is_none()) {
            self.pending.push_back(Input::Unwind { by: asked.by, reason: asked.reason });
        }
        for (step, decided) in asked.decisions {
            let is_known = recorded
                .resolutions
                .get(&step)
                .is_some_and(|known| (known.decision, known.retries) == (decided.decision, decided.retries));
            if !is_known {
                let (decision, reason, by) = (decided.decision, decided.reason, decided.by);
                self.pending.push_back(Input::Undo { step, decision, reason, by });
            }
        }
    }

    /// Which of these ended executions have not answered what an undo asked of them. Their end alone does not tell it: they
    /// are asked anew.
    pub(super) fn asked_of(&self, ended: &[EndedChild]) -> Vec<(i32, ExecutionId)> {
        let has_ended = |child: ExecutionId| ended.iter().any(|ended| ended.execution == child);
        let asked = self.execution.unanswered().filter(|&(_, _, child)| has_ended(child));
        asked.map(|(undo, _, child)| (undo, child)).collect()
    }

    /// Asks once more what was asked of a completed execution: the request may have been recorded at the moment in which
    /// it completed.
    pub(super) async fn undo_if_asked(&self) {
        if !self.is_saga() || self.execution.status() != ExecutionStatus::Completed {
            return;
        }
        let (Some(asked), Some(engine)) = (self.inbox().await.saga.unwind, self.engine()) else { return };
        let (tenant, id, reason) = (self.tenant, self.execution.id(), asked.reason.unwrap_or_default());
        self.until_answered(|| engine.unwind(tenant, id, Asker::Again(asked.by), reason.clone())).await;
    }

    /// Asks an execution that a step started to undo what it did. What became of it by now becomes pending; where it is
    /// still to come, its end is told.
    pub(super) async fn unwind_child(&mut self, undo: i32, child: ExecutionId) {
        let reason = format!("the execution {} that started it is undone", self.execution.id());
        let tenant = self.tenant;
        let Some(engine) = self.engine() else { return };
        let answer = self.until_answered(|| engine.unwind_child(tenant, child, reason.clone())).await;
        if let Some(outcome) = answer.flatten() {
            self.pending.push_back(Input::ChildUndone { step: undo, child, outcome });
        }
    }
}
