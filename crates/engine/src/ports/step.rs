//! The port of step types: how a step's action is run.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cogwheel_machine::{ExecutionId, Outcome};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;

/// A kind of step, by the word that `uses:` names it with.
#[async_trait]
pub trait StepType: Send + Sync + 'static {
    /// The word: `shell`, `set`, `log`.
    fn name(&self) -> &'static str;

    /// Whether running it twice is harmless, because nothing outside sees it. Such a step is recorded once, at its end.
    fn only_computes(&self) -> bool;

    /// Whether it runs processes, which take about as long to start as their beginning takes to be recorded. Then it gets a
    /// [`Workplace`], is run before its beginning is recorded, and waits for `context.recorded` before it does anything that
    /// is seen outside.
    fn has_processes(&self) -> bool {
        false
    }

    /// Runs one attempt. Stops soon after `context.stop` is cancelled, leaves nothing running, and then answers
    /// [`Outcome::Stopped`].
    async fn run(&self, context: StepContext, input: Value) -> Outcome;

    /// Ends whatever is left of attempts whose server died, named by their step keys, before they are tried again.
    async fn reap(&self, _step_keys: &HashSet<String>) {}
}

/// What an attempt is told about itself.
#[derive(Clone)]
pub struct StepContext {
    /// The execution.
    pub execution: ExecutionId,
    /// The workflow's name.
    pub workflow: String,
    /// The step's key: its id in the definition, with the path of its rounds and values.
    pub step: String,
    /// The number of the attempt, from 1.
    pub attempt: i32,
    /// Stable over attempts and restarts: the idempotency key to hand on.
    pub step_key: String,
    /// The folder that relative paths mean.
    pub root: PathBuf,
    /// A scratch folder shared by the steps of the execution, gone after its end. It is there for step types that have
    /// processes.
    pub work_dir: PathBuf,
    /// What the attempt's processes have on disk; of step types that have processes.
    pub place: Option<Workplace>,
    /// How long a process has between being asked to end and being killed.
    pub kill_grace: Duration,
    /// Where its log lines go.
    pub logs: LogSink,
    /// Whether the beginning of the attempt is recorded.
    pub recorded: Recorded,
    /// Cancelled when the attempt must stop.
    pub stop: CancellationToken,
}

/// What an attempt has on disk for itself. Both are there when it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workplace {
    /// An empty folder: regular files left there become artifacts.
    pub artifacts_dir: PathBuf,
    /// An empty file, for outputs.
    pub output_file: PathBuf,
}

/// Tells attempts that their beginning is durable: an effect before that would be one that nobody knows of after a crash.
#[derive(Clone, Debug, Default)]
pub struct Recorded(CancellationToken);

impl Recorded {
    /// Lets those who wait go on.
    pub fn announce(&self) {
        self.0.cancel();
    }

    /// Waits until it is recorded; for ever if it never is, in which case the attempt is asked to stop.
    pub async fn wait(&self) {
        self.0.cancelled().await;
    }
}

/// How grave a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// For finding faults.
    Debug,
    /// Ordinary.
    Info,
    /// Worth a look.
    Warn,
    /// Something failed.
    Error,
}

/// Where a log line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogStream {
    /// Cogwheel itself, or a `log` step.
    Engine,
    /// A process's standard output.
    Stdout,
    /// A process's standard error.
    Stderr,
}

/// One line of an execution's log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// When it was read or written.
    pub at: DateTime<Utc>,
    /// How grave.
    pub level: LogLevel,
    /// Where from.
    pub stream: LogStream,
    /// The text without its line end; at most 64 KiB, longer lines are split.
    pub message: String,
}

/// Takes an attempt's log lines; waits while more come than can be stored.
#[derive(Clone)]
pub struct LogSink {
    lines: mpsc::Sender<(i32, i32, LogLine)>,
    step: i32,
    attempt: i32,
    clock: Arc<dyn Clock>,
}

impl LogSink {
    /// A sink for one attempt of the step of this ordinal.
    pub fn new(lines: mpsc::Sender<(i32, i32, LogLine)>, step: i32, attempt: i32, clock: Arc<dyn Clock>) -> Self {
        Self { lines, step, attempt, clock }
    }

    /// Hands over one line.
    pub async fn line(&self, stream: LogStream, level: LogLevel, message: impl Into<String> + Send) {
        let line = LogLine { at: self.clock.now(), level, stream, message: message.into() };
        // The receiver is gone only when the execution was let go of; then nobody reads the line.
        let _ = self.lines.send((self.step, self.attempt, line)).await;
    }
}

/// The step types of this installation.
#[derive(Clone, Default)]
pub struct StepRegistry {
    types: HashMap<&'static str, Arc<dyn StepType>>,
}

impl StepRegistry {
    /// A registry of the given types.
    pub fn new(types: impl IntoIterator<Item = Arc<dyn StepType>>) -> Self {
        Self { types: types.into_iter().map(|step_type| (step_type.name(), step_type)).collect() }
    }

    /// The type that `name` stands for.
    pub fn get(&self, name: &str) -> Option<Arc<dyn StepType>> {
        self.types.get(name).cloned()
    }

    /// Ends what is left of lost attempts, whichever type ran them.
    pub async fn reap(&self, step_keys: &HashSet<String>) {
        for step_type in self.types.values() {
            step_type.reap(step_keys).await;
        }
    }
}
