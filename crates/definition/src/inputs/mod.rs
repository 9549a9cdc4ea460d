//! Named values that are declared by JSON Schemas: the inputs of a workflow, the outputs of a step.

mod coerce;
mod messages;

use std::fmt;
use std::sync::Arc;

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::{Map, Value, json};

use crate::suggest;

use coerce::coerce;
use messages::describe;
pub(crate) use messages::wrong;

/// Declared values, in the order of the document.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// The declarations.
    pub fields: Vec<InputField>,
}

/// One declared value: a JSON Schema property. Cheap to clone.
#[derive(Debug, Clone)]
pub struct InputField {
    /// Its name.
    pub name: String,
    /// Its schema, as written.
    pub schema: Arc<Value>,
    /// The value it has when none is given. Without a default, a value must be given.
    pub default: Option<Value>,
    validator: Arc<Validator>,
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

/// Compiles a schema.
///
/// # Errors
///
/// What is wrong with it, and where.
pub(crate) fn compile(schema: &Value) -> Result<Validator, Box<jsonschema::ValidationError<'static>>> {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        // Patterns come from authors and texts from anybody, so matching must take linear time.
        .with_pattern_options(PatternOptions::regex())
        .build(schema)
        .map_err(Box::new)
}

impl InputField {
    /// A declaration by a compiled schema.
    pub(crate) fn new(name: String, schema: Value, validator: Validator) -> Self {
        let default = schema.get("default").cloned();
        Self { name, schema: Arc::new(schema), default, validator: Arc::new(validator) }
    }

    /// Whether a value must be given.
    pub fn is_required(&self) -> bool {
        self.default.is_none()
    }

    /// Everything that is wrong with `value`.
    pub(crate) fn problems(&self, value: &Value) -> Vec<InputProblem> {
        self.validator.iter_errors(value).flat_map(|error| describe(&self.name, &error)).collect()
    }

    /// Brings `value` to the declared type where its text says so exactly, and checks it.
    fn accept(&self, value: &mut Value) -> Vec<InputProblem> {
        coerce(&self.schema, value);
        self.problems(value)
    }

    /// The schema as a property of a larger one: what refers to its root refers to the property.
    fn to_json(&self) -> Value {
        let mut schema = Value::clone(&self.schema);
        let name = self.name.replace('~', "~0").replace('/', "~1");
        move_references(&mut schema, &format!("#/properties/{name}"));
        schema
    }
}

