//! The values an execution may be started with, and whether given ones fit.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::suggest;

/// The declared inputs of a workflow, in the order of the document.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// The declarations.
    pub fields: Vec<InputField>,
}

/// One declared input: a JSON Schema property.
#[derive(Debug, Clone, Default)]
pub struct InputField {
    /// Its name.
    pub name: String,
    /// The type of its values; any, where the document does not say.
    pub input_type: Option<InputType>,
    /// A title for people.
    pub title: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The values it is limited to.
    pub allowed: Option<Vec<Value>>,
    /// The value it has when none is given. Without a default, a value must be given.
    pub default: Option<Value>,
    /// The least number.
    pub minimum: Option<f64>,
    /// The greatest number.
    pub maximum: Option<f64>,
    /// The least number of characters of a text, or items of a list.
    pub min_length: Option<u64>,
    /// The greatest number of characters of a text, or items of a list.
    pub max_length: Option<u64>,
}

/// The JSON types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputType {
    /// Text.
    String,
    /// A number without decimals.
    Integer,
    /// Any number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A list.
    Array,
    /// A mapping.
    Object,
}

/// Why a given value is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputProblem {
    /// Where in the given inputs, from the outside.
    pub path: Vec<String>,
    /// What is wrong, for whoever gave it.
    pub message: String,
}

impl fmt::Display for InputProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl InputType {
    /// Every type.
    pub(crate) const ALL: [Self; 6] =
        [Self::String, Self::Integer, Self::Number, Self::Boolean, Self::Array, Self::Object];

    /// The word of JSON Schema.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Array => "array",
            Self::Object => "object",
        }
    }

    fn takes(self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Integer => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::Array => value.is_array(),
            Self::Object => value.is_object(),
        }
    }
}

impl InputField {
    /// Whether a value must be given.
    pub fn is_required(&self) -> bool {
        self.default.is_none()
    }

    /// Whether it takes `value`.
    ///
    /// # Errors
    ///
    /// What is wrong with the value.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        let name = &self.name;
        if let Some(expected) = self.input_type
            && !expected.takes(value)
        {
            return Err(format!("`{name}` must be of type {}, not {value}", expected.as_str()));
        }
        if let Some(allowed) = &self.allowed
            && !allowed.contains(value)
        {
            let list: Vec<String> = allowed.iter().map(Value::to_string).collect();
            return Err(format!("`{name}` must be one of {}, not {value}", list.join(", ")));
        }
        if let Some(number) = value.as_f64() {
            if let Some(minimum) = self.minimum.filter(|&minimum| number < minimum) {
                return Err(format!("`{name}` must be at least {minimum}, not {value}"));
            }
            if let Some(maximum) = self.maximum.filter(|&maximum| number > maximum) {
                return Err(format!("`{name}` must be at most {maximum}, not {value}"));
            }
        }
        let (length, unit) = match value {
            Value::String(text) => (text.chars().count() as u64, "characters"),
            Value::Array(items) => (items.len() as u64, "items"),
            _ => return Ok(()),
        };
        if let Some(least) = self.min_length.filter(|&least| length < least) {
            return Err(format!("`{name}` must have at least {least} {unit}, not {length}"));
        }
        if let Some(most) = self.max_length.filter(|&most| length > most) {
            return Err(format!("`{name}` must have at most {most} {unit}, not {length}"));
        }
        Ok(())
    }

    fn to_json(&self) -> Value {
        let mut schema = Map::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                schema.insert(key.to_owned(), value);
            }
        };
        let (min_length, max_length) = match self.input_type {
            Some(InputType::Array) => ("minItems", "maxItems"),
            _ => ("minLength", "maxLength"),
        };
        put("type", self.input_type.map(|t| t.as_str().into()));
        put("title", self.title.clone().map(Value::from));
        put("description", self.description.clone().map(Value::from));
        put("enum", self.allowed.clone().map(Value::from));
        put("default", self.default.clone());
        put("minimum", self.minimum.map(Value::from));
        put("maximum", self.maximum.map(Value::from));
        put(min_length, self.min_length.map(Value::from));
        put(max_length, self.max_length.map(Value::from));
        schema.into()
    }
}

impl Inputs {
    /// The declaration of `name`.
    pub fn get(&self, name: &str) -> Option<&InputField> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The inputs of an execution that is started with `given`: checked, and with defaults filled in.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with `given`.
    pub fn check(&self, mut given: Map<String, Value>) -> Result<Map<String, Value>, Vec<InputProblem>> {
        let mut problems: Vec<InputProblem> =
            given.keys().filter(|name| self.get(name).is_none()).map(|name| self.unknown(name)).collect();
        for field in &self.fields {
            let outcome = match (given.get(&field.name), &field.default) {
                (Some(value), _) => field.check(value),
                (None, Some(default)) => {
                    given.insert(field.name.clone(), default.clone());
                    Ok(())
                }
                (None, None) => Err(format!("`{}` must be given", field.name)),
            };
            if let Err(message) = outcome {
                problems.push(InputProblem { path: vec![field.name.clone()], message });
            }
        }
        if problems.is_empty() { Ok(given) } else { Err(problems) }
    }

    fn unknown(&self, name: &str) -> InputProblem {
        let names = self.fields.iter().map(|field| field.name.as_str());
        let hint = match suggest::did_you_mean(name, names.clone()) {
            Some(hint) => format!("; {hint}"),
            None if self.fields.is_empty() => "; the workflow takes no inputs".to_owned(),
            None => format!("; the workflow takes {}", names.collect::<Vec<_>>().join(", ")),
        };
        InputProblem { path: vec![name.to_owned()], message: format!("there is no input `{name}`{hint}") }
    }

    /// The inputs as one JSON Schema.
    pub fn to_json(&self) -> Value {
        let properties: Map<String, Value> =
            self.fields.iter().map(|field| (field.name.clone(), field.to_json())).collect();
        let required: Vec<&str> =
            self.fields.iter().filter(|field| field.is_required()).map(|field| field.name.as_str()).collect();
        json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{InputField, InputType, Inputs};

    fn inputs() -> Inputs {
        let region = InputField {
            name: "region".into(),
            input_type: Some(InputType::String),
            allowed: Some(vec![json!("eu"), json!("us")]),
            default: Some(json!("eu")),
            ..InputField::default()
        };
        let count = InputField {
            name: "count".into(),
            input_type: Some(InputType::Integer),
            minimum: Some(1.0),
            ..InputField::default()
        };
        Inputs { fields: vec![region, count] }
    }

    fn check(given: Value) -> Result<Value, Vec<String>> {
        let Value::Object(given) = given else { panic!("not a mapping") };
        let checked = inputs().check(given).map(Value::Object);
        checked.map_err(|problems| problems.into_iter().map(|problem| problem.message).collect())
    }

    #[test]
    fn fills_in_defaults() {
        assert_eq!(check(json!({"count": 2})), Ok(json!({"count": 2, "region": "eu"})));
    }

    #[test]
    fn names_every_problem() {
        let problems = check(json!({"regoin": "eu", "region": "asia"})).unwrap_err();
        assert_eq!(
            problems,
            [
                "there is no input `regoin`; did you mean `region`?",
                "`region` must be one of \"eu\", \"us\", not \"asia\"",
                "`count` must be given",
            ]
        );
        assert_eq!(check(json!({"count": 0})).unwrap_err(), ["`count` must be at least 1, not 0"]);
        assert_eq!(check(json!({"count": "2"})).unwrap_err(), ["`count` must be of type integer, not \"2\""]);
        assert_eq!(check(json!({"count": null})).unwrap_err(), ["`count` must be of type integer, not null"]);
    }
}
