//! What comes to a waiting step from outside: its time, a signal, the end of the execution it started.

use chrono::{DateTime, Utc};
use cogwheel_definition::{Action, Wait};
use serde_json::{Value, json};

use super::{Decision, Rejected, phases};
use crate::scope::Inside;
use crate::work::Work;
use crate::{AwaitedEvent, Execution, ExecutionId, ExecutionStatus, Failure, FailureKind, StepState, StepStatus};

/// The longest data of an event that are told as the detail of a failure, in bytes.
const LONGEST_DETAIL: usize = 1000;

impl Execution {
    /// A time of an instance has come: it must have ended, or it goes on.
    pub(super) fn due(&mut self, ordinal: i32, now: DateTime<Utc>, decision: &mut Decision) {
        let state = self.at(ordinal);
        if state.status.is_terminal() {
            return;
        }
        let (step, layer) = (state.step, state.layer);
        let takes_room = self.takes_room(step, layer);
        if state.timeout_at.is_some_and(|at| at <= now) && !takes_room {
            let failure = phases::step_timeout(self.definition(state).timeout);
            return self.stop_step(ordinal, StepStatus::TimedOut, failure, now, decision);
        }
        if state.wake_at.is_none_or(|at| at > now) || self.instance(ordinal).stopping.is_some() {
            return;
        }
        let (status, timeout_at) = (state.status, state.timeout_at);
        self.set_times(ordinal, None, timeout_at);
        match (status, &self.instance(ordinal).inside) {
            (StepStatus::Retrying, _) => self.enqueue(Work::Attempt(ordinal), takes_room),
            (_, Inside::Rounds { .. }) => self.enqueue_round(ordinal),
            _ => self.complete(ordinal, json!({}), now, decision),
        }
    }

    pub(super) fn signalled(
        &mut self,
        ordinal: i32,
        payload: &Value,
        received_at: DateTime<Utc>,
        now: DateTime<Utc>,
        decision: &mut Decision,
    ) -> Result<(), Rejected> {
        self.require_live()?;
        let state = self.step(ordinal).ok_or(Rejected::NotAwaited)?;
        let Some(signal) = state.signal.as_ref().filter(|_| state.status == StepStatus::Waiting) else {
            return Err(Rejected::NotAwaited);
        };
        if let Action::Wait(Wait::Event(events)) = &self.definition(state).action {
            let failures = events.failures.clone();
            self.event_came(ordinal, &failures, payload, now, decision);
            return Ok(());
        }
        let received_at = crate::context::instant(received_at);
        let output = json!({ "name": signal.name, "payload": payload, "received_at": received_at });
        self.complete(ordinal, output, now, decision);
        Ok(())
    }

    /// An event that a step waited for: it has completed, or failed for good.
    fn event_came(
        &mut self,
        ordinal: i32,
        failures: &[String],
        event: &Value,
        now: DateTime<Utc>,
        decision: &mut Decision,
    ) {
        let event_type = event["type"].as_str().unwrap_or_default();
        if !failures.iter().any(|failure| failure == event_type) {
            return self.complete(ordinal, event.clone(), now, decision);
        }
        let failure =
            Failure::permanent(FailureKind::Event, format!("the event {event_type} came")).with_code(event_type);
        let said = event["data"].to_string();
        let is_worth_telling = !event["data"].is_null() && said.len() <= LONGEST_DETAIL;
        let failure = if is_worth_telling { failure.with_detail(said) } else { failure };
        // Asking again is not waiting again: it takes a step that asks.
        self.end_step(ordinal, StepStatus::Failed, Some(event.clone()), Some(failure), now, decision);
    }

    /// The event that a step waits for; nothing of one that waits for something else.
    pub fn awaited_event<'a>(&'a self, state: &'a StepState) -> Option<AwaitedEvent<'a>> {
        let Action::Wait(Wait::Event(events)) = &self.definition(state).action else { return None };
        let subject = state.input.as_ref().and_then(|input| input["subject"].as_str());
        Some(AwaitedEvent { types: events.types.iter().chain(&events.failures).map(String::as_str).collect(), subject })
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one input")]
    pub(super) fn child_ended(
        &mut self,
        ordinal: i32,
        child: ExecutionId,
        status: ExecutionStatus,
        result: Option<Value>,
        error: Option<Failure>,
        now: DateTime<Utc>,
        decision: &mut Decision,
    ) -> Result<(), Rejected> {
        self.require_live()?;
        let state = self.step(ordinal).ok_or(Rejected::NotAwaited)?;
        if !self.heeds_child(state) || self.child_id(ordinal) != Some(child) {
            return Err(Rejected::NotAwaited);
        }
        let key = &self.at(ordinal).key;
        let not_undone: Vec<String> =
            error.iter().flat_map(|error| &error.not_undone).map(|left| format!("{key}/{left}")).collect();
        if let Some((_, failure)) = &mut self.instance_mut(ordinal).stopping {
            failure.not_undone = not_undone;
            self.end_stopped(ordinal, now, decision);
            return Ok(());
        }
        if status == ExecutionStatus::Completed {
            self.complete(ordinal, result.unwrap_or_else(|| json!({})), now, decision);
            return Ok(());
        }
        let why = error.map(|error| match error.step {
            Some(step) => format!("{step}: {}", error.title),
            None => error.title,
        });
        let failure =
            Failure::retriable(FailureKind::Workflow, format!("the execution {child} ended {}", status.as_str()))
                .with_code(status.as_str());
        let failure = Failure { not_undone, ..failure };
        let failure = match why {
            Some(why) => failure.with_detail(why),
            None => failure,
        };
        self.failed(ordinal, StepStatus::Failed, None, failure, now, decision);
        Ok(())
    }

    /// The id of the execution that the current attempt of a step starts.
    pub fn child_id(&self, ordinal: i32) -> Option<ExecutionId> {
        let state = self.step(ordinal)?;
        matches!(self.definition(state).action, Action::Workflow { .. }).then_some(())?;
        Some(ExecutionId(self.new.id.of_attempt(ordinal, state.attempt, state.started_at?)))
    }

    /// The steps that wait for a signal.
    pub fn awaiting_signals(&self) -> impl Iterator<Item = &StepState> {
        self.steps.iter().filter(|state| state.status == StepStatus::Waiting && state.signal.is_some())
    }

    /// The steps that wait for the end of the execution that they started.
    pub fn awaiting_children(&self) -> impl Iterator<Item = i32> {
        self.steps.iter().filter(|state| self.heeds_child(state)).map(|state| state.ordinal)
    }

    /// Whether the end of the execution that a step started means anything to it: not to one that only starts it,
    /// unless it had to cancel it.
    fn heeds_child(&self, state: &StepState) -> bool {
        let waits = matches!(self.definition(state).action, Action::Workflow { wait: true, .. });
        self.awaits_child(state) && (waits || self.instance(state.ordinal).stopping.is_some())
    }
}
