//! What is told of an execution as events, where its definition asks for that or somebody waits for it.

use std::collections::HashMap;

use cogwheel_definition::History;
use cogwheel_machine::{Execution, ExecutionId, ExecutionStatus, Failure, StepState, StepStatus};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::drive::Drive;
use super::journal::step_row;
use super::told_saga::ToldSaga;
use crate::Engine;
use crate::events::EventType;
use crate::history::{self, ROW, StepFacts, WholeFacts};
use crate::ports::{Actor, NewEvent, SagaRows, StepRow};
use crate::triggers::depth_of;

/// What was told of an execution by now.
#[derive(Debug)]
pub(super) struct Told {
    status: ExecutionStatus,
    /// Of each step, its status and the attempt.
    steps: HashMap<i32, (StepStatus, i32)>,
    /// What of it as a saga.
    pub(super) saga: ToldSaga,
}

impl Told {
    /// Of an execution as it is recorded.
    pub(super) fn until(execution: &Execution) -> Self {
        let status = execution.status();
        let has_begun = status != ExecutionStatus::Queued;
        let saga = execution.saga().filter(|_| has_begun).map(|saga| saga.status);
        Self { status, steps: HashMap::new(), saga: ToldSaga::until(saga) }
    }

    /// What a new status adds to what was told, in order.
    fn turns(&mut self, status: ExecutionStatus) -> Vec<EventType> {
        let before = std::mem::replace(&mut self.status, status);
        if before == status {
            return Vec::new();
        }
        let mut turns = Vec::new();
        match (before, status) {
            (ExecutionStatus::Queued, ExecutionStatus::Cancelled | ExecutionStatus::TimedOut) => {}
            (ExecutionStatus::Queued, _) => turns.push(EventType::WorkflowStarted),
            (ExecutionStatus::Waiting, ExecutionStatus::Running) => turns.push(EventType::WorkflowResumed),
            _ => {}
        }
        turns.extend(match status {
            ExecutionStatus::Queued | ExecutionStatus::Running => None,
            ExecutionStatus::Waiting => Some(EventType::WorkflowWaiting),
            ExecutionStatus::Compensating => Some(EventType::WorkflowCompensating),
            ExecutionStatus::Completed => Some(EventType::WorkflowCompleted),
            ExecutionStatus::Failed => Some(EventType::WorkflowFailed),
            ExecutionStatus::Cancelled => Some(EventType::WorkflowCancelled),
            ExecutionStatus::TimedOut => Some(EventType::WorkflowTimedOut),
            ExecutionStatus::Compensated => Some(EventType::WorkflowCompensated),
        });
        turns
    }

    /// Nobody hears of what a record says: the status counts as told, and of the steps nothing is known any more.
    fn pass_over(&mut self, status: ExecutionStatus) {
        self.status = status;
        self.steps.clear();
    }

    fn is_new(&mut self, step: i32, status: StepStatus, attempt: i32) -> bool {
        self.steps.insert(step, (status, attempt)) != Some((status, attempt))
    }
}

fn step_event(status: StepStatus) -> Option<EventType> {
    Some(match status {
        StepStatus::Pending => return None,
        StepStatus::Running => EventType::StepStarted,
        StepStatus::Waiting => EventType::StepWaiting,
        StepStatus::Retrying => EventType::StepRetrying,
        StepStatus::Completed => EventType::StepCompleted,
        StepStatus::Failed => EventType::StepFailed,
        StepStatus::Skipped => EventType::StepSkipped,
        StepStatus::Cancelled => EventType::StepCancelled,
        StepStatus::TimedOut => EventType::StepTimedOut,
    })
}

fn told_failure(failure: Option<&Failure>) -> Value {
    failure.and_then(|failure| serde_json::to_value(failure).ok()).map_or(Value::Null, |it| history::told_failure(&it))
}

