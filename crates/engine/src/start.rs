//! The one way an execution begins, whatever sets it off.

use std::sync::Arc;
use std::time::Duration;

use cogwheel_definition::InputProblem;
use cogwheel_machine::{Execution, ExecutionId, NewExecution, contains_nul};
use serde_json::{Map, Value, json};
use tokio::time::sleep;
use tracing::warn;

use crate::ports::{FileVersion, NewRow, ScheduleTick, Start, StartFrom, Started, StoreError, TriggerType};
use crate::runner::Job;
use crate::{Changed, Engine, LoadedWorkflow, WorkflowId};

/// The longest idempotency key, in characters.
const LONGEST_IDEMPOTENCY_KEY: usize = 255;

/// The first and the longest pause between questions about a start whose answer got lost.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Which workflow to start.
#[derive(Clone, Debug)]
pub enum WorkflowRef {
    /// By its name.
    Name(String),
    /// By its id.
    Id(WorkflowId),
}

/// What sets an execution off, with what is recorded in the same transaction.
#[derive(Clone, Debug)]
pub enum StartCause {
    /// A person or program asked.
    Manual,
    /// A due instant of the schedule with this trigger key; the tick's last outcome is the fired one.
    Schedule {
        /// The trigger's key in the definition.
        trigger_key: String,
        /// What expressions see as `trigger.schedule`.
        seen: Value,
        /// The ledger's side.
        tick: ScheduleTick,
    },
    /// A settled file version seen by the watch with this trigger key.
    File {
        /// The trigger's key in the definition.
        trigger_key: String,
        /// The version; expressions see it as `trigger.file`.
        version: Box<FileVersion>,
    },
}

/// A request to start a workflow.
#[derive(Clone, Debug)]
pub struct StartRequest {
    /// Which workflow.
    pub workflow: WorkflowRef,
    /// Given inputs; defaults are filled in.
    pub inputs: Map<String, Value>,
    /// The same key of the same workflow is the same execution.
    pub idempotency_key: Option<String>,
    /// What sets it off.
    pub cause: StartCause,
}

impl StartRequest {
    /// A start by hand or by the API.
    pub fn manual(workflow: impl Into<String>, inputs: Map<String, Value>, idempotency_key: Option<String>) -> Self {
        Self { workflow: WorkflowRef::Name(workflow.into()), inputs, idempotency_key, cause: StartCause::Manual }
    }
}

/// The execution that answers a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartedExecution {
    /// Its id.
    pub id: ExecutionId,
    /// Whether this request made it; `false` when the same start was recorded before.
    pub is_new: bool,
}

/// Why nothing was started.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StartError {
    /// No such workflow.
    #[error("there is no workflow `{name}`")]
    UnknownWorkflow {
        /// As asked for.
        name: String,
    },
    /// It may not be started now.
    #[error("workflow `{name}` cannot be started: {reason}")]
    NotExecutable {
        /// The workflow.
        name: String,
        /// Why.
        reason: String,
    },
    /// The inputs do not fit.
    #[error("the inputs do not fit: {}", problems(.0))]
    InvalidInputs(Vec<InputProblem>),
    /// The idempotency key cannot be stored.
    #[error("the idempotency key cannot be used: {0}")]
    InvalidIdempotencyKey(&'static str),
    /// The same start was recorded before, and its execution is no longer known.
    #[error("the same start was recorded before")]
    AlreadyRecorded,
    /// The server is stopping.
    #[error("the server is stopping and takes no new work; try again when it is back")]
    Draining,
    /// The store could not record it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn check_idempotency_key(key: &str) -> Result<(), StartError> {
    let why = if key.is_empty() {
        "it is empty"
    } else if key.contains('\0') {
        "it holds the character U+0000"
    } else if key.chars().count() > LONGEST_IDEMPOTENCY_KEY {
        "it is longer than 255 characters"
    } else {
        return Ok(());
    };
    Err(StartError::InvalidIdempotencyKey(why))
}

fn not_storable(name: &str, value: &Value) -> Option<InputProblem> {
    contains_nul(value).then(|| InputProblem {
        path: vec![name.to_owned()],
        message: "holds the character U+0000, which cannot be stored".to_owned(),
    })
}

