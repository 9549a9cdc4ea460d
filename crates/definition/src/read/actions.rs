//! Reads what step types are given: `run`, and `uses` with `with`.

use crate::diagnostic::{Code, quoted};
use crate::keys::{self, CALLS, CallType, EMIT, STEP_TYPES, STEP_TYPES_NOT_YET};
use crate::names::Scope;
use crate::source::Span;
use crate::suggest;
use crate::tree::{Kind, Node};
use crate::{Action, LogLevel, is_own_event_type};

use super::fields::Fields;
use super::reader::Reader;

/// What a step uses.
enum Used {
    StepType(&'static str),
    /// `./name`: another workflow.
    Child(String),
}

impl Reader<'_, '_> {
    /// What `uses` names, with its values.
    pub(crate) fn used_action(&mut self, node: &Node, fields: &Fields<'_>, scope: Scope) -> Option<Action> {
        let word = match self.step_type(node)? {
            Used::StepType(word) => word,
            Used::Child(name) => return self.named_child(name, fields, scope),
        };
        let with = self.needed(fields, "with", &format!("`uses: {word}` needs its values under `with`"))?;
        if let Some(call) = CALLS.iter().find(|call| call.name == word) {
            return self.call(call, with, scope);
        }
        match word {
            "set" => {
                let values = self.outputs(with, scope);
                values.is_whole.then_some(Action::Set { values: values.values })
            }
            "log" => self.log(with, scope),
            "wait" => self.wait(with, scope).map(Action::Wait),
            "workflow" => self.child(with, scope),
            _ => {
                let fields = self.fields(with, &keys::SHELL)?;
                let script = self.required(&fields, "script", "shell")?;
                self.script(script).map(|script| Action::Shell { script })
            }
        }
    }

    fn step_type(&mut self, node: &Node) -> Option<Used> {
        let text = self.text(node, "uses")?;
        if let Some(word) = STEP_TYPES.iter().find(|word| **word == text) {
            return Some(Used::StepType(word));
        }
        if let Some(name) = text.strip_prefix("./") {
            return self.is_title(node.span, name, "the workflow's name").then(|| Used::Child(name.to_owned()));
        }
        if STEP_TYPES_NOT_YET.contains(&text.as_str()) {
            self.not_yet(node.span, &format!("uses: {text}"));
            return None;
        }
        let help = suggest::did_you_mean(&text, STEP_TYPES.into_iter().chain(STEP_TYPES_NOT_YET))
            .unwrap_or_else(|| format!("this release has {}, and workflows as `./name`", STEP_TYPES.join(", ")));
        self.report.add(Code::UnknownStepType, node.span, format!("there is no step type {}", quoted(&text)), help);
        None
    }

    /// A value that a step type cannot do without.
    pub(crate) fn required<'n>(&mut self, fields: &Fields<'n>, key: &str, step_type: &str) -> Option<&'n Node> {
        self.needed(fields, key, &format!("`uses: {step_type}` needs {} `{key}`", article(key)))
    }

    fn log(&mut self, with: &Node, scope: Scope) -> Option<Action> {
        let fields = self.fields(with, &keys::LOG)?;
        let words = LogLevel::ALL.map(|word| (word.as_str(), word));
        let level = fields.get("level").and_then(|node| self.word(node, "level", &words, &[]));
        let message = self.required(&fields, "message", "log")?;
        Some(Action::Log { message: self.template(message, scope)?, level: level.unwrap_or_default() })
    }

    /// A step type whose values are handed on as they are.
    fn call(&mut self, call: &CallType, with: &Node, scope: Scope) -> Option<Action> {
        let fields = self.fields(with, &call.keys)?;
        let required = self.required(&fields, call.required, call.name);
        let template = self.template(with, scope);
        let required = required?;
        if call.name == EMIT {
            self.own_event_type(required)?;
        }
        Some(Action::Call { step_type: call.name, with: template? })
    }

    /// The type that `emit` gives an event, as far as it is known before it runs.
    fn own_event_type(&mut self, node: &Node) -> Option<()> {
        if matches!(&*node.kind, Kind::Scalar { text, .. } if text.contains("${{")) {
            return Some(());
        }
        let text = self.text(node, "the type of an event")?;
        self.is_own_event_type(&text, node.span).then_some(())
    }

    /// Whether it is a type that authors may give events; otherwise that is reported.
    pub(crate) fn is_own_event_type(&mut self, text: &str, span: Span) -> bool {
        if is_own_event_type(text) {
            return true;
        }
        let message = format!("{} is no type of events of your own", quoted(text));
        let help = "write `custom.` and parts of letters, digits, `_` and `-` with points between them, such as \
                    `custom.order.shipped`; at most 100 bytes";
        self.report.add(Code::InvalidValue, span, message, help.to_owned());
        false
    }

    /// A script. Values reach it as environment: pasted into it, they could run as code.
    pub(crate) fn script(&mut self, node: &Node) -> Option<String> {
        let text = self.prose(node, "the script")?;
        if text.trim().is_empty() {
            self.report.add(Code::InvalidValue, node.span, "the script is empty", None);
            return None;
        }
        if let Some(at) = text.find("${{") {
            let span = self.locate(node, &text, at, 3);
            let help = "name the value under `env` and use the variable: env: {FILE: \"${{ trigger.file.path }}\"}, then \"$FILE\"";
            self.report.add(Code::ExpressionInScript, span, "a script cannot contain `${{ }}`", help.to_owned());
            return None;
        }
        Some(text)
    }
}

fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" }
}
