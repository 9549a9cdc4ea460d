//! The workflows that can be started, in memory.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use cogwheel_definition::Workflow;
use tokio::sync::watch;

use crate::ports::{ScheduleRecord, WatchRecord, WorkflowRecord};
use crate::{TenantId, VersionId, WorkflowId};

/// A workflow with its active version, ready to start.
#[derive(Clone, Debug)]
pub struct LoadedWorkflow {
    /// Its id.
    pub id: WorkflowId,
    /// Its tenant.
    pub tenant: TenantId,
    /// The active version.
    pub version_id: VersionId,
    /// The active version's number.
    pub version: i32,
    /// The definition.
    pub definition: Arc<Workflow>,
    /// Whether triggers and people may start it.
    pub is_enabled: bool,
    /// Its enabled schedules.
    pub schedules: Vec<ScheduleRecord>,
    /// Its enabled watches.
    pub watches: Vec<WatchRecord>,
}

impl LoadedWorkflow {
    /// A stored workflow together with its parsed active version.
    pub fn new(record: WorkflowRecord, definition: Arc<Workflow>) -> Self {
        Self {
            id: record.id,
            tenant: record.tenant,
            version_id: record.version_id,
            version: record.version,
            definition,
            is_enabled: record.is_enabled,
            schedules: record.schedules,
            watches: record.watches,
        }
    }
}

/// What [`crate::Engine::start`] and the triggers look workflows up in.
#[derive(Debug)]
pub struct Catalog {
    workflows: RwLock<HashMap<WorkflowId, Arc<LoadedWorkflow>>>,
    generation: watch::Sender<u64>,
}

impl Default for Catalog {
    fn default() -> Self {
        Self { workflows: RwLock::default(), generation: watch::Sender::new(0) }
    }
}

impl Catalog {
    /// The workflow of this id.
    pub fn by_id(&self, id: WorkflowId) -> Option<Arc<LoadedWorkflow>> {
        self.workflows.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// The workflow of this name.
    pub fn by_name(&self, name: &str) -> Option<Arc<LoadedWorkflow>> {
        let workflows = self.workflows.read().unwrap_or_else(PoisonError::into_inner);
        workflows.values().find(|workflow| workflow.definition.name == name).cloned()
    }

    /// Every workflow.
    pub fn all(&self) -> Vec<Arc<LoadedWorkflow>> {
        self.workflows.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Puts a workflow in, or its newer version in its place.
    pub fn put(&self, workflow: LoadedWorkflow) {
        let workflow = Arc::new(workflow);
        self.workflows.write().unwrap_or_else(PoisonError::into_inner).insert(workflow.id, workflow);
        self.changed();
    }

    /// Takes a workflow out: it can be started no more.
    pub fn remove(&self, id: WorkflowId) {
        self.workflows.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
        self.changed();
    }

    /// Hears of every change from now on.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    fn changed(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }
}
