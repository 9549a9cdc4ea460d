//! Where step instances belong: the scopes whose steps they are, and what each of them encloses.

use std::collections::VecDeque;

use cogwheel_definition::{Action, Step, Workflow};

use crate::{Execution, Failure, Layer, StepState, StepStatus};

/// Which step waits for which, by index in the definition.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    /// Each step's place in its block.
    pub(crate) position: Vec<usize>,
    /// The steps that need each step.
    pub(crate) dependents: Vec<Vec<usize>>,
}

impl Graph {
    pub(crate) fn of(workflow: &Workflow) -> Self {
        let mut graph =
            Self { position: vec![0; workflow.steps.len()], dependents: vec![Vec::new(); workflow.steps.len()] };
        for block in &workflow.blocks {
            for (position, &step) in block.steps.iter().enumerate() {
                graph.position[step] = position;
            }
        }
        for (step, definition) in workflow.steps.iter().enumerate() {
            for &need in &definition.needs {
                graph.dependents[need].push(step);
            }
        }
        graph
    }
}

/// A block under way.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub(crate) block: usize,
    /// The instance that encloses it; `None` for the phases of the execution.
    pub(crate) owner: Option<i32>,
    /// How often what undoes the owner was tried before; nothing where the scope is not one of an undo.
    pub(crate) undo: Option<usize>,
    /// By position in the block.
    pub(crate) slots: Vec<Slot>,
    /// How many slots have not ended.
    pub(crate) open: usize,
}

/// The place of one step in a scope.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    /// The instance of its outermost layer, once it has begun or was decided.
    pub(crate) ordinal: Option<i32>,
    /// How many of the steps it needs have not ended.
    pub(crate) missing: usize,
}

/// What the machine keeps of a step instance beside its record.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    /// The scope in which its step stands.
    pub(crate) scope: usize,
    pub(crate) place: Place,
    pub(crate) inside: Inside,
    /// How it ends once what it encloses, or what it runs, has ended.
    pub(crate) stopping: Option<(StepStatus, Failure)>,
}

/// Which part of what encloses it an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The outermost layer of its step.
    Slot,
    /// The value of this number, from 0.
    Item(usize),
    /// The round of this number, from 0.
    Round(usize),
}

/// What an instance encloses.
#[derive(Clone, Debug)]
pub(crate) enum Inside {
    Nothing,
    Items(Items),
    Rounds {
        /// The last one that began.
        current: Option<i32>,
    },
    Scope(usize),
}

/// The values of a `foreach` under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Items {
    /// The instance of each value, once it has begun.
    pub(crate) begun: Vec<Option<i32>>,
    /// Those of an execution that was done over which did not complete, and wait to be gone on with.
    pub(crate) kept: VecDeque<i32>,
    /// No value before this one has still to begin.
    pub(crate) next: usize,
    /// How many are under way.
    pub(crate) open: usize,
    /// Whether it stands in the queue for more of them to begin.
    pub(crate) is_queued: bool,
}

impl Items {
    pub(crate) fn of(count: usize) -> Self {
        Self { begun: vec![None; count], ..Self::default() }
    }

    /// Whether more of them could be under way.
    pub(crate) fn has_more(&mut self) -> bool {
        !self.kept.is_empty() || self.next_to_begin().is_some()
    }

    /// The next value that was kept; it is under way from now on.
    pub(crate) fn take_kept(&mut self) -> Option<i32> {
        let value = self.kept.pop_front()?;
        self.open += 1;
        Some(value)
    }

    /// The next value that has not begun.
    pub(crate) fn next_to_begin(&mut self) -> Option<usize> {
        while self.begun.get(self.next).is_some_and(Option::is_some) {
            self.next += 1;
        }
        (self.next < self.begun.len()).then_some(self.next)
    }
}

/// The outermost layer of a step.
pub(crate) fn outermost(step: &Step) -> Layer {
    if step.foreach.is_some() { Layer::Foreach } else { below_foreach(step) }
}

/// The layer of a step for one value.
pub(crate) fn below_foreach(step: &Step) -> Layer {
    if step.until.is_some() { Layer::Loop } else { Layer::Action }
}

impl Execution {
    pub(crate) fn add_scope(&mut self, block: usize, owner: Option<i32>) -> usize {
        let workflow = &self.new.workflow;
        let slots: Vec<Slot> = workflow.blocks[block]
            .steps
            .iter()
            .map(|&step| Slot { ordinal: None, missing: workflow.steps[step].needs.len() })
            .collect();
        self.scopes.push(Scope { block, owner, undo: None, open: slots.len(), slots });
        self.scopes.len() - 1
    }

    /// The scope of what undoes an instance, for another try after those before it.
    pub(crate) fn add_undo_scope(&mut self, forward: i32, tried: usize) -> Option<usize> {
        let block = self.definition(self.at(forward)).compensate?;
        let scope = self.add_scope(block, Some(forward));
        self.scopes[scope].undo = Some(tried);
        Some(scope)
    }

