//! The one way an execution begins, whatever sets it off.

use std::fmt;
use std::sync::Arc;

use cogwheel_definition::{InputProblem, Inputs, Overflow, Overlap, Priority, Template, Workflow};
use cogwheel_machine::{Execution, ExecutionId, NewExecution, contains_nul};
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::definitions::NoDefinition;
use crate::ports::{
    ConcurrencySlot, FileVersion, NewRow, Parent, ScheduleTick, Start, StartFrom, Started, StoreError, TriggerType,
};
use crate::runner::{FIRST_EPOCH, Job, UnrecordedStart};
use crate::triggers::given;
use crate::{Changed, Engine, FileId, LoadedWorkflow, NodeId, WorkflowId};

/// The longest idempotency key, in characters.
const LONGEST_IDEMPOTENCY_KEY: usize = 255;

/// The longest concurrency key, in characters; the workflow's id is stored before it.
const LONGEST_CONCURRENCY_KEY: usize = 200;

/// How many executions wait for a slot in memory where nobody else could run them; more wait in the database alone.
const MOST_WAITING: usize = 10_000;

/// Which workflow to start.
#[derive(Clone, Debug)]
pub enum WorkflowRef {
    /// By its name.
    Name(String),
    /// By its id.
    Id(WorkflowId),
}

impl fmt::Display for WorkflowRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Id(id) => id.fmt(f),
        }
    }
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
    /// A call of the webhook with this trigger key.
    Webhook {
        /// The trigger's key in the definition.
        trigger_key: String,
        /// What expressions see as `trigger.webhook`.
        seen: Value,
    },
    /// An event that the trigger with this key waits for.
    Event {
        /// The trigger's key in the definition.
        trigger_key: String,
        /// What expressions see as `trigger.event`.
        seen: Value,
        /// How many executions have set each other off before it.
        depth: u64,
        /// The event's correlation.
        correlation_id: Option<Uuid>,
    },
    /// A step of another execution asks for it.
    Workflow {
        /// The id it must have, so that it is made once however often it is asked for.
        id: ExecutionId,
        /// Whether it was not asked for before. If it was, it may run already, and must not be run here beside that.
        is_first: bool,
        /// That step.
        parent: Parent,
        /// What expressions see as `trigger.workflow`, and how deep executions have started one another by now.
        seen: Value,
    },
    /// Settled file versions seen by the watch with this trigger key.
    Files {
        /// The trigger's key in the definition.
        trigger_key: String,
        /// The versions: one, which expressions see as `trigger.file`, or a batch.
        versions: Vec<FileVersion>,
        /// Whether they are a batch, which expressions see as `trigger.files`.
        is_batch: bool,
    },
    /// An uploaded file that the trigger with this key asks for.
    Upload {
        /// The trigger's key in the definition.
        trigger_key: String,
        /// The file.
        file: FileId,
        /// What expressions see as `trigger.file`, but for the path, which each execution has of its own.
        seen: Value,
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
    /// The same start was recorded before, and its execution is no longer known; or its due instant was passed over.
    #[error("the same start was recorded before")]
    AlreadyRecorded,
    /// The server is stopping.
    #[error("the server is stopping and takes no new work; try again when it is back")]
    Draining,
    /// The store could not record it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether a key can be stored; `Err` says why not.
pub(crate) fn check_idempotency_key(key: &str) -> Result<(), &'static str> {
    let why = if key.is_empty() {
        "it is empty"
    } else if key.contains('\0') {
        "it holds the character U+0000"
    } else if key.chars().count() > LONGEST_IDEMPOTENCY_KEY {
        "it is longer than 255 characters"
    } else {
        return Ok(());
    };
    Err(why)
}

/// The given inputs, checked and completed, if they can be stored.
pub(crate) fn check_inputs(
    declared: &Inputs,
    given: Map<String, Value>,
) -> Result<Map<String, Value>, Vec<InputProblem>> {
    let inputs = declared.check(given)?;
    let problems: Vec<InputProblem> = inputs.iter().filter_map(|(name, value)| not_storable(name, value)).collect();
    if problems.is_empty() { Ok(inputs) } else { Err(problems) }
}

