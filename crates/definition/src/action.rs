//! What a step does.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::workflow::sources;
use crate::{Template, Workflow};

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
    /// Hands rendered values to the step type of this name.
    Call {
        /// The word after `uses`.
        step_type: &'static str,
        /// Its values, a mapping.
        with: Template,
    },
    /// Lets time pass, or waits for somebody.
    Wait(Wait),
    /// Runs another workflow.
    Workflow {
        /// Its name.
        name: Template,
        /// The inputs it is started with.
        inputs: BTreeMap<String, Template>,
        /// Whether this step ends when that workflow has, and as it has; otherwise it ends once it is started.
        wait: bool,
    },
    /// Asks the executions that a `workflow` step started to undo what they did. Only what undoes such a step does this.
    Unwind,
    /// Runs steps in a scope of their own.
    Group {
        /// The index of its block.
        block: usize,
    },
    /// Runs one of several groups.
    Switch {
        /// The value that decides.
        on: Template,
        /// The groups; the first that matches runs.
        cases: Vec<Case>,
        /// The block that runs when none matches; without one, nothing runs and the step has completed.
        default: Option<usize>,
    },
}

/// What a `wait` step waits for.
#[derive(Debug, Clone)]
pub enum Wait {
    /// A duration, as text or as a number of seconds.
    For(Template),
    /// An instant, as RFC 3339.
    Until(Template),
    /// A signal that somebody sends.
    Signal {
        /// The signal's name.
        name: Template,
        /// What tells those with the same name apart; without it, only signals sent to this very execution count.
        correlation: Option<Template>,
    },
    /// An event that somebody records.
    Event(AwaitedEvents),
}

/// The events that end a `wait` step.
#[derive(Debug, Clone)]
pub struct AwaitedEvents {
    /// The types with which it has completed; at least one.
    pub types: Vec<String>,
    /// The types with which it has failed.
    pub failures: Vec<String>,
    /// What the event must be about; without it, anything.
    pub subject: Option<Template>,
    /// The correlation id that the event must carry; without it, that of the execution.
    pub correlation: Option<Template>,
}

/// One group of a `switch`.
#[derive(Debug, Clone)]
pub struct Case {
    /// The values it stands for; one must equal the deciding value, type included.
    pub when: Vec<Template>,
    /// The index of its block.
    pub block: usize,
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

impl LogLevel {
    /// Every level, in rising order.
    pub(crate) const ALL: [Self; 4] = [Self::Debug, Self::Info, Self::Warn, Self::Error];

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
    /// The word after `uses`, or the construct.
    pub fn step_type(&self) -> &'static str {
        match self {
            Self::Shell { .. } => "shell",
            Self::Set { .. } => "set",
            Self::Log { .. } => "log",
            Self::Call { step_type, .. } => step_type,
            Self::Wait(_) => "wait",
            Self::Workflow { .. } => "workflow",
            Self::Unwind => "unwind",
            Self::Group { .. } => "group",
            Self::Switch { .. } => "switch",
        }
    }

    /// Whether a step type runs it; otherwise it is the machine's own affair.
    pub fn is_run(&self) -> bool {
        match self {
            Self::Shell { .. } | Self::Set { .. } | Self::Log { .. } | Self::Call { .. } => true,
            Self::Wait(_) | Self::Workflow { .. } | Self::Unwind | Self::Group { .. } | Self::Switch { .. } => false,
        }
    }

    /// The blocks it encloses.
    pub fn blocks(&self) -> Vec<usize> {
        match self {
            Self::Group { block } => vec![*block],
            Self::Switch { cases, default, .. } => cases.iter().map(|case| case.block).chain(*default).collect(),
            Self::Shell { .. }
            | Self::Set { .. }
            | Self::Log { .. }
            | Self::Call { .. }
            | Self::Wait(_)
            | Self::Workflow { .. }
            | Self::Unwind => Vec::new(),
        }
    }

    pub(crate) fn to_json(&self, workflow: &Workflow) -> Value {
        match self {
            Self::Shell { script } => json!({ "script": script }),
            Self::Set { values } => sources(values),
            Self::Log { message, level } => {
                json!({ "message": message.source(), "level": level.as_str() })
            }
            Self::Call { with, .. } => with.source(),
            Self::Wait(Wait::For(duration)) => json!({ "for": duration.source() }),
            Self::Wait(Wait::Until(instant)) => json!({ "until": instant.source() }),
            Self::Wait(Wait::Signal { name, correlation }) => {
                json!({ "signal": name.source(), "correlation": correlation.as_ref().map(Template::source) })
            }
            Self::Wait(Wait::Event(events)) => json!({
                "event": events.types,
                "failure": events.failures,
                "subject": events.subject.as_ref().map(Template::source),
                "correlation": events.correlation.as_ref().map(Template::source),
            }),
            Self::Workflow { name, inputs, wait } => {
                json!({ "name": name.source(), "inputs": sources(inputs), "wait": wait })
            }
            Self::Unwind => json!({}),
            Self::Group { block } => json!({ "steps": workflow.paths(*block) }),
            Self::Switch { on, cases, default } => json!({
                "on": on.source(),
                "cases": cases
                    .iter()
                    .map(|case| {
                        let when: Vec<Value> = case.when.iter().map(Template::source).collect();
                        json!({ "when": when, "steps": workflow.paths(case.block) })
                    })
                    .collect::<Vec<_>>(),
                "default": default.map(|block| workflow.paths(block)),
            }),
        }
    }
}
