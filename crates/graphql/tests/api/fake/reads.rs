//! What the made-up rows answer.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cogwheel_engine::ports::{EventFilter, Reads, RecordedEvent, StoreError};
use cogwheel_engine::views::{
    ArtifactView, CompensationView, DeadLetterView, EndpointView, ExecutionFilter, ExecutionView, FileFilter, FileView,
    FireFilter, FireView, LogView, Page, PageRequest, SagaFilter, SagaTimeoutView, SagaView, ScheduleView, StepView,
    TimeCursor, TriggerFilter, VersionView, WatchView, WorkflowFilter, WorkflowView,
};
use cogwheel_engine::{EndpointId, ExecutionId, FileId, ScheduleId, TenantId, VersionId, WatchId, WorkflowId};
use serde_json::json;
use uuid::Uuid;

use super::{Fake, Rows, at};

fn take<C: Copy, V: Clone>(
    rows: Vec<V>,
    page: PageRequest<C>,
    place: impl Fn(&V) -> C,
    less: impl Fn(&C, &C) -> bool,
) -> Page<V> {
    match page {
        PageRequest::Forward { first, after } => {
            let mut items: Vec<_> =
                rows.into_iter().filter(|row| after.is_none_or(|after| less(&after, &place(row)))).collect();
            let has_more = items.len() > first as usize;
            items.truncate(first as usize);
            Page { items, has_more }
        }
        PageRequest::Backward { last, before } => {
            let items: Vec<_> =
                rows.into_iter().filter(|row| before.is_none_or(|before| less(&place(row), &before))).collect();
            let skipped = items.len().saturating_sub(last as usize);
            Page { items: items[skipped..].to_vec(), has_more: skipped > 0 }
        }
    }
}

/// Newest first.
pub(super) fn by_time<V: Clone>(mut rows: Vec<V>, page: PageRequest, place: impl Fn(&V) -> TimeCursor) -> Page<V> {
    rows.sort_by_key(|row| std::cmp::Reverse((place(row).at, place(row).id)));
    take(rows, page, place, |a, b| (a.at, a.id) > (b.at, b.id))
}

fn executions_like(rows: &Rows, filter: &ExecutionFilter) -> Vec<ExecutionView> {
    let workflow = filter.workflow.as_ref().map(|name| rows.workflows.iter().find(|w| w.name == *name).map(|w| w.id));
    rows.executions
        .iter()
        .filter(|row| workflow.is_none_or(|workflow| workflow == Some(row.workflow)))
        .filter(|row| filter.status.is_empty() || filter.status.contains(&row.status))
        .filter(|row| filter.trigger_type.is_empty() || filter.trigger_type.contains(&row.trigger_type))
        .cloned()
        .collect()
}

fn children(rows: &Rows, parent: ExecutionId) -> Vec<ExecutionView> {
    let is_child = |row: &&ExecutionView| row.parent.is_some_and(|known| known.execution == parent);
    rows.executions.iter().filter(is_child).cloned().collect()
}

fn execution_place(row: &ExecutionView) -> TimeCursor {
    TimeCursor { at: row.created_at, id: row.id.0 }
}

#[async_trait]
impl Reads for Fake {
    async fn workflow_by_name(&self, _: TenantId, name: &str) -> Result<Option<WorkflowView>, StoreError> {
        self.read("workflow_by_name", |rows| rows.workflows.iter().find(|row| row.name == name).cloned())
    }

    async fn workflows_by_id(&self, _: TenantId, ids: &[WorkflowId]) -> Result<Vec<WorkflowView>, StoreError> {
        self.read("workflows_by_id", |rows| {
            rows.workflows.iter().filter(|row| ids.contains(&row.id)).cloned().collect()
        })
    }

    async fn workflows(
        &self,
        _: TenantId,
        filter: &WorkflowFilter,
        page: PageRequest,
    ) -> Result<Page<WorkflowView>, StoreError> {
        self.read("workflows", |rows| {
            let kept = rows.workflows.iter().filter(|row| filter.is_enabled.is_none_or(|on| on == row.is_enabled));
            by_time(kept.cloned().collect(), page, |row| TimeCursor { at: row.created_at, id: row.id.0 })
        })
    }

