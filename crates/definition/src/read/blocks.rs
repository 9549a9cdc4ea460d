//! The steps of a document, list by list, while their references are still names.

use std::collections::HashMap;

use crate::diagnostic::{Code, Report};
use crate::source::Span;
use crate::tree::{Kind, Node};
use crate::{Block, MAIN_BLOCK, Step};

use super::reader::Reader;

/// How many groups may stand inside of one another.
pub(crate) const MAX_NESTING: usize = 8;

/// The longest path of a step, as records keep it.
pub(crate) const MAX_PATH: usize = 150;

/// The steps as far as they could be read.
#[derive(Default)]
pub(crate) struct Drafts {
    pub(crate) steps: Vec<Draft>,
    pub(crate) blocks: Vec<DraftBlock>,
    pub(crate) on_failure: Option<usize>,
    pub(crate) finally: Option<usize>,
}

/// A step whose needs are still names.
pub(crate) struct Draft {
    pub(crate) id: String,
    pub(crate) path: String,
    /// Whether the document names it; otherwise its id comes from its place.
    pub(crate) is_named: bool,
    pub(crate) span: Span,
    pub(crate) block: usize,
    /// The names after `needs`; nothing where the step does not say.
    pub(crate) needs: Option<Vec<(String, Span)>>,
    pub(crate) has_foreach: bool,
    /// The names that it declares under `outputs`.
    pub(crate) declared: Vec<(String, Span)>,
    pub(crate) marks: Marks,
    pub(crate) step: Option<Step>,
}

/// What a step says about undoing and trying again.
#[derive(Default)]
pub(crate) struct Marks {
    /// Where it says that it is the pivot.
    pub(crate) pivot: Option<Span>,
    /// Where it says how it is undone.
    pub(crate) compensate: Option<Span>,
    /// Whether it says itself how often it is tried.
    pub(crate) has_retry: bool,
}

/// A list of steps.
pub(crate) struct DraftBlock {
    pub(crate) steps: Vec<usize>,
    pub(crate) owner: Option<usize>,
    /// Whether every step's id is known, so that another id does not exist.
    pub(crate) is_whole: bool,
    /// Whether it is what undoes its owner.
    pub(crate) is_undo: bool,
}

/// A list whose steps can be seen from a place.
#[derive(Clone, Copy)]
pub(crate) struct Level {
    pub(crate) block: usize,
    /// The step of the list that the place lies in; none where the whole list has ended by then.
    pub(crate) within: Option<usize>,
    /// Whether the place lies in what undoes that step, which has ended by then.
    pub(crate) is_undo: bool,
}

impl Drafts {
    /// The lists whose steps `step` may mean, from the inside.
    pub(crate) fn levels(&self, step: usize) -> Vec<Level> {
        let mut levels = Vec::new();
        let mut within = step;
        let mut is_undo = false;
        loop {
            let block = self.steps[within].block;
            let of_undo = self.blocks[block].is_undo;
            // An undo cannot be read by its id.
            if !of_undo {
                levels.push(Level { block, within: Some(within), is_undo });
            }
            is_undo = of_undo;
            match self.blocks[block].owner {
                Some(owner) => within = owner,
                None => break levels.extend(self.before(block)),
            }
        }
        levels
    }

    /// The lists that have ended when a handler begins.
    fn before(&self, block: usize) -> impl Iterator<Item = Level> {
        let is_finally = self.finally == Some(block);
        let on_failure = self.on_failure.filter(|_| is_finally);
        let main = (block != MAIN_BLOCK).then_some(MAIN_BLOCK);
        on_failure.into_iter().chain(main).map(|block| Level { block, within: None, is_undo: false })
    }

