//! What is undone, and what each undo waits for: the graph of the steps, backwards.

use std::collections::HashMap;

use cogwheel_definition::Action;

use crate::scope::Place;
use crate::state::Phase;
use crate::{Execution, Layer, StepState, StepStatus};

/// What is undone, and how far that is.
///
/// Its order is a graph over the step instances. Each has two nodes: one that opens once it may be undone, and one that
/// is clear once nothing of it is left to undo. So a `foreach` of many values costs as many edges as it has values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unwinding {
    pub(crate) undos: Vec<Undo>,
    /// By the ordinal of the step that is undone.
    of: HashMap<i32, usize>,
    /// What may have happened and cannot be undone.
    pub(crate) remains: Vec<String>,
    /// How many undos are not settled.
    pub(crate) open: usize,
    /// How many steps there were: their opening nodes are 2n, their clear ones 2n + 1, and undos come after them all.
    steps: usize,
    /// How many nodes each node waits for.
    missing: Vec<usize>,
    /// The nodes that wait for each node.
    then: Vec<Vec<usize>>,
    /// The value of a `foreach` that takes the place of another one, as `max_parallel` allows.
    next_in_lane: HashMap<i32, i32>,
}

/// The undo of one step instance.
#[derive(Clone, Debug)]
pub(crate) struct Undo {
    /// The ordinal of the instance that is undone.
    pub(crate) forward: i32,
    /// 0 comes first; equal ones may run side by side.
    pub(crate) order: u32,
    /// A scope for each time it is tried.
    pub(crate) scopes: Vec<usize>,
    /// Whether its turn has come.
    pub(crate) is_due: bool,
    /// Whether it is settled and what waited for it goes on.
    pub(crate) is_done: bool,
}

fn place(ordinal: i32) -> usize {
    usize::try_from(ordinal).unwrap_or_default()
}

impl Unwinding {
    /// The undo of a step instance.
    pub(crate) fn of(&self, forward: i32) -> Option<usize> {
        self.of.get(&forward).copied()
    }

    fn edge(&mut self, before: usize, after: usize) {
        self.then[before].push(after);
        self.missing[after] += 1;
    }

    fn add_undo(&mut self, forward: i32) {
        let node = 2 * self.steps + self.undos.len();
        self.of.insert(forward, self.undos.len());
        self.undos.push(Undo { forward, order: 0, scopes: Vec::new(), is_due: false, is_done: false });
        self.missing.push(0);
        self.then.push(Vec::new());
        self.edge(open(forward), node);
        self.edge(node, clear(forward));
    }

    /// Numbers the undos by how many stand before them on the longest way.
    fn number(&mut self) {
        let mut missing = self.missing.clone();
        let mut order = vec![0_u32; missing.len()];
        let mut ready: Vec<usize> = (0..missing.len()).filter(|&node| missing[node] == 0).collect();
        while let Some(node) = ready.pop() {
            let after = order[node] + u32::from(node >= 2 * self.steps);
            for &next in &self.then[node] {
                order[next] = order[next].max(after);
                missing[next] -= 1;
                if missing[next] == 0 {
                    ready.push(next);
                }
            }
        }
        for (undo, order) in self.undos.iter_mut().zip(&order[2 * self.steps..]) {
            undo.order = *order;
        }
    }

    /// The undos whose turn comes first.
    pub(crate) fn start(&mut self) -> Vec<usize> {
        let first = (0..2 * self.steps).filter(|&node| self.missing[node] == 0).collect();
        self.pass(first)
    }

    /// An undo is settled: those whose turn comes by that.
    pub(crate) fn settle(&mut self, undo: usize) -> Vec<usize> {
        if std::mem::replace(&mut self.undos[undo].is_done, true) {
            return Vec::new();
        }
        self.open -= 1;
        self.pass(vec![2 * self.steps + undo])
    }

    /// An undo inside of this value of a `foreach` has failed, and the value holds up no other: those whose turn comes
    /// by that.
    pub(crate) fn give_way(&mut self, value: i32) -> Vec<usize> {
        let Some(next) = self.next_in_lane.remove(&value) else { return Vec::new() };
        let node = open(next);
        self.missing[node] -= 1;
        if self.missing[node] == 0 { self.pass(vec![node]) } else { Vec::new() }
    }

    /// Passes nodes that wait for nothing more, and whatever follows from that.
    fn pass(&mut self, mut passed: Vec<usize>) -> Vec<usize> {
        let mut due = Vec::new();
        while let Some(node) = passed.pop() {
            let mut then = std::mem::take(&mut self.then[node]);
            if node < 2 * self.steps && node % 2 == 1 {
                let value = i32::try_from(node / 2).unwrap_or(i32::MAX);
                then.extend(self.next_in_lane.remove(&value).map(open));
            }
            for next in then {
                self.missing[next] -= 1;
                match next.checked_sub(2 * self.steps) {
                    _ if self.missing[next] > 0 => {}
                    Some(undo) => {
                        self.undos[undo].is_due = true;
                        due.push(undo);
                    }
                    None => passed.push(next),
                }
            }
        }
        due.sort_unstable();
        due
    }
}

/// The node of an instance that opens once it may be undone.
fn open(ordinal: i32) -> usize {
    2 * place(ordinal)
}

/// The node of an instance that is clear once nothing of it is left to undo.
fn clear(ordinal: i32) -> usize {
    2 * place(ordinal) + 1
}