    async fn count_workflows(&self, _: TenantId, _: &WorkflowFilter) -> Result<u64, StoreError> {
        self.read("count_workflows", |rows| rows.workflows.len() as u64)
    }

    async fn versions_by_id(&self, _: TenantId, ids: &[VersionId]) -> Result<Vec<VersionView>, StoreError> {
        self.read("versions_by_id", |_| {
            let version = |id: &VersionId| VersionView {
                id: *id,
                workflow: WorkflowId(id.0),
                version: 1,
                source: "name: w0".to_owned(),
                definition: json!({}),
                checksum: "00".repeat(32),
                is_active: true,
                created_at: at(0),
            };
            ids.iter().map(version).collect()
        })
    }

    async fn executions_by_id(&self, _: TenantId, ids: &[ExecutionId]) -> Result<Vec<ExecutionView>, StoreError> {
        self.read("executions_by_id", |rows| {
            rows.executions.iter().filter(|row| ids.contains(&row.id)).cloned().collect()
        })
    }

    async fn executions(
        &self,
        _: TenantId,
        filter: &ExecutionFilter,
        page: PageRequest,
    ) -> Result<Page<ExecutionView>, StoreError> {
        self.read("executions", |rows| by_time(executions_like(rows, filter), page, execution_place))
    }

    async fn count_executions(&self, _: TenantId, filter: &ExecutionFilter) -> Result<u64, StoreError> {
        self.read("count_executions", |rows| executions_like(rows, filter).len() as u64)
    }

    async fn executions_of_workflows(
        &self,
        _: TenantId,
        workflows: &[WorkflowId],
        page: PageRequest,
    ) -> Result<HashMap<WorkflowId, Page<ExecutionView>>, StoreError> {
        self.read("executions_of_workflows", |rows| {
            let of = |id: &WorkflowId| rows.executions.iter().filter(|row| row.workflow == *id).cloned().collect();
            workflows.iter().map(|id| (*id, by_time(of(id), page, execution_place))).collect()
        })
    }

    async fn count_executions_of_workflows(
        &self,
        _: TenantId,
        workflows: &[WorkflowId],
    ) -> Result<HashMap<WorkflowId, u64>, StoreError> {
        self.read("count_executions_of_workflows", |rows| {
            let of = |id: &WorkflowId| rows.executions.iter().filter(|row| row.workflow == *id).count() as u64;
            workflows.iter().map(|id| (*id, of(id))).collect()
        })
    }

    async fn children_of_executions(
        &self,
        _: TenantId,
        executions: &[ExecutionId],
        page: PageRequest,
    ) -> Result<HashMap<ExecutionId, Page<ExecutionView>>, StoreError> {
        self.read("children_of_executions", |rows| {
            executions.iter().map(|id| (*id, by_time(children(rows, *id), page, execution_place))).collect()
        })
    }

    async fn count_children_of_executions(
        &self,
        _: TenantId,
        executions: &[ExecutionId],
    ) -> Result<HashMap<ExecutionId, u64>, StoreError> {
        self.read("count_children_of_executions", |rows| {
            executions.iter().map(|id| (*id, children(rows, *id).len() as u64)).collect()
        })
    }

    async fn sagas_of_executions(&self, _: TenantId, executions: &[ExecutionId]) -> Result<Vec<SagaView>, StoreError> {
        self.read("sagas_of_executions", |rows| {
            rows.sagas.iter().filter(|row| executions.contains(&row.execution)).cloned().collect()
        })
    }

    async fn sagas(&self, _: TenantId, filter: &SagaFilter, page: PageRequest) -> Result<Page<SagaView>, StoreError> {
        self.read("sagas", |rows| {
            let kept = rows.sagas.iter().filter(|row| filter.status.is_empty() || filter.status.contains(&row.status));
            by_time(kept.cloned().collect(), page, |row| TimeCursor { at: row.created_at, id: row.execution.0 })
        })
    }

    async fn count_sagas(&self, _: TenantId, _: &SagaFilter) -> Result<u64, StoreError> {
        self.read("count_sagas", |rows| rows.sagas.len() as u64)
    }

