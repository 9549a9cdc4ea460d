//! Ids of what the engine handles, so that they cannot be mixed.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

ids! {
    /// A tenant: the unit of isolation.
    TenantId,
    /// A workflow.
    WorkflowId,
    /// One saved version of a workflow.
    VersionId,
    /// One run of the server process.
    NodeId,
    /// One time trigger of a workflow.
    ScheduleId,
    /// One file trigger of a workflow.
    WatchId,
    /// One version of a file, as the ledger knows it.
    FileId,
    /// One address at which calls come in.
    EndpointId,
    /// One outgoing webhook.
    WebhookId,
    /// One event to one outgoing webhook.
    DeliveryId,
}