fn move_references(schema: &mut Value, root: &str) {
    match schema {
        Value::Object(entries) => {
            for (key, value) in entries {
                match (key.as_str(), value) {
                    ("$ref", Value::String(target)) => {
                        if let Some(rest) = target.strip_prefix('#') {
                            *target = format!("{root}{rest}");
                        }
                    }
                    ("const" | "enum" | "default" | "examples", _) => {}
                    (_, value) => move_references(value, root),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| move_references(item, root)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

impl Inputs {
    /// The declaration of `name`.
    pub fn get(&self, name: &str) -> Option<&InputField> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The inputs of an execution that is started with `given`: brought to their types, checked, and with defaults
    /// filled in.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with `given`.
    pub fn check(&self, mut given: Map<String, Value>) -> Result<Map<String, Value>, Vec<InputProblem>> {
        let mut problems: Vec<InputProblem> =
            given.keys().filter(|name| self.get(name).is_none()).map(|name| self.unknown(name)).collect();
        problems.extend(self.fill(&mut given, "must be given"));
        if problems.is_empty() { Ok(given) } else { Err(problems) }
    }

    /// The outputs that a step has completed with: the declared ones brought to their types and checked, with
    /// defaults filled in. Others pass through.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with `outputs`.
    pub fn check_outputs(&self, mut outputs: Map<String, Value>) -> Result<Map<String, Value>, Vec<InputProblem>> {
        let problems = self.fill(&mut outputs, "is declared under `outputs` but was not put out");
        if problems.is_empty() { Ok(outputs) } else { Err(problems) }
    }

    fn fill(&self, values: &mut Map<String, Value>, missing: &str) -> Vec<InputProblem> {
        let mut problems = Vec::new();
        for field in &self.fields {
            match (values.get_mut(&field.name), &field.default) {
                (Some(value), _) => problems.extend(field.accept(value)),
                (None, Some(default)) => {
                    values.insert(field.name.clone(), default.clone());
                }
                (None, None) => {
                    let message = format!("`{}` {missing}", field.name);
                    problems.push(InputProblem { path: vec![field.name.clone()], message });
                }
            }
        }
        problems
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
        self.schema(false)
    }

    /// The declared outputs as one JSON Schema, which takes others beside them.
    pub(crate) fn to_outputs_json(&self) -> Value {
        self.schema(true)
    }

    fn schema(&self, takes_others: bool) -> Value {
        let properties: Map<String, Value> =
            self.fields.iter().map(|field| (field.name.clone(), field.to_json())).collect();
        let required: Vec<&str> =
            self.fields.iter().filter(|field| field.is_required()).map(|field| field.name.as_str()).collect();
        json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": takes_others,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::{InputField, Inputs, compile};

    fn declared(fields: &Value) -> Inputs {
        let field =
            |(name, schema): (&String, &Value)| InputField::new(name.clone(), schema.clone(), compile(schema).unwrap());
        Inputs { fields: fields.as_object().unwrap().iter().map(field).collect() }
    }

    fn inputs() -> Inputs {
        declared(&json!({
            "count": {"type": "integer", "minimum": 1},
            "region": {"type": "string", "enum": ["eu", "us"], "default": "eu"},
        }))
    }

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(object) = value else { panic!("not a mapping") };
        object
    }

    fn check(inputs: &Inputs, given: Value) -> Result<Value, Vec<String>> {
        let checked = inputs.check(object(given)).map(Value::Object);
        checked.map_err(|problems| problems.into_iter().map(|problem| problem.message).collect())
    }

    #[test]
    fn fills_in_defaults() {
        assert_eq!(check(&inputs(), json!({"count": 2})), Ok(json!({"count": 2, "region": "eu"})));
    }

    #[test]
    fn names_every_problem() {
        let problems = check(&inputs(), json!({"regoin": "eu", "region": "asia"})).unwrap_err();
        assert_eq!(
            problems,
            [
                "there is no input `regoin`; did you mean `region`?",
                "`count` must be given",
                "`region` must be one of \"eu\", \"us\", not \"asia\"",
            ]
        );
        for (given, message) in [
            (json!(0), "`count` must be at least 1, not 0"),
            (json!("two"), "`count` must be of type integer, not \"two\""),
            (json!(null), "`count` must be of type integer, not null"),
        ] {
            assert_eq!(check(&inputs(), json!({"count": given})).unwrap_err(), [message]);
        }
    }

    #[test]
    fn problems_lie_where_the_value_does() {
        let inputs = declared(&json!({"items": {"type": "array", "maxItems": 3, "items": {
            "type": "object", "required": ["sku"], "additionalProperties": false,
            "properties": {"sku": {"type": "string", "pattern": "^[A-Z]+$", "maxLength": 3}, "n": {"type": ["integer", "null"]}},
        }}}));
        for (items, path, message) in [
            (
                json!([{"sku": "ab"}]),
                &["items", "0", "sku"][..],
                "`items[0].sku` must match the pattern `^[A-Z]+$`, not \"ab\"",
            ),
            (json!([{"sku": "A"}, {}]), &["items", "1", "sku"], "`items[1].sku` must be given"),
            (json!([{"sku": "A", "skus": 1}]), &["items", "0", "skus"], "`items[0].skus` is not known here"),
            (json!([{"sku": "ABCD"}]), &["items", "0", "sku"], "`items[0].sku` must have at most 3 characters, not 4"),
            (
                json!([{"sku": "A", "n": []}]),
                &["items", "0", "n"],
                "`items[0].n` must be of type integer or null, not []",
            ),
            (json!([1, 2, 3, 4]), &["items"], "`items` must have at most 3 items, not 4"),
        ] {
            let problems = inputs.check(object(json!({"items": items}))).unwrap_err();
            let problem = problems.iter().find(|problem| problem.message == message);
            let problem = problem.unwrap_or_else(|| panic!("{message} is not among {problems:?}"));
            assert_eq!(problem.path, path);
        }
    }

    #[test]
    fn declared_outputs_must_be_there_and_others_may_be() {
        let outputs = declared(&json!({"rows": {"type": "integer"}}));
        let checked = outputs.check_outputs(object(json!({"rows": "3", "stdout": "x"})));
        assert_eq!(checked, Ok(object(json!({"rows": 3, "stdout": "x"}))));
        let problems = outputs.check_outputs(Map::new()).unwrap_err();
        assert_eq!(problems[0].message, "`rows` is declared under `outputs` but was not put out");
    }

    #[test]
    fn references_still_hold_within_the_whole() {
        let inputs = declared(&json!({"tree": {
            "type": "object", "properties": {"below": {"type": "array", "items": {"$ref": "#"}}},
        }}));
        let whole = compile(&inputs.to_json()).unwrap();
        assert!(whole.is_valid(&json!({"tree": {"below": [{"below": []}]}})));
        assert!(!whole.is_valid(&json!({"tree": {"below": [{"below": [1]}]}})));
    }
}
