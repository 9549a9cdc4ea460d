//! Checks the names that expressions use against what the workflow has.

mod alone;
mod steps;

use std::collections::HashMap;

use crate::diagnostic::{Code, Report, quoted};
use crate::functions::{FILTERS, FUNCTIONS, STATUS, TESTS};
use crate::graph::Graph;
use crate::read::{Drafts, Level};
use crate::scan::WordKind;
use crate::source::Span;
use crate::suggest;

use steps::Path;

const ROOTS: [&str; 7] = ["inputs", "trigger", "steps", "env", "execution", "workflow", "now"];
const ROOTS_NOT_YET: [&str; 2] = ["secrets", "vars"];
/// What only the steps inside of a `foreach` have.
const OF_ITEMS: [&str; 2] = ["item", "index"];
/// What the key of `concurrency` may read.
const BEFORE_THE_START: [&str; 3] = ["inputs", "trigger", "workflow"];
/// What the `inputs` of a trigger may read.
const OF_TRIGGERS: [&str; 2] = ["trigger", "workflow"];
/// What the `if` of an event trigger may read.
const OF_EVENTS: [&str; 2] = ["event", "workflow"];
const EXECUTION: [&str; 3] = ["id", "attempt", "started_at"];
/// What only the steps of `on_failure` and `finally` may read of the execution.
const EXECUTION_AFTER: [&str; 2] = ["status", "error"];
/// What only an undo may read.
const CAUSE: [&str; 3] = ["kind", "step", "message"];
const WORKFLOW: [&str; 2] = ["name", "version"];
const FILE: [&str; 10] = ["id", "source", "path", "name", "size", "sha256", "mime", "modified_at", "event", "fields"];
const WEBHOOK: [&str; 7] = ["id", "method", "path", "query", "headers", "content_type", "body"];
const EVENT: [&str; 8] = ["id", "type", "subject", "data", "stream", "position", "correlation_id", "at"];
const SCHEDULE: [&str; 4] = ["due_at", "cron", "every_ms", "timezone"];

/// Where an expression stands, which decides what it may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// In the environment of the whole workflow.
    WorkflowEnv,
    /// In the key of `concurrency`.
    ConcurrencyKey,
    /// In the `inputs` of a trigger.
    Trigger,
    /// In the `if` of an event trigger.
    Event,
    /// In the step with this index.
    Step(usize),
    /// In its `if` or its `foreach`, which are asked before it has an item.
    Entry(usize),
    /// In its `until`, which is asked after each round.
    Until(usize),
    /// In the outputs of the workflow.
    Outputs,
}

impl Scope {
    fn step(self) -> Option<usize> {
        match self {
            Self::Step(step) | Self::Entry(step) | Self::Until(step) => Some(step),
            Self::WorkflowEnv | Self::ConcurrencyKey | Self::Trigger | Self::Event | Self::Outputs => None,
        }
    }
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

/// How the files come that start executions: each alone, or in batches.
#[derive(Clone, Copy, Default)]
pub(crate) struct KnownFiles {
    pub(crate) alone: bool,
    pub(crate) batched: bool,
}

/// What the workflow has, apart from its steps. Nothing where it could not be read.
pub(crate) struct Known {
    pub(crate) inputs: Option<Vec<String>>,
    pub(crate) env: Option<Vec<String>>,
    /// The kinds of triggers.
    pub(crate) triggers: Vec<&'static str>,
    pub(crate) files: KnownFiles,
}

/// Reports every name that does not exist, or not where it is used.
pub(crate) fn check(report: &mut Report<'_>, used: &[Used], known: &Known, drafts: &Drafts, graph: &Graph) {
    let is_saga = drafts.blocks.iter().any(|block| block.is_undo);
    let mut check = Check { is_saga, report, known, drafts, graph, index: drafts.index(), upstream: HashMap::new() };
    check.declared_outputs();
    for used in used {
        match used {
            Used::Value { path, spans, scope } => check.value(Path { keys: path, spans }, *scope),
            Used::Word { name, kind: WordKind::Function, span, in_condition } if STATUS.contains(&name.as_str()) => {
                check.status_word(name, *span, *in_condition);
            }
            Used::Word { name, kind, span, .. } => check.word(name, *kind, *span),
        }
    }
}

struct Check<'c, 'a> {
    /// Whether any step can be undone.
    is_saga: bool,
    report: &'c mut Report<'a>,
    known: &'c Known,
    drafts: &'c Drafts,
    graph: &'c Graph,
    index: HashMap<(usize, &'c str), usize>,
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
        let nearest = (!self.report.is_full()).then(|| suggest::did_you_mean(name, words.iter().copied())).flatten();
        let help = nearest.or_else(|| {
            (!otherwise.is_empty())
                .then(|| otherwise.to_owned())
                .or_else(|| (1..=20).contains(&words.len()).then(|| format!("there is {}", words.join(", "))))
        });
        self.report.add(Code::UnknownName, span, message, help);
    }

