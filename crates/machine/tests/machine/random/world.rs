//! The world around an execution: attempts that end, children, signals, time, and nodes that die.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use cogwheel_definition::Action;
use cogwheel_machine::{
    CancelRequested, CauseKind, Change, Decision, Effect, Execution, ExecutionId, ExecutionStatus, Failure, Input,
    Layer, NewExecution, Outcome, PastOutcome, RerunError, StepState, StepStatus, UndoDecision, Unwound, UnwoundBy,
};
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::definitions::Definition;
use super::effects::Effects;
use crate::rig::{LIMITS, at, exit, new};
use crate::rows::{Rows, is_attempt};

/// More inputs than any of the executions here can take.
const MANY: usize = 20_000;

/// What happens next. Numbers choose among what it can happen to.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Complete(usize, i64),
    Fail(usize),
    TimeOut(usize),
    Stopped(usize),
    Signal(usize),
    ChildEnds(usize, usize),
    ChildIsStarted(usize),
    ChildIsNotStarted(usize),
    Wake,
    /// Time passes while nobody looks.
    Pass(i64),
    Deadline,
    Cancel,
    /// Somebody asks for everything to be undone.
    Unwind,
    /// An operator decides about an undo.
    Decide(usize, usize),
    /// A child says what became of what it did.
    ChildUndone(usize, usize),
    Repeat,
    Stray(i32),
    Crash,
    /// The node has no room for the execution from now on, or has it again.
    Room(bool),
    Drain,
}

pub(crate) fn event() -> impl Strategy<Value = Event> {
    let which = || 0_usize..16;
    prop_oneof![
        18 => (which(), 0_i64..9).prop_map(|(which, n)| Event::Complete(which, n)),
        6 => which().prop_map(Event::Fail),
        2 => which().prop_map(Event::TimeOut),
        4 => which().prop_map(Event::Stopped),
        5 => which().prop_map(Event::Signal),
        6 => (which(), which()).prop_map(|(which, how)| Event::ChildEnds(which, how)),
        3 => which().prop_map(Event::ChildIsStarted),
        1 => which().prop_map(Event::ChildIsNotStarted),
        8 => Just(Event::Wake),
        2 => (1_i64..40).prop_map(Event::Pass),
        1 => Just(Event::Deadline),
        1 => Just(Event::Cancel),
        1 => Just(Event::Unwind),
        3 => (which(), which()).prop_map(|(which, how)| Event::Decide(which, how)),
        3 => (which(), which()).prop_map(|(which, how)| Event::ChildUndone(which, how)),
        2 => Just(Event::Repeat),
        1 => (-1_i32..20).prop_map(Event::Stray),
        4 => Just(Event::Crash),
        2 => any::<bool>().prop_map(Event::Room),
        1 => Just(Event::Drain),
    ]
}

#[expect(clippy::struct_excessive_bools, reason = "each is a thing that has happened or not, whatever the others")]
pub(crate) struct World {
    new: NewExecution,
    execution: Execution,
    rows: Rows,
    now: DateTime<Utc>,
    last: Option<Input>,
    /// The request to cancel, recorded before anybody is told.
    cancel: Option<CancelRequested>,
    /// Whether it was asked for while the workflow's steps could still be stopped, and time was not up.
    cancel_must_win: bool,
    deadline_passed: bool,
    /// Attempts that were asked to stop.
    stopping: HashSet<i32>,
    begun: HashMap<i32, i32>,
    has_room: bool,
    is_draining: bool,
    is_decided: bool,
    /// Whether everything goes well from here on.
    is_running_out: bool,
    effects: Effects,
}

impl World {
    pub(crate) fn new(definition: &Definition) -> Self {
        let new = new(&definition.source());
        let execution = Execution::queued(new.clone(), LIMITS);
        Self::of(new, execution, at(0))
    }

    fn of(new: NewExecution, execution: Execution, now: DateTime<Utc>) -> Self {
        let mut world = Self {
            new,
            rows: Rows::of(&execution),
            execution,
            now,
            last: None,
            cancel: None,
            cancel_must_win: false,
            deadline_passed: false,
            stopping: HashSet::new(),
            begun: HashMap::new(),
            has_room: true,
            is_draining: false,
            is_decided: false,
            is_running_out: false,
            effects: Effects::default(),
        };
        world.tell(&Input::Claimed).expect("a queued execution is begun");
        world
    }

