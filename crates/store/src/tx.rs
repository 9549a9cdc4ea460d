//! One write transaction on either database, for units of work that read what they decide on.

mod postgres;
mod row;
mod sqlite;

use async_trait::async_trait;
use cogwheel_engine::ports::StoreError;
use sea_orm::{DbBackend, Statement};

pub(crate) use postgres::PostgresTx;
pub(crate) use row::Row;
pub(crate) use sqlite::SqliteTx;

/// Statements of one transaction. What they wrote counts only if all of them succeeded.
#[async_trait]
pub(crate) trait WriteTx: Send {
    /// The dialect that statements must be built in.
    fn backend(&self) -> DbBackend;

    /// Runs a statement and answers how many rows it changed.
    async fn execute(&mut self, statement: Statement) -> Result<u64, StoreError>;

    /// Runs a query and answers its rows.
    async fn query(&mut self, statement: Statement) -> Result<Vec<Row>, StoreError>;
}
