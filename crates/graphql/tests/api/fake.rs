//! An engine of made-up rows that notes what is read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_graphql::{Request, Response};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use cogwheel_access::Principal;
use cogwheel_engine::ports::{LogLevel, LogStream, Reads, StoreError, TriggerType};
use cogwheel_engine::views::{
    ExecutionFilter, ExecutionView, FileFilter, FileStatus, FileView, FireFilter, FireView, LogView, Page, PageRequest,
    ScheduleView, StepView, TimeCursor, TriggerFilter, VersionView, WatchView, WorkflowFilter, WorkflowStatus,
    WorkflowView,
};
use cogwheel_engine::{
    Changed, ExecutionId, ExecutionStatus, Feed, FileId, Follower, ScheduleId, StartError, StartRequest,
    StartedExecution, StepStatus, TenantId, VersionId, WatchId, WorkflowFile, WorkflowId,
};
use cogwheel_graphql::{Limits, Schema, Services};
use serde_json::{Value, json};
use uuid::Uuid;

const TENANT: TenantId = TenantId(Uuid::from_u128(1));

/// An instant so many seconds after the made-up rows begin.
pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("a valid time") + TimeDelta::seconds(seconds)
}

/// What the rows are.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) workflows: Vec<WorkflowView>,
    pub(crate) executions: Vec<ExecutionView>,
    pub(crate) steps: Vec<StepView>,
    pub(crate) logs: Vec<LogView>,
    pub(crate) files: Vec<FileView>,
    pub(crate) watches: Vec<WatchView>,
    pub(crate) schedules: Vec<ScheduleView>,
    pub(crate) fires: Vec<FireView>,
    pub(crate) workflow_files: Vec<WorkflowFile>,
    /// What a start answers; without it, a start takes for ever.
    pub(crate) start: Option<Result<StartedExecution, StartError>>,
    pub(crate) started: Vec<StartRequest>,
    /// What every read fails with.
    pub(crate) failure: Option<StoreError>,
    pub(crate) calls: Vec<&'static str>,
}

/// The engine.
#[derive(Clone, Default)]
pub(crate) struct Fake {
    rows: Arc<Mutex<Rows>>,
    feed: Feed,
}

impl Fake {
    /// An engine with so many workflows, each with so many executions of two steps and three log lines.
    pub(crate) fn with(workflows: usize, executions: usize) -> Self {
        let fake = Self::default();
        for w in 0..workflows {
            let workflow = fake.add_workflow(&format!("w{w}"));
            for _ in 0..executions {
                let id = fake.add_execution(workflow, ExecutionStatus::Completed);
                fake.add_steps(id, 2);
            }
        }
        fake
    }

    /// The rows, to look at or change.
    pub(crate) fn rows<T>(&self, with: impl FnOnce(&mut Rows) -> T) -> T {
        with(&mut self.rows.lock().expect("no test panics while it holds the rows"))
    }