    /// The execution that does this one over; none where nothing failed.
    pub(crate) fn rerun(&self) -> Result<Option<Self>, TestCaseError> {
        let new = NewExecution { id: ExecutionId(Uuid::from_u128(8)), ..self.new.clone() };
        let stored = self.rows.restored(&self.new);
        match stored.rerun(new.clone(), LIMITS, None) {
            Ok(again) => {
                let live = self.execution.rerun(new.clone(), LIMITS, None);
                let kept = live.map(|live| live.steps().to_vec());
                prop_assert_eq!(kept, Ok(again.steps().to_vec()), "memory and rows keep the same");
                Ok(Some(Self::of(new, again, self.now)))
            }
            Err(RerunError::Undoable(key)) => {
                prop_assert!(stored.recorded_saga().is_some(), "{} is kept by no saga", key);
                Ok(None)
            }
            Err(error) => {
                prop_assert_eq!(self.execution.status(), ExecutionStatus::Completed, "{}", error);
                Ok(None)
            }
        }
    }

    pub(crate) fn happen(&mut self, event: &Event) -> Result<(), TestCaseError> {
        self.now += TimeDelta::milliseconds(1);
        match event {
            Event::Crash => return self.crash(),
            Event::Room(has_room) => {
                self.has_room = *has_room;
                self.execution.set_room(*has_room);
                return self.try_tell(&Input::Woken);
            }
            Event::Pass(seconds) => {
                self.now += TimeDelta::seconds(*seconds);
                return Ok(());
            }
            _ => {}
        }
        match self.input(event) {
            Some(input) => self.try_tell(&input),
            None => Ok(()),
        }
    }

    /// What the event tells the machine, if it can happen.
    fn input(&mut self, event: &Event) -> Option<Input> {
        let running = self.all(is_attempt);
        let started = self.all(is_started);
        let children: Vec<i32> = self.execution.awaiting_children().collect();
        Some(match event {
            Event::Complete(which, n) => {
                // It could have ended just before it was asked to stop.
                let step = pick(&running, *which)?;
                self.ended(step, Outcome::Completed { output: json!({ "n": n }) })
            }
            Event::Fail(which) => {
                self.ended(pick(&running, *which)?, Outcome::Failed { failure: exit(3), output: None })
            }
            Event::TimeOut(which) => self.ended(pick(&running, *which)?, Outcome::TimedOut { output: None }),
            Event::Stopped(which) => {
                let mut asked: Vec<i32> = self.stopping.iter().copied().collect();
                asked.sort_unstable();
                self.ended(pick(&asked, *which)?, Outcome::Stopped)
            }
            Event::Signal(which) => {
                let waiting: Vec<i32> = self.execution.awaiting_signals().map(|state| state.ordinal).collect();
                Input::Signalled { step: pick(&waiting, *which)?, payload: json!(which), received_at: self.now }
            }
            Event::ChildEnds(which, how) => {
                let step = pick(&children, *which)?;
                let child = self.execution.child_id(step)?;
                let ends = [
                    ExecutionStatus::Completed,
                    ExecutionStatus::Completed,
                    ExecutionStatus::Failed,
                    ExecutionStatus::Cancelled,
                    ExecutionStatus::TimedOut,
                ];
                let status = ends[how % ends.len()];
                let is_well = status == ExecutionStatus::Completed;
                // One that is a saga may have left something.
                let not_undone =
                    if status == ExecutionStatus::Failed && how % 2 == 0 { vec!["in".to_owned()] } else { Vec::new() };
                let (result, error) =
                    (is_well.then(|| json!({ "n": how })), (!is_well).then(|| Failure { not_undone, ..exit(1) }));
                Input::ChildEnded { step, child, status, result, error }
            }
            Event::ChildIsStarted(which) => {
                self.ended(pick(&started, *which)?, Outcome::Completed { output: json!({ "execution_id": "x" }) })
            }
            Event::ChildIsNotStarted(which) => {
                let asked: Vec<i32> = children.iter().chain(&started).copied().collect();
                self.ended(pick(&asked, *which)?, Outcome::Failed { failure: exit(1), output: None })
            }
            Event::Wake => {
                self.now = self.execution.next_wake_at()?.max(self.now);
                Input::Woken
            }
            Event::Deadline => {
                self.now = self.execution.deadline_at()?.max(self.now);
                Input::Woken
            }
            Event::Cancel => {
                let request = CancelRequested { reason: self.cancel.is_none().then(|| "first".to_owned()) };
                if self.execution.status().is_terminal() {
                    return Some(Input::Cancel(request));
                }
                self.cancel.get_or_insert_with(|| request.clone());
                self.cancel_must_win |= !self.is_decided && !self.deadline_passed;
                Input::Cancel(request)
            }
            Event::Unwind => Input::Unwind { by: UnwoundBy::Operator, reason: None },
            Event::Decide(which, how) => {
                let undos: Vec<i32> = self.execution.saga()?.undos.iter().map(|undo| undo.step).collect();
                let paused = self.execution.paused_undos();
                let step = pick(if paused.is_empty() { &undos } else { &paused }, *which)?;
                let decisions = [UndoDecision::Retry, UndoDecision::Skip, UndoDecision::Force];
                let decision = decisions[how % decisions.len()];
                Input::Undo { step, decision, reason: "because".to_owned(), by: None }
            }
            Event::ChildUndone(which, how) => {
                let asking: Vec<i32> = self.execution.awaiting_unwindings().collect();
                let step = pick(&asking, *which)?;
                let forward = self.execution.step(step)?.parent?;
                let children = self.execution.children_to_unwind(forward);
                let child = *children.get(how % children.len().max(1))?;
                let outcome = match how % 5 {
                    0 | 1 => Unwound::Undone,
                    2 => Unwound::Nothing,
                    _ if self.is_running_out => Unwound::Undone,
                    _ => Unwound::Failed(exit(1)),
                };
                Input::ChildUndone { step, child, outcome }
            }
            Event::Repeat => self.last.clone()?,
            Event::Stray(step) => {
                Input::Finished { step: *step, attempt: 77, outcome: Outcome::Completed { output: json!({}) } }
            }
            Event::Drain => {
                self.is_draining = true;
                Input::Drain
            }
            Event::Crash | Event::Room(_) | Event::Pass(_) => return None,
        })
    }

