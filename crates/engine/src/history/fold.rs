//! The state of an execution, event by event.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use chrono::{DateTime, Utc};
use cogwheel_machine::{CauseKind, ExecutionStatus, SagaStatus, StepStatus, UndoStatus};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::recorded::{DecidedFacts, ROW, StepFacts, UnwindAskedFor, WholeFacts};
use crate::events::EventType;
use crate::ports::{RecordedEvent, SagaRow, TimeoutKind, TimeoutRow, TimeoutState, UndoRow};

/// An execution as it stood after one of its events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExecutionState {
    /// The version of that event in the execution's stream; 0 before the first.
    pub version: i64,
    /// When that event was recorded.
    pub at: Option<DateTime<Utc>>,
    /// Whether the events tell every change of its status and of its steps: so it is with sagas, and with
    /// `history: full`.
    pub is_whole: bool,
    /// Where it stood; nothing where the events do not tell.
    pub status: Option<ExecutionStatus>,
    /// Its saga, where it is one.
    pub saga: Option<SagaRow>,
    /// How often the saga was written: `saga_instances.version`.
    pub saga_version: i64,
    /// The request to undo everything, where there was one.
    pub unwind_asked: Option<UnwindAskedAt>,
    /// Its steps by ordinal.
    pub steps: BTreeMap<i32, StepAt>,
    /// The undoing of its steps, by the number of the unwinding and the ordinal of the step that is undone.
    pub undos: BTreeMap<(u32, i32), UndoRow>,
    /// The time limits of the saga, by id.
    pub timeouts: BTreeMap<Uuid, TimeoutAt>,
}

/// A request to undo everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnwindAskedAt {
    /// What asked.
    pub requested_as: CauseKind,
    /// Why.
    pub reason: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

/// A step as it stood.
#[derive(Clone, Debug, PartialEq)]
pub struct StepAt {
    /// Its key.
    pub key: String,
    /// The ordinal of the step instance that encloses it.
    pub parent: Option<i32>,
    /// Its type or construct.
    pub step_type: String,
    /// Where it stood.
    pub status: StepStatus,
    /// The number of the attempt, from 1.
    pub attempt: i32,
    /// When its first attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub completed_at: Option<DateTime<Utc>>,
    /// Why it did not complete, or what the last attempt failed with: `kind`, `title` and `step`.
    pub error: Option<Value>,
}

/// A time limit as it stood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeoutAt {
    /// The key of the step; nothing for the saga as a whole.
    pub step_key: Option<String>,
    /// What it limits.
    pub kind: TimeoutKind,
    /// When it passes.
    pub timeout_at: DateTime<Utc>,
    /// Where it stood.
    pub status: TimeoutStatus,
    /// When it was noticed to have passed.
    pub fired_at: Option<DateTime<Utc>>,
}

/// Where a time limit stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeoutStatus {
    /// It was to come.
    Pending,
    /// It had passed.
    Fired,
    /// What it limits had ended before.
    Cancelled,
}

/// Why an event tells nothing that can be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableEvent {
    /// It is not the one that follows.
    #[error("version {found} follows version {after}")]
    Gap {
        /// The version of the event before.
        after: i64,
        /// The version of this one.
        found: i64,
    },
    /// What it holds is not what its type holds.
    #[error("the event {event} of type {event_type}: {why}")]
    Content {
        /// Its id.
        event: Uuid,
        /// Its type.
        event_type: String,
        /// What does not fit.
        why: String,
    },
}

impl ExecutionState {
    /// Folds in the next event of the stream. What is written to a row twice is so here as well.
    ///
    /// # Errors
    /// When the event is not the next one, or does not hold what its type does.
    pub fn apply(&mut self, event: &RecordedEvent) -> Result<(), UnreadableEvent> {
        if event.version != self.version + 1 {
            return Err(UnreadableEvent::Gap { after: self.version, found: event.version });
        }
        self.take(event).map_err(|why| UnreadableEvent::Content {
            event: event.id,
            event_type: event.event_type.clone(),
            why: why.to_string(),
        })?;
        self.version = event.version;
        self.at = Some(event.at);
        Ok(())
    }

    fn take(&mut self, event: &RecordedEvent) -> Result<(), serde_json::Error> {
        // A type of a later release changes nothing that this one knows of.
        let Ok(event_type) = event.event_type.parse::<EventType>() else { return Ok(()) };
        let row = &event.data[ROW];
        match event_type {
            EventType::WorkflowStarted => {
                self.status = Some(ExecutionStatus::Running);
                self.is_whole = Option::<WholeFacts>::deserialize(row)?.unwrap_or_default().is_whole;
            }
            EventType::WorkflowResumed => self.status = Some(ExecutionStatus::Running),
            EventType::WorkflowWaiting => self.status = Some(ExecutionStatus::Waiting),
            EventType::WorkflowCompensating => self.status = Some(ExecutionStatus::Compensating),
            EventType::WorkflowCompleted => self.status = Some(ExecutionStatus::Completed),
            EventType::WorkflowFailed => self.status = Some(ExecutionStatus::Failed),
            EventType::WorkflowCancelled => self.status = Some(ExecutionStatus::Cancelled),
            EventType::WorkflowTimedOut => self.status = Some(ExecutionStatus::TimedOut),
            EventType::WorkflowCompensated => self.status = Some(ExecutionStatus::Compensated),
            EventType::StepStarted => self.step(event, StepStatus::Running)?,
            EventType::StepWaiting => self.step(event, StepStatus::Waiting)?,
            EventType::StepRetrying => self.step(event, StepStatus::Retrying)?,
            EventType::StepCompleted | EventType::StepKept => self.step(event, StepStatus::Completed)?,
            EventType::StepFailed => self.step(event, StepStatus::Failed)?,
            EventType::StepSkipped => self.step(event, StepStatus::Skipped)?,
            EventType::StepCancelled => self.step(event, StepStatus::Cancelled)?,
            EventType::StepTimedOut => self.step(event, StepStatus::TimedOut)?,
            EventType::SagaStarted
            | EventType::SagaProgressed
            | EventType::SagaCompensating
            | EventType::SagaCompleted
            | EventType::SagaCompensated
            | EventType::SagaFailed => self.saga(SagaRow::deserialize(row)?),
            EventType::SagaGivenUp => self.given_up(event.at),
            EventType::SagaUnwindRequested => self.unwind_asked(UnwindAskedFor::deserialize(row)?, event.at),
            EventType::CompensationPlanned
            | EventType::CompensationStarted
            | EventType::CompensationRetrying
            | EventType::CompensationCompleted
            | EventType::CompensationFailed
            | EventType::CompensationSkipped => self.undo(UndoRow::deserialize(row)?),
            EventType::CompensationResolved => self.decided(DecidedFacts::deserialize(row)?),
            EventType::SagaTimeoutScheduled | EventType::SagaTimeoutFired | EventType::SagaTimeoutCancelled => {
                self.timeout(TimeoutRow::deserialize(row)?);
            }
            _ => {}
        }
        Ok(())
    }

