//! The `FileWatch` type.

use async_graphql::{Context, ID, Object, Result};
use cogwheel_engine::views::{TimeCursor, WatchView};
use serde_json::Value;

use super::Workflow;
use super::connection::Listed;
use super::enums::WatchHealth;
use super::instant::Instant;
use crate::cursor::Cursor;
use crate::errors::internal;
use crate::ids::GlobalId;
use crate::loaders::load;

/// A file trigger of a workflow.
pub(crate) struct FileWatch(WatchView);

impl From<WatchView> for FileWatch {
    fn from(view: WatchView) -> Self {
        Self(view)
    }
}

impl Listed for FileWatch {
    fn cursor(&self) -> String {
        TimeCursor { at: self.0.created_at, id: self.0.id.0 }.encode()
    }
}

/// A folder that a workflow watches for files.
#[Object]
impl FileWatch {
    /// Its global id.
    pub(crate) async fn id(&self) -> ID {
        GlobalId::FileWatch(self.0.id).encode()
    }

    /// Its key in the workflow.
    async fn trigger_key(&self) -> &str {
        &self.0.trigger_key
    }

    /// The absolute folder.
    async fn location(&self) -> Option<&str> {
        self.0.location.as_deref()
    }

    /// Patterns that take a file in.
    async fn include(&self) -> &Value {
        &self.0.include
    }

    /// Patterns that leave one out.
    async fn exclude(&self) -> &Value {
        &self.0.exclude
    }

    /// Whether sub-folders count.
    async fn is_recursive(&self) -> bool {
        self.0.is_recursive
    }

    /// Milliseconds that a file must be quiet.
    async fn settle_ms(&self) -> i32 {
        self.0.settle_ms
    }

    /// Whether it looks.
    async fn is_enabled(&self) -> bool {
        self.0.is_enabled
    }

    /// How it is doing.
    async fn health(&self) -> Result<WatchHealth> {
        WatchHealth::from_word(&self.0.health)
    }

    /// What is wrong with it, for people.
    async fn problem(&self) -> Option<&str> {
        self.0.problem.as_deref()
    }

    /// When it last looked at the whole folder.
    async fn last_scan_at(&self) -> Option<Instant> {
        self.0.last_scan_at.map(Into::into)
    }

    /// The workflow that it starts.
    async fn workflow(&self, ctx: &Context<'_>) -> Result<Workflow> {
        let workflow = load(ctx, self.0.workflow).await?;
        workflow.map(Workflow::from).ok_or_else(|| internal(&format_args!("watch {} has no workflow", self.0.id)))
    }
}
