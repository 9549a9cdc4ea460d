//! What the engine needs from outside: a store and step types.

mod blobs;
mod error;
mod events;
mod files;
mod ownership;
mod reads;
mod schedule;
mod secrets;
mod signals;
mod step;
mod store;
mod webhook_reads;
mod webhooks;

#[cfg(test)]
pub(crate) use blobs::MemoryBlobs;
pub use blobs::{BlobError, BlobKey, Blobs, OpenBlob};
pub use cogwheel_definition::jq;
pub use error::StoreError;
pub use events::{Consumer, DeadLetter, EVENT_TRIGGERS, EventPage, Place, RecordedEvent};
pub use files::{
    AfterPlan, DecisionReason, EndedAfter, FileDecision, FileLedger, FileVersion, HandledFile, PendingAfter,
    SeenVersion, WatchHealth,
};
pub use ownership::{Claim, Claimed, Lease, NewNode, Notice, Swept};
pub use reads::Reads;
pub use schedule::{Due, DueOutcome, PauseSchedule, ScheduleRecord, ScheduleTick, SkipReason};
pub use secrets::{DataKey, DeletedSecret, PutSecret, SecretStore, StoredSecret, Vault, VaultError, WrappedKey};
pub use signals::{AskInbox, AwaitedSignal, EndedChild, Inbox, NewSignal, SignalAnswer, TakenSignal};
pub use step::{LogLevel, LogLine, LogSink, LogStream, StepContext, StepRegistry, StepType};
pub use store::{
    ArtifactKind, CancelAnswer, CancelRequest, ConcurrencySlot, CountedCalls, EndpointRecord, Head, NewArtifact,
    NewEvent, NewRow, Parent, PauseWorkflow, Record, Rerun, SaveWorkflow, SavedTriggers, Start, StartFrom, Started,
    StepEffect, StepRow, Store, StoredExecution, StoredLog, TriggerType, WatchFolders, WatchRecord, WorkflowRecord,
};
pub use webhook_reads::{DeliveryFilter, DeliveryView, WebhookReads, WebhookView};
pub use webhooks::{
    Breaker, ChangeWebhook, ClaimedDelivery, DeliveryEnd, DeliveryStatus, DisabledReason, DueDeliveries, EndedTry,
    FinishDelivery, FinishedDelivery, LostDelivery, NewDelivery, NewWebhook, OUTGOING_WEBHOOKS, OutgoingAnswer,
    OutgoingRequest, Redelivery, SealedSecrets, Subscription, SwitchWebhook, TestDelivery, TryRecord, WebhookRow,
    WebhookStore, WebhookTransport,
};
