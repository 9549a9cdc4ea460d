//! Stops and resumes the starting of executions of a workflow, or of one of its schedules.

use std::sync::Arc;

use crate::ports::{Actor, Notice, PauseSchedule, PauseWorkflow, StoreError};
use crate::start::WorkflowRef;
use crate::{Engine, LoadedWorkflow, ScheduleId, WorkflowId};

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

/// Why a schedule was not switched off or on.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PauseScheduleError {
    /// No such schedule, or its workflow defines it no more.
    #[error("there is no schedule {id}")]
    UnknownSchedule {
        /// As asked for.
        id: ScheduleId,
    },
    /// The store could not record it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// Switches one schedule off or on. While it is off, its due instants are recorded as skipped. In force when it returns,
    /// on this node; other nodes hear of it at once.
    ///
    /// # Errors
    ///
    /// Why nothing changed.
    pub async fn set_schedule_enabled(&self, schedule: ScheduleId, enabled: bool) -> Result<(), PauseScheduleError> {
        let unknown = PauseScheduleError::UnknownSchedule { id: schedule };
        let Some((workflow, _)) = self.catalog().of_schedule(schedule) else { return Err(unknown) };
        let pause = PauseSchedule { tenant: workflow.tenant, schedule, paused: !enabled, at: self.clock().now() };
        if !self.store().pause_schedule(pause).await? {
            return Err(unknown);
        }
        // As it is now: it may have been changed meanwhile.
        if let Some(changed) = self.catalog().by_id(workflow.id).and_then(|now| now.with_paused(schedule, !enabled)) {
            self.catalog().put(changed);
        }
        if let Err(error) = self.store().notify(Notice::Workflows).await {
            tracing::warn!(%error, "other nodes were not told that a schedule was switched off or on");
        }
        Ok(())
    }

    /// Makes a workflow take starts, or none: neither from people nor from triggers. Executions that are live go on.
    /// In force when it returns, on this node; other nodes hear of it at once.
    ///
    /// # Errors
    ///
    /// Why nothing changed.
    pub async fn set_enabled(&self, workflow: &WorkflowRef, enabled: bool) -> Result<WorkflowId, PauseError> {
        let known = self.look_up(workflow).ok_or_else(|| PauseError::UnknownWorkflow { name: workflow.to_string() })?;
        let (tenant, at) = (known.tenant, self.clock().now());
        let pause = PauseWorkflow { tenant, workflow: known.id, paused: !enabled, actor: Actor::Admin, at };
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