    /// The instance of the step at `step` in `scope`.
    pub(crate) fn in_scope(&self, scope: usize, step: usize) -> Option<&StepState> {
        let ordinal = self.scopes[scope].slots[self.graph.position[step]].ordinal?;
        Some(self.at(ordinal))
    }

    /// An instance that is known to be there.
    pub(crate) fn at(&self, ordinal: i32) -> &StepState {
        &self.steps[place(ordinal)]
    }

    pub(crate) fn at_mut(&mut self, ordinal: i32) -> &mut StepState {
        &mut self.steps[place(ordinal)]
    }

    pub(crate) fn instance(&self, ordinal: i32) -> &Instance {
        &self.instances[place(ordinal)]
    }

    pub(crate) fn instance_mut(&mut self, ordinal: i32) -> &mut Instance {
        &mut self.instances[place(ordinal)]
    }

    pub(crate) fn next_ordinal(&self) -> i32 {
        i32::try_from(self.steps.len()).unwrap_or(i32::MAX)
    }

    /// The key of an instance: its id behind the key of what encloses it.
    pub(crate) fn key(&self, step: usize, parent: Option<i32>, place: Place) -> String {
        let id = &self.new.workflow.steps[step].id;
        match (place, parent) {
            (Place::Slot, None) => id.clone(),
            (Place::Slot, Some(parent)) => format!("{}.{id}", self.at(parent).key),
            (Place::Item(number) | Place::Round(number), Some(parent)) => format!("{}[{number}]", self.at(parent).key),
            (Place::Item(number) | Place::Round(number), None) => format!("{id}[{number}]"),
        }
    }

    /// Puts an instance where it belongs.
    pub(crate) fn attach(&mut self, state: StepState, scope: usize, place: Place) {
        let (ordinal, step, parent) = (state.ordinal, state.step, state.parent);
        match (place, parent) {
            (Place::Slot, _) => {
                let position = self.graph.position[step];
                self.scopes[scope].slots[position].ordinal = Some(ordinal);
            }
            (Place::Item(number), Some(parent)) => {
                if let Inside::Items(items) = &mut self.instance_mut(parent).inside
                    && let Some(begun) = items.begun.get_mut(number)
                {
                    *begun = Some(ordinal);
                    items.open += 1;
                }
            }
            (Place::Round(_), Some(parent)) => {
                self.instance_mut(parent).inside = Inside::Rounds { current: Some(ordinal) };
            }
            (Place::Item(_) | Place::Round(_), None) => {}
        }
        self.steps.push(state);
        self.instances.push(Instance { scope, place, inside: Inside::Nothing, stopping: None });
    }

    /// Makes an instance of a layer of a step; nothing has happened to it yet.
    pub(crate) fn create(&mut self, scope: usize, step: usize, layer: Layer, parent: Option<i32>, place: Place) -> i32 {
        let ordinal = self.next_ordinal();
        let mut key = self.key(step, parent, place);
        if let (Place::Slot, Some(tried @ 1..)) = (place, self.scopes[scope].undo) {
            key = format!("{key}[{tried}]");
        }
        self.attach(StepState::pending(ordinal, key, parent, step, layer), scope, place);
        ordinal
    }

    /// Whether those that need a step that ended so may go on.
    pub(crate) fn counts_as_completed(&self, state: &StepState) -> bool {
        match state.status {
            StepStatus::Completed => true,
            StepStatus::Failed | StepStatus::TimedOut => self.definition(state).continue_on_error,
            StepStatus::Pending
            | StepStatus::Running
            | StepStatus::Waiting
            | StepStatus::Retrying
            | StepStatus::Skipped
            | StepStatus::Cancelled => false,
        }
    }

    /// Whether a step type runs this instance, so that it takes up room while it does.
    pub(crate) fn takes_room(&self, step: usize, layer: Layer) -> bool {
        layer == Layer::Action && self.new.workflow.steps[step].action.is_run()
    }

    /// Whether an instance was kept although it had not completed, and waits to be gone on with.
    pub(crate) fn is_kept_open(&self, ordinal: i32) -> bool {
        let encloses = matches!(self.instance(ordinal).inside, Inside::Items(_) | Inside::Scope(_));
        encloses && self.at(ordinal).status == StepStatus::Waiting
    }

    /// Whether an instance waits for the end of another execution.
    pub(crate) fn awaits_child(&self, state: &StepState) -> bool {
        state.layer == Layer::Action
            && state.status == StepStatus::Waiting
            && matches!(self.definition(state).action, Action::Workflow { .. })
    }
}

fn place(ordinal: i32) -> usize {
    usize::try_from(ordinal).unwrap_or_default()
}