    /// The key of the document that a step belongs to.
    pub(crate) fn part(&self, step: usize) -> &'static str {
        let outermost = self.levels(step).into_iter().rfind(|level| level.within.is_some());
        match outermost.map(|level| level.block) {
            block if block.is_some() && block == self.on_failure => "on_failure",
            block if block.is_some() && block == self.finally => "finally",
            _ => "steps",
        }
    }

    /// The steps of each list by their ids.
    pub(crate) fn index(&self) -> HashMap<(usize, &str), usize> {
        // Of two steps with one id the first counts, so that the problem is reported once.
        self.steps.iter().enumerate().rev().map(|(at, draft)| ((draft.block, draft.id.as_str()), at)).collect()
    }

    /// The ids of a list.
    pub(crate) fn ids(&self, block: usize) -> impl Iterator<Item = &str> {
        self.blocks[block].steps.iter().map(|&step| self.steps[step].id.as_str())
    }

    /// Whether a step belongs to what undoes another.
    pub(crate) fn is_in_undo(&self, step: usize) -> bool {
        let mut block = &self.blocks[self.steps[step].block];
        loop {
            match block.owner {
                _ if block.is_undo => return true,
                Some(owner) => block = &self.blocks[self.steps[owner].block],
                None => return false,
            }
        }
    }

    /// The lists that a step encloses.
    pub(crate) fn inside(&self, step: usize) -> Vec<usize> {
        self.steps[step].step.as_ref().map(|step| step.action.blocks()).unwrap_or_default()
    }

    /// The steps and their lists; nothing if one of them could not be read.
    pub(crate) fn finish(self, needs: Vec<Vec<usize>>) -> Option<(Vec<Step>, Vec<Block>)> {
        let resolved = self.steps.into_iter().zip(needs);
        let steps = resolved.map(|(draft, needs)| Some(Step { needs, ..draft.step? })).collect::<Option<_>>()?;
        let blocks = self.blocks.into_iter().map(|block| Block { steps: block.steps, owner: block.owner }).collect();
        Some((steps, blocks))
    }

    /// Reports ids that two steps have, where either could be meant.
    pub(crate) fn check_ids(&self, report: &mut Report<'_>) {
        let index = self.index();
        for (at, draft) in self.steps.iter().enumerate() {
            let first = index.get(&(draft.block, draft.id.as_str())).copied().filter(|&first| first != at);
            let outer = || {
                let mut levels = self.levels(at).into_iter().skip(1);
                levels.find_map(|level| index.get(&(level.block, draft.id.as_str())).copied())
            };
            // Steps without an id are not meant by one, so those of several lists may well have the same.
            if self.blocks[draft.block].is_undo {
                continue;
            }
            let hidden = || outer().filter(|&outer| draft.is_named || self.steps[outer].is_named);
            let Some(other) = first.or_else(hidden) else { continue };
            let (line, _) = report.source.position(self.steps[other].span.start);
            let (message, help) = match first {
                Some(_) => {
                    (format!("two steps have the id `{}`", draft.id), format!("the other one is on line {line}"))
                }
                None => (
                    format!("the id `{}` hides that of another step", draft.id),
                    format!("the other one is on line {line} and can be read here too; rename one of them"),
                ),
            };
            report.add(Code::DuplicateId, draft.span, message, help);
        }
    }
}

impl Reader<'_, '_> {
    /// Reads a list of steps; the answer is its index. `what` names it in messages.
    pub(crate) fn block(&mut self, node: &Node, what: &str, owner: Option<usize>) -> usize {
        let block = self.open_block(owner);
        let Kind::List(items) = &*node.kind else {
            let message = format!("{what} must be a list, not {}", node.describe());
            let help = "start each step with `- `".to_owned();
            self.report.add(Code::WrongType, node.span, message, help);
            self.drafts.blocks[block].is_whole = false;
            return block;
        };
        let nesting = std::iter::successors(owner, |&step| self.drafts.blocks[self.drafts.steps[step].block].owner);
        if nesting.count() > MAX_NESTING {
            let message = format!("more than {MAX_NESTING} groups stand inside of one another");
            let help = "make the inner ones a workflow of their own, and run it with `uses: workflow`".to_owned();
            self.report.add(Code::TooComplex, node.span, message, help);
            self.drafts.blocks[block].is_whole = false;
            return block;
        }
        if items.is_empty() {
            let message = if owner.is_none() && block == MAIN_BLOCK {
                "the workflow has no steps".to_owned()
            } else {
                format!("{what} has no steps")
            };
            self.report.add(Code::NoSteps, node.span, message, None);
        }
        for (index, item) in items.iter().enumerate() {
            self.step(block, index, item);
        }
        block
    }

    /// A list of which nothing is known yet.
    pub(crate) fn open_block(&mut self, owner: Option<usize>) -> usize {
        self.drafts.blocks.push(DraftBlock { steps: Vec::new(), owner, is_whole: true, is_undo: false });
        self.drafts.blocks.len() - 1
    }
}
