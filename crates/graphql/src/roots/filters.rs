//! What lists can be narrowed by.

use async_graphql::{ID, InputObject, Result};
use cogwheel_engine::views;

use crate::ids::{schedule_id, watch_id};
use crate::types::{
    ExecutionStatus, FileStatus, Instant, SagaStatus, ScheduleFireOutcome, TriggerType, WorkflowStatus,
};

/// Which workflows to list; what is not given does not narrow.
#[derive(InputObject, Default)]
pub(crate) struct WorkflowFilter {
    /// In one of these states.
    status: Option<Vec<WorkflowStatus>>,
    /// Which may be started, or may not.
    is_enabled: Option<bool>,
}

impl From<WorkflowFilter> for views::WorkflowFilter {
    fn from(filter: WorkflowFilter) -> Self {
        Self { status: words(filter.status), is_enabled: filter.is_enabled }
    }
}

/// Which executions to list; what is not given does not narrow.
#[derive(InputObject, Default)]
pub(crate) struct WorkflowExecutionFilter {
    /// Of the workflow with this name.
    workflow: Option<String>,
    /// In one of these states.
    status: Option<Vec<ExecutionStatus>>,
    /// Set off by one of these.
    trigger_type: Option<Vec<TriggerType>>,
}

impl From<WorkflowExecutionFilter> for views::ExecutionFilter {
    fn from(filter: WorkflowExecutionFilter) -> Self {
        Self { workflow: filter.workflow, status: words(filter.status), trigger_type: words(filter.trigger_type) }
    }
}

/// Which files to list; what is not given does not narrow.
#[derive(InputObject, Default)]
pub(crate) struct FileFilter {
    /// In one of these states.
    status: Option<Vec<FileStatus>>,
    /// Seen by the watch with this id.
    watch: Option<ID>,
}

impl FileFilter {
    pub(crate) fn read(self) -> Result<views::FileFilter> {
        let watch = self.watch.as_ref().map(watch_id).transpose()?;
        Ok(views::FileFilter { status: words(self.status), watch })
    }
}

/// Which file watches to list; what is not given does not narrow.
#[derive(InputObject, Default)]
pub(crate) struct FileWatchFilter {
    /// Of the workflow with this name.
    workflow: Option<String>,
}

impl From<FileWatchFilter> for views::TriggerFilter {
    fn from(filter: FileWatchFilter) -> Self {
        Self { workflow: filter.workflow }
    }
}

/// Which inbound webhooks to list; what is not given does not narrow.
#[derive(InputObject, Default)]
pub(crate) struct InboundEndpointFilter {
    /// Of the workflow with this name.
    workflow: Option<String>,
}

impl From<InboundEndpointFilter> for views::TriggerFilter {
    fn from(filter: InboundEndpointFilter) -> Self {
        Self { workflow: filter.workflow }
    }
}

/// Which schedules to list; what is not given does not narrow.
#[derive(InputObject, Default)]
pub(crate) struct ScheduleFilter {
    /// Of the workflow with this name.
    workflow: Option<String>,
}

impl From<ScheduleFilter> for views::TriggerFilter {
    fn from(filter: ScheduleFilter) -> Self {
        Self { workflow: filter.workflow }
    }
}

/// Which due instants to list; what is not given does not narrow.
#[derive(InputObject, Default)]
pub(crate) struct ScheduleFireFilter {
    /// Of the schedule with this id.
    schedule: Option<ID>,
    /// Those that fired, or those that were skipped.
    outcome: Option<ScheduleFireOutcome>,
    /// Due at this instant or later.
    from: Option<Instant>,
    /// Due at this instant or earlier.
    until: Option<Instant>,
}

impl ScheduleFireFilter {
    pub(crate) fn read(self) -> Result<views::FireFilter> {
        Ok(views::FireFilter {
            schedule: self.schedule.as_ref().map(schedule_id).transpose()?,
            fired: self.outcome.map(|outcome| outcome == ScheduleFireOutcome::Fired),
            from: self.from.map(Into::into),
            until: self.until.map(Into::into),
        })
    }
}

/// Which sagas to list; what is not given does not narrow.
#[derive(InputObject, Default)]
pub(crate) struct SagaFilter {
    /// In one of these states.
    status: Option<Vec<SagaStatus>>,
    /// Of the workflow with this name.
    workflow: Option<String>,
}

impl From<SagaFilter> for views::SagaFilter {
    fn from(filter: SagaFilter) -> Self {
        Self { status: words(filter.status), workflow: filter.workflow }
    }
}

fn words<A, E: From<A>>(given: Option<Vec<A>>) -> Vec<E> {
    given.into_iter().flatten().map(Into::into).collect()
}
