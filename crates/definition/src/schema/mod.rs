//! The shape of a workflow document as a JSON Schema, for editors.
//!
//! It says which keys there are and what they hold. What needs the whole document, such as references between steps and
//! names in expressions, only [`crate::parse`] checks. Keys and words come from where the reader has them.

mod execution;
mod files;
mod schedules;
mod shapes;
mod steps;
mod values;

use serde_json::{Map, Value, json};

use crate::keys::{self, Keys};

use shapes::Properties;

/// A mapping of the language: its name here, its keys, what they hold, and what goes beyond single keys.
struct Object {
    name: &'static str,
    keys: &'static Keys,
    properties: fn() -> Properties,
    /// Keywords beside the properties: what is required, what goes with what.
    rules: fn() -> Value,
}

const OBJECTS: [Object; 23] = [
    Object {
        name: "workflow",
        keys: &keys::WORKFLOW,
        properties: execution::workflow,
        rules: || json!({ "required": ["steps"] }),
    },
    Object { name: "defaults", keys: &keys::DEFAULTS, properties: execution::defaults, rules: no_rules },
    Object { name: "concurrency", keys: &keys::CONCURRENCY, properties: execution::concurrency, rules: no_rules },
    Object { name: "on", keys: &keys::ON, properties: execution::on, rules: no_rules },
    Object {
        name: "schedule",
        keys: &keys::SCHEDULE,
        properties: schedules::schedule,
        rules: schedules::schedule_rules,
    },
    Object { name: "dst", keys: &keys::DST, properties: schedules::dst, rules: no_rules },
    Object { name: "file", keys: &keys::FILE, properties: files::file, rules: files::file_rules },
    Object { name: "batch", keys: &keys::BATCH, properties: files::batch, rules: no_rules },
    Object { name: "after", keys: &keys::AFTER, properties: files::after, rules: no_rules },
    Object { name: "webhook", keys: &keys::WEBHOOK, properties: execution::webhook, rules: execution::webhook_rules },
    Object {
        name: "event",
        keys: &keys::EVENT,
        properties: execution::event,
        rules: || json!({ "required": ["type"] }),
    },
    Object { name: "step", keys: &keys::STEP, properties: steps::step, rules: steps::step_rules },
    Object {
        name: "compensate",
        keys: &keys::COMPENSATE,
        properties: steps::compensate,
        rules: steps::compensate_rules,
    },
    Object { name: "saga", keys: &keys::SAGA, properties: execution::saga, rules: no_rules },
    Object {
        name: "case",
        keys: &keys::CASE,
        properties: steps::case,
        rules: || json!({ "required": ["when", "steps"] }),
    },
    Object { name: "retry", keys: &keys::RETRY, properties: steps::retry, rules: no_rules },
    Object {
        name: "shell",
        keys: &keys::SHELL,
        properties: values::shell,
        rules: || json!({ "required": ["script"] }),
    },
    Object { name: "log", keys: &keys::LOG, properties: values::log, rules: || json!({ "required": ["message"] }) },
    Object { name: "wait", keys: &keys::WAIT, properties: values::wait, rules: values::wait_rules },
    Object { name: "child", keys: &keys::CHILD, properties: values::child, rules: || json!({ "required": ["name"] }) },
    Object {
        name: "http",
        keys: &keys::CALLS[0].keys,
        properties: values::http,
        rules: || json!({ "required": [keys::CALLS[0].required] }),
    },
    Object {
        name: "transform",
        keys: &keys::CALLS[1].keys,
        properties: values::transform,
        rules: || json!({ "required": [keys::CALLS[1].required] }),
    },
    Object {
        name: "emit",
        keys: &keys::CALLS[2].keys,
        properties: values::emit,
        rules: || json!({ "required": [keys::CALLS[2].required] }),
    },
];

fn no_rules() -> Value {
    json!({})
}

/// The JSON Schema (draft 2020-12) of a workflow document.
pub fn json_schema() -> Value {
    let definitions: Map<String, Value> =
        OBJECTS.iter().map(|object| (object.name.to_owned(), object.to_json())).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A Cogwheel workflow",
        "$ref": "#/$defs/workflow",
        "$defs": definitions,
    })
}

impl Object {
    fn to_json(&self) -> Value {
        let properties: Map<String, Value> =
            (self.properties)().into_iter().map(|(key, shape)| (key.to_owned(), shape)).collect();
        let mut schema = json!({
            "title": self.keys.what.replace('`', ""),
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
        });
        if let (Value::Object(schema), Value::Object(rules)) = (&mut schema, (self.rules)()) {
            schema.extend(rules);
        }
        schema
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{OBJECTS, json_schema};
    use crate::keys::{CALLS, STEP_TYPES};

    #[test]
    fn the_reader_and_the_schema_know_the_same_keys() {
        for object in &OBJECTS {
            let keys: Vec<&str> = (object.properties)().into_iter().map(|(key, _)| key).collect();
            assert_eq!(keys, object.keys.known, "{}", object.name);
        }
        for call in &CALLS {
            assert!(OBJECTS.iter().any(|object| std::ptr::eq(object.keys.known, call.keys.known)), "{}", call.name);
        }
    }

    #[test]
    fn every_key_is_described() {
        for object in &OBJECTS {
            for (key, shape) in (object.properties)() {
                let description = shape["description"].as_str().unwrap_or_default();
                assert!(description.len() > 10, "{}.{key}", object.name);
            }
        }
    }

    #[test]
    fn every_step_type_has_its_values() {
        let schema = json_schema();
        let rules = schema["$defs"]["step"]["allOf"].as_array().expect("rules");
        for step_type in STEP_TYPES {
            assert!(rules.iter().any(|rule| rule["if"]["properties"]["uses"]["const"] == step_type), "{step_type}");
        }
    }

    #[test]
    fn it_is_a_schema() {
        let schema: Value = json_schema();
        assert!(jsonschema::draft202012::meta::is_valid(&schema));
        assert!(crate::inputs::compile(&schema).is_ok());
    }
}
