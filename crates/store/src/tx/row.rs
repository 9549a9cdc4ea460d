//! A row that was read inside a write transaction.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use cogwheel_engine::ports::StoreError;
use rusqlite::types::Value as SqliteValue;
use sea_orm::{QueryResult, TryGetable};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::fault;

/// One row, whichever driver read it.
pub(crate) enum Row {
    /// Read by rusqlite.
    Sqlite {
        /// The names of the columns, shared by all rows of the answer.
        columns: Arc<[String]>,
        /// Their values.
        values: Vec<SqliteValue>,
    },
    /// Read by sqlx.
    Sqlx(QueryResult),
}

impl Row {
    /// The value of a column.
    pub(crate) fn get<T: Cell>(&self, column: &str) -> Result<T, StoreError> {
        match self {
            Self::Sqlx(row) => row.try_get("", column).map_err(|error| fault::from_db(&error)),
            Self::Sqlite { columns, values } => columns
                .iter()
                .position(|name| name == column)
                .and_then(|place| T::from_sqlite(&values[place]))
                .ok_or_else(|| StoreError::Bug(format!("column `{column}` is missing or holds another kind of value"))),
        }
    }
}

/// A kind of value that a column can hold.
pub(crate) trait Cell: TryGetable {
    /// Understands what rusqlite read.
    fn from_sqlite(value: &SqliteValue) -> Option<Self>;
}

impl<T: Cell> Cell for Option<T> {
    fn from_sqlite(value: &SqliteValue) -> Option<Self> {
        match value {
            SqliteValue::Null => Some(None),
            value => T::from_sqlite(value).map(Some),
        }
    }
}

impl Cell for i64 {
    fn from_sqlite(value: &SqliteValue) -> Option<Self> {
        if let SqliteValue::Integer(value) = value { Some(*value) } else { None }
    }
}

impl Cell for i32 {
    fn from_sqlite(value: &SqliteValue) -> Option<Self> {
        i64::from_sqlite(value)?.try_into().ok()
    }
}

impl Cell for i16 {
    fn from_sqlite(value: &SqliteValue) -> Option<Self> {
        i64::from_sqlite(value)?.try_into().ok()
    }
}

impl Cell for bool {
    fn from_sqlite(value: &SqliteValue) -> Option<Self> {
        i64::from_sqlite(value).map(|value| value != 0)
    }
}

impl Cell for String {
    fn from_sqlite(value: &SqliteValue) -> Option<Self> {
        if let SqliteValue::Text(value) = value { Some(value.clone()) } else { None }
    }
}

impl Cell for Vec<u8> {
    fn from_sqlite(value: &SqliteValue) -> Option<Self> {
        if let SqliteValue::Blob(bytes) = value { Some(bytes.clone()) } else { None }
    }
}

impl Cell for Uuid {
    fn from_sqlite(value: &SqliteValue) -> Option<Self> {
        if let SqliteValue::Blob(bytes) = value { Self::from_slice(bytes).ok() } else { None }
    }
}

impl Cell for DateTime<Utc> {
    fn from_sqlite(value: &SqliteValue) -> Option<Self> {
        let text = String::from_sqlite(value)?;
        DateTime::parse_from_rfc3339(&text).ok().map(|at| at.to_utc())
    }
}

impl Cell for Json {
    fn from_sqlite(value: &SqliteValue) -> Option<Self> {
        serde_json::from_str(&String::from_sqlite(value)?).ok()
    }
}
