//! Checks which steps can be undone, and gives those that cannot be undone any more their retries.

use crate::diagnostic::{Code, Report};
use crate::graph::Graph;
use crate::read::{Drafts, WrittenSaga, takes_retry};
use crate::workflow::UNDO;
use crate::{Action, Block, MAIN_BLOCK, OnLost, Retry, Saga, Step};

/// Reports what can be neither undone nor gone on from. Steps after the pivot are tried until they succeed.
pub(crate) fn check(report: &mut Report<'_>, drafts: &mut Drafts, graph: &Graph, saga: Option<&WrittenSaga>) {
    places(report, drafts);
    something_to_undo(report, drafts, saga);
    let pivots: Vec<usize> = (0..drafts.steps.len()).filter(|&step| drafts.steps[step].marks.pivot.is_some()).collect();
    let Some((&pivot, others)) = pivots.split_first() else { return };
    for &other in others {
        if let Some(span) = drafts.steps[other].marks.pivot {
            let message = format!("`{}` is a pivot, and so is `{}`", drafts.steps[other].id, drafts.steps[pivot].id);
            let help = "a workflow has one pivot: before it everything can be undone, after it nothing has to be";
            report.add(Code::Saga, span, message, help.to_owned());
        }
    }
    if drafts.steps[pivot].block == MAIN_BLOCK && others.is_empty() && !graph.has_circle {
        around(report, drafts, graph, pivot);
    }
}

/// Whether `compensate` and `pivot` stand where they mean something.
fn places(report: &mut Report<'_>, drafts: &Drafts) {
    for (step, draft) in drafts.steps.iter().enumerate() {
        let part = drafts.part(step);
        if let Some(span) = draft.marks.compensate.filter(|_| part != "steps") {
            let message = format!("the steps of `{part}` run after everything was undone, so they cannot be undone");
            report.add(Code::Saga, span, message, "remove `compensate`".to_owned());
        }
        // An undo and a step inside have one key in records.
        let undone = drafts.blocks[draft.block].owner.filter(|&owner| drafts.steps[owner].marks.compensate.is_some());
        if let Some(owner) = undone.filter(|_| draft.id == UNDO && !drafts.blocks[draft.block].is_undo) {
            let message = format!("the id `{UNDO}` stands for what undoes `{}`", drafts.steps[owner].id);
            report.add(Code::DuplicateId, draft.span, message, "give this step another `id`".to_owned());
        }
        let Some(span) = draft.marks.pivot else { continue };
        let read = draft.step.as_ref();
        let message = if part != "steps" || drafts.is_in_undo(step) {
            "a pivot is one of the workflow's `steps`: nothing else decides whether they are undone"
        } else if draft.block != MAIN_BLOCK {
            "a pivot cannot stand inside of another step: whether it was reached must be certain"
        } else if draft.has_foreach {
            "a pivot cannot have a `foreach`: it would be reached in part"
        } else if draft.marks.compensate.is_some() {
            "a pivot is not undone: once it has completed, nothing is"
        } else if read.is_some_and(|read| read.continue_on_error) {
            "a pivot cannot have `continue_on_error`: whether it was reached must be certain"
        } else {
            continue;
        };
        let help = if draft.marks.compensate.is_some() {
            "remove `compensate`, or `pivot`"
        } else {
            "put `pivot` on a step of the workflow's own list that does this alone"
        };
        report.add(Code::Saga, span, message, help.to_owned());
    }
}

/// `saga` and `pivot` mean nothing where nothing can be undone.
fn something_to_undo(report: &mut Report<'_>, drafts: &Drafts, saga: Option<&WrittenSaga>) {
    // A part that could not be read may have been it.
    let is_read = drafts.steps.iter().all(|draft| draft.step.is_some());
    if !is_read || drafts.steps.iter().any(|draft| draft.marks.compensate.is_some()) {
        return;
    }
    let runs_others = drafts.steps.iter().enumerate().any(|(step, draft)| {
        let action = draft.step.as_ref().map(|read| &read.action);
        matches!(action, Some(Action::Workflow { wait: true, .. })) && drafts.part(step) == "steps"
    });
    if let Some(saga) = saga.filter(|_| !runs_others) {
        let help = "say under `compensate` of a step how it is undone";
        report.add(Code::Saga, saga.span, "no step can be undone, so `saga` would apply to nothing", help.to_owned());
    }
    if saga.is_some() {
        return;
    }
    for span in drafts.steps.iter().filter_map(|draft| draft.marks.pivot) {
        let help = "say under `compensate` of the steps before it how they are undone, or remove `pivot`";
        report.add(Code::Saga, span, "no step can be undone, so `pivot` would end nothing", help.to_owned());
    }
}

