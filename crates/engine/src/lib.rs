//! Everything that moves: the runner, the triggers, and the ports they need.
//!
//! To follow one execution, start at [`Engine::start`], then `runner::drive`.

mod cancel;
mod catalog;
pub mod clock;
mod cluster;
mod definitions;
mod engine;
pub mod events;
mod feed;
pub mod history;
mod ids;
mod media;
mod outgoing;
mod outputs;
mod pause;
pub mod ports;
mod retry;
mod runner;
mod saga;
mod save;
mod secrets;
mod signal;
mod start;
mod triggers;
pub mod views;

pub use cancel::CancelError;
pub use catalog::{Catalog, LoadedTriggers, LoadedWorkflow};
pub use engine::{Engine, EngineConfig, EngineError, Parts};
pub use feed::{Changed, Feed, Followed, Follower};
pub use ids::{
    DeliveryId, EndpointId, FileId, NodeId, ScheduleId, TenantId, VersionId, WatchId, WebhookId, WorkflowId,
};
pub use outgoing::{
    MadeWebhook, WebhookConfig, WebhookError, WebhookSettings, Webhooks, message_id_of as webhook_message_id,
};
pub use outputs::{OutputError, offloaded_size};
pub use pause::{PauseError, PauseScheduleError};
pub use retry::{RetryError, RetryRequest};
pub use saga::SagaError;
pub use secrets::{DEFAULT_OVERLAP, SecretError, SecretInfo, Secrets, SetSecret, variable as secret_variable};
pub use signal::{SentSignal, SignalError, SignalRequest};
pub use start::{StartCause, StartError, StartRequest, StartedExecution, WorkflowRef};
pub use triggers::{
    BackfillError, BackfillRequest, Backfilled, Call, CallAnswer, CallError, FileProblem, Hook, MAX_FIELD_BYTES,
    ReceivedUpload, Receiving, Reply, UploadError, UploadFields, UploadLimits, Uploaded, WorkflowFile,
};

/// The slug of the tenant that owns what has no other owner.
pub const DEFAULT_TENANT: &str = "default";

pub use cogwheel_definition::schedule;
pub use cogwheel_machine::{CauseKind, SagaStatus, UndoDecision, UndoStatus};
pub use cogwheel_machine::{ExecutionId, ExecutionStatus, Failure, FailureKind, Outcome, RerunError, StepStatus};
