//! Who runs what: nodes, their leases, and the pool of executions that nobody owns.

use std::time::Duration;

use chrono::{DateTime, Utc};
use cogwheel_machine::ExecutionId;
use serde::{Deserialize, Serialize};

use super::StoredExecution;
use crate::{NodeId, WorkflowId};

/// A process that begins to run work.
#[derive(Clone, Debug)]
pub struct NewNode {
    /// Its id; a restart is a new one.
    pub id: NodeId,
    /// The host's name.
    pub name: String,
    /// Where it listens.
    pub address: Option<String>,
    /// The product's version.
    pub engine_version: String,
    /// Fingerprint of the schema it runs on.
    pub schema_fingerprint: String,
    /// How many executions it runs side by side.
    pub capacity: i32,
    /// How long it counts as alive after it was last heard of; `None` for the only node of its database, which needs
    /// no heartbeat.
    pub lease: Option<Duration>,
    /// The process that had its data folder before it, which therefore has ended whatever its lease says.
    pub replaces: Option<NodeId>,
    /// When it started.
    pub started_at: DateTime<Utc>,
}

/// What became of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// It is prolonged.
    Kept,
    /// The node had been taken for dead: what it owned belongs to others by now.
    Lost,
}

/// What a sweep found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Nodes that were found dead.
    pub dead_nodes: u64,
    /// Executions that were put into the pool.
    pub freed: u64,
    /// Other nodes that are alive.
    pub alive_nodes: u64,
}

/// A request for work.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Who asks.
    pub node: NodeId,
    /// How many executions it has room for. Those whose time in the queue is over come on top of it: they need none.
    pub limit: usize,
    /// What it runs, each under its epoch, after the answer to an earlier claim got lost: what else it owns under an epoch
    /// that a claim gave is handed over anew, on top of the limit.
    pub runs: Option<Vec<(ExecutionId, i64)>>,
    /// The time.
    pub at: DateTime<Utc>,
}

/// Executions that belong to the node now, higher priority before lower and older before newer.
#[derive(Clone, Debug, Default)]
pub struct Claimed {
    /// They, each under a new epoch.
    pub executions: Vec<StoredExecution>,
    /// Whether more could be claimed at once.
    pub has_more: bool,
    /// When the next of those left in the pool becomes due.
    pub next_due_at: Option<DateTime<Utc>>,
}

/// What nodes tell each other. It carries no data: the database is the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// The pool holds something that can go on.
    Work,
    /// Something came for this execution: its owner reads its inbox.
    Inbox(ExecutionId),
    /// Rows of this execution changed.
    Changed(ExecutionId, WorkflowId),
    /// Rows of many executions changed.
    ManyChanged,
    /// Workflows were saved, removed, paused or resumed.
    Workflows,
    /// Outgoing webhooks were made, changed, switched or deleted.
    Webhooks,
    /// Notices may have been missed: everything is looked at.
    Missed,
}
