//! The workflow language: from a document to a checked definition.
//!
//! [`parse`] reads the bytes of one workflow file and answers with a [`Workflow`] in which every
//! reference is resolved, or with [`Diagnostics`] that name all problems of the file at once.
//! Nothing here waits, reads a file or looks at a clock.

mod action;
mod diagnostic;
mod duration;
mod expression;
mod files;
mod functions;
mod graph;
mod inputs;
mod jq;
mod keys;
mod names;
mod outside;
mod policy;
mod read;
mod scalar;
mod scan;
pub mod schedule;
mod schema;
mod seen;
mod size;
mod source;
mod suggest;
mod template;
mod tree;
mod triggers;
mod undo;
mod workflow;

pub use action::{Action, AwaitedEvents, Case, LogLevel, Wait};
pub use diagnostic::{Code, Diagnostic, Diagnostics};
pub use duration::parse as parse_duration;
pub use expression::ExpressionError;
pub use files::{
    After, ContentFilter, DoneMarker, FileBatch, FileEvent, FileEvents, FileSource, FileTrigger, Poll,
    parse_media_type, takes_media_type,
};
pub use inputs::{InputField, InputProblem, Inputs};
pub use jq::jq;
pub use outside::{EventPattern, EventTrigger, Method, Signature, WebhookTrigger, is_own_event_type};
pub use policy::{
    Backoff, Concurrency, Condition, Foreach, History, MAX_ITEMS, OnLost, OnUndoFailure, Overflow, Priority, Retry,
    Saga, Until,
};
pub use schedule::{CatchUp, Overlap, ScheduleTrigger};
pub use schema::json_schema;
pub use seen::{Names, SeenStep};
pub use size::parse as parse_size;
pub use template::Template;
pub use triggers::Triggers;
pub use workflow::{Block, MAIN_BLOCK, Step, UNDO, Workflow};

/// The version of the workflow language that this crate reads.
pub const LANGUAGE_VERSION: &str = "1";

/// The largest workflow file that is read, in bytes.
pub const MAX_SOURCE_BYTES: usize = 1024 * 1024;

/// Reads and checks one workflow file.
///
/// `fallback_name` names a workflow whose document has no `name`: the stem of its file.
///
/// # Errors
///
/// All problems of the document, in the order in which they stand in it.
pub fn parse(source: &[u8], fallback_name: &str) -> Result<Workflow, Diagnostics> {
    read::document(source, fallback_name)
}

/// The values of one workflow file as JSON, by the rules of [`parse`] for YAML. What they mean is not looked at: they
/// can be held against [`json_schema`].
///
/// # Errors
///
/// What keeps the document from being read.
pub fn document_values(source: &[u8]) -> Result<serde_json::Value, Diagnostics> {
    read::values(source)
}
