//! How the events of a stream are chained: each bears a hash of what it says and of the hash before it.
//!
//! This is part of the stored format, for ever: whoever computes it, a migration, the journal or a verifier, computes it
//! here. The text that is hashed is the same whichever database gave the row back.

use std::fmt::Write as _;

use sea_orm::prelude::Uuid;
use serde_json::{Number, Value};
use sha2::{Digest as _, Sha256};

/// An event as it is hashed: everything of its row but its position, which is handed out later.
#[derive(Clone, Copy, Debug)]
pub struct ChainedEvent<'e> {
    /// Its id.
    pub id: Uuid,
    /// Its tenant.
    pub tenant_id: Uuid,
    /// Its stream.
    pub stream_id: &'e str,
    /// Its place in the stream, from 1.
    pub version: i64,
    /// Its type.
    pub event_type: &'e str,
    /// The version of the type's data.
    pub schema_version: i16,
    /// The kind of thing that the stream is about.
    pub aggregate_type: &'e str,
    /// The thing.
    pub aggregate_id: Option<Uuid>,
    /// What ties together what belongs together.
    pub correlation_id: Option<Uuid>,
    /// What brought it about.
    pub causation_id: Option<Uuid>,
    /// When it was recorded, in microseconds since 1970.
    pub created_at: i64,
    /// What it says.
    pub data: &'e Value,
    /// Who recorded it, and why.
    pub metadata: &'e Value,
}

/// The hash of the event that comes after the one with the hash `previous`, as 64 hexadecimal digits. The first event of a
/// stream has an empty text before it.
pub fn event_hash(previous: &str, event: &ChainedEvent<'_>) -> String {
    let mut text = String::with_capacity(512);
    text.push_str(previous);
    text.push('\n');
    canonical_event(event, &mut text);
    Sha256::digest(text.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        for nibble in [byte >> 4, byte & 15] {
            hex.push(char::from(b"0123456789abcdef"[usize::from(nibble)]));
        }
        hex
    })
}

/// One JSON object without white space, its names in order.
fn canonical_event(event: &ChainedEvent<'_>, text: &mut String) {
    text.push('{');
    id("aggregate_id", event.aggregate_id, text);
    string("aggregate_type", event.aggregate_type, text);
    id("causation_id", event.causation_id, text);
    id("correlation_id", event.correlation_id, text);
    // Writing to a string cannot fail.
    let _ = write!(text, "\"created_at\":{},\"data\":", event.created_at);
    canonical(event.data, text);
    text.push(',');
    string("event_type", event.event_type, text);
    id("id", Some(event.id), text);
    text.push_str("\"metadata\":");
    canonical(event.metadata, text);
    let _ = write!(text, ",\"schema_version\":{},", event.schema_version);
    string("stream_id", event.stream_id, text);
    id("tenant_id", Some(event.tenant_id), text);
    let _ = write!(text, "\"version\":{}}}", event.version);
}

fn id(name: &str, id: Option<Uuid>, text: &mut String) {
    let _ = match id {
        Some(id) => write!(text, "\"{name}\":\"{id}\","),
        None => write!(text, "\"{name}\":null,"),
    };
}

fn string(name: &str, value: &str, text: &mut String) {
    let _ = write!(text, "\"{name}\":");
    quoted(value, text);
    text.push(',');
}

/// JSON without white space, names in the order of their bytes, each number in one form.
fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => decimal(number, text),
        Value::String(value) => quoted(value, text),
        Value::Array(items) => {
            text.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                canonical(item, text);
            }
            text.push(']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            text.push('{');
            for (place, (name, value)) in fields.into_iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                quoted(name, text);
                text.push(':');
                canonical(value, text);
            }
            text.push('}');
        }
    }
}

/// A string as JSON writes it: `"`, `\` and control characters escaped, nothing else.
fn quoted(value: &str, text: &mut String) {
    text.push('"');
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            control if control < ' ' => {
                let _ = write!(text, "\\u{:04x}", u32::from(control));
            }
            other => text.push(other),
        }
    }
    text.push('"');
}

