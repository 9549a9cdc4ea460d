//! What the engine needs from outside: a store and step types.

mod blobs;
mod error;
mod events;
mod files;
mod ownership;
mod reads;
mod saga;
mod schedule;
mod secrets;
mod signals;
mod step;
mod store;
mod webhook_reads;
mod webhooks;

#[cfg(test)]
pub(crate) use blobs::MemoryBlobs;
pub use blobs::{BlobError, BlobKey, Blobs, Incoming, OpenBlob};
pub use cogwheel_definition::jq;
pub use error::StoreError;
pub use events::{
    Actor, AppendError, AppendEvents, Appended, Consumer, DeadLetter, EVENT_TRIGGERS, EventFilter, EventLog, EventPage,
    ExpectedVersion, NewEvent, NewSnapshot, Place, RecordedEvent, ReplayEvents, Replayed, StoredSnapshot, Stream,
};
pub use files::{
    AFTER_PAUSES, AfterEnd, AfterPlan, DecisionReason, EndedAfter, FileDecision, FileLedger, FileVersion, HandledFile,
    NewUpload, PendingAfter, RecordedUpload, SeenVersion, TenantUploads, WatchHealth,
};
pub use ownership::{Claim, Claimed, Lease, NewNode, Notice, Swept};
pub use reads::Reads;
pub use saga::{
    SagaInbox, SagaRow, SagaRows, TimeoutKind, TimeoutRow, TimeoutState, UndoAnswer, UndoRequest, UndoRow,
    UnwindAnswer, UnwindAsked, UnwindRequest,
};
pub use schedule::{Due, DueOutcome, PauseSchedule, ScheduleRecord, ScheduleTick, SkipReason};
pub use secrets::{DataKey, DeletedSecret, PutSecret, SecretStore, StoredSecret, Vault, VaultError, WrappedKey};
pub use signals::{
    AskInbox, AwaitedSignal, EndedChild, EventWait, EventWaiters, Inbox, NewSignal, SignalAnswer, TakenSignal,
};
pub use step::{LogLevel, LogLine, LogSink, LogStream, Recorded, StepContext, StepRegistry, StepType, Workplace};
pub use store::{
    ArtifactKind, CancelAnswer, CancelRequest, ConcurrencySlot, CountedCalls, EndpointRecord, Head, NewArtifact,
    NewRow, Parent, PauseWorkflow, Record, Rerun, SaveWorkflow, SavedTriggers, Start, StartFrom, Started, StepEffect,
    StepRow, Store, StoredExecution, StoredLog, TriggerType, WatchFolders, WatchRecord, WorkflowRecord,
};
pub use webhook_reads::{DeliveryFilter, DeliveryView, WebhookReads, WebhookView};
pub use webhooks::{
    Breaker, ChangeWebhook, ClaimedDelivery, DeliveryEnd, DeliveryStatus, DisabledReason, DueDeliveries, EndedTry,
    FinishDelivery, FinishedDelivery, LostDelivery, NewDelivery, NewWebhook, OUTGOING_WEBHOOKS, OutgoingAnswer,
    OutgoingRequest, Redelivery, SealedSecrets, Subscription, SwitchWebhook, TestDelivery, TryRecord, WebhookRow,
    WebhookStore, WebhookTransport,
};
