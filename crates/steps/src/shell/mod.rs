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
use std::fs;
use std::sync::Arc;

use async_trait::async_trait;
use cogwheel_engine::ports::{StepContext, StepType};
use cogwheel_engine::{Failure, Outcome};
use serde_json::{Map, Value};

use launch::Launch;
use memory::{Kernel, OomKills, Watch};

/// Input: `script`, and `env` with the script's own variables.
///
/// A script runs in a process group of its own and leaves nothing of it behind, however it ends.
pub(crate) struct Shell {
    /// What scripts inherit from the server's environment.
    base_env: Vec<(OsString, OsString)>,
    oom_kills: Arc<dyn OomKills>,
}

impl Shell {
    /// Takes what scripts may inherit out of the server's environment; its settings and secrets stay out.
    pub(crate) fn new(server_env: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self::with_oom_kills(server_env, Arc::new(Kernel::default()))
    }

    fn with_oom_kills(
        server_env: impl IntoIterator<Item = (OsString, OsString)>,
        oom_kills: Arc<dyn OomKills>,
    ) -> Self {
        let base_env = server_env.into_iter().filter(|(name, _)| launch::is_inherited(name)).collect();
        Self { base_env, oom_kills }
    }

    async fn attempt(&self, context: &StepContext, input: &Value) -> Result<Outcome, Failure> {
        let launch = Launch::new(&self.base_env, context, input)?;
        let output_file = launch.output_file.clone();
        // Both lie in the data folder, as the database does: another thread would cost more than they do.
        output::create(&output_file).map_err(|error| launch::not_made("output file", &output_file, &error))?;
        let artifacts = &context.artifacts_dir;
        fs::create_dir_all(artifacts).map_err(|error| launch::not_made("artifacts folder", artifacts, &error))?;

        let child = launch.spawn()?;
        let watch = Watch::of(&self.oom_kills, child.id());
        let ended = supervise::until_end(child, context).await?;
        let outputs = output::collect(&output_file);

        let Some(status) = ended.status else {
            // What left the group is found by its step key.
            reap::end_all(&HashSet::from([context.step_key.clone()])).await;
            return Ok(Outcome::Stopped);
        };
        let out_of_memory = verdict::may_be_out_of_memory(status) && watch.saw_a_kill();
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

    async fn run(&self, context: StepContext, input: Value) -> Outcome {
        self.attempt(&context, &input).await.unwrap_or_else(|failure| Outcome::Failed { failure, output: None })
    }

    async fn reap(&self, step_keys: &HashSet<String>) {
        reap::end_all(step_keys).await;
    }
}

/// What a script put out through its output file.
type Outputs = Map<String, Value>;
