//! The state of one execution: what is known of it and of each of its steps.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use cogwheel_definition::Workflow;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::context;
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
}

/// One execution in memory.
#[derive(Clone, Debug)]
pub struct Execution {
    pub(crate) new: NewExecution,
    pub(crate) limits: Limits,
    pub(crate) status: ExecutionStatus,
    pub(crate) steps: Vec<StepState>,
    /// What expressions see of all this.
    pub(crate) seen: Value,
    pub(crate) next_ordinal: i32,
    pub(crate) started_at: Option<DateTime<Utc>>,
    pub(crate) deadline_at: Option<DateTime<Utc>>,
    pub(crate) completed_at: Option<DateTime<Utc>>,
    pub(crate) result: Option<Value>,
    pub(crate) error: Option<Failure>,
    /// Set once it must end before its steps have: they are being stopped.
    pub(crate) stopping: Option<Stopping>,
    /// Why it is being cancelled, once it is.
    pub(crate) cancel_requested: Option<CancelRequested>,
    /// Set when the node stops taking work: what runs may end, nothing new begins.
    pub(crate) draining: bool,
}

/// Why an execution ends before its steps have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopping {
    /// Its time limit passed.
    DeadlinePassed,
    /// Somebody asked for it.
    Cancelled,
}

/// A recorded request to cancel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CancelRequested {
    /// Why, in the words of whoever asked.
    pub reason: Option<String>,
}

/// One step instance.
#[derive(Clone, Debug, PartialEq)]
pub struct StepState {
    /// Its place in the definition.
    pub index: usize,
    /// Order of creation inside the execution; `None` until it has begun or was decided.
    pub ordinal: Option<i32>,
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
    /// When the next attempt begins, while it waits for that.
    pub wake_at: Option<DateTime<Utc>>,
    /// When the current attempt must have ended.
    pub timeout_at: Option<DateTime<Utc>>,
    /// When it reached its final state.
    pub completed_at: Option<DateTime<Utc>>,
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

/// A step as it was recorded, to rebuild an execution from.
#[derive(Clone, Debug)]
pub struct StoredStep {
    /// The step's id in the definition.
    pub key: String,
    /// Its recorded state; `index` is resolved from the key.
    pub state: StepState,
}

impl StepState {
    fn pending(index: usize) -> Self {
        Self {
            index,
            ordinal: None,
            status: StepStatus::Pending,
            attempt: 0,
            history: Vec::new(),
            input: None,
            output: None,
            error: None,
            started_at: None,
            wake_at: None,
            timeout_at: None,
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
        let steps: Vec<_> = (0..new.workflow.steps.len()).map(StepState::pending).collect();
        let seen = context::seen(&new, &steps);
        Self {
            seen,
            new,
            limits,
            status: ExecutionStatus::Queued,
            steps,
            next_ordinal: 0,
            started_at: None,
            deadline_at: None,
            completed_at: None,
            result: None,
            error: None,
            stopping: None,
            cancel_requested: None,
            draining: false,
        }
    }

    /// An execution as its rows tell it. Steps whose key the definition does not know are refused.
    pub fn restored(
        new: NewExecution,
        limits: Limits,
        status: ExecutionStatus,
        started_at: Option<DateTime<Utc>>,
        deadline_at: Option<DateTime<Utc>>,
        stored: Vec<StoredStep>,
    ) -> Result<Self, String> {
        let mut execution = Self::queued(new, limits);
        execution.status = status;
        execution.started_at = started_at;
        execution.deadline_at = deadline_at;
        for StoredStep { key, mut state } in stored {
            let index = execution
                .new
                .workflow
                .steps
                .iter()
                .position(|step| step.id == key)
                .ok_or_else(|| format!("step `{key}` is recorded but not defined"))?;
            execution.next_ordinal = execution.next_ordinal.max(state.ordinal.map_or(0, |o| o + 1));
            state.index = index;
            execution.seen["steps"][&key] = context::seen_step(&state);
            execution.steps[index] = state;
        }
        Ok(execution)
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

    /// Its steps, in the order of the definition.
    pub fn steps(&self) -> &[StepState] {
        &self.steps
    }

    /// When it was claimed.
    pub fn started_at(&self) -> Option<DateTime<Utc>> {
        self.started_at
    }

    /// When it must have ended.
    pub fn deadline_at(&self) -> Option<DateTime<Utc>> {
        self.deadline_at
    }

    /// When it ended.
    pub fn completed_at(&self) -> Option<DateTime<Utc>> {
        self.completed_at
    }

    /// What it put out.
    pub fn result(&self) -> Option<&Value> {
        self.result.as_ref()
    }

    /// Why it did not complete.
    pub fn error(&self) -> Option<&Failure> {
        self.error.as_ref()
    }

    /// When it must be looked at next, whatever else happens: the earliest of its time limit and of the steps that wait
    /// for their next attempt. Nothing before it is claimed and after it has ended.
    pub fn next_wake_at(&self) -> Option<DateTime<Utc>> {
        if self.status == ExecutionStatus::Queued || self.status.is_terminal() {
            return None;
        }
        self.next_attempt_at().into_iter().chain(self.deadline_at).min()
    }

    /// When the earliest of the steps that wait for their next attempt begins it.
    pub fn next_attempt_at(&self) -> Option<DateTime<Utc>> {
        self.steps.iter().filter_map(|step| step.wake_at).min()
    }

    /// Whether it is being ended before its steps have: then it waits for nothing but their ends.
    pub fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    /// Whether any attempt is under way.
    pub fn has_running_steps(&self) -> bool {
        self.steps.iter().any(|step| step.status == StepStatus::Running)
    }

    /// The idempotency key of a step: the same for every attempt, after any restart.
    pub fn step_key(&self, ordinal: i32) -> String {
        format!("{}/{ordinal}", self.new.id)
    }

    /// An id for messages that belong together, as recorded with the execution.
    pub fn correlation_id(&self) -> Uuid {
        self.new.id.0
    }
}
