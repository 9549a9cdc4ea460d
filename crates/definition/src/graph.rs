//! Resolves which step needs which, and refuses circles.

use std::collections::HashMap;

use crate::diagnostic::{Code, Report, quoted};
use crate::read::Drafts;
use crate::source::Span;
use crate::suggest;

/// Circles beyond this many are not looked for.
const MAX_CIRCLES: usize = 20;

/// What the steps need.
pub(crate) struct Graph {
    /// For each step the steps of its list that it needs, ascending.
    pub(crate) needs: Vec<Vec<usize>>,
    /// For each step whether one of its needs could not be resolved.
    pub(crate) is_partial: Vec<bool>,
    /// For each list whether its steps run from top to bottom.
    pub(crate) is_sequence: Vec<bool>,
    pub(crate) has_circle: bool,
}

impl Graph {
    /// The steps that have completed when `step` runs; nothing where that is not known.
    pub(crate) fn upstream(&self, step: usize) -> Option<Vec<bool>> {
        let mut seen = vec![false; self.needs.len()];
        let mut open = vec![step];
        while let Some(next) = open.pop() {
            if self.is_partial[next] {
                return None;
            }
            for &need in &self.needs[next] {
                if !std::mem::replace(&mut seen[need], true) {
                    open.push(need);
                }
            }
        }
        Some(seen)
    }
}

impl Graph {
    /// The steps that need `step`, directly or through others.
    pub(crate) fn downstream(&self, step: usize) -> Vec<bool> {
        let mut needed_by = vec![Vec::new(); self.needs.len()];
        for (other, needs) in self.needs.iter().enumerate() {
            for &need in needs {
                needed_by[need].push(other);
            }
        }
        let mut seen = vec![false; self.needs.len()];
        let mut open = vec![step];
        while let Some(next) = open.pop() {
            for &other in &needed_by[next] {
                if !std::mem::replace(&mut seen[other], true) {
                    open.push(other);
                }
            }
        }
        seen
    }
}

/// Resolves the needs of all steps. In a list without any `needs`, each step needs the one before it.
pub(crate) fn resolve(report: &mut Report<'_>, drafts: &Drafts) -> Graph {
    let count = drafts.steps.len();
    let mut graph = Graph {
        needs: vec![Vec::new(); count],
        is_partial: vec![false; count],
        is_sequence: Vec::with_capacity(drafts.blocks.len()),
        has_circle: false,
    };
    let ids = Ids {
        of_list: drafts.index(),
        anywhere: drafts.steps.iter().enumerate().rev().map(|(at, draft)| (draft.id.as_str(), at)).collect(),
    };
    let mut spans: Vec<Vec<(usize, Span)>> = vec![Vec::new(); count];
    for block in &drafts.blocks {
        let is_sequence = block.steps.iter().all(|&step| drafts.steps[step].needs.is_none());
        graph.is_sequence.push(is_sequence);
        if is_sequence {
            for (&before, &step) in block.steps.iter().zip(block.steps.iter().skip(1)) {
                graph.needs[step].push(before);
            }
            continue;
        }
        for &step in &block.steps {
            spans[step] = needs(report, drafts, &ids, step);
            graph.is_partial[step] = spans[step].len() < drafts.steps[step].needs.as_ref().map_or(0, Vec::len);
            graph.needs[step] = spans[step].iter().map(|&(need, _)| need).collect();
            graph.needs[step].sort_unstable();
            graph.needs[step].dedup();
        }
    }
    let circles = circles(&graph.needs);
    graph.has_circle = !circles.is_empty();
    for circle in circles {
        let ids: Vec<&str> = circle.iter().chain(circle.first()).map(|&step| drafts.steps[step].id.as_str()).collect();
        let (first, second) = (circle[0], circle[1 % circle.len()]);
        let at = spans[first].iter().find(|&&(need, _)| need == second);
        let span = at.map_or(drafts.steps[first].span, |&(_, span)| span);
        let message = format!("steps need each other in a circle: {}", ids.join(" -> "));
        report.add(Code::Cycle, span, message, "remove one of these from `needs`".to_owned());
    }
    graph
}

/// The steps by their ids.
struct Ids<'d> {
    of_list: HashMap<(usize, &'d str), usize>,
    anywhere: HashMap<&'d str, usize>,
}

