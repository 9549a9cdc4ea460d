//! What comes for an execution from outside: signals, ends of the executions it started, requests to cancel.

use chrono::{DateTime, Utc};
use cogwheel_machine::{CancelRequested, ExecutionId, ExecutionStatus, Failure};
use serde_json::Value;
use uuid::Uuid;

use super::SagaInbox;
use crate::TenantId;

/// A signal to keep until it is taken.
#[derive(Clone, Debug)]
pub struct NewSignal {
    /// Its id.
    pub id: Uuid,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its name.
    pub name: String,
    /// What tells those with the same name apart.
    pub correlation: Option<String>,
    /// The only execution that may take it. Without it, the correlation decides.
    pub execution: Option<ExecutionId>,
    /// What it says.
    pub payload: Value,
    /// The sender's key: the same key and name is the same signal.
    pub idempotency_key: Option<String>,
    /// When it was received.
    pub at: DateTime<Utc>,
    /// When nobody may take it any more.
    pub expires_at: Option<DateTime<Utc>>,
}

/// What became of a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignalAnswer {
    /// It is kept, and these executions were woken to take it.
    Kept(Vec<ExecutionId>),
    /// It was received before.
    Duplicate,
    /// The tenant has no such execution.
    UnknownExecution,
    /// The execution has ended.
    Ended(ExecutionStatus),
}

/// A question for what came for an execution.
#[derive(Clone, Debug)]
pub struct AskInbox {
    /// The execution.
    pub execution: ExecutionId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its steps that wait for a signal.
    pub waits: Vec<AwaitedSignal>,
    /// Its steps that wait for the end of the execution that they started, by ordinal.
    pub children: Vec<i32>,
    /// Whether it is a saga, of which something may have been asked.
    pub is_saga: bool,
    /// The time.
    pub at: DateTime<Utc>,
}

/// A signal that a step waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwaitedSignal {
    /// The step's ordinal.
    pub ordinal: i32,
    /// The signal's name.
    pub name: String,
    /// What tells those with the same name apart; without it, only signals to this very execution count.
    pub correlation: Option<String>,
    /// What it waits for instead, where that is an event: one with the same correlation id.
    pub event: Option<EventWait>,
}

/// An event that a step waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventWait {
    /// Of which types it may be.
    pub types: Vec<String>,
    /// What it must be about; without it, anything.
    pub subject: Option<String>,
}

/// Executions with steps that wait for events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventWaiters {
    /// All there are.
    All,
    /// Those that wait for events with one of these correlation ids.
    Of {
        /// Their tenant.
        tenant: TenantId,
        /// The correlation ids.
        correlations: Vec<Uuid>,
    },
}

/// What came for an execution.
#[derive(Clone, Debug, Default)]
pub struct Inbox {
    /// The request to cancel it.
    pub cancel: Option<CancelRequested>,
    /// Signals that its steps took, now or before.
    pub signals: Vec<TakenSignal>,
    /// Executions that its steps started and that have ended.
    pub children: Vec<EndedChild>,
    /// What was asked of it as a saga.
    pub saga: SagaInbox,
}

/// A signal that a step took.
#[derive(Clone, Debug, PartialEq)]
pub struct TakenSignal {
    /// The step's ordinal.
    pub ordinal: i32,
    /// What the signal says.
    pub payload: Value,
    /// When it was received.
    pub received_at: DateTime<Utc>,
}

/// The end of an execution that a step started.
#[derive(Clone, Debug)]
pub struct EndedChild {
    /// The step's ordinal.
    pub ordinal: i32,
    /// The execution that ended.
    pub execution: ExecutionId,
    /// How.
    pub status: ExecutionStatus,
    /// What it put out.
    pub result: Option<Value>,
    /// Why it did not complete.
    pub error: Option<Failure>,
}