    async fn compensations(
        &self,
        _: TenantId,
        executions: &[ExecutionId],
    ) -> Result<HashMap<ExecutionId, Vec<CompensationView>>, StoreError> {
        self.read("compensations", |rows| {
            let mut of: HashMap<ExecutionId, Vec<CompensationView>> = HashMap::new();
            for row in rows.compensations.iter().filter(|row| executions.contains(&row.execution)) {
                of.entry(row.execution).or_default().push(row.clone());
            }
            of
        })
    }

    async fn saga_timeouts(
        &self,
        _: TenantId,
        _: &[ExecutionId],
    ) -> Result<HashMap<ExecutionId, Vec<SagaTimeoutView>>, StoreError> {
        self.read("saga_timeouts", |_| HashMap::new())
    }

    async fn newest_changes(
        &self,
        _: TenantId,
        executions: &[ExecutionId],
    ) -> Result<HashMap<ExecutionId, DateTime<Utc>>, StoreError> {
        self.read("newest_changes", |rows| {
            let known = rows.executions.iter().filter(|row| executions.contains(&row.id));
            known.map(|row| (row.id, row.updated_at)).collect()
        })
    }

    async fn steps(
        &self,
        _: TenantId,
        executions: &[ExecutionId],
        page: PageRequest<i32>,
    ) -> Result<HashMap<ExecutionId, Page<StepView>>, StoreError> {
        self.read("steps", |rows| {
            let of = |id: &ExecutionId| rows.steps.iter().filter(|row| row.execution == *id).cloned().collect();
            executions.iter().map(|id| (*id, take(of(id), page, |row| row.ordinal, |a, b| a < b))).collect()
        })
    }

    async fn count_steps(&self, _: TenantId, ids: &[ExecutionId]) -> Result<HashMap<ExecutionId, u64>, StoreError> {
        self.read("count_steps", |rows| {
            let of = |id: &ExecutionId| rows.steps.iter().filter(|row| row.execution == *id).count() as u64;
            ids.iter().map(|id| (*id, of(id))).collect()
        })
    }

    async fn steps_by_id(&self, _: TenantId, ids: &[(ExecutionId, i32)]) -> Result<Vec<StepView>, StoreError> {
        self.read("steps_by_id", |rows| {
            rows.steps.iter().filter(|row| ids.contains(&(row.execution, row.ordinal))).cloned().collect()
        })
    }

    async fn logs_of(
        &self,
        _: TenantId,
        logs: &[(ExecutionId, Option<i32>)],
        page: PageRequest<i64>,
    ) -> Result<HashMap<(ExecutionId, Option<i32>), Page<LogView>>, StoreError> {
        self.read("logs_of", |rows| logs.iter().map(|key| (*key, log_page(rows, key.0, key.1, page))).collect())
    }

    async fn count_logs_of(
        &self,
        _: TenantId,
        logs: &[(ExecutionId, Option<i32>)],
    ) -> Result<HashMap<(ExecutionId, Option<i32>), u64>, StoreError> {
        let whole = PageRequest::Forward { first: u32::MAX, after: None };
        self.read("count_logs_of", |rows| {
            logs.iter().map(|key| (*key, log_page(rows, key.0, key.1, whole).items.len() as u64)).collect()
        })
    }

    async fn files_by_id(&self, _: TenantId, ids: &[FileId]) -> Result<Vec<FileView>, StoreError> {
        self.read("files_by_id", |rows| rows.files.iter().filter(|row| ids.contains(&row.id)).cloned().collect())
    }

    async fn files(&self, _: TenantId, filter: &FileFilter, page: PageRequest) -> Result<Page<FileView>, StoreError> {
        self.read("files", |rows| {
            let kept = rows.files.iter().filter(|row| filter.watch.is_none() || filter.watch == row.watch);
            by_time(kept.cloned().collect(), page, |row| TimeCursor { at: row.created_at, id: row.id.0 })
        })
    }

    async fn count_files(&self, _: TenantId, _: &FileFilter) -> Result<u64, StoreError> {
        self.read("count_files", |rows| rows.files.len() as u64)
    }

