//! Reads one step: what it is called, when it runs, how often, and what follows.

use std::time::Duration;

use crate::diagnostic::Code;
use crate::names::Scope;
use crate::source::Span;
use crate::tree::Node;
use crate::workflow::DEFAULT_TIMEOUT;
use crate::{Action, Retry, Step, keys};

use super::blocks::{Draft, MAX_PATH, Marks};
use super::fields::Fields;
use super::reader::Reader;

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

/// The keys of a step that follow a failure or a crash of what a step type runs.
const OF_ATTEMPTS: [(&str, &str); 4] = [
    ("retry", "tries nothing again"),
    ("retriable", "tries nothing again"),
    ("on_lost", "is not lost with a server"),
    ("env", "has no environment, and hands none on"),
];

impl Reader<'_, '_> {
    pub(crate) fn defaults(&mut self, node: &Node) -> Defaults {
        let Some(fields) = self.fields(node, &keys::DEFAULTS) else {
            return Defaults::default();
        };
        let timeout = fields.get("timeout").and_then(|node| self.timeout(node, "timeout"));
        Defaults {
            timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
            retry: fields.get("retry").and_then(|node| self.retry(node)),
        }
    }

    /// Reads the step at `place` of a list, and those it encloses.
    pub(crate) fn step(&mut self, block: usize, place: usize, node: &Node) {
        let Some(fields) = self.fields(node, &keys::STEP) else {
            self.drafts.blocks[block].is_whole = false;
            return;
        };
        let id_node = fields.get("id");
        let id = id_node.and_then(|node| self.id(node, "the id"));
        // A misspelt `id` hides a name that others may use.
        self.drafts.blocks[block].is_whole &= id.is_some() == id_node.is_some() && !fields.is_meant("id");
        let is_named = id.is_some();
        let id = id.unwrap_or_else(|| format!("{}-{}", self.default_id(block), place + 1));
        let span = id_node.unwrap_or(node).span;
        let path = self.path(block, &id, span);
        let needs = fields.get("needs").map(|node| self.texts(node, "needs"));
        let step = self.drafts.steps.len();
        let has_foreach = fields.get("foreach").is_some();
        let declared = fields.get("outputs").map(Self::keys).unwrap_or_default();
        self.drafts.blocks[block].steps.push(step);
        let key_span = |key: &str| fields.entry(key).map(|entry| entry.key_span);
        let marks = Marks { pivot: None, compensate: key_span("compensate"), has_retry: key_span("retry").is_some() };
        let draft = Draft { id, path, is_named, span, block, needs, has_foreach, declared, marks, step: None };
        self.drafts.steps.push(draft);
        let read = self.body(step, &fields);
        self.drafts.steps[step].step = read;
    }

