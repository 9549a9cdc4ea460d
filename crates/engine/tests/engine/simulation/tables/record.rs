//! What becomes of executions.

use cogwheel_engine::ExecutionStatus;
use cogwheel_engine::ports::{Record, StoreError};
use cogwheel_machine::{PastOutcome, StepState};

use super::{Row, Tables, conflict};

impl Tables {
    pub(in super::super) fn record(&mut self, record: Record) -> Result<(), StoreError> {
        let id = record.execution;
        let Some(row) = self.executions.get_mut(&id) else { return conflict("there is no such execution") };
        if row.epoch != record.epoch || !row.is_live() {
            self.refused += 1;
            return conflict(format!("{id}: epoch {} and not {}, {:?}", row.epoch, record.epoch, row.status));
        }
        let mut lets_go = false;
        let mut is_cancel_new = false;
        if let Some(head) = record.head {
            is_cancel_new = std::mem::take(&mut row.is_cancel_new);
            lets_go = head.owner.is_none() && !head.status.is_terminal();
            // The answer to letting go may have got lost; and what two ask for is run by who is first.
            let may_write = row.owner.is_some() || lets_go || row.status == ExecutionStatus::Queued && row.epoch == 0;
            assert!(may_write, "{id} is written by nobody who owns it");
            row.status = head.status;
            row.ended_by = row.owner.filter(|_| head.status.is_terminal());
            row.owner = head.owner;
            row.started_at = head.started_at;
            row.deadline_at = head.deadline_at;
            row.next_wake_at = head.next_wake_at;
            row.completed_at = head.completed_at;
            (row.result, row.error) = (head.result, head.error);
        }
        for step in record.steps {
            row.write_step(step.state);
        }
        let mut is_undo_new = false;
        if let Some(saga) = record.saga {
            is_undo_new = saga.heeds_unwind && row.saga.as_ref().is_some_and(super::Saga::is_asked);
            row.write_saga(*saga);
        }
        for line in record.logs {
            let known = row.lines.entry(line.sequence).or_insert_with(|| line.message.clone());
            assert_eq!(*known, line.message, "{id}: two lines have the same place");
        }
        for event in record.events {
            let emitter = self.events.entry(event.id).or_insert(id);
            assert_eq!(*emitter, id, "an event is emitted by two executions");
        }
        if row.status.is_terminal() {
            row.check_end();
        }
        self.wake_parent(record.parent, record.at);
        if lets_go && (is_cancel_new || is_undo_new || self.has_mail(id, record.at)) {
            self.row(id).next_wake_at = Some(record.at);
        }
        Ok(())
    }
}

impl Row {
    fn write_step(&mut self, state: StepState) {
        self.begun.entry((state.ordinal, state.attempt)).or_insert(self.epoch);
        let place = usize::try_from(state.ordinal).expect("ordinals are not negative");
        let Some(before) = self.steps.get_mut(place) else {
            assert_eq!(place, self.steps.len(), "{}: {} has no step before it", self.new.id, state.key);
            return self.steps.push(state);
        };
        assert!(!before.status.is_terminal() || *before == state, "{}: {} had ended", self.new.id, state.key);
        assert_eq!((&before.key, before.parent), (&state.key, state.parent));
        assert!(before.attempt <= state.attempt && state.history.starts_with(&before.history));
        *before = state;
    }

    fn check_end(&self) {
        let id = self.new.id;
        assert_eq!(self.owner, None, "{id} has ended and is owned");
        for step in &self.steps {
            assert!(step.status.is_terminal(), "{id}: {} outlives its execution", step.key);
            let lost = step.history.iter().filter(|past| past.outcome == PastOutcome::Lost).count();
            assert!(lost <= 3, "{id}: {} was lost too often", step.key);
        }
    }
}
