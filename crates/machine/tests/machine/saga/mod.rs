//! Sagas: what is undone, in which order, and how that ends.

mod children;
mod ends;
mod matrix;
mod operator;
mod order;
mod pivot;
mod what;

use cogwheel_machine::{Input, Rejected, UndoDecision, UndoStatus, UnwoundBy};

use crate::rig::Case;

impl Case {
    /// An operator decides about the undo of a step.
    pub(crate) fn decide(&mut self, key: &str, decision: UndoDecision) -> Result<Vec<String>, Rejected> {
        let step = self.step(key).ordinal;
        self.try_tell(Input::Undo { step, decision, reason: "looked at it".to_owned(), by: None })
    }

    /// An operator asks for everything to be undone.
    pub(crate) fn unwind(&mut self) -> Result<Vec<String>, Rejected> {
        self.try_tell(Input::Unwind { by: UnwoundBy::Operator, reason: Some("wrong customer".to_owned()) })
    }

    /// Every undo with its place in the order and where it stands: `b 0 completed, a 1 pending`.
    pub(crate) fn undos(&self) -> String {
        let saga = self.execution.saga().expect("a saga");
        let mut undos: Vec<_> = saga.undos.iter().collect();
        undos.sort_by_key(|undo| (undo.unwind_order, undo.step));
        let shown =
            undos.iter().map(|undo| format!("{} {} {}", undo.step_key, undo.unwind_order, undo.status.as_str()));
        shown.collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn undo_status(&self, key: &str) -> UndoStatus {
        let saga = self.execution.saga().expect("a saga");
        saga.undos.iter().find(|undo| undo.step_key == key).expect("it is undone").status
    }

    /// Completes whatever runs, one after the other, until nothing does; the keys in their order.
    pub(crate) fn run_out(&mut self, mut effects: Vec<String>) -> Vec<String> {
        let mut ran = Vec::new();
        while !effects.is_empty() {
            let effect = effects.remove(0);
            if let Some(key) = effect.strip_prefix("run ") {
                ran.push(key.to_owned());
                effects.extend(self.complete(key, serde_json::json!({})));
            }
        }
        ran
    }
}

/// A step that can be undone, in flow style, with more of its keys.
pub(crate) fn undoable(id: &str, more: &str) -> String {
    format!("{{id: {id}, run: x, compensate: {{run: u, retry: 1}}{more}}}")
}
