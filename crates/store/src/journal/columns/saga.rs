//! What is written of sagas, column by column.

use cogwheel_engine::ports::{Record, SagaRow, TimeoutRow, TimeoutState, UndoRow};
use cogwheel_entity::saga_timeouts::TimeoutStatus;
use sea_orm::ActiveEnum;
use serde::Serialize;

use super::{Document, Instant, Key};
use crate::rows::{Stored, on_undo_failure, timeout_type};
use crate::values::{new_id, storable_text};

/// A row of `saga_instances`, whose id is its execution's.
#[derive(Debug, Serialize)]
pub(in crate::journal) struct SagaColumns {
    pub(in crate::journal) id: Key,
    pub(in crate::journal) tenant_id: Key,
    pub(in crate::journal) saga_type: String,
    pub(in crate::journal) status: String,
    pub(in crate::journal) cause: Option<String>,
    pub(in crate::journal) cause_detail: Option<Document>,
    pub(in crate::journal) on_undo_failure: String,
    pub(in crate::journal) current_step: i32,
    pub(in crate::journal) total_steps: i32,
    pub(in crate::journal) steps: Document,
    pub(in crate::journal) unwind_number: i32,
    pub(in crate::journal) correlation_id: Key,
    pub(in crate::journal) parent_id: Option<Key>,
    pub(in crate::journal) timeout_at: Option<Instant>,
    pub(in crate::journal) started_at: Option<Instant>,
    pub(in crate::journal) completed_at: Option<Instant>,
    pub(in crate::journal) updated_at: Instant,
}

impl SagaColumns {
    pub(in crate::journal) fn of(record: &Record, saga: &SagaRow) -> Self {
        let cause = saga.cause.as_ref();
        Self {
            id: Key(record.execution.0),
            tenant_id: Key(record.tenant.0),
            saga_type: storable_text(&saga.saga_type),
            status: saga.status.word(),
            cause: cause.map(|cause| cause.kind.word()),
            cause_detail: cause.map(|cause| Document::of_value(&cause.error)),
            on_undo_failure: on_undo_failure(saga.on_undo_failure).to_value(),
            current_step: saga.current_step,
            total_steps: saga.total_steps,
            steps: Document::of(&saga.steps),
            unwind_number: i32::try_from(saga.unwind_number).unwrap_or(i32::MAX),
            correlation_id: Key(saga.correlation_id),
            parent_id: saga.parent.map(|parent| Key(parent.0)),
            timeout_at: saga.deadline_at.map(Instant),
            started_at: saga.started_at.map(Instant),
            completed_at: saga.completed_at.map(Instant),
            updated_at: Instant(record.at),
        }
    }
}

/// A row of `saga_compensations`. What operators decided is there for the rules of the table, which hold of what is to be
/// inserted even where the row stands; there it does not change.
#[derive(Debug, Serialize)]
pub(in crate::journal) struct UndoColumns {
    pub(in crate::journal) id: Key,
    pub(in crate::journal) tenant_id: Key,
    pub(in crate::journal) saga_id: Key,
    pub(in crate::journal) unwind_number: i32,
    pub(in crate::journal) step_id: String,
    pub(in crate::journal) step_ordinal: i32,
    pub(in crate::journal) unwind_order: i32,
    pub(in crate::journal) command: Document,
    pub(in crate::journal) status: String,
    pub(in crate::journal) retry_count: i32,
    pub(in crate::journal) max_retries: i32,
    pub(in crate::journal) next_attempt_at: Option<Instant>,
    pub(in crate::journal) started_at: Option<Instant>,
    pub(in crate::journal) completed_at: Option<Instant>,
    pub(in crate::journal) error: Option<Document>,
    pub(in crate::journal) resolution: Option<String>,
    pub(in crate::journal) resolution_reason: Option<String>,
    pub(in crate::journal) resolved_by_user_id: Option<Key>,
    pub(in crate::journal) updated_at: Instant,
}

impl UndoColumns {
    pub(in crate::journal) fn all(record: &Record) -> impl Iterator<Item = Self> {
        record.saga.iter().flat_map(|saga| &saga.undos).map(move |undo| Self::of(record, undo))
    }

