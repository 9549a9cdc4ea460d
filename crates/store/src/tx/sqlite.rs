//! A write transaction on the writer's connection.

use std::sync::Arc;

use async_trait::async_trait;
use cogwheel_engine::ports::StoreError;
use rusqlite::types::Value as SqliteValue;
use rusqlite::{Connection, params_from_iter};
use sea_orm::{DbBackend, Statement};

use super::{Ask, Row, WriteTx};
use crate::events::{self, Event};
use crate::{fault, values};

/// Statements between the `BEGIN` and the `COMMIT` of whoever made it.
pub(crate) struct SqliteTx<'c> {
    connection: &'c mut Connection,
}

impl<'c> SqliteTx<'c> {
    /// On a connection that is inside a transaction.
    pub(crate) fn on(connection: &'c mut Connection) -> Self {
        Self { connection }
    }
}

#[async_trait]
impl Ask for SqliteTx<'_> {
    fn backend(&self) -> DbBackend {
        DbBackend::Sqlite
    }

    async fn query(&mut self, statement: Statement) -> Result<Vec<Row>, StoreError> {
        let params = bound(&statement)?;
        let run = || -> rusqlite::Result<Vec<Row>> {
            let mut prepared = self.connection.prepare_cached(&statement.sql)?;
            let columns: Arc<[String]> = prepared.column_names().into_iter().map(str::to_owned).collect();
            let rows = prepared.query_map(params_from_iter(params), |row| {
                let values = (0..columns.len()).map(|place| row.get(place)).collect::<rusqlite::Result<_>>()?;
                Ok(Row::Sqlite { columns: Arc::clone(&columns), values })
            })?;
            rows.collect()
        };
        run().map_err(|error| fault::from_sqlite(&error))
    }
}

#[async_trait]
impl WriteTx for SqliteTx<'_> {
    async fn execute(&mut self, statement: Statement) -> Result<u64, StoreError> {
        let params = bound(&statement)?;
        let run = || self.connection.prepare_cached(&statement.sql)?.execute(params_from_iter(params));
        run().map(|changed| changed as u64).map_err(|error| fault::from_sqlite(&error))
    }

    async fn lock_stream(&mut self, _: &str) -> Result<(), StoreError> {
        // Nobody else writes.
        Ok(())
    }

    async fn append(&mut self, events: Vec<Event>) -> Result<usize, StoreError> {
        events::sqlite::append(self.connection, events).map_err(|error| fault::from_sqlite(&error))
    }

    fn asking(&mut self) -> &mut dyn Ask {
        self
    }
}

fn bound(statement: &Statement) -> Result<Vec<SqliteValue>, StoreError> {
    statement.values.iter().flat_map(|values| values.0.iter().cloned()).map(values::to_sqlite).collect()
}