/// What lies before the pivot can be undone; what lies after it is tried until it succeeds.
fn around(report: &mut Report<'_>, drafts: &mut Drafts, graph: &Graph, pivot: usize) {
    let steps = &drafts.blocks[MAIN_BLOCK].steps;
    let Some(before) = graph.upstream(pivot).filter(|_| steps.iter().all(|&step| !graph.is_partial[step])) else {
        return;
    };
    let after = graph.downstream(pivot);
    for step in 0..drafts.steps.len() {
        if drafts.part(step) != "steps" || drafts.is_in_undo(step) {
            continue;
        }
        let outermost = drafts.levels(step).into_iter().filter_map(|level| level.within).next_back().unwrap_or(step);
        let pivot_id = drafts.steps[pivot].id.clone();
        let draft = &mut drafts.steps[step];
        match draft.marks.compensate {
            Some(span) if after[outermost] => {
                let message = format!("`{}` runs after the pivot `{pivot_id}`, so it is never undone", draft.id);
                let help = "remove `compensate`: the step is tried until it succeeds".to_owned();
                report.add(Code::Saga, span, message, help);
            }
            Some(span) if outermost != pivot && !before[outermost] => {
                let message = format!(
                    "`{}` may be under way when the pivot `{pivot_id}` completes, and is not undone then",
                    draft.id
                );
                let help = format!("let `{pivot_id}` need it, or remove `compensate`");
                report.add(Code::Saga, span, message, help);
            }
            _ => {}
        }
        if after[outermost]
            && !draft.marks.has_retry
            && let Some(read) = draft.step.as_mut().filter(|read| takes_retry(&read.action))
        {
            read.retry = Some(Retry::until_it_succeeds());
        }
    }
}

/// What makes the executions sagas, if anything does. Then what its steps started is undone by the executions that did
/// it, where the steps do not say how.
pub(crate) fn saga(written: Option<Saga>, steps: &mut Vec<Step>, blocks: &mut Vec<Block>) -> Option<Saga> {
    if written.is_none() && steps.iter().all(|step| step.compensate.is_none()) {
        return None;
    }
    for step in 0..steps.len() {
        let starts = matches!(steps[step].action, Action::Workflow { wait: true, .. });
        if starts && steps[step].compensate.is_none() && is_forward(steps, blocks, step) {
            let block = blocks.len();
            blocks.push(Block { steps: vec![steps.len()], owner: Some(step) });
            steps[step].compensate = Some(block);
            steps.push(unwind(&steps[step].path, block));
        }
    }
    Some(written.unwrap_or_default())
}

/// Whether a step belongs to the workflow's own list, and to nothing that undoes a step of it.
fn is_forward(steps: &[Step], blocks: &[Block], step: usize) -> bool {
    let mut block = steps[step].block;
    while let Some(owner) = blocks[block].owner {
        if steps[owner].compensate == Some(block) {
            return false;
        }
        block = steps[owner].block;
    }
    block == MAIN_BLOCK
}

/// The step that lets another execution undo what it did. That one tries again by itself, and says when it cannot.
fn unwind(path: &str, block: usize) -> Step {
    Step {
        id: UNDO.to_owned(),
        path: format!("{path}.{UNDO}"),
        name: None,
        block,
        needs: Vec::new(),
        foreach: None,
        until: None,
        action: Action::Unwind,
        env: std::collections::BTreeMap::new(),
        timeout: None,
        condition: None,
        retry: None,
        on_lost: OnLost::Retry,
        continue_on_error: false,
        outputs: None,
        compensate: None,
        pivot: false,
    }
}
