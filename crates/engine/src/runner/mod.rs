//! Runs executions: one task each, over a bounded number of slots.

mod attempt;
mod drive;
mod journal;

use std::sync::Arc;
use std::time::Duration;

use cogwheel_machine::Execution;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::clock::Clock;
use crate::ports::{StepRegistry, Store};
use crate::{EngineConfig, Feed, NodeId, TenantId, WorkflowId};

/// An execution to run, with what its records are written under.
pub(crate) struct Job {
    pub(crate) execution: Execution,
    pub(crate) tenant: TenantId,
    pub(crate) workflow: WorkflowId,
    pub(crate) epoch: i64,
    pub(crate) next_log_sequence: i64,
}

/// Runs the executions this node owns.
pub(crate) struct Runner {
    root: std::path::PathBuf,
    work_dir: std::path::PathBuf,
    kill_grace: Duration,
    node: NodeId,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    steps: StepRegistry,
    feed: Feed,
    slots: Arc<Semaphore>,
    tasks: TaskTracker,
    runtime: Handle,
    /// Cancelled when nothing new may begin.
    draining: CancellationToken,
    /// Cancelled when what still runs must be stopped.
    killing: CancellationToken,
}

impl Runner {
    pub(crate) fn new(
        config: &EngineConfig,
        node: NodeId,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        steps: StepRegistry,
        feed: Feed,
    ) -> Self {
        Self {
            root: config.root.clone(),
            work_dir: config.work_dir.clone(),
            kill_grace: config.kill_grace,
            node,
            store,
            clock,
            steps,
            feed,
            slots: Arc::new(Semaphore::new(config.max_running_executions)),
            tasks: TaskTracker::new(),
            runtime: Handle::current(),
            draining: CancellationToken::new(),
            killing: CancellationToken::new(),
        }
    }

    /// Runs an execution from where it stands. Executions wait for a slot in the order they are submitted.
    pub(crate) fn submit(self: &Arc<Self>, job: Job) {
        let runner = Arc::clone(self);
        self.tasks.spawn_on(Box::pin(runner.run(job)), &self.runtime);
    }

    /// Begins nothing new, waits `grace` for running steps, then stops what is left. Nothing runs when it returns.
    pub(crate) async fn drain(&self, grace: Duration) {
        self.draining.cancel();
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_err() {
            warn!(executions = self.tasks.len(), "stopping steps that outlast the shutdown grace");
            self.killing.cancel();
            self.tasks.wait().await;
        }
    }

    async fn run(self: Arc<Self>, job: Job) {
        let slot = tokio::select! {
            biased;
            () = self.draining.cancelled() => return,
            slot = Arc::clone(&self.slots).acquire_owned() => slot,
        };
        // The semaphore is never closed; a job without a slot would only wait for ever.
        let Ok(_slot) = slot else { return };
        drive::drive(&self, job).await;
    }
}
