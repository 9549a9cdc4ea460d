//! The state of one execution: what is known of it and of each of its steps.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use cogwheel_definition::{MAIN_BLOCK, Step, Workflow};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::saga::Saga;
use crate::scope::{Graph, Instance, Scope};
use crate::work::WorkQueue;
use crate::{ExecutionId, ExecutionStatus, Failure, StepStatus};

/// Bounds that the installation sets for every execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many steps of one execution may run side by side.
    pub parallel_steps: usize,
    /// How often a step is tried again after its attempt was lost with the server.
    pub lost_retries: u32,
}

/// What an execution starts with.
#[derive(Clone, Debug)]
pub struct NewExecution {
    /// Its id.
    pub id: ExecutionId,
    /// The definition it runs, to its end.
    pub workflow: Arc<Workflow>,
    /// The number of that definition's version.
    pub workflow_version: i32,
    /// What set it off, as expressions see it.
    pub trigger: Value,
    /// Checked inputs, defaults filled in.
    pub inputs: Value,
    /// Ties together what belongs together: the events of the execution carry it.
    pub correlation_id: Uuid,
    /// How often the work had been done over before, from 0.
    pub retry_count: i32,
    /// When it must have left the queue.
    pub queue_deadline_at: Option<DateTime<Utc>>,
}

/// One execution in memory.
#[derive(Clone, Debug)]
pub struct Execution {
    pub(crate) new: NewExecution,
    pub(crate) limits: Limits,
    pub(crate) status: ExecutionStatus,
    pub(crate) phase: Phase,
    /// By ordinal.
    pub(crate) steps: Vec<StepState>,
    /// Where each step instance belongs and what it encloses, by ordinal.
    pub(crate) instances: Vec<Instance>,
    pub(crate) scopes: Vec<Scope>,
    /// The scope of each phase that has begun.
    pub(crate) phases: [Option<usize>; 4],
    pub(crate) graph: Graph,
    pub(crate) work: WorkQueue,
    /// When something goes on by itself, and which step instance it is.
    pub(crate) timers: BTreeSet<(DateTime<Utc>, i32)>,
    /// How many attempts are under way.
    pub(crate) running: usize,
    pub(crate) started_at: Option<DateTime<Utc>>,
    pub(crate) deadline_at: Option<DateTime<Utc>>,
    pub(crate) completed_at: Option<DateTime<Utc>>,
    /// How it ends, once its main part has.
    pub(crate) verdict: Option<ExecutionStatus>,
    pub(crate) result: Option<Value>,
    pub(crate) error: Option<Failure>,
    /// Set once the current phase must end before its steps have: they are being stopped.
    pub(crate) stopping: Option<Stopping>,
    /// Why it is being cancelled, once it is.
    pub(crate) cancel_requested: Option<CancelRequested>,
    /// What is known of it as a saga; nothing where it is none.
    pub(crate) saga: Option<Box<Saga>>,
    /// Whether anything may begin.
    pub(crate) has_room: bool,
    /// Set when the node stops taking work: what runs may end, nothing new begins.
    pub(crate) draining: bool,
}

/// The parts of an execution, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The workflow's steps.
    Main,
    /// What follows a bad end.
    OnFailure,
    /// What always comes last.
    Finally,
    /// Between the steps and what follows a bad end: undoing what they did. It has no scope of its own.
    Unwinding,
}

/// Why a phase ends before its steps have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopping {
    /// Its time limit passed.
    DeadlinePassed,
    /// Somebody asked for it.
    Cancelled,
    /// Somebody asked for everything to be undone.
    Undone,
}

/// A recorded request to cancel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CancelRequested {
    /// Why, in the words of whoever asked.
    pub reason: Option<String>,
}

