//! Ends step instances, and whatever their end brings to an end.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{Decision, Outcome, Rejected, phases};
use crate::scope::{Inside, Place};
use crate::{Change, Execution, Failure, FailureKind, PastOutcome, StepStatus};

impl Execution {
    pub(super) fn finished(
        &mut self,
        ordinal: i32,
        attempt: i32,
        outcome: Outcome,
        now: DateTime<Utc>,
        decision: &mut Decision,
    ) -> Result<(), Rejected> {
        self.require_live()?;
        let state = self.step(ordinal).ok_or(Rejected::NotAwaited)?;
        let is_under_way = state.status == StepStatus::Running || self.awaits_child(state);
        if !is_under_way || state.attempt != attempt {
            return Err(Rejected::Superseded { got: attempt, current: state.attempt });
        }
        match outcome {
            Outcome::Completed { output } => self.complete(ordinal, output, now, decision),
            Outcome::Failed { failure, output } => {
                self.failed(ordinal, StepStatus::Failed, output, failure, now, decision);
            }
            Outcome::TimedOut { output } => {
                let failure = phases::step_timeout(self.definition(self.at(ordinal)).timeout);
                self.failed(ordinal, StepStatus::TimedOut, output, failure, now, decision);
            }
            Outcome::Stopped => self.end_stopped(ordinal, now, decision),
        }
        Ok(())
    }

    /// An attempt failed: another follows, or the step has ended.
    pub(super) fn failed(
        &mut self,
        ordinal: i32,
        status: StepStatus,
        output: Option<Value>,
        error: Failure,
        at: DateTime<Utc>,
        decision: &mut Decision,
    ) {
        match self.retry_at(ordinal, &error, at) {
            Some(wake_at) => {
                let outcome = if status == StepStatus::TimedOut { PastOutcome::TimedOut } else { PastOutcome::Failed };
                self.record(Change::StepRetrying { step: ordinal, outcome, error, at, wake_at }, decision);
            }
            None => self.end_step(ordinal, status, output, Some(error), at, decision),
        }
    }

    /// Ends an instance that did what it was for, if what it put out is what its step declares.
    pub(super) fn complete(&mut self, ordinal: i32, output: Value, now: DateTime<Utc>, decision: &mut Decision) {
        let state = self.at(ordinal);
        let declared = self.definition(state).outputs.as_ref().filter(|_| state.layer == crate::Layer::Action);
        let (Some(declared), Value::Object(given)) = (declared, &output) else {
            return self.end_step(ordinal, StepStatus::Completed, Some(output), None, now, decision);
        };
        match declared.check_outputs(given.clone()) {
            Ok(checked) => {
                self.end_step(ordinal, StepStatus::Completed, Some(Value::Object(checked)), None, now, decision);
            }
            Err(problems) => {
                let detail: Vec<String> = problems.iter().map(ToString::to_string).collect();
                let failure = Failure::permanent(FailureKind::Output, "its outputs are not what the step declares")
                    .with_code("schema")
                    .with_detail(detail.join("; "));
                self.failed(ordinal, StepStatus::Failed, Some(output), failure, now, decision);
            }
        }
    }

    pub(super) fn end_step(
        &mut self,
        ordinal: i32,
        status: StepStatus,
        output: Option<Value>,
        error: Option<Failure>,
        at: DateTime<Utc>,
        decision: &mut Decision,
    ) {
        self.record(Change::StepEnded { step: ordinal, status, output, error, at }, decision);
        let (scope, place) = (self.instance(ordinal).scope, self.instance(ordinal).place);
        match (place, self.at(ordinal).parent) {
            (Place::Slot, _) => self.slot_ended(scope, ordinal, at, decision),
            (Place::Item(_), Some(parent)) => self.value_ended(parent, at, decision),
            (Place::Round(_), Some(parent)) => self.round_ended(parent, ordinal, at, decision),
            (Place::Item(_) | Place::Round(_), None) => {}
        }
    }

    fn slot_ended(&mut self, scope: usize, ordinal: i32, at: DateTime<Utc>, decision: &mut Decision) {
        let state = self.at(ordinal);
        let (step, lets_go_on) = (state.step, self.counts_as_completed(state));
        self.scopes[scope].open -= 1;
        for which in 0..self.graph.dependents[step].len() {
            let dependent = self.graph.dependents[step][which];
            let position = self.graph.position[dependent];
            let is_doomed = !lets_go_on && !self.asks_for_status(dependent);
            let slot = &mut self.scopes[scope].slots[position];
            slot.missing -= 1;
            if slot.ordinal.is_none() && (slot.missing == 0 || is_doomed) {
                self.enqueue_slot(scope, position);
            }
        }
        if self.scopes[scope].open == 0 {
            self.scope_ended(scope, at, decision);
        }
    }

    fn scope_ended(&mut self, scope: usize, at: DateTime<Utc>, decision: &mut Decision) {
        let Some(owner) = self.scopes[scope].owner else {
            return self.phase_ended(scope, at, decision);
        };
        if self.scopes[scope].undo.is_some() {
            return self.undo_ended(owner, at, decision);
        }
        if self.instance(owner).stopping.is_some() {
            return self.end_stopped(owner, at, decision);
        }
        let outputs = self.scope_outputs(scope);
        match self.first_failure(scope) {
            Some(cause) => self.end_step(owner, StepStatus::Failed, Some(outputs), Some(cause), at, decision),
            None => self.complete(owner, outputs, at, decision),
        }
    }

    /// Ends an instance that was to be stopped, now that nothing of it goes on.
    pub(super) fn end_stopped(&mut self, ordinal: i32, at: DateTime<Utc>, decision: &mut Decision) {
        let stopping = self.instance_mut(ordinal).stopping.take();
        let (status, failure) = stopping.unwrap_or_else(|| (StepStatus::Cancelled, phases::execution_ended()));
        let output = match self.instance(ordinal).inside {
            Inside::Scope(scope) => Some(self.scope_outputs(scope)),
            Inside::Nothing | Inside::Items(_) | Inside::Rounds { .. } => None,
        };
        if status == StepStatus::TimedOut {
            self.failed(ordinal, status, output, failure, at, decision);
        } else {
            self.end_step(ordinal, status, output, Some(failure), at, decision);
        }
    }

    /// The failure of a scope that came first is the cause; later ones are its company.
    pub(super) fn first_failure(&self, scope: usize) -> Option<Failure> {
        let states = self.scopes[scope].slots.iter().filter_map(|slot| slot.ordinal).map(|ordinal| self.at(ordinal));
        let state = states
            .filter(|state| {
                matches!(state.status, StepStatus::Failed | StepStatus::TimedOut) && !self.counts_as_completed(state)
            })
            .min_by_key(|state| (state.completed_at, state.ordinal))?;
        state.error.clone().map(|failure| failure.in_step(&state.key))
    }
}