impl Drive<'_> {
    /// Puts what is to be told of a record around what its steps emitted.
    pub(super) fn events_to_tell(
        &mut self,
        has_head: bool,
        steps: &[StepRow],
        saga: Option<&SagaRows>,
        emitted: Vec<NewEvent>,
    ) -> Vec<NewEvent> {
        let Some(engine) = self.engine() else { return emitted };
        let is_full = self.tells_all();
        let catalog = engine.catalog();
        if !is_full && !catalog.has_event_triggers() && !engine.outgoing().has_subscriptions() {
            self.told.pass_over(self.execution.status());
            return emitted;
        }
        let is_wanted = |event_type: &EventType| is_full || engine.wants_event(event_type.as_str());
        let mut turns = if has_head { self.told.turns(self.execution.status()) } else { Vec::new() };
        turns.retain(is_wanted);
        let mut events = Vec::with_capacity(turns.len() + emitted.len());
        if turns.first() == Some(&EventType::WorkflowStarted) {
            turns.remove(0);
            events.push(self.turn(EventType::WorkflowStarted));
            if is_full {
                events.extend(self.kept(steps));
            }
        }
        let (saga_begins, saga_goes_on) = saga.map(|rows| self.of_saga(rows)).unwrap_or_default();
        events.extend(saga_begins);
        events.extend(emitted);
        for step in steps {
            // What is told of a step later must not depend on who listens now.
            let is_new = self.told.is_new(step.state.ordinal, step.state.status, step.state.attempt);
            if let Some(event_type) = step_event(step.state.status).filter(|kind| is_new && is_wanted(kind)) {
                events.push(self.of_step(event_type, step));
            }
        }
        events.extend(saga_goes_on);
        events.extend(turns.into_iter().map(|turn| self.turn(turn)));
        events
    }

    /// Whether every change is told, whoever listens.
    fn tells_all(&self) -> bool {
        self.execution.workflow().history == History::Full || self.is_saga()
    }

    /// The steps that the execution has from the one it does over; they ended there.
    fn kept(&self, written: &[StepRow]) -> Vec<NewEvent> {
        let execution = &self.execution;
        let is_own = |state: &&StepState| {
            state.status == StepStatus::Completed && written.iter().all(|own| own.state.ordinal != state.ordinal)
        };
        let kept = execution.steps().iter().filter(is_own);
        kept.map(|state| self.of_step(EventType::StepKept, &step_row(execution, state, &self.runner.steps))).collect()
    }

    fn turn(&self, event_type: EventType) -> NewEvent {
        let execution = &self.execution;
        let status = match event_type {
            EventType::WorkflowStarted | EventType::WorkflowResumed => ExecutionStatus::Running,
            _ => execution.status(),
        };
        let mut data = turned(execution, status);
        if status.is_terminal() {
            data["error"] = told_failure(execution.error());
        }
        let is_first = event_type == EventType::WorkflowStarted;
        let row = (is_first && self.tells_all()).then_some(WholeFacts { is_whole: true });
        self.event(event_type, &data, row)
    }

    fn of_step(&self, event_type: EventType, step: &StepRow) -> NewEvent {
        let execution = &self.execution;
        let mut data = json!({
            "workflow": execution.workflow().name,
            "execution_id": execution.id().to_string(),
            "step": step.state.key,
            "ordinal": step.state.ordinal,
            "step_type": step.step_type,
            "attempt": step.state.attempt,
        });
        if event_type.fields().contains(&"error") {
            data["error"] = told_failure(step.state.error.as_ref());
        }
        let row = self.tells_all().then(|| StepFacts::of(&step.state));
        self.event(event_type, &data, row)
    }

    /// An event of the execution: what it tells, and the row that it keeps.
    pub(super) fn event(&self, event_type: EventType, data: &Value, row: Option<impl Serialize>) -> NewEvent {
        let mut event = event(&self.execution, self.runner.clock.new_id(), self.correlation_id, event_type, data);
        if let Some(row) = row {
            // All of them have a JSON form: their maps have texts for names.
            event.data[ROW] = serde_json::to_value(row).unwrap_or_default();
        }
        event
    }

    /// The event that set the execution off, where one did.
    pub(super) fn cause(&self) -> Option<Uuid> {
        cause(self.execution.trigger())
    }
}

/// What tells that a completed execution is undone after all: nobody drives it at that moment.
pub(crate) fn undone_after_all(execution: &Execution, id: Uuid, correlation_id: Uuid) -> NewEvent {
    let data = turned(execution, ExecutionStatus::Compensating);
    event(execution, id, correlation_id, EventType::WorkflowCompensating, &data)
}

fn turned(execution: &Execution, status: ExecutionStatus) -> Value {
    json!({
        "workflow": execution.workflow().name,
        "execution_id": execution.id().to_string(),
        "status": status.as_str(),
        "trigger": execution.trigger()["type"],
    })
}

