//! Rebuilds an execution from what is recorded of it.

use chrono::{DateTime, Utc};
use cogwheel_definition::{Action, UNDO};
use serde_json::Value;

use crate::decide::chosen_block;
use crate::saga::UndoStatus;
use crate::scope::{Inside, Items, Place, below_foreach, outermost};
use crate::state::Phase;
use crate::{
    Execution, ExecutionStatus, Failure, FailureKind, Layer, Limits, NewExecution, RecordedSaga, StepState, StepStatus,
};

/// The recorded facts about an execution itself.
#[derive(Clone, Debug)]
pub struct RecordedHead {
    /// Where it stood.
    pub status: ExecutionStatus,
    /// When it was claimed.
    pub started_at: Option<DateTime<Utc>>,
    /// When it must have ended.
    pub deadline_at: Option<DateTime<Utc>>,
    /// What it puts out, if that was decided.
    pub result: Option<Value>,
    /// Why it does not complete, if that was decided.
    pub error: Option<Failure>,
    /// What was recorded of it as a saga, beside its steps: [`Execution::recorded_saga`].
    pub saga: Option<RecordedSaga>,
}

/// Where a recorded step belongs.
struct Home {
    scope: usize,
    step: usize,
    layer: Layer,
    place: Place,
}

impl Execution {
    /// An execution as its rows tell it.
    ///
    /// # Errors
    ///
    /// Which row does not fit the definition or the other rows.
    pub fn restored(
        new: NewExecution,
        limits: Limits,
        head: RecordedHead,
        mut steps: Vec<StepState>,
    ) -> Result<Self, String> {
        let mut execution = Self::queued(new, limits);
        execution.status = head.status;
        execution.started_at = head.started_at;
        execution.deadline_at = head.deadline_at;
        if !head.status.is_terminal() && (head.result.is_some() || head.error.is_some()) {
            execution.verdict = Some(decided(head.error.as_ref()));
        }
        execution.result = head.result;
        execution.error = head.error;
        if let Some(saga) = &mut execution.saga {
            saga.recorded = head.saga.unwrap_or_default();
        }
        steps.sort_unstable_by_key(|state| state.ordinal);
        for state in steps {
            execution.restore_step(state)?;
        }
        execution.recount();
        if head.status == ExecutionStatus::Compensating
            && execution.recorded_saga().is_none_or(|saga| saga.unwind_number == 0)
        {
            return Err("it is being undone, but no unwinding is recorded".to_owned());
        }
        if !execution.restore_unwinding() {
            execution.restore_phase();
        }
        Ok(execution)
    }

    /// Rebuilds how far the unwinding is. Whether it is still under way.
    fn restore_unwinding(&mut self) -> bool {
        let status = self.status;
        if self.recorded_saga().is_none_or(|saga| saga.unwind_number == 0) {
            return false;
        }
        let mut unwinding = self.plan();
        for (scope, of) in self.scopes.iter().enumerate().filter(|(_, scope)| scope.undo.is_some()) {
            if let Some(undo) = of.owner.and_then(|forward| unwinding.of(forward)) {
                unwinding.undos[undo].scopes.push(scope);
            }
        }
        let mut due = unwinding.start();
        if let Some(saga) = &mut self.saga {
            saga.unwinding = Some(unwinding);
        }
        while let Some(undo) = due.pop() {
            due.extend(self.pass_undo(undo));
        }
        let is_over = self.unwinding().is_none_or(|unwinding| unwinding.open == 0);
        self.verdict = (is_over && !status.is_terminal()).then(|| self.verdict_of_unwinding().0);
        if is_over || status.is_terminal() {
            return status.is_terminal();
        }
        self.phase = Phase::Unwinding;
        true
    }

    /// Passes an undo whose turn has come, as far as it is known to have ended: those whose turn comes by that. One that
    /// has failed gave way to others then, whatever became of it since.
    fn pass_undo(&mut self, undo: usize) -> Vec<usize> {
        let is_settled = self.is_settled(undo);
        let was_decided = self.unwinding().is_some_and(|all| self.resolution(all.undos[undo].forward).is_some());
        let has_paused = was_decided || !is_settled && self.undo_status(undo) == UndoStatus::Failed;
        let mut due = if has_paused { self.give_way(undo) } else { Vec::new() };
        if is_settled {
            due.extend(self.unwinding_mut().map(|unwinding| unwinding.settle(undo)).unwrap_or_default());
        }
        due
    }

