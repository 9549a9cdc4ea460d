//! What the schema asks of the engine.

use std::sync::Arc;

use async_trait::async_trait;
use cogwheel_engine::ports::Reads;

use cogwheel_engine::{
    CancelError, Engine, ExecutionId, Follower, StartError, StartRequest, StartedExecution, TenantId, WorkflowFile,
};

/// The engine as the API sees it.
#[async_trait]
pub trait Services: Send + Sync + 'static {
    /// Whose rows are seen.
    fn tenant(&self) -> TenantId;

    /// Where rows are read.
    fn reads(&self) -> &dyn Reads;

    /// Begins to hear of changes.
    fn follow(&self) -> Follower;

    /// The known workflow files by path.
    fn workflow_files(&self) -> Vec<WorkflowFile>;

    /// Whether the engine is stopping and takes no new work.
    fn is_draining(&self) -> bool;

    /// Starts a workflow. Goes on to its end even if the caller stops waiting.
    async fn start(&self, request: StartRequest) -> Result<StartedExecution, StartError>;

    /// Asks an execution to end.
    async fn cancel(&self, execution: ExecutionId, reason: Option<String>) -> Result<(), CancelError>;
}

#[async_trait]
impl Services for Arc<Engine> {
    fn tenant(&self) -> TenantId {
        Engine::tenant(self)
    }

    fn reads(&self) -> &dyn Reads {
        Engine::reads(self).as_ref()
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
        Engine::cancel(self, execution, reason).await
    }
}
