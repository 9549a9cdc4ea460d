//! A write transaction of a PostgreSQL connection.

use async_trait::async_trait;
use cogwheel_engine::ports::StoreError;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, Statement};

use super::{Ask, Row, WriteTx};
use crate::events::{self, Event};
use crate::fault;

/// Statements of a transaction that whoever made it commits.
pub(crate) struct PostgresTx<'t>(pub(crate) &'t DatabaseTransaction);

#[async_trait]
impl Ask for PostgresTx<'_> {
    fn backend(&self) -> DbBackend {
        DbBackend::Postgres
    }

    async fn query(&mut self, statement: Statement) -> Result<Vec<Row>, StoreError> {
        let rows = self.0.query_all_raw(statement).await.map_err(|error| fault::from_db(&error))?;
        Ok(rows.into_iter().map(Row::Sqlx).collect())
    }
}

#[async_trait]
impl WriteTx for PostgresTx<'_> {
    async fn execute(&mut self, statement: Statement) -> Result<u64, StoreError> {
        let done = self.0.execute_raw(statement).await.map_err(|error| fault::from_db(&error))?;
        Ok(done.rows_affected())
    }

    async fn lock_stream(&mut self, stream: &str) -> Result<(), StoreError> {
        events::postgres::lock(self.0, std::iter::once(stream)).await.map_err(|error| fault::from_db(&error))
    }

    async fn append(&mut self, events: Vec<Event>) -> Result<usize, StoreError> {
        events::postgres::append(self.0, events).await
    }

    fn asking(&mut self) -> &mut dyn Ask {
        self
    }
}