    fn all(&self, is_it: impl Fn(&Execution, &StepState) -> bool) -> Vec<i32> {
        let states = self.execution.steps().iter().filter(|state| is_it(&self.execution, state));
        states.map(|state| state.ordinal).collect()
    }

    fn ended(&self, step: i32, outcome: Outcome) -> Input {
        let attempt = self.execution.step(step).map_or(0, |state| state.attempt);
        Input::Finished { step, attempt, outcome }
    }

    /// The node dies, and another one goes on from the rows.
    fn crash(&mut self) -> Result<(), TestCaseError> {
        if self.rows.status().is_terminal() {
            return Ok(());
        }
        self.execution = self.rows.taken_over(&self.new);
        self.execution.set_room(self.has_room);
        self.is_draining = false;
        self.stopping.clear();
        self.deadline_passed |= self.execution.deadline_at().is_some_and(|deadline_at| deadline_at <= self.now);
        self.try_tell(&Input::Recovered { cancel: self.cancel.clone() })
    }

    /// Hands an input in; what is refused must change nothing.
    fn try_tell(&mut self, input: &Input) -> Result<(), TestCaseError> {
        let before = (self.execution.status(), self.execution.steps().to_vec());
        self.deadline_passed |= matches!(input, Input::Woken)
            && !self.is_decided
            && self.execution.deadline_at().is_some_and(|deadline_at| deadline_at <= self.now);
        self.last = Some(input.clone());
        let is_unwound = matches!(input, Input::Unwind { .. });
        if self.tell(input).is_none() {
            prop_assert_eq!(before, (self.execution.status(), self.execution.steps().to_vec()));
        } else {
            prop_assert!(!before.0.is_terminal() || is_unwound || before.1 == self.execution.steps());
        }
        Ok(())
    }

    fn tell(&mut self, input: &Input) -> Option<Decision> {
        let was_asleep = !self.has_room || self.is_draining;
        let before = self.execution.clone();
        let decision = self.execution.handle(input.clone(), self.now).ok()?;
        self.effects.told(&before, input);
        Effects::check_order(&self.execution, &decision.changes);
        Effects::check_tries(&self.execution);
        self.check_changes(&decision.changes, was_asleep);
        self.rows.write(&self.execution, &decision);
        self.rows.agree_with(&self.execution, &self.new);
        self.check_attempts();
        self.check_that_it_goes_on();
        for effect in &decision.effects {
            match effect {
                Effect::Run { step } => {
                    let attempt = self.execution.step(*step).map_or(0, |state| state.attempt);
                    let earlier = self.begun.insert(*step, attempt);
                    assert!(earlier.is_none_or(|earlier| earlier < attempt), "an attempt is run twice");
                }
                Effect::Stop { step } => assert!(self.stopping.insert(*step), "an attempt is stopped twice"),
                Effect::StartChild { step } | Effect::CancelChild { step } => {
                    assert!(self.execution.child_id(*step).is_some());
                }
                Effect::AwaitSignal { .. } | Effect::UnwindChild { .. } => {}
                Effect::Release => assert!(self.is_draining && !self.execution.status().is_terminal()),
                Effect::End => assert!(self.execution.status().is_terminal()),
            }
        }
        let execution = &self.execution;
        self.stopping.retain(|step| execution.step(*step).is_some_and(|state| is_attempt(execution, state)));
        Some(decision)
    }

