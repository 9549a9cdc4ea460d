//! Tells as events what became of definitions, in the transaction in which it did.

use chrono::{DateTime, Utc};
use cogwheel_engine::events::EventType;
use cogwheel_engine::ports::{Actor, NewEvent, StoreError, Stream};
use cogwheel_engine::{TenantId, WorkflowId};
use serde_json::{Value as Json, json};

use crate::events::Event;
use crate::tx::WriteTx;
use crate::values::new_id;

/// A workflow whose definition changed.
pub(super) struct ChangedWorkflow<'w> {
    pub(super) tenant: TenantId,
    pub(super) id: WorkflowId,
    pub(super) name: &'w str,
    pub(super) actor: Actor,
    pub(super) at: DateTime<Utc>,
}

impl ChangedWorkflow<'_> {
    /// Appends what became of it, in order; each with what its data holds beside name and id.
    pub(super) async fn tell(
        &self,
        tx: &mut dyn WriteTx,
        changes: impl IntoIterator<Item = (EventType, Json)> + Send,
    ) -> Result<(), StoreError> {
        let stream = Stream::workflow(self.id);
        let events = changes.into_iter().map(|(event_type, more)| {
            let mut data = json!({ "workflow": self.name, "workflow_id": self.id.0.to_string() });
            if let (Json::Object(data), Json::Object(more)) = (&mut data, more) {
                data.extend(more);
            }
            let event = NewEvent {
                id: new_id(self.at),
                event_type,
                data: json!({ "subject": self.name, "data": data }),
                actor: self.actor,
                depth: 0,
                correlation_id: None,
                causation_id: None,
            };
            Event::new(self.tenant, &stream, &event, self.at)
        });
        let events = events.collect();
        tx.append(events).await.map(drop)
    }
}
