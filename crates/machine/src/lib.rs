//! What an execution does next, as a pure function of its state, an input and the time.
//!
//! [`Execution::handle`] is the only door: it takes an [`Input`], records [`Change`]s through one
//! total `apply`, and answers with the [`Effect`]s to perform once the changes are durable. There is
//! no I/O, no clock and no randomness here.

mod change;
mod context;
mod decide;
mod failure;
mod ids;
mod nul;
mod rerun;
mod restore;
mod saga;
mod scope;
mod state;
mod status;
mod work;

pub use change::Change;
pub use decide::{Decision, Effect, Input, Outcome, Rejected, Unwound, UnwoundBy};
pub use failure::{Failure, FailureKind};
pub use ids::ExecutionId;
pub use nul::contains_nul;
pub use rerun::RerunError;
pub use restore::RecordedHead;
pub use saga::{
    Cause, CauseKind, RecordedSaga, Resolution, SagaStatus, SagaView, UndoDecision, UndoStatus, UndoView,
    left_of_record,
};
pub use state::{
    AwaitedEvent, CancelRequested, EVENT_SIGNAL, Execution, Layer, Limits, NewExecution, PastAttempt, PastOutcome,
    SignalName, StepState,
};
pub use status::{ExecutionStatus, StepStatus};
