//! Finds the one character that a database cannot store.

use serde_json::Value;

/// Whether any text in `value`, keys included, has the character U+0000, which PostgreSQL refuses in text and JSON.
pub fn contains_nul(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(contains_nul),
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || contains_nul(value)),
    }
}
