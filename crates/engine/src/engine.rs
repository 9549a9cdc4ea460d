//! The engine as a whole: how it comes up, what it offers, how it stops.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cogwheel_machine::Limits;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::clock::Clock;
use crate::cluster;
use crate::definitions::Definitions;
use crate::outgoing::{self, Outgoing, Webhooks};
use crate::outputs::{OutputError, Outputs};
use crate::ports::{Blobs, NewNode, Reads, StepRegistry, Store, StoreError, VaultError};
use crate::runner::Runner;
use crate::triggers::{self, Calls, Emitted, WorkflowFile, WorkflowFiles};
use crate::{Catalog, Feed, NodeId, Secrets, TenantId, UploadLimits};

/// How often a step is tried again after the server went away under it.
const LOST_RETRIES: u32 = 3;

/// How long triggers may take to end: a dead mount can hold a scan for ever.
const SIGN_OFF: Duration = Duration::from_secs(10);

/// The engine's settings.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// What relative paths in definitions mean, and where shell steps run.
    pub root: PathBuf,
    /// Where executions have their scratch folders.
    pub work_dir: PathBuf,
    /// Folders whose `*.yaml` and `*.yml` files are workflows.
    pub workflow_folders: Vec<PathBuf>,
    /// How many executions run side by side; others wait in order.
    pub max_running_executions: usize,
    /// How many steps of one execution run side by side.
    pub max_parallel_steps: usize,
    /// How many events of a saga are recorded before its state is kept once more, at least 1.
    pub snapshot_events: usize,
    /// How long a process has between being asked to end and being killed.
    pub kill_grace: Duration,
    /// How long running steps may take to end when the server stops.
    pub shutdown_grace: Duration,
    /// How long until an unreadable watch folder is tried again.
    pub watch_retry: Duration,
    /// How often folders are scanned whose file systems do not report all changes.
    pub poll_interval: Duration,
    /// When watch folders are scanned in full whatever the kernel reported: a cron line with seconds, UTC.
    pub file_rescan: String,
    /// When workflow folders are read in full whatever the kernel reported: a cron line with seconds, UTC.
    pub workflow_rescan: String,
    /// What may be uploaded, where a tenant has no other limits.
    pub uploads: UploadLimits,
}

/// What the engine is built from.
pub struct Parts {
    /// Where the truth is.
    pub store: Arc<dyn Store>,
    /// What the API reads.
    pub reads: Arc<dyn Reads>,
    /// Where bytes are kept that are too large for the database.
    pub blobs: Arc<dyn Blobs>,
    /// Where secrets are kept; without it there are none.
    pub secrets: Option<Secrets>,
    /// What outgoing webhooks are made of; without it there are none.
    pub webhooks: Option<Webhooks>,
    /// How steps are run.
    pub steps: StepRegistry,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// This process.
    pub node: NewNode,
}

