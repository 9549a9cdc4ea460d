//! Saves workflows that come from no workflow folder.

use std::sync::Arc;

use cogwheel_definition::Workflow;

use crate::ports::{SaveWorkflow, StoreError, WorkflowRecord};
use crate::triggers::{self, checksum};
use crate::{Engine, LoadedWorkflow, WorkflowId};

impl Engine {
    /// Saves a checked definition with its text, as the active version of the workflow of its name. It can be started when
    /// this returns.
    ///
    /// # Errors
    ///
    /// When the store cannot save it.
    pub async fn save_workflow(&self, workflow: Workflow, source: String) -> Result<WorkflowId, StoreError> {
        let at = self.clock().now();
        let save = SaveWorkflow {
            tenant: self.tenant(),
            workflow: workflow.clone(),
            checksum: checksum(&source),
            source,
            origin_path: None,
            triggers: triggers::saved(&workflow, &self.config().root, at),
            at,
        };
        let record = self.store().save_workflow(save).await?;
        let id = record.id;
        self.put_workflow(record, workflow);
        Ok(id)
    }

    /// Puts a workflow whose text was just saved into the catalog.
    pub(crate) fn put_workflow(&self, record: WorkflowRecord, workflow: Workflow) {
        let loaded = LoadedWorkflow::new(record, &workflow.triggers);
        self.definitions().put(loaded.version_id, Arc::new(workflow));
        self.catalog().put(loaded);
        self.tell_of_events();
    }
}
