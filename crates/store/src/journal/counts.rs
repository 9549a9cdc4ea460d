//! What the ends in a batch add to the counters of their workflows.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use cogwheel_engine::WorkflowId;
use cogwheel_machine::ExecutionStatus;
use serde::Serialize;
use uuid::Uuid;

use super::columns::{Instant, Key};
use crate::rows::counted;

/// The sums of a batch.
#[derive(Default)]
pub(super) struct Counts(HashMap<Uuid, Ended>);

/// What is added to one workflow.
#[derive(Serialize)]
pub(super) struct Ended {
    pub(super) id: Key,
    pub(super) total: i64,
    pub(super) successful: i64,
    pub(super) failed: i64,
    pub(super) at: Instant,
}

impl Counts {
    /// Adds one end.
    pub(super) fn add(&mut self, workflow: WorkflowId, end: ExecutionStatus, at: DateTime<Utc>) {
        let (successful, failed) = counted(end);
        let at = Instant(at);
        let none = Ended { id: Key(workflow.0), total: 0, successful: 0, failed: 0, at };
        let count = self.0.entry(workflow.0).or_insert(none);
        count.total += 1;
        count.successful += successful;
        count.failed += failed;
        count.at = at;
    }

    /// The sums, in the order in which workflows are locked everywhere.
    pub(super) fn into_rows(self) -> Vec<Ended> {
        let mut counts: Vec<Ended> = self.0.into_values().collect();
        counts.sort_unstable_by_key(|count| count.id.0);
        counts
    }
}
