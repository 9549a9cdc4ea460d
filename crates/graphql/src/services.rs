//! What the schema asks of the engine.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cogwheel_engine::history::{ExecutionState, HistoryError};
use cogwheel_engine::ports::{Blobs, Reads, StoreError};
use cogwheel_engine::{
    BackfillError, BackfillRequest, Backfilled, Call, CallAnswer, CallError, CancelError, Engine, ExecutionId,
    Follower, Hook, OutputError, PauseError, PauseScheduleError, ReceivedUpload, Receiving, RetryError, RetryRequest,
    SagaError, ScheduleId, SecretError, SecretInfo, SentSignal, SetSecret, SignalError, SignalRequest, StartError,
    StartRequest, StartedExecution, TenantId, UndoDecision, UploadError, Uploaded, WorkflowFile, WorkflowId,
    WorkflowRef,
};
use serde_json::Value;

use crate::WebhookServices;

/// The engine as the API sees it. What changes something goes on to its end even if the caller stops waiting.
#[async_trait]
pub trait Services: WebhookServices {
    /// Whose rows are seen.
    fn tenant(&self) -> TenantId;

    /// Where rows are read.
    fn reads(&self) -> &dyn Reads;

    /// Where bytes are kept that are too large for rows.
    fn blobs(&self) -> &dyn Blobs;

    /// What a step or an execution put out, where what is `stored` of it only refers to it.
    async fn whole_output(&self, stored: &Value) -> Result<Option<Value>, OutputError>;

    /// How an execution stood after the event of this version of its stream; after its last one without.
    async fn execution_at(&self, execution: ExecutionId, version: Option<i64>) -> Result<ExecutionState, HistoryError>;

    /// Begins to hear of changes.
    fn follow(&self) -> Follower;

    /// The known workflow files by path.
    fn workflow_files(&self) -> Vec<WorkflowFile>;

    /// Whether the engine is stopping and takes no new work.
    fn is_draining(&self) -> bool;

    /// Starts a workflow.
    async fn start(&self, request: StartRequest) -> Result<StartedExecution, StartError>;

    /// Asks an execution to end.
    async fn cancel(&self, execution: ExecutionId, reason: Option<String>) -> Result<(), CancelError>;

    /// Asks for everything that an execution did to be undone.
    async fn compensate(&self, execution: ExecutionId, reason: String) -> Result<(), SagaError>;

    /// Cancels a saga.
    async fn cancel_saga(&self, execution: ExecutionId, reason: String) -> Result<(), SagaError>;

    /// Decides what becomes of the failed undo of the step of this key.
    async fn decide_undo(
        &self,
        execution: ExecutionId,
        step: String,
        decision: UndoDecision,
        reason: String,
    ) -> Result<(), SagaError>;

    /// Does an ended execution over again.
    async fn retry(&self, request: RetryRequest) -> Result<StartedExecution, RetryError>;

    /// Takes a signal in.
    async fn signal(&self, request: SignalRequest) -> Result<SentSignal, SignalError>;

    /// Makes a workflow take starts, or none.
    async fn set_enabled(&self, workflow: WorkflowRef, enabled: bool) -> Result<WorkflowId, PauseError>;

    /// Every secret, by name, without its value.
    async fn secrets(&self) -> Result<Vec<SecretInfo>, SecretError>;

    /// Sets a secret.
    async fn set_secret(&self, set: SetSecret) -> Result<SecretInfo, SecretError>;

    /// Forgets a secret.
    async fn delete_secret(&self, name: String) -> Result<(), SecretError>;

    /// The address for calls of this path.
    fn hook(&self, tenant: &str, path: &str) -> Option<Hook>;

    /// Takes a call in.
    async fn receive(&self, hook: &Hook, call: Call) -> Result<CallAnswer, CallError>;

    /// Notes a call that was refused before it was read.
    fn refuse_call(&self, hook: &Hook);

    /// Switches a schedule off or on.
    async fn set_schedule_enabled(&self, schedule: ScheduleId, enabled: bool) -> Result<(), PauseScheduleError>;

    /// Makes up for due instants of the past.
    async fn backfill(&self, request: BackfillRequest) -> Result<Backfilled, BackfillError>;

    /// Begins to take an upload in.
    async fn begin_upload(&self, name: &str, announced: Option<u64>) -> Result<Receiving, UploadError>;

    /// Records an upload with what it sets off.
    async fn record_upload(&self, received: ReceivedUpload, key: Option<String>) -> Result<Uploaded, UploadError>;

    /// What time it is.
    fn now(&self) -> DateTime<Utc>;
}

#[async_trait]
impl Services for Arc<Engine> {
    fn tenant(&self) -> TenantId {
        Engine::tenant(self)
    }