    /// What the ids of steps without one begin with.
    fn default_id(&self, block: usize) -> &'static str {
        match Some(block) {
            block if block == self.drafts.on_failure => "on_failure",
            block if block == self.drafts.finally => "finally",
            _ => "step",
        }
    }

    pub(super) fn path(&mut self, block: usize, id: &str, span: Span) -> String {
        let Some(owner) = self.drafts.blocks[block].owner else {
            return id.to_owned();
        };
        let path = format!("{}.{id}", self.drafts.steps[owner].path);
        if path.len() > MAX_PATH && self.drafts.steps[owner].path.len() <= MAX_PATH {
            let message = format!("the ids down to this step have more than {MAX_PATH} characters in all");
            let help = "give it, or the steps around it, a shorter `id`".to_owned();
            self.report.add(Code::InvalidName, span, message, help);
        }
        path
    }

    /// What a step is beside its name and its needs. What undoes another step has fewer keys, and is read the same way.
    pub(super) fn body(&mut self, step: usize, fields: &Fields<'_>) -> Option<Step> {
        self.check_companions(fields);
        let scope = Scope::Step(step);
        let name = fields.get("name").and_then(|node| self.title(node, "name"));
        let condition = fields.get("if").and_then(|node| self.condition(node, Scope::Entry(step)));
        let foreach = fields.get("foreach").map(|node| self.foreach(node, fields, step));
        let until = fields.get("until").map(|node| self.until(node, fields, step));
        let env = fields.get("env").map(|node| self.env(node, scope).values).unwrap_or_default();
        let own_timeout = fields.get("timeout").and_then(|node| self.timeout(node, "timeout"));
        let own_retry = fields.get("retry").map(|node| self.retry(node));
        let on_lost = fields.get("on_lost").and_then(|node| self.on_lost(node));
        let continue_on_error = fields.get("continue_on_error").and_then(|node| self.truth(node, "continue_on_error"));
        let outputs = fields.get("outputs").map(|node| self.declared_outputs(node));
        let is_retriable = fields.get("retriable").and_then(|node| self.truth(node, "retriable")).unwrap_or_default();
        let is_pivot = fields.get("pivot").and_then(|node| self.truth(node, "pivot")).unwrap_or_default();
        self.drafts.steps[step].marks.pivot = fields.entry("pivot").map(|entry| entry.key_span).filter(|_| is_pivot);
        let action = self.action(step, fields);
        let compensate = fields.get("compensate").map(|node| self.compensate(step, node));
        let action = action?;
        self.check_of_attempts(&action, fields);
        self.check_retriable(is_retriable, fields);
        let takes_retry = takes_retry(&action);
        let is_undo = self.drafts.blocks[self.drafts.steps[step].block].is_undo;
        // What undoes is not bounded by the execution's limit, so each undo has one of its own.
        let default_timeout = (is_undo || action.is_run()).then_some(self.defaults.timeout);
        let default_retry = || match self.defaults.retry.clone() {
            _ if !takes_retry => None,
            _ if is_retriable => Some(Retry::until_it_succeeds()),
            // What undoes may be done twice, and should not fail by chance.
            None if self.in_undo => Some(Self::plain_retry()),
            retry => retry,
        };
        let draft = &self.drafts.steps[step];
        Some(Step {
            id: draft.id.clone(),
            path: draft.path.clone(),
            name,
            block: draft.block,
            needs: Vec::new(),
            // What could not be read has been reported, so no step comes of it.
            foreach: match foreach {
                Some(foreach) => Some(foreach?),
                None => None,
            },
            until: match until {
                Some(until) => Some(until?),
                None => None,
            },
            retry: own_retry.unwrap_or_else(default_retry),
            action,
            env,
            timeout: own_timeout.or(default_timeout),
            condition,
            on_lost: on_lost.unwrap_or_default(),
            continue_on_error: continue_on_error.unwrap_or_default(),
            outputs,
            compensate: match compensate {
                Some(compensate) => Some(compensate?),
                None => None,
            },
            pivot: is_pivot,
        })
    }

    /// Keys that say more about another one, which is not there.
    fn check_companions(&mut self, fields: &Fields<'_>) {
        for (key, of) in keys::COMPANIONS {
            let Some(entry) = fields.entry(key).filter(|_| fields.get(of).is_none() && !fields.is_meant(of)) else {
                continue;
            };
            let message = match key {
                "with" if fields.get("run").is_some() => {
                    "`with` belongs to `uses`; a `run` step takes its values from `env`".to_owned()
                }
                _ => format!("`{key}` belongs to `{of}`, which this step does not have"),
            };
            self.report.add(Code::InvalidValue, entry.key_span, message, None);
        }
    }

    /// Keys that apply to attempts, on a step that makes none.
    fn check_of_attempts(&mut self, action: &Action, fields: &Fields<'_>) {
        for (key, why) in OF_ATTEMPTS {
            let applies = if matches!(key, "retry" | "retriable") { takes_retry(action) } else { action.is_run() };
            let Some(entry) = fields.entry(key).filter(|entry| !applies && !entry.value.is_empty()) else {
                continue;
            };
            let step_type = action.step_type();
            let message = format!("a `{step_type}` step {why}, so `{key}` would apply to nothing");
            let help = match (action, key) {
                (Action::Group { .. } | Action::Switch { .. }, _) => format!("put `{key}` on the steps inside of it"),
                (_, "env") => "hand values on under `with`".to_owned(),
                _ => format!("remove `{key}`"),
            };
            self.report.add(Code::InvalidValue, entry.key_span, message, help);
        }
    }
}

pub(crate) fn takes_retry(action: &Action) -> bool {
    action.is_run() || matches!(action, Action::Workflow { .. })
}
