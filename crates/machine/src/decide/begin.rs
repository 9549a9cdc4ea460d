//! Begins what could begin, as far as there is room, and skips steps whose turn cannot come.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::Decision;
use crate::context::View;
use crate::scope::{Inside, Place, outermost};
use crate::work::Work;
use crate::{Execution, Failure, FailureKind, StepStatus};

/// What the `if` of a step says.
enum Verdict {
    Holds,
    DoesNotHold,
    Unclear(String),
}

impl Execution {
    /// Begins and skips until nothing more follows; a skip or a failed expression may free or doom others.
    pub(super) fn begin_work(&mut self, now: DateTime<Utc>, decision: &mut Decision) {
        loop {
            if let Some(work) = self.work.free.pop_front() {
                self.take(work, now, decision);
            } else if self.takes_more()
                && let Some(work) = self.work.bounded.pop_front()
            {
                self.take(work, now, decision);
            } else {
                return;
            }
        }
    }

    pub(super) fn takes_more(&self) -> bool {
        self.running < self.limits.parallel_steps
    }

    fn take(&mut self, work: Work, now: DateTime<Utc>, decision: &mut Decision) {
        match work {
            Work::Slot { scope, position } => self.take_slot(scope, position, now, decision),
            Work::Attempt(ordinal) => {
                if self.at(ordinal).status == StepStatus::Retrying {
                    self.begin_action(ordinal, now, decision);
                }
            }
            Work::Items(ordinal) => self.begin_values(ordinal, now, decision),
            Work::Round(ordinal) => self.begin_round(ordinal, now, decision),
        }
    }

    /// Whether what was queued has not been overtaken by an end.
    pub(crate) fn is_still_due(&self, work: Work) -> bool {
        let goes_on = |ordinal| !self.at(ordinal).status.is_terminal() && self.instance(ordinal).stopping.is_none();
        match work {
            Work::Slot { scope, position } => self.scopes[scope].slots[position].ordinal.is_none(),
            Work::Attempt(ordinal) => self.at(ordinal).status == StepStatus::Retrying,
            Work::Items(ordinal) | Work::Round(ordinal) => goes_on(ordinal),
        }
    }

    fn take_slot(&mut self, scope: usize, position: usize, now: DateTime<Utc>, decision: &mut Decision) {
        let slot = &self.scopes[scope].slots[position];
        // Stopped, or skipped for another reason, since it was queued.
        if slot.ordinal.is_some() {
            return;
        }
        let missing = slot.missing;
        let step = self.new.workflow.blocks[self.scopes[scope].block].steps[position];
        let asks_for_status = self.asks_for_status(step);
        let doom = if asks_for_status { None } else { self.doom(scope, step) };
        if doom.is_none() && missing > 0 {
            return;
        }
        let layer = outermost(&self.new.workflow.steps[step]);
        let parent = self.scopes[scope].owner;
        let ordinal = self.create(scope, step, layer, parent, Place::Slot);
        if let Some(need) = doom {
            return self.skip(ordinal, need, now, decision);
        }
        match self.verdict(scope, step, now) {
            Verdict::Holds => self.begin_layer(ordinal, now, decision),
            Verdict::DoesNotHold => {
                let reason = Failure::permanent(FailureKind::ConditionFalse, "its `if` is false");
                self.end_step(ordinal, StepStatus::Skipped, None, Some(reason), now, decision);
            }
            Verdict::Unclear(why) => self.fail_before_it_ran(ordinal, format!("`if`: {why}"), now, decision),
        }
    }

    pub(super) fn asks_for_status(&self, step: usize) -> bool {
        self.new.workflow.steps[step].condition.as_ref().is_some_and(|condition| condition.asks_for_status)
    }

    /// The step whose end means that the turn of `step` can never come.
    fn doom(&self, scope: usize, step: usize) -> Option<i32> {
        let needs = self.new.workflow.steps[step].needs.iter();
        needs
            .filter_map(|&need| self.in_scope(scope, need))
            .find_map(|need| (need.status.is_terminal() && !self.counts_as_completed(need)).then_some(need.ordinal))
    }

    fn skip(&mut self, ordinal: i32, need: i32, now: DateTime<Utc>, decision: &mut Decision) {
        let need = self.at(need);
        let title = format!("needs `{}`, which ended {}", self.definition(need).id, need.status.as_str());
        let reason = Failure::permanent(FailureKind::NeedNotMet, title);
        self.end_step(ordinal, StepStatus::Skipped, None, Some(reason), now, decision);
    }