    fn of(record: &Record, undo: &UndoRow) -> Self {
        let resolution = undo.resolution.as_ref();
        Self {
            id: Key(new_id(record.at)),
            tenant_id: Key(record.tenant.0),
            saga_id: Key(record.execution.0),
            unwind_number: i32::try_from(undo.unwind_number).unwrap_or(i32::MAX),
            step_id: undo.step_key.clone(),
            step_ordinal: undo.step_ordinal,
            unwind_order: i32::try_from(undo.unwind_order).unwrap_or(i32::MAX),
            command: Document::of(&undo.command),
            status: undo.status.word(),
            retry_count: undo.retry_count,
            max_retries: undo.max_retries,
            next_attempt_at: undo.next_attempt_at.map(Instant),
            started_at: undo.started_at.map(Instant),
            completed_at: undo.completed_at.map(Instant),
            error: Document::of_option(undo.error.as_ref()),
            resolution: resolution.map(|resolution| resolution.decision.word()),
            resolution_reason: resolution.map(|resolution| storable_text(&resolution.reason)),
            resolved_by_user_id: resolution.and_then(|resolution| resolution.by).map(Key),
            updated_at: Instant(record.at),
        }
    }
}

/// A row of `saga_timeouts` that is open.
#[derive(Debug, Serialize)]
pub(in crate::journal) struct PendingTimeoutColumns {
    pub(in crate::journal) id: Key,
    pub(in crate::journal) tenant_id: Key,
    pub(in crate::journal) saga_id: Key,
    pub(in crate::journal) step_id: Option<String>,
    pub(in crate::journal) timeout_type: String,
    pub(in crate::journal) timeout_at: Instant,
    pub(in crate::journal) updated_at: Instant,
}

/// What becomes of an open row of `saga_timeouts`.
#[derive(Debug, Serialize)]
pub(in crate::journal) struct EndedTimeoutColumns {
    pub(in crate::journal) id: Key,
    pub(in crate::journal) status: String,
    pub(in crate::journal) fired_at: Option<Instant>,
    pub(in crate::journal) updated_at: Instant,
}

impl PendingTimeoutColumns {
    pub(in crate::journal) fn all(record: &Record) -> impl Iterator<Item = Self> {
        timeouts(record).filter_map(move |timeout| {
            let TimeoutState::Pending(at) = timeout.state else { return None };
            Some(Self {
                id: Key(timeout.id),
                tenant_id: Key(record.tenant.0),
                saga_id: Key(record.execution.0),
                step_id: timeout.step_key.clone(),
                timeout_type: timeout_type(timeout.kind).to_value(),
                timeout_at: Instant(at),
                updated_at: Instant(record.at),
            })
        })
    }
}

impl EndedTimeoutColumns {
    pub(in crate::journal) fn all(record: &Record) -> impl Iterator<Item = Self> {
        timeouts(record).filter_map(move |timeout| {
            let (status, fired_at) = match timeout.state {
                TimeoutState::Pending(_) => return None,
                TimeoutState::Fired(at) => (TimeoutStatus::Fired, Some(Instant(at))),
                TimeoutState::Cancelled => (TimeoutStatus::Cancelled, None),
            };
            let (id, updated_at) = (Key(timeout.id), Instant(record.at));
            Some(Self { id, status: status.to_value(), fired_at, updated_at })
        })
    }
}

/// A saga that is given up, with all that is open of it.
#[derive(Debug, Serialize)]
pub(in crate::journal) struct GivenUpColumns {
    pub(in crate::journal) id: Key,
    pub(in crate::journal) updated_at: Instant,
}

impl GivenUpColumns {
    pub(in crate::journal) fn of(record: &Record) -> Option<Self> {
        let is_given_up = record.saga.as_ref().is_some_and(|saga| saga.gives_up);
        is_given_up.then_some(Self { id: Key(record.execution.0), updated_at: Instant(record.at) })
    }
}

fn timeouts(record: &Record) -> impl Iterator<Item = &TimeoutRow> {
    record.saga.iter().flat_map(|saga| &saga.timeouts)
}
