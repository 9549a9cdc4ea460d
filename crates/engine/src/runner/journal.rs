//! Makes what became true of an execution durable, before anything acts on it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use cogwheel_definition::Action;
use cogwheel_machine::{Execution, ExecutionStatus, Failure, FailureKind, Layer, StepState, StepStatus};
use tracing::{error, warn};

use super::UnrecordedStart;
use super::drive::Drive;
use super::saga;
use super::told::GivenUp;
use crate::Engine;
use crate::events::EventType;
use crate::ports::{Head, Record, Started, StepEffect, StepRegistry, StepRow, StoreError, StoredLog};

/// The longest pause between tries while the database is away.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Whether the execution may go on after a write.
#[derive(PartialEq, Eq)]
pub(super) enum Written {
    Durable,
    /// It belongs to somebody else now, or cannot be recorded: nothing more may be done for it here.
    Refused,
}

/// What events a record carries.
#[derive(Clone, Copy, Default)]
struct Events {
    count: usize,
    /// Whether steps emitted any of them.
    has_own: bool,
}

impl Events {
    fn of(record: &Record) -> Self {
        let has_own = record.events.iter().any(|event| matches!(event.event_type, EventType::Custom(_)));
        Self { count: record.events.len(), has_own }
    }
}

impl Drive<'_> {
    /// Writes all that is unwritten. While the database is away it tries again; the execution stands still until then.
    pub(super) async fn write(&mut self) -> Written {
        if let Some(start) = self.start.take() {
            return self.write_start(start).await;
        }
        if self.unwritten.is_empty() {
            return Written::Durable;
        }
        let mut record = self.take_record();
        if self.offload(&mut record).await == Written::Refused {
            return Written::Refused;
        }
        let events = Events::of(&record);
        let mut pause = Duration::from_millis(50);
        let mut is_unanswered = false;
        loop {
            match self.runner.store.record(record.clone()).await {
                Ok(()) => {
                    self.notify();
                    self.tell_of_events(events);
                    return Written::Durable;
                }
                // Its end is refused because it is there: it was recorded, but the answer got lost.
                Err(StoreError::Conflict(_)) if is_unanswered && self.execution.status().is_terminal() => {
                    self.notify();
                    self.tell_of_events(events);
                    return Written::Durable;
                }
                Err(error) if error.is_transient() => {
                    is_unanswered |= matches!(error, StoreError::Unanswered(_));
                    warn!(execution = %self.execution.id(), %error, "the database is away; the execution stands still");
                    tokio::select! {
                        () = self.runner.killing.cancelled() => return Written::Refused,
                        () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                    }
                }
                Err(StoreError::Conflict(why)) => {
                    warn!(execution = %self.execution.id(), why, "the execution is not this node's any more");
                    self.is_lost = true;
                    return Written::Refused;
                }
                Err(error) => {
                    error!(execution = %self.execution.id(), %error, "what became of the execution cannot be recorded");
                    self.end_unrecordable(&error).await;
                    return Written::Refused;
                }
            }
        }
    }

    /// Records the start of the execution, with what became of it by now.
    async fn write_start(&mut self, unrecorded: UnrecordedStart) -> Written {
        let UnrecordedStart { mut start, answer } = unrecorded;
        if !self.unwritten.is_empty() {
            let mut record = self.take_record();
            if self.offload(&mut record).await == Written::Refused {
                // Nobody knows of it yet: whoever asked for it may ask again.
                self.is_nowhere = true;
                let _ = answer.send(Err(StoreError::Unavailable("the server is stopping".to_owned())));
                return Written::Refused;
            }
            start.first = Some(Box::new(record));
        }
        let events = start.first.as_deref().map(Events::of).unwrap_or_default();
        let recorded = self.runner.record_start(*start).await;
        self.is_recorded = matches!(recorded, Ok(Started::Accepted));
        self.is_nowhere = match &recorded {
            // Under its own id it is recorded, and runs elsewhere.
            Ok(Started::Duplicate { execution }) => *execution != Some(self.execution.id()),
            Ok(Started::PassedOver) => true,
            Ok(Started::Accepted | Started::Replacing(_) | Started::Skipped) => false,
            Err(error) => !matches!(error, StoreError::Unanswered(_)),
        };
        if self.is_recorded {
            self.notify();
            self.tell_of_events(events);
        }
        // Whoever asked may be gone; what is recorded runs all the same.
        let _ = answer.send(recorded);
        if self.is_recorded { Written::Durable } else { Written::Refused }
    }

    /// Ends an execution whose record no retry brings into the database: it must not be left without anybody who looks
    /// after it.
    async fn end_unrecordable(&self, error: &StoreError) {
        let at = self.runner.clock.now();
        let failure = Failure::permanent(FailureKind::Internal, "what became of the execution cannot be recorded")
            .with_detail(error.to_string());
        let failure = Failure { not_undone: self.execution.left_behind(), ..failure };
        let given_up = GivenUp {
            workflow: &self.execution.workflow().name,
            execution: self.execution.id(),
            trigger: self.execution.trigger(),
            correlation_id: self.correlation_id,
            is_saga: self.is_saga(),
            failure: &failure,
        };
        let events = self.engine().map(|engine| given_up.events(&engine)).unwrap_or_default();
        let head = Head {
            status: ExecutionStatus::Failed,
            owner: None,
            started_at: self.execution.started_at(),
            deadline_at: self.execution.deadline_at(),
            next_wake_at: None,
            completed_at: Some(at),
            result: None,
            error: Some(failure),
        };
        let record = Record {
            execution: self.execution.id(),
            tenant: self.tenant,
            workflow: self.workflow,
            epoch: self.epoch,
            head: Some(head),
            steps: Vec::new(),
            saga: self.is_saga().then(saga::given_up),
            logs: Vec::new(),
            events,
            artifacts: Vec::new(),
            parent: self.parent.map(|parent| parent.execution),
            at,
        };
        match self.runner.store.record(record).await {
            Ok(()) => {
                self.notify();
                self.tell_of_end().await;
            }
            Err(error) => error!(execution = %self.execution.id(), %error, "nor can its failure"),
        }
    }

    fn origin(&self) -> saga::Origin {
        saga::Origin { correlation_id: self.correlation_id, parent: self.parent.map(|parent| parent.execution) }
    }

    fn take_record(&mut self) -> Record {
        let unwritten = std::mem::take(&mut self.unwritten);
        let execution = &self.execution;
        let at = self.runner.clock.now();
        let saga = saga::rows(execution, &self.origin(), unwritten.head, &unwritten.steps, &unwritten.undos, at);
        let saga = saga.and_then(|rows| self.told.saga.retain_new(rows));
        let steps: Vec<StepRow> = unwritten
            .steps
            .into_iter()
            .filter_map(|step| execution.step(step))
            .map(|state| step_row(execution, state, &self.runner.steps))
            .collect();
        let events = self.events_to_tell(unwritten.head, &steps, saga.as_deref(), unwritten.events);
        let first = self.next_log_sequence;
        let logs: Vec<StoredLog> = unwritten
            .logs
            .into_iter()
            .zip(first..)
            .map(|((step, attempt, line), sequence)| StoredLog {
                sequence,
                step_ordinal: Some(step),
                attempt: Some(attempt),
                level: line.level,
                stream: line.stream,
                message: line.message,
                at: line.at,
            })
            .collect();
        self.next_log_sequence += i64::try_from(logs.len()).unwrap_or(i64::MAX);
        let has_ended = self.execution.status().is_terminal();
        Record {
            execution: self.execution.id(),
            tenant: self.tenant,
            workflow: self.workflow,
            epoch: self.epoch,
            head: unwritten.head.then(|| self.head(unwritten.lets_go)),
            steps,
            saga,
            logs,
            events,
            artifacts: unwritten.artifacts,
            parent: self.parent.filter(|_| has_ended).map(|parent| parent.execution),
            at,
        }
    }

    /// Lets events that were recorded be held against triggers and webhooks, and keeps the state that they brought about
    /// when it is time.
    fn tell_of_events(&mut self, events: Events) {
        if events.count == 0 {
            return;
        }
        if let Some(engine) = self.engine() {
            engine.tell_of_events();
            if events.has_own {
                engine.emitted().tell(self.tenant, self.correlation_id);
            }
        }
        if self.is_saga() {
            self.unkept_events += events.count;
            self.keep_snapshot();
        }
    }

    pub(super) fn engine(&self) -> Option<Arc<Engine>> {
        self.runner.engine.get().and_then(Weak::upgrade)
    }

    fn head(&self, lets_go: bool) -> Head {
        let execution = &self.execution;
        let status: ExecutionStatus = execution.status();
        Head {
            status,
            owner: (!status.is_terminal() && !lets_go).then_some(self.runner.node),
            started_at: execution.started_at(),
            deadline_at: execution.deadline_at(),
            next_wake_at: execution.next_wake_at(),
            completed_at: execution.completed_at(),
            result: execution.result().cloned(),
            error: execution.error().cloned(),
        }
    }
}

/// A step instance as it is recorded.
pub(crate) fn step_row(execution: &Execution, state: &StepState, steps: &StepRegistry) -> StepRow {
    let step = execution.definition(state);
    StepRow {
        name: step.name.clone().unwrap_or_else(|| step.id.clone()),
        step_type: match state.layer {
            Layer::Foreach => "foreach",
            Layer::Loop => "loop",
            Layer::Action => step.action.step_type(),
        },
        effect: effect(execution, state, steps),
        state: state.clone(),
        offloaded: None,
    }
}

fn effect(execution: &Execution, state: &StepState, steps: &StepRegistry) -> StepEffect {
    let action = &execution.definition(state).action;
    let has_effect = match (state.layer, action) {
        (Layer::Foreach | Layer::Loop, _) => false,
        (Layer::Action, Action::Workflow { .. }) => true,
        (Layer::Action, action) => {
            // What this server has no step type for has never run.
            action.is_run() && steps.get(action.step_type()).is_some_and(|step_type| !step_type.only_computes())
        }
    };
    if !has_effect || state.attempt == 0 {
        StepEffect::None
    } else if state.status == StepStatus::Completed {
        StepEffect::Applied
    } else {
        StepEffect::Unknown
    }
}
