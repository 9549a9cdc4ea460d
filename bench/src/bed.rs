//! An engine in this process, on a database of its own, as `cogwheel serve` builds it but for the HTTP server.

use std::fs;
use std::future::ready;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cogwheel_engine::clock::{Clock as _, SystemClock};
use cogwheel_engine::ports::{NewNode, StepRegistry, StepType};
use cogwheel_engine::views::ExecutionFilter;
use cogwheel_engine::{
    Engine, EngineConfig, ExecutionId, ExecutionStatus, Followed, NodeId, Parts, StartRequest, UploadLimits,
};
use cogwheel_files::BlobFolder;
use cogwheel_store::{ConnectOptions, Database, JournalStats, SqlStore};
use cogwheel_testkit::{Backend, TestDatabase};
use serde_json::{Map, Value};
use tempfile::TempDir;

/// How many executions run side by side.
const RUNNING: usize = 256;

/// How many steps of one execution run side by side: the default.
const PARALLEL: usize = 16;

/// How long a node of a shared database counts as alive without being heard of: that of `cogwheel serve`.
const LEASE: Duration = Duration::from_secs(10);

/// How long the feed may be silent before the record is read all the same.
const SILENCE: Duration = Duration::from_millis(500);

/// An engine with its database and its folder; both go when it is dropped.
pub(crate) struct Bed {
    pub(crate) engine: Arc<Engine>,
    store: Arc<SqlStore>,
    folder: TempDir,
    url: String,
    _database: Option<TestDatabase>,
}

/// One execution from its start to its recorded end.
pub(crate) struct Run {
    pub(crate) id: ExecutionId,
    pub(crate) began: Instant,
    pub(crate) took: Duration,
    /// How many notices the feed gave of it.
    pub(crate) notices: usize,
}

impl Bed {
    /// Brings an engine up that has these workflows, and `more` step types in the place of built-in ones of their name.
    pub(crate) async fn new(backend: Backend, workflows: &[(&str, &str)], more: Vec<Arc<dyn StepType>>) -> Self {
        Self::with_room(backend, workflows, more, RUNNING).await
    }

    /// As [`Bed::new`], for so many executions side by side.
    pub(crate) async fn with_room(
        backend: Backend,
        workflows: &[(&str, &str)],
        more: Vec<Arc<dyn StepType>>,
        running: usize,
    ) -> Self {
        let folder = tempfile::Builder::new().prefix("cogwheel-bench-").tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("workflows")).expect("a new folder");
        for (name, text) in workflows {
            let path = folder.path().join("workflows").join(format!("{name}.yaml"));
            fs::write(path, text).expect("the workflow can be written");
        }
        let (url, database) = match backend {
            Backend::Sqlite => (format!("sqlite:{}", folder.path().join("cogwheel.db").display()), None),
            Backend::Postgres => {
                let database = TestDatabase::empty(backend).await;
                (database.url().to_owned(), Some(database))
            }
        };
        let reached = Database::connect(&url, ConnectOptions::default()).await.expect("the database can be reached");
        cogwheel_migration::up(reached.admin()).await.expect("the schema can be made");
        let is_shared = reached.is_shared();
        let store = Arc::new(reached.open().await.expect("the database can be served from"));
        let parts = Parts {
            store: Arc::clone(&store) as _,
            reads: Arc::clone(&store) as _,
            blobs: Arc::new(
                BlobFolder::open(folder.path().join("blobs"), SystemClock.now().into()).await.expect("a folder"),
            ),
            secrets: None,
            webhooks: None,
            steps: StepRegistry::new(cogwheel_steps::builtin().into_iter().chain(more)),
            clock: Arc::new(SystemClock),
            node: node(is_shared, running),
        };
        let engine = Engine::launch(config(folder.path(), running), parts).await.expect("the engine comes up");
        Self { engine, store, folder, url, _database: database }
    }

    /// The folder that relative paths mean.
    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Where its database is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Its store, to read from.
    pub(crate) fn store(&self) -> Arc<SqlStore> {
        Arc::clone(&self.store)
    }

    /// What the journal committed so far.
    pub(crate) fn journal(&self) -> JournalStats {
        self.store.journal_stats()
    }

    /// Runs a workflow to its end. The first `unread` notices are not followed up by a read, so that an execution whose
    /// number of notices is known is not disturbed by readers.
    pub(crate) async fn run(&self, workflow: &str, inputs: Map<String, Value>, unread: usize) -> Run {
        let mut follower = self.engine.feed().follow();
        let mut notices = 0;
        let began = Instant::now();
        let request = StartRequest::manual(workflow, inputs, None);
        let id = self.engine.start(request).await.expect("it can be started").id;
        loop {
            let heard = tokio::time::timeout(SILENCE, follower.next()).await;
            let is_silent = heard.is_err();
            notices += usize::from(heard.is_ok_and(|heard| concerns(heard, id)));
            loop {
                tokio::select! {
                    biased;
                    heard = follower.next() => notices += usize::from(concerns(heard, id)),
                    () = ready(()) => break,
                }
            }
            if notices <= unread && !is_silent {
                continue;
            }
            if let Some(status) = self.status(id).await.filter(|status| status.is_terminal()) {
                let took = began.elapsed();
                assert_eq!(status, ExecutionStatus::Completed, "an execution of {workflow} did not complete");
                return Run { id, began, took, notices };
            }
        }
    }

    async fn status(&self, id: ExecutionId) -> Option<ExecutionStatus> {
        let found = self.engine.reads().executions_by_id(self.engine.tenant(), &[id]).await;
        found.expect("the database answers").first().map(|execution| execution.status)
    }

    /// How many executions have completed.
    pub(crate) async fn completed(&self) -> usize {
        let filter = ExecutionFilter { status: vec![ExecutionStatus::Completed], ..ExecutionFilter::default() };
        let count = self.engine.reads().count_executions(self.engine.tenant(), &filter).await;
        usize::try_from(count.expect("the database answers")).expect("counts are small")
    }

    /// Takes the engine down; its database stays until this is dropped.
    pub(crate) async fn shut_down(&self) {
        self.engine.shut_down().await;
        self.store.close().await;
    }
}

fn concerns(heard: Option<Followed>, id: ExecutionId) -> bool {
    match heard.expect("the engine is there") {
        Followed::Changed(changed) => changed.execution == id,
        Followed::Missed => true,
    }
}

fn node(is_shared: bool, running: usize) -> NewNode {
    NewNode {
        id: NodeId(SystemClock.new_id()),
        name: "bench".to_owned(),
        address: None,
        engine_version: env!("CARGO_PKG_VERSION").to_owned(),
        schema_fingerprint: String::new(),
        capacity: i32::try_from(running).expect("it is small"),
        lease: is_shared.then_some(LEASE),
        replaces: None,
        started_at: SystemClock.now(),
    }
}

fn config(root: &Path, running: usize) -> EngineConfig {
    EngineConfig {
        root: root.to_path_buf(),
        work_dir: root.join("work"),
        workflow_folders: vec![root.join("workflows")],
        max_running_executions: running,
        max_parallel_steps: PARALLEL,
        snapshot_events: 100,
        kill_grace: Duration::from_secs(1),
        shutdown_grace: Duration::from_secs(20),
        watch_retry: Duration::from_secs(5),
        poll_interval: Duration::from_secs(10),
        file_rescan: "30 * * * * *".to_owned(),
        workflow_rescan: "0 * * * * *".to_owned(),
        uploads: UploadLimits { max_size: 1 << 30, allowed_types: Vec::new() },
    }
}
