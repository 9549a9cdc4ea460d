//! Checks what expressions read of steps: whether they can be seen from there, and what they put out.

use crate::diagnostic::{Code, quoted};
use crate::read::Draft;
use crate::source::Span;
use crate::{Action, MAIN_BLOCK, Wait};

use super::{Check, EVENT, Level, Scope};

/// The fields of a step that expressions may read.
const STEP: [&str; 3] = ["outputs", "status", "error"];

/// A path that an expression reads, and where each of its parts stands.
#[derive(Clone, Copy)]
pub(super) struct Path<'p> {
    pub(super) keys: &'p [String],
    pub(super) spans: &'p [Span],
}

impl<'p> Path<'p> {
    pub(super) fn get(self, at: usize) -> Option<(&'p str, Span)> {
        self.keys.get(at).map(String::as_str).zip(self.spans.get(at).copied())
    }

    fn up_to(self, at: usize) -> String {
        self.keys.get(..at).unwrap_or(self.keys).join(".")
    }
}

/// What is known of the names of a step's outputs.
enum OutputNames<'d> {
    Any,
    /// There are these and no others.
    These(Vec<&'d str>),
    /// The outputs of these steps, by id.
    OfSteps(Vec<usize>),
}

impl<'c> Check<'c, '_> {
    pub(super) fn step(&mut self, path: Path<'_>, scope: Scope) {
        let Some((id, span)) = path.get(1) else {
            let message = "`steps` must be followed by the id of a step";
            let span = path.spans[0];
            return self.report.add(Code::UnknownName, span, message, "write `steps.<id>.outputs`".to_owned());
        };
        match scope {
            Scope::WorkflowEnv => {
                let message = "the workflow's `env` cannot read steps: it is there before they are";
                let help = "read the step in `env` of the step that needs it".to_owned();
                self.report.add(Code::NotUpstream, span, message, help);
            }
            // The others were refused already: they read nothing but what set the execution off.
            Scope::ConcurrencyKey | Scope::Trigger | Scope::Event => {
                let message = "the key of `concurrency` cannot read steps: it is there before they are";
                self.report.add(Code::NotUpstream, span, message, None);
            }
            Scope::Outputs => match self.index.get(&(MAIN_BLOCK, id)) {
                Some(&target) => self.fields(target, path),
                None => self.unseen(id, span, &[Level { block: MAIN_BLOCK, within: None, is_undo: false }]),
            },
            Scope::Step(reader) | Scope::Entry(reader) | Scope::Until(reader) => {
                self.seen_from(reader, path, (id, span), scope);
            }
        }
    }

    /// A step that another one reads. What undoes a step may read that step, of which it undoes one instance.
    fn seen_from(&mut self, reader: usize, path: Path<'_>, (id, span): (&str, Span), scope: Scope) {
        let mut levels = self.drafts.levels(reader);
        let found = levels.iter().find_map(|level| Some((*level, *self.index.get(&(level.block, id))?)));
        let Some((Level { within, is_undo, .. }, target)) = found else {
            if let (Scope::Until(_), Some(own)) = (scope, levels.first_mut()) {
                // Its round has ended, so that what lies inside of it can be read through it.
                own.within = None;
            }
            return self.unseen(id, span, &levels);
        };
        if let Some(within) = within.filter(|_| !self.graph.has_circle) {
            let is_own_round = target == reader && matches!(scope, Scope::Until(_)) || is_undo && target == within;
            let reads = &self.drafts.steps[reader].id;
            if target == within && !is_own_round {
                let message = if target == reader {
                    format!("the step `{id}` cannot read itself")
                } else {
                    format!("the step `{reads}` is part of `{id}`, which has not ended by then")
                };
                return self.report.add(Code::NotUpstream, span, message, None);
            }
            if !is_own_round && !self.is_upstream(within, target) {
                let message = format!("the step `{reads}` reads `{id}`, which need not have run by then");
                let help = format!("add `{id}` to the `needs` of `{}`", self.drafts.steps[within].id);
                return self.report.add(Code::NotUpstream, span, message, help);
            }
            if is_own_round {
                return self.round(target, path);
            }
        }
        self.fields(target, path);
    }

    /// A step that is in none of the lists that can be seen.
    fn unseen(&mut self, id: &str, span: Span, seen: &[Level]) {
        if !seen.iter().all(|level| self.drafts.blocks[level.block].is_whole) {
            return;
        }
        let Some(elsewhere) = self.drafts.steps.iter().position(|draft| draft.id == id) else {
            let ids: Vec<&str> = seen.iter().flat_map(|level| self.drafts.ids(level.block)).collect();
            return self.unknown(span, &format!("there is no step {}", quoted(id)), id, ids, "");
        };
        let part = self.drafts.part(elsewhere);
        let is_seen = |block: usize| seen.iter().any(|level| level.block == block);
        let is_around = |step: usize| seen.iter().any(|level| level.within == Some(step));
        let beside = self.drafts.levels(elsewhere).into_iter().find(|level| is_seen(level.block));
        let (message, help) = match beside.and_then(|level| level.within) {
            Some(outer) if !is_around(outer) => {
                let outer = &self.drafts.steps[outer].id;
                let message =
                    format!("the step {} stands inside of `{outer}` and cannot be read from here", quoted(id));
                (message, format!("read it through the outputs of that: `steps.{outer}.outputs`"))
            }
            _ if part != "steps" && beside.is_none_or(|level| level.within.is_none()) => {
                let message = format!("the step {} is one of `{part}`, which runs after this", quoted(id));
                (message, "only the steps of `finally` can read those of `on_failure`".to_owned())
            }
            _ => {
                let message = format!("the step {} cannot be read from here", quoted(id));
                (message, "a step reads those of its own list and of the lists around it".to_owned())
            }
        };
        self.report.add(Code::NotUpstream, span, message, help);
    }

    fn is_upstream(&mut self, reader: usize, target: usize) -> bool {
        let graph = self.graph;
        if graph.is_sequence[self.drafts.steps[reader].block] {
            return target < reader;
        }
        let upstream = self.upstream.entry(reader).or_insert_with(|| graph.upstream(reader));
        upstream.as_ref().is_none_or(|upstream| upstream.get(target).copied().unwrap_or(true))
    }

    fn fields(&mut self, target: usize, path: Path<'_>) {
        self.one_of(path.get(2), &path.up_to(2), &STEP);
        if path.get(2).is_some_and(|(field, _)| field == "outputs") {
            self.outputs(target, path, 3);
        }
    }

    /// What a step reads of itself: of the round that has just ended, even where there is one for each item.
    fn round(&mut self, target: usize, path: Path<'_>) {
        self.one_of(path.get(2), &path.up_to(2), &STEP);
        if path.get(2).is_some_and(|(field, _)| field == "outputs") {
            self.outputs_once(target, path, 3);
        }
    }

    /// Checks the part of `path` at `at`, which is read of the outputs of a step.
    fn outputs(&mut self, target: usize, path: Path<'_>, at: usize) {
        let Some((key, span)) = path.get(at) else { return };
        if !self.drafts.steps[target].has_foreach {
            return self.outputs_once(target, path, at);
        }
        let list = path.up_to(at);
        let message = format!("`{list}` is a list, with the outputs of each item in order, and has no {}", quoted(key));
        let help = format!("read one, `{list}[0].{key}`, or all of them, `{list} | map(attribute='{key}')`");
        self.report.add(Code::UnknownName, span, message, help);
    }

    fn outputs_once(&mut self, target: usize, path: Path<'_>, at: usize) {
        let Some((key, span)) = path.get(at) else { return };
        if let Some(inner) = self.output(target, key, span) {
            self.outputs(inner, path, at + 1);
        }
    }

    /// The names that a step declares under `outputs`, where it can have only certain ones.
    pub(super) fn declared_outputs(&mut self) {
        let drafts = self.drafts;
        for (step, draft) in drafts.steps.iter().enumerate() {
            for (name, span) in &draft.declared {
                self.output(step, name, *span);
            }
        }
    }

    /// Reports that a step cannot have the output `key`. Where it is that of a step inside, the answer is that step.
    fn output(&mut self, target: usize, key: &str, span: Span) -> Option<usize> {
        let draft = &self.drafts.steps[target];
        match self.output_names(draft, target) {
            OutputNames::Any => None,
            OutputNames::These(names) => {
                if !names.contains(&key) {
                    let message = match draft.step.as_ref().map(|step| &step.action) {
                        Some(Action::Set { .. }) => format!("the step `{}` sets no {}", draft.id, quoted(key)),
                        _ => format!("the outputs of `{}` have no {}", draft.id, quoted(key)),
                    };
                    self.unknown(span, &message, key, names, "");
                }
                None
            }
            OutputNames::OfSteps(inner) => {
                let mut named = inner.iter().copied().filter(|&step| self.drafts.steps[step].id == key);
                match (named.next(), named.next()) {
                    (None, _) => {
                        let message = format!("`{}` has no step {}", draft.id, quoted(key));
                        let ids: Vec<&str> = inner.iter().map(|&step| self.drafts.steps[step].id.as_str()).collect();
                        self.unknown(span, &message, key, ids, "");
                        None
                    }
                    // Of several cases any may have run.
                    (Some(_), Some(_)) => None,
                    (only, None) => only,
                }
            }
        }
    }

    fn output_names(&self, draft: &'c Draft, step: usize) -> OutputNames<'c> {
        let Some(read) = &draft.step else {
            return OutputNames::Any;
        };
        match &read.action {
            Action::Set { values } => OutputNames::These(values.keys().map(String::as_str).collect()),
            Action::Wait(Wait::Signal { .. }) => OutputNames::These(vec!["name", "payload", "received_at"]),
            Action::Wait(Wait::Event(_)) => OutputNames::These(EVENT.to_vec()),
            Action::Wait(Wait::For(_) | Wait::Until(_)) => OutputNames::These(Vec::new()),
            Action::Workflow { wait: false, .. } => OutputNames::These(vec!["execution_id"]),
            Action::Group { .. } | Action::Switch { .. } => {
                let blocks: Vec<_> =
                    self.drafts.inside(step).into_iter().map(|block| &self.drafts.blocks[block]).collect();
                if blocks.iter().all(|block| block.is_whole) {
                    OutputNames::OfSteps(blocks.iter().flat_map(|block| block.steps.iter().copied()).collect())
                } else {
                    OutputNames::Any
                }
            }
            Action::Shell { .. }
            | Action::Log { .. }
            | Action::Call { .. }
            | Action::Workflow { .. }
            | Action::Unwind => OutputNames::Any,
        }
    }
}