/// One step instance: a step of the definition, or one round or one value of it.
#[derive(Clone, Debug, PartialEq)]
pub struct StepState {
    /// Order of creation inside the execution, from 0.
    pub ordinal: i32,
    /// Its place in the definition with the path of its rounds and values: `load[3].send`. Unique in the execution.
    pub key: String,
    /// The ordinal of the instance that encloses it.
    pub parent: Option<i32>,
    /// Its step's index in the definition; resolved from the key when an execution is restored.
    pub step: usize,
    /// Which layer of its step it is; resolved from the key when an execution is restored.
    pub layer: Layer,
    /// Where it stands.
    pub status: StepStatus,
    /// The number of the current or last attempt, from 1; 0 before the first.
    pub attempt: i32,
    /// Earlier attempts: those that were lost, and those that failed and were followed by another.
    pub history: Vec<PastAttempt>,
    /// What the last attempt was given, after expressions.
    pub input: Option<Value>,
    /// What it put out.
    pub output: Option<Value>,
    /// Why it did not complete.
    pub error: Option<Failure>,
    /// When its first attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it goes on by itself: the next attempt, the next round, the end of a wait.
    pub wake_at: Option<DateTime<Utc>>,
    /// When the current attempt must have ended.
    pub timeout_at: Option<DateTime<Utc>>,
    /// The signal it waits for.
    pub signal: Option<SignalName>,
    /// When it reached its final state.
    pub completed_at: Option<DateTime<Utc>>,
}

/// Which part of its step an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// All values of a `foreach`.
    Foreach,
    /// All rounds of an `until`.
    Loop,
    /// The action itself, for one value and one round.
    Action,
}

/// An event that a step waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwaitedEvent<'a> {
    /// Of which types it may be.
    pub types: Vec<&'a str>,
    /// What it must be about; without it, anything.
    pub subject: Option<&'a str>,
}

/// The name under which steps that wait for an event are recorded: such a step waits for a signal of its correlation
/// that nobody sends, but finds among the events.
pub const EVENT_SIGNAL: &str = "event";

/// A signal that a step waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalName {
    /// The signal's name.
    pub name: String,
    /// What tells those with the same name apart; without it, only signals to this very execution count.
    pub correlation: Option<String>,
}

/// An attempt that was followed by another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastAttempt {
    /// Its number.
    pub attempt: i32,
    /// How it ended.
    pub outcome: PastOutcome,
    /// When its end was seen, or its loss was noticed.
    #[serde(alias = "noticed_at")]
    pub ended_at: DateTime<Utc>,
    /// Why it failed; nothing is known of one that was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// How an attempt ended that was followed by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PastOutcome {
    /// Nobody saw its end: the server died.
    Lost,
    /// It failed.
    Failed,
    /// Its time limit passed.
    TimedOut,
}

impl StepState {
    /// An instance of which nothing has happened yet.
    pub(crate) fn pending(ordinal: i32, key: String, parent: Option<i32>, step: usize, layer: Layer) -> Self {
        Self {
            ordinal,
            key,
            parent,
            step,
            layer,
            status: StepStatus::Pending,
            attempt: 0,
            history: Vec::new(),
            input: None,
            output: None,
            error: None,
            started_at: None,
            wake_at: None,
            timeout_at: None,
            signal: None,
            completed_at: None,
        }
    }

    /// How many earlier attempts were lost.
    pub(crate) fn times_lost(&self) -> usize {
        self.history.iter().filter(|past| past.outcome == PastOutcome::Lost).count()
    }

    /// Milliseconds from the first attempt to the end.
    pub fn duration_ms(&self) -> Option<i64> {
        Some((self.completed_at? - self.started_at?).num_milliseconds())
    }
}

