//! The port of the event store.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cogwheel_engine::TenantId;
use cogwheel_engine::ports::{
    AppendError, AppendEvents, Appended, Consumer, DeadLetter, EventLog, EventPage, NewSnapshot, Place, RecordedEvent,
    ReplayEvents, Replayed, StoreError, StoredSnapshot,
};
use cogwheel_machine::ExecutionId;

use super::SqlStore;
use crate::events::read;
use crate::tx::Reading;
use crate::writes::{append, events, replay, snapshots};

#[async_trait]
impl EventLog for SqlStore {
    async fn append_events(&self, append: AppendEvents) -> Result<Appended, AppendError> {
        self.journal().write(Box::new(move |tx| Box::pin(append::append(tx, append)))).await?
    }

    async fn stream_events(
        &self,
        tenant: TenantId,
        stream: &str,
        after_version: i64,
        most: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        read::stream(&mut Reading(self.engine()), tenant, stream, after_version, most).await
    }

    async fn snapshot(
        &self,
        tenant: TenantId,
        execution: ExecutionId,
        up_to: i64,
    ) -> Result<Option<StoredSnapshot>, StoreError> {
        snapshots::newest(&mut Reading(self.engine()), tenant, execution, up_to).await
    }

    async fn keep_snapshot(&self, snapshot: NewSnapshot) -> Result<(), StoreError> {
        self.journal().write(Box::new(move |tx| Box::pin(snapshots::keep(tx, snapshot)))).await
    }

    async fn event_consumer(&self, name: &str, at: DateTime<Utc>) -> Result<Consumer, StoreError> {
        if let Some(known) = events::find(&mut Reading(self.engine()), name).await? {
            return Ok(known);
        }
        let name = name.to_owned();
        self.journal().write(Box::new(move |tx| Box::pin(async move { events::begin(tx, &name, at).await }))).await
    }

    async fn events_after(&self, place: Place, most: usize) -> Result<EventPage, StoreError> {
        read::after(&mut Reading(self.engine()), place, most).await
    }

    async fn move_consumer(&self, consumer: Consumer, at: DateTime<Utc>) -> Result<bool, StoreError> {
        self.journal().write(Box::new(move |tx| Box::pin(events::advance(tx, consumer, at)))).await
    }

    async fn bury(&self, letter: DeadLetter) -> Result<(), StoreError> {
        self.journal().write(Box::new(move |tx| Box::pin(events::bury(tx, letter)))).await
    }

    async fn replay_events(&self, replay: ReplayEvents) -> Result<Option<Replayed>, StoreError> {
        self.journal().write(Box::new(move |tx| Box::pin(replay::replay(tx, replay)))).await
    }
}