    fn step(&mut self, event: &RecordedEvent, status: StepStatus) -> Result<(), serde_json::Error> {
        #[derive(Deserialize)]
        struct Told {
            step: String,
            ordinal: i32,
            step_type: String,
            attempt: i32,
            error: Option<Value>,
        }
        let told = Told::deserialize(&event.data["data"])?;
        let facts = Option::<StepFacts>::deserialize(&event.data[ROW])?.unwrap_or_default();
        let step = StepAt {
            key: told.step,
            parent: facts.parent,
            step_type: told.step_type,
            status,
            attempt: told.attempt,
            started_at: facts.started_at,
            completed_at: facts.completed_at,
            error: told.error,
        };
        self.steps.insert(told.ordinal, step);
        Ok(())
    }

    /// The first cause is the cause, and what a saga is made of stays as it was.
    fn saga(&mut self, row: SagaRow) {
        self.saga_version += 1;
        self.saga = Some(match self.saga.take() {
            None => row,
            Some(known) => SagaRow {
                saga_type: known.saga_type,
                cause: known.cause.or(row.cause),
                on_undo_failure: known.on_undo_failure,
                total_steps: known.total_steps,
                steps: known.steps,
                correlation_id: known.correlation_id,
                parent: known.parent,
                ..row
            },
        });
    }

    fn unwind_asked(&mut self, asked: UnwindAskedFor, at: DateTime<Utc>) {
        if let (Some(saga), Some(cause)) = (&mut self.saga, asked.revived) {
            self.status = Some(ExecutionStatus::Compensating);
            self.saga_version += 1;
            saga.status = SagaStatus::Compensating;
            saga.completed_at = None;
            saga.cause.get_or_insert(cause);
            saga.unwind_number += 1;
        }
        let UnwindAskedFor { requested_as, reason, .. } = asked;
        self.unwind_asked.get_or_insert(UnwindAskedAt { requested_as, reason, at });
    }

    /// What is open is closed.
    fn given_up(&mut self, at: DateTime<Utc>) {
        if let Some(saga) = self.saga.as_mut().filter(|saga| saga.completed_at.is_none()) {
            self.saga_version += 1;
            (saga.status, saga.completed_at) = (SagaStatus::Failed, Some(at));
        }
        for undo in self.undos.values_mut() {
            if matches!(undo.status, UndoStatus::Pending | UndoStatus::Running) {
                (undo.status, undo.next_attempt_at, undo.completed_at) = (UndoStatus::Failed, None, Some(at));
            }
        }
        let open = self.timeouts.values_mut().filter(|timeout| timeout.status == TimeoutStatus::Pending);
        open.for_each(|timeout| timeout.status = TimeoutStatus::Cancelled);
    }

    /// What operators decided stays.
    fn undo(&mut self, row: UndoRow) {
        match self.undos.entry((row.unwind_number, row.step_ordinal)) {
            Entry::Vacant(place) => drop(place.insert(row)),
            Entry::Occupied(mut known) => {
                let (resolution, max_retries) = (known.get_mut().resolution.take(), known.get().max_retries);
                known.insert(UndoRow { max_retries, resolution, ..row });
            }
        }
    }

    fn decided(&mut self, decided: DecidedFacts) {
        if let Some(undo) = self.undos.get_mut(&(decided.unwind_number, decided.step_ordinal)) {
            undo.status = decided.status;
            undo.next_attempt_at = None;
            undo.resolution = Some(decided.resolution);
        }
    }

    /// Only what is open ends.
    fn timeout(&mut self, row: TimeoutRow) {
        let (status, fired_at) = match row.state {
            TimeoutState::Pending(timeout_at) => {
                let (step_key, kind, status) = (row.step_key, row.kind, TimeoutStatus::Pending);
                let known = self.timeouts.entry(row.id);
                let timeout = known.or_insert(TimeoutAt { step_key, kind, timeout_at, status, fired_at: None });
                (timeout.timeout_at, timeout.status, timeout.fired_at) = (timeout_at, status, None);
                return;
            }
            TimeoutState::Fired(at) => (TimeoutStatus::Fired, Some(at)),
            TimeoutState::Cancelled => (TimeoutStatus::Cancelled, None),
        };
        if let Some(timeout) = self.timeouts.get_mut(&row.id).filter(|known| known.status == TimeoutStatus::Pending) {
            (timeout.status, timeout.fired_at) = (status, fired_at);
        }
    }
}
