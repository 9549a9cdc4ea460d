//! Brings given values to the type that their schema declares, where their text says so exactly.

use serde_json::{Number, Value};

/// Converts `value`, and what lies in it, to the declared types. What is no exact literal of its type stays as it is,
/// and is refused by the check that follows.
pub(super) fn coerce(schema: &Value, value: &mut Value) {
    coerce_by(schema, schema, value);
}

fn coerce_by(root: &Value, schema: &Value, value: &mut Value) {
    // A reference never leads back to itself with the same value: such schemas are refused when they are read.
    let target = schema.get("$ref").and_then(Value::as_str).and_then(|target| root.pointer(target.strip_prefix('#')?));
    if let Some(target) = target {
        coerce_by(root, target, value);
    }
    let types: Vec<&str> = match schema.get("type") {
        Some(Value::String(word)) => vec![word],
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !types.iter().any(|word| is_of(word, value))
        && let Some(converted) = types.iter().find_map(|word| converted(word, value))
    {
        *value = converted;
    }
    match value {
        Value::Array(items) => {
            let first = schema.get("prefixItems").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            for (at, item) in items.iter_mut().enumerate() {
                if let Some(schema) = first.get(at).or_else(|| schema.get("items")) {
                    coerce_by(root, schema, item);
                }
            }
        }
        Value::Object(entries) => {
            for (key, entry) in entries {
                let declared = schema.get("properties").and_then(|properties| properties.get(key));
                if let Some(schema) = declared.or_else(|| schema.get("additionalProperties")) {
                    coerce_by(root, schema, entry);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether a value is of a type of JSON Schema.
fn is_of(word: &str, value: &Value) -> bool {
    match word {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => false,
    }
}

fn converted(word: &str, value: &Value) -> Option<Value> {
    match (word, value) {
        ("string", Value::Number(_) | Value::Bool(_)) => Some(value.to_string().into()),
        ("integer" | "number" | "boolean" | "null", Value::String(text)) => literal(text).filter(|it| is_of(word, it)),
        ("array" | "object", Value::String(text)) => serde_json::from_str(text).ok().filter(|it| is_of(word, it)),
        _ => None,
    }
}

/// The value that a text writes as JSON does, without anything around it.
fn literal(text: &str) -> Option<Value> {
    match text {
        "null" => Some(Value::Null),
        "true" => Some(true.into()),
        "false" => Some(false.into()),
        _ if text.trim() == text => serde_json::from_str::<Number>(text).ok().map(Value::Number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::coerce;

    #[test]
    fn converts_exact_literals_only() {
        for (schema, given, expected) in [
            (json!({"type": "integer"}), json!("2"), json!(2)),
            (json!({"type": "integer"}), json!("-7"), json!(-7)),
            (json!({"type": "integer"}), json!("2.5"), json!("2.5")),
            (json!({"type": "integer"}), json!("007"), json!("007")),
            (json!({"type": "integer"}), json!(" 2"), json!(" 2")),
            (json!({"type": "number"}), json!("2.5"), json!(2.5)),
            (json!({"type": "number"}), json!("two"), json!("two")),
            (json!({"type": "boolean"}), json!("true"), json!(true)),
            (json!({"type": "boolean"}), json!("True"), json!("True")),
            (json!({"type": ["integer", "null"]}), json!("null"), json!(null)),
            (json!({"type": ["integer", "string"]}), json!("2"), json!("2")),
            (json!({"type": "string"}), json!(2.5), json!("2.5")),
            (json!({"type": "string"}), json!(true), json!("true")),
            (json!({"type": "string"}), json!(null), json!(null)),
            (json!({"type": "array", "items": {"type": "integer"}}), json!("[1, \"2\"]"), json!([1, 2])),
            (json!({"type": "array"}), json!("{}"), json!("{}")),
            (json!({"type": "object", "properties": {"n": {"type": "number"}}}), json!({"n": "1"}), json!({"n": 1})),
            (json!({}), json!("2"), json!("2")),
        ] {
            let mut value: Value = given.clone();
            coerce(&schema, &mut value);
            assert_eq!(value, expected, "{given} as {schema}");
        }
    }
}