impl Execution {
    /// What there is to undo of the steps, which have ended.
    pub(crate) fn plan(&self) -> Unwinding {
        let steps = self.steps.len();
        let nodes = 2 * steps;
        let mut plan =
            Unwinding { steps, missing: vec![0; nodes], then: vec![Vec::new(); nodes], ..Unwinding::default() };
        // The last round of each loop so far, and the values of each `foreach`.
        let mut rounds: HashMap<i32, i32> = HashMap::new();
        let mut values: HashMap<i32, Vec<i32>> = HashMap::new();
        let mut is_part = vec![false; steps];
        let is_past_pivot = self.is_past_pivot();
        let mut stands_for_all = vec![false; steps];
        for state in &self.steps {
            let (ordinal, at) = (state.ordinal, place(state.ordinal));
            is_part[at] = match state.parent {
                Some(parent) => is_part[place(parent)] && !stands_for_all[place(parent)] && !self.is_undo(ordinal),
                None => self.phases[Phase::Main as usize] == Some(self.instance(ordinal).scope),
            };
            if !is_part[at] {
                continue;
            }
            plan.edge(open(ordinal), clear(ordinal));
            if let Some(parent) = state.parent {
                plan.edge(open(parent), open(ordinal));
                plan.edge(clear(ordinal), clear(parent));
            }
            match (self.instance(ordinal).place, state.parent) {
                (Place::Slot, _) => {
                    let scope = self.instance(ordinal).scope;
                    let dependents = self.graph.dependents[state.step].iter();
                    for dependent in dependents.filter_map(|&step| self.in_scope(scope, step)) {
                        plan.edge(clear(dependent.ordinal), open(ordinal));
                    }
                }
                (Place::Round(_), Some(parent)) => {
                    if let Some(earlier) = rounds.insert(parent, ordinal) {
                        plan.edge(clear(ordinal), open(earlier));
                    }
                }
                (Place::Item(_), Some(parent)) => values.entry(parent).or_default().push(ordinal),
                (Place::Round(_) | Place::Item(_), None) => {}
            }
            if self.is_undone(state) {
                plan.add_undo(ordinal);
                stands_for_all[at] = true;
            } else if !is_past_pivot && self.is_unknown_pivot(state) {
                plan.remains.push(state.key.clone());
            }
            // How a step is undone that says so itself covers what its executions left.
            if self.undoing(state).is_none_or(|undo| matches!(undo, Action::Unwind)) {
                plan.remains.extend(self.left_by_children(state));
            }
        }
        plan.number();
        for (all, values) in values {
            self.add_lanes(&mut plan, all, &values);
        }
        plan.open = plan.undos.len();
        plan
    }

    /// At most `max_parallel` values of a `foreach` are undone side by side, the last ones first.
    fn add_lanes(&self, plan: &mut Unwinding, all: i32, values: &[i32]) {
        let Some(most) = self.definition(self.at(all)).foreach.as_ref().and_then(|foreach| foreach.max_parallel) else {
            return;
        };
        for (&next, &value) in values.iter().zip(values.iter().skip(most)) {
            plan.next_in_lane.insert(value, next);
            plan.missing[open(next)] += 1;
        }
    }

    /// What undoes a step.
    pub(crate) fn undoing(&self, state: &StepState) -> Option<&Action> {
        let workflow = &self.new.workflow;
        let block = workflow.steps[state.step].compensate.filter(|_| state.layer == Layer::Action)?;
        workflow.blocks[block].steps.first().map(|&step| &workflow.steps[step].action)
    }

    /// Whether an instance is undone, by itself or with all that it encloses.
    fn is_undone(&self, state: &StepState) -> bool {
        let Some(undo) = self.undoing(state) else { return false };
        match (&self.definition(state).action, undo) {
            // One that did not complete is undone step by step.
            (Action::Group { .. } | Action::Switch { .. }, _) => state.status == StepStatus::Completed,
            (_, Action::Unwind) => !self.children_to_unwind(state.ordinal).is_empty(),
            _ => state.may_have_happened(),
        }
    }

    /// Whether the pivot did not complete and may have happened all the same: then nothing can undo it.
    fn is_unknown_pivot(&self, state: &StepState) -> bool {
        let definition = self.definition(state);
        let encloses = !definition.action.blocks().is_empty();
        definition.pivot
            && state.layer == Layer::Action
            && !encloses
            && definition.compensate.is_none()
            && state.may_have_happened()
    }

    /// Whether the step after which nothing is undone any more has completed.
    pub(crate) fn is_past_pivot(&self) -> bool {
        let main = self.phases[Phase::Main as usize];
        let pivot = self.new.workflow.steps.iter().position(|step| step.pivot);
        main.zip(pivot)
            .and_then(|(main, pivot)| self.in_scope(main, pivot))
            .is_some_and(|state| state.status == StepStatus::Completed)
    }

    /// The step that an instance undoes, or belongs to the undoing of.
    pub fn undone_by(&self, ordinal: i32) -> Option<i32> {
        let around = std::iter::successors(self.step(ordinal), |inner| self.step(inner.parent?));
        around.filter(|state| self.is_undo(state.ordinal)).last().and_then(|undo| undo.parent)
    }

    /// Whether an instance undoes another, which is the one around it.
    pub(crate) fn is_undo(&self, ordinal: i32) -> bool {
        let instance = self.instance(ordinal);
        instance.place == Place::Slot && self.scopes[instance.scope].undo.is_some()
    }
}