    async fn artifacts_of_steps(
        &self,
        _: TenantId,
        steps: &[(ExecutionId, i32)],
    ) -> Result<HashMap<(ExecutionId, i32), Vec<ArtifactView>>, StoreError> {
        self.read("artifacts_of_steps", |rows| {
            let mut found: HashMap<_, Vec<_>> = HashMap::new();
            for artifact in &rows.artifacts {
                let step = (artifact.execution, artifact.step_ordinal.unwrap_or(-1));
                if steps.contains(&step) {
                    found.entry(step).or_default().push(artifact.clone());
                }
            }
            found
        })
    }

    async fn artifacts_by_id(&self, _: TenantId, ids: &[Uuid]) -> Result<Vec<ArtifactView>, StoreError> {
        self.read("artifacts_by_id", |rows| {
            rows.artifacts.iter().filter(|row| ids.contains(&row.id)).cloned().collect()
        })
    }

    async fn files_of_executions(
        &self,
        _: TenantId,
        executions: &[ExecutionId],
    ) -> Result<HashMap<ExecutionId, Vec<FileView>>, StoreError> {
        self.read("files_of_executions", |rows| {
            let pairs = rows.executions.iter().zip(&rows.files).filter(|(row, _)| executions.contains(&row.id));
            pairs.map(|(row, file)| (row.id, vec![file.clone()])).collect()
        })
    }

    async fn executions_of_files(
        &self,
        _: TenantId,
        files: &[FileId],
    ) -> Result<HashMap<FileId, Vec<ExecutionView>>, StoreError> {
        self.read("executions_of_files", |rows| {
            let pairs = rows.executions.iter().zip(&rows.files).filter(|(_, file)| files.contains(&file.id));
            pairs.map(|(row, file)| (file.id, vec![row.clone()])).collect()
        })
    }

    async fn schedules_by_id(&self, _: TenantId, ids: &[ScheduleId]) -> Result<Vec<ScheduleView>, StoreError> {
        self.read("schedules_by_id", |rows| {
            rows.schedules.iter().filter(|row| ids.contains(&row.id)).cloned().collect()
        })
    }

    async fn schedules(
        &self,
        _: TenantId,
        _: &TriggerFilter,
        page: PageRequest,
    ) -> Result<Page<ScheduleView>, StoreError> {
        self.read("schedules", |rows| {
            by_time(rows.schedules.clone(), page, |row| TimeCursor { at: row.created_at, id: row.id.0 })
        })
    }

    async fn count_schedules(&self, _: TenantId, _: &TriggerFilter) -> Result<u64, StoreError> {
        self.read("count_schedules", |rows| rows.schedules.len() as u64)
    }

    async fn schedules_of_workflows(
        &self,
        _: TenantId,
        workflows: &[WorkflowId],
    ) -> Result<HashMap<WorkflowId, Vec<ScheduleView>>, StoreError> {
        self.read("schedules_of_workflows", |rows| {
            let known = rows.schedules.iter().filter(|row| workflows.contains(&row.workflow));
            known.map(|row| (row.workflow, vec![row.clone()])).collect()
        })
    }

    async fn fires_by_id(&self, _: TenantId, ids: &[Uuid]) -> Result<Vec<FireView>, StoreError> {
        self.read("fires_by_id", |rows| rows.fires.iter().filter(|row| ids.contains(&row.id)).cloned().collect())
    }

    async fn fires(&self, _: TenantId, filter: &FireFilter, page: PageRequest) -> Result<Page<FireView>, StoreError> {
        self.read("fires", |rows| {
            let kept = rows.fires.iter().filter(|row| filter.schedule.is_none_or(|schedule| schedule == row.schedule));
            by_time(kept.cloned().collect(), page, |row| TimeCursor { at: row.due_at, id: row.id })
        })
    }

    async fn count_fires(&self, _: TenantId, _: &FireFilter) -> Result<u64, StoreError> {
        self.read("count_fires", |rows| rows.fires.len() as u64)
    }

