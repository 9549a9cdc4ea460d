//! Stops and resumes the starting of executions of a workflow.

use std::sync::Arc;

use crate::ports::{Notice, PauseWorkflow, StoreError};
use crate::start::WorkflowRef;
use crate::{Engine, LoadedWorkflow, WorkflowId};

/// Why a workflow was not paused or resumed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PauseError {
    /// No such workflow.
    #[error("there is no workflow `{name}`")]
    UnknownWorkflow {
        /// As asked for.
        name: String,
    },
    /// The store could not record it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// Makes a workflow take starts, or none: neither from people nor from triggers. Executions that are live go on.
    /// In force when it returns, on this node; other nodes hear of it at once.
    ///
    /// # Errors
    ///
    /// Why nothing changed.
    pub async fn set_enabled(&self, workflow: &WorkflowRef, enabled: bool) -> Result<WorkflowId, PauseError> {
        let known = self.look_up(workflow).ok_or_else(|| PauseError::UnknownWorkflow { name: workflow.to_string() })?;
        let (tenant, at) = (known.tenant, self.clock().now());
        let pause = PauseWorkflow { tenant, workflow: known.id, paused: !enabled, at };
        if !self.store().pause_workflow(pause).await? {
            return Err(PauseError::UnknownWorkflow { name: workflow.to_string() });
        }
        if known.is_enabled != enabled {
            self.catalog().put(LoadedWorkflow { is_enabled: enabled, ..(*known).clone() });
        }
        if let Err(error) = self.store().notify(Notice::Workflows).await {
            tracing::warn!(%error, "other nodes were not told that a workflow was paused or resumed");
        }
        Ok(known.id)
    }

    pub(crate) fn look_up(&self, workflow: &WorkflowRef) -> Option<Arc<LoadedWorkflow>> {
        match workflow {
            WorkflowRef::Name(name) => self.catalog().by_name(name),
            WorkflowRef::Id(id) => self.catalog().by_id(*id),
        }
    }
}
