//! Begins the steps whose turn has come, and skips those whose turn cannot come.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::{Decision, Effect};
use crate::{Change, Execution, Failure, FailureKind, StepStatus, contains_nul};

/// What the steps that a step needs mean for it.
enum Turn {
    Come,
    NotYet,
    /// It can never come: this step ended otherwise than completed.
    Never(usize),
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
                match self.turn(step) {
                    Turn::NotYet => {}
                    Turn::Never(need) => {
                        self.skip(step, need, now, decision);
                        settled = false;
                    }
                    Turn::Come if running >= self.limits.parallel_steps => {}
                    Turn::Come => {
                        if self.begin(step, now, decision) {
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
        for &need in &self.new.workflow.steps[step].needs {
            match self.steps[need].status {
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

    fn skip(&mut self, step: usize, need: usize, now: DateTime<Utc>, decision: &mut Decision) {
        let need_id = &self.new.workflow.steps[need].id;
        let title = format!("needs `{need_id}`, which ended {}", self.steps[need].status.as_str());
        let reason = Failure::permanent(FailureKind::NeedNotMet, title);
        self.end_step(step, StepStatus::Skipped, None, Some(reason), now, decision);
    }

    /// Whether an attempt is now under way; a step whose expressions fail has already ended.
    fn begin(&mut self, step: usize, now: DateTime<Utc>, decision: &mut Decision) -> bool {
        let limit = TimeDelta::from_std(self.new.workflow.steps[step].timeout).unwrap_or(TimeDelta::MAX);
        let timeout_at = now.checked_add_signed(limit).unwrap_or(DateTime::<Utc>::MAX_UTC);
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
                self.record(Change::StepStarted { step, input: Value::Null, at: now, timeout_at }, decision);
                let failure = Failure::permanent(FailureKind::Expression, why);
                self.end_step(step, StepStatus::Failed, None, Some(failure), now, decision);
                false
            }
        }
    }
}
