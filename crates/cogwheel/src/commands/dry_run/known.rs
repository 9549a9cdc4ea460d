//! What expressions come to before anything has run.

use std::borrow::Cow;
use std::cell::Cell;

use cogwheel_definition::{Names, SeenStep, Template, Workflow};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

/// What an expression comes to, as far as that can be said.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Decision {
    /// It reads nothing that is not known yet.
    Now(Value),
    /// It reads what only an execution knows.
    Later,
    /// It has no value, whatever the execution brings.
    Never(String),
}

impl Decision {
    /// The value, if it is decided.
    pub(super) fn value(&self) -> Option<&Value> {
        match self {
            Self::Now(value) => Some(value),
            Self::Later | Self::Never(_) => None,
        }
    }

    /// What is wrong, if anything is.
    pub(super) fn problem(&self) -> Option<&str> {
        match self {
            Self::Never(why) => Some(why),
            Self::Now(_) | Self::Later => None,
        }
    }
}

/// For programs: `value`, `problem`, or nothing.
impl Serialize for Decision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        match self {
            Self::Now(value) => fields.serialize_entry("value", value)?,
            Self::Later => {}
            Self::Never(why) => fields.serialize_entry("problem", why)?,
        }
        fields.end()
    }
}

/// The values that are known before an execution begins: the inputs, the workflow, and what of its `env` follows from
/// them.
#[derive(Debug)]
pub(super) struct Known {
    values: Map<String, Value>,
    /// Whether the last expression asked for something else.
    asked_for_more: Cell<bool>,
    /// Whether it read what is known in part only.
    read_a_part: Cell<bool>,
}

impl Known {
    /// What is known of an execution of `workflow` with these inputs.
    pub(super) fn of(workflow: &Workflow, inputs: &Map<String, Value>) -> Self {
        let mut values = Map::new();
        values.insert("inputs".to_owned(), Value::Object(inputs.clone()));
        values.insert("workflow".to_owned(), json!({ "name": workflow.name }));
        let mut known = Self { values, asked_for_more: Cell::new(false), read_a_part: Cell::new(false) };
        let env = workflow.env.iter().map(|(name, template)| {
            let text = known.decide_text(template).value().cloned();
            text.map(|text| (name.clone(), text))
        });
        // Reading one variable cannot be told from reading another, so all of them count or none.
        if let Some(env) = env.collect::<Option<Map<_, _>>>() {
            known.values.insert("env".to_owned(), Value::Object(env));
        }
        known
    }

    /// What a value comes to.
    pub(super) fn decide(&self, template: &Template) -> Decision {
        self.decided(|| template.render(self))
    }

    /// What a value comes to as text.
    pub(super) fn decide_text(&self, template: &Template) -> Decision {
        self.decided(|| template.render_string(self).map(Value::String))
    }

    fn decided<E: ToString>(&self, render: impl FnOnce() -> Result<Value, E>) -> Decision {
        self.asked_for_more.set(false);
        self.read_a_part.set(false);
        let rendered = render();
        match rendered {
            _ if self.asked_for_more.get() => Decision::Later,
            Ok(value) => Decision::Now(value),
            // What is missing may be what is not known.
            Err(_) if self.read_a_part.get() => Decision::Later,
            Err(error) => Decision::Never(error.to_string()),
        }
    }
}

impl Names for Known {
    fn root(&self, name: &str) -> Option<Cow<'_, Value>> {
        let value = self.values.get(name);
        match value {
            None => self.asked_for_more.set(true),
            Some(_) if name == "workflow" => self.read_a_part.set(true),
            Some(_) => {}
        }
        value.map(Cow::Borrowed)
    }

    fn roots(&self) -> Vec<&str> {
        self.values.keys().map(String::as_str).collect()
    }

    fn step(&self, _: &str) -> Option<SeenStep<'_>> {
        self.asked_for_more.set(true);
        None
    }

    fn step_ids(&self) -> Vec<&str> {
        self.asked_for_more.set(true);
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decide(expression: &str) -> Decision {
        let source = format!(
            "inputs: {{n: {{type: integer}}, list: {{type: array}}}}\nenv: {{A: \"a${{{{ inputs.n }}}}\"}}\n\
             steps:\n  - {{id: one, run: 'true'}}\n  - {{id: two, uses: set, with: {{v: \"${{{{ {expression} }}}}\"}}}}\n"
        );
        let workflow = cogwheel_definition::parse(source.as_bytes(), "w").unwrap();
        let inputs = json!({"n": 3, "list": ["a", "b"]}).as_object().cloned().unwrap();
        let known = Known::of(&workflow, &inputs);
        let cogwheel_definition::Action::Set { values } = &workflow.steps[1].action else { panic!("a set step") };
        known.decide(&values["v"])
    }

    #[test]
    fn what_reads_inputs_workflow_and_env_is_decided() {
        assert_eq!(decide("inputs.n > 2"), Decision::Now(json!(true)));
        assert_eq!(decide("inputs.list"), Decision::Now(json!(["a", "b"])));
        assert_eq!(decide("workflow.name ~ env.A"), Decision::Now(json!("wa3")));
    }

    #[test]
    fn what_reads_anything_else_is_decided_later() {
        for expression in [
            "steps.one.status",
            "trigger.type == 'file'",
            "now",
            "execution.id",
            "workflow.version",
            "steps.one is defined",
        ] {
            assert_eq!(decide(expression), Decision::Later, "{expression}");
        }
    }

    #[test]
    fn what_can_have_no_value_says_why() {
        assert!(matches!(decide("inputs.n + 'a'"), Decision::Never(why) if why.contains("unsupported types")));
    }
}
