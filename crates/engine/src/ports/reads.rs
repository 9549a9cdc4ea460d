//! The port of the API's reads. Every call sees the rows of one tenant only.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cogwheel_machine::ExecutionId;
use uuid::Uuid;

use super::{EventFilter, RecordedEvent, StoreError};
use crate::views::{
    ArtifactView, CompensationView, DeadLetterView, EndpointView, ExecutionFilter, ExecutionView, FileFilter, FileView,
    FireFilter, FireView, LogView, Page, PageRequest, SagaFilter, SagaTimeoutView, SagaView, ScheduleView, StepView,
    TriggerFilter, VersionView, WatchView, WorkflowFilter, WorkflowView,
};
use crate::{EndpointId, FileId, ScheduleId, TenantId, VersionId, WatchId, WorkflowId};

/// Lists by time run newest first. Batch look-ups leave out what does not exist: also the pages and counts of parents
/// that have nothing. However many parents there are, they cost no query each.
#[async_trait]
pub trait Reads: Send + Sync + 'static {
    /// A workflow by its name; deleted ones are not found.
    async fn workflow_by_name(&self, tenant: TenantId, name: &str) -> Result<Option<WorkflowView>, StoreError>;

    /// Workflows by id, deleted ones included (executions still refer to them).
    async fn workflows_by_id(&self, tenant: TenantId, ids: &[WorkflowId]) -> Result<Vec<WorkflowView>, StoreError>;

    /// Lists workflows that are not deleted.
    async fn workflows(
        &self,
        tenant: TenantId,
        filter: &WorkflowFilter,
        page: PageRequest,
    ) -> Result<Page<WorkflowView>, StoreError>;

    /// Counts what [`Reads::workflows`] lists.
    async fn count_workflows(&self, tenant: TenantId, filter: &WorkflowFilter) -> Result<u64, StoreError>;

    /// Versions by id.
    async fn versions_by_id(&self, tenant: TenantId, ids: &[VersionId]) -> Result<Vec<VersionView>, StoreError>;

    /// Executions by id.
    async fn executions_by_id(&self, tenant: TenantId, ids: &[ExecutionId]) -> Result<Vec<ExecutionView>, StoreError>;

    /// Lists executions.
    async fn executions(
        &self,
        tenant: TenantId,
        filter: &ExecutionFilter,
        page: PageRequest,
    ) -> Result<Page<ExecutionView>, StoreError>;

    /// Counts what [`Reads::executions`] lists.
    async fn count_executions(&self, tenant: TenantId, filter: &ExecutionFilter) -> Result<u64, StoreError>;

    /// A page of each execution's steps in order of their ordinal.
    async fn steps(
        &self,
        tenant: TenantId,
        executions: &[ExecutionId],
        page: PageRequest<i32>,
    ) -> Result<HashMap<ExecutionId, Page<StepView>>, StoreError>;

    /// How many steps each execution has recorded.
    async fn count_steps(
        &self,
        tenant: TenantId,
        executions: &[ExecutionId],
    ) -> Result<HashMap<ExecutionId, u64>, StoreError>;

    /// Steps by execution and ordinal.
    async fn steps_by_id(&self, tenant: TenantId, ids: &[(ExecutionId, i32)]) -> Result<Vec<StepView>, StoreError>;

    /// The files that each step left, by name.
    async fn artifacts_of_steps(
        &self,
        tenant: TenantId,
        steps: &[(ExecutionId, i32)],
    ) -> Result<HashMap<(ExecutionId, i32), Vec<ArtifactView>>, StoreError>;

    /// Files that steps left, by id.
    async fn artifacts_by_id(&self, tenant: TenantId, ids: &[Uuid]) -> Result<Vec<ArtifactView>, StoreError>;

    /// Files by id.
    async fn files_by_id(&self, tenant: TenantId, ids: &[FileId]) -> Result<Vec<FileView>, StoreError>;

    /// Lists file versions.
    async fn files(
        &self,
        tenant: TenantId,
        filter: &FileFilter,
        page: PageRequest,
    ) -> Result<Page<FileView>, StoreError>;

    /// Counts what [`Reads::files`] lists.
    async fn count_files(&self, tenant: TenantId, filter: &FileFilter) -> Result<u64, StoreError>;

    /// The input files of each execution.
    async fn files_of_executions(
        &self,
        tenant: TenantId,
        executions: &[ExecutionId],
    ) -> Result<HashMap<ExecutionId, Vec<FileView>>, StoreError>;

    /// The executions that took each file in.
    async fn executions_of_files(
        &self,
        tenant: TenantId,
        files: &[FileId],
    ) -> Result<HashMap<FileId, Vec<ExecutionView>>, StoreError>;

    /// Schedules by id.
    async fn schedules_by_id(&self, tenant: TenantId, ids: &[ScheduleId]) -> Result<Vec<ScheduleView>, StoreError>;

    /// Lists schedules of workflows that are not deleted.
    async fn schedules(
        &self,
        tenant: TenantId,
        filter: &TriggerFilter,
        page: PageRequest,
    ) -> Result<Page<ScheduleView>, StoreError>;

    /// Counts what [`Reads::schedules`] lists.
    async fn count_schedules(&self, tenant: TenantId, filter: &TriggerFilter) -> Result<u64, StoreError>;

    /// Due instants by id.
    async fn fires_by_id(&self, tenant: TenantId, ids: &[Uuid]) -> Result<Vec<FireView>, StoreError>;

    /// Lists due instants with their outcomes, latest first; the cursor's time is `due_at`.
    async fn fires(
        &self,
        tenant: TenantId,
        filter: &FireFilter,
        page: PageRequest,
    ) -> Result<Page<FireView>, StoreError>;

    /// Counts what [`Reads::fires`] lists.
    async fn count_fires(&self, tenant: TenantId, filter: &FireFilter) -> Result<u64, StoreError>;

    /// Watches by id.
    async fn watches_by_id(&self, tenant: TenantId, ids: &[WatchId]) -> Result<Vec<WatchView>, StoreError>;

    /// Lists watches of workflows that are not deleted.
    async fn watches(
        &self,
        tenant: TenantId,
        filter: &TriggerFilter,
        page: PageRequest,
    ) -> Result<Page<WatchView>, StoreError>;

    /// Counts what [`Reads::watches`] lists.
    async fn count_watches(&self, tenant: TenantId, filter: &TriggerFilter) -> Result<u64, StoreError>;

    /// Addresses for calls by id.
    async fn endpoints_by_id(&self, tenant: TenantId, ids: &[EndpointId]) -> Result<Vec<EndpointView>, StoreError>;

    /// Lists the addresses for calls of workflows that are not deleted.
    async fn endpoints(
        &self,
        tenant: TenantId,
        filter: &TriggerFilter,
        page: PageRequest,
    ) -> Result<Page<EndpointView>, StoreError>;

    /// Counts what [`Reads::endpoints`] lists.
    async fn count_endpoints(&self, tenant: TenantId, filter: &TriggerFilter) -> Result<u64, StoreError>;

    /// The events that consumers gave up on last, newest first, at most `most`.
    async fn dead_letters(&self, tenant: TenantId, most: u32) -> Result<Vec<DeadLetterView>, StoreError>;

    /// Sagas by the executions that they are.
    async fn sagas_of_executions(
        &self,
        tenant: TenantId,
        executions: &[ExecutionId],
    ) -> Result<Vec<SagaView>, StoreError>;

    /// Lists sagas.
    async fn sagas(
        &self,
        tenant: TenantId,
        filter: &SagaFilter,
        page: PageRequest,
    ) -> Result<Page<SagaView>, StoreError>;

    /// Counts what [`Reads::sagas`] lists.
    async fn count_sagas(&self, tenant: TenantId, filter: &SagaFilter) -> Result<u64, StoreError>;

    /// What each saga undoes, in the order in which it is undone.
    async fn compensations(
        &self,
        tenant: TenantId,
        executions: &[ExecutionId],
    ) -> Result<HashMap<ExecutionId, Vec<CompensationView>>, StoreError>;

    /// The time limits of each saga and its steps, the earliest first.
    async fn saga_timeouts(
        &self,
        tenant: TenantId,
        executions: &[ExecutionId],
    ) -> Result<HashMap<ExecutionId, Vec<SagaTimeoutView>>, StoreError>;

    /// When each execution or one of its steps last changed.
    async fn newest_changes(
        &self,
        tenant: TenantId,
        executions: &[ExecutionId],
    ) -> Result<HashMap<ExecutionId, DateTime<Utc>>, StoreError>;

    /// A page of each workflow's executions, deleted workflows included.
    async fn executions_of_workflows(
        &self,
        tenant: TenantId,
        workflows: &[WorkflowId],
        page: PageRequest,
    ) -> Result<HashMap<WorkflowId, Page<ExecutionView>>, StoreError>;

    /// How many executions each workflow has.
    async fn count_executions_of_workflows(
        &self,
        tenant: TenantId,
        workflows: &[WorkflowId],
    ) -> Result<HashMap<WorkflowId, u64>, StoreError>;

    /// A page of the executions that each execution's steps started.
    async fn children_of_executions(
        &self,
        tenant: TenantId,
        executions: &[ExecutionId],
        page: PageRequest,
    ) -> Result<HashMap<ExecutionId, Page<ExecutionView>>, StoreError>;

    /// How many executions each execution's steps started.
    async fn count_children_of_executions(
        &self,
        tenant: TenantId,
        executions: &[ExecutionId],
    ) -> Result<HashMap<ExecutionId, u64>, StoreError>;

    /// The schedules of each workflow that is not deleted, by trigger key.
    async fn schedules_of_workflows(
        &self,
        tenant: TenantId,
        workflows: &[WorkflowId],
    ) -> Result<HashMap<WorkflowId, Vec<ScheduleView>>, StoreError>;

    /// The watches of each workflow that is not deleted, by trigger key.
    async fn watches_of_workflows(
        &self,
        tenant: TenantId,
        workflows: &[WorkflowId],
    ) -> Result<HashMap<WorkflowId, Vec<WatchView>>, StoreError>;

    /// A page of each schedule's due instants, latest first.
    async fn fires_of_schedules(
        &self,
        tenant: TenantId,
        schedules: &[ScheduleId],
        page: PageRequest,
    ) -> Result<HashMap<ScheduleId, Page<FireView>>, StoreError>;

    /// How many due instants each schedule has.
    async fn count_fires_of_schedules(
        &self,
        tenant: TenantId,
        schedules: &[ScheduleId],
    ) -> Result<HashMap<ScheduleId, u64>, StoreError>;

    /// A page of each log in order: an execution's whole log, or that of one of its steps.
    async fn logs_of(
        &self,
        tenant: TenantId,
        logs: &[(ExecutionId, Option<i32>)],
        page: PageRequest<i64>,
    ) -> Result<HashMap<(ExecutionId, Option<i32>), Page<LogView>>, StoreError>;

    /// How many lines each log has.
    async fn count_logs_of(
        &self,
        tenant: TenantId,
        logs: &[(ExecutionId, Option<i32>)],
    ) -> Result<HashMap<(ExecutionId, Option<i32>), u64>, StoreError>;

    /// The events after the one with this position (0: from the first), in order, at most `most`. None that could still get
    /// company before it, so that whoever asks again with the position of the last one misses none.
    async fn events(
        &self,
        tenant: TenantId,
        filter: &EventFilter,
        after_position: i64,
        most: u32,
    ) -> Result<Vec<RecordedEvent>, StoreError>;

    /// The event with this id.
    async fn event(&self, tenant: TenantId, id: Uuid) -> Result<Option<RecordedEvent>, StoreError>;

    /// A real round trip to the database.
    async fn ping(&self) -> Result<(), StoreError>;
}
