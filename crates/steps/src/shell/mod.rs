//! `shell`: runs a script with the system's shell.

mod capture;
mod group;
mod launch;
mod lines;
mod memory;
mod output;
#[cfg(target_os = "linux")]
mod procfs;
mod reap;
mod supervise;
mod verdict;

#[cfg(all(test, target_os = "linux"))]
mod tests;

use std::collections::HashSet;
use std::ffi::OsString;

use async_trait::async_trait;
use cogwheel_engine::ports::{StepContext, StepType};
use cogwheel_engine::{Failure, FailureKind, Outcome};
use serde_json::{Map, Value};

use launch::Launch;
use memory::{Kernel, OomKills};

/// Input: `script`, and `env` with the script's own variables.
///
/// A script runs in a process group of its own and leaves nothing of it behind, however it ends.
pub(crate) struct Shell {
    /// What scripts inherit from the server's environment.
    base_env: Vec<(OsString, OsString)>,
    oom_kills: Box<dyn OomKills>,
}

impl Shell {
    /// Takes what scripts may inherit out of the server's environment; its settings and secrets stay out.
    pub(crate) fn new(server_env: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self::with_oom_kills(server_env, Box::new(Kernel::default()))
    }

    fn with_oom_kills(
        server_env: impl IntoIterator<Item = (OsString, OsString)>,
        oom_kills: Box<dyn OomKills>,
    ) -> Self {
        let base_env = server_env.into_iter().filter(|(name, _)| launch::is_inherited(name)).collect();
        Self { base_env, oom_kills }
    }

    async fn attempt(&self, context: &StepContext, input: &Value) -> Result<Outcome, Failure> {
        let no_place = || Failure::permanent(FailureKind::Internal, "a shell step was given no place");
        let place = context.place.as_ref().ok_or_else(no_place)?;
        let (child, gate) = Launch::new(&self.base_env, context, place, input)?.spawn()?;
        let kills_before = self.oom_kills.count();
        if context.stop.run_until_cancelled(context.recorded.wait()).await.is_none() {
            // The script has not begun; its shell goes with the gate.
            return Ok(Outcome::Stopped);
        }
        gate.open();
        let ended = supervise::until_end(child, context).await?;
        let outputs = output::collect(&place.output_file);

        let Some(status) = ended.status else {
            // What left the group is found by its step key.
            reap::end_all(&HashSet::from([context.step_key.clone()])).await;
            return Ok(Outcome::Stopped);
        };
        let saw_a_kill = || kills_before.zip(self.oom_kills.count()).is_some_and(|(before, now)| now > before);
        let out_of_memory = verdict::may_be_out_of_memory(status) && saw_a_kill();
        Ok(verdict::of(status, ended.seen, outputs, out_of_memory))
    }
}

#[async_trait]
impl StepType for Shell {
    fn name(&self) -> &'static str {
        "shell"
    }

    fn only_computes(&self) -> bool {
        false
    }

    /// A shell takes as long to start as its beginning takes to be recorded: it starts meanwhile, and waits.
    fn has_processes(&self) -> bool {
        true
    }

    async fn run(&self, context: StepContext, input: Value) -> Outcome {
        self.attempt(&context, &input).await.unwrap_or_else(|failure| Outcome::Failed { failure, output: None })
    }

    async fn reap(&self, step_keys: &HashSet<String>) {
        reap::end_all(step_keys).await;
    }
}

/// What a script put out through its output file.
type Outputs = Map<String, Value>;
