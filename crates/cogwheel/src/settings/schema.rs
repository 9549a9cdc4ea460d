//! The JSON Schema of `config.toml`.

use serde_json::{Map, Value, json};

use super::table::{Kind, SETTINGS, Setting};

/// The schema as a JSON document, draft 2020-12.
pub(crate) fn json_schema() -> Value {
    let mut properties = Map::new();
    for setting in SETTINGS {
        match setting.key.split_once('.') {
            None => {
                properties.insert(setting.key.to_owned(), property(setting));
            }
            Some((section, name)) => {
                let section = properties
                    .entry(section)
                    .or_insert_with(|| json!({ "type": "object", "additionalProperties": false, "properties": {} }));
                section["properties"][name] = property(setting);
            }
        }
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Cogwheel's config.toml",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    })
}

fn property(setting: &Setting) -> Value {
    let mut property = match setting.kind {
        Kind::Path | Kind::Address | Kind::Url | Kind::WebUrl | Kind::Cron | Kind::Filter => {
            json!({ "type": "string" })
        }
        Kind::Paths | Kind::MediaTypes | Kind::Networks => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::Duration => json!({ "type": "string", "pattern": "^([0-9]+(ms|s|m|h|d))+$|^P" }),
        Kind::Size => json!({ "type": ["string", "integer"], "pattern": "^[0-9]+(B|KiB|MiB|GiB)?$" }),
        Kind::Count(most) => json!({ "type": "integer", "minimum": 1, "maximum": most }),
        Kind::Switch => json!({ "type": "boolean" }),
        Kind::Word(words) => json!({ "type": "string", "enum": words }),
    };
    property["description"] = json!(setting.about);
    property["x-environment"] = json!(setting.variable());
    property["x-flag"] = json!(format!("--{}", setting.flag()));
    // A default is TOML of the kinds that JSON writes the same way.
    if let Ok(default) = serde_json::from_str::<Value>(setting.default) {
        property["default"] = default;
    }
    property
}
