//! Step types to which happens what a test says.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use cogwheel_engine::ports::{StepContext, StepRegistry, StepType};
use cogwheel_engine::{Failure, FailureKind, Outcome};
use serde_json::Value;

use super::file::{Act, WhenTimedOut};

/// What a test says about steps, and about which of them it came to that.
pub(super) struct Script {
    acts: BTreeMap<String, Act>,
    reached: Mutex<BTreeSet<String>>,
}

impl Script {
    pub(super) fn new(acts: BTreeMap<String, Act>) -> Arc<Self> {
        Arc::new(Self { acts, reached: Mutex::default() })
    }

    /// The step types of the server, to which happens what is said here.
    pub(super) fn registry(self: &Arc<Self>) -> StepRegistry {
        let scripted = |inner| Arc::new(Scripted { inner, script: Arc::clone(self) }) as Arc<dyn StepType>;
        StepRegistry::new(cogwheel_steps::builtin().into_iter().map(scripted))
    }

    /// The keys about which something is said, of which no attempt began.
    pub(super) fn not_reached(&self) -> Vec<&str> {
        let reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        self.acts.keys().filter(|key| !reached.contains(*key)).map(String::as_str).collect()
    }

    fn act_on(&self, step: &str) -> Option<&Act> {
        let act = self.acts.get(step)?;
        self.reached.lock().unwrap_or_else(PoisonError::into_inner).insert(step.to_owned());
        Some(act)
    }
}

struct Scripted {
    inner: Arc<dyn StepType>,
    script: Arc<Script>,
}

#[async_trait]
impl StepType for Scripted {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn only_computes(&self) -> bool {
        self.inner.only_computes()
    }

    fn has_processes(&self) -> bool {
        self.inner.has_processes()
    }

    async fn run(&self, context: StepContext, input: Value) -> Outcome {
        let Some(act) = self.script.act_on(&context.step) else { return self.inner.run(context, input).await };
        if context.stop.run_until_cancelled(context.recorded.wait()).await.is_none() {
            return Outcome::Stopped;
        }
        match act {
            Act::Outputs(output) => Outcome::Completed { output: output.clone() },
            Act::Fail(message) => failed(Failure::permanent(self.kind(), message.clone())),
            Act::FailFirst(attempts) if i64::from(context.attempt) <= i64::from(*attempts) => {
                failed(Failure::retriable(self.kind(), "the test lets this attempt fail"))
            }
            Act::FailFirst(_) => self.inner.run(context, input).await,
            Act::TimeOut(WhenTimedOut::Before) => Outcome::TimedOut { output: None },
            Act::TimeOut(WhenTimedOut::After) => match self.inner.run(context, input).await {
                Outcome::Completed { .. } => Outcome::TimedOut { output: None },
                other => other,
            },
            Act::Repeat(runs) => {
                for _ in 1..*runs {
                    let outcome = self.inner.run(context.clone(), input.clone()).await;
                    if !matches!(outcome, Outcome::Completed { .. }) {
                        return outcome;
                    }
                }
                self.inner.run(context, input).await
            }
        }
    }

    async fn reap(&self, step_keys: &HashSet<String>) {
        self.inner.reap(step_keys).await;
    }
}

impl Scripted {
    /// The kind of failure that such a step has most often.
    fn kind(&self) -> FailureKind {
        match self.inner.name() {
            "shell" => FailureKind::Exit,
            "http" => FailureKind::Http,
            _ => FailureKind::Input,
        }
    }
}

fn failed(failure: Failure) -> Outcome {
    Outcome::Failed { failure, output: None }
}
