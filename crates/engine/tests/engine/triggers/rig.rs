//! An engine on a temporary folder, with steps that wait for the test.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cogwheel_engine::clock::{Clock, SystemClock};
use cogwheel_engine::ports::{LogLevel, LogStream, NewNode, StepContext, StepRegistry, StepType};
use cogwheel_engine::{Engine, EngineConfig, NodeId, Outcome, Parts, UploadLimits, WorkflowFile};
use serde_json::{Map, Value};
use tempfile::TempDir;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::store::MemoryStore;
use crate::blobs::NoBlobs;
use crate::reads::NoReads;

/// Never in the way of a test: hints and starts have to do.
const NEVER: &str = "0 0 0 1 1 *";

/// A folder with `workflows/` and `inbox/`, and the store of the engines that run on it.
pub(crate) struct Rig {
    pub(crate) dir: TempDir,
    pub(crate) store: Arc<MemoryStore>,
    /// What the steps of `uses: shell` wait for, one permit each.
    pub(crate) gate: Arc<Semaphore>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Set, the engine is one of several nodes.
    pub(crate) lease: Option<Duration>,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for folder in ["workflows", "inbox"] {
            fs::create_dir(dir.path().join(folder)).expect("a new folder");
        }
        let gate = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        Self { dir, store: Arc::default(), gate, clock: Arc::new(SystemClock), lease: None }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file in one go: beside its place, then into it.
    pub(crate) fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        let place = self.path(name);
        let beside = self.dir.path().join(format!("beside-{}", Uuid::now_v7()));
        fs::write(&beside, content).expect("it can be written");
        fs::rename(beside, place).expect("it can be moved");
    }

    pub(crate) fn config(&self) -> EngineConfig {
        EngineConfig {
            root: self.dir.path().to_owned(),
            work_dir: self.path("work"),
            workflow_folders: vec![self.path("workflows")],
            max_running_executions: 64,
            max_parallel_steps: 4,
            snapshot_events: usize::MAX,
            kill_grace: Duration::from_secs(1),
            shutdown_grace: Duration::from_millis(1),
            watch_retry: Duration::from_millis(50),
            poll_interval: Duration::from_hours(1),
            file_rescan: NEVER.to_owned(),
            workflow_rescan: NEVER.to_owned(),
            uploads: UploadLimits { max_size: 1024, allowed_types: Vec::new() },
        }
    }

    pub(crate) async fn launch(&self) -> Arc<Engine> {
        let node = NewNode {
            id: NodeId(Uuid::now_v7()),
            name: "test".to_owned(),
            address: None,
            engine_version: "0".to_owned(),
            schema_fingerprint: "0".to_owned(),
            capacity: 64,
            lease: self.lease,
            replaces: None,
            started_at: self.clock.now(),
        };
        let parts = Parts {
            store: Arc::clone(&self.store) as _,
            reads: Arc::new(NoReads),
            blobs: Arc::new(NoBlobs),
            secrets: None,
            webhooks: None,
            steps: StepRegistry::new([Arc::new(Gate(Arc::clone(&self.gate))) as Arc<dyn StepType>]),
            clock: Arc::clone(&self.clock),
            node,
        };
        Engine::launch(self.config(), parts).await.expect("the engine comes up")
    }

    /// Waits until what is known of a workflow file is as it should be.
    pub(crate) async fn file(
        &self,
        engine: &Engine,
        name: &str,
        is_it: impl Fn(&WorkflowFile) -> bool,
    ) -> WorkflowFile {
        let find = || {
            let files = engine.workflow_files();
            files.into_iter().find(|file| Path::new(&file.path).ends_with(name)).filter(|file| is_it(file))
        };
        let waiting = async {
            loop {
                match find() {
                    Some(file) => return file,
                    None => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        let file = tokio::time::timeout(Duration::from_secs(40), waiting).await;
        file.unwrap_or_else(|_| panic!("waited in vain for {name}; known: {:#?}", engine.workflow_files()))
    }
}

/// A `shell` step that runs nothing, and ends when the test lets it; the script `flood` logs until it is stopped.
struct Gate(Arc<Semaphore>);

#[async_trait]
impl StepType for Gate {
    fn name(&self) -> &'static str {
        "shell"
    }

    fn only_computes(&self) -> bool {
        false
    }

    async fn run(&self, context: StepContext, input: Value) -> Outcome {
        if input["script"] == "flood" {
            while !context.stop.is_cancelled() {
                context.logs.line(LogStream::Stdout, LogLevel::Info, "and on".to_owned()).await;
            }
            return Outcome::Stopped;
        }
        tokio::select! {
            () = context.stop.cancelled() => Outcome::Stopped,
            permit = self.0.acquire() => {
                permit.expect("the gate stays").forget();
                Outcome::Completed { output: Value::Object(Map::new()) }
            }
        }
    }
}

/// A clock that was set, and goes on from there.
pub(crate) struct SetClock {
    set_to: DateTime<Utc>,
    at: tokio::time::Instant,
}

impl SetClock {
    pub(crate) fn new(time: &str) -> Self {
        Self { set_to: time.parse().expect("a time"), at: tokio::time::Instant::now() }
    }
}

impl Clock for SetClock {
    fn now(&self) -> DateTime<Utc> {
        self.set_to + self.at.elapsed()
    }
}
