//! Reads declared values: the inputs of a workflow, the outputs of a step.

use crate::diagnostic::Code;
use crate::tree::{Entry, Node};
use crate::{InputField, Inputs};

use super::reader::Reader;

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
        self.declarations(node, "inputs", "input")
    }

    /// The declared outputs of a step.
    pub(crate) fn declared_outputs(&mut self, node: &Node) -> Inputs {
        self.declarations(node, "outputs", "output").inputs
    }

    fn declarations(&mut self, node: &Node, section: &str, what: &str) -> ReadInputs {
        let Some(entries) = self.entries(node, &format!("`{section}`")) else {
            return ReadInputs { has_problems: true, ..ReadInputs::default() };
        };
        let mut read = ReadInputs { is_whole: true, ..ReadInputs::default() };
        for Entry { key, key_span, value } in entries {
            read.names.push(key.clone());
            let is_named_well = self.check_id(*key_span, key, &format!("the {what}"));
            match self.declaration(key, value, &format!("the {what} `{key}`")) {
                Some(field) if is_named_well => read.inputs.fields.push(field),
                _ => read.has_problems = true,
            }
        }
        read
    }

    fn declaration(&mut self, name: &str, node: &Node, what: &str) -> Option<InputField> {
        let entries = self.entries(node, what)?;
        let (schema, validator) = self.json_schema(node, what)?;
        let field = InputField::new(name.to_owned(), schema, validator);
        let problems = field.default.as_ref().map(|default| field.problems(default)).unwrap_or_default();
        let span = entries.iter().find(|entry| entry.key == "default").map_or(node.span, |entry| entry.value.span);
        for problem in &problems {
            self.report.add(Code::InvalidInput, span, format!("the default does not fit: {problem}"), None);
        }
        problems.is_empty().then_some(field)
    }
}
