//! What a watch is to do: its trigger, with everything resolved.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cogwheel_definition::{After, ContentFilter, DoneMarker, FileBatch, FileEvents, Poll};

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
    pub(super) content: ContentFilter,
    pub(super) is_recursive: bool,
    pub(super) events: FileEvents,
    pub(super) settle: Duration,
    pub(super) poll: Poll,
    pub(super) done_marker: Option<DoneMarker>,
    pub(super) batch: Option<FileBatch>,
    /// Whether something is done with files once their executions have ended.
    pub(super) has_after: bool,
}

/// The watches of all workflows that can be started.
pub(super) fn of_workflows(workflows: &[Arc<LoadedWorkflow>], root: &Path) -> HashMap<WatchId, WatchSpec> {
    let mut specs = HashMap::new();
    for workflow in workflows.iter().filter(|workflow| workflow.is_enabled) {
        for (record, trigger) in workflow.triggers.iter().flat_map(|triggers| &triggers.watches) {
            // Uploads lie in no folder.
            let Some(path) = trigger.source.folder() else { continue };
            let spec = WatchSpec {
                id: record.id,
                tenant: workflow.tenant,
                workflow: workflow.id,
                workflow_name: workflow.name.to_string(),
                trigger_key: trigger.key.clone(),
                folder: location::absolute(root, path),
                include: trigger.include.clone(),
                ignore: trigger.ignore.clone(),
                content: trigger.content.clone(),
                is_recursive: trigger.recursive,
                events: trigger.events,
                settle: trigger.settle,
                poll: trigger.poll,
                done_marker: trigger.done_marker.clone(),
                batch: trigger.batch,
                has_after: [&trigger.after_success, &trigger.after_failure].iter().any(|after| **after != After::Keep),
            };
            specs.insert(record.id, spec);
        }
    }
    specs
}

#[cfg(test)]
impl WatchSpec {
    /// A watch of this folder for every file directly in it.
    pub(super) fn plain(folder: &Path) -> Self {
        let nil = uuid::Uuid::nil();
        Self {
            id: WatchId(nil),
            tenant: TenantId(nil),
            workflow: WorkflowId(nil),
            workflow_name: "w".to_owned(),
            trigger_key: "file-0".to_owned(),
            folder: folder.to_owned(),
            include: vec!["*".to_owned()],
            ignore: Vec::new(),
            content: ContentFilter::default(),
            is_recursive: false,
            events: FileEvents::default(),
            settle: Duration::ZERO,
            poll: Poll::Auto,
            done_marker: None,
            batch: None,
            has_after: false,
        }
    }
}
