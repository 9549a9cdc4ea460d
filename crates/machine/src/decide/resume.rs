//! Begins the main part of an execution, and goes on with what it has kept of the one that it does over.

use chrono::{DateTime, Utc};

use super::Decision;
use crate::scope::Inside;
use crate::state::Phase;
use crate::{Change, Execution, Layer};

impl Execution {
    pub(super) fn begin_main(&mut self, now: DateTime<Utc>, decision: &mut Decision) {
        let Some(main) = self.phases[Phase::Main as usize] else { return };
        self.resume_scope(main, now, decision);
        if self.scopes[main].open == 0 {
            self.phase_ended(main, now, decision);
        }
    }

    /// Goes on with an instance that was kept although it had not completed.
    pub(super) fn resume(&mut self, ordinal: i32, now: DateTime<Utc>, decision: &mut Decision) {
        let timeout_at = self.timeout_at(ordinal, now).filter(|_| self.at(ordinal).layer == Layer::Action);
        self.record(Change::StepResumed { step: ordinal, timeout_at }, decision);
        match self.instance(ordinal).inside {
            Inside::Scope(scope) => self.resume_scope(scope, now, decision),
            Inside::Items(_) => self.enqueue_values(ordinal),
            Inside::Nothing | Inside::Rounds { .. } => {}
        }
    }

    fn resume_scope(&mut self, scope: usize, now: DateTime<Utc>, decision: &mut Decision) {
        for position in 0..self.scopes[scope].slots.len() {
            match self.scopes[scope].slots[position].ordinal {
                Some(ordinal) if self.is_kept_open(ordinal) => self.resume(ordinal, now, decision),
                Some(_) => {}
                None => self.enqueue_if_ready(scope, position),
            }
        }
    }
}
