//! What starts executions of a workflow by itself.

use std::time::Duration;

use serde_json::{Value, json};

use crate::outside::{EventTrigger, WebhookTrigger};
use crate::schedule::ScheduleTrigger;
use crate::workflow::milliseconds;

/// What starts executions of a workflow.
#[derive(Debug, Clone, Default)]
pub struct Triggers {
    /// Times at which it starts.
    pub schedules: Vec<ScheduleTrigger>,
    /// Folders whose files start it.
    pub files: Vec<FileTrigger>,
    /// Addresses whose calls start it.
    pub webhooks: Vec<WebhookTrigger>,
    /// Events that start it.
    pub events: Vec<EventTrigger>,
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

impl Triggers {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "schedules": self.schedules.iter().map(ScheduleTrigger::to_json).collect::<Vec<_>>(),
            "files": self.files.iter().map(FileTrigger::to_json).collect::<Vec<_>>(),
            "webhooks": self.webhooks.iter().map(WebhookTrigger::to_json).collect::<Vec<_>>(),
            "events": self.events.iter().map(EventTrigger::to_json).collect::<Vec<_>>(),
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