    fn restore_step(&mut self, mut state: StepState) -> Result<(), String> {
        let (ordinal, key) = (state.ordinal, state.key.clone());
        if ordinal != self.next_ordinal() {
            return Err(format!("step {} is not recorded, but later ones are", self.next_ordinal()));
        }
        if state.parent.is_some_and(|parent| parent >= ordinal || parent < 0) {
            return Err(format!("step `{key}` is recorded inside of a step that is not recorded before it"));
        }
        let home = self.home(&state).ok_or_else(|| format!("step `{key}` is recorded but not defined"))?;
        state.step = home.step;
        state.layer = home.layer;
        let (wake_at, timeout_at, is_over) = (state.wake_at, state.timeout_at, state.status.is_terminal());
        let inside = self.inside(&state);
        self.attach(state, home.scope, home.place);
        self.instance_mut(ordinal).inside = inside;
        if !is_over {
            // What was recorded without its timers gets them.
            let state = self.at_mut(ordinal);
            (state.wake_at, state.timeout_at) = (None, None);
            self.set_times(ordinal, wake_at, timeout_at);
        }
        Ok(())
    }

    fn home(&mut self, state: &StepState) -> Option<Home> {
        let workflow = std::sync::Arc::clone(&self.new.workflow);
        let Some(parent) = state.parent else {
            let (scope, step) = self.phase_scope_of(&state.key)?;
            return Some(Home { scope, step, layer: outermost(&workflow.steps[step]), place: Place::Slot });
        };
        if let Some(home) = self.home_of_undo(parent, &state.key) {
            return Some(home);
        }
        let outer = self.step(parent)?;
        let below = state.key.strip_prefix(outer.key.as_str())?;
        let (scope, step) = (self.instance(parent).scope, outer.step);
        let number = below.strip_prefix('[').and_then(|below| below.strip_suffix(']')?.parse().ok());
        match (outer.layer, &self.instance(parent).inside) {
            (Layer::Foreach, _) => {
                let layer = below_foreach(&workflow.steps[step]);
                Some(Home { scope, step, layer, place: Place::Item(number?) })
            }
            (Layer::Loop, _) => Some(Home { scope, step, layer: Layer::Action, place: Place::Round(number?) }),
            (Layer::Action, Inside::Scope(inner)) => {
                let id = below.strip_prefix('.')?;
                let block = &workflow.blocks[self.scopes[*inner].block];
                let step = block.steps.iter().copied().find(|&step| workflow.steps[step].id == id)?;
                Some(Home { scope: *inner, step, layer: outermost(&workflow.steps[step]), place: Place::Slot })
            }
            (Layer::Action, _) => None,
        }
    }

    /// Where what undoes `forward` belongs, if this is its key: each try has a scope of its own.
    fn home_of_undo(&mut self, forward: i32, key: &str) -> Option<Home> {
        let outer = self.step(forward)?;
        let block = self.definition(outer).compensate.filter(|_| outer.layer == Layer::Action)?;
        let number = key.strip_prefix(outer.key.as_str())?.strip_prefix('.')?.strip_prefix(UNDO)?;
        let tried = match number {
            "" => 0,
            number => number.strip_prefix('[')?.strip_suffix(']')?.parse().ok()?,
        };
        let step = *self.new.workflow.blocks[block].steps.first()?;
        let layer = outermost(&self.new.workflow.steps[step]);
        let scope = self.add_undo_scope(forward, tried)?;
        Some(Home { scope, step, layer, place: Place::Slot })
    }