/// A number as its significant digits and a power of ten: databases give `1e2`, `100` and `100.0` back as they like.
fn decimal(number: &Number, text: &mut String) {
    let written = number.to_string();
    let (sign, written) = written.strip_prefix('-').map_or(("", written.as_str()), |rest| ("-", rest));
    let (mantissa, exponent) = written.split_once(['e', 'E']).unwrap_or((written, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        text.push('0');
        return;
    }
    let dropped = digits.len() - digits.trim_end_matches('0').len();
    let exponent = exponent.parse::<i64>().unwrap_or(0) + length(dropped) - length(fraction.len());
    let _ = write!(text, "{sign}{significant}");
    if exponent != 0 {
        let _ = write!(text, "e{exponent}");
    }
}

fn length(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text_of(value: &Value) -> String {
        let mut text = String::new();
        canonical(value, &mut text);
        text
    }

    #[test]
    fn names_are_in_order_and_nothing_is_between() {
        let value = json!({ "b": [1, "x\"\\\n\u{1f}ü", null], "a": { "z": true, "B": {} } });
        assert_eq!(text_of(&value), r#"{"a":{"B":{},"z":true},"b":[1,"x\"\\\u000a\u001fü",null]}"#);
    }

    #[test]
    fn a_number_has_one_form() {
        for (written, form) in [
            ("0", "0"),
            ("-0.0", "0"),
            ("1", "1"),
            ("1.0", "1"),
            ("100", "1e2"),
            ("1e2", "1e2"),
            ("-2.50", "-25e-1"),
            ("0.00125", "125e-5"),
            ("1.25e-3", "125e-5"),
            ("18446744073709551615", "18446744073709551615"),
            ("10000000000000000000", "1e19"),
            ("1e19", "1e19"),
            ("1e300", "1e300"),
        ] {
            let number: Value = serde_json::from_str(written).unwrap();
            assert_eq!(text_of(&number), form, "{written}");
        }
    }

    /// PostgreSQL writes numbers out: what is read back of them must be the number that was hashed.
    #[test]
    fn a_number_that_is_written_out_is_the_same_number() {
        for number in [1e300, 1.234_567_890_123_456_7e18, 5e-324, f64::MAX, 0.1 + 0.2, 1e22 + 3e6] {
            let short = text_of(&json!(number));
            let (digits, exponent) = short.split_once('e').unwrap_or((&short, "0"));
            let exponent: i64 = exponent.parse().unwrap();
            let plain = if exponent >= 0 {
                format!("{digits}{}", "0".repeat(usize::try_from(exponent).unwrap()))
            } else {
                let places = usize::try_from(-exponent).unwrap();
                let padded = format!("{digits:0>width$}", width = places + 1);
                format!("{}.{}", &padded[..padded.len() - places], &padded[padded.len() - places..])
            };
            let read: Value = serde_json::from_str(&plain).unwrap();
            assert_eq!(text_of(&read), short, "{plain}");
        }
    }

    #[test]
    fn the_hash_is_what_it_always_was() {
        let (data, metadata) = (json!({ "subject": null, "data": { "total": 12.50 } }), json!({ "depth": 0 }));
        let event = ChainedEvent {
            id: Uuid::from_u128(1),
            tenant_id: Uuid::from_u128(2),
            stream_id: "execution-3",
            version: 1,
            event_type: "custom.paid",
            schema_version: 1,
            aggregate_type: "execution",
            aggregate_id: Some(Uuid::from_u128(3)),
            correlation_id: None,
            causation_id: None,
            created_at: 1_800_000_000_000_000,
            data: &data,
            metadata: &metadata,
        };
        let mut text = String::new();
        canonical_event(&event, &mut text);
        assert_eq!(
            text,
            "{\"aggregate_id\":\"00000000-0000-0000-0000-000000000003\",\"aggregate_type\":\"execution\",\
             \"causation_id\":null,\"correlation_id\":null,\"created_at\":1800000000000000,\
             \"data\":{\"data\":{\"total\":125e-1},\"subject\":null},\"event_type\":\"custom.paid\",\
             \"id\":\"00000000-0000-0000-0000-000000000001\",\"metadata\":{\"depth\":0},\"schema_version\":1,\
             \"stream_id\":\"execution-3\",\"tenant_id\":\"00000000-0000-0000-0000-000000000002\",\"version\":1}"
        );
        let first = event_hash("", &event);
        assert_eq!(first, "eacc923d3c4bac41be5b68746c016647f1547ac6bc5ff6427d2836e5a7e026be");
        let second = event_hash(&first, &ChainedEvent { version: 2, ..event });
        assert_ne!(second, event_hash("", &ChainedEvent { version: 2, ..event }));
    }
}