/// The steps that a step names under `needs`, as far as they are there; the others are reported.
fn needs(report: &mut Report<'_>, drafts: &Drafts, ids: &Ids<'_>, step: usize) -> Vec<(usize, Span)> {
    let draft = &drafts.steps[step];
    let mut found = Vec::new();
    for (name, span) in draft.needs.iter().flatten() {
        if let Some(&need) = ids.of_list.get(&(draft.block, name.as_str())) {
            found.push((need, *span));
        } else if let Some(&other) = ids.anywhere.get(name.as_str()) {
            let help = elsewhere(drafts, step, other);
            let message =
                format!("the step `{}` needs {}, which stands in another list of steps", draft.id, quoted(name));
            report.add(Code::UnknownNeed, *span, message, help);
        } else if drafts.blocks[draft.block].is_whole {
            let message = format!("the step `{}` needs {}, which does not exist", draft.id, quoted(name));
            let others = drafts.ids(draft.block).filter(|id| *id != draft.id);
            let nearest = (!report.is_full()).then(|| suggest::did_you_mean(name, others)).flatten();
            let help = nearest
                .unwrap_or_else(|| format!("add a step with the id {}, or remove it from `needs`", quoted(name)));
            report.add(Code::UnknownNeed, *span, message, help);
        }
    }
    found
}

/// What to do about a need that is a step of another list.
fn elsewhere(drafts: &Drafts, step: usize, other: usize) -> String {
    let around = drafts.levels(step).into_iter().skip(1).find(|level| level.block == drafts.steps[other].block);
    if let Some(level) = around {
        return match level.within {
            Some(within) => {
                format!("name it in the `needs` of `{}`, which this step is part of", drafts.steps[within].id)
            }
            None => "it has ended by then; remove it from `needs`".to_owned(),
        };
    }
    let beside = drafts.levels(other).into_iter().find(|level| level.block == drafts.steps[step].block);
    match beside.and_then(|level| level.within) {
        Some(within) if within != step => {
            format!(
                "need `{}`, which it is part of: that has ended when all of its steps have",
                drafts.steps[within].id
            )
        }
        _ => "a step can only need steps of its own list".to_owned(),
    }
}

/// Disjoint circles, each from its first step along what it needs.
fn circles(needs: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut is_left = vec![true; needs.len()];
    let mut circles = Vec::new();
    while circles.len() < MAX_CIRCLES {
        remove_settled(needs, &mut is_left);
        let Some(start) = is_left.iter().position(|&left| left) else {
            break;
        };
        // Every step that is left needs one that is left, so this walk comes back to where it has been.
        let mut walk = Vec::new();
        let mut place = vec![None; needs.len()];
        let mut step = start;
        let entered = loop {
            if let Some(entered) = place[step] {
                break entered;
            }
            place[step] = Some(walk.len());
            walk.push(step);
            let Some(&next) = needs[step].iter().find(|&&need| is_left[need]) else {
                return circles;
            };
            step = next;
        };
        let mut circle = walk.split_off(entered);
        for &step in &circle {
            is_left[step] = false;
        }
        let first = circle.iter().enumerate().min_by_key(|&(_, step)| step).map_or(0, |(at, _)| at);
        circle.rotate_left(first);
        circles.push(circle);
    }
    circles
}

/// Removes the steps that could run: all that they need is removed already.
fn remove_settled(needs: &[Vec<usize>], is_left: &mut [bool]) {
    let mut waiting: Vec<usize> =
        needs.iter().map(|needs| needs.iter().filter(|&&need| is_left[need]).count()).collect();
    let mut needed_by = vec![Vec::new(); needs.len()];
    for (step, needs) in needs.iter().enumerate() {
        for &need in needs {
            needed_by[need].push(step);
        }
    }
    let mut ready: Vec<usize> = (0..needs.len()).filter(|&step| is_left[step] && waiting[step] == 0).collect();
    while let Some(step) = ready.pop() {
        is_left[step] = false;
        for &other in &needed_by[step] {
            waiting[other] -= 1;
            if waiting[other] == 0 && is_left[other] {
                ready.push(other);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::circles;

    #[test]
    fn finds_each_circle_once() {
        assert_eq!(circles(&[vec![], vec![0], vec![0, 1]]), Vec::<Vec<usize>>::new());
        assert_eq!(circles(&[vec![0]]), [vec![0]]);
        assert_eq!(circles(&[vec![1], vec![2], vec![0], vec![0]]), [vec![0, 1, 2]]);
        assert_eq!(circles(&[vec![1], vec![0], vec![3], vec![2], vec![1, 3]]), [vec![0, 1], vec![2, 3]]);
    }

    #[test]
    fn survives_long_chains() {
        let chain: Vec<Vec<usize>> = (0..50_000).map(|step| if step == 0 { vec![] } else { vec![step - 1] }).collect();
        assert!(circles(&chain).is_empty());
    }
}