    fn verdict(&self, scope: usize, step: usize, now: DateTime<Utc>) -> Verdict {
        let Some(condition) = &self.new.workflow.steps[step].condition else {
            return Verdict::Holds;
        };
        let value = View::of(self, scope, self.scopes[scope].owner, now).and_then(|view| {
            let view = if condition.asks_for_status { view.with_needs(self.seen_needs(scope, step)) } else { view };
            condition.expression.render(&view)
        });
        match value {
            Ok(Value::Bool(true)) => Verdict::Holds,
            Ok(Value::Bool(false)) => Verdict::DoesNotHold,
            Ok(other) => Verdict::Unclear(format!("it must give true or false, not {other}")),
            Err(error) => Verdict::Unclear(error.to_string()),
        }
    }

    /// What `success()` and `failure()` answer in the `if` of a step.
    fn seen_needs(&self, scope: usize, step: usize) -> Value {
        let steps = &self.new.workflow.steps;
        let ended = |need: usize| self.in_scope(scope, need);
        let success =
            steps[step].needs.iter().all(|&need| ended(need).is_some_and(|state| self.counts_as_completed(state)));
        let mut upstream = HashSet::new();
        let mut open = steps[step].needs.clone();
        let mut failure = false;
        while let Some(need) = open.pop() {
            if upstream.insert(need) {
                failure |=
                    ended(need).is_some_and(|state| matches!(state.status, StepStatus::Failed | StepStatus::TimedOut));
                open.extend(&steps[need].needs);
            }
        }
        json!({ "success": success, "failure": failure })
    }

    /// Queues the step at a position of a scope.
    pub(crate) fn enqueue_slot(&mut self, scope: usize, position: usize) {
        let step = self.new.workflow.blocks[self.scopes[scope].block].steps[position];
        let work = Work::Slot { scope, position };
        let takes_room = self.takes_room(step, outermost(&self.new.workflow.steps[step]));
        let is_doomed = self.scopes[scope].slots[position].missing > 0;
        self.enqueue(work, takes_room && !is_doomed);
    }

    pub(super) fn enqueue(&mut self, work: Work, takes_room: bool) {
        let queue = if takes_room { &mut self.work.bounded } else { &mut self.work.free };
        queue.push_back(work);
    }

    /// Queues the first steps of a scope.
    pub(super) fn begin_scope(&mut self, scope: usize) {
        for position in 0..self.scopes[scope].slots.len() {
            if self.scopes[scope].slots[position].missing == 0 {
                self.enqueue_slot(scope, position);
            }
        }
    }

    /// Queues the step at a position of a scope if its turn has come, or can come no more.
    pub(super) fn enqueue_if_ready(&mut self, scope: usize, position: usize) {
        let step = self.new.workflow.blocks[self.scopes[scope].block].steps[position];
        let slot = &self.scopes[scope].slots[position];
        let is_doomed = !self.asks_for_status(step) && self.doom(scope, step).is_some();
        if slot.ordinal.is_none() && (slot.missing == 0 || is_doomed) {
            self.enqueue_slot(scope, position);
        }
    }

    /// Queues everything that could begin, of whatever is recorded.
    pub(crate) fn enqueue_all(&mut self) {
        for scope in 0..self.scopes.len() {
            if !self.is_live(scope) {
                continue;
            }
            for position in 0..self.scopes[scope].slots.len() {
                self.enqueue_if_ready(scope, position);
            }
        }
        for ordinal in 0..self.next_ordinal() {
            let state = self.at(ordinal);
            if state.status.is_terminal() || self.is_kept_open(ordinal) {
                continue;
            }
            let (step, layer) = (state.step, state.layer);
            match &self.instance(ordinal).inside {
                Inside::Items(_) => self.enqueue_values(ordinal),
                Inside::Rounds { current } => {
                    let is_between = current.is_none_or(|current| self.at(current).status.is_terminal());
                    if is_between && self.at(ordinal).wake_at.is_none() {
                        self.enqueue_round(ordinal);
                    }
                }
                Inside::Nothing if state.status == StepStatus::Retrying && state.wake_at.is_none() => {
                    self.enqueue(Work::Attempt(ordinal), self.takes_room(step, layer));
                }
                Inside::Nothing | Inside::Scope(_) => {}
            }
        }
    }

    /// Whether steps of a scope may still begin.
    fn is_live(&self, scope: usize) -> bool {
        match self.scopes[scope].owner {
            Some(owner) => self.at(owner).status == StepStatus::Running,
            None => self.phases[self.phase as usize] == Some(scope),
        }
    }
}
