//! One write transaction on either database, for units of work that read what they decide on.

mod postgres;
mod reading;
mod row;
mod sqlite;

use async_trait::async_trait;
use cogwheel_engine::ports::StoreError;
use sea_orm::{DbBackend, Statement, Value};
use uuid::Uuid;

use crate::events::Event;
pub(crate) use postgres::PostgresTx;
pub(crate) use reading::Reading;
pub(crate) use row::Row;
pub(crate) use sqlite::SqliteTx;

/// Where queries go.
#[async_trait]
pub(crate) trait Ask: Send {
    /// The dialect that statements must be built in.
    fn backend(&self) -> DbBackend;

    /// Runs a query and answers its rows.
    async fn query(&mut self, statement: Statement) -> Result<Vec<Row>, StoreError>;
}

/// Statements of one transaction. What they wrote counts only if all of them succeeded.
#[async_trait]
pub(crate) trait WriteTx: Ask {
    /// Runs a statement and answers how many rows it changed.
    async fn execute(&mut self, statement: Statement) -> Result<u64, StoreError>;

    /// Keeps others from appending to a stream of events until the transaction ends.
    async fn lock_stream(&mut self, stream: &str) -> Result<(), StoreError>;

    /// Appends events to the ends of their streams and answers how many were not recorded before.
    async fn append(&mut self, events: Vec<Event>) -> Result<usize, StoreError>;

    /// The same transaction, for queries alone.
    fn asking(&mut self) -> &mut dyn Ask;
}

/// A statement whose parameters are numbered `$1`, `$2` … in order of their first use, as both databases read them.
pub(crate) fn raw(ask: &(impl Ask + ?Sized), sql: &str, values: impl IntoIterator<Item = Value>) -> Statement {
    Statement::from_sql_and_values(ask.backend(), sql, values)
}

/// Any number of ids as one parameter, for [`any_of`].
pub(crate) fn ids(ask: &(impl Ask + ?Sized), ids: impl IntoIterator<Item = Uuid>) -> Value {
    match ask.backend() {
        DbBackend::Sqlite => {
            let ids: Vec<String> = ids.into_iter().map(|id| id.simple().to_string()).collect();
            Value::from(serde_json::json!(ids).to_string())
        }
        _ => Value::from(ids.into_iter().collect::<Vec<Uuid>>()),
    }
}

/// What the parameter `number`, made by [`ids`], holds: `id in {any_of}`.
pub(crate) fn any_of(backend: DbBackend, number: usize) -> String {
    match backend {
        DbBackend::Sqlite => format!("(select unhex(value) from json_each(${number}))"),
        _ => format!("(select unnest(${number}::uuid[]))"),
    }
}

/// What a query ends with whose rows nobody else may take: on SQLite nobody else writes.
pub(crate) fn locked(ask: &(impl Ask + ?Sized), how: &'static str) -> &'static str {
    if ask.backend() == DbBackend::Sqlite { "" } else { how }
}

/// Locks rows and leaves out those that another transaction has locked.
pub(crate) const SKIP_LOCKED: &str = " for update skip locked";

/// Locks rows once whoever has locked them is done.
pub(crate) const FOR_UPDATE: &str = " for update";

/// The same, without keeping others from referring to them.
pub(crate) const FOR_CHANGE: &str = " for no key update";
