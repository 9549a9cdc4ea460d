//! What the engine needs from outside: a store and step types.

mod blobs;
mod error;
mod files;
mod ownership;
mod reads;
mod signals;
mod step;
mod store;

#[cfg(test)]
pub(crate) use blobs::MemoryBlobs;
pub use blobs::{BlobError, BlobKey, Blobs, OpenBlob};
pub use cogwheel_definition::jq;
pub use error::StoreError;
pub use files::{
    AfterPlan, DecisionReason, EndedAfter, FileDecision, FileLedger, FileVersion, HandledFile, PendingAfter,
    SeenVersion, WatchHealth,
};
pub use ownership::{Claim, Claimed, Lease, NewNode, Notice, Swept};
pub use reads::Reads;
pub use signals::{AskInbox, AwaitedSignal, EndedChild, Inbox, NewSignal, SignalAnswer, TakenSignal};
pub use step::{LogLevel, LogLine, LogSink, LogStream, StepContext, StepRegistry, StepType};
pub use store::{
    ArtifactKind, CancelAnswer, CancelRequest, ConcurrencySlot, Due, DueOutcome, Head, NewArtifact, NewEvent, NewRow,
    Parent, PauseWorkflow, Record, Rerun, SaveWorkflow, SavedTriggers, ScheduleRecord, ScheduleTick, SkipReason, Start,
    StartFrom, Started, StepEffect, StepRow, Store, StoredExecution, StoredLog, TriggerType, WatchFolders, WatchRecord,
    WorkflowRecord,
};
