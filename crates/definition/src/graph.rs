//! Resolves which step needs which, and refuses circles.

use crate::diagnostic::{Code, Report, quoted};
use crate::read::Steps;
use crate::source::Span;
use crate::suggest;

/// Circles beyond this many are not looked for.
const MAX_CIRCLES: usize = 20;

/// What the steps need.
pub(crate) struct Graph {
    /// For each step the steps it needs, ascending.
    pub(crate) needs: Vec<Vec<usize>>,
    /// For each step whether one of its needs could not be resolved.
    pub(crate) is_partial: Vec<bool>,
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

/// Resolves the needs of all steps. Without any `needs`, each step needs the one before it.
pub(crate) fn resolve(report: &mut Report<'_>, steps: &Steps) -> Graph {
    let count = steps.drafts.len();
    let mut graph = Graph { needs: vec![Vec::new(); count], is_partial: vec![false; count], has_circle: false };
    if steps.drafts.iter().all(|draft| draft.needs.is_none()) {
        for step in 1..count {
            graph.needs[step].push(step - 1);
        }
        return graph;
    }
    let index = steps.index();
    let mut spans: Vec<Vec<(usize, Span)>> = vec![Vec::new(); count];
    for (step, draft) in steps.drafts.iter().enumerate() {
        for (name, span) in draft.needs.iter().flatten() {
            if let Some(&need) = index.get(name.as_str()) {
                spans[step].push((need, *span));
                continue;
            }
            graph.is_partial[step] = true;
            if steps.is_whole {
                let message = format!("the step `{}` needs {}, which does not exist", draft.id, quoted(name));
                let others = index.keys().copied().filter(|id| *id != draft.id);
                let help = suggest::did_you_mean(name, others)
                    .unwrap_or_else(|| format!("add a step with the id {}, or remove it from `needs`", quoted(name)));
                report.add(Code::UnknownNeed, *span, message, help);
            }
        }
        graph.needs[step] = spans[step].iter().map(|&(need, _)| need).collect();
        graph.needs[step].sort_unstable();
        graph.needs[step].dedup();
    }
    let circles = circles(&graph.needs);
    graph.has_circle = !circles.is_empty();
    for circle in circles {
        let ids: Vec<&str> = circle.iter().chain(circle.first()).map(|&step| steps.drafts[step].id.as_str()).collect();
        let (first, second) = (circle[0], circle[1 % circle.len()]);
        let at = spans[first].iter().find(|&&(need, _)| need == second);
        let span = at.map_or(steps.drafts[first].span, |&(_, span)| span);
        let message = format!("steps need each other in a circle: {}", ids.join(" -> "));
        report.add(Code::Cycle, span, message, "remove one of these from `needs`".to_owned());
    }
    graph
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