    /// The calls of reads so far, which it forgets.
    pub(crate) fn take_calls(&self) -> Vec<&'static str> {
        self.rows(|rows| std::mem::take(&mut rows.calls))
    }

    /// Adds a workflow with a schedule and a watch.
    pub(crate) fn add_workflow(&self, name: &str) -> WorkflowId {
        self.rows(|rows| {
            let n = rows.workflows.len();
            let id = WorkflowId(Uuid::from_u128(0x10_0000 + n as u128));
            let created_at = at(i64::try_from(n).expect("few rows"));
            rows.workflows.push(WorkflowView {
                id,
                name: name.to_owned(),
                description: Some("made up".to_owned()),
                labels: json!({}),
                status: WorkflowStatus::Active,
                is_enabled: true,
                origin_path: Some(format!("{name}.yaml")),
                active_version: Some(VersionId(id.0)),
                total_executions: 0,
                successful_executions: 0,
                failed_executions: 0,
                last_execution_at: None,
                created_at,
                updated_at: created_at,
            });
            rows.schedules.push(ScheduleView {
                id: ScheduleId(Uuid::from_u128(0x20_0000 + n as u128)),
                workflow: id,
                trigger_key: "nightly".to_owned(),
                cron: Some("0 2 * * *".to_owned()),
                timezone: "UTC".to_owned(),
                catch_up: "last".to_owned(),
                overlap: "skip".to_owned(),
                is_enabled: true,
                next_due_at: None,
                last_due_at: None,
                last_fired_at: None,
                created_at,
            });
            rows.fires.push(FireView {
                id: Uuid::from_u128(0x30_0000 + n as u128),
                schedule: ScheduleId(Uuid::from_u128(0x20_0000 + n as u128)),
                due_at: created_at,
                fired: false,
                skip_reason: Some("overlap".to_owned()),
                is_catch_up: false,
                fired_at: None,
                lateness_ms: None,
                execution: None,
                created_at,
            });
            rows.watches.push(WatchView {
                id: WatchId(Uuid::from_u128(0x40_0000 + n as u128)),
                workflow: id,
                trigger_key: "inbox".to_owned(),
                location: Some("/inbox".to_owned()),
                include: json!(["*.csv"]),
                exclude: json!([]),
                is_recursive: false,
                settle_ms: 200,
                is_enabled: true,
                health: "failed".to_owned(),
                problem: Some("no such folder".to_owned()),
                last_scan_at: None,
                created_at,
            });
            id
        })
    }

    /// Adds an execution, one second younger than the last.
    pub(crate) fn add_execution(&self, workflow: WorkflowId, status: ExecutionStatus) -> ExecutionId {
        self.rows(|rows| {
            let n = rows.executions.len();
            let id = ExecutionId(Uuid::from_u128(0x50_0000 + n as u128));
            let created_at = at(i64::try_from(n).expect("few rows"));
            rows.executions.push(ExecutionView {
                id,
                workflow,
                version: VersionId(workflow.0),
                status,
                trigger_type: TriggerType::Manual,
                trigger_key: None,
                trigger: json!({}),
                inputs: json!({"n": n}),
                result: None,
                error: None,
                idempotency_key: None,
                correlation_id: id.0,
                created_at,
                started_at: Some(created_at),
                completed_at: status.is_terminal().then_some(created_at),
                deadline_at: None,
                execution_time_ms: status.is_terminal().then_some(3_000_000_000),
                updated_at: created_at,
            });
            rows.files.push(FileView {
                id: FileId(Uuid::from_u128(0x60_0000 + n as u128)),
                watch: rows.watches.first().map(|watch| watch.id),
                filename: format!("{n}.csv"),
                path: Some(format!("/inbox/{n}.csv")),
                size: 5_000_000_000,
                sha256: Some("00".repeat(32)),
                status: FileStatus::Processed,
                decision_reason: Some("new_version".to_owned()),
                change_kind: "created".to_owned(),
                modified_at: None,
                first_seen_at: created_at,
                settled_at: None,
                processed_at: None,
                created_at,
            });
            id
        })
    }

    /// Adds steps and three log lines to each.
    pub(crate) fn add_steps(&self, execution: ExecutionId, count: i32) {
        self.rows(|rows| {
            for ordinal in 0..count {
                rows.steps.push(StepView {
                    execution,
                    ordinal,
                    step_key: format!("s{ordinal}"),
                    step_name: format!("step {ordinal}"),
                    step_type: "set".to_owned(),
                    status: StepStatus::Completed,
                    attempt: 1,
                    attempt_history: json!([]),
                    input: None,
                    output: Some(json!({"ok": true})),
                    error: None,
                    started_at: None,
                    completed_at: None,
                    execution_time_ms: Some(1),
                    updated_at: at(0),
                });
                for line in 0..3 {
                    rows.logs.push(LogView {
                        execution,
                        sequence: i64::from(ordinal * 3 + line),
                        step_ordinal: Some(ordinal),
                        attempt: Some(1),
                        level: LogLevel::Info,
                        stream: LogStream::Stdout,
                        message: format!("line {line}"),
                        logged_at: at(0),
                    });
                }
            }
        });
    }

    /// Changes an execution and tells the followers.
    pub(crate) fn change(&self, id: ExecutionId, status: ExecutionStatus, updated_at: DateTime<Utc>) {
        let workflow = self.rows(|rows| {
            let row = rows.executions.iter_mut().find(|row| row.id == id).expect("a known execution");
            row.status = status;
            row.updated_at = updated_at;
            row.workflow
        });
        self.feed.notify(Changed { execution: id, workflow });
    }

    /// Tells the followers, though nothing changed.
    pub(crate) fn notify(&self, id: ExecutionId, workflow: WorkflowId) {
        self.feed.notify(Changed { execution: id, workflow });
    }

    /// The API over it.
    pub(crate) fn schema(&self) -> Schema {
        Schema::over(Arc::new(self.clone()), Limits::default())
    }

    /// What the API answers to the admin.
    pub(crate) async fn ask(&self, query: &str) -> Response {
        self.schema().execute(Principal::Admin, Request::new(query)).await
    }

    /// The data of an answer without errors.
    pub(crate) async fn data(&self, query: &str) -> Value {
        let response = self.ask(query).await;
        assert!(response.errors.is_empty(), "{query}: {:?}", response.errors);
        response.data.into_json().expect("data is JSON")
    }

    /// The code and message of an answer's only error.
    pub(crate) async fn error(&self, query: &str) -> (String, String) {
        only_error(&self.ask(query).await)
    }

    fn read<T>(&self, call: &'static str, with: impl FnOnce(&Rows) -> T) -> Result<T, StoreError> {
        self.rows(|rows| {
            rows.calls.push(call);
            match &rows.failure {
                Some(failure) => Err(failure.clone()),
                None => Ok(with(rows)),
            }
        })
    }
}

