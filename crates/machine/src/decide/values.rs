//! Steps that run more than once: for each value of a list, or again until something holds.

use chrono::{DateTime, TimeDelta, Utc};
use cogwheel_definition::MAX_ITEMS;
use serde_json::{Value, json};

use super::Decision;
use crate::context::View;
use crate::scope::{Inside, Items, Place, below_foreach};
use crate::work::Work;
use crate::{Change, Execution, Failure, FailureKind, Layer, StepStatus};

impl Execution {
    pub(super) fn begin_foreach(&mut self, ordinal: i32, now: DateTime<Utc>, decision: &mut Decision) {
        let state = self.at(ordinal);
        let Some(foreach) = &self.definition(state).foreach else { return };
        let items = View::of(self, self.instance(ordinal).scope, state.parent, now)
            .and_then(|view| foreach.items.render(&view));
        let Some(items) = self.checked(ordinal, items, now, decision) else { return };
        let count = match &items {
            Value::Array(items) if items.len() <= MAX_ITEMS => items.len(),
            Value::Array(items) => {
                let why = format!("`foreach` takes at most {MAX_ITEMS} values, and there are {}", items.len());
                return self.fail_before_it_ran(ordinal, why, now, decision);
            }
            other => {
                let why = format!("`foreach` needs a list, not {}", described(other));
                return self.fail_before_it_ran(ordinal, why, now, decision);
            }
        };
        self.start(ordinal, json!({ "items": items }), None, now, decision);
        self.instance_mut(ordinal).inside = Inside::Items(Items::of(count));
        if count == 0 {
            self.complete(ordinal, json!([]), now, decision);
        } else {
            self.enqueue_values(ordinal);
        }
    }

    /// Queues a `foreach` for its next values, unless it is queued, has as many under way as may be, or has no more.
    pub(super) fn enqueue_values(&mut self, ordinal: i32) {
        let state = self.at(ordinal);
        let (step, definition) = (state.step, self.definition(state));
        let layer = below_foreach(definition);
        let most = self.most_at_once(step);
        if let Inside::Items(items) = &mut self.instance_mut(ordinal).inside
            && !items.is_queued
            && items.open < most
            && items.has_more()
        {
            items.is_queued = true;
            self.enqueue(Work::Items(ordinal), self.takes_room(step, layer));
        }
    }

    fn most_at_once(&self, step: usize) -> usize {
        let foreach = self.new.workflow.steps[step].foreach.as_ref();
        foreach.and_then(|foreach| foreach.max_parallel).unwrap_or(self.limits.parallel_steps).max(1)
    }

    /// Begins the next values, as many as there is room for.
    pub(super) fn begin_values(&mut self, ordinal: i32, now: DateTime<Utc>, decision: &mut Decision) {
        if let Inside::Items(items) = &mut self.instance_mut(ordinal).inside {
            items.is_queued = false;
        }
        let (scope, step) = (self.instance(ordinal).scope, self.at(ordinal).step);
        let layer = below_foreach(&self.new.workflow.steps[step]);
        let (most, takes_room) = (self.most_at_once(step), self.takes_room(step, layer));
        while self.instance(ordinal).stopping.is_none() && !self.at(ordinal).status.is_terminal() {
            if takes_room && !self.takes_more() {
                return self.enqueue_values(ordinal);
            }
            let Inside::Items(items) = &mut self.instance_mut(ordinal).inside else { return };
            if items.open >= most {
                return;
            }
            if let Some(value) = items.take_kept() {
                self.resume(value, now, decision);
            } else if let Some(number) = items.next_to_begin() {
                let value = self.create(scope, step, layer, Some(ordinal), Place::Item(number));
                self.begin_layer(value, now, decision);
            } else {
                return;
            }
        }
    }

    /// A value of a `foreach` has ended.
    pub(super) fn value_ended(&mut self, ordinal: i32, now: DateTime<Utc>, decision: &mut Decision) {
        let Inside::Items(items) = &mut self.instance_mut(ordinal).inside else { return };
        items.open -= 1;
        let is_last = items.open == 0;
        let has_more = items.has_more();
        if self.instance(ordinal).stopping.is_some() {
            if is_last {
                self.end_stopped(ordinal, now, decision);
            }
        } else if has_more {
            self.enqueue_values(ordinal);
        } else if is_last {
            self.end_foreach(ordinal, now, decision);
        }
    }

