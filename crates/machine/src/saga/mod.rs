//! What makes an execution a saga: why it is undone, what operators decided, and how far the unwinding is.

mod effect;
mod left;
mod plan;
mod view;

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use cogwheel_definition::OnUndoFailure;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Execution, ExecutionId, ExecutionStatus, Failure, StepStatus};

pub use left::left_of_record;
pub(crate) use plan::Unwinding;
pub use view::{SagaStatus, SagaView, UndoStatus, UndoView};

/// Why everything is undone. Once recorded it never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Its class.
    pub kind: CauseKind,
    /// What went wrong, or who asked.
    pub error: Failure,
}

/// What may set an unwinding off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CauseKind {
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

impl CauseKind {
    /// Every kind, in the order of the schema.
    pub const ALL: [Self; 5] = [Self::StepFailed, Self::TimedOut, Self::Cancelled, Self::Operator, Self::Parent];

    /// The word that expressions, the database and the API use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StepFailed => "step_failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Operator => "operator",
            Self::Parent => "parent",
        }
    }

    /// What undoes an execution whose steps ended so.
    pub(crate) fn of(status: ExecutionStatus) -> Self {
        match status {
            ExecutionStatus::TimedOut => Self::TimedOut,
            ExecutionStatus::Cancelled => Self::Cancelled,
            _ => Self::StepFailed,
        }
    }
}

/// What an operator can decide about an undo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UndoDecision {
    /// It is tried again, with all of its attempts.
    Retry,
    /// It is given up: the saga ends failed, and names it.
    Skip,
    /// It was undone by hand, on the word of whoever says so: it counts as done.
    Force,
}

impl UndoDecision {
    /// The word of the schema for what was decided.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retried",
            Self::Skip => "skipped",
            Self::Force => "forced",
        }
    }
}

/// The last decision of an operator about an undo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    /// What was decided.
    pub decision: UndoDecision,
    /// Why.
    pub reason: String,
    /// Who decided.
    pub by: Option<Uuid>,
    /// When.
    pub at: DateTime<Utc>,
    /// How often it was to be tried again by then, this decision included.
    pub retries: u32,
}

/// The facts of a saga that its execution's row and its steps do not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedSaga {
    /// Why it is undone; also recorded while the steps that run are still being stopped.
    pub cause: Option<Cause>,
    /// How many unwindings have begun: 0 or 1.
    pub unwind_number: u32,
    /// What operators decided, by the ordinal of the step that is undone.
    pub resolutions: BTreeMap<i32, Resolution>,
}

/// A saga in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Saga {
    pub(crate) recorded: RecordedSaga,
    /// What is undone, and in which order; once the unwinding has begun.
    pub(crate) unwinding: Option<Unwinding>,
    /// The executions that have not said yet whether they undid what they did, by the undo that asked them.
    pub(crate) asked: HashMap<i32, Vec<ExecutionId>>,
}

impl Execution {
    /// What must be kept of a saga beside its execution's row and steps; nothing where it is none. It changes with
    /// [`crate::Change::UnwindRequested`], [`crate::Change::UnwindStarted`] and [`crate::Change::UndoResolved`] only.
    pub fn recorded_saga(&self) -> Option<&RecordedSaga> {
        self.saga.as_ref().map(|saga| &saga.recorded)
    }

    /// The steps whose undo has failed and waits for an operator, by ordinal. An execution that is compensating and of
    /// which nothing else goes on is paused.
    pub fn paused_undos(&self) -> Vec<i32> {
        let Some(unwinding) = self.unwinding() else { return Vec::new() };
        let undos = 0..unwinding.undos.len();
        let paused = undos.filter(|&undo| !unwinding.undos[undo].is_done);
        paused
            .filter(|&undo| self.undo_status(undo) == UndoStatus::Failed)
            .map(|undo| unwinding.undos[undo].forward)
            .collect()
    }

    /// Whether a request to undo everything would be taken in. What is being stopped is undone for another reason, if at
    /// all; after the pivot, or once the workflow's own steps have ended, the request has to wait for the end.
    pub fn heeds_unwind(&self) -> bool {
        let has_begun = self.status != ExecutionStatus::Queued;
        self.saga.is_some() && has_begun && self.runs_main_steps() && self.stopping.is_none() && !self.is_past_pivot()
    }

    pub(crate) fn unwinding(&self) -> Option<&Unwinding> {
        self.saga.as_ref()?.unwinding.as_ref()
    }

    pub(crate) fn unwinding_mut(&mut self) -> Option<&mut Unwinding> {
        self.saga.as_mut()?.unwinding.as_mut()
    }

    pub(crate) fn resolution(&self, forward: i32) -> Option<&Resolution> {
        self.saga.as_ref()?.recorded.resolutions.get(&forward)
    }

    /// Whether failed undos wait for an operator.
    pub(crate) fn pauses(&self) -> bool {
        self.new.workflow.saga.as_ref().is_some_and(|saga| saga.on_undo_failure == OnUndoFailure::Pause)
    }

    /// The instances that tried to undo, one for each time an operator let it be tried again.
    pub(crate) fn tries_of(&self, undo: usize) -> impl DoubleEndedIterator<Item = i32> {
        let scopes = self.unwinding().map(|unwinding| unwinding.undos[undo].scopes.as_slice()).unwrap_or_default();
        scopes.iter().filter_map(|&scope| self.scopes[scope].slots.first()?.ordinal)
    }

    /// Whether an undo is still to be begun, for the first time or again.
    pub(crate) fn is_to_begin(&self, undo: usize) -> bool {
        let Some(unwinding) = self.unwinding() else { return false };
        let forward = unwinding.undos[undo].forward;
        let tries = self.tries_of(undo).count();
        let retries = self.resolution(forward).map_or(0, |resolution| resolution.retries);
        let has_ended = self
            .tries_of(undo)
            .next_back()
            .is_none_or(|last| self.at(last).status.is_terminal() && self.at(last).status != StepStatus::Completed);
        let is_given_up = self.resolution(forward).is_some_and(|last| last.decision != UndoDecision::Retry);
        has_ended && !is_given_up && u32::try_from(tries).is_ok_and(|tries| tries <= retries)
    }

    /// Whether nothing more comes of an undo.
    pub(crate) fn is_settled(&self, undo: usize) -> bool {
        match self.undo_status(undo) {
            UndoStatus::Completed | UndoStatus::Skipped => true,
            UndoStatus::Failed => !self.pauses(),
            UndoStatus::Pending | UndoStatus::Running => false,
        }
    }
}
