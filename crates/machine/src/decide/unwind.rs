//! Undoes what the steps did: begins undos as their turn comes, and ends the unwinding with the verdict they give.

use chrono::{DateTime, Utc};
use cogwheel_definition::Action;
use serde_json::json;

use super::{Decision, Effect, Rejected, Unwound};
use crate::saga::{UndoStatus, Unwinding};
use crate::scope::Place;
use crate::state::Phase;
use crate::{
    Cause, CauseKind, Change, Execution, ExecutionId, ExecutionStatus, Failure, FailureKind, Layer, StepState,
    StepStatus,
};

impl Execution {
    /// What is undone now that the steps ended badly, and why. Where nothing is, `error` names what is left.
    pub(super) fn to_unwind(&self, status: ExecutionStatus, error: &mut Option<Failure>) -> Option<(Cause, Unwinding)> {
        let is_bad = status != ExecutionStatus::Completed && self.saga.is_some();
        let error = error.as_mut().filter(|_| is_bad)?;
        let plan = self.plan();
        if self.is_past_pivot() || plan.undos.is_empty() {
            error.not_undone = self.keys_to_undo(&plan);
            return None;
        }
        // What executions below could not undo is among what is left in the end.
        error.not_undone = Vec::new();
        Some((Cause { kind: CauseKind::of(status), error: error.clone() }, plan))
    }

    /// The steps that would be undone, and what could not be.
    pub(crate) fn keys_to_undo(&self, plan: &Unwinding) -> Vec<String> {
        let undos = plan.undos.iter().map(|undo| self.at(undo.forward).key.clone());
        undos.chain(plan.remains.iter().cloned()).collect()
    }

    /// Begins to undo what is planned.
    pub(super) fn begin_unwinding(
        &mut self,
        cause: Cause,
        mut plan: Unwinding,
        now: DateTime<Utc>,
        decision: &mut Decision,
    ) {
        self.record(Change::UnwindStarted { cause, at: now }, decision);
        self.phase = Phase::Unwinding;
        self.stopping = None;
        let due = plan.start();
        if let Some(saga) = &mut self.saga {
            saga.unwinding = Some(plan);
        }
        self.undo_next(due, now, decision);
    }

    /// Goes on after a restart with what was to be begun.
    pub(super) fn resume_unwinding(&mut self) {
        let undos = self.unwinding().map_or(0, |unwinding| unwinding.undos.len());
        for undo in 0..undos {
            if self.unwinding().is_some_and(|all| all.undos[undo].is_due && !all.undos[undo].is_done) {
                self.begin_undo(undo);
            }
        }
    }

    /// Begins those whose turn has come, and passes those that need not begin any more.
    fn undo_next(&mut self, mut due: Vec<usize>, now: DateTime<Utc>, decision: &mut Decision) {
        let mut next = 0;
        while let Some(&undo) = due.get(next) {
            next += 1;
            if self.is_settled(undo) {
                due.extend(self.unwinding_mut().map(|unwinding| unwinding.settle(undo)).unwrap_or_default());
            } else {
                self.begin_undo(undo);
            }
        }
        if self.unwinding().is_some_and(|unwinding| unwinding.open == 0) {
            self.unwound(now, decision);
        }
    }

    /// Queues what undoes a step, unless it stands in the queue already, is under way, or waits for somebody.
    pub(super) fn begin_undo(&mut self, undo: usize) {
        let Some(unwinding) = self.unwinding() else { return };
        let (forward, tried) = (unwinding.undos[undo].forward, unwinding.undos[undo].scopes.len());
        if tried > self.tries_of(undo).count() || !self.is_to_begin(undo) {
            return;
        }
        let Some(scope) = self.add_undo_scope(forward, tried) else { return };
        if let Some(unwinding) = self.unwinding_mut() {
            unwinding.undos[undo].scopes.push(scope);
        }
        self.begin_scope(scope);
    }

    /// What undoes a step has ended.
    pub(super) fn undo_ended(&mut self, forward: i32, now: DateTime<Utc>, decision: &mut Decision) {
        let Some(undo) = self.unwinding().and_then(|unwinding| unwinding.of(forward)) else { return };
        self.pass_undo_on(undo, now, decision);
    }

    /// Lets go on what waited for an undo, if nothing more comes of it.
    pub(super) fn pass_undo_on(&mut self, undo: usize, now: DateTime<Utc>, decision: &mut Decision) {
        let due = if self.is_settled(undo) {
            self.unwinding_mut().map(|unwinding| unwinding.settle(undo)).unwrap_or_default()
        } else {
            self.give_way(undo)
        };
        self.undo_next(due, now, decision);
    }

    /// What could not be undone holds up none of the other values of its `foreach`.
    pub(crate) fn give_way(&mut self, undo: usize) -> Vec<usize> {
        let mut due = Vec::new();
        let mut at = self.unwinding().map(|unwinding| unwinding.undos[undo].forward);
        while let Some(ordinal) = at {
            if let Place::Item(_) = self.instance(ordinal).place {
                due.extend(self.unwinding_mut().map(|unwinding| unwinding.give_way(ordinal)).unwrap_or_default());
            }
            at = self.at(ordinal).parent;
        }
        due
    }