    fn end_foreach(&mut self, ordinal: i32, now: DateTime<Utc>, decision: &mut Decision) {
        let Inside::Items(items) = &self.instance(ordinal).inside else { return };
        let values: Vec<_> = items.begun.iter().flatten().map(|&value| self.at(value)).collect();
        let completed = |status| status == StepStatus::Completed;
        let outputs: Value = values
            .iter()
            .map(|value| value.output.clone().filter(|_| completed(value.status)).unwrap_or_default())
            .collect();
        let failed: Vec<_> = values.iter().filter(|value| !completed(value.status)).collect();
        let first = failed.iter().min_by_key(|value| (value.completed_at, value.ordinal));
        let Some(first) = first else {
            return self.complete(ordinal, outputs, now, decision);
        };
        let cause = first.error.clone().unwrap_or_else(super::phases::execution_ended).in_step(&first.key);
        let title =
            format!("{} of {} values failed; the first was {}: {}", failed.len(), values.len(), first.key, cause.title);
        let failure = Failure { title, retriable: false, ..cause };
        self.end_step(ordinal, StepStatus::Failed, Some(outputs), Some(failure), now, decision);
    }

    pub(super) fn enqueue_round(&mut self, ordinal: i32) {
        let step = self.at(ordinal).step;
        self.enqueue(Work::Round(ordinal), self.takes_room(step, Layer::Action));
    }

    pub(super) fn begin_round(&mut self, ordinal: i32, now: DateTime<Utc>, decision: &mut Decision) {
        let Inside::Rounds { current } = self.instance(ordinal).inside else { return };
        let is_under_way = current.is_some_and(|current| !self.at(current).status.is_terminal());
        if is_under_way || self.at(ordinal).status.is_terminal() || self.instance(ordinal).stopping.is_some() {
            return;
        }
        let number = current.map_or(0, |current| self.round_number(current) + 1);
        if self.at(ordinal).status == StepStatus::Waiting {
            let timeout_at = self.at(ordinal).timeout_at;
            self.record(Change::StepResumed { step: ordinal, timeout_at }, decision);
        }
        let (scope, step) = (self.instance(ordinal).scope, self.at(ordinal).step);
        let round = self.create(scope, step, Layer::Action, Some(ordinal), Place::Round(number));
        self.begin_layer(round, now, decision);
    }

    fn round_number(&self, round: i32) -> usize {
        match self.instance(round).place {
            Place::Round(number) => number,
            Place::Slot | Place::Item(_) => 0,
        }
    }

    /// A round of a loop has ended: what it was repeated for may hold now.
    pub(super) fn round_ended(&mut self, ordinal: i32, round: i32, now: DateTime<Utc>, decision: &mut Decision) {
        if self.instance(ordinal).stopping.is_some() {
            return self.end_stopped(ordinal, now, decision);
        }
        let state = self.at(round).clone();
        if state.status != StepStatus::Completed {
            let error = state.error.map(|error| error.in_step(&state.key));
            return self.end_step(ordinal, state.status, state.output, error, now, decision);
        }
        let output = state.output.unwrap_or_default();
        let definition = self.definition(self.at(ordinal));
        let Some(until) = definition.until.clone() else { return };
        let value = View::of(self, self.instance(ordinal).scope, Some(ordinal), now)
            .and_then(|view| until.condition.render(&view.with_own(&definition.id, &output)));
        let why = match value {
            Ok(Value::Bool(true)) => return self.complete(ordinal, output, now, decision),
            Ok(Value::Bool(false)) => None,
            Ok(other) => Some(format!("`until`: it must give true or false, not {other}")),
            Err(error) => Some(format!("`until`: {error}")),
        };
        let rounds = self.round_number(round) + 1;
        let failure = match why {
            Some(why) => Failure::permanent(FailureKind::Expression, why),
            None if u32::try_from(rounds).is_ok_and(|rounds| rounds < until.max_attempts) => {
                return self.pause_loop(ordinal, until.every, now, decision);
            }
            None => {
                let title = format!("`until` did not hold after {rounds} rounds");
                Failure::permanent(FailureKind::Loop, title).with_code("exhausted")
            }
        };
        self.end_step(ordinal, StepStatus::Failed, Some(output), Some(failure), now, decision);
    }

    fn pause_loop(&mut self, ordinal: i32, every: std::time::Duration, now: DateTime<Utc>, decision: &mut Decision) {
        if every.is_zero() {
            return self.enqueue_round(ordinal);
        }
        let pause = TimeDelta::from_std(every).unwrap_or(TimeDelta::MAX);
        let wake_at = Some(now.checked_add_signed(pause).unwrap_or(DateTime::<Utc>::MAX_UTC));
        self.record(Change::StepWaits { step: ordinal, wake_at, signal: None }, decision);
    }
}

fn described(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}
