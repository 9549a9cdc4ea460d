//! Attempts at steps: those that only compute run in line, the others as tasks of their own under a time limit.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use cogwheel_machine::{Failure, FailureKind, Outcome};
use futures_util::FutureExt;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::artifacts::{Leavings, bounded};
use super::drive::Drive;
use crate::events::EventType;
use crate::ports::{Actor, LogLine, LogSink, NewArtifact, NewEvent, StepContext, StepType};
use crate::triggers::depth_of;

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
        let attempt = match self.prepare(step, lines, CancellationToken::new()) {
            Ok((step_type, context, input)) => run_limited(step_type, context, input, Duration::MAX),
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

    /// Begins an attempt; its end is heard through `attempts`.
    pub(super) async fn begin(&mut self, step: i32) {
        let Some(state) = self.execution.step(step) else { return };
        let attempt = state.attempt;
        // Counted from here, not from the decision: a database that was away must not use the step's time up.
        let limit = self.execution.definition(state).timeout.unwrap_or(Duration::MAX);
        let ending = CancellationToken::new();
        let prepared = match self.make_work_dir().await {
            Ok(()) => self.prepare(step, self.lines.clone(), ending.clone()),
            Err(error) => Err(internal("cannot make the scratch folder").with_detail(error.to_string())),
        };
        self.running.push(Running { step, stop: ending });
        let runner = Arc::clone(self.runner);
        self.attempts.spawn(async move {
            let (outcome, artifacts) = match prepared {
                Ok((step_type, context, input)) => {
                    let left = Leavings {
                        folder: context.artifacts_dir.clone(),
                        step,
                        key: context.step.clone(),
                        logs: context.logs.clone(),
                        stop: context.stop.clone(),
                    };
                    let outcome = run_limited(step_type, context, input, limit).await;
                    runner.keeper().keep_leavings(&left, bounded(outcome)).await
                }
                Err(failure) => (Outcome::Failed { failure, output: None }, Vec::new()),
            };
            Ended { step, attempt, outcome, artifacts }
        });
    }

    /// Makes the scratch folder, once.
    async fn make_work_dir(&mut self) -> std::io::Result<()> {
        if !self.has_work_dir {
            tokio::fs::create_dir_all(self.work_dir()).await?;
            self.has_work_dir = true;
        }
        Ok(())
    }

    fn prepare(
        &self,
        step: i32,
        lines: mpsc::Sender<(i32, i32, LogLine)>,
        ending: CancellationToken,
    ) -> Result<(Arc<dyn StepType>, StepContext, Value), Failure> {
        let step_type = self.step_type(step)?;
        let workflow = self.execution.workflow();
        let state = self.execution.step(step).ok_or_else(|| internal("the step does not exist"))?;
        let context = StepContext {
            execution: self.execution.id(),
            workflow: workflow.name.clone(),
            step: state.key.clone(),
            attempt: state.attempt,
            step_key: self.execution.step_key(step),
            root: self.runner.root.clone(),
            work_dir: self.work_dir(),
            artifacts_dir: self.artifacts_dir(step, state.attempt),
            kill_grace: self.runner.kill_grace,
            logs: LogSink::new(lines, step, state.attempt, Arc::clone(&self.runner.clock)),
            stop: ending,
        };
        Ok((step_type, context, state.input.clone().unwrap_or_default()))
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

/// Runs an attempt, asks it to stop when its time is up, and survives its panics.
async fn run_limited(step_type: Arc<dyn StepType>, context: StepContext, input: Value, limit: Duration) -> Outcome {
    let ending = context.stop.clone();
    let step = context.step.clone();
    let attempt = async {
        let run = step_type.run(context, input);
        tokio::pin!(run);
        tokio::select! {
            outcome = &mut run => outcome,
            () = tokio::time::sleep(limit) => {
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