    /// What is not undone by now, and what cannot be.
    pub(crate) fn left_of_unwinding(&self) -> Vec<String> {
        let Some(unwinding) = self.unwinding() else { return Vec::new() };
        let undos = 0..unwinding.undos.len();
        let left = undos
            .filter(|&undo| self.undo_status(undo) != UndoStatus::Completed)
            .map(|undo| self.at(unwinding.undos[undo].forward).key.clone());
        left.chain(unwinding.remains.iter().cloned()).collect()
    }

    /// How a saga ends that was undone, and with what.
    pub(crate) fn verdict_of_unwinding(&self) -> (ExecutionStatus, Option<Failure>) {
        let not_undone = self.left_of_unwinding();
        let is_undone = not_undone.is_empty();
        let error = self.error.clone().map(|error| Failure { not_undone, ..error });
        (if is_undone { ExecutionStatus::Compensated } else { ExecutionStatus::Failed }, error)
    }

    /// Nothing is left to undo. What follows a bad end follows, unless the execution had ended well before.
    fn unwound(&mut self, now: DateTime<Utc>, decision: &mut Decision) {
        let (status, error) = self.verdict_of_unwinding();
        let workflow = &self.new.workflow;
        let next = workflow.on_failure.map(|block| (Phase::OnFailure, block));
        let next = next.or_else(|| workflow.finally.map(|block| (Phase::Finally, block)));
        match next.filter(|_| !self.had_completed()) {
            None => self.end(status, self.result.clone(), error, now, decision),
            Some((phase, block)) => {
                let deadline_at = self.deadline(now);
                self.record(Change::Decided { status, result: None, error, deadline_at }, decision);
                self.open_phase(phase, block);
            }
        }
    }

    /// Whether the execution had completed before it was undone: nothing else leaves a result.
    pub(crate) fn had_completed(&self) -> bool {
        self.result.is_some()
    }

    /// Asks the executions that a step started to undo what they did.
    pub(super) fn begin_unwind(&mut self, ordinal: i32, now: DateTime<Utc>, decision: &mut Decision) {
        let children = self.at(ordinal).parent.map(|forward| self.children_to_unwind(forward)).unwrap_or_default();
        let input = json!({ "executions": children.iter().map(ToString::to_string).collect::<Vec<_>>() });
        self.start(ordinal, input, None, now, decision);
        self.record(Change::StepWaits { step: ordinal, wake_at: None, signal: None }, decision);
        self.ask_children(ordinal, decision);
    }

    pub(super) fn ask_children(&mut self, ordinal: i32, decision: &mut Decision) {
        let children = self.at(ordinal).parent.map(|forward| self.children_to_unwind(forward)).unwrap_or_default();
        let asked = children.iter().map(|&child| Effect::UnwindChild { step: ordinal, child });
        decision.effects.extend(asked);
        if let Some(saga) = &mut self.saga {
            saga.asked.insert(ordinal, children);
        }
    }

    /// Whether an instance waits for other executions to undo what they did.
    pub(crate) fn awaits_unwinding(&self, state: &StepState) -> bool {
        state.layer == Layer::Action
            && state.status == StepStatus::Waiting
            && matches!(self.definition(state).action, Action::Unwind)
    }

    /// The executions that were asked to undo what they did and have not answered, each behind the ordinals of the undo
    /// that asks and of the step that started it.
    pub fn unanswered(&self) -> impl Iterator<Item = (i32, i32, ExecutionId)> {
        let asked = |undo: i32| self.saga.as_ref()?.asked.get(&undo).zip(self.at(undo).parent);
        let asked = self.awaiting_unwindings().filter_map(move |undo| Some((undo, asked(undo)?)));
        asked.flat_map(|(undo, (children, forward))| children.iter().map(move |&child| (undo, forward, child)))
    }

    /// The undos that wait for executions to undo what they did.
    pub fn awaiting_unwindings(&self) -> impl Iterator<Item = i32> {
        self.steps.iter().filter(|state| self.awaits_unwinding(state)).map(|state| state.ordinal)
    }

    pub(super) fn child_undone(
        &mut self,
        ordinal: i32,
        child: ExecutionId,
        outcome: Unwound,
        now: DateTime<Utc>,
        decision: &mut Decision,
    ) -> Result<(), Rejected> {
        self.require_live()?;
        let state = self.step(ordinal).ok_or(Rejected::NotAwaited)?;
        let is_awaited = self.awaits_unwinding(state);
        let asked = self.saga.as_mut().filter(|_| is_awaited).and_then(|saga| saga.asked.get_mut(&ordinal));
        let asked = asked.ok_or(Rejected::NotAwaited)?;
        let place = asked.iter().position(|&other| other == child).ok_or(Rejected::NotAwaited)?;
        asked.remove(place);
        let is_last = asked.is_empty();
        match outcome {
            Unwound::Failed(error) => {
                let failure = Failure::permanent(
                    FailureKind::Workflow,
                    format!("the execution {child} could not undo everything"),
                );
                let failure = Failure { not_undone: error.not_undone.clone(), ..failure.with_detail(error.title) };
                self.end_step(ordinal, StepStatus::Failed, None, Some(failure), now, decision);
            }
            Unwound::Undone | Unwound::Nothing if is_last => self.complete(ordinal, json!({}), now, decision),
            Unwound::Undone | Unwound::Nothing => {}
        }
        Ok(())
    }
}
