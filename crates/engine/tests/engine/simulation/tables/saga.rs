//! Sagas: what is recorded of them, what is asked of them, and that exactly what was done is undone.

use std::collections::BTreeMap;

use cogwheel_definition::OnUndoFailure;
use cogwheel_engine::ExecutionStatus;
use cogwheel_engine::ports::{
    SagaInbox, SagaRow, SagaRows, UndoAnswer, UndoRequest, UndoRow, UnwindAnswer, UnwindAsked, UnwindRequest,
};
use cogwheel_machine::{RecordedSaga, Resolution, SagaStatus, StepState, StepStatus, UndoDecision, UndoStatus};

use super::{Row, Tables};

/// The rows of a saga.
#[derive(Default)]
pub(in super::super) struct Saga {
    pub(in super::super) recorded: RecordedSaga,
    row: Option<SagaRow>,
    /// By the key of the step that is undone.
    pub(in super::super) undos: BTreeMap<String, UndoRow>,
    asked: Option<UnwindAsked>,
}

impl Saga {
    pub(super) fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// What whoever drives it is told.
    pub(super) fn asked(&self) -> SagaInbox {
        let decisions = self.recorded.resolutions.iter().map(|(step, decided)| (*step, decided.clone())).collect();
        SagaInbox { unwind: self.asked.clone(), decisions }
    }

    /// The steps whose undo waits for an operator.
    pub(in super::super) fn stuck(&self) -> Vec<String> {
        let failed = self.undos.values().filter(|undo| undo.status == UndoStatus::Failed);
        failed.map(|undo| undo.step_key.clone()).collect()
    }
}

impl Tables {
    pub(in super::super) fn request_unwind(&mut self, request: UnwindRequest) -> UnwindAnswer {
        let Some(row) = self.executions.get_mut(&request.execution) else { return UnwindAnswer::Unknown };
        let has_completed = row.status == ExecutionStatus::Completed;
        if has_completed != (request.expected == ExecutionStatus::Completed) || !row.is_live() && !has_completed {
            return UnwindAnswer::Moved;
        }
        let saga = row.saga.as_mut().expect("what has begun is recorded");
        saga.asked.get_or_insert(UnwindAsked { by: request.by, reason: request.reason });
        if has_completed {
            saga.recorded.cause.get_or_insert_with(|| request.cause.clone());
            saga.recorded.unwind_number += 1;
            let known = saga.row.as_mut().expect("what has completed is recorded");
            (known.status, known.completed_at) = (SagaStatus::Compensating, None);
            (row.status, row.completed_at, row.deadline_at) = (ExecutionStatus::Compensating, None, None);
            row.error = Some(request.cause.error);
            row.epoch += 1;
            row.next_wake_at = Some(request.at);
        } else if row.owner.is_none() {
            row.next_wake_at = Some(request.at);
        }
        UnwindAnswer::Requested
    }

    pub(in super::super) fn decide_undo(&mut self, request: &UndoRequest) -> UndoAnswer {
        let Some(row) = self.executions.get_mut(&request.execution) else { return UndoAnswer::Unknown };
        let Some(saga) = &mut row.saga else { return UndoAnswer::NoSaga };
        let Some(undo) = saga.undos.get_mut(&request.step_key) else { return UndoAnswer::NoSuchUndo };
        let pauses = saga.row.as_ref().is_some_and(|row| row.on_undo_failure == OnUndoFailure::Pause);
        if row.status != ExecutionStatus::Compensating || !pauses {
            return UndoAnswer::NotPaused;
        }
        if undo.status != UndoStatus::Failed {
            return UndoAnswer::NotFailed(undo.status);
        }
        let known = saga.recorded.resolutions.get(&undo.step_ordinal).map_or(0, |known| known.retries);
        let retries = known + u32::from(request.decision == UndoDecision::Retry);
        let (decision, reason, at) = (request.decision, request.reason.clone(), request.at);
        undo.status = match decision {
            UndoDecision::Retry => UndoStatus::Pending,
            UndoDecision::Skip => UndoStatus::Skipped,
            UndoDecision::Force => UndoStatus::Completed,
        };
        saga.recorded.resolutions.insert(undo.step_ordinal, Resolution { decision, reason, by: None, at, retries });
        if row.owner.is_none() {
            row.next_wake_at = Some(at);
        }
        UndoAnswer::Recorded
    }
}

impl Row {
    pub(super) fn write_saga(&mut self, rows: SagaRows) {
        assert!(!rows.gives_up, "{}: what becomes of it can always be told here", self.new.id);
        let saga = self.saga.get_or_insert_default();
        if let Some(row) = rows.saga {
            if let Some(cause) = &row.cause {
                saga.recorded.cause.get_or_insert_with(|| cause.clone());
            }
            saga.recorded.unwind_number = row.unwind_number;
            saga.row = Some(row);
        }
        for undo in rows.undos {
            assert!(undo.retry_count >= 0 && undo.unwind_number > 0);
            saga.undos.insert(undo.step_key.clone(), undo);
        }
    }

    /// What holds of a saga after every commit.
    pub(super) fn check_saga(&self) {
        let Some(saga) = &self.saga else { return };
        let id = self.new.id;
        let row = saga.row.as_ref().expect("a saga has its own row first");
        assert_eq!(row.completed_at, self.completed_at, "{id}");
        assert_eq!(row.status == SagaStatus::Compensating, self.status == ExecutionStatus::Compensating, "{id}");
        assert_eq!(row.status == SagaStatus::Completed, self.status == ExecutionStatus::Completed, "{id}");
        let is_undone = self.status == ExecutionStatus::Compensated;
        assert!(!is_undone || saga.undos.values().all(|undo| undo.status == UndoStatus::Completed), "{id}");
        if self.is_live() {
            return;
        }
        let left = self.error.as_ref().map(|error| error.not_undone.clone()).unwrap_or_default();
        for undo in saga.undos.values() {
            let is_settled = matches!(undo.status, UndoStatus::Completed | UndoStatus::Skipped | UndoStatus::Failed);
            assert!(is_settled, "{id}: the undo of {} outlives its saga", undo.step_key);
            let is_told = left.contains(&undo.step_key);
            assert_eq!(undo.status != UndoStatus::Completed, is_told, "{id}: {} is left or not", undo.step_key);
        }
        if self.status == ExecutionStatus::Completed {
            return;
        }
        for step in self.steps.iter().filter(|step| step.status == StepStatus::Completed && is_undoable(step)) {
            let is_accounted_for = saga.undos.contains_key(&step.key) || left.contains(&step.key);
            assert!(is_accounted_for, "{id}: {} was done, and is neither undone nor named", step.key);
        }
    }
}

/// Whether a step of the workflows here says how it is undone: all do whose name begins so, each value by itself.
fn is_undoable(step: &StepState) -> bool {
    step.key.starts_with("do-") && !step.key.contains(".compensate") && step.key != "do-each"
}
