//! What is told of an execution as a saga: every row that is written of it, and no row that stands already.

use std::collections::HashMap;
use std::mem::discriminant;
use std::sync::Arc;

use cogwheel_machine::SagaStatus;
use serde_json::{Value, json};
use tracing::warn;
use uuid::Uuid;

use super::drive::Drive;
use crate::history::{self, of_saga, of_timeout, of_undo};
use crate::ports::{NewEvent, SagaRow, SagaRows, TimeoutState};

/// What is recorded of a saga by now, as far as it was recorded here.
#[derive(Debug, Default)]
pub(super) struct ToldSaga {
    status: Option<SagaStatus>,
    row: Option<SagaRow>,
    timeouts: HashMap<Uuid, TimeoutState>,
}

impl ToldSaga {
    /// Of a saga that is recorded in this status, or not at all.
    pub(super) fn until(status: Option<SagaStatus>) -> Self {
        Self { status, ..Self::default() }
    }

    /// Leaves out what is recorded already.
    pub(super) fn retain_new(&mut self, mut rows: Box<SagaRows>) -> Option<Box<SagaRows>> {
        if rows.saga == self.row {
            rows.saga = None;
        } else if rows.saga.is_some() {
            self.row.clone_from(&rows.saga);
        }
        rows.timeouts.retain(|timeout| {
            let known = self.timeouts.insert(timeout.id, timeout.state);
            match (known, timeout.state) {
                (Some(TimeoutState::Pending(known)), TimeoutState::Pending(at)) => known != at,
                // When it was noticed does not change.
                (Some(known), state) => discriminant(&known) != discriminant(&state),
                (None, _) => true,
            }
        });
        let says = rows.saga.is_some() || rows.heeds_unwind || !rows.undos.is_empty() || !rows.timeouts.is_empty();
        says.then_some(rows)
    }
}

impl Drive<'_> {
    /// The events that the rows are: how the saga begins before anything of it is told, all else after its steps.
    pub(super) fn of_saga(&mut self, rows: &SagaRows) -> (Option<NewEvent>, Vec<NewEvent>) {
        let mut events: Vec<NewEvent> = Vec::with_capacity(rows.timeouts.len() + rows.undos.len() + 1);
        for timeout in &rows.timeouts {
            let (event_type, told) = of_timeout(timeout);
            events.push(self.event(event_type, &self.of_this(told), Some(timeout)));
        }
        for undo in &rows.undos {
            let (event_type, told) = of_undo(undo);
            events.push(self.event(event_type, &self.of_this(told), Some(undo)));
        }
        let Some(row) = &rows.saga else { return (None, events) };
        let (event_type, told) = of_saga(row, self.told.saga.status.replace(row.status));
        let saga = self.event(event_type, &self.of_this(told), Some(row));
        if row.status.is_over() {
            events.push(saga);
            (None, events)
        } else {
            (Some(saga), events)
        }
    }

    /// Has the state kept, beside what goes on, when so many events came that reading them all again would take long.
    pub(super) fn keep_snapshot(&mut self) {
        let size = self.execution.steps().len();
        if !history::is_due(self.unkept_events, size, self.runner.snapshot_events) {
            return;
        }
        // While others are at it, the next write brings the next occasion.
        let Ok(permit) = Arc::clone(&self.runner.snapshots).try_acquire_owned() else { return };
        self.unkept_events = 0;
        let (runner, tenant, execution) = (Arc::clone(self.runner), self.tenant, self.execution.id());
        self.runner.tasks.spawn(async move {
            if let Err(error) = history::keep_snapshot(&*runner.store, tenant, execution).await {
                // Nothing is lost: its events tell the same.
                warn!(%execution, %error, "the state of a saga could not be kept");
            }
            drop(permit);
        });
    }

    /// With what all events of the execution tell.
    fn of_this(&self, mut told: Value) -> Value {
        told["workflow"] = json!(self.execution.workflow().name);
        told["execution_id"] = json!(self.execution.id().to_string());
        told
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;
    use crate::ports::{TimeoutKind, TimeoutRow};

    fn timeout(state: TimeoutState) -> Box<SagaRows> {
        let timeout = TimeoutRow { id: Uuid::from_u128(1), step_key: None, kind: TimeoutKind::Saga, state };
        Box::new(SagaRows { timeouts: vec![timeout], ..SagaRows::default() })
    }

    #[test]
    fn a_time_limit_is_written_when_it_changes() {
        let at = |seconds| DateTime::<Utc>::from_timestamp(seconds, 0).unwrap();
        let mut told = ToldSaga::until(None);
        for (state, is_new) in [
            (TimeoutState::Pending(at(5)), true),
            (TimeoutState::Pending(at(5)), false),
            (TimeoutState::Pending(at(7)), true),
            (TimeoutState::Fired(at(8)), true),
            (TimeoutState::Fired(at(9)), false),
            (TimeoutState::Pending(at(20)), true),
            (TimeoutState::Cancelled, true),
            (TimeoutState::Cancelled, false),
        ] {
            assert_eq!(told.retain_new(timeout(state)).is_some(), is_new, "{state:?}");
        }
        // Nobody here knows how it stands after a crash.
        assert!(ToldSaga::until(Some(SagaStatus::Running)).retain_new(timeout(TimeoutState::Cancelled)).is_some());
    }
}
