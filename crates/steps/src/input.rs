//! Reads the input of a step whose `with` may hold anything.

use cogwheel_engine::{Failure, FailureKind};
use serde_json::{Map, Value};

/// The input's fields, each of which the step type knows.
pub(crate) struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    /// The fields of `input`, unless one is not among `known`.
    pub(crate) fn of(input: &'a Value, known: &[&str]) -> Result<Self, Failure> {
        let Value::Object(fields) = input else {
            return Err(malformed("the input is no map of names to values"));
        };
        match fields.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(Self(fields)),
            Some(name) => Err(malformed(format!("`{name}` is unknown; known are {}", listed(known)))),
        }
    }

    /// The field as it is; one that is null is there.
    pub(crate) fn value(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name)
    }

    /// The field where it is there and not null.
    pub(crate) fn given(&self, name: &str) -> Option<&'a Value> {
        self.value(name).filter(|value| !value.is_null())
    }

    /// A field that can only be text.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&'a str>, Failure> {
        self.given(name)
            .map(|value| {
                value.as_str().ok_or_else(|| malformed(format!("`{name}` must be text, but is {}", kind(value))))
            })
            .transpose()
    }

    /// A field that can only be true or false.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Failure> {
        let wrong = |value| malformed(format!("`{name}` must be true or false, but is {}", kind(value)));
        self.given(name).map(|value| value.as_bool().ok_or_else(|| wrong(value))).transpose()
    }

    /// A field that can only be a map; one that is not there is empty.
    pub(crate) fn map(&self, name: &str) -> Result<impl Iterator<Item = (&'a String, &'a Value)>, Failure> {
        match self.given(name) {
            None => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(fields.iter())),
            Some(other) => Err(malformed(format!("`{name}` must map names to values, but is {}", kind(other)))),
        }
        .map(|fields| fields.into_iter().flatten())
    }
}

/// The failure of a step whose input is malformed: trying again gives the same.
pub(crate) fn malformed(title: impl Into<String>) -> Failure {
    Failure::permanent(FailureKind::Input, title)
}

/// A text, number or truth value as text.
pub(crate) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// What a value is, for people.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// The words as a text: `a`, `b`, `c`.
pub(crate) fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_unknown_or_of_another_type_is_named() {
        let input = json!({"url": 3, "body": null, "headers": {}});
        let wrong = Fields::of(&input, &["url", "body"]).map(|_| ()).unwrap_err();
        assert_eq!(wrong.title, "`headers` is unknown; known are `url`, `body`");
        assert!(!wrong.retriable && wrong.kind == FailureKind::Input);

        let fields = Fields::of(&input, &["url", "body", "headers"]).unwrap();
        assert_eq!(fields.text("url").unwrap_err().title, "`url` must be text, but is a number");
        assert!(fields.flag("url").is_err() && fields.map("url").is_err());
        assert!(fields.value("body").is_some() && fields.given("body").is_none());
        assert_eq!((fields.text("body"), fields.flag("missing")), (Ok(None), Ok(None)));
        assert_eq!(fields.map("headers").unwrap().count() + fields.map("missing").unwrap().count(), 0);
        assert!(Fields::of(&json!([]), &[]).is_err());
    }
}
