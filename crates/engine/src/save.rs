//! Saves workflows that come from no workflow folder.

use std::sync::Arc;

use cogwheel_definition::Workflow;

use crate::ports::{SaveWorkflow, StoreError};
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
        self.catalog().put(LoadedWorkflow::new(record, Arc::new(workflow)));
        Ok(id)
    }
}
