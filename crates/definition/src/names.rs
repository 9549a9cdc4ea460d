//! Checks the names that expressions use against what the workflow has.

use std::collections::HashMap;

use crate::diagnostic::{Code, Report, quoted};
use crate::functions::{FILTERS, FUNCTIONS, STATUS, TESTS};
use crate::graph::Graph;
use crate::read::{Steps, fixed_outputs};
use crate::scan::WordKind;
use crate::source::Span;
use crate::suggest;

const ROOTS: [&str; 7] = ["inputs", "trigger", "steps", "env", "execution", "workflow", "now"];
const ROOTS_NOT_YET: [&str; 5] = ["secrets", "vars", "item", "index", "event"];
const FUNCTIONS_NOT_YET: [&str; 1] = ["jq"];
const EXECUTION: [&str; 3] = ["id", "attempt", "started_at"];
const WORKFLOW: [&str; 2] = ["name", "version"];
const STEP: [&str; 3] = ["outputs", "status", "error"];
const FILE: [&str; 5] = ["path", "name", "size", "sha256", "modified_at"];
const SCHEDULE: [&str; 3] = ["due_at", "cron", "timezone"];

/// Where an expression stands, which decides what it may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// In the environment of the whole workflow.
    WorkflowEnv,
    /// In the step with this index.
    Step(usize),
    /// In the outputs of the workflow.
    Outputs,
}

/// A name that an expression uses.
pub(crate) enum Used {
    /// A value of the context.
    Value {
        path: Vec<String>,
        /// Where each part of the path stands.
        spans: Vec<Span>,
        scope: Scope,
    },
    /// A function, filter or test.
    Word {
        name: String,
        kind: WordKind,
        span: Span,
        /// Whether it stands in the `if` of a step.
        in_condition: bool,
    },
}

/// What the workflow has, apart from its steps. Nothing where it could not be read.
pub(crate) struct Known {
    pub(crate) inputs: Option<Vec<String>>,
    pub(crate) env: Option<Vec<String>>,
    pub(crate) has_files: bool,
    pub(crate) has_schedules: bool,
}

/// Reports every name that does not exist, or not where it is used.
pub(crate) fn check(report: &mut Report<'_>, used: &[Used], known: &Known, steps: &Steps, graph: &Graph) {
    let mut check = Check {
        report,
        known,
        steps,
        graph,
        index: steps.index(),
        outputs: fixed_outputs(steps).into_iter().collect(),
        upstream: HashMap::new(),
    };
    for used in used {
        match used {
            Used::Value { path, spans, scope } => check.value(path, spans, *scope),
            Used::Word { name, kind: WordKind::Function, span, in_condition } if STATUS.contains(&name.as_str()) => {
                check.status_word(name, *span, *in_condition);
            }
            Used::Word { name, kind, span, .. } => check.word(name, *kind, *span),
        }
    }
}

struct Check<'c, 'a> {
    report: &'c mut Report<'a>,
    known: &'c Known,
    steps: &'c Steps,
    graph: &'c Graph,
    index: HashMap<&'c str, usize>,
    outputs: HashMap<&'c str, Vec<&'c str>>,
    upstream: HashMap<usize, Option<Vec<bool>>>,
}

impl Check<'_, '_> {
    fn status_word(&mut self, name: &str, span: Span, in_condition: bool) {
        if !in_condition {
            let message = format!("`{name}()` can only be asked in the `if` of a step");
            let help = "elsewhere, read `steps.<id>.status`".to_owned();
            self.report.add(Code::UnknownName, span, message, help);
        }
    }

    fn word(&mut self, name: &str, kind: WordKind, span: Span) {
        let (what, words) = match kind {
            WordKind::Method => {
                let message = format!("values have no methods, so {} cannot be called", quoted(name));
                let help = "use a filter, such as `| upper`, or a function, such as `basename(…)`".to_owned();
                return self.report.add(Code::UnknownName, span, message, help);
            }
            WordKind::Function => ("function", FUNCTIONS.iter().chain(&STATUS).copied().collect()),
            WordKind::Filter => ("filter", FILTERS.iter().chain(&FUNCTIONS[2..]).copied().collect()),
            WordKind::Test => ("test", TESTS.to_vec()),
        };
        if words.contains(&name) {
            return;
        }
        if kind != WordKind::Test && FUNCTIONS_NOT_YET.contains(&name) {
            return self.not_yet(span, &format!("the {what} `{name}`"));
        }
        self.unknown(span, &format!("there is no {what} {}", quoted(name)), name, words, "");
    }

    fn not_yet(&mut self, span: Span, what: &str) {
        let message = format!("{what} is part of the workflow language, but this release does not run it yet");
        self.report.add(Code::NotYet, span, message, "remove it".to_owned());
    }