fn problems(problems: &[InputProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Engine {
    /// Records an execution and hands it to the runner. Durable when it returns; it goes on whether or not the caller
    /// still waits.
    pub async fn start(self: &Arc<Self>, request: StartRequest) -> Result<StartedExecution, StartError> {
        let engine = Arc::clone(self);
        let task = self.runtime().spawn(async move { engine.start_now(request).await });
        task.await.unwrap_or_else(|panic| Err(StartError::Store(StoreError::Bug(panic.to_string()))))
    }

    async fn start_now(&self, request: StartRequest) -> Result<StartedExecution, StartError> {
        if self.is_draining() {
            return Err(StartError::Draining);
        }
        let workflow = self.find(&request.workflow)?;
        let definition = &workflow.definition;
        if !workflow.is_enabled {
            return Err(StartError::NotExecutable {
                name: definition.name.clone(),
                reason: "it is switched off".to_owned(),
            });
        }
        let inputs = definition.inputs.check(request.inputs).map_err(StartError::InvalidInputs)?;
        let problems: Vec<InputProblem> = inputs.iter().filter_map(|(name, value)| not_storable(name, value)).collect();
        if !problems.is_empty() {
            return Err(StartError::InvalidInputs(problems));
        }
        if let Some(key) = &request.idempotency_key {
            check_idempotency_key(key)?;
        }
        let start = self.new_start(&workflow, Value::Object(inputs), request.idempotency_key, request.cause);
        let (id, trigger, inputs) = (start.row.id, start.row.trigger.clone(), start.row.inputs.clone());
        self.runner().expect(id);
        let recorded = self.record(start).await;
        if !matches!(recorded, Ok(Started::Accepted)) {
            self.runner().forget(id);
        }
        match recorded? {
            Started::Duplicate { execution: Some(id) } => return Ok(StartedExecution { id, is_new: false }),
            Started::Duplicate { execution: None } => return Err(StartError::AlreadyRecorded),
            Started::Accepted => {}
        }
        self.feed().notify(Changed { execution: id, workflow: workflow.id });
        let new =
            NewExecution { id, workflow: Arc::clone(definition), workflow_version: workflow.version, trigger, inputs };
        self.runner().submit(Job {
            execution: Execution::queued(new, self.limits()),
            tenant: workflow.tenant,
            workflow: workflow.id,
            epoch: 0,
            next_log_sequence: 0,
            cancel: None,
        });
        Ok(StartedExecution { id, is_new: true })
    }

    /// When the answer gets lost, the same start is asked about until it is known what became of it: what is recorded
    /// must run now, not after the next restart.
    async fn record(&self, start: Start) -> Result<Started, StoreError> {
        let mut answer = self.store().start(start.clone()).await;
        if !matches!(answer, Err(StoreError::Unanswered(_))) {
            return answer;
        }
        let mut pause = FIRST_PAUSE;
        while let Err(error) = &answer
            && error.is_transient()
        {
            warn!(execution = %start.row.id, %error, "asking again whether a start is recorded");
            if self.stop().run_until_cancelled(sleep(pause)).await.is_none() {
                break;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            answer = self.store().start(start.clone()).await;
        }
        answer
    }

    fn find(&self, reference: &WorkflowRef) -> Result<Arc<LoadedWorkflow>, StartError> {
        let (found, name) = match reference {
            WorkflowRef::Name(name) => (self.catalog().by_name(name), name.clone()),
            WorkflowRef::Id(id) => (self.catalog().by_id(*id), id.to_string()),
        };
        found.ok_or(StartError::UnknownWorkflow { name })
    }

    fn new_start(
        &self,
        workflow: &LoadedWorkflow,
        inputs: Value,
        idempotency_key: Option<String>,
        cause: StartCause,
    ) -> Start {
        let id = self.clock().new_id();
        let (trigger_type, trigger_key, seen, from) = match cause {
            StartCause::Manual => (TriggerType::Manual, None, json!({}), StartFrom::Request),
            StartCause::Schedule { trigger_key, seen, tick } => {
                let seen = json!({ "schedule": seen });
                (TriggerType::Schedule, Some(trigger_key), seen, StartFrom::Schedule(tick))
            }
            StartCause::File { trigger_key, version } => {
                let seen = json!({ "file": {
                    "path": version.path,
                    "name": version.filename,
                    "size": version.size,
                    "sha256": version.sha256,
                    "modified_at": version.modified_at,
                }});
                (TriggerType::File, Some(trigger_key), seen, StartFrom::File(*version))
            }
        };
        let mut trigger = seen;
        trigger["type"] = json!(trigger_type);
        trigger["key"] = json!(trigger_key);
        Start {
            row: NewRow {
                id: ExecutionId(id),
                tenant: workflow.tenant,
                workflow: workflow.id,
                version: workflow.version_id,
                trigger_type,
                trigger_key,
                trigger,
                inputs,
                correlation_id: id,
                idempotency_key,
                owner: self.node(),
                created_at: self.clock().now(),
            },
            from,
        }
    }
}
