//! The events of a store that nobody reads.

/// Makes a store in memory an `EventLog` without events: what executions append goes with their records.
macro_rules! unread_event_log {
    ($store:ty) => {
        const _: () = {
            use async_trait::async_trait;
            use chrono::{DateTime, Utc};
            use cogwheel_engine::ports::{
                AppendError, AppendEvents, Appended, Consumer, DeadLetter, EventLog, EventPage, NewSnapshot, Place,
                RecordedEvent, ReplayEvents, Replayed, StoreError, StoredSnapshot,
            };
            use cogwheel_engine::{ExecutionId, TenantId};
            use uuid::Uuid;

            #[async_trait]
            impl EventLog for $store {
                async fn append_events(&self, _: AppendEvents) -> Result<Appended, AppendError> {
                    unreachable!("nobody appends here but executions")
                }

                async fn stream_events(
                    &self,
                    _: TenantId,
                    _: &str,
                    _: i64,
                    _: usize,
                ) -> Result<Vec<RecordedEvent>, StoreError> {
                    unreachable!("nobody reads streams here")
                }

                async fn snapshot(
                    &self,
                    _: TenantId,
                    _: ExecutionId,
                    _: i64,
                ) -> Result<Option<StoredSnapshot>, StoreError> {
                    unreachable!("nothing is rebuilt here")
                }

                async fn keep_snapshot(&self, _: NewSnapshot) -> Result<(), StoreError> {
                    unreachable!("no states are kept here")
                }

                async fn replay_events(&self, _: ReplayEvents) -> Result<Option<Replayed>, StoreError> {
                    unreachable!("nothing is replayed here")
                }

                async fn event_consumer(&self, _: &str, _: DateTime<Utc>) -> Result<Consumer, StoreError> {
                    Ok(Consumer { id: Uuid::nil(), place: Place::default(), epoch: 0 })
                }

                async fn events_after(&self, _: Place, _: usize) -> Result<EventPage, StoreError> {
                    Ok(EventPage::default())
                }

                async fn move_consumer(&self, _: Consumer, _: DateTime<Utc>) -> Result<bool, StoreError> {
                    Ok(true)
                }

                async fn bury(&self, _: DeadLetter) -> Result<(), StoreError> {
                    Ok(())
                }
            }
        };
    };
}

pub(crate) use unread_event_log;
