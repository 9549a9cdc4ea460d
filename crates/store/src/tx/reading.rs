//! Queries of a connection, each for itself.

use async_trait::async_trait;
use cogwheel_engine::ports::StoreError;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use super::{Ask, Row};
use crate::fault;

/// A connection that is only read from.
pub(crate) struct Reading<'c>(pub(crate) &'c DatabaseConnection);

#[async_trait]
impl Ask for Reading<'_> {
    fn backend(&self) -> DbBackend {
        self.0.get_database_backend()
    }

    async fn query(&mut self, statement: Statement) -> Result<Vec<Row>, StoreError> {
        let rows = self.0.query_all_raw(statement).await.map_err(|error| fault::from_db(&error))?;
        Ok(rows.into_iter().map(Row::Sqlx).collect())
    }
}
