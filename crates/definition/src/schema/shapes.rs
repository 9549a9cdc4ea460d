//! The kinds of values that many keys hold.

use serde_json::{Value, json};

/// The keys of a mapping with what they hold, in the order of the reader.
pub(super) type Properties = Vec<(&'static str, Value)>;

/// `shape`, with what it is for.
pub(super) fn about(description: &str, mut shape: Value) -> Value {
    shape["description"] = description.into();
    shape
}

/// A mapping or a list that has its own definition.
pub(super) fn named(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

pub(super) fn text() -> Value {
    json!({ "type": "string", "minLength": 1 })
}

pub(super) fn truth() -> Value {
    json!({ "type": "boolean" })
}

/// A name for people.
pub(super) fn title() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": 100 })
}

pub(super) fn id() -> Value {
    json!({ "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_-]*$", "maxLength": 100 })
}

/// A duration; zero needs no unit.
pub(super) fn duration() -> Value {
    json!({
        "anyOf": [
            { "type": "string", "pattern": r"^\s*(0|([0-9]+(\.[0-9]+)?(d|h|ms|m|s))+|P([0-9]+(\.[0-9]+)?[WD])*(T([0-9]+(\.[0-9]+)?[HMS])+)?)\s*$" },
            { "const": 0 },
        ],
        "examples": ["250ms", "30s", "5m", "1h30m", "2d", "PT5M"],
    })
}

/// Whole numbers of a range.
pub(super) fn whole(least: u64, most: u64) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": most })
}

/// One of the words of the language.
pub(super) fn word<'w>(words: impl IntoIterator<Item = &'w str>) -> Value {
    let words: Vec<&str> = words.into_iter().collect();
    json!({ "enum": words })
}

/// One text or a list of them.
pub(super) fn texts() -> Value {
    json!({ "anyOf": [text(), { "type": "array", "items": text() }] })
}

/// One of `shape` or a list of them.
pub(super) fn one_or_more(shape: &Value) -> Value {
    json!({ "anyOf": [shape, { "type": "array", "items": shape }] })
}

/// One expression, with or without its `${{ }}`.
pub(super) fn expression() -> Value {
    json!({ "type": "string", "minLength": 1 })
}

/// A value of any shape whose texts may contain expressions.
pub(super) fn any() -> Value {
    json!({})
}

/// `shape`, or an expression that gives one.
pub(super) fn or_expression(shape: &Value) -> Value {
    json!({ "anyOf": [shape, { "type": "string", "pattern": r"\$\{\{" }] })
}

/// A mapping from names to values of any shape.
pub(super) fn values() -> Value {
    json!({ "type": "object", "propertyNames": id() })
}

/// Environment variables.
pub(super) fn env() -> Value {
    json!({
        "type": "object",
        "propertyNames": { "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" },
        "additionalProperties": { "type": ["string", "number", "boolean"] },
    })
}

/// Values that are declared by JSON Schemas.
pub(super) fn declarations() -> Value {
    json!({
        "type": "object",
        "propertyNames": id(),
        "additionalProperties": {
            "type": "object",
            "$ref": "https://json-schema.org/draft/2020-12/schema",
        },
    })
}

pub(super) fn steps() -> Value {
    json!({ "type": "array", "minItems": 1, "items": named("step") })
}
