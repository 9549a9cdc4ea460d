//! Reads the steps of a workflow.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::diagnostic::{Code, quoted};
use crate::names::Scope;
use crate::source::Span;
use crate::suggest;
use crate::tree::{Kind, Node};
use crate::workflow::DEFAULT_TIMEOUT;
use crate::{Action, LogLevel, MAIN_BLOCK, Retry, Step};

use super::fields::Fields;
use super::reader::Reader;

const KEYS: [&str; 12] =
    ["id", "name", "needs", "if", "run", "uses", "with", "env", "timeout", "retry", "on_lost", "continue_on_error"];
const NOT_YET: [&str; 13] = [
    "outputs",
    "compensate",
    "foreach",
    "max_parallel",
    "steps",
    "switch",
    "until",
    "every",
    "max_attempts",
    "wait",
    "runs_on",
    "pivot",
    "retriable",
];
/// Keys that make a step something other than `run` or `uses`.
const GROUPS: [&str; 2] = ["steps", "switch"];
const TYPES: [&str; 3] = ["shell", "set", "log"];
const TYPES_NOT_YET: [&str; 12] =
    ["http", "sql", "file", "extract", "transform", "wait", "emit", "approval", "workflow", "agent", "notify", "saga"];

/// The steps as far as they could be read, with their references not yet resolved.
pub(crate) struct Steps {
    pub(crate) drafts: Vec<Draft>,
    /// Whether every step's id is known, so that another id does not exist.
    pub(crate) is_whole: bool,
}

/// What steps have that do not say otherwise.
pub(crate) struct Defaults {
    timeout: Duration,
    retry: Option<Retry>,
}

impl Default for Defaults {
    fn default() -> Self {
        Self { timeout: DEFAULT_TIMEOUT, retry: None }
    }
}

/// A step whose needs are still names.
pub(crate) struct Draft {
    pub(crate) id: String,
    pub(crate) span: Span,
    /// The names after `needs`; nothing where the step does not say.
    pub(crate) needs: Option<Vec<(String, Span)>>,
    step: Option<Step>,
}

impl Draft {
    /// The names of its outputs, where they are fixed by the definition.
    pub(crate) fn outputs(&self) -> Option<Vec<&str>> {
        match &self.step.as_ref()?.action {
            Action::Set { values } => Some(values.keys().map(String::as_str).collect()),
            _ => None,
        }
    }
}

impl Steps {
    /// Steps of which nothing is known.
    pub(crate) fn unknown() -> Self {
        Self { drafts: Vec::new(), is_whole: false }
    }

    /// The index of each id.
    pub(crate) fn index(&self) -> HashMap<&str, usize> {
        // Of two steps with one id the first counts, so that the problem is reported once.
        self.drafts.iter().enumerate().rev().map(|(index, draft)| (draft.id.as_str(), index)).collect()
    }

    /// The steps with their needs; those that could not be read are left out.
    pub(crate) fn into_steps(self, needs: Vec<Vec<usize>>) -> Vec<Step> {
        let resolved = self.drafts.into_iter().zip(needs);
        resolved.filter_map(|(draft, needs)| Some(Step { needs, ..draft.step? })).collect()
    }
}

impl Reader<'_, '_> {
    pub(crate) fn defaults(&mut self, node: &Node) -> Defaults {
        let Some(fields) = self.fields(node, "`defaults`", &["timeout", "retry"], &[]) else {
            return Defaults::default();
        };
        let timeout = fields.get("timeout").and_then(|node| self.timeout(node, "timeout"));
        Defaults {
            timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
            retry: fields.get("retry").and_then(|node| self.retry(node)),
        }
    }

    pub(crate) fn steps(&mut self, node: &Node, defaults: &Defaults) -> Steps {
        let Kind::List(items) = &*node.kind else {
            let message = format!("`steps` must be a list, not {}", node.describe());
            let help = "start each step with `- `".to_owned();
            self.report.add(Code::WrongType, node.span, message, help);
            return Steps::unknown();
        };
        if items.is_empty() {
            self.report.add(Code::NoSteps, node.span, "the workflow has no steps", None);
        }
        let mut steps = Steps { drafts: Vec::with_capacity(items.len()), is_whole: true };
        let mut seen: HashMap<String, Span> = HashMap::new();
        for (index, item) in items.iter().enumerate() {
            let scope = Scope::Step(steps.drafts.len());
            match self.step(index, item, defaults, scope, &mut steps.is_whole) {
                Some(draft) => {
                    if let Some(first) = seen.get(&draft.id) {
                        let (line, _) = self.report.source.position(first.start);
                        let message = format!("two steps have the id `{}`", draft.id);
                        let help = format!("the other one is on line {line}");
                        self.report.add(Code::DuplicateId, draft.span, message, help);
                    } else {
                        seen.insert(draft.id.clone(), draft.span);
                    }
                    steps.drafts.push(draft);
                }
                None => steps.is_whole = false,
            }
        }
        steps
    }