    async fn fires_of_schedules(
        &self,
        _: TenantId,
        schedules: &[ScheduleId],
        page: PageRequest,
    ) -> Result<HashMap<ScheduleId, Page<FireView>>, StoreError> {
        self.read("fires_of_schedules", |rows| {
            let of = |id: &ScheduleId| rows.fires.iter().filter(|row| row.schedule == *id).cloned().collect();
            let place = |row: &FireView| TimeCursor { at: row.due_at, id: row.id };
            schedules.iter().map(|id| (*id, by_time(of(id), page, place))).collect()
        })
    }

    async fn count_fires_of_schedules(
        &self,
        _: TenantId,
        schedules: &[ScheduleId],
    ) -> Result<HashMap<ScheduleId, u64>, StoreError> {
        self.read("count_fires_of_schedules", |rows| {
            let of = |id: &ScheduleId| rows.fires.iter().filter(|row| row.schedule == *id).count() as u64;
            schedules.iter().map(|id| (*id, of(id))).collect()
        })
    }

    async fn endpoints_by_id(&self, _: TenantId, ids: &[EndpointId]) -> Result<Vec<EndpointView>, StoreError> {
        self.read("endpoints_by_id", |rows| {
            rows.endpoints.iter().filter(|row| ids.contains(&row.id)).cloned().collect()
        })
    }

    async fn endpoints(
        &self,
        _: TenantId,
        _: &TriggerFilter,
        page: PageRequest,
    ) -> Result<Page<EndpointView>, StoreError> {
        self.read("endpoints", |rows| {
            by_time(rows.endpoints.clone(), page, |row| TimeCursor { at: row.created_at, id: row.id.0 })
        })
    }

    async fn count_endpoints(&self, _: TenantId, _: &TriggerFilter) -> Result<u64, StoreError> {
        self.read("count_endpoints", |rows| rows.endpoints.len() as u64)
    }

    async fn dead_letters(&self, _: TenantId, most: u32) -> Result<Vec<DeadLetterView>, StoreError> {
        self.read("dead_letters", |rows| rows.dead_letters.iter().take(most as usize).cloned().collect())
    }

    async fn watches_by_id(&self, _: TenantId, ids: &[WatchId]) -> Result<Vec<WatchView>, StoreError> {
        self.read("watches_by_id", |rows| rows.watches.iter().filter(|row| ids.contains(&row.id)).cloned().collect())
    }

    async fn watches(&self, _: TenantId, _: &TriggerFilter, page: PageRequest) -> Result<Page<WatchView>, StoreError> {
        self.read("watches", |rows| {
            by_time(rows.watches.clone(), page, |row| TimeCursor { at: row.created_at, id: row.id.0 })
        })
    }

    async fn count_watches(&self, _: TenantId, _: &TriggerFilter) -> Result<u64, StoreError> {
        self.read("count_watches", |rows| rows.watches.len() as u64)
    }

    async fn watches_of_workflows(
        &self,
        _: TenantId,
        workflows: &[WorkflowId],
    ) -> Result<HashMap<WorkflowId, Vec<WatchView>>, StoreError> {
        self.read("watches_of_workflows", |rows| {
            let known = rows.watches.iter().filter(|row| workflows.contains(&row.workflow));
            known.map(|row| (row.workflow, vec![row.clone()])).collect()
        })
    }

    async fn events(
        &self,
        _: TenantId,
        filter: &EventFilter,
        after_position: i64,
        most: u32,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.read("events", |rows| {
            let wanted = rows.events.iter().filter(|event| {
                event.place.position > after_position
                    && filter.stream.as_ref().is_none_or(|stream| *stream == event.stream)
                    && (filter.types.is_empty() || filter.types.contains(&event.event_type))
            });
            wanted.take(most as usize).cloned().collect()
        })
    }

    async fn event(&self, _: TenantId, id: Uuid) -> Result<Option<RecordedEvent>, StoreError> {
        self.read("event", |rows| rows.events.iter().find(|event| event.id == id).cloned())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.read("ping", |_| ())
    }
}

fn log_page(rows: &Rows, execution: ExecutionId, step: Option<i32>, page: PageRequest<i64>) -> Page<LogView> {
    let lines =
        rows.logs.iter().filter(|row| row.execution == execution && (step.is_none() || step == row.step_ordinal));
    take(lines.cloned().collect(), page, |row| row.sequence, |a, b| a < b)
}