fn event(execution: &Execution, id: Uuid, correlation_id: Uuid, event_type: EventType, data: &Value) -> NewEvent {
    let (workflow, trigger) = (&execution.workflow().name, execution.trigger());
    NewEvent {
        id,
        event_type,
        data: json!({ "subject": workflow, "data": data }),
        actor: Actor::Engine,
        depth: depth_of(trigger),
        correlation_id: Some(correlation_id),
        causation_id: cause(trigger),
    }
}

fn cause(trigger: &Value) -> Option<Uuid> {
    trigger["event"]["id"].as_str()?.parse().ok()
}

/// An execution that ends because nothing more can be told of it.
pub(crate) struct GivenUp<'g> {
    pub(crate) workflow: &'g str,
    pub(crate) execution: ExecutionId,
    pub(crate) trigger: &'g Value,
    pub(crate) correlation_id: Uuid,
    pub(crate) is_saga: bool,
    pub(crate) failure: &'g Failure,
}

impl GivenUp<'_> {
    /// What tells of that end.
    pub(crate) fn events(&self, engine: &Engine) -> Vec<NewEvent> {
        let event = |event_type: EventType, more: (&str, Value)| {
            let mut data = json!({ "workflow": self.workflow, "execution_id": self.execution.to_string() });
            data[more.0] = more.1;
            if event_type == EventType::WorkflowFailed {
                data["status"] = json!(ExecutionStatus::Failed.as_str());
                data["trigger"] = self.trigger["type"].clone();
            }
            NewEvent {
                id: engine.clock().new_id(),
                event_type,
                data: json!({ "subject": self.workflow, "data": data }),
                actor: Actor::Engine,
                depth: depth_of(self.trigger),
                correlation_id: Some(self.correlation_id),
                causation_id: cause(self.trigger),
            }
        };
        let mut events = Vec::new();
        if self.is_saga {
            events.push(event(EventType::SagaGivenUp, ("not_undone", json!(self.failure.not_undone))));
        }
        if self.is_saga || engine.wants_event(EventType::WorkflowFailed.as_str()) {
            events.push(event(EventType::WorkflowFailed, ("error", told_failure(Some(self.failure)))));
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told_until(status: ExecutionStatus) -> Told {
        Told { status, steps: HashMap::new(), saga: ToldSaga::until(None) }
    }

    #[test]
    fn a_status_is_told_once_and_a_start_is_never_left_out() {
        let mut told = told_until(ExecutionStatus::Queued);
        assert_eq!(told.turns(ExecutionStatus::Queued), []);
        assert_eq!(told.turns(ExecutionStatus::Completed), [EventType::WorkflowStarted, EventType::WorkflowCompleted]);
        let mut told = told_until(ExecutionStatus::Running);
        assert_eq!(told.turns(ExecutionStatus::Waiting), [EventType::WorkflowWaiting]);
        assert_eq!(told.turns(ExecutionStatus::Waiting), []);
        assert_eq!(told.turns(ExecutionStatus::Running), [EventType::WorkflowResumed]);
        assert_eq!(told.turns(ExecutionStatus::Failed), [EventType::WorkflowFailed]);
        let mut told = told_until(ExecutionStatus::Queued);
        assert_eq!(told.turns(ExecutionStatus::Cancelled), [EventType::WorkflowCancelled]);
    }

    #[test]
    fn each_attempt_of_a_step_is_told() {
        let mut told = told_until(ExecutionStatus::Running);
        assert!(told.is_new(1, StepStatus::Running, 1));
        assert!(!told.is_new(1, StepStatus::Running, 1));
        assert!(told.is_new(1, StepStatus::Retrying, 1));
        assert!(told.is_new(1, StepStatus::Running, 2));
    }

    #[test]
    fn a_step_is_told_anew_after_nobody_listened() {
        let mut told = told_until(ExecutionStatus::Running);
        assert!(told.is_new(1, StepStatus::Running, 1));
        // Nobody hears that it waited meanwhile.
        told.pass_over(ExecutionStatus::Waiting);
        assert!(told.is_new(1, StepStatus::Running, 1));
        assert_eq!(told.turns(ExecutionStatus::Running), [EventType::WorkflowResumed]);
    }
}
