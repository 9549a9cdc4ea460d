//! What a watch is to do: its trigger, with everything resolved.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::triggers::location;
use crate::{LoadedWorkflow, TenantId, WatchId, WorkflowId};

/// One enabled watch; another value is another watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WatchSpec {
    pub(super) id: WatchId,
    pub(super) tenant: TenantId,
    pub(super) workflow: WorkflowId,
    pub(super) workflow_name: String,
    pub(super) trigger_key: String,
    /// Absolute.
    pub(super) folder: PathBuf,
    pub(super) include: Vec<String>,
    pub(super) ignore: Vec<String>,
    pub(super) is_recursive: bool,
    pub(super) settle: Duration,
}

/// The watches of all workflows that can be started.
pub(super) fn of_workflows(workflows: &[Arc<LoadedWorkflow>], root: &Path) -> HashMap<WatchId, WatchSpec> {
    let mut specs = HashMap::new();
    for workflow in workflows.iter().filter(|workflow| workflow.is_enabled) {
        for (record, trigger) in workflow.triggers.iter().flat_map(|triggers| &triggers.watches) {
            let spec = WatchSpec {
                id: record.id,
                tenant: workflow.tenant,
                workflow: workflow.id,
                workflow_name: workflow.name.to_string(),
                trigger_key: trigger.key.clone(),
                folder: location::absolute(root, &trigger.path),
                include: trigger.include.clone(),
                ignore: trigger.ignore.clone(),
                is_recursive: trigger.recursive,
                settle: trigger.settle,
            };
            specs.insert(record.id, spec);
        }
    }
    specs
}
