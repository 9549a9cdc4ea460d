//! From the rows of an execution to one that can be driven.

use std::collections::HashMap;
use std::sync::Arc;

use cogwheel_definition::Workflow;
use cogwheel_machine::{CancelRequested, Execution, ExecutionStatus, Failure, FailureKind, NewExecution, RecordedHead};
use tracing::error;

use crate::ports::{Head, Record, StoredExecution};
use crate::runner::Job;
use crate::{Engine, VersionId};

/// Rebuilds executions; definitions that are not in the catalog are read once.
pub(crate) struct Rebuilder<'e> {
    engine: &'e Engine,
    definitions: HashMap<VersionId, Result<Arc<Workflow>, String>>,
}

impl<'e> Rebuilder<'e> {
    pub(crate) fn new(engine: &'e Engine) -> Self {
        Self { engine, definitions: HashMap::new() }
    }

    /// The definition that an execution runs.
    ///
    /// # Errors
    ///
    /// Why its text cannot be read any more.
    pub(crate) fn definition(&mut self, stored: &StoredExecution) -> Result<Arc<Workflow>, String> {
        let catalog = self.engine.catalog().by_id(stored.workflow);
        if let Some(workflow) = catalog.filter(|workflow| workflow.version_id == stored.version_id) {
            return Ok(Arc::clone(&workflow.definition));
        }
        let read = || {
            cogwheel_definition::parse(stored.source.as_bytes(), &stored.workflow_name)
                .map(Arc::new)
                .map_err(|problems| problems.to_string())
        };
        self.definitions.entry(stored.version_id).or_insert_with(read).clone()
    }

    /// The execution as its rows tell it.
    ///
    /// # Errors
    ///
    /// What does not fit.
    pub(crate) fn execution(&mut self, stored: &StoredExecution) -> Result<Execution, String> {
        let new = NewExecution {
            id: stored.id,
            workflow: self.definition(stored)?,
            workflow_version: stored.version,
            trigger: stored.trigger.clone(),
            inputs: stored.inputs.clone(),
            retry_count: stored.retry_count,
            queue_deadline_at: stored.next_wake_at.filter(|_| stored.status == ExecutionStatus::Queued),
        };
        let head = RecordedHead {
            status: stored.status,
            started_at: stored.started_at,
            deadline_at: stored.deadline_at,
            result: stored.result.clone(),
            error: stored.error.clone(),
        };
        Execution::restored(new, self.engine.limits(), head, stored.steps.clone())
    }

    /// The execution with what its records are written under.
    ///
    /// # Errors
    ///
    /// What does not fit.
    pub(crate) fn job(&mut self, stored: &StoredExecution) -> Result<Job, String> {
        Ok(Job {
            execution: self.execution(stored)?,
            tenant: stored.tenant,
            workflow: stored.workflow,
            epoch: stored.epoch,
            next_log_sequence: stored.next_log_sequence,
            correlation_id: stored.correlation_id,
            parent: stored.parent,
            has_concurrency_key: stored.has_concurrency_key,
            cancel: stored.cancel_requested.then(|| CancelRequested { reason: stored.cancel_reason.clone() }),
        })
    }

    /// Ends an execution that cannot go on from its record: it must not be left without anybody who looks after it.
    pub(crate) async fn end_unusable(&self, stored: &StoredExecution, why: String) {
        error!(execution = %stored.id, why, "an execution cannot go on from its record; it has failed");
        let at = self.engine.clock().now();
        let failure =
            Failure::permanent(FailureKind::Internal, "the execution cannot go on from its record").with_detail(why);
        let record = Record {
            execution: stored.id,
            tenant: stored.tenant,
            workflow: stored.workflow,
            epoch: stored.epoch,
            head: Some(Head {
                status: ExecutionStatus::Failed,
                owner: None,
                started_at: stored.started_at,
                deadline_at: stored.deadline_at,
                next_wake_at: None,
                completed_at: Some(at),
                result: None,
                error: Some(failure),
            }),
            steps: Vec::new(),
            logs: Vec::new(),
            events: Vec::new(),
            parent: stored.parent.map(|parent| parent.execution),
            at,
        };
        if let Err(error) = self.engine.store().record(record).await {
            error!(execution = %stored.id, %error, "cannot record that; the next start tries again");
        }
    }
}
