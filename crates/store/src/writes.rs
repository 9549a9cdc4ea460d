//! Units of work that are rare enough to decide inside a transaction of their own.

pub(crate) mod append;
pub(crate) mod audit;
pub(crate) mod cancel;
pub(crate) mod endpoints;
pub(crate) mod event_waits;
pub(crate) mod events;
pub(crate) mod files;
pub(crate) mod installer;
mod lifecycle;
pub(crate) mod nodes;
pub(crate) mod pool;
pub(crate) mod replay;
pub(crate) mod restore;
pub(crate) mod sagas;
pub(crate) mod schedules;
pub(crate) mod secrets;
pub(crate) mod signals;
pub(crate) mod snapshots;
pub(crate) mod triggers;
pub(crate) mod uploads;
pub(crate) mod webhooks;
pub(crate) mod workflows;

use cogwheel_engine::ports::StoreError;
use sea_orm::QueryTrait;

use crate::tx::{Row, WriteTx};

/// Runs a statement that was built from entities.
async fn execute<Q: QueryTrait + Send>(tx: &mut dyn WriteTx, query: Q) -> Result<u64, StoreError> {
    let statement = query.build(tx.backend());
    tx.execute(statement).await
}

/// Runs a query that was built from entities.
async fn rows<Q: QueryTrait + Send>(tx: &mut dyn WriteTx, query: Q) -> Result<Vec<Row>, StoreError> {
    let statement = query.build(tx.backend());
    tx.query(statement).await
}
