//! An engine of made-up rows that notes what is read.

mod bytes;
mod reads;
mod webhooks;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_graphql::{Request, Response};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use cogwheel_access::Principal;
use cogwheel_engine::history::{ExecutionState, HistoryError};
use cogwheel_engine::ports::{Blobs, LogLevel, LogStream, Reads, RecordedEvent, StoreError, TriggerType};
use cogwheel_engine::views::{
    ArtifactView, CompensationView, DeadLetterView, EndpointView, ExecutionView, FileStatus, FileView, FireView,
    LogView, Priority, SagaView, ScheduleView, StepView, WatchView, WorkflowStatus, WorkflowView,
};
use cogwheel_engine::{
    BackfillError, BackfillRequest, Backfilled, Call, CallAnswer, CallError, CancelError, Changed, ExecutionId,
    ExecutionStatus, Feed, FileId, Follower, Hook, OutputError, PauseError, PauseScheduleError, ReceivedUpload,
    Receiving, RetryError, RetryRequest, SagaError, ScheduleId, SecretError, SecretInfo, SentSignal, SetSecret,
    SignalError, SignalRequest, StartError, StartRequest, StartedExecution, StepStatus, TenantId, UndoDecision,
    UploadError, Uploaded, VersionId, WatchId, WorkflowFile, WorkflowId, WorkflowRef,
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
    pub(crate) artifacts: Vec<ArtifactView>,
    /// Bytes by their key.
    pub(crate) blobs: HashMap<String, Vec<u8>>,
    pub(crate) files: Vec<FileView>,
    pub(crate) watches: Vec<WatchView>,
    pub(crate) endpoints: Vec<EndpointView>,
    pub(crate) dead_letters: Vec<DeadLetterView>,
    pub(crate) events: Vec<RecordedEvent>,
    pub(crate) schedules: Vec<ScheduleView>,
    pub(crate) fires: Vec<FireView>,
    pub(crate) workflow_files: Vec<WorkflowFile>,
    /// What a start answers; without it, a start takes for ever.
    pub(crate) start: Option<Result<StartedExecution, StartError>>,
    pub(crate) started: Vec<StartRequest>,
    /// What a request to cancel answers; without it, that it is recorded.
    pub(crate) cancel: Option<Result<(), CancelError>>,
    pub(crate) cancelled: Vec<(ExecutionId, Option<String>)>,
    /// What a retry answers; without it, with the execution itself.
    pub(crate) retry: Option<Result<StartedExecution, RetryError>>,
    pub(crate) retried: Vec<RetryRequest>,
    /// What requests about sagas answer; without it, that they are recorded.
    pub(crate) saga: Option<SagaError>,
    /// What was asked of which saga.
    pub(crate) asked_of_sagas: Vec<(ExecutionId, String)>,
    pub(crate) sagas: Vec<SagaView>,
    /// How executions stood after their last events.
    pub(crate) states: HashMap<ExecutionId, ExecutionState>,
    pub(crate) compensations: Vec<CompensationView>,
    /// What a signal answers; without it, that one execution was woken.
    pub(crate) signal: Option<Result<SentSignal, SignalError>>,
    pub(crate) signalled: Vec<SignalRequest>,
    pub(crate) secrets: Vec<SecretInfo>,
    pub(crate) set_secrets: Vec<SetSecret>,
    /// Why secrets are not set.
    pub(crate) secret: Option<SecretError>,
    pub(crate) webhooks: webhooks::WebhookRows,
    pub(crate) is_draining: bool,
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
                interval_seconds: None,
                dst_gap: "shift".to_owned(),
                dst_overlap: "first".to_owned(),
                details: Some(json!({ "exclude": ["12-25"] })),
                jitter_ms: 0,
                catch_up_window_seconds: Some(60),
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
                source: "directory".to_owned(),
                mime_types: json!([]),
                min_size: None,
                max_size: None,
                include: json!(["*.csv"]),
                exclude: json!([]),
                is_recursive: false,
                settle_ms: 200,
                is_enabled: true,
                health: "failed".to_owned(),
                problem: Some("no such folder".to_owned()),
                last_scan_at: None,
                events: json!(["created", "modified"]),
                observe_mode: "auto".to_owned(),
                active_mode: Some("events".to_owned()),
                filesystem: Some("ext4".to_owned()),
                scan_every_ms: None,
                done_marker: None,
                batch_max_files: 1,
                batch_max_wait_ms: 0,
                after_success: "keep".to_owned(),
                after_failure: "/failed".to_owned(),
                overflows: 2,
                limit_reached: false,
                last_error: Some("no such folder".to_owned()),
                last_error_at: Some(created_at),
                ignored: 3,
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
                priority: Priority::Normal,
                idempotency_key: None,
                correlation_id: id.0,
                parent: None,
                rerun_of: None,
                rerun_from_ordinal: None,
                retry_count: 0,
                created_at,
                started_at: Some(created_at),
                completed_at: status.is_terminal().then_some(created_at),
                deadline_at: None,
                next_wake_at: None,
                cancel_requested_at: None,
                cancel_reason: None,
                execution_time_ms: status.is_terminal().then_some(3_000_000_000),
                updated_at: created_at,
            });
            rows.files.push(FileView {
                id: FileId(Uuid::from_u128(0x60_0000 + n as u128)),
                watch: rows.watches.first().map(|watch| watch.id),
                source: "watch".to_owned(),
                filename: format!("{n}.csv"),
                original_filename: format!("{n}.csv"),
                storage_key: None,
                media_type: Some("text/csv".to_owned()),
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
                batch: None,
                detail: None,
                after_state: "none".to_owned(),
                after_target: None,
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
                    parent_ordinal: None,
                    step_key: format!("s{ordinal}"),
                    step_name: format!("step {ordinal}"),
                    step_type: "set".to_owned(),
                    status: StepStatus::Completed,
                    attempt: 1,
                    attempt_history: json!([]),
                    input: None,
                    output: Some(json!({"ok": true})),
                    error: None,
                    wait_signal_name: None,
                    wait_correlation_key: None,
                    wake_at: None,
                    timeout_at: None,
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

impl Fake {
    fn ask_saga(&self, execution: ExecutionId, asked: String) -> Result<(), SagaError> {
        self.rows(|rows| {
            rows.asked_of_sagas.push((execution, asked));
            rows.saga.clone().map_or(Ok(()), Err)
        })
    }
}

#[async_trait]
impl Services for Fake {
    fn tenant(&self) -> TenantId {
        TENANT
    }

    fn reads(&self) -> &dyn Reads {
        self
    }

    fn blobs(&self) -> &dyn Blobs {
        self
    }

    async fn whole_output(&self, stored: &Value) -> Result<Option<Value>, OutputError> {
        let Some(key) = stored["$blob"].as_str() else { return Ok(None) };
        let bytes = self.get(&key.parse()?, u64::MAX).await?;
        Ok(Some(serde_json::from_slice(&bytes).expect("the made-up bytes are JSON")))
    }

    async fn execution_at(&self, execution: ExecutionId, version: Option<i64>) -> Result<ExecutionState, HistoryError> {
        let state =
            self.rows(|rows| rows.states.get(&execution).cloned()).ok_or(HistoryError::Unknown { execution })?;
        match version {
            Some(asked) if asked != state.version => Err(HistoryError::NoSuchVersion { asked, last: state.version }),
            _ if !state.is_whole => Err(HistoryError::Partial),
            _ => Ok(state),
        }
    }

    fn follow(&self) -> Follower {
        self.feed.follow()
    }

    fn workflow_files(&self) -> Vec<WorkflowFile> {
        self.rows(|rows| rows.workflow_files.clone())
    }

    fn is_draining(&self) -> bool {
        self.rows(|rows| rows.is_draining)
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

    async fn cancel(&self, execution: ExecutionId, reason: Option<String>) -> Result<(), CancelError> {
        self.rows(|rows| {
            rows.cancelled.push((execution, reason));
            rows.cancel.clone().unwrap_or(Ok(()))
        })
    }

    async fn compensate(&self, execution: ExecutionId, reason: String) -> Result<(), SagaError> {
        self.ask_saga(execution, format!("compensate: {reason}"))
    }

    async fn cancel_saga(&self, execution: ExecutionId, reason: String) -> Result<(), SagaError> {
        self.ask_saga(execution, format!("cancel: {reason}"))
    }

    async fn decide_undo(
        &self,
        execution: ExecutionId,
        step: String,
        decision: UndoDecision,
        reason: String,
    ) -> Result<(), SagaError> {
        self.ask_saga(execution, format!("{decision:?} {step}: {reason}"))
    }

    async fn retry(&self, request: RetryRequest) -> Result<StartedExecution, RetryError> {
        self.rows(|rows| {
            let answer = StartedExecution { id: request.execution, is_new: true };
            rows.retried.push(request);
            rows.retry.clone().unwrap_or(Ok(answer))
        })
    }

    async fn signal(&self, request: SignalRequest) -> Result<SentSignal, SignalError> {
        self.rows(|rows| {
            rows.signalled.push(request);
            rows.signal.clone().unwrap_or(Ok(SentSignal { is_new: true, woken: 1 }))
        })
    }

    async fn set_enabled(&self, workflow: WorkflowRef, enabled: bool) -> Result<WorkflowId, PauseError> {
        let name = workflow.to_string();
        self.rows(|rows| {
            let known = rows.workflows.iter_mut().find(|known| known.name == name);
            let known = known.ok_or(PauseError::UnknownWorkflow { name })?;
            known.is_enabled = enabled;
            Ok(known.id)
        })
    }

    async fn secrets(&self) -> Result<Vec<SecretInfo>, SecretError> {
        Ok(self.rows(|rows| rows.secrets.clone()))
    }

    async fn set_secret(&self, set: SetSecret) -> Result<SecretInfo, SecretError> {
        self.rows(|rows| {
            let version = rows.secrets.iter().filter(|known| known.name == set.name).count();
            let secret = SecretInfo {
                name: set.name.clone(),
                description: set.description.clone(),
                is_set: true,
                version: i32::try_from(version).expect("few") + 1,
                rotated_at: Some(at(1)),
                created_at: at(0),
            };
            rows.secrets.push(secret.clone());
            rows.set_secrets.push(set);
            match &rows.secret {
                Some(refusal) => Err(refusal.clone()),
                None => Ok(secret),
            }
        })
    }

    async fn delete_secret(&self, name: String) -> Result<(), SecretError> {
        self.rows(|rows| {
            let before = rows.secrets.len();
            rows.secrets.retain(|known| known.name != name);
            if rows.secrets.len() < before { Ok(()) } else { Err(SecretError::Unknown { name }) }
        })
    }

    fn hook(&self, _: &str, _: &str) -> Option<Hook> {
        None
    }

    async fn receive(&self, _: &Hook, _: Call) -> Result<CallAnswer, CallError> {
        Err(CallError::NotReady)
    }

    fn refuse_call(&self, _: &Hook) {}

    async fn set_schedule_enabled(&self, id: ScheduleId, enabled: bool) -> Result<(), PauseScheduleError> {
        self.rows(|rows| {
            let known = rows.schedules.iter_mut().find(|known| known.id == id);
            known.ok_or(PauseScheduleError::UnknownSchedule { id })?.is_enabled = enabled;
            Ok(())
        })
    }

    async fn begin_upload(&self, _: &str, _: Option<u64>) -> Result<Receiving, UploadError> {
        Err(UploadError::Draining)
    }

    async fn record_upload(&self, _: ReceivedUpload, _: Option<String>) -> Result<Uploaded, UploadError> {
        unreachable!("nothing is received here")
    }

    async fn backfill(&self, request: BackfillRequest) -> Result<Backfilled, BackfillError> {
        self.rows(|rows| {
            let id = request.schedule;
            let known = rows.schedules.iter().find(|known| known.id == id);
            known.ok_or(BackfillError::UnknownSchedule { id })?;
            if request.until < request.from {
                return Err(BackfillError::Backwards);
            }
            let started = vec![(request.from, ExecutionId(Uuid::from_u128(7)))];
            Ok(Backfilled { due: 3, known: 1, excluded: 1, started })
        })
    }

    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }
}