/// Why the engine did not come up.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The store could not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A folder could not be prepared.
    #[error("cannot prepare the folder {path}: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A housekeeping job could not be planned.
    #[error("cannot plan the housekeeping job `{job}`: {why}")]
    Housekeeping {
        /// The job's setting.
        job: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// A running engine.
pub struct Engine {
    config: EngineConfig,
    store: Arc<dyn Store>,
    reads: Arc<dyn Reads>,
    outputs: Outputs,
    secrets: Option<Secrets>,
    clock: Arc<dyn Clock>,
    node: NodeId,
    /// How long this node counts as alive without being heard of; `None` for the only node of its database.
    lease: Option<Duration>,
    /// Whether other nodes were alive when that was last looked at.
    has_company: AtomicBool,
    steps: StepRegistry,
    tenant: TenantId,
    catalog: Catalog,
    definitions: Definitions,
    files: WorkflowFiles,
    calls: Calls,
    events_came: Notify,
    emitted: Emitted,
    outgoing: Outgoing,
    feed: Feed,
    runner: Arc<Runner>,
    runtime: Handle,
    /// Ends the triggers.
    stop: CancellationToken,
    triggers: TaskTracker,
}

impl Engine {
    /// Brings the engine up: reads the workflow folders, takes over what was running, and lets the triggers go.
    pub async fn launch(config: EngineConfig, parts: Parts) -> Result<Arc<Self>, EngineError> {
        let engine = Self::join(config, parts).await?;
        // Whether others are alive decides what a missing workflow file means.
        cluster::take_over(&engine).await?;
        triggers::load_workflows(&engine).await?;
        outgoing::load(&engine).await?;
        cluster::spawn(&engine);
        triggers::spawn(&engine).await?;
        outgoing::spawn(&engine);
        Ok(engine)
    }

    /// Brings up an engine in which nothing sets executions off but [`Engine::start`]: it reads no workflow folders, and
    /// knows only what [`Engine::save_workflow`] is given.
    pub async fn launch_without_triggers(config: EngineConfig, parts: Parts) -> Result<Arc<Self>, EngineError> {
        let engine = Self::join(config, parts).await?;
        cluster::take_over(&engine).await?;
        cluster::spawn(&engine);
        triggers::spawn_waits(&engine);
        Ok(engine)
    }

    async fn join(config: EngineConfig, parts: Parts) -> Result<Arc<Self>, EngineError> {
        let Parts { store, reads, blobs, secrets, webhooks, steps, clock, node } = parts;
        tokio::fs::create_dir_all(&config.work_dir)
            .await
            .map_err(|source| EngineError::Folder { path: config.work_dir.clone(), source })?;
        let tenant = store.default_tenant().await?;
        let (node_id, lease) = (node.id, node.lease);
        store.join(node).await?;
        let outputs = Outputs::new(blobs, lease.is_some());
        let (feed, changes) = match lease.map(|_| Feed::shared()) {
            Some((feed, changes)) => (feed, Some(changes)),
            None => (Feed::default(), None),
        };
        let runner = Arc::new(Runner::new(
            &config,
            node_id,
            Arc::clone(&store),
            outputs.clone(),
            Arc::clone(&clock),
            steps.clone(),
            feed.clone(),
        ));
        let engine = Arc::new(Self {
            config,
            store,
            reads,
            outputs,
            secrets,
            clock,
            node: node_id,
            lease,
            has_company: AtomicBool::new(false),
            steps,
            tenant,
            catalog: Catalog::default(),
            definitions: Definitions::default(),
            files: WorkflowFiles::default(),
            calls: Calls::default(),
            events_came: Notify::new(),
            emitted: Emitted::default(),
            outgoing: Outgoing::new(webhooks),
            feed,
            runner,
            runtime: Handle::current(),
            stop: CancellationToken::new(),
            triggers: TaskTracker::new(),
        });
        engine.runner.serve(&engine);
        if let Some(changes) = changes {
            engine.triggers.spawn(cluster::tell_changes(Arc::clone(&engine), changes));
        }
        Ok(engine)
    }

    /// Stops taking work, lets running steps end within the grace period, ends what is left, and signs off.
    pub async fn shut_down(&self) {
        self.stop.cancel();
        self.triggers.close();
        self.runner.drain(self.config.shutdown_grace).await;
        self.sign_off().await;
    }

    /// As [`Engine::shut_down`], without waiting for running steps to end by themselves.
    pub async fn stop_now(&self) {
        self.stop.cancel();
        self.triggers.close();
        self.runner.drain(Duration::ZERO).await;
        self.sign_off().await;
    }

    async fn sign_off(&self) {
        if tokio::time::timeout(SIGN_OFF, self.triggers.wait()).await.is_err() {
            warn!("triggers still wait for a file system; they are left behind");
        }
        if let Err(error) = self.store.leave(self.node, self.clock.now()).await {
            warn!(%error, "could not sign off; the next start takes over all the same");
        }
    }

    /// What the API reads.
    pub fn reads(&self) -> &Arc<dyn Reads> {
        &self.reads
    }

    /// Where bytes are kept that are too large for the database.
    pub fn blobs(&self) -> &Arc<dyn Blobs> {
        self.outputs.blobs()
    }

    /// What a step or an execution put out, where what is `stored` of it only refers to it; `None` where it is whole.
    ///
    /// # Errors
    ///
    /// Why it cannot be read.
    pub async fn whole_output(&self, stored: &Value) -> Result<Option<Value>, OutputError> {
        self.outputs.read_back(stored).await
    }

    /// The tenant that requests of this release act in.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Notices of changed executions.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// The workflow files of the folders, each with its problems.
    pub fn workflow_files(&self) -> Vec<WorkflowFile> {
        self.files.all()
    }

    /// Whether the engine is stopping.
    pub fn is_draining(&self) -> bool {
        self.stop.is_cancelled()
    }

    pub(crate) fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// Where secrets are kept.
    pub(crate) fn secrets(&self) -> Result<&Secrets, VaultError> {
        self.secrets.as_ref().ok_or_else(|| VaultError("there are no secrets here".to_owned()))
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// What tells the time.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    pub(crate) fn node(&self) -> NodeId {
        self.node
    }

    /// How long this node counts as alive without being heard of; `None` for the only node of its database.
    pub(crate) fn lease(&self) -> Option<Duration> {
        self.lease
    }

    /// Whether other nodes were alive when that was last looked at.
    pub(crate) fn has_company(&self) -> bool {
        self.has_company.load(Ordering::Relaxed)
    }

    pub(crate) fn note_company(&self, alive_nodes: u64) {
        self.has_company.store(alive_nodes > 0, Ordering::Relaxed);
    }

    /// Whether other nodes may work on the same database.
    pub(crate) fn is_clustered(&self) -> bool {
        self.lease.is_some()
    }

    pub(crate) fn steps(&self) -> &StepRegistry {
        &self.steps
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    pub(crate) fn definitions(&self) -> &Definitions {
        &self.definitions
    }

    pub(crate) fn files(&self) -> &WorkflowFiles {
        &self.files
    }

    /// Calls of webhooks that are not counted yet.
    pub(crate) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Told when events were recorded.
    pub(crate) fn events_came(&self) -> &Notify {
        &self.events_came
    }

    /// Lets recorded events be held against triggers and webhooks.
    pub(crate) fn tell_of_events(&self) {
        self.events_came.notify_one();
        self.outgoing.tell_of_events();
    }

    /// Correlation ids of events that steps recorded, for those who wait for them.
    pub(crate) fn emitted(&self) -> &Emitted {
        &self.emitted
    }

    /// Whether anybody may want an event of this type of the catalogue. Authors' own are recorded whoever wants them.
    pub(crate) fn wants_event(&self, event_type: &str) -> bool {
        self.catalog.wants_event(event_type) || self.outgoing.wants(event_type)
    }

    pub(crate) fn outgoing(&self) -> &Outgoing {
        &self.outgoing
    }

    pub(crate) fn runner(&self) -> &Arc<Runner> {
        &self.runner
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Cancelled when the triggers must end.
    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// The tasks of the triggers.
    pub(crate) fn trigger_tasks(&self) -> &TaskTracker {
        &self.triggers
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits { parallel_steps: self.config.max_parallel_steps, lost_retries: LOST_RETRIES }
    }
}
