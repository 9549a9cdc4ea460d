//! From the rows of an execution to one that can be driven.

use cogwheel_machine::{
    CancelRequested, Execution, ExecutionStatus, Failure, FailureKind, NewExecution, RecordedHead, left_of_record,
};
use tracing::error;

use crate::ports::{Head, Record, StoredExecution};
use crate::runner::{GivenUp, Job, given_up};
use crate::triggers::given;
use crate::{Engine, OutputError};

/// Rebuilds executions.
pub(crate) struct Rebuilder<'e> {
    engine: &'e Engine,
}

impl<'e> Rebuilder<'e> {
    pub(crate) fn new(engine: &'e Engine) -> Self {
        Self { engine }
    }

    /// Reads back what the rows only refer to. It must come before the execution is made of them.
    ///
    /// # Errors
    ///
    /// Why an output cannot be read.
    pub(crate) async fn read_back(&self, stored: &mut StoredExecution) -> Result<(), OutputError> {
        let outputs = stored.steps.iter_mut().filter_map(|step| step.output.as_mut()).chain(stored.result.as_mut());
        for output in outputs {
            if let Some(whole) = self.engine.whole_output(output).await? {
                *output = whole;
            }
        }
        Ok(())
    }

    /// The execution as its rows tell it.
    ///
    /// # Errors
    ///
    /// What does not fit.
    pub(crate) fn execution(&self, stored: &StoredExecution) -> Result<Execution, String> {
        let definitions = self.engine.definitions();
        let definition = definitions.of_text(stored.version_id, &stored.workflow_name, &stored.source);
        let new = NewExecution {
            id: stored.id,
            workflow: definition.map_err(|problems| problems.to_string())?,
            workflow_version: stored.version,
            trigger: given::in_reach(stored.trigger.clone(), &self.engine.config().work_dir, stored.id),
            inputs: stored.inputs.clone(),
            correlation_id: stored.correlation_id,
            retry_count: stored.retry_count,
            queue_deadline_at: stored.next_wake_at.filter(|_| stored.status == ExecutionStatus::Queued),
        };
        let head = RecordedHead {
            status: stored.status,
            started_at: stored.started_at,
            deadline_at: stored.deadline_at,
            result: stored.result.clone(),
            error: stored.error.clone(),
            saga: stored.saga.clone(),
        };
        Execution::restored(new, self.engine.limits(), head, stored.steps.clone())
    }

    /// The execution with what its records are written under.
    ///
    /// # Errors
    ///
    /// What does not fit.
    pub(crate) fn job(&self, stored: &StoredExecution) -> Result<Job, String> {
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
            start: None,
        })
    }

    /// Ends an execution that cannot go on from its record: it must not be left without anybody who looks after it.
    pub(crate) async fn end_unusable(&self, stored: &StoredExecution, why: String) {
        error!(execution = %stored.id, why, "an execution cannot go on from its record; it has failed");
        let at = self.engine.clock().now();
        let failure =
            Failure::permanent(FailureKind::Internal, "the execution cannot go on from its record").with_detail(why);
        let not_undone = stored.saga.as_ref().map(|saga| left_of_record(saga, &stored.steps)).unwrap_or_default();
        let failure = Failure { not_undone, ..failure };
        let is_saga = stored.saga.is_some();
        let end = GivenUp {
            workflow: &stored.workflow_name,
            execution: stored.id,
            trigger: &stored.trigger,
            correlation_id: stored.correlation_id,
            is_saga,
            failure: &failure,
        };
        let events = end.events(self.engine);
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
            saga: is_saga.then(given_up),
            logs: Vec::new(),
            events,
            artifacts: Vec::new(),
            parent: stored.parent.map(|parent| parent.execution),
            at,
        };
        if let Err(error) = self.engine.store().record(record).await {
            error!(execution = %stored.id, %error, "cannot record that; the next start tries again");
            return;
        }
        let runner = self.engine.runner();
        if let Some(parent) = stored.parent {
            runner.tell(parent.execution).await;
        }
        if stored.has_concurrency_key {
            runner.tell_of_work().await;
        }
    }
}
