//! The simulated database: what is committed, each call one transaction, with its invariants checked at every commit.

mod pool;
mod record;
mod saga;
mod signals;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use cogwheel_definition::Overflow;
use cogwheel_engine::ports::{
    CancelAnswer, CancelRequest, ConcurrencySlot, NewNode, NewRow, SaveWorkflow, Start, Started, StoreError,
    StoredExecution, WorkflowRecord,
};
use cogwheel_engine::{ExecutionId, ExecutionStatus, Failure, FailureKind, NodeId, TenantId, VersionId, WorkflowId};
use cogwheel_machine::{CancelRequested, StepState};
use serde_json::Value;
use uuid::Uuid;

pub(super) use saga::Saga;
pub(super) use signals::Signal;

pub(super) const TENANT: TenantId = TenantId(Uuid::from_u128(1));

#[derive(Default)]
pub(super) struct Tables {
    pub(super) nodes: HashMap<NodeId, Node>,
    pub(super) workflows: BTreeMap<String, WorkflowRecord>,
    pub(super) sources: HashMap<VersionId, String>,
    pub(super) executions: BTreeMap<ExecutionId, Row>,
    pub(super) signals: Vec<Signal>,
    /// Who emitted each event.
    pub(super) events: HashMap<Uuid, ExecutionId>,
    /// How many records were refused because the execution belonged to somebody else by then, or had ended.
    pub(super) refused: usize,
    /// How many executions dead nodes left behind.
    pub(super) freed: u64,
}

pub(super) struct Node {
    pub(super) lease: Option<Duration>,
    pub(super) lease_until: Option<DateTime<Utc>>,
    pub(super) is_alive: bool,
}

/// An execution's row, with its steps.
pub(super) struct Row {
    pub(super) new: NewRow,
    pub(super) owner: Option<NodeId>,
    /// Which node ended it, once it has ended.
    pub(super) ended_by: Option<NodeId>,
    pub(super) epoch: i64,
    pub(super) status: ExecutionStatus,
    pub(super) started_at: Option<DateTime<Utc>>,
    pub(super) deadline_at: Option<DateTime<Utc>>,
    pub(super) next_wake_at: Option<DateTime<Utc>>,
    pub(super) completed_at: Option<DateTime<Utc>>,
    pub(super) result: Option<Value>,
    pub(super) error: Option<Failure>,
    pub(super) cancel: Option<CancelRequested>,
    /// Whether nothing was recorded since that was asked for.
    pub(super) is_cancel_new: bool,
    /// Whether its time in the queue was over when it was claimed.
    pub(super) is_overdue: bool,
    pub(super) steps: Vec<StepState>,
    /// Where it is one and has begun.
    pub(super) saga: Option<Saga>,
    pub(super) lines: BTreeMap<i64, String>,
    /// Under which epoch each attempt of each step began.
    pub(super) begun: HashMap<(i32, i32), i64>,
}

impl Row {
    pub(super) fn is_live(&self) -> bool {
        !self.status.is_terminal()
    }

    /// Whether it uses a slot of its key: what was claimed to begin does before it has begun.
    fn takes_slot(&self) -> bool {
        self.is_live() && (self.owner.is_some() || self.status != ExecutionStatus::Queued)
    }

    /// Whether it was claimed to be ended in the queue.
    fn never_begins(&self) -> bool {
        self.status == ExecutionStatus::Queued && (self.is_overdue || self.cancel.is_some())
    }

    fn has_key(&self, slot: &ConcurrencySlot) -> bool {
        self.new.concurrency.as_ref().is_some_and(|own| own.key == slot.key)
    }
}

impl Tables {
    pub(super) fn join(&mut self, node: &NewNode) {
        let lease_until = node.lease.and_then(|lease| Some(node.started_at + TimeDelta::from_std(lease).ok()?));
        self.nodes.insert(node.id, Node { lease: node.lease, lease_until, is_alive: true });
    }