    /// The scope of the phase that has a step of this id; one that was not known to have begun has.
    fn phase_scope_of(&mut self, id: &str) -> Option<(usize, usize)> {
        let workflow = std::sync::Arc::clone(&self.new.workflow);
        let blocks = [Some(cogwheel_definition::MAIN_BLOCK), workflow.on_failure, workflow.finally];
        blocks.into_iter().enumerate().find_map(|(phase, block)| {
            let block = block?;
            let step = workflow.blocks[block].steps.iter().copied().find(|&step| workflow.steps[step].id == id)?;
            let scope = self.phases[phase].unwrap_or_else(|| self.add_scope(block, None));
            self.phases[phase] = Some(scope);
            Some((scope, step))
        })
    }

    /// What a recorded instance encloses.
    fn inside(&mut self, state: &StepState) -> Inside {
        if state.attempt == 0 {
            return Inside::Nothing;
        }
        let items = || state.input.as_ref()?.get("items")?.as_array().map(Vec::len);
        let input = state.input.clone().unwrap_or_default();
        match (state.layer, &self.new.workflow.steps[state.step].action) {
            (Layer::Foreach, _) => items().map_or(Inside::Nothing, |count| Inside::Items(Items::of(count))),
            (Layer::Loop, _) => Inside::Rounds { current: None },
            (Layer::Action, Action::Group { block }) => Inside::Scope(self.add_scope(*block, Some(state.ordinal))),
            (Layer::Action, Action::Switch { cases, default, .. }) => match chosen_block(&input, cases, *default) {
                Some(block) => Inside::Scope(self.add_scope(block, Some(state.ordinal))),
                None => Inside::Nothing,
            },
            (Layer::Action, _) => Inside::Nothing,
        }
    }

    /// Counts anew what has not ended.
    fn recount(&mut self) {
        for scope in 0..self.scopes.len() {
            let block = self.scopes[scope].block;
            let mut open = 0;
            for position in 0..self.scopes[scope].slots.len() {
                let step = self.new.workflow.blocks[block].steps[position];
                let has_ended = |step| self.in_scope(scope, step).is_some_and(|state| state.status.is_terminal());
                let missing = self.new.workflow.steps[step].needs.iter().filter(|&&need| !has_ended(need)).count();
                open += usize::from(!has_ended(step));
                self.scopes[scope].slots[position].missing = missing;
            }
            self.scopes[scope].open = open;
        }
        for ordinal in 0..self.next_ordinal() {
            if let Inside::Items(items) = &self.instance(ordinal).inside {
                let live = items.begun.iter().flatten().copied().filter(|&value| !self.at(value).status.is_terminal());
                let (kept, open): (Vec<i32>, Vec<i32>) = live.partition(|&value| self.is_kept_open(value));
                if let Inside::Items(items) = &mut self.instance_mut(ordinal).inside {
                    (items.open, items.kept) = (open.len(), kept.into());
                }
            }
        }
        self.running = self
            .steps
            .iter()
            .filter(|state| state.status == StepStatus::Running && self.takes_room(state.step, state.layer))
            .count();
    }

    fn restore_phase(&mut self) {
        let Some(verdict) = self.verdict else { return };
        let (on_failure, finally) = (self.new.workflow.on_failure, self.new.workflow.finally);
        let handles = on_failure.filter(|_| verdict != ExecutionStatus::Completed);
        let phase = match (handles, self.phases[Phase::OnFailure as usize]) {
            (Some(_), Some(scope)) if self.scopes[scope].open == 0 => Phase::Finally,
            (Some(_), _) => Phase::OnFailure,
            (None, _) => Phase::Finally,
        };
        let block = if phase == Phase::OnFailure { on_failure } else { finally };
        self.phase = phase;
        if let (Some(block), None) = (block, self.phases[phase as usize]) {
            self.phases[phase as usize] = Some(self.add_scope(block, None));
        }
    }
}

/// How an execution ends of which this was recorded while it was still under way.
fn decided(error: Option<&Failure>) -> ExecutionStatus {
    match error {
        None => ExecutionStatus::Completed,
        Some(error) if error.step.is_some() => ExecutionStatus::Failed,
        Some(error) => match error.kind {
            FailureKind::Cancelled => ExecutionStatus::Cancelled,
            FailureKind::Timeout => ExecutionStatus::TimedOut,
            _ => ExecutionStatus::Failed,
        },
    }
}
