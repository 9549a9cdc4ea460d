//! What starts executions of a workflow by itself.

use serde_json::{Value, json};

use crate::FileTrigger;
use crate::outside::{EventTrigger, WebhookTrigger};
use crate::schedule::ScheduleTrigger;

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
