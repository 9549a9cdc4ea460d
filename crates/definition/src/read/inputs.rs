//! Reads the declared inputs of a workflow.

use serde_json::Value;

use crate::diagnostic::{Code, quoted};
use crate::tree::{Entry, Kind, Node};
use crate::{InputField, InputType, Inputs};

use super::reader::Reader;

const KEYS: [&str; 11] = [
    "type",
    "title",
    "description",
    "enum",
    "default",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
];

const NOT_YET: [&str; 17] = [
    "pattern",
    "format",
    "properties",
    "required",
    "items",
    "const",
    "additionalProperties",
    "anyOf",
    "oneOf",
    "allOf",
    "not",
    "multipleOf",
    "uniqueItems",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "examples",
    "$ref",
];

/// The declared inputs as far as they could be read.
#[derive(Default)]
pub(crate) struct ReadInputs {
    pub(crate) inputs: Inputs,
    pub(crate) names: Vec<String>,
    /// Whether the section was a mapping, so that a name that is not in it does not exist.
    pub(crate) is_whole: bool,
    /// Whether a declaration could not be read, so that given values cannot be checked.
    pub(crate) has_problems: bool,
}

impl Reader<'_, '_> {
    pub(crate) fn inputs(&mut self, node: &Node) -> ReadInputs {
        let Some(entries) = self.entries(node, "`inputs`") else {
            return ReadInputs { has_problems: true, ..ReadInputs::default() };
        };
        let mut read = ReadInputs { is_whole: true, ..ReadInputs::default() };
        for Entry { key, key_span, value } in entries {
            read.names.push(key.clone());
            let is_named_well = self.check_id(*key_span, key, "the input");
            match self.input(key, value) {
                Some(field) if is_named_well => read.inputs.fields.push(field),
                _ => read.has_problems = true,
            }
        }
        read
    }

    /// The declared outputs of a step.
    pub(crate) fn declared_outputs(&mut self, node: &Node) -> Inputs {
        self.inputs(node).inputs
    }

    fn input(&mut self, name: &str, node: &Node) -> Option<InputField> {
        let what = format!("the input `{name}`");
        let fields = self.fields(node, &crate::keys::Keys { what: "an input", known: &KEYS, not_yet: &NOT_YET })?;
        let _ = what;
        let words = InputType::ALL.map(|input_type| (input_type.as_str(), input_type));
        let mut field = InputField { name: name.to_owned(), ..InputField::default() };
        field.input_type = match fields.get("type") {
            Some(node) => Some(self.word(node, "type", &words, &["null"])?),
            None => None,
        };
        field.title = fields.get("title").and_then(|node| self.prose(node, "title"));
        field.description = fields.get("description").and_then(|node| self.prose(node, "description"));
        field.minimum = fields.get("minimum").and_then(|node| self.number(node, "minimum"));
        field.maximum = fields.get("maximum").and_then(|node| self.number(node, "maximum"));
        let length = |reader: &mut Self, keys: [&'static str; 2]| {
            keys.into_iter().find_map(|key| reader.count(fields.get(key)?, key))
        };
        field.min_length = length(self, ["minLength", "minItems"]);
        field.max_length = length(self, ["maxLength", "maxItems"]);
        if let Some(node) = fields.get("enum") {
            field.allowed = self.allowed(node);
        }
        if let Some(node) = fields.get("default") {
            let default = self.literal(node, "a default")?;
            if let Err(reason) = field.check(&default) {
                let message = format!("the default does not fit: {reason}");
                self.report.add(Code::InvalidInput, node.span, message, None);
                return None;
            }
            field.default = Some(default);
        }
        Some(field)
    }

    fn allowed(&mut self, node: &Node) -> Option<Vec<Value>> {
        match &*node.kind {
            Kind::List(items) if !items.is_empty() => {
                let read: Vec<_> = items.iter().map(|item| self.literal(item, "an allowed value")).collect();
                read.into_iter().collect()
            }
            _ => {
                let message = format!("enum must be a list of at least one value, not {}", node.describe());
                self.report.add(Code::WrongType, node.span, message, None);
                None
            }
        }
    }

    fn number(&mut self, node: &Node, what: &str) -> Option<f64> {
        let number = match &*node.kind {
            Kind::Scalar { value, .. } => value.as_f64(),
            _ => None,
        };
        if number.is_none() {
            let message = format!("{} must be a number, not {}", quoted(what), node.describe());
            self.report.add(Code::WrongType, node.span, message, None);
        }
        number
    }

    fn count(&mut self, node: &Node, what: &str) -> Option<u64> {
        let count = match &*node.kind {
            Kind::Scalar { value, .. } => value.as_u64(),
            _ => None,
        };
        if count.is_none() {
            let message = format!("{} must be a whole number from 0, not {}", quoted(what), node.describe());
            self.report.add(Code::WrongType, node.span, message, None);
        }
        count
    }
}