impl Execution {
    /// A new execution, queued.
    pub fn queued(new: NewExecution, limits: Limits) -> Self {
        let graph = Graph::of(&new.workflow);
        let saga = new.workflow.saga.is_some().then(Box::default);
        let mut execution = Self {
            new,
            limits,
            status: ExecutionStatus::Queued,
            phase: Phase::Main,
            steps: Vec::new(),
            instances: Vec::new(),
            scopes: Vec::new(),
            phases: [None; 4],
            graph,
            work: WorkQueue::default(),
            timers: BTreeSet::new(),
            running: 0,
            started_at: None,
            deadline_at: None,
            completed_at: None,
            verdict: None,
            result: None,
            error: None,
            stopping: None,
            cancel_requested: None,
            saga,
            has_room: true,
            draining: false,
        };
        execution.phases[Phase::Main as usize] = Some(execution.add_scope(MAIN_BLOCK, None));
        execution
    }

    /// Its id.
    pub fn id(&self) -> ExecutionId {
        self.new.id
    }

    /// The definition it runs.
    pub fn workflow(&self) -> &Arc<Workflow> {
        &self.new.workflow
    }

    /// Where it stands.
    pub fn status(&self) -> ExecutionStatus {
        self.status
    }

    /// The step instances that have begun or were decided, by ordinal.
    pub fn steps(&self) -> &[StepState] {
        &self.steps
    }

    /// The step instance of this ordinal.
    pub fn step(&self, ordinal: i32) -> Option<&StepState> {
        self.steps.get(usize::try_from(ordinal).ok()?)
    }

    /// The definition of a step instance.
    pub fn definition(&self, state: &StepState) -> &Step {
        &self.new.workflow.steps[state.step]
    }

    /// When it was claimed.
    pub fn started_at(&self) -> Option<DateTime<Utc>> {
        self.started_at
    }

    /// When it must have ended, or must have left the queue while it is there.
    pub fn deadline_at(&self) -> Option<DateTime<Utc>> {
        self.deadline_at
    }

    /// When it ended.
    pub fn completed_at(&self) -> Option<DateTime<Utc>> {
        self.completed_at
    }

    /// What it put out, once that is decided.
    pub fn result(&self) -> Option<&Value> {
        self.result.as_ref()
    }

    /// Why it does not complete, once that is decided.
    pub fn error(&self) -> Option<&Failure> {
        self.error.as_ref()
    }

    /// When it must be looked at next, whatever else happens: the earliest of its time limits and of what goes on by
    /// itself. While it is queued, when it must have left the queue; nothing after it has ended.
    pub fn next_wake_at(&self) -> Option<DateTime<Utc>> {
        match self.status {
            ExecutionStatus::Queued => self.new.queue_deadline_at,
            status if status.is_terminal() => None,
            _ => {
                let deadline_at = self.deadline_at.filter(|_| self.stopping.is_none());
                self.timers.first().map(|(at, _)| *at).into_iter().chain(deadline_at).min()
            }
        }
    }

    /// Whether any attempt is under way.
    pub fn has_running_steps(&self) -> bool {
        self.running > 0
    }

    /// Whether the workflow's own steps are under way, and not what follows them.
    pub fn runs_main_steps(&self) -> bool {
        self.status.is_live() && self.phase == Phase::Main
    }

    /// Its inputs, checked, with the defaults filled in.
    pub fn inputs(&self) -> &Value {
        &self.new.inputs
    }

    /// What set it off, as expressions see it.
    pub fn trigger(&self) -> &Value {
        &self.new.trigger
    }

    /// Whether its end was asked for.
    pub fn is_cancel_requested(&self) -> bool {
        self.cancel_requested.is_some()
    }

    /// Whether there is room for it where it is: without, it takes everything in, but nothing begins.
    pub fn set_room(&mut self, has_room: bool) {
        self.has_room = has_room;
    }

    /// Whether something could begin that has not yet, for want of room.
    pub fn has_work(&self) -> bool {
        self.work.iter().any(|work| self.is_still_due(work))
    }

    /// The idempotency key of a step: the same for every attempt, after any restart.
    pub fn step_key(&self, ordinal: i32) -> String {
        format!("{}/{ordinal}", self.new.id)
    }
}
