//! What a checked definition is made of.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono_tz::Tz;
use globset::Glob;
use serde_json::{Map, Value, json};

use crate::{Inputs, Template};

/// The time a step, and a whole execution, may take when the document does not say.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_mins(5);

/// A workflow in which every name, reference and expression has been checked.
#[derive(Debug, Clone)]
pub struct Workflow {
    /// Unique in its tenant.
    pub name: String,
    /// What the author says it is for.
    pub description: Option<String>,
    /// Free key-value pairs to filter by.
    pub labels: BTreeMap<String, String>,
    /// The values an execution may be started with.
    pub inputs: Inputs,
    /// What the execution hands back when it has completed.
    pub outputs: BTreeMap<String, Template>,
    /// What starts an execution, beside people and the API.
    pub triggers: Triggers,
    /// Environment of every step.
    pub env: BTreeMap<String, Template>,
    /// How long the whole execution may take.
    pub timeout: Duration,
    /// At least one, in the order of the document.
    pub steps: Vec<Step>,
}

/// What starts executions of a workflow.
#[derive(Debug, Clone, Default)]
pub struct Triggers {
    /// Times at which it starts.
    pub schedules: Vec<ScheduleTrigger>,
    /// Folders whose files start it.
    pub files: Vec<FileTrigger>,
}

/// One cron line.
#[derive(Debug, Clone)]
pub struct ScheduleTrigger {
    /// Unique among the workflow's triggers: the given id or `schedule-<index>`.
    pub key: String,
    /// Checked: [`crate::cron::Cron::parse`] accepts it.
    pub cron: String,
    /// The zone whose wall clock the cron line speaks of.
    pub timezone: Tz,
    /// What happens with the instants that passed while nobody was there.
    pub catch_up: CatchUp,
    /// Instants older than this are not caught up with.
    pub catch_up_window: Option<Duration>,
    /// What happens when the previous execution of this schedule is still going.
    pub overlap: Overlap,
    /// The inputs of the executions it starts; checked against [`Workflow::inputs`].
    pub inputs: Map<String, Value>,
}

/// How missed instants of a schedule are made up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CatchUp {
    /// Not at all.
    None,
    /// The latest one is run.
    #[default]
    Last,
    /// Every one is run.
    All,
}

/// What a schedule does when its previous execution has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overlap {
    /// Starts another one beside it.
    Allow,
    /// Lets this instant pass.
    #[default]
    Skip,
}

/// One watched folder.
#[derive(Debug, Clone)]
pub struct FileTrigger {
    /// Unique among the workflow's triggers: the given id or `file-<index>`.
    pub key: String,
    /// The folder as written; a relative one is taken from the configured root.
    pub path: String,
    /// Globs over the path below the folder; one must match.
    pub include: Vec<String>,
    /// Globs over the path below the folder, or over the file name; none may match.
    pub ignore: Vec<String>,
    /// Whether a pattern of `include` reaches into subfolders.
    pub recursive: bool,
    /// How long a file must have been unchanged before it counts as whole.
    pub settle: Duration,
}

/// One unit of work.
#[derive(Debug, Clone)]
pub struct Step {
    /// Unique in the workflow: the given id or `step-<number>`.
    pub id: String,
    /// A title for people.
    pub name: Option<String>,
    /// Indices into [`Workflow::steps`] of the steps that must have completed, ascending.
    pub needs: Vec<usize>,
    /// What it does.
    pub action: Action,
    /// Environment of this step, on top of [`Workflow::env`].
    pub env: BTreeMap<String, Template>,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// Whether it runs at all, once its needs have ended; without it, all of them must have completed.
    pub condition: Option<Condition>,
    /// Whether and when a failed attempt is followed by another.
    pub retry: Option<Retry>,
    /// What follows when the server died while it ran.
    pub on_lost: OnLost,
    /// Whether the execution goes on as if it had completed when it fails or times out.
    pub continue_on_error: bool,
}

/// The `if` of a step.
#[derive(Debug, Clone)]
pub struct Condition {
    /// One whole expression; it must give true or false.
    pub expression: Template,
    /// Whether it asks `success()`, `failure()` or `always()`: then it is asked even when a need did not complete.
    pub asks_for_status: bool,
}

/// When a failed attempt is followed by another.
#[derive(Debug, Clone)]
pub struct Retry {
    /// How many attempts there may be in all, the first one included; at least 1.
    pub attempts: u32,
    /// How the pause grows.
    pub backoff: Backoff,
    /// The pause before the second attempt.
    pub delay: Duration,
    /// No pause is longer.
    pub max_delay: Duration,
    /// Whether each pause is shortened by a random part of up to its half, so that many do not come back at once.
    pub jitter: bool,
    /// No attempt begins later than this after the first one began.
    pub max_elapsed: Option<Duration>,
    /// Patterns over failure codes (`timeout`, `exit.7`, `http.5*`); empty: every failure that trying again may mend.
    pub on: Vec<String>,
}

impl Retry {
    /// Whether a failure of this code is named by [`Self::on`]: by a pattern in which `*` stands for any run of
    /// characters, or by the class before its first dot.
    pub fn covers(&self, code: &str) -> bool {
        let class = code.split('.').next().unwrap_or(code);
        self.on.iter().any(|pattern| {
            pattern == class || Glob::new(pattern).is_ok_and(|glob| glob.compile_matcher().is_match(code))
        })
    }
}