/// The inputs that a trigger gives.
fn given_inputs(
    inputs: &[(String, Template)],
    workflow: &LoadedWorkflow,
    trigger: &Value,
) -> Result<Map<String, Value>, String> {
    let seen = json!({ "trigger": trigger, "workflow": { "name": &*workflow.name, "version": workflow.version } });
    let given = |(name, value): &(String, Template)| match value.render(&seen) {
        Ok(value) => Ok((name.clone(), value)),
        Err(error) => Err(format!("its trigger gives no value to the input `{name}`: {error}")),
    };
    inputs.iter().map(given).collect()
}

fn not_storable(name: &str, value: &Value) -> Option<InputProblem> {
    contains_nul(value).then(|| InputProblem {
        path: vec![name.to_owned()],
        message: "holds the character U+0000, which cannot be stored".to_owned(),
    })
}

/// A file as expressions see it.
fn seen_file(version: &FileVersion) -> Value {
    json!({
        "id": version.id,
        "source": "directory",
        "path": version.path,
        "name": version.filename,
        "size": version.size,
        "sha256": version.sha256,
        "mime": version.media_type,
        "modified_at": version.modified_at,
        "event": version.event.as_str(),
        "fields": {},
    })
}

fn problems(problems: &[InputProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// What limits how many of its kind may be live at once.
pub(crate) fn concurrency(
    id: WorkflowId,
    version: i32,
    definition: &Workflow,
    inputs: &Value,
    trigger: &Value,
) -> Result<Option<ConcurrencySlot>, StartError> {
    let Some(concurrency) = &definition.concurrency else { return Ok(None) };
    let refuse = |reason: String| StartError::NotExecutable { name: definition.name.clone(), reason };
    let key = match &concurrency.key {
        None => String::new(),
        Some(key) => {
            let named = json!({ "name": definition.name, "version": version });
            let seen = json!({ "inputs": inputs, "trigger": trigger, "workflow": named });
            key.render_string(&seen).map_err(|error| refuse(format!("its concurrency key: {error}")))?
        }
    };
    if key.chars().count() > LONGEST_CONCURRENCY_KEY || key.contains('\0') {
        return Err(refuse(format!("its concurrency key has more than {LONGEST_CONCURRENCY_KEY} characters")));
    }
    Ok(Some(ConcurrencySlot {
        key: format!("{id}/{key}"),
        limit: i32::try_from(concurrency.limit).unwrap_or(i32::MAX),
        overflow: concurrency.overflow,
    }))
}

/// The key under which the executions of a schedule wait for one another, where its workflow has no key of its own that
/// brings them into the same queue; there, who claims them sees to it.
fn takes_turns(id: WorkflowId, cause: &StartCause) -> Option<ConcurrencySlot> {
    let StartCause::Schedule { trigger_key, tick, .. } = cause else { return None };
    match tick.overlap {
        Overlap::Allow | Overlap::Skip => None,
        Overlap::Queue | Overlap::Replace => {
            Some(ConcurrencySlot { key: format!("{id}/schedule/{trigger_key}"), limit: 1, overflow: Overflow::Queue })
        }
    }
}

impl Engine {
    /// Records an execution and hands it to the runner. Durable when it returns; it goes on whether or not the caller
    /// still waits.
    pub async fn start(self: &Arc<Self>, request: StartRequest) -> Result<StartedExecution, StartError> {
        let engine = Arc::clone(self);
        let task = self.runtime().spawn(async move { engine.start_here(request).await });
        task.await.unwrap_or_else(|panic| Err(StartError::Store(StoreError::Bug(panic.to_string()))))
    }

    /// The start that a request means, with the definition that it runs and the number of its version.
    pub(crate) async fn prepare(&self, request: StartRequest) -> Result<(Start, Arc<Workflow>, i32), StartError> {
        if self.is_draining() {
            return Err(StartError::Draining);
        }
        let workflow = self.find(&request.workflow)?;
        let not_executable = |reason: String| StartError::NotExecutable { name: workflow.name.to_string(), reason };
        if !workflow.is_enabled {
            return Err(not_executable("it is paused".to_owned()));
        }
        let definition = match self.definition(&workflow).await {
            Ok(definition) => definition,
            Err(NoDefinition::Store(error)) => return Err(StartError::Store(error)),
            Err(unreadable @ NoDefinition::Unreadable(_)) => return Err(not_executable(unreadable.to_string())),
        };
        let given = match &request.cause {
            StartCause::Webhook { trigger_key, seen } => {
                let hook = definition.triggers.webhooks.iter().find(|hook| hook.key == *trigger_key);
                let hook = hook.ok_or_else(|| not_executable(format!("it has no trigger `{trigger_key}` any more")))?;
                let trigger = json!({ "type": TriggerType::Webhook, "key": trigger_key, "webhook": seen });
                given_inputs(&hook.inputs, &workflow, &trigger).map_err(not_executable)?
            }
            StartCause::Event { trigger_key, seen, .. } => {
                let event = definition.triggers.events.iter().find(|event| event.key == *trigger_key);
                let event =
                    event.ok_or_else(|| not_executable(format!("it has no trigger `{trigger_key}` any more")))?;
                let trigger = json!({ "type": TriggerType::Event, "key": trigger_key, "event": seen });
                given_inputs(&event.inputs, &workflow, &trigger).map_err(not_executable)?
            }
            _ => request.inputs,
        };
        let inputs = check_inputs(&definition.inputs, given).map_err(StartError::InvalidInputs)?;
        if let Some(key) = &request.idempotency_key {
            check_idempotency_key(key).map_err(StartError::InvalidIdempotencyKey)?;
        }
        let inputs = Value::Object(inputs);
        let start = self.new_start(&workflow, &definition, inputs, request.idempotency_key, request.cause)?;
        Ok((start, definition, workflow.version))
    }

    /// As [`Self::start`], in the caller's own task.
    pub(crate) async fn start_here(&self, request: StartRequest) -> Result<StartedExecution, StartError> {
        let (start, definition, workflow_version) = self.prepare(request).await?;
        let new = NewExecution {
            id: start.row.id,
            workflow: definition,
            workflow_version,
            trigger: start.row.trigger.clone(),
            inputs: start.row.inputs.clone(),
            correlation_id: start.row.correlation_id,
            retry_count: 0,
            queue_deadline_at: start.row.queue_deadline_at,
        };
        self.begin(start, Execution::queued(new, self.limits())).await
    }

    /// Records a start, and runs the execution here or lets it be claimed from the pool.
    pub(crate) async fn begin(&self, start: Start, execution: Execution) -> Result<StartedExecution, StartError> {
        let row = &start.row;
        let (id, tenant, workflow, parent) = (row.id, row.tenant, row.workflow, row.parent);
        let (correlation_id, has_concurrency_key) = (row.correlation_id, row.concurrency.is_some());
        let runs_here = row.owner.is_some();
        let job = |start| Job {
            execution,
            tenant,
            workflow,
            epoch: FIRST_EPOCH,
            next_log_sequence: 0,
            correlation_id,
            parent,
            has_concurrency_key,
            cancel: None,
            start,
        };
        // What begins at once is recorded together with its begin.
        if runs_here && start.kept.is_empty() && self.runner().room() > 0 {
            let (answer, recorded) = oneshot::channel();
            self.runner().submit(job(Some(UnrecordedStart { start: Box::new(start), answer })));
            let gone = |_| Err(StoreError::Unavailable("the server is stopping".to_owned()));
            return match recorded.await.unwrap_or_else(gone)? {
                Started::Duplicate { execution: Some(id) } => Ok(StartedExecution { id, is_new: false }),
                Started::Duplicate { execution: None } | Started::PassedOver => Err(StartError::AlreadyRecorded),
                Started::Accepted | Started::Replacing(_) | Started::Skipped => {
                    Ok(StartedExecution { id, is_new: true })
                }
            };
        }
        if runs_here {
            self.runner().expect(id);
        }
        let recorded = self.runner().record_start(start).await;
        if !matches!(recorded, Ok(Started::Accepted)) {
            self.runner().forget(id);
        }
        match recorded? {
            Started::Duplicate { execution: Some(id) } => return Ok(StartedExecution { id, is_new: false }),
            Started::Duplicate { execution: None } | Started::PassedOver => return Err(StartError::AlreadyRecorded),
            Started::Accepted if runs_here => self.runner().submit(job(None)),
            Started::Accepted => self.runner().tell_of_work().await,
            Started::Replacing(others) => {
                for other in others {
                    self.runner().tell(other).await;
                }
                self.runner().tell_of_work().await;
            }
            Started::Skipped => {
                if let Some(parent) = parent {
                    self.runner().tell(parent.execution).await;
                }
            }
        }
        self.feed().notify(Changed { execution: id, workflow });
        Ok(StartedExecution { id, is_new: true })
    }

    fn find(&self, reference: &WorkflowRef) -> Result<Arc<LoadedWorkflow>, StartError> {
        self.look_up(reference).ok_or_else(|| StartError::UnknownWorkflow { name: reference.to_string() })
    }

    fn new_start(
        &self,
        workflow: &LoadedWorkflow,
        definition: &Workflow,
        inputs: Value,
        idempotency_key: Option<String>,
        cause: StartCause,
    ) -> Result<Start, StartError> {
        let mut id = self.clock().new_id();
        let mut parent = None;
        let mut correlation = None;
        let mut may_run_here = true;
        let takes_turns = takes_turns(workflow.id, &cause);
        let (trigger_type, trigger_key, seen, from) = match cause {
            StartCause::Manual => (TriggerType::Manual, None, json!({}), StartFrom::Request),
            StartCause::Schedule { trigger_key, seen, tick } => {
                let seen = json!({ "schedule": seen });
                (TriggerType::Schedule, Some(trigger_key), seen, StartFrom::Schedule(tick))
            }
            StartCause::Workflow { id: child, is_first, parent: step, seen } => {
                id = child.0;
                may_run_here = is_first;
                parent = Some(step);
                let depth = seen["depth"].clone();
                (TriggerType::Workflow, None, json!({ "workflow": seen, "depth": depth }), StartFrom::Request)
            }
            StartCause::Webhook { trigger_key, seen } => {
                (TriggerType::Webhook, Some(trigger_key), json!({ "webhook": seen }), StartFrom::Request)
            }
            StartCause::Event { trigger_key, seen, depth, correlation_id } => {
                correlation = correlation_id;
                (TriggerType::Event, Some(trigger_key), json!({ "event": seen, "depth": depth }), StartFrom::Request)
            }
            StartCause::Files { trigger_key, versions, is_batch } => {
                let files: Vec<Value> = versions.iter().map(seen_file).collect();
                let seen = if is_batch { json!({ "files": files }) } else { json!({ "file": files.first() }) };
                (TriggerType::File, Some(trigger_key), seen, StartFrom::Files(versions))
            }
            StartCause::Upload { trigger_key, file, seen } => {
                // Its bytes may be at hand for any node; who has room takes it.
                may_run_here = false;
                let seen = given::in_reach(json!({ "file": seen }), &self.config().work_dir, ExecutionId(id));
                (TriggerType::File, Some(trigger_key), seen, StartFrom::Upload(file))
            }
        };
        let mut trigger = seen;
        trigger["type"] = json!(trigger_type);
        trigger["key"] = json!(trigger_key);
        let concurrency = concurrency(workflow.id, workflow.version, definition, &inputs, &trigger)?.or(takes_turns);
        let created_at = self.clock().now();
        Ok(Start {
            row: NewRow {
                id: ExecutionId(id),
                tenant: workflow.tenant,
                workflow: workflow.id,
                version: workflow.version_id,
                trigger_type,
                trigger_key,
                trigger,
                inputs,
                correlation_id: correlation.unwrap_or(id),
                idempotency_key,
                owner: self.owner(definition.priority, concurrency.is_some()).filter(|_| may_run_here),
                priority: definition.priority,
                concurrency,
                queue_deadline_at: definition.queue_deadline(created_at),
                parent,
                rerun: None,
                created_at,
            },
            from,
            kept: Vec::new(),
            first: None,
        })
    }

    /// Who runs a new execution: this node if it gets to it soon, else whoever has room first.
    pub(crate) fn owner(&self, priority: Priority, has_concurrency_key: bool) -> Option<NodeId> {
        let gets_to_it = if self.is_clustered() {
            self.runner().room() > 0
        } else {
            // What is urgent must not wait behind all that waits here already.
            self.runner().arriving() < MOST_WAITING || priority > Priority::Normal
        };
        let runs_here = !has_concurrency_key && gets_to_it;
        runs_here.then(|| self.node())
    }
}
