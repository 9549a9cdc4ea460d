//! Attempts at steps: those that only compute run in line, the others as tasks of their own under a time limit.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use cogwheel_definition::Step;
use cogwheel_machine::{Failure, FailureKind, Outcome};
use futures_util::FutureExt;
use serde_json::Value;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::Runner;
use super::artifacts::{Leavings, bounded};
use super::drive::Drive;
use super::places::Places;
use crate::events::EventType;
use crate::ports::{Actor, LogLine, LogSink, NewArtifact, NewEvent, Recorded, StepContext, StepType, Workplace};
use crate::triggers::{Given, depth_of};

/// An attempt under way.
pub(super) struct Running {
    pub(super) step: i32,
    pub(super) stop: CancellationToken,
}

/// An attempt that ended.
pub(super) struct Ended {
    pub(super) step: i32,
    pub(super) attempt: i32,
    pub(super) outcome: Outcome,
    /// The files it left.
    pub(super) artifacts: Vec<NewArtifact>,
}

/// The step type that the runner carries out itself: its effect is part of the record.
const EMIT: &str = "emit";

/// How many log lines a computing step may write at once.
const COMPUTED_LINES: usize = 64;

impl Drive<'_> {
    pub(super) fn only_computes(&self, step: i32) -> bool {
        self.type_name(step) == EMIT || self.step_type(step).is_ok_and(|step_type| step_type.only_computes())
    }

    /// Runs an attempt whose effect nobody outside sees; its log lines join the next write.
    pub(super) async fn compute(&mut self, step: i32) -> Outcome {
        if self.type_name(step) == EMIT {
            return self.emit(step);
        }
        let (lines, mut written) = mpsc::channel(COMPUTED_LINES);
        let recorded = Recorded::default();
        // What nobody outside sees need not wait.
        recorded.announce();
        let attempt = match self.prepare(step, lines, recorded, CancellationToken::new()) {
            Ok(prepared) => prepared.run(Duration::MAX),
            Err(failure) => return Outcome::Failed { failure, output: None },
        };
        let collect = async {
            let mut lines = Vec::new();
            while let Some(line) = written.recv().await {
                lines.push(line);
            }
            lines
        };
        let (outcome, lines) = tokio::join!(attempt, collect);
        self.unwritten.logs.extend(lines);
        bounded(outcome)
    }

    /// Emits an event: it is recorded together with its step, so that there is none without the other.
    fn emit(&mut self, step: i32) -> Outcome {
        let Some(state) = self.execution.step(step) else { return Outcome::Stopped };
        let input = state.input.clone().unwrap_or_default();
        let began_at = state.started_at.unwrap_or_else(|| self.runner.clock.now());
        let id = self.execution.id().of_attempt(step, state.attempt, began_at);
        let event_type = match own_type(&input["type"]) {
            Ok(event_type) => event_type,
            Err(title) => {
                let failure = Failure::permanent(FailureKind::Expression, title);
                return Outcome::Failed { failure, output: None };
            }
        };
        self.unwritten.events.push(NewEvent {
            id,
            event_type,
            data: serde_json::json!({ "subject": input["subject"], "data": input["data"] }),
            actor: Actor::Execution(self.execution.id()),
            depth: depth_of(self.execution.trigger()),
            correlation_id: Some(self.correlation_id),
            causation_id: self.cause(),
        });
        Outcome::Completed { output: serde_json::json!({ "id": id.to_string() }) }
    }

    /// Begins an attempt, which has no effect before its beginning is recorded; its end is heard through `attempts`.
    pub(super) fn begin(&mut self, step: i32, recorded: &Recorded) {
        let Some(state) = self.execution.step(step) else { return };
        let attempt = state.attempt;
        // Counted from when its beginning is recorded: a database that was away must not use the step's time up.
        let limit = self.execution.definition(state).timeout.unwrap_or(Duration::MAX);
        let ending = CancellationToken::new();
        let prepared = self.prepare(step, self.lines.clone(), recorded.clone(), ending.clone());
        let places = Arc::clone(&self.places);
        // What has no processes needs neither places nor the uploaded file.
        let has_processes = prepared.as_ref().is_ok_and(|prepared| prepared.step_type.has_processes());
        let restocks = has_processes && self.has_more_processes();
        let given = if has_processes { Given::of(self.execution.trigger(), &self.work_dir()) } else { None };
        self.running.push(Running { step, stop: ending });
        let runner = Arc::clone(self.runner);
        let giving = Arc::clone(&self.giving);
        self.attempts.spawn(async move {
            let ran = match prepared {
                Ok(prepared) if has_processes => {
                    let given = give(given, &giving, &runner).await;
                    match given.and_then(|()| places.take()) {
                        Ok(place) => {
                            let restocked = restocks.then_some(places);
                            Ok(prepared.run_in(place, restocked, limit, &runner).await)
                        }
                        Err(failure) => Err(failure),
                    }
                }
                Ok(prepared) => Ok((bounded(prepared.run(limit).await), Vec::new())),
                Err(failure) => Err(failure),
            };
            let (outcome, artifacts) =
                ran.unwrap_or_else(|failure| (Outcome::Failed { failure, output: None }, Vec::new()));
            Ended { step, attempt, outcome, artifacts }
        });
    }

    fn prepare(
        &self,
        step: i32,
        lines: mpsc::Sender<(i32, i32, LogLine)>,
        recorded: Recorded,
        ending: CancellationToken,
    ) -> Result<Prepared, Failure> {
        let step_type = self.step_type(step)?;
        let workflow = self.execution.workflow();
        let state = self.execution.step(step).ok_or_else(|| internal("the step does not exist"))?;
        let context = StepContext {
            execution: self.execution.id(),
            workflow: workflow.name.clone(),
            step: state.key.clone(),
            attempt: state.attempt,
            step_key: self.execution.step_key(step),
            is_saga: self.is_saga(),
            correlation_id: self.correlation_id,
            root: self.runner.root.clone(),
            work_dir: self.work_dir(),
            place: None,
            kill_grace: self.runner.kill_grace,
            logs: LogSink::new(lines, step, state.attempt, Arc::clone(&self.runner.clock)),
            recorded,
            stop: ending,
        };
        Ok(Prepared { step, step_type, context, input: state.input.clone().unwrap_or_default() })
    }

    /// Whether attempts of other steps, or more of the same, may want a place.
    fn has_more_processes(&self) -> bool {
        let has_processes = |step: &&Step| {
            self.runner.steps.get(step.action.step_type()).is_some_and(|step_type| step_type.has_processes())
        };
        let mut steps = self.execution.workflow().steps.iter().filter(has_processes);
        let first = steps.next();
        first.is_some_and(|step| step.foreach.is_some() || step.until.is_some()) || steps.next().is_some()
    }

    fn type_name(&self, step: i32) -> &'static str {
        self.execution.step(step).map_or("", |state| self.execution.definition(state).action.step_type())
    }

    fn step_type(&self, step: i32) -> Result<Arc<dyn StepType>, Failure> {
        let name = self.type_name(step);
        let missing = || internal("this server has no such step type").with_detail(name);
        self.runner.steps.get(name).ok_or_else(missing)
    }
}