/// How the pause between attempts grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backoff {
    /// It stays the same.
    Fixed,
    /// By the first pause each time.
    Linear,
    /// It doubles each time.
    #[default]
    Exponential,
}

/// What follows when the server died while a step ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnLost {
    /// It is tried again.
    #[default]
    Retry,
    /// It has failed.
    Fail,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum Action {
    /// Runs a script with the system's shell.
    Shell {
        /// The text as written; it contains no expression.
        script: String,
    },
    /// Computes named values, which become the step's outputs.
    Set {
        /// Values of any JSON shape.
        values: BTreeMap<String, Template>,
    },
    /// Writes one line to the execution's log.
    Log {
        /// The line.
        message: Template,
        /// Its severity.
        level: LogLevel,
    },
}

/// Severity of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogLevel {
    /// Of interest when looking for a fault.
    Debug,
    /// The ordinary course of things.
    #[default]
    Info,
    /// Somebody should look at it some time.
    Warn,
    /// Something went wrong.
    Error,
}

impl Backoff {
    /// The word of the language.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Linear => "linear",
            Self::Exponential => "exponential",
        }
    }
}

impl OnLost {
    /// The word of the language.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Fail => "fail",
        }
    }
}

impl Retry {
    fn to_json(&self) -> Value {
        json!({
            "attempts": self.attempts,
            "backoff": self.backoff.as_str(),
            "delay_ms": milliseconds(self.delay),
            "max_delay_ms": milliseconds(self.max_delay),
            "jitter": self.jitter,
            "max_elapsed_ms": self.max_elapsed.map(milliseconds),
            "on": self.on,
        })
    }
}

impl CatchUp {
    /// The word of the language.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Last => "last",
            Self::All => "all",
        }
    }
}

impl Overlap {
    /// The word of the language.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Skip => "skip",
        }
    }
}

impl LogLevel {
    /// The word of the language.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

impl Action {
    /// The word after `uses`.
    pub fn step_type(&self) -> &'static str {
        match self {
            Self::Shell { .. } => "shell",
            Self::Set { .. } => "set",
            Self::Log { .. } => "log",
        }
    }

    /// Whether it touches nothing outside of the execution, so that running it again is harmless.
    pub fn only_computes(&self) -> bool {
        match self {
            Self::Shell { .. } => false,
            Self::Set { .. } | Self::Log { .. } => true,
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Shell { script } => json!({ "script": script }),
            Self::Set { values } => sources(values),
            Self::Log { message, level } => {
                json!({ "message": message.source(), "level": level.as_str() })
            }
        }
    }
}

impl Workflow {
    /// The compiled form that is stored beside the source text: nodes, edges, triggers, inputs.
    ///
    /// Durations are in milliseconds, expressions stand as they were written.
    pub fn to_json(&self) -> Value {
        let edges: Vec<Value> = self
            .steps
            .iter()
            .flat_map(|step| step.needs.iter().map(|&need| json!({ "from": self.steps[need].id, "to": step.id })))
            .collect();
        json!({
            "language_version": crate::LANGUAGE_VERSION,
            "name": self.name,
            "description": self.description,
            "labels": self.labels,
            "inputs": self.inputs.to_json(),
            "outputs": sources(&self.outputs),
            "triggers": self.triggers.to_json(),
            "env": sources(&self.env),
            "timeout_ms": milliseconds(self.timeout),
            "nodes": self.steps.iter().map(Step::to_json).collect::<Vec<_>>(),
            "edges": edges,
        })
    }
}

impl Triggers {
    fn to_json(&self) -> Value {
        json!({
            "schedules": self.schedules.iter().map(ScheduleTrigger::to_json).collect::<Vec<_>>(),
            "files": self.files.iter().map(FileTrigger::to_json).collect::<Vec<_>>(),
        })
    }
}

impl ScheduleTrigger {
    fn to_json(&self) -> Value {
        json!({
            "key": self.key,
            "cron": self.cron,
            "timezone": self.timezone.name(),
            "catch_up": self.catch_up.as_str(),
            "catch_up_window_ms": self.catch_up_window.map(milliseconds),
            "overlap": self.overlap.as_str(),
            "inputs": self.inputs,
        })
    }
}

impl FileTrigger {
    fn to_json(&self) -> Value {
        json!({
            "key": self.key,
            "path": self.path,
            "include": self.include,
            "ignore": self.ignore,
            "recursive": self.recursive,
            "settle_ms": milliseconds(self.settle),
        })
    }
}

impl Step {
    fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "uses": self.action.step_type(),
            "with": self.action.to_json(),
            "env": sources(&self.env),
            "timeout_ms": milliseconds(self.timeout),
            "if": self.condition.as_ref().map(|condition| condition.expression.source()),
            "retry": self.retry.as_ref().map(Retry::to_json),
            "on_lost": self.on_lost.as_str(),
            "continue_on_error": self.continue_on_error,
        })
    }
}

fn sources(templates: &BTreeMap<String, Template>) -> Value {
    templates.iter().map(|(name, template)| (name.clone(), template.source())).collect::<Map<String, Value>>().into()
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
