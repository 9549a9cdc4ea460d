//! The one form in which each kind of value is bound, on both databases.

use chrono::{DateTime, SecondsFormat, SubsecRound, Utc};
use cogwheel_engine::ports::StoreError;
use rusqlite::types::Value as SqliteValue;
use sea_orm::Value;
use serde_json::Value as Json;
use uuid::{NoContext, Timestamp, Uuid};

/// The text of an instant on SQLite: RFC 3339, UTC, at most microseconds, so that text order is time order.
pub(crate) fn instant_text(at: DateTime<Utc>) -> String {
    at.trunc_subsecs(6).to_rfc3339_opts(SecondsFormat::AutoSi, false)
}

/// A new version 7 UUID of the given instant.
pub(crate) fn new_id(at: DateTime<Utc>) -> Uuid {
    let seconds = u64::try_from(at.timestamp()).unwrap_or(0);
    Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, at.timestamp_subsec_nanos()))
}

/// A document as both databases can keep it: PostgreSQL has no place for NUL characters.
pub(crate) fn storable(document: &Json) -> Json {
    match document {
        Json::String(text) => Json::String(storable_text(text)),
        Json::Array(items) => Json::Array(items.iter().map(storable).collect()),
        Json::Object(fields) => {
            Json::Object(fields.iter().map(|(name, value)| (storable_text(name), storable(value))).collect())
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => document.clone(),
    }
}

/// The same document, or none where it says nothing: a JSON null and an absent value are one state.
pub(crate) fn storable_option(document: Option<&Json>) -> Option<Json> {
    document.filter(|document| !document.is_null()).map(storable)
}

/// A text as both databases can keep it; NUL characters become the replacement character.
pub(crate) fn storable_text(text: &str) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text.to_owned() }
}

/// A SeaQuery value as rusqlite binds it: exactly what sqlx would have bound.
pub(crate) fn to_sqlite(value: Value) -> Result<SqliteValue, StoreError> {
    fn or_null<T>(value: Option<T>, convert: impl FnOnce(T) -> SqliteValue) -> SqliteValue {
        value.map_or(SqliteValue::Null, convert)
    }
    Ok(match value {
        Value::Bool(v) => or_null(v, |v| SqliteValue::Integer(i64::from(v))),
        Value::TinyInt(v) => or_null(v, |v| SqliteValue::Integer(i64::from(v))),
        Value::SmallInt(v) => or_null(v, |v| SqliteValue::Integer(i64::from(v))),
        Value::Int(v) => or_null(v, |v| SqliteValue::Integer(i64::from(v))),
        Value::BigInt(v) => or_null(v, SqliteValue::Integer),
        Value::TinyUnsigned(v) => or_null(v, |v| SqliteValue::Integer(i64::from(v))),
        Value::SmallUnsigned(v) => or_null(v, |v| SqliteValue::Integer(i64::from(v))),
        Value::Unsigned(v) => or_null(v, |v| SqliteValue::Integer(i64::from(v))),
        Value::BigUnsigned(Some(v)) => SqliteValue::Integer(
            i64::try_from(v).map_err(|_| StoreError::Bug(format!("{v} does not fit a 64-bit integer column")))?,
        ),
        Value::BigUnsigned(None) => SqliteValue::Null,
        Value::Float(v) => or_null(v, |v| SqliteValue::Real(f64::from(v))),
        Value::Double(v) => or_null(v, SqliteValue::Real),
        Value::String(v) => or_null(v, SqliteValue::Text),
        Value::Char(v) => or_null(v, |v| SqliteValue::Text(v.to_string())),
        Value::Bytes(v) => or_null(v, SqliteValue::Blob),
        Value::Json(v) => or_null(v, |v| SqliteValue::Text(v.to_string())),
        Value::Uuid(v) => or_null(v, |v| SqliteValue::Blob(v.as_bytes().to_vec())),
        Value::ChronoDateTimeUtc(v) => or_null(v, |v| SqliteValue::Text(instant_text(v))),
        other => return Err(StoreError::Bug(format!("no column of this schema takes a value like {other:?}"))),
    })
}