    /// What must hold of changes one after the other.
    fn check_changes(&mut self, changes: &[Change], was_asleep: bool) {
        let states = self.rows.steps().iter().filter(|state| state.status.is_terminal());
        let mut ended: HashSet<i32> = states.map(|state| state.ordinal).collect();
        for change in changes {
            match change {
                Change::StepStarted { step, .. } => {
                    let state = self.execution.step(*step).expect("it began");
                    let is_evaluated_in_vain = state.status == StepStatus::Failed;
                    assert!(!was_asleep || is_evaluated_in_vain, "{} began without room", state.key);
                    if state.attempt == 1 && state.history.is_empty() {
                        self.check_needs(state, &ended);
                    }
                }
                Change::StepEnded { step, .. } => assert!(ended.insert(*step), "a step ended twice"),
                Change::Decided { .. } | Change::UnwindStarted { .. } | Change::Ended { .. } => self.is_decided = true,
                Change::Started { .. }
                | Change::Moved { .. }
                | Change::UnwindRequested { .. }
                | Change::UndoResolved { .. }
                | Change::StepWaits { .. }
                | Change::StepResumed { .. }
                | Change::StepLost { .. }
                | Change::StepRetrying { .. } => {}
            }
        }
    }

    /// No step begins before those it needs have ended, and have ended well unless its `if` asks for their status.
    fn check_needs(&self, state: &StepState, ended: &HashSet<i32>) {
        let workflow = self.execution.workflow();
        let definition = &workflow.steps[state.step];
        let parent = state.parent.and_then(|parent| self.execution.step(parent));
        if parent.is_some_and(|parent| parent.step == state.step) {
            return;
        }
        let asks = definition.condition.as_ref().is_some_and(|condition| condition.asks_for_status);
        for &need in &definition.needs {
            let is_need = |other: &&StepState| {
                let is_outermost = parent.is_none_or(|parent| parent.step != need);
                is_outermost && other.parent == state.parent && other.step == need
            };
            let need = self.execution.steps().iter().find(is_need);
            let need = need.unwrap_or_else(|| panic!("{} began before what it needs", state.key));
            assert!(ended.contains(&need.ordinal), "{} began before {} had ended", state.key, need.key);
            let is_tolerated = workflow.steps[need.step].continue_on_error
                && matches!(need.status, StepStatus::Failed | StepStatus::TimedOut);
            let is_well = need.status == StepStatus::Completed || is_tolerated;
            assert!(is_well || asks, "{} began though {} ended {:?}", state.key, need.key, need.status);
        }
    }

    /// There is something that brings an execution on, beside its time limit; and another node would find as much to do.
    fn check_that_it_goes_on(&self) {
        let execution = &self.execution;
        if execution.status().is_terminal() || execution.has_running_steps() {
            return;
        }
        let is_awaited = |state: &StepState| {
            let is_child = matches!(execution.definition(state).action, Action::Workflow { .. });
            state.status == StepStatus::Waiting && (state.signal.is_some() || is_child && state.layer == Layer::Action)
        };
        let has_asked = execution.awaiting_unwindings().next().is_some() || !execution.paused_undos().is_empty();
        let goes_on = has_asked || execution.steps().iter().any(|state| is_awaited(state) || state.wake_at.is_some());
        assert!(goes_on || execution.has_work(), "nothing brings it on: {:?}", execution.status());
        let is_due = execution.next_wake_at().is_none_or(|at| at <= self.now);
        if is_due || self.cancel.is_some() || self.rows.is_stopping(execution) {
            return;
        }
        let mut elsewhere = self.rows.restored(&self.new);
        elsewhere.set_room(false);
        elsewhere.handle(Input::Recovered { cancel: None }, self.now).expect("it is under way");
        assert_eq!(elsewhere.has_work(), execution.has_work(), "another node would find something else to do");
        assert_eq!(elsewhere.status(), execution.status());
    }