    fn value(&mut self, path: Path<'_>, scope: Scope) {
        let Some((root, span)) = path.get(0) else { return };
        let below = path.get(1);
        let early: Option<(&str, &[&str])> = match scope {
            Scope::ConcurrencyKey if root != "steps" => Some(("the key of `concurrency`", &BEFORE_THE_START)),
            Scope::Trigger => Some(("the `inputs` of a trigger", &OF_TRIGGERS)),
            Scope::Event => Some(("the `if` of an event trigger", &OF_EVENTS)),
            _ => None,
        };
        if let Some((what, roots)) = early
            && (ROOTS.contains(&root) || root == "event")
            && !roots.contains(&root)
        {
            let message = format!("{what} cannot read `{root}`: it is computed before the execution starts");
            let roots: Vec<String> = roots.iter().map(|root| format!("`{root}`")).collect();
            return self.report.add(Code::UnknownName, span, message, format!("it can read {}", roots.join(", ")));
        }
        match root {
            "inputs" => self.declared(below, "input", self.known.inputs.as_deref(), "declare it under `inputs`"),
            "env" if scope == Scope::WorkflowEnv => {
                let message = "the workflow's `env` cannot read `env`: its variables have no order";
                self.report.add(Code::UnknownName, span, message, None);
            }
            "env" => {
                self.declared(below, "variable", self.known.env.as_deref(), "declare it under the workflow's `env`");
            }
            "execution" => self.execution(below, scope),
            "workflow" => self.one_of(below, "workflow", &WORKFLOW),
            "now" => self.one_of(below, "now", &[]),
            "trigger" => self.trigger(path),
            "event" if scope == Scope::Event => self.one_of(below, "event", &EVENT),
            "event" if self.known.triggers.contains(&"event") => {
                let help = "read `trigger.event` here".to_owned();
                self.report.add(Code::UnknownName, span, "`event` is only there in the `if` of an event trigger", help);
            }
            "steps" => self.step(path, scope),
            "saga" if self.is_saga => self.saga(path, scope),
            "index" if self.has_item(scope) => self.one_of(below, "index", &[]),
            "item" if self.has_item(scope) => {}
            word if OF_ITEMS.contains(&word) => self.no_item(word, span, scope),
            word if ROOTS_NOT_YET.contains(&word) => self.not_yet(span, &format!("`{word}`")),
            word => {
                let of_items = OF_ITEMS.iter().filter(|_| self.has_item(scope));
                let roots: Vec<&str> = ROOTS.iter().chain(of_items).copied().collect();
                self.unknown(span, &format!("there is no name {}", quoted(word)), word, roots, "");
            }
        }
    }

    /// Whether a step around the place runs once for each item.
    fn has_item(&self, scope: Scope) -> bool {
        let own = usize::from(matches!(scope, Scope::Entry(_)));
        let levels = scope.step().map(|step| self.drafts.levels(step)).unwrap_or_default();
        levels.iter().filter_map(|level| level.within).skip(own).any(|step| self.drafts.steps[step].has_foreach)
    }

    fn no_item(&mut self, word: &str, span: Span, scope: Scope) {
        let message = match scope {
            Scope::Entry(step) if self.drafts.steps[step].has_foreach => {
                format!("there is no `{word}` yet: `if` and `foreach` are asked once, before the first item")
            }
            _ => format!("there is no `{word}` here: no step around this has a `foreach`"),
        };
        self.report.add(Code::UnknownName, span, message, None);
    }

    fn execution(&mut self, below: Option<(&str, Span)>, scope: Scope) {
        let is_after = scope.step().is_some_and(|step| self.drafts.part(step) != "steps");
        match below {
            Some((name, span)) if EXECUTION_AFTER.contains(&name) && !is_after => {
                let message = format!("`execution.{name}` is only there in `on_failure` and `finally`");
                let help = "elsewhere, read `steps.<id>.status`".to_owned();
                self.report.add(Code::UnknownName, span, message, help);
            }
            below => {
                let after = EXECUTION_AFTER.iter().filter(|_| is_after);
                let names: Vec<&str> = EXECUTION.iter().chain(after).copied().collect();
                self.one_of(below, "execution", &names);
            }
        }
    }

    /// Why everything is undone.
    fn saga(&mut self, path: Path<'_>, scope: Scope) {
        let Some((_, span)) = path.get(0) else { return };
        if !scope.step().is_some_and(|step| self.drafts.is_in_undo(step)) {
            let help = "in `on_failure` and `finally`, read `execution.error`".to_owned();
            return self.report.add(Code::UnknownName, span, "`saga` is only there in `compensate`", help);
        }
        self.one_of(path.get(1), "saga", &["cause"]);
        self.one_of(path.get(2), "saga.cause", &CAUSE);
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

    fn trigger(&mut self, path: Path<'_>) {
        self.one_of(path.get(1), "trigger", &["type", "key", "file", "files", "schedule", "webhook", "event", "depth"]);
        let Some((name, span)) = path.get(1) else { return };
        if name == "files" {
            if !self.known.files.batched {
                let message = "`trigger.files` is never there: no `on.file` of the workflow has a `batch`";
                self.report.add(Code::UnknownName, span, message, "one file is `trigger.file`".to_owned());
            }
            return;
        }
        if name == "file" && self.known.files.batched && !self.known.files.alone {
            let message = "`trigger.file` is never there: every `on.file` of the workflow has a `batch`";
            return self.report.add(
                Code::UnknownName,
                span,
                message,
                "the files of a batch are `trigger.files`".to_owned(),
            );
        }
        let fields: &[&str] = match name {
            "file" => &FILE,
            "schedule" => &SCHEDULE,
            "webhook" => &WEBHOOK,
            "event" => &EVENT,
            _ => return,
        };
        if !self.known.triggers.contains(&name) {
            let message = format!("`trigger.{name}` is never there: the workflow has no `on.{name}`");
            return self.report.add(Code::UnknownName, span, message, None);
        }
        self.one_of(path.get(2), &format!("trigger.{name}"), fields);
    }
}
