//! What is told of an execution as events, where its definition asks for that or somebody waits for it.

use std::collections::HashMap;

use cogwheel_definition::History;
use cogwheel_machine::{Execution, ExecutionStatus, Failure, StepStatus};
use serde_json::{Value, json};
use uuid::Uuid;

use super::drive::Drive;
use crate::events::EventType;
use crate::ports::{Actor, NewEvent, StepRow};
use crate::triggers::depth_of;

/// What was told of an execution by now.
#[derive(Debug)]
pub(super) struct Told {
    status: ExecutionStatus,
    /// Of each step, its status and the attempt.
    steps: HashMap<i32, (StepStatus, i32)>,
}

impl Told {
    /// Of an execution that is recorded in this status.
    pub(super) fn until(status: ExecutionStatus) -> Self {
        Self { status, steps: HashMap::new() }
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
    failure.map_or(Value::Null, |error| json!({ "kind": error.kind, "title": error.title, "step": error.step }))
}

impl Drive<'_> {
    /// Puts what is to be told of a record around what its steps emitted.
    pub(super) fn events_to_tell(
        &mut self,
        has_head: bool,
        steps: &[StepRow],
        emitted: Vec<NewEvent>,
    ) -> Vec<NewEvent> {
        let Some(engine) = self.engine() else { return emitted };
        let is_full = self.execution.workflow().history == History::Full;
        let catalog = engine.catalog();
        if !is_full && !catalog.has_event_triggers() && !engine.outgoing().has_subscriptions() {
            // What nobody heard of need not be compared with later.
            self.told.status = self.execution.status();
            return emitted;
        }
        let is_wanted = |event_type: &EventType| is_full || engine.wants_event(event_type.as_str());
        let mut turns = if has_head { self.told.turns(self.execution.status()) } else { Vec::new() };
        turns.retain(is_wanted);
        let mut events = Vec::with_capacity(turns.len() + emitted.len());
        if turns.first() == Some(&EventType::WorkflowStarted) {
            turns.remove(0);
            events.push(self.turn(EventType::WorkflowStarted));
        }
        events.extend(emitted);
        for step in steps {
            let Some(event_type) = step_event(step.state.status).filter(|event_type| is_wanted(event_type)) else {
                continue;
            };
            if self.told.is_new(step.state.ordinal, step.state.status, step.state.attempt) {
                events.push(self.of_step(event_type, step));
            }
        }
        events.extend(turns.into_iter().map(|turn| self.turn(turn)));
        events
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
        self.event(event_type, &data)
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
        self.event(event_type, &data)
    }

    fn event(&self, event_type: EventType, data: &Value) -> NewEvent {
        event(&self.execution, self.runner.clock.new_id(), self.correlation_id, event_type, data)
    }

    /// The event that set the execution off, where one did.
    pub(super) fn cause(&self) -> Option<Uuid> {
        cause(&self.execution)
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
    NewEvent {
        id,
        event_type,
        data: json!({ "subject": execution.workflow().name, "data": data }),
        actor: Actor::Engine,
        depth: depth_of(execution.trigger()),
        correlation_id: Some(correlation_id),
        causation_id: cause(execution),
    }
}

fn cause(execution: &Execution) -> Option<Uuid> {
    execution.trigger()["event"]["id"].as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_told_once_and_a_start_is_never_left_out() {
        let mut told = Told::until(ExecutionStatus::Queued);
        assert_eq!(told.turns(ExecutionStatus::Queued), []);
        assert_eq!(told.turns(ExecutionStatus::Completed), [EventType::WorkflowStarted, EventType::WorkflowCompleted]);
        let mut told = Told::until(ExecutionStatus::Running);
        assert_eq!(told.turns(ExecutionStatus::Waiting), [EventType::WorkflowWaiting]);
        assert_eq!(told.turns(ExecutionStatus::Waiting), []);
        assert_eq!(told.turns(ExecutionStatus::Running), [EventType::WorkflowResumed]);
        assert_eq!(told.turns(ExecutionStatus::Failed), [EventType::WorkflowFailed]);
        let mut told = Told::until(ExecutionStatus::Queued);
        assert_eq!(told.turns(ExecutionStatus::Cancelled), [EventType::WorkflowCancelled]);
    }

    #[test]
    fn each_attempt_of_a_step_is_told() {
        let mut told = Told::until(ExecutionStatus::Running);
        assert!(told.is_new(1, StepStatus::Running, 1));
        assert!(!told.is_new(1, StepStatus::Running, 1));
        assert!(told.is_new(1, StepStatus::Retrying, 1));
        assert!(told.is_new(1, StepStatus::Running, 2));
    }
}
