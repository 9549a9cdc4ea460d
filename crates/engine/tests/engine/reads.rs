//! An API side that nobody asks.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cogwheel_engine::ports::{EventFilter, Reads, RecordedEvent, StoreError};
use cogwheel_engine::views::{
    ArtifactView, CompensationView, DeadLetterView, EndpointView, ExecutionFilter, ExecutionView, FileFilter, FileView,
    FireFilter, FireView, LogView, Page, PageRequest, SagaFilter, SagaTimeoutView, SagaView, ScheduleView, StepView,
    TriggerFilter, VersionView, WatchView, WorkflowFilter, WorkflowView,
};
use cogwheel_engine::{EndpointId, ExecutionId, FileId, ScheduleId, TenantId, VersionId, WatchId, WorkflowId};
use uuid::Uuid;

pub(crate) struct NoReads;

macro_rules! nothing {
    ($($name:ident($($kind:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl Reads for NoReads {
            $(async fn $name(&self, $(_: $kind),*) -> Result<$answer, StoreError> {
                Err(StoreError::Unavailable("there is no API here".to_owned()))
            })*
        }
    };
}

nothing! {
    workflow_by_name(TenantId, &str) -> Option<WorkflowView>;
    workflows_by_id(TenantId, &[WorkflowId]) -> Vec<WorkflowView>;
    workflows(TenantId, &WorkflowFilter, PageRequest) -> Page<WorkflowView>;
    count_workflows(TenantId, &WorkflowFilter) -> u64;
    versions_by_id(TenantId, &[VersionId]) -> Vec<VersionView>;
    executions_by_id(TenantId, &[ExecutionId]) -> Vec<ExecutionView>;
    executions(TenantId, &ExecutionFilter, PageRequest) -> Page<ExecutionView>;
    count_executions(TenantId, &ExecutionFilter) -> u64;
    executions_of_workflows(TenantId, &[WorkflowId], PageRequest) -> HashMap<WorkflowId, Page<ExecutionView>>;
    count_executions_of_workflows(TenantId, &[WorkflowId]) -> HashMap<WorkflowId, u64>;
    children_of_executions(TenantId, &[ExecutionId], PageRequest) -> HashMap<ExecutionId, Page<ExecutionView>>;
    count_children_of_executions(TenantId, &[ExecutionId]) -> HashMap<ExecutionId, u64>;
    sagas_of_executions(TenantId, &[ExecutionId]) -> Vec<SagaView>;
    sagas(TenantId, &SagaFilter, PageRequest) -> Page<SagaView>;
    count_sagas(TenantId, &SagaFilter) -> u64;
    compensations(TenantId, &[ExecutionId]) -> HashMap<ExecutionId, Vec<CompensationView>>;
    saga_timeouts(TenantId, &[ExecutionId]) -> HashMap<ExecutionId, Vec<SagaTimeoutView>>;
    newest_changes(TenantId, &[ExecutionId]) -> HashMap<ExecutionId, DateTime<Utc>>;
    steps(TenantId, &[ExecutionId], PageRequest<i32>) -> HashMap<ExecutionId, Page<StepView>>;
    count_steps(TenantId, &[ExecutionId]) -> HashMap<ExecutionId, u64>;
    steps_by_id(TenantId, &[(ExecutionId, i32)]) -> Vec<StepView>;
    artifacts_of_steps(TenantId, &[(ExecutionId, i32)]) -> HashMap<(ExecutionId, i32), Vec<ArtifactView>>;
    artifacts_by_id(TenantId, &[Uuid]) -> Vec<ArtifactView>;
    logs_of(TenantId, &[(ExecutionId, Option<i32>)], PageRequest<i64>) -> HashMap<(ExecutionId, Option<i32>), Page<LogView>>;
    count_logs_of(TenantId, &[(ExecutionId, Option<i32>)]) -> HashMap<(ExecutionId, Option<i32>), u64>;
    files_by_id(TenantId, &[FileId]) -> Vec<FileView>;
    files(TenantId, &FileFilter, PageRequest) -> Page<FileView>;
    count_files(TenantId, &FileFilter) -> u64;
    files_of_executions(TenantId, &[ExecutionId]) -> HashMap<ExecutionId, Vec<FileView>>;
    executions_of_files(TenantId, &[FileId]) -> HashMap<FileId, Vec<ExecutionView>>;
    schedules_by_id(TenantId, &[ScheduleId]) -> Vec<ScheduleView>;
    schedules(TenantId, &TriggerFilter, PageRequest) -> Page<ScheduleView>;
    count_schedules(TenantId, &TriggerFilter) -> u64;
    schedules_of_workflows(TenantId, &[WorkflowId]) -> HashMap<WorkflowId, Vec<ScheduleView>>;
    fires_by_id(TenantId, &[Uuid]) -> Vec<FireView>;
    fires(TenantId, &FireFilter, PageRequest) -> Page<FireView>;
    count_fires(TenantId, &FireFilter) -> u64;
    fires_of_schedules(TenantId, &[ScheduleId], PageRequest) -> HashMap<ScheduleId, Page<FireView>>;
    count_fires_of_schedules(TenantId, &[ScheduleId]) -> HashMap<ScheduleId, u64>;
    dead_letters(TenantId, u32) -> Vec<DeadLetterView>;
    endpoints_by_id(TenantId, &[EndpointId]) -> Vec<EndpointView>;
    endpoints(TenantId, &TriggerFilter, PageRequest) -> Page<EndpointView>;
    count_endpoints(TenantId, &TriggerFilter) -> u64;
    watches_by_id(TenantId, &[WatchId]) -> Vec<WatchView>;
    watches(TenantId, &TriggerFilter, PageRequest) -> Page<WatchView>;
    count_watches(TenantId, &TriggerFilter) -> u64;
    watches_of_workflows(TenantId, &[WorkflowId]) -> HashMap<WorkflowId, Vec<WatchView>>;
    events(TenantId, &EventFilter, i64, u32) -> Vec<RecordedEvent>;
    event(TenantId, Uuid) -> Option<RecordedEvent>;
    ping() -> ();
}
