//! Begins the steps whose turn has come, and skips those whose turn cannot come.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{Decision, Effect};
use crate::{Change, Execution, Failure, FailureKind, StepStatus, contains_nul};

/// What the steps that a step needs mean for it.
enum Turn {
    Come,
    NotYet,
    /// It can never come: this step ended otherwise than completed.
    Never(usize),
}

/// What the `if` of a step says.
enum Verdict {
    Holds,
    DoesNotHold,
    Unclear(String),
}

impl Execution {
    /// Begins and skips until nothing more follows; a skip or a failed expression may free or doom others.
    pub(super) fn begin_ready(&mut self, now: DateTime<Utc>, decision: &mut Decision) {
        let mut running = self.steps.iter().filter(|step| step.status == StepStatus::Running).count();
        let mut settled = false;
        while !settled {
            settled = true;
            for step in 0..self.steps.len() {
                if !matches!(self.steps[step].status, StepStatus::Pending | StepStatus::Retrying) {
                    continue;
                }
                if self.steps[step].wake_at.is_some_and(|wake_at| wake_at > now) {
                    continue;
                }
                match self.turn(step) {
                    Turn::NotYet => {}
                    Turn::Never(need) => {
                        self.skip(step, need, now, decision);
                        settled = false;
                    }
                    Turn::Come if running >= self.limits.parallel_steps => {}
                    Turn::Come => {
                        if self.decide_and_begin(step, now, decision) {
                            running += 1;
                        } else {
                            settled = false;
                        }
                    }
                }
            }
        }
    }

    fn turn(&self, step: usize) -> Turn {
        let mut turn = Turn::Come;
        let definition = &self.new.workflow.steps[step];
        let asks_for_status = definition.condition.as_ref().is_some_and(|condition| condition.asks_for_status);
        for &need in &definition.needs {
            match self.steps[need].status {
                status if status.is_terminal() && (asks_for_status || self.counts_as_completed(need)) => {}
                StepStatus::Completed => {}
                StepStatus::Pending | StepStatus::Running | StepStatus::Waiting | StepStatus::Retrying => {
                    turn = Turn::NotYet;
                }
                StepStatus::Failed | StepStatus::Skipped | StepStatus::Cancelled | StepStatus::TimedOut => {
                    return Turn::Never(need);
                }
            }
        }
        turn
    }

    /// Whether those that need it may go on.
    fn counts_as_completed(&self, step: usize) -> bool {
        match self.steps[step].status {
            StepStatus::Completed => true,
            StepStatus::Failed | StepStatus::TimedOut => self.new.workflow.steps[step].continue_on_error,
            StepStatus::Pending
            | StepStatus::Running
            | StepStatus::Waiting
            | StepStatus::Retrying
            | StepStatus::Skipped
            | StepStatus::Cancelled => false,
        }
    }

    /// Whether an attempt is now under way; a step whose `if` does not hold, or whose expressions fail, has ended.
    fn decide_and_begin(&mut self, step: usize, now: DateTime<Utc>, decision: &mut Decision) -> bool {
        // What was decided before an earlier attempt stays decided.
        if self.steps[step].attempt > 0 {
            return self.begin(step, now, decision);
        }
        match self.verdict(step, now) {
            Verdict::Holds => self.begin(step, now, decision),
            Verdict::DoesNotHold => {
                let reason = Failure::permanent(FailureKind::ConditionFalse, "its `if` is false");
                self.end_step(step, StepStatus::Skipped, None, Some(reason), now, decision);
                false
            }
            Verdict::Unclear(why) => {
                self.fail_before_it_ran(step, format!("`if`: {why}"), now, decision);
                false
            }
        }
    }

    fn verdict(&mut self, step: usize, now: DateTime<Utc>) -> Verdict {
        let Some(condition) = self.new.workflow.steps[step].condition.clone() else {
            return Verdict::Holds;
        };
        let needs = if condition.asks_for_status { self.seen_needs(step) } else { Value::Null };
        let value = self.look(now).and_then(|()| {
            self.seen["$needs"] = needs;
            condition.expression.render(&self.seen)
        });
        match value {
            Ok(Value::Bool(true)) => Verdict::Holds,
            Ok(Value::Bool(false)) => Verdict::DoesNotHold,
            Ok(other) => Verdict::Unclear(format!("it must give true or false, not {other}")),
            Err(error) => Verdict::Unclear(error.to_string()),
        }
    }

    /// What `success()` and `failure()` answer in the `if` of a step.
    fn seen_needs(&self, step: usize) -> Value {
        let steps = &self.new.workflow.steps;
        let success = steps[step].needs.iter().all(|&need| self.counts_as_completed(need));
        let mut upstream = vec![false; steps.len()];
        let mut open = steps[step].needs.clone();
        let mut failure = false;
        while let Some(need) = open.pop() {
            if !std::mem::replace(&mut upstream[need], true) {
                failure |= matches!(self.steps[need].status, StepStatus::Failed | StepStatus::TimedOut);
                open.extend(&steps[need].needs);
            }
        }
        json!({ "success": success, "failure": failure })
    }

    fn skip(&mut self, step: usize, need: usize, now: DateTime<Utc>, decision: &mut Decision) {
        let need_id = &self.new.workflow.steps[need].id;
        let title = format!("needs `{need_id}`, which ended {}", self.steps[need].status.as_str());
        let reason = Failure::permanent(FailureKind::NeedNotMet, title);
        self.end_step(step, StepStatus::Skipped, None, Some(reason), now, decision);
    }

    /// An attempt that ends as it begins: what it needs to know cannot be computed.
    fn fail_before_it_ran(&mut self, step: usize, why: String, now: DateTime<Utc>, decision: &mut Decision) {
        let timeout_at = self.timeout_at(step, now);
        self.record(Change::StepStarted { step, input: Value::Null, at: now, timeout_at }, decision);
        let failure = Failure::permanent(FailureKind::Expression, why);
        self.end_step(step, StepStatus::Failed, None, Some(failure), now, decision);
    }

    fn timeout_at(&self, step: usize, now: DateTime<Utc>) -> DateTime<Utc> {
        let limit = TimeDelta::from_std(self.new.workflow.steps[step].timeout).unwrap_or(TimeDelta::MAX);
        now.checked_add_signed(limit).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// Whether an attempt is now under way; a step whose expressions fail has already ended.
    fn begin(&mut self, step: usize, now: DateTime<Utc>, decision: &mut Decision) -> bool {
        let timeout_at = self.timeout_at(step, now);
        let input = match self.step_input(step, now) {
            Ok(input) if contains_nul(&input) => {
                Err("its values hold the character U+0000, which cannot be stored".to_owned())
            }
            Ok(input) => Ok(input),
            Err(error) => Err(error.to_string()),
        };
        match input {
            Ok(input) => {
                self.record(Change::StepStarted { step, input, at: now, timeout_at }, decision);
                decision.effects.push(Effect::Run { step });
                true
            }
            Err(why) => {
                self.fail_before_it_ran(step, why, now, decision);
                false
            }
        }
    }
}
