//! The `ExecutionLog` type.

use async_graphql::Object;
use cogwheel_engine::views::LogView;

use super::connection::Listed;
use super::enums::{LogLevel, LogStream};
use super::instant::Instant;
use crate::cursor::Cursor;

/// A log line.
pub(crate) struct ExecutionLog(LogView);

impl From<LogView> for ExecutionLog {
    fn from(view: LogView) -> Self {
        Self(view)
    }
}

impl Listed for ExecutionLog {
    fn cursor(&self) -> String {
        self.0.sequence.encode()
    }
}

/// One line of an execution's log.
#[Object]
impl ExecutionLog {
    /// Its place in the execution's log, from 0.
    async fn sequence(&self) -> i64 {
        self.0.sequence
    }

    /// How grave it is.
    async fn level(&self) -> LogLevel {
        self.0.level.into()
    }

    /// Where it came from.
    async fn stream(&self) -> LogStream {
        self.0.stream.into()
    }

    /// The text.
    async fn message(&self) -> &str {
        &self.0.message
    }

    /// The ordinal of the step that it belongs to; null for the execution itself.
    async fn step_ordinal(&self) -> Option<i32> {
        self.0.step_ordinal
    }

    /// The attempt that it belongs to.
    async fn attempt(&self) -> Option<i32> {
        self.0.attempt
    }

    /// When it was written.
    async fn logged_at(&self) -> Instant {
        self.0.logged_at.into()
    }
}
