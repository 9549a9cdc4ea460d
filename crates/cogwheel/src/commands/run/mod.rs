//! `cogwheel run`: runs a workflow file to its end with an engine and a database of its own.

mod folder;
mod follow;
mod live;
mod progress;
mod report;
mod words;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use cogwheel_definition::Workflow;
use cogwheel_engine::clock::{Clock as _, SystemClock};
use cogwheel_engine::ports::{NewNode, StepRegistry};
use cogwheel_engine::{CancelError, Engine, EngineConfig, ExecutionId, ExecutionStatus, NodeId, Parts, StartRequest};
use cogwheel_files::BlobFolder;
use cogwheel_store::{ConnectOptions, Database, SqlStore, verify};
use serde_json::{Map, Value};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::signals::Signals;
use super::validate::{self, Unsound};
use super::{database, inputs, node};
use crate::cli::{GivenInput, Output};
use crate::settings::Settings;
use crate::{EXIT_USAGE, output};
pub(super) use folder::DataFolder;
use follow::Follow;
use progress::Progress;

/// The exit codes for an execution that was cancelled, and for one that timed out.
const EXIT_CANCELLED: u8 = 3;
const EXIT_TIMED_OUT: u8 = 4;

/// The least time between two looks at what changed: many changes come in bursts.
const PAUSE: Duration = Duration::from_millis(50);

/// How often the display is drawn while nothing changes: times go on.
const REDRAW: Duration = Duration::from_millis(200);

/// What is run.
pub(super) struct Subject {
    workflow: Workflow,
    source: String,
    inputs: Map<String, Value>,
    /// Workflows that it may run, with their texts.
    others: Vec<(Workflow, String)>,
}

/// Runs the file and prints what it puts out.
pub(super) async fn run(
    settings: &Settings,
    file: &Path,
    given: Vec<GivenInput>,
    keep: Option<PathBuf>,
    print: Output,
) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let subject = match prepare(file, given) {
        Ok(subject) => subject,
        Err(unsound) => {
            output::answer(print, &unsound.report, &unsound.text)?;
            return Ok(ExitCode::from(EXIT_USAGE));
        }
    };
    let Some(folder) = DataFolder::make(keep)? else { return Ok(ExitCode::from(EXIT_USAGE)) };
    let steps = StepRegistry::new(cogwheel_steps::builtin());
    let (engine, store) = launch(settings, folder.path(), steps).await?;
    let ended = execute(&engine, subject, &mut signals, Progress::new(print)).await;
    engine.stop_now().await;
    let (id, status) = ended?;
    let report = report::Report::read(&engine, id, status).await?;
    store.close().await;
    report.print(print)?;
    Ok(exit_code(status))
}

/// What is run with these inputs, or all that is wrong with the file or with them.
pub(super) fn prepare(file: &Path, given: Vec<GivenInput>) -> Result<Subject, Box<Unsound>> {
    let (workflow, source) = validate::load(file)?;
    let inputs = inputs::resolve(file, &workflow, given)?;
    let others =
        if folder::runs_others(&workflow) { folder::workflows_beside(file, &workflow.name) } else { Vec::new() };
    Ok(Subject { workflow, source, inputs, others })
}

impl Subject {
    /// Saves the workflow, with those that it may run, and starts it.
    pub(super) async fn start(self, engine: &Arc<Engine>) -> anyhow::Result<ExecutionId> {
        let Self { workflow, source, inputs, others } = self;
        let name = workflow.name.clone();
        for (workflow, source) in others.into_iter().chain([(workflow, source)]) {
            engine.save_workflow(workflow, source).await?;
        }
        Ok(engine.start(StartRequest::manual(name, inputs, None)).await?.id)
    }
}

/// An engine on a new database in `data`, in which nothing but this command starts anything.
pub(super) async fn launch(
    settings: &Settings,
    data: &Path,
    steps: StepRegistry,
) -> anyhow::Result<(Arc<Engine>, Arc<SqlStore>)> {
    let url = format!("sqlite:{}", data.join(database::SQLITE_FILE).display());
    let database = Database::connect(&url, ConnectOptions::default()).await?;
    cogwheel_migration::up(database.admin()).await?;
    let node = NewNode {
        id: NodeId(SystemClock.new_id()),
        name: node::host_name(),
        address: None,
        engine_version: env!("CARGO_PKG_VERSION").to_owned(),
        schema_fingerprint: verify::fingerprint(database.admin()).await?,
        capacity: i32::try_from(settings.max_running_executions).unwrap_or(i32::MAX),
        lease: None,
        replaces: None,
        started_at: SystemClock.now(),
    };
    let store = Arc::new(database.open().await?);
    let parts = Parts {
        store: Arc::clone(&store) as _,
        reads: Arc::clone(&store) as _,
        blobs: Arc::new(BlobFolder::open(data.join(database::BLOBS), SystemClock.now().into()).await?),
        secrets: None,
        webhooks: None,
        steps,
        clock: Arc::new(SystemClock),
        node,
    };
    let config = EngineConfig {
        work_dir: data.join("work"),
        workflow_folders: Vec::new(),
        ..super::serve::engine_config(settings)
    };
    Ok((Engine::launch_without_triggers(config, parts).await?, store))
}

/// Starts the workflow and follows it to its end, or until it is stopped.
async fn execute(
    engine: &Arc<Engine>,
    subject: Subject,
    signals: &mut Signals,
    mut progress: Progress,
) -> anyhow::Result<(ExecutionId, ExecutionStatus)> {
    // Before the start, so that nothing of it is missed.
    let mut follower = engine.feed().follow();
    let id = subject.start(engine).await?;
    let mut follow = Follow::new(engine, id);
    let mut redraw = interval(REDRAW);
    redraw.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_cancelled = false;
    loop {
        let has_ended = follow.look(&mut progress).await?;
        progress.draw();
        if has_ended {
            progress.finish();
            return Ok((id, follow.status()));
        }
        let look_again = Instant::now() + PAUSE;
        loop {
            tokio::select! {
                heard = async { sleep_until(look_again).await; follower.next().await } => {
                    // One look sees all that was told so far.
                    let mut is_open = heard.is_some();
                    while tokio::select! {
                        biased;
                        heard = follower.next(), if is_open => { is_open = heard.is_some(); true }
                        () = std::future::ready(()) => false,
                    } {}
                    break;
                }
                signal = signals.next() => {
                    if is_cancelled {
                        progress.say("stopping at once");
                        progress.finish();
                        return Ok((id, ExecutionStatus::Cancelled));
                    }
                    is_cancelled = true;
                    progress.say("cancelling: what runs is asked to end (once more to stop at once)");
                    match engine.cancel(id, Some(format!("the command was ended by {signal}"))).await {
                        Ok(()) | Err(CancelError::Ended { .. }) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                _ = redraw.tick() => progress.draw(),
            }
        }
    }
}

fn exit_code(status: ExecutionStatus) -> ExitCode {
    match status {
        ExecutionStatus::Completed => ExitCode::SUCCESS,
        ExecutionStatus::Cancelled => ExitCode::from(EXIT_CANCELLED),
        ExecutionStatus::TimedOut => ExitCode::from(EXIT_TIMED_OUT),
        ExecutionStatus::Queued
        | ExecutionStatus::Running
        | ExecutionStatus::Waiting
        | ExecutionStatus::Failed
        | ExecutionStatus::Compensating
        | ExecutionStatus::Compensated => ExitCode::FAILURE,
    }
}