    pub(super) fn save_workflow(&mut self, save: SaveWorkflow) -> WorkflowRecord {
        let number = u128::try_from(self.workflows.len()).unwrap_or_default();
        let known = self.workflows.entry(save.workflow.name.clone());
        let new = || WorkflowRecord {
            endpoints: Vec::new(),
            has_events: false,
            id: WorkflowId(Uuid::from_u128(100 + number)),
            tenant: save.tenant,
            name: save.workflow.name.clone(),
            origin_path: None,
            version_id: VersionId(Uuid::from_u128(200 + number)),
            version: 1,
            checksum: save.checksum,
            is_enabled: true,
            schedules: Vec::new(),
            watches: Vec::new(),
        };
        let saved = known.or_insert_with(new).clone();
        self.sources.insert(saved.version_id, save.source);
        saved
    }

    pub(super) fn start(&mut self, start: Start) -> Started {
        let Start { row: new, kept, first, .. } = start;
        let same_key = |row: &&Row| {
            new.idempotency_key.is_some()
                && (row.new.workflow, &row.new.idempotency_key) == (new.workflow, &new.idempotency_key)
        };
        if let Some(known) = self.executions.get(&new.id) {
            // Another node asked for it too, or has taken it over since: it is not to be run by two.
            let is_own = known.epoch == 0 && (known.owner == new.owner || !known.is_live());
            let is_taken = new.owner.is_some() && !is_own;
            return if is_taken { Started::Duplicate { execution: Some(new.id) } } else { Started::Accepted };
        }
        if let Some(first) = self.executions.values().find(same_key) {
            return Started::Duplicate { execution: Some(first.new.id) };
        }
        let slot = new.concurrency.clone();
        let (id, at) = (new.id, new.created_at);
        let row = Row {
            owner: new.owner,
            ended_by: None,
            epoch: 0,
            status: ExecutionStatus::Queued,
            started_at: None,
            deadline_at: None,
            next_wake_at: new.queue_deadline_at,
            completed_at: None,
            result: None,
            error: None,
            cancel: None,
            is_cancel_new: false,
            is_overdue: false,
            steps: kept.into_iter().map(|step| step.state).collect(),
            saga: None,
            lines: BTreeMap::new(),
            begun: HashMap::new(),
            new,
        };
        let others: Vec<ExecutionId> = match &slot {
            Some(slot) => self
                .executions
                .values()
                .filter(|row| row.is_live() && row.has_key(slot))
                .map(|row| row.new.id)
                .collect(),
            None => Vec::new(),
        };
        self.executions.insert(id, row);
        if let Some(first) = first {
            self.record(*first).expect("nobody else knows of it");
        }
        let Some(slot) = slot.filter(|slot| usize::try_from(slot.limit).is_ok_and(|limit| others.len() >= limit))
        else {
            return Started::Accepted;
        };
        match slot.overflow {
            Overflow::Queue => Started::Accepted,
            Overflow::Skip => {
                let row = self.row(id);
                (row.status, row.completed_at, row.next_wake_at) = (ExecutionStatus::Cancelled, Some(at), None);
                row.error = Some(Failure::permanent(FailureKind::Cancelled, "skipped"));
                let parent = row.new.parent.map(|parent| parent.execution);
                self.wake_parent(parent, at);
                Started::Skipped
            }
            Overflow::Replace => {
                for other in &others {
                    self.ask_to_end(*other, Some(format!("replaced by execution {id}")), at);
                }
                Started::Replacing(others)
            }
        }
    }

    pub(super) fn request_cancel(&mut self, request: CancelRequest) -> CancelAnswer {
        match self.executions.get(&request.execution) {
            None => CancelAnswer::Unknown,
            Some(row) if !row.is_live() => CancelAnswer::Ended(row.status),
            Some(_) => {
                self.ask_to_end(request.execution, request.reason, request.at);
                CancelAnswer::Requested
            }
        }
    }

