//! What the engine needs from outside: a store and step types.

mod error;
mod reads;
mod step;
mod store;

pub use error::StoreError;
pub use reads::Reads;
pub use step::{LogLevel, LogLine, LogSink, LogStream, StepContext, StepRegistry, StepType};
pub use store::{
    CancelAnswer, CancelRequest, Due, DueOutcome, FileVersion, HandledFile, Head, NewNode, NewRow, Record,
    SaveWorkflow, SavedTriggers, ScheduleRecord, ScheduleTick, SkipReason, Start, StartFrom, Started, StepEffect,
    StepRow, Store, StoredExecution, StoredLog, TriggerType, WatchHealth, WatchRecord, WorkflowRecord,
};
