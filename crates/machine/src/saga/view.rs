//! A saga as it is recorded and shown.

use std::borrow::Cow;

use chrono::{DateTime, TimeDelta, Utc};
use cogwheel_definition::OnUndoFailure;
use serde::{Deserialize, Serialize};

use crate::{Cause, CauseKind, Execution, ExecutionStatus, Resolution, StepStatus, UndoDecision};

/// Where a saga stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SagaStatus {
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
    /// Something of them is left.
    Failed,
}

impl SagaStatus {
    /// The word of the schema.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Compensating => "compensating",
            Self::Compensated => "compensated",
            Self::Failed => "failed",
        }
    }

    /// Whether nothing follows it by itself.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Compensated | Self::Failed)
    }
}

/// Where the undo of one step instance stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UndoStatus {
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

impl UndoStatus {
    /// The word of the schema.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// A saga at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct SagaView<'e> {
    /// Where it stands.
    pub status: SagaStatus,
    /// Why it is undone, or ended otherwise than completed.
    pub cause: Option<Cow<'e, Cause>>,
    /// How many unwindings have begun.
    pub unwind_number: u32,
    /// When its steps must have ended; nothing where it says no deadline, or has not begun.
    pub deadline_at: Option<DateTime<Utc>>,
    /// What follows when an undo fails for good.
    pub on_undo_failure: OnUndoFailure,
    /// What is undone, once the unwinding has begun; by the ordinal of the steps.
    pub undos: Vec<UndoView<'e>>,
}

/// The undo of one step instance at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct UndoView<'e> {
    /// The ordinal of the instance that is undone.
    pub step: i32,
    /// Its key.
    pub step_key: &'e str,
    /// The instance that undoes it, once it has begun; the last one, where it was tried again on somebody's word.
    pub undo: Option<i32>,
    /// 0 comes first; equal ones may run side by side.
    pub unwind_order: u32,
    /// Where it stands.
    pub status: UndoStatus,
    /// How many attempts have begun in all.
    pub tries: i32,
    /// What an operator decided last.
    pub resolution: Option<&'e Resolution>,
}

impl Execution {
    /// What there is to record and to show of a saga; nothing where the execution is none.
    pub fn saga(&self) -> Option<SagaView<'_>> {
        let saga = self.saga.as_ref()?;
        let policy = self.new.workflow.saga.as_ref()?;
        let deadline = policy.deadline.and_then(|deadline| TimeDelta::from_std(deadline).ok());
        let undos = saga.unwinding.iter().flat_map(|unwinding| 0..unwinding.undos.len());
        let mut undos: Vec<UndoView<'_>> = undos.filter_map(|undo| self.undo_view(undo)).collect();
        undos.sort_unstable_by_key(|undo| undo.step);
        Some(SagaView {
            status: self.saga_status(),
            cause: saga.recorded.cause.as_ref().map(Cow::Borrowed).or_else(|| self.cause_of_end()),
            unwind_number: saga.recorded.unwind_number,
            deadline_at: deadline.zip(self.started_at).and_then(|(limit, at)| at.checked_add_signed(limit)),
            on_undo_failure: policy.on_undo_failure,
            undos,
        })
    }

    /// The undo of the step instance of this ordinal, where it is undone; as in [`SagaView::undos`], without the others.
    pub fn undo_of(&self, step: i32) -> Option<UndoView<'_>> {
        self.undo_view(self.unwinding()?.of(step)?)
    }

    fn saga_status(&self) -> SagaStatus {
        match self.status {
            ExecutionStatus::Queued => SagaStatus::Pending,
            ExecutionStatus::Running | ExecutionStatus::Waiting => SagaStatus::Running,
            ExecutionStatus::Completed => SagaStatus::Completed,
            ExecutionStatus::Compensating => SagaStatus::Compensating,
            ExecutionStatus::Compensated => SagaStatus::Compensated,
            // What ended otherwise had nothing to undo, or names what is left.
            ExecutionStatus::Failed | ExecutionStatus::Cancelled | ExecutionStatus::TimedOut => {
                let is_left = self.error.as_ref().is_some_and(|error| !error.not_undone.is_empty());
                if is_left { SagaStatus::Failed } else { SagaStatus::Compensated }
            }
        }
    }

    /// Why a saga ended that had nothing to undo.
    fn cause_of_end(&self) -> Option<Cow<'_, Cause>> {
        let is_over = self.status.is_terminal() && self.status != ExecutionStatus::Completed;
        let error = self.error.clone().filter(|_| is_over)?;
        Some(Cow::Owned(Cause { kind: CauseKind::of(self.status), error }))
    }

    fn undo_view(&self, undo: usize) -> Option<UndoView<'_>> {
        let planned = &self.unwinding()?.undos[undo];
        let forward = self.at(planned.forward);
        Some(UndoView {
            step: planned.forward,
            step_key: &forward.key,
            undo: self.tries_of(undo).next_back(),
            unwind_order: planned.order,
            status: self.undo_status(undo),
            tries: self.tries_of(undo).map(|attempt| self.at(attempt).attempt).sum(),
            resolution: self.resolution(planned.forward),
        })
    }

    /// Where an undo stands.
    pub(crate) fn undo_status(&self, undo: usize) -> UndoStatus {
        let Some(unwinding) = self.unwinding() else { return UndoStatus::Pending };
        let decision = self.resolution(unwinding.undos[undo].forward).map(|resolution| resolution.decision);
        let last = self.tries_of(undo).next_back().map(|last| self.at(last).status);
        match (last, decision) {
            (Some(StepStatus::Completed), _) | (_, Some(UndoDecision::Force)) => UndoStatus::Completed,
            (_, Some(UndoDecision::Skip)) => UndoStatus::Skipped,
            (None | Some(StepStatus::Pending | StepStatus::Retrying), _) => UndoStatus::Pending,
            (Some(StepStatus::Running | StepStatus::Waiting), _) => UndoStatus::Running,
            (Some(_), _) if self.is_to_begin(undo) => UndoStatus::Pending,
            (Some(_), _) => UndoStatus::Failed,
        }
    }
}
