//! A saga of eight steps in a graph: whichever step fails, however, wherever the server dies and whichever undo fails,
//! exactly what was done is undone, or what is left is named.

use std::collections::BTreeSet;

use cogwheel_machine::{ExecutionStatus, StepStatus, UndoDecision};
use serde_json::json;

use super::undoable;
use crate::rig::Case;

/// Each step with what it needs.
const GRAPH: [(&str, &[&str]); 8] = [
    ("a", &[]),
    ("b", &["a"]),
    ("c", &["a"]),
    ("d", &["b"]),
    ("e", &["b", "c"]),
    ("f", &["c"]),
    ("g", &["d", "e"]),
    ("h", &["g", "f"]),
];

fn source(on_undo_failure: &str) -> String {
    let steps: Vec<String> =
        GRAPH.iter().map(|(id, needs)| undoable(id, &format!(", needs: [{}]", needs.join(", ")))).collect();
    format!("saga: {{on_undo_failure: {on_undo_failure}}}\nsteps: [{}]", steps.join(", "))
}

/// How a step does not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bad {
    Fails,
    TimesOut,
}

/// A walk through one cell of the matrix.
struct Walk {
    case: Case,
    /// Steps that did their work, or may have.
    done: BTreeSet<String>,
    undone: BTreeSet<String>,
    inputs: usize,
    crashes_at: usize,
}

impl Walk {
    fn new(on_undo_failure: &str, crashes_at: usize) -> Self {
        let (case, _) = Case::begun(&source(on_undo_failure));
        Self { case, done: BTreeSet::new(), undone: BTreeSet::new(), inputs: 0, crashes_at }
    }

    fn running(&self) -> Option<String> {
        let running = self.case.execution.steps().iter().find(|state| state.status == StepStatus::Running);
        running.map(|state| state.key.clone())
    }

    /// The server dies after as many inputs as this walk says; what runs has happened or not, nobody knows.
    fn may_crash(&mut self) {
        if self.inputs == self.crashes_at && !self.case.status().is_terminal() {
            let running = self.case.execution.steps().iter().filter(|state| state.status == StepStatus::Running);
            self.done.extend(running.map(|state| state.key.clone()).filter(|key| !key.contains('.')));
            self.case.crash(None);
        }
        self.inputs += 1;
    }

    /// Lets everything end; `bad` does so as it says, and the undo of `stuck` fails the first time.
    fn run(&mut self, bad: &str, how: Bad, stuck: Option<&str>) {
        let stuck = stuck.map(|step| format!("{step}.compensate"));
        self.may_crash();
        while let Some(key) = self.running() {
            match key.split_once(".compensate") {
                _ if Some(&key) == stuck.as_ref() => drop(self.case.fail(&key)),
                Some((step, _)) => {
                    self.undone.insert(step.to_owned());
                    self.case.complete(&key, json!({}));
                }
                None if key == bad && how == Bad::Fails => drop(self.case.fail(&key)),
                None if key == bad => {
                    self.done.insert(key.clone());
                    self.case.time_out(&key);
                }
                None => {
                    self.done.insert(key.clone());
                    self.case.complete(&key, json!({}));
                }
            }
            self.may_crash();
        }
    }

    /// What `step` keeps from being undone: itself and what it needs, directly or through others.
    fn held_up_by(step: &str) -> BTreeSet<String> {
        let mut held = BTreeSet::from([step.to_owned()]);
        for (id, needs) in GRAPH.iter().rev() {
            if held.contains(*id) {
                held.extend(needs.iter().map(|need| (*need).to_owned()));
            }
        }
        held
    }

    fn left(&self) -> BTreeSet<String> {
        self.case.error().not_undone.iter().cloned().collect()
    }
}

const HOWS: [Bad; 2] = [Bad::Fails, Bad::TimesOut];

/// More than there are inputs: it does not crash.
const NEVER: usize = 100;

