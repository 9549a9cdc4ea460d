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

/// A `SeaQuery` value as rusqlite binds it: exactly what sqlx would have bound.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
    use serde_json::json;

    use super::*;

    /// An instant of the years 0 to 9999, on any nanosecond; a third of them on a whole millisecond or second.
    fn instant(seconds: i64, nanos: u32, cut: u8) -> DateTime<Utc> {
        let seconds = seconds.rem_euclid(315_537_897_600) - 62_135_596_800;
        let nanos = match cut % 6 {
            0 => 0,
            1 => nanos / 1_000_000 * 1_000_000,
            _ => nanos,
        };
        DateTime::from_timestamp(seconds, nanos % 1_000_000_000).expect("in range")
    }

    proptest! {
        #[test]
        fn text_order_is_time_order(
            seconds in any::<i64>(), apart in 0..3_i64, nanos in any::<[u32; 2]>(), cut in any::<[u8; 2]>(),
        ) {
            let first = instant(seconds, nanos[0], cut[0]);
            let second = instant(seconds.wrapping_add(apart), nanos[1], cut[1]);
            let (one, other) = (instant_text(first), instant_text(second));
            prop_assert_eq!(first.timestamp_micros().cmp(&second.timestamp_micros()), one.cmp(&other));
            let read = DateTime::parse_from_rfc3339(&one).expect("RFC 3339");
            prop_assert_eq!(read.timestamp_micros(), first.timestamp_micros());
            prop_assert!(one.ends_with("+00:00"));
        }
    }

    #[test]
    fn what_no_database_keeps_is_replaced() {
        let document = json!({ "a\0": ["x\0y", 1, null, true] });
        assert_eq!(storable(&document), json!({ "a\u{fffd}": ["x\u{fffd}y", 1, null, true] }));
        assert_eq!(storable_option(Some(&Json::Null)), None);
    }

    #[test]
    fn an_id_is_of_its_instant() {
        let at = instant(64_000_000_000, 5_000_000, 2);
        let (seconds, nanos) = new_id(at).get_timestamp().expect("version 7").to_unix();
        assert_eq!((i64::try_from(seconds).expect("positive"), nanos / 1_000_000), (at.timestamp(), 5));
    }
}
