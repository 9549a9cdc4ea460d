//! What comes for executions from outside.

use chrono::{DateTime, Utc};
use cogwheel_engine::ExecutionId;
use cogwheel_engine::ports::{
    AskInbox, AwaitedSignal, EndedChild, Inbox, NewSignal, Parent, SignalAnswer, TakenSignal,
};
use cogwheel_machine::StepStatus;

use super::Tables;

pub(in super::super) struct Signal {
    pub(in super::super) new: NewSignal,
    /// The step that took it, for ever.
    pub(in super::super) taken_by: Option<(ExecutionId, i32)>,
}

impl Signal {
    fn is_for(&self, execution: ExecutionId, wait: &AwaitedSignal) -> bool {
        let is_addressed = match self.new.execution {
            Some(addressee) => addressee == execution,
            None => self.new.correlation.is_some() && self.new.correlation == wait.correlation,
        };
        self.new.name == wait.name && is_addressed
    }
}

impl Tables {
    pub(in super::super) fn send_signal(&mut self, new: NewSignal) -> SignalAnswer {
        let is_known = |signal: &Signal| {
            let same_key = new.idempotency_key.is_some() && signal.new.idempotency_key == new.idempotency_key;
            signal.new.id == new.id || signal.new.name == new.name && same_key
        };
        if self.signals.iter().any(is_known) {
            return SignalAnswer::Duplicate;
        }
        if let Some(execution) = new.execution {
            match self.executions.get(&execution) {
                None => return SignalAnswer::UnknownExecution,
                Some(row) if !row.is_live() => return SignalAnswer::Ended(row.status),
                Some(_) => {}
            }
        }
        let at = new.at;
        self.signals.push(Signal { new, taken_by: None });
        let signal = &self.signals[self.signals.len() - 1];
        let waiting = self.executions.values().filter(|row| row.is_live());
        let waiting: Vec<ExecutionId> = waiting
            .map(|row| row.new.id)
            .filter(|id| self.waits(*id).iter().any(|wait| signal.is_for(*id, wait)))
            .collect();
        for id in &waiting {
            self.wake(*id, at);
        }
        SignalAnswer::Kept(waiting)
    }

    /// The signals that the steps of an execution wait for, as they are recorded.
    fn waits(&self, execution: ExecutionId) -> Vec<AwaitedSignal> {
        let steps = self.executions.get(&execution).map(|row| row.steps.as_slice()).unwrap_or_default();
        let waiting = steps.iter().filter(|step| step.status == StepStatus::Waiting);
        waiting
            .filter_map(|step| {
                let signal = step.signal.clone()?;
                Some(AwaitedSignal {
                    ordinal: step.ordinal,
                    name: signal.name,
                    correlation: signal.correlation,
                    event: None,
                })
            })
            .collect()
    }

    pub(in super::super) fn inbox(&mut self, ask: &AskInbox) -> Inbox {
        let mut signals = Vec::new();
        for wait in &ask.waits {
            let step = Some((ask.execution, wait.ordinal));
            let taken = self.signals.iter().position(|signal| signal.taken_by == step);
            let free = |signal: &Signal| signal.taken_by.is_none() && signal.is_for(ask.execution, wait);
            if let Some(place) = taken.or_else(|| self.signals.iter().position(free)) {
                let signal = &mut self.signals[place];
                signal.taken_by = step;
                let (payload, received_at) = (signal.new.payload.clone(), signal.new.at);
                signals.push(TakenSignal { ordinal: wait.ordinal, payload, received_at });
            }
        }
        let cancel = self.executions.get(&ask.execution).and_then(|row| row.cancel.clone());
        let saga = self.executions.get(&ask.execution).and_then(|row| row.saga.as_ref());
        let saga = saga.filter(|_| ask.is_saga).map(super::Saga::asked).unwrap_or_default();
        Inbox { cancel, signals, children: self.ended_children(ask.execution, &ask.children), saga }
    }

    fn ended_children(&self, parent: ExecutionId, ordinals: &[i32]) -> Vec<EndedChild> {
        let is_asked_for = |ordinal: i32| ordinals.contains(&ordinal);
        let ended = self.executions.values().filter(|row| !row.is_live());
        ended
            .filter_map(|row| {
                let step = row.new.parent.filter(|step| step.execution == parent && is_asked_for(step.step_ordinal))?;
                Some(EndedChild {
                    ordinal: step.step_ordinal,
                    execution: row.new.id,
                    status: row.status,
                    result: row.result.clone(),
                    error: row.error.clone(),
                })
            })
            .collect()
    }

    /// Whether something came for an execution that is let go of: nobody else will tell it.
    pub(super) fn has_mail(&self, execution: ExecutionId, at: DateTime<Utc>) -> bool {
        let row = &self.executions[&execution];
        let is_open = |signal: &&Signal| {
            signal.taken_by.is_none() && signal.new.expires_at.is_none_or(|expires_at| expires_at > at)
        };
        let waits = self.waits(execution);
        let has_signal =
            self.signals.iter().filter(is_open).any(|signal| waits.iter().any(|wait| signal.is_for(execution, wait)));
        let waiting = row.steps.iter().filter(|step| step.status == StepStatus::Waiting).map(|step| step.ordinal);
        // Of a step that is tried again, the execution that it started last counts.
        let waiting: Vec<i32> = waiting.filter(|ordinal| !self.has_live_child(execution, *ordinal)).collect();
        has_signal || !self.ended_children(execution, &waiting).is_empty()
    }

    fn has_live_child(&self, parent: ExecutionId, ordinal: i32) -> bool {
        let step = Parent { execution: parent, step_ordinal: ordinal };
        self.executions.values().any(|row| row.is_live() && row.new.parent == Some(step))
    }
}