/// Puts the uploaded file where the attempt is told it is; of attempts side by side, one does it for all.
async fn give(given: Option<Given>, giving: &Mutex<()>, runner: &Runner) -> Result<(), Failure> {
    let Some(given) = given else { return Ok(()) };
    let _one_at_a_time = giving.lock().await;
    given.put(runner.blobs().as_ref()).await
}

/// An attempt that can be run.
struct Prepared {
    step: i32,
    step_type: Arc<dyn StepType>,
    context: StepContext,
    input: Value,
}

impl Prepared {
    /// Runs the attempt, asks it to stop when its time is up, and survives its panics.
    async fn run(self, limit: Duration) -> Outcome {
        let Self { step_type, context, input, .. } = self;
        let ending = context.stop.clone();
        let step = context.step.clone();
        let attempt = async {
            let recorded = context.recorded.clone();
            if !step_type.has_processes() && ending.run_until_cancelled(recorded.wait()).await.is_none() {
                return Outcome::Stopped;
            }
            let run = step_type.run(context, input);
            let time_is_up = async {
                recorded.wait().await;
                tokio::time::sleep(limit).await;
            };
            tokio::pin!(run);
            tokio::select! {
                outcome = &mut run => outcome,
                () = time_is_up => {
                    ending.cancel();
                    match run.await {
                        Outcome::Stopped => Outcome::TimedOut { output: None },
                        // It ended by itself at the last moment.
                        other => other,
                    }
                }
            }
        };
        AssertUnwindSafe(attempt).catch_unwind().await.unwrap_or_else(|_| {
            error!(step, "a step type panicked");
            Outcome::Failed { failure: internal("the step type failed inside"), output: None }
        })
    }

    /// Runs the attempt in a place of its own, and keeps the artifacts that it leaves there. Meanwhile another place is
    /// made, where one is wanted.
    async fn run_in(
        mut self,
        place: Workplace,
        restocked: Option<Arc<Places>>,
        limit: Duration,
        runner: &Runner,
    ) -> (Outcome, Vec<NewArtifact>) {
        let context = &mut self.context;
        let left = Leavings {
            folder: place.artifacts_dir.clone(),
            step: self.step,
            key: context.step.clone(),
            logs: context.logs.clone(),
            stop: context.stop.clone(),
        };
        context.place = Some(place);
        let recorded = context.recorded.clone();
        let restock = async {
            let Some(places) = restocked else { return };
            recorded.wait().await;
            // On another thread: this one's processor is likely the one that the process waits for.
            drop(tokio::task::spawn_blocking(move || places.restock()));
        };
        let outcome = with_company(self.run(limit), restock).await;
        runner.keeper().keep_leavings(&left, bounded(outcome)).await
    }
}

/// Waits for the first, and lets the second run beside it; where both can go on, the first does.
async fn with_company<T>(first: impl Future<Output = T>, second: impl Future<Output = ()>) -> T {
    tokio::pin!(first, second);
    tokio::select! {
        biased;
        ended = &mut first => return ended,
        () = second => {}
    }
    first.await
}

/// The type that an author gives an event.
fn own_type(given: &Value) -> Result<EventType, String> {
    let name = given.as_str().filter(|name| !name.is_empty()).ok_or("`type` must be text")?;
    match name.parse() {
        Ok(own @ EventType::Custom(_)) => Ok(own),
        Ok(known) => Err(format!("`{known}` is an event of the engine's own: authors' types begin with `custom.`")),
        Err(unknown) => Err(unknown.to_string()),
    }
}

fn internal(title: &str) -> Failure {
    Failure::permanent(FailureKind::Internal, title)
}