    fn unknown<'w>(
        &mut self,
        span: Span,
        message: &str,
        name: &str,
        words: impl IntoIterator<Item = &'w str>,
        otherwise: &str,
    ) {
        let words: Vec<&str> = words.into_iter().collect();
        let help = suggest::did_you_mean(name, words.iter().copied()).or_else(|| {
            (!otherwise.is_empty())
                .then(|| otherwise.to_owned())
                .or_else(|| (1..=20).contains(&words.len()).then(|| format!("there is {}", words.join(", "))))
        });
        self.report.add(Code::UnknownName, span, message, help);
    }

    fn value(&mut self, path: &[String], spans: &[Span], scope: Scope) {
        let (Some(root), Some(&span)) = (path.first(), spans.first()) else {
            return;
        };
        let below = path.get(1).map(String::as_str).zip(spans.get(1).copied());
        match root.as_str() {
            "inputs" => self.declared(below, "input", self.known.inputs.as_deref(), "declare it under `inputs`"),
            "env" if scope == Scope::WorkflowEnv => {
                let message = "the workflow's `env` cannot read `env`: its variables have no order";
                self.report.add(Code::UnknownName, span, message, None);
            }
            "env" => {
                self.declared(below, "variable", self.known.env.as_deref(), "declare it under the workflow's `env`");
            }
            "execution" => self.one_of(below, "execution", &EXECUTION),
            "workflow" => self.one_of(below, "workflow", &WORKFLOW),
            "now" => self.one_of(below, "now", &[]),
            "trigger" => self.trigger(path, spans),
            "steps" => self.step(path, spans, scope),
            word if ROOTS_NOT_YET.contains(&word) => self.not_yet(span, &format!("`{word}`")),
            word => self.unknown(span, &format!("there is no name {}", quoted(word)), word, ROOTS, ""),
        }
    }

    fn declared(&mut self, below: Option<(&str, Span)>, what: &str, names: Option<&[String]>, otherwise: &str) {
        let (Some((name, span)), Some(names)) = (below, names) else {
            return;
        };
        if !names.iter().any(|known| known == name) {
            let message = format!("there is no {what} {}", quoted(name));
            self.unknown(span, &message, name, names.iter().map(String::as_str), otherwise);
        }
    }

    fn one_of(&mut self, below: Option<(&str, Span)>, owner: &str, names: &[&str]) {
        if let Some((name, span)) = below
            && !names.contains(&name)
        {
            let message = format!("`{owner}` has no {}", quoted(name));
            self.unknown(span, &message, name, names.iter().copied(), "");
        }
    }

    fn trigger(&mut self, path: &[String], spans: &[Span]) {
        let below = |at: usize| path.get(at).map(String::as_str).zip(spans.get(at).copied());
        self.one_of(below(1), "trigger", &["type", "key", "file", "schedule"]);
        let (fields, is_declared): (&[&str], bool) = match path.get(1).map(String::as_str) {
            Some("file") => (&FILE, self.known.has_files),
            Some("schedule") => (&SCHEDULE, self.known.has_schedules),
            _ => return,
        };
        if !is_declared {
            let message = format!("`trigger.{0}` is never there: the workflow has no `on.{0}`", path[1]);
            return self.report.add(Code::UnknownName, spans[1], message, None);
        }
        self.one_of(below(2), &format!("trigger.{}", path[1]), fields);
    }

    fn step(&mut self, path: &[String], spans: &[Span], scope: Scope) {
        let Some((id, &span)) = path.get(1).zip(spans.get(1)) else {
            let message = "`steps` must be followed by the id of a step";
            return self.report.add(Code::UnknownName, spans[0], message, "write `steps.<id>.outputs`".to_owned());
        };
        let Some(&target) = self.index.get(id.as_str()) else {
            if self.steps.is_whole {
                let ids: Vec<&str> = self.index.keys().copied().collect();
                self.unknown(span, &format!("there is no step {}", quoted(id)), id, ids, "");
            }
            return;
        };
        match scope {
            Scope::WorkflowEnv => {
                let message = "the workflow's `env` cannot read steps: it is there before they are";
                return self.report.add(
                    Code::NotUpstream,
                    span,
                    message,
                    "read the step in `env` of the step that needs it".to_owned(),
                );
            }
            Scope::Step(reader) if !self.graph.has_circle && !self.is_upstream(reader, target) => {
                let reader = &self.steps.drafts[reader].id;
                let message = if reader == id {
                    format!("the step `{id}` cannot read itself")
                } else {
                    format!("the step `{reader}` reads `{id}`, which need not have run by then")
                };
                let help = (reader != id).then(|| format!("add `{id}` to the `needs` of `{reader}`"));
                return self.report.add(Code::NotUpstream, span, message, help);
            }
            Scope::Step(_) | Scope::Outputs => {}
        }
        let below = |at: usize| path.get(at).map(String::as_str).zip(spans.get(at).copied());
        self.one_of(below(2), &format!("steps.{id}"), &STEP);
        if path.get(2).is_some_and(|field| field == "outputs")
            && let Some(names) = self.outputs.get(id.as_str()).cloned()
            && let Some((name, span)) = below(3)
            && !names.contains(&name)
        {
            let message = format!("the step `{id}` sets no {}", quoted(name));
            self.unknown(span, &message, name, names, "");
        }
    }

    fn is_upstream(&mut self, reader: usize, target: usize) -> bool {
        let graph = self.graph;
        let upstream = self.upstream.entry(reader).or_insert_with(|| graph.upstream(reader));
        upstream.as_ref().is_none_or(|upstream| upstream.get(target).copied().unwrap_or(true))
    }
}