    /// Attempts are bounded.
    fn check_attempts(&self) {
        for state in self.execution.steps() {
            let retry = self.execution.definition(state).retry.as_ref();
            let most = if state.layer == Layer::Action { retry.map_or(1, |retry| retry.attempts) } else { 1 };
            let lost = state.history.iter().filter(|past| past.outcome == PastOutcome::Lost).count();
            let failed = state.history.len() - lost;
            assert!(failed < most as usize, "{} is tried too often", state.key);
            assert!(lost <= LIMITS.lost_retries as usize, "{} is lost too often", state.key);
        }
    }

    /// From here on everything goes as it should: the execution must come to an end.
    pub(crate) fn run_out(&mut self) -> Result<(), TestCaseError> {
        if self.is_draining {
            self.crash()?;
        }
        self.is_running_out = true;
        self.happen(&Event::Room(true))?;
        let mut choice = usize::try_from(self.now.timestamp_millis() % 7).unwrap_or_default();
        for _ in 0..MANY {
            if self.execution.status().is_terminal() {
                return self.check_end();
            }
            let waits = self.execution.awaiting_signals().count() + self.execution.awaiting_children().count();
            let paused = self.execution.paused_undos();
            let asks = self.execution.awaiting_unwindings().count();
            let event = if !self.stopping.is_empty() {
                Event::Stopped(0)
            } else if self.execution.has_running_steps() {
                Event::Complete(0, 1)
            } else if !self.all(is_started).is_empty() {
                Event::ChildIsStarted(0)
            } else if asks > 0 {
                // Those that have answered are not heard again.
                choice += 1;
                Event::ChildUndone(choice, choice.checked_div(asks).unwrap_or_default())
            } else if waits == 0 && self.execution.next_wake_at().is_none() && !paused.is_empty() {
                Effects::check_paused(&self.execution);
                choice += 1;
                Event::Decide(choice, choice)
            } else if waits == 0 {
                Event::Wake
            } else if self.execution.awaiting_signals().next().is_some() {
                Event::Signal(0)
            } else {
                Event::ChildEnds(0, 0)
            };
            prop_assert!(!matches!(event, Event::Wake) || self.execution.next_wake_at().is_some(), "it hangs");
            self.happen(&event)?;
        }
        let steps: Vec<_> = self.execution.steps().iter().map(|state| (&state.key, state.status)).collect();
        Err(TestCaseError::fail(format!("it does not end: {:?} {steps:?}", self.execution.status())))
    }

    fn check_end(&mut self) -> Result<(), TestCaseError> {
        let execution = &self.execution;
        let status = execution.status();
        let cause = execution.saga().and_then(|saga| saga.cause).map(|cause| cause.kind);
        let is_stopped_by_request = matches!(cause, Some(CauseKind::Cancelled | CauseKind::Operator));
        if self.cancel_must_win && !is_stopped_by_request {
            prop_assert_eq!(status, ExecutionStatus::Cancelled);
        }
        self.effects.check_end(execution);
        if status == ExecutionStatus::Completed {
            let failed = execution.steps().iter().find(|state| {
                state.parent.is_none()
                    && matches!(state.status, StepStatus::Failed | StepStatus::TimedOut | StepStatus::Cancelled)
                    && !execution.definition(state).continue_on_error
            });
            prop_assert_eq!(failed, None);
            prop_assert_eq!(execution.result(), Some(&json!({ "who": "world" })));
        }
        if let Some(saga) = execution.saga()
            && status == ExecutionStatus::Completed
        {
            prop_assert!(saga.undos.is_empty());
            if self.tell(&Input::Unwind { by: UnwoundBy::Parent, reason: None }).is_some() {
                prop_assert_ne!(self.execution.status(), ExecutionStatus::Completed);
                return self.run_out();
            }
        }
        let decision = self.tell(&Input::Woken);
        prop_assert!(decision.is_none(), "nothing follows the end");
        Ok(())
    }
}

/// Whether a step is about to hear that the execution that it asked for is started, and waits for no more.
fn is_started(execution: &Execution, state: &StepState) -> bool {
    let starts = matches!(execution.definition(state).action, Action::Workflow { wait: false, .. });
    starts && state.status == StepStatus::Waiting && state.layer == Layer::Action
}

fn pick(of: &[i32], which: usize) -> Option<i32> {
    (!of.is_empty()).then(|| of[which % of.len()])
}
