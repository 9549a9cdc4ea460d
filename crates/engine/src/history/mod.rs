//! Executions as their events tell them: the state at any event, rebuilt from the newest good snapshot and what came after.
//!
//! What is recorded of a saga goes into its rows and, from the same values, into events. So the events alone bring back the
//! rows, and say how they stood at any moment.

mod fold;
mod rebuild;
mod recorded;
mod snapshot;

pub use fold::{ExecutionState, StepAt, TimeoutAt, TimeoutStatus, UnreadableEvent, UnwindAskedAt};
pub(crate) use rebuild::keep_snapshot;
pub use rebuild::{HistoryError, execution_at};
pub use recorded::{Decided, DecidedFacts, ROW, UnwindAskedFor, WholeFacts};
pub(crate) use recorded::{StepFacts, of_saga, of_timeout, of_undo, told_failure};
pub use snapshot::{SnapshotFault, unpack};
pub(crate) use snapshot::{is_due, pack};
