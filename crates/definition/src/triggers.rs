//! What starts executions of a workflow by itself.

use std::time::Duration;

use chrono_tz::Tz;
use serde_json::{Map, Value, json};

use crate::FileTrigger;
use crate::workflow::milliseconds;

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
    /// The inputs of the executions it starts; checked against [`crate::Workflow::inputs`].
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

impl CatchUp {
    /// Every word.
    pub(crate) const ALL: [Self; 3] = [Self::None, Self::Last, Self::All];

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
    /// Every word.
    pub(crate) const ALL: [Self; 2] = [Self::Allow, Self::Skip];

    /// The word of the language.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Skip => "skip",
        }
    }
}

impl Triggers {
    pub(crate) fn to_json(&self) -> Value {
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
