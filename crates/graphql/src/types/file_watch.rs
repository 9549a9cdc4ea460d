//! The `FileWatch` type.

use async_graphql::{Context, ID, Object, Result};
use cogwheel_engine::views::{TimeCursor, WatchView};
use serde_json::Value;

use super::Workflow;
use super::connection::Listed;
use super::enums::{FileChangeKind, FileWatchSource, WatchHealth, WatchMode};
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

/// A folder that a workflow watches for files, or the uploads that start it.
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

    /// Where its files come from.
    async fn source(&self) -> Result<FileWatchSource> {
        FileWatchSource::from_word(&self.0.source)
    }

    /// Media types of the files that are taken, by content; empty for any.
    async fn mime_types(&self) -> Vec<&str> {
        self.0.mime_types.as_array().map(Vec::as_slice).unwrap_or_default().iter().filter_map(Value::as_str).collect()
    }

    /// The fewest bytes of a file that is taken.
    async fn min_size(&self) -> Option<i64> {
        self.0.min_size
    }

    /// The most bytes of a file that is taken.
    async fn max_size(&self) -> Option<i64> {
        self.0.max_size
    }

    /// The absolute folder; null for uploads.
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

    /// What must have happened to a file.
    async fn events(&self) -> Result<Vec<FileChangeKind>> {
        let events = self.0.events.as_array().map(Vec::as_slice).unwrap_or_default();
        events.iter().filter_map(Value::as_str).map(FileChangeKind::from_word).collect()
    }

    /// How it was asked to look: `auto`, `events` or `poll`.
    async fn poll(&self) -> &str {
        &self.0.observe_mode
    }

    /// How it looks; null before it has looked for the first time, and while it cannot.
    async fn mode(&self) -> Option<Result<WatchMode>> {
        self.0.active_mode.as_deref().map(WatchMode::from_word)
    }

    /// The type of the file system that the folder lies on, as the kernel calls it.
    async fn filesystem(&self) -> Option<&str> {
        self.0.filesystem.as_deref()
    }

    /// Milliseconds from one regular scan to the next; null where only the rare scan of all folders is made.
    async fn scan_interval_ms(&self) -> Option<i64> {
        self.0.scan_every_ms
    }

    /// The file that says that others are whole.
    async fn done_marker(&self) -> Option<&str> {
        self.0.done_marker.as_deref()
    }

    /// How many files start one execution at most.
    async fn batch_max_files(&self) -> i32 {
        self.0.batch_max_files
    }

    /// Milliseconds that the first file of a batch waits for others.
    async fn batch_max_wait_ms(&self) -> i32 {
        self.0.batch_max_wait_ms
    }

    /// What is done with files whose executions completed: `keep`, `delete`, or the folder that they are moved to.
    async fn after_success(&self) -> &str {
        &self.0.after_success
    }

    /// What is done with files whose executions ended otherwise.
    async fn after_failure(&self) -> &str {
        &self.0.after_failure
    }

    /// How often reports of the kernel were lost, since the watch began; each time the folder was scanned instead.
    async fn overflows(&self) -> i64 {
        self.0.overflows
    }

    /// Whether a limit of the system keeps the kernel from reporting changes, so that scans have to find them.
    async fn limit_reached(&self) -> bool {
        self.0.limit_reached
    }

    /// The last thing that went wrong; it stays when all is well again.
    async fn last_error(&self) -> Option<&str> {
        self.0.last_error.as_deref()
    }

    /// When that was.
    async fn last_error_at(&self) -> Option<Instant> {
        self.0.last_error_at.map(Into::into)
    }

    /// How many names were left alone since the watch began: hidden, unfinished or ignored.
    async fn ignored(&self) -> i64 {
        self.0.ignored
    }

    /// The workflow that it starts.
    async fn workflow(&self, ctx: &Context<'_>) -> Result<Workflow> {
        let workflow = load(ctx, self.0.workflow).await?;
        workflow.map(Workflow::from).ok_or_else(|| internal(&format_args!("watch {} has no workflow", self.0.id)))
    }
}