    fn step(
        &mut self,
        index: usize,
        node: &Node,
        defaults: &Defaults,
        scope: Scope,
        is_whole: &mut bool,
    ) -> Option<Draft> {
        let fields = self.fields(node, "a step", &KEYS, &NOT_YET)?;
        let id_node = fields.get("id");
        let id = match id_node {
            Some(node) => self.id(node, "the id"),
            None => Some(format!("step-{}", index + 1)),
        };
        // A misspelt `id` hides a name that others may use.
        *is_whole &= id.is_some() && !fields.is_meant("id");
        let id = id.unwrap_or_else(|| format!("step-{}", index + 1));
        let name = fields.get("name").and_then(|node| self.title(node, "name"));
        let needs = fields.get("needs").map(|node| self.texts(node, "needs"));
        let env = fields.get("env").map(|node| self.env(node, scope).values).unwrap_or_default();
        let own_timeout = fields.get("timeout").and_then(|node| self.timeout(node, "timeout"));
        let condition = fields.get("if").and_then(|node| self.condition(node, scope));
        let retry = fields.get("retry").map(|node| self.retry(node));
        let on_lost = fields.get("on_lost").and_then(|node| self.on_lost(node));
        let continue_on_error = fields.get("continue_on_error").and_then(|node| self.switch(node, "continue_on_error"));
        let action = self.action(&fields, scope);
        let step = action.map(|action| Step {
            id: id.clone(),
            path: id.clone(),
            name,
            block: MAIN_BLOCK,
            needs: Vec::new(),
            foreach: None,
            until: None,
            outputs: None,
            action,
            env,
            timeout: Some(own_timeout.unwrap_or(defaults.timeout)),
            condition,
            retry: retry.unwrap_or_else(|| defaults.retry.clone()),
            on_lost: on_lost.unwrap_or_default(),
            continue_on_error: continue_on_error.unwrap_or_default(),
        });
        Some(Draft { id, span: id_node.unwrap_or(node).span, needs, step })
    }

    fn action(&mut self, fields: &Fields<'_>, scope: Scope) -> Option<Action> {
        match (fields.get("run"), fields.entry("uses")) {
            (Some(_), Some(uses)) => {
                let message = "a step has either `run` or `uses`, not both";
                self.report.add(Code::InvalidValue, uses.key_span, message, None);
                None
            }
            (Some(run), None) => {
                if let Some(with) = fields.entry("with") {
                    let message = "`with` belongs to `uses`; a `run` step takes its values from `env`";
                    self.report.add(Code::InvalidValue, with.key_span, message, None);
                }
                let script = self.script(run)?;
                Some(Action::Shell { script })
            }
            (None, Some(uses)) => {
                let word = self.step_type(&uses.value)?;
                self.used_action(word, fields, scope)
            }
            (None, None) => {
                let is_group = GROUPS.iter().any(|key| fields.get(key).is_some());
                if !is_group && !fields.is_meant("uses") {
                    self.missing(fields, "run", Code::MissingKey, "a step needs `run` or `uses`");
                }
                None
            }
        }
    }

    fn step_type(&mut self, node: &Node) -> Option<&'static str> {
        let text = self.text(node, "uses")?;
        if let Some(word) = TYPES.iter().find(|word| **word == text) {
            return Some(word);
        }
        if TYPES_NOT_YET.contains(&text.as_str()) || text.starts_with("./") {
            self.not_yet(node.span, &format!("uses: {text}"));
            return None;
        }
        let help = suggest::did_you_mean(&text, TYPES.into_iter().chain(TYPES_NOT_YET))
            .unwrap_or_else(|| format!("this release has {}", TYPES.join(", ")));
        self.report.add(Code::UnknownStepType, node.span, format!("there is no step type {}", quoted(&text)), help);
        None
    }

    fn used_action(&mut self, word: &str, fields: &Fields<'_>, scope: Scope) -> Option<Action> {
        let Some(with) = fields.get("with") else {
            let message = format!("`uses: {word}` needs its values under `with`");
            self.missing(fields, "with", Code::MissingKey, &message);
            return None;
        };
        match word {
            "set" => {
                let values = self.outputs(with, scope);
                values.is_whole.then_some(Action::Set { values: values.values })
            }
            "log" => self.log(with, scope),
            _ => {
                let fields = self.fields(with, "the values of `shell`", &["script"], &[])?;
                let Some(node) = fields.get("script") else {
                    self.missing(&fields, "script", Code::MissingKey, "`uses: shell` needs a `script`");
                    return None;
                };
                self.script(node).map(|script| Action::Shell { script })
            }
        }
    }

    fn log(&mut self, with: &Node, scope: Scope) -> Option<Action> {
        let fields = self.fields(with, "the values of `log`", &["message", "level"], &[])?;
        let words = [LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error];
        let level = fields
            .get("level")
            .and_then(|node| self.word(node, "level", &words.map(|word| (word.as_str(), word)), &[]));
        let Some(node) = fields.get("message") else {
            self.missing(&fields, "message", Code::MissingKey, "`uses: log` needs a `message`");
            return None;
        };
        Some(Action::Log { message: self.template(node, scope)?, level: level.unwrap_or_default() })
    }

    /// A script. Values reach it as environment: pasted into it, they could run as code.
    fn script(&mut self, node: &Node) -> Option<String> {
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

/// The outputs of steps whose names are fixed, by id.
pub(crate) fn fixed_outputs(steps: &Steps) -> BTreeMap<&str, Vec<&str>> {
    steps.drafts.iter().filter_map(|draft| Some((draft.id.as_str(), draft.outputs()?))).collect()
}
