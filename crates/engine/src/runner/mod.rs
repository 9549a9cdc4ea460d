//! Runs executions: one task each, over a bounded number of slots.

mod attempt;
mod drive;
mod journal;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cogwheel_machine::{CancelRequested, Execution, ExecutionId};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
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
    /// A request to cancel it from before it was taken over.
    pub(crate) cancel: Option<CancelRequested>,
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
    /// How to reach each execution that is submitted and has not ended.
    cancels: Mutex<HashMap<ExecutionId, watch::Sender<Option<CancelRequested>>>>,
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
            cancels: Mutex::default(),
            tasks: TaskTracker::new(),
            runtime: Handle::current(),
            draining: CancellationToken::new(),
            killing: CancellationToken::new(),
        }
    }

    /// Runs an execution from where it stands. Executions wait for a slot in the order they are submitted.
    pub(crate) fn submit(self: &Arc<Self>, job: Job) {
        let id = job.execution.id();
        self.expect(id);
        if let Some(request) = job.cancel.clone() {
            self.cancel(id, request);
        }
        let cancels = self.cancels().entry(id).or_default().subscribe();
        let runner = Arc::clone(self);
        self.tasks.spawn_on(Box::pin(runner.run(job, cancels)), &self.runtime);
    }

    /// Keeps requests to cancel an execution that is about to be recorded, and submitted or forgotten then.
    pub(crate) fn expect(&self, execution: ExecutionId) {
        self.cancels().entry(execution).or_default();
    }

    /// Undoes [`Self::expect`] for an execution that is not submitted.
    pub(crate) fn forget(&self, execution: ExecutionId) {
        self.cancels().remove(&execution);
    }

    /// Tells an execution that its end is asked for; one that is not here hears it from its record.
    pub(crate) fn cancel(&self, execution: ExecutionId, request: CancelRequested) {
        if let Some(cancel) = self.cancels().get(&execution) {
            // The first request counts, as in the record.
            cancel.send_if_modified(|first| {
                let is_first = first.is_none();
                first.get_or_insert(request);
                is_first
            });
        }
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

    async fn run(self: Arc<Self>, job: Job, mut cancels: watch::Receiver<Option<CancelRequested>>) {
        let id = job.execution.id();
        let slot = tokio::select! {
            biased;
            () = self.draining.cancelled() => None,
            // The end of what never ran takes no slot.
            _ = cancels.wait_for(Option::is_some) => Some(None),
            slot = Arc::clone(&self.slots).acquire_owned() => slot.ok().map(Some),
        };
        if let Some(slot) = slot {
            drive::drive(&self, job, cancels, slot).await;
        }
        self.forget(id);
    }

    fn cancels(&self) -> MutexGuard<'_, HashMap<ExecutionId, watch::Sender<Option<CancelRequested>>>> {
        self.cancels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