#[test]
fn whichever_step_fails_and_wherever_the_server_dies_exactly_the_complement_is_undone() {
    for (bad, how) in GRAPH.iter().flat_map(|(bad, _)| HOWS.map(|how| (*bad, how))) {
        for crashes_at in (0..24).chain([NEVER]) {
            let mut walk = Walk::new("pause", crashes_at);
            walk.run(bad, how, None);
            let what = format!("{bad} {how:?}, crash {crashes_at}");
            assert_eq!(walk.undone, walk.done, "{what}");
            let is_anything = !walk.done.is_empty();
            let end = if is_anything { ExecutionStatus::Compensated } else { ExecutionStatus::Failed };
            let how_it_ends = if !is_anything && how == Bad::TimesOut { walk.case.status() } else { end };
            assert_eq!((walk.case.status(), walk.left()), (how_it_ends, BTreeSet::new()), "{what}");
            assert_eq!(walk.case.error().step.as_deref(), Some(bad), "{what}: the first cause is kept");
        }
    }
}

#[test]
fn whichever_undo_fails_what_is_left_is_named_and_the_rest_undone_once_somebody_decides() {
    for (bad, how) in GRAPH.iter().flat_map(|(bad, _)| HOWS.map(|how| (*bad, how))) {
        for stuck in GRAPH.map(|(id, _)| id) {
            for crashes_at in (0..24).chain([NEVER]) {
                // One of them at each place: all of them everywhere would say no more.
                let decisions = [UndoDecision::Retry, UndoDecision::Skip, UndoDecision::Force];
                for decision in [decisions[(crashes_at + stuck.len() + usize::from(stuck > bad)) % decisions.len()]] {
                    let mut walk = Walk::new("pause", crashes_at);
                    walk.run(bad, how, Some(stuck));
                    let what = format!("{bad} {how:?}, {stuck} stuck, crash {crashes_at}, {decision:?}");
                    if !walk.done.contains(stuck) {
                        assert!(walk.case.status().is_terminal(), "{what}");
                        continue;
                    }
                    assert_eq!(walk.case.status(), ExecutionStatus::Compensating, "{what}");
                    let paused = walk.case.execution.paused_undos();
                    assert_eq!(paused, [walk.case.step(stuck).ordinal], "{what}: the paused state names what is stuck");
                    let held: BTreeSet<String> = Walk::held_up_by(stuck).intersection(&walk.done).cloned().collect();
                    assert_eq!(&walk.undone | &held, walk.done, "{what}: everything else is undone");
                    assert!(walk.undone.is_disjoint(&held), "{what}: nothing is undone before what built on it");
                    walk.case.decide(stuck, decision).expect("it waits for a decision");
                    walk.run(bad, how, None);
                    let left = if decision == UndoDecision::Skip {
                        BTreeSet::from([stuck.to_owned()])
                    } else {
                        BTreeSet::new()
                    };
                    let end = if left.is_empty() { ExecutionStatus::Compensated } else { ExecutionStatus::Failed };
                    assert_eq!((walk.case.status(), walk.left()), (end, left), "{what}");
                    walk.undone.insert(stuck.to_owned());
                    assert_eq!(walk.undone, walk.done, "{what}");
                }
            }
        }
    }
}

#[test]
fn where_it_says_fail_it_goes_on_and_ends_failed_with_the_list() {
    for (bad, stuck) in GRAPH.iter().flat_map(|(bad, _)| GRAPH.map(|(stuck, _)| (*bad, stuck))) {
        let mut walk = Walk::new("fail", NEVER);
        walk.run(bad, Bad::TimesOut, Some(stuck));
        let left: BTreeSet<String> = walk.done.iter().filter(|done| *done == stuck).cloned().collect();
        let end = if left.is_empty() { ExecutionStatus::Compensated } else { ExecutionStatus::Failed };
        assert_eq!((walk.case.status(), walk.left()), (end, left), "{bad}, {stuck}");
    }
}