    fn reads(&self) -> &dyn Reads {
        Engine::reads(self).as_ref()
    }

    fn blobs(&self) -> &dyn Blobs {
        Engine::blobs(self).as_ref()
    }

    async fn whole_output(&self, stored: &Value) -> Result<Option<Value>, OutputError> {
        Engine::whole_output(self, stored).await
    }

    async fn execution_at(&self, execution: ExecutionId, version: Option<i64>) -> Result<ExecutionState, HistoryError> {
        Engine::execution_at(self, Engine::tenant(self), execution, version).await
    }

    fn follow(&self) -> Follower {
        self.feed().follow()
    }

    fn workflow_files(&self) -> Vec<WorkflowFile> {
        Engine::workflow_files(self)
    }

    fn is_draining(&self) -> bool {
        Engine::is_draining(self)
    }

    async fn start(&self, request: StartRequest) -> Result<StartedExecution, StartError> {
        Engine::start(self, request).await
    }

    async fn cancel(&self, execution: ExecutionId, reason: Option<String>) -> Result<(), CancelError> {
        let engine = Self::clone(self);
        to_its_end(async move { Engine::cancel(&engine, execution, reason).await }).await?
    }

    async fn compensate(&self, execution: ExecutionId, reason: String) -> Result<(), SagaError> {
        let engine = Self::clone(self);
        to_its_end(async move { Engine::compensate(&engine, execution, reason).await }).await?
    }

    async fn cancel_saga(&self, execution: ExecutionId, reason: String) -> Result<(), SagaError> {
        let engine = Self::clone(self);
        to_its_end(async move { Engine::cancel_saga(&engine, execution, reason).await }).await?
    }

    async fn decide_undo(
        &self,
        execution: ExecutionId,
        step: String,
        decision: UndoDecision,
        reason: String,
    ) -> Result<(), SagaError> {
        let engine = Self::clone(self);
        to_its_end(async move { Engine::decide_undo(&engine, execution, step, decision, reason).await }).await?
    }

    async fn retry(&self, request: RetryRequest) -> Result<StartedExecution, RetryError> {
        let engine = Self::clone(self);
        to_its_end(async move { Engine::retry(&engine, request).await }).await?
    }

    async fn signal(&self, request: SignalRequest) -> Result<SentSignal, SignalError> {
        let engine = Self::clone(self);
        to_its_end(async move { Engine::signal(&engine, request).await }).await?
    }

    async fn set_enabled(&self, workflow: WorkflowRef, enabled: bool) -> Result<WorkflowId, PauseError> {
        let engine = Self::clone(self);
        to_its_end(async move { Engine::set_enabled(&engine, &workflow, enabled).await }).await?
    }

    async fn secrets(&self) -> Result<Vec<SecretInfo>, SecretError> {
        Engine::list_secrets(self).await
    }

    async fn set_secret(&self, set: SetSecret) -> Result<SecretInfo, SecretError> {
        let engine = Self::clone(self);
        to_its_end(async move { Engine::set_secret(&engine, set).await }).await?
    }

    async fn delete_secret(&self, name: String) -> Result<(), SecretError> {
        let engine = Self::clone(self);
        to_its_end(async move { Engine::delete_secret(&engine, &name).await }).await?
    }

    fn hook(&self, tenant: &str, path: &str) -> Option<Hook> {
        Engine::hook(self, tenant, path)
    }

    async fn receive(&self, hook: &Hook, call: Call) -> Result<CallAnswer, CallError> {
        Engine::receive(self, hook, call).await
    }

    fn refuse_call(&self, hook: &Hook) {
        Engine::refuse_call(self, hook);
    }

    async fn set_schedule_enabled(&self, schedule: ScheduleId, enabled: bool) -> Result<(), PauseScheduleError> {
        let engine = Self::clone(self);
        to_its_end(async move { Engine::set_schedule_enabled(&engine, schedule, enabled).await }).await?
    }

    async fn backfill(&self, request: BackfillRequest) -> Result<Backfilled, BackfillError> {
        let engine = Self::clone(self);
        to_its_end(async move { Engine::backfill(&engine, request).await }).await?
    }

    async fn begin_upload(&self, name: &str, announced: Option<u64>) -> Result<Receiving, UploadError> {
        Engine::begin_upload(self, name, announced).await
    }

    async fn record_upload(&self, received: ReceivedUpload, key: Option<String>) -> Result<Uploaded, UploadError> {
        let engine = Self::clone(self);
        to_its_end(async move { Engine::record_upload(&engine, received, key).await }).await?
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock().now()
    }
}

/// Does what must not be left half done when the request is given up: what is recorded has to be told, too.
pub(crate) async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::spawn(work).await.map_err(|panic| StoreError::Bug(panic.to_string()))
}