    fn ask_to_end(&mut self, execution: ExecutionId, reason: Option<String>, at: DateTime<Utc>) {
        let row = self.row(execution);
        if row.cancel.is_none() {
            row.cancel = Some(CancelRequested { reason });
            row.is_cancel_new = true;
            if row.owner.is_none() {
                row.next_wake_at = Some(at);
            }
        }
    }

    pub(super) fn wake(&mut self, execution: ExecutionId, at: DateTime<Utc>) {
        let Some(row) = self.executions.get_mut(&execution) else { return };
        if row.owner.is_none() && row.is_live() && row.status != ExecutionStatus::Queued {
            row.next_wake_at = Some(at);
        }
    }

    /// The parent of an execution that ended becomes due.
    fn wake_parent(&mut self, parent: Option<ExecutionId>, at: DateTime<Utc>) {
        if let Some(parent) = parent.and_then(|parent| self.executions.get_mut(&parent)).filter(|row| row.is_live()) {
            parent.next_wake_at = Some(at);
        }
    }

    fn has_live_children(&self, parent: ExecutionId) -> bool {
        self.executions.values().any(|row| row.is_live() && row.new.parent.is_some_and(|step| step.execution == parent))
    }

    fn row(&mut self, id: ExecutionId) -> &mut Row {
        self.executions.get_mut(&id).expect("the execution is recorded")
    }

    pub(super) fn stored(&self, id: ExecutionId) -> Option<StoredExecution> {
        let row = self.executions.get(&id)?;
        let workflow = self.workflows.values().find(|workflow| workflow.id == row.new.workflow)?;
        Some(StoredExecution {
            id,
            tenant: row.new.tenant,
            workflow: row.new.workflow,
            workflow_name: workflow.name.clone(),
            version_id: row.new.version,
            version: 1,
            source: self.sources[&row.new.version].clone(),
            epoch: row.epoch,
            status: row.status,
            trigger: row.new.trigger.clone(),
            inputs: row.new.inputs.clone(),
            started_at: row.started_at,
            deadline_at: row.deadline_at,
            next_wake_at: row.next_wake_at,
            result: row.result.clone(),
            error: row.error.clone(),
            parent: row.new.parent,
            has_concurrency_key: row.new.concurrency.is_some(),
            retry_count: row.new.rerun.map_or(0, |rerun| rerun.retry_count),
            correlation_id: row.new.correlation_id,
            cancel_requested: row.cancel.is_some(),
            cancel_reason: row.cancel.as_ref().and_then(|cancel| cancel.reason.clone()),
            saga: row.saga.as_ref().map(|saga| saga.recorded.clone()),
            steps: row.steps.clone(),
            next_log_sequence: row.lines.keys().next_back().map_or(0, |last| last + 1),
        })
    }

    /// What holds after every commit.
    pub(super) fn check(&self) {
        let mut slots: HashMap<&str, (usize, i32)> = HashMap::new();
        for row in self.executions.values() {
            assert_eq!(row.is_live(), row.completed_at.is_none());
            row.check_saga();
            if let Some(slot) = row.new.concurrency.as_ref().filter(|_| row.takes_slot() && !row.never_begins()) {
                slots.entry(&slot.key).or_insert((0, slot.limit)).0 += 1;
            }
            if row.is_live() && row.owner.is_none() {
                let comes_up = match row.status {
                    ExecutionStatus::Queued | ExecutionStatus::Running | ExecutionStatus::Compensating => true,
                    // The end of an execution that it started makes it due.
                    _ => row.next_wake_at.is_some() || self.has_live_children(row.new.id),
                };
                assert!(comes_up, "nobody owns execution {}, and nothing brings it up", row.new.id);
            }
        }
        for (key, (used, limit)) in slots {
            assert!(i32::try_from(used).is_ok_and(|used| used <= limit), "{used} executions run under the key {key}");
        }
    }
}

fn conflict<T>(why: impl Into<String>) -> Result<T, StoreError> {
    Err(StoreError::Conflict(why.into()))
}