/// The code and message of an answer's only error.
pub(crate) fn only_error(response: &Response) -> (String, String) {
    assert_eq!(response.errors.len(), 1, "{:?}", response.errors);
    let error = serde_json::to_value(&response.errors[0]).expect("errors are JSON");
    let code = error["extensions"]["code"].as_str().expect("every error has a code").to_owned();
    (code, error["message"].as_str().expect("every error has a message").to_owned())
}

#[async_trait]
impl Services for Fake {
    fn tenant(&self) -> TenantId {
        TENANT
    }

    fn reads(&self) -> &dyn Reads {
        self
    }

    fn follow(&self) -> Follower {
        self.feed.follow()
    }

    fn workflow_files(&self) -> Vec<WorkflowFile> {
        self.rows(|rows| rows.workflow_files.clone())
    }

    async fn start(&self, request: StartRequest) -> Result<StartedExecution, StartError> {
        let answer = self.rows(|rows| {
            rows.started.push(request);
            rows.start.clone()
        });
        match answer {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

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
fn by_time<V: Clone>(mut rows: Vec<V>, page: PageRequest, place: impl Fn(&V) -> TimeCursor) -> Page<V> {
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

    async fn logs(
        &self,
        _: TenantId,
        execution: ExecutionId,
        step: Option<i32>,
        page: PageRequest<i64>,
    ) -> Result<Page<LogView>, StoreError> {
        self.read("logs", |rows| log_page(rows, execution, step, page))
    }

    async fn logs_of(
        &self,
        _: TenantId,
        logs: &[(ExecutionId, Option<i32>)],
        page: PageRequest<i64>,
    ) -> Result<HashMap<(ExecutionId, Option<i32>), Page<LogView>>, StoreError> {
        self.read("logs_of", |rows| logs.iter().map(|key| (*key, log_page(rows, key.0, key.1, page))).collect())
    }

    async fn count_logs(&self, _: TenantId, _: ExecutionId, _: Option<i32>) -> Result<u64, StoreError> {
        self.read("count_logs", |rows| rows.logs.len() as u64)
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

    async fn ping(&self) -> Result<(), StoreError> {
        self.read("ping", |_| ())
    }
}

fn log_page(rows: &Rows, execution: ExecutionId, step: Option<i32>, page: PageRequest<i64>) -> Page<LogView> {
    let lines =
        rows.logs.iter().filter(|row| row.execution == execution && (step.is_none() || step == row.step_ordinal));
    take(lines.cloned().collect(), page, |row| row.sequence, |a, b| a < b)
}
