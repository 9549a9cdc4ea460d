//! The one way an ended execution is done over again.

use cogwheel_definition::{InputProblem, Inputs, Workflow};
use cogwheel_machine::{ExecutionId, NewExecution, RerunError};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::Engine;
use crate::cluster::Rebuilder;
use crate::ports::{NewRow, Rerun, Start, StartFrom, StoreError, StoredExecution, TriggerType};
use crate::runner::step_row;
use crate::start::{StartError, StartedExecution, check_inputs, concurrency};
use crate::triggers::given;

/// A request to do an ended execution over again.
#[derive(Clone, Debug)]
pub struct RetryRequest {
    /// The execution that ended.
    pub execution: ExecutionId,
    /// The key of the step to go on from, with all that needs it; without one, whatever did not complete is done anew.
    pub from_step: Option<String>,
    /// Inputs in place of the ones it had; those that are left out stay as they were.
    pub inputs: Map<String, Value>,
}

/// Why an execution was not done over.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RetryError {
    /// No such execution.
    #[error("there is no execution {id}")]
    Unknown {
        /// As asked for.
        id: ExecutionId,
    },
    /// It cannot be done over, or not from that step.
    #[error(transparent)]
    Refused(#[from] RerunError),
    /// Its record or its definition cannot be read by this release, or an output not be read or kept once more.
    #[error("the execution cannot be done over: {0}")]
    Unusable(String),
    /// It was not started.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl From<StoreError> for RetryError {
    fn from(error: StoreError) -> Self {
        Self::Start(StartError::Store(error))
    }
}

impl Engine {
    /// Starts a new execution that keeps what the ended one completed and does the rest anew, by the same version of the
    /// definition. Both keep their histories.
    ///
    /// # Errors
    ///
    /// Why it cannot be done over.
    pub async fn retry(&self, request: RetryRequest) -> Result<StartedExecution, RetryError> {
        if self.is_draining() {
            return Err(StartError::Draining.into());
        }
        let RetryRequest { execution: id, from_step, inputs } = request;
        let mut stored = self.store().execution(self.tenant(), id).await?.ok_or(RetryError::Unknown { id })?;
        let rebuilder = Rebuilder::new(self);
        rebuilder.read_back(&mut stored).await.map_err(unusable)?;
        let original = rebuilder.execution(&stored).map_err(RetryError::Unusable)?;
        let inputs = edited(&original.workflow().inputs, &stored, inputs).map_err(StartError::InvalidInputs)?;
        self.check_enabled(&stored)?;
        let row = self.retry_row(&stored, original.workflow(), Value::Object(inputs))?;
        let new = NewExecution {
            id: row.id,
            workflow: original.workflow().clone(),
            workflow_version: stored.version,
            trigger: row.trigger.clone(),
            inputs: row.inputs.clone(),
            correlation_id: row.correlation_id,
            retry_count: stored.retry_count + 1,
            queue_deadline_at: row.queue_deadline_at,
        };
        let execution = original.rerun(new, self.limits(), from_step.as_deref())?;
        let from_ordinal = from_step.and_then(|key| original.ordinal_of(&key));
        let rerun = Some(Rerun { of: id, from_ordinal, retry_count: stored.retry_count + 1 });
        let mut kept: Vec<_> =
            execution.steps().iter().map(|state| step_row(&execution, state, self.steps())).collect();
        // Whoever asks can ask again: nobody waits here.
        let at_once = CancellationToken::new();
        at_once.cancel();
        self.runner().keeper().offload(&mut kept, &at_once).await.map_err(unusable)?;
        let start = Start { row: NewRow { rerun, ..row }, from: StartFrom::Request, kept, first: None };
        Ok(self.begin(start, execution).await?)
    }

    /// Whether the workflow of an execution may be started now.
    fn check_enabled(&self, stored: &StoredExecution) -> Result<(), StartError> {
        let name = stored.workflow_name.clone();
        match self.catalog().by_id(stored.workflow) {
            None => Err(StartError::UnknownWorkflow { name }),
            Some(now) if !now.is_enabled => Err(StartError::NotExecutable { name, reason: "it is paused".to_owned() }),
            Some(_) => Ok(()),
        }
    }

    fn retry_row(&self, stored: &StoredExecution, workflow: &Workflow, inputs: Value) -> Result<NewRow, StartError> {
        let concurrency = concurrency(stored.workflow, stored.version, workflow, &inputs, &stored.trigger)?;
        let created_at = self.clock().now();
        let id = ExecutionId(self.clock().new_id());
        Ok(NewRow {
            id,
            tenant: stored.tenant,
            workflow: stored.workflow,
            version: stored.version_id,
            trigger_type: TriggerType::Manual,
            trigger_key: None,
            // Expressions see what the first execution saw; an uploaded file is given to each anew.
            trigger: given::in_reach(stored.trigger.clone(), &self.config().work_dir, id),
            inputs,
            correlation_id: stored.correlation_id,
            idempotency_key: None,
            owner: self.owner(workflow.priority, concurrency.is_some()),
            priority: workflow.priority,
            concurrency,
            queue_deadline_at: workflow.queue_deadline(created_at),
            parent: None,
            rerun: None,
            created_at,
        })
    }
}

fn unusable(why: impl std::fmt::Display) -> RetryError {
    RetryError::Unusable(why.to_string())
}

/// The inputs it had, with the edited ones in their place, checked anew.
fn edited(
    declared: &Inputs,
    stored: &StoredExecution,
    edits: Map<String, Value>,
) -> Result<Map<String, Value>, Vec<InputProblem>> {
    let mut inputs = stored.inputs.as_object().cloned().unwrap_or_default();
    inputs.extend(edits);
    check_inputs(declared, inputs)
}
