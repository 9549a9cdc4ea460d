//! What the machine promises, over chosen cases and over random graphs.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use cogwheel_machine::{
    Change, Decision, Effect, Execution, ExecutionId, ExecutionStatus, Failure, FailureKind, Input, Limits,
    NewExecution, Outcome, Rejected, StepStatus, StoredStep,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

const LIMITS: Limits = Limits { parallel_steps: 4, lost_retries: 3 };

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).expect("a time that exists")
}

fn new(source: &str) -> NewExecution {
    let workflow =
        cogwheel_definition::parse(source.as_bytes(), "test").unwrap_or_else(|problems| panic!("{problems}"));
    NewExecution {
        id: ExecutionId(Uuid::from_u128(7)),
        workflow: Arc::new(workflow),
        workflow_version: 1,
        trigger: json!({}),
        inputs: json!({ "who": "world" }),
    }
}

fn execution(source: &str) -> Execution {
    Execution::queued(new(source), LIMITS)
}

fn runs(decision: &Decision) -> Vec<usize> {
    let step = |effect: &Effect| if let Effect::Run { step } = effect { Some(*step) } else { None };
    decision.effects.iter().filter_map(step).collect()
}

fn completed(execution: &Execution, step: usize, output: Value) -> Input {
    Input::Finished { step, attempt: execution.steps()[step].attempt, outcome: Outcome::Completed { output } }
}

fn failed(execution: &Execution, step: usize) -> Input {
    let failure = Failure::permanent(FailureKind::Exit, "exit code 3");
    Input::Finished {
        step,
        attempt: execution.steps()[step].attempt,
        outcome: Outcome::Failed { failure, output: None },
    }
}

fn statuses(execution: &Execution) -> Vec<StepStatus> {
    execution.steps().iter().map(|step| step.status).collect()
}

#[test]
fn a_list_without_needs_runs_top_to_bottom() {
    let mut execution = execution("steps: [{id: a, run: x}, {id: b, run: x}]");
    assert_eq!(runs(&execution.handle(Input::Claimed, at(0)).unwrap()), [0]);
    let next = completed(&execution, 0, json!({}));
    assert_eq!(runs(&execution.handle(next, at(1)).unwrap()), [1]);
    let next = completed(&execution, 1, json!({}));
    assert_eq!(execution.handle(next, at(2)).unwrap().effects, [Effect::End]);
    assert_eq!(execution.status(), ExecutionStatus::Completed);
    assert_eq!(execution.steps()[0].duration_ms(), Some(1000));
}

#[test]
fn a_graph_runs_side_by_side_and_joins() {
    let mut execution = execution("steps: [{id: a, run: x}, {id: b, run: x}, {id: c, needs: [a, b], run: x}]");
    assert_eq!(runs(&execution.handle(Input::Claimed, at(0)).unwrap()), [0, 1]);
    let next = completed(&execution, 1, json!({}));
    assert_eq!(runs(&execution.handle(next, at(1)).unwrap()), Vec::<usize>::new());
    let next = completed(&execution, 0, json!({}));
    assert_eq!(runs(&execution.handle(next, at(1)).unwrap()), [2]);
}

#[test]
fn a_failure_skips_what_needs_it_and_is_the_cause() {
    let mut execution = execution(
        "steps: [{id: a, run: x}, {id: b, needs: a, run: x}, {id: c, needs: b, run: x}, {id: d, needs: [], run: x}]",
    );
    execution.handle(Input::Claimed, at(0)).unwrap();
    let next = failed(&execution, 0);
    execution.handle(next, at(1)).unwrap();
    assert_eq!(execution.status(), ExecutionStatus::Running, "an independent branch goes on");
    let next = completed(&execution, 3, json!({}));
    execution.handle(next, at(2)).unwrap();
    let expected = [StepStatus::Failed, StepStatus::Skipped, StepStatus::Skipped, StepStatus::Completed];
    assert_eq!(statuses(&execution), expected);
    assert_eq!(execution.status(), ExecutionStatus::Failed);
    assert_eq!(execution.error().unwrap().step.as_deref(), Some("a"));
}

#[test]
fn outputs_of_needs_reach_expressions_and_the_result() {
    let mut execution = execution(
        "inputs: {who: {type: string}}\n\
         outputs: {greeting: \"${{ steps.b.outputs.text }}\"}\n\
         steps:\n\
         - {id: a, run: x}\n\
         - {id: b, uses: set, with: {text: \"hello ${{ inputs.who }}, ${{ steps.a.outputs.rows + 1 }} rows\"}}",
    );
    execution.handle(Input::Claimed, at(0)).unwrap();
    let next = completed(&execution, 0, json!({ "rows": 2 }));
    execution.handle(next, at(1)).unwrap();
    assert_eq!(execution.steps()[1].error, None);
    let input = execution.steps()[1].input.clone().unwrap();
    assert_eq!(input, json!({ "text": "hello world, 3 rows" }));
    let next = completed(&execution, 1, input);
    execution.handle(next, at(1)).unwrap();
    assert_eq!(execution.result(), Some(&json!({ "greeting": "hello world, 3 rows" })));
}

#[test]
fn an_expression_that_cannot_be_evaluated_fails_its_step() {
    let mut execution =
        execution("steps: [{id: a, run: x}, {id: b, uses: set, with: {n: \"${{ steps.a.outputs.missing }}\"}}]");
    execution.handle(Input::Claimed, at(0)).unwrap();
    let next = completed(&execution, 0, json!({}));
    let decision = execution.handle(next, at(1)).unwrap();
    assert_eq!(decision.effects, [Effect::End]);
    assert_eq!(execution.steps()[1].error.as_ref().unwrap().kind, FailureKind::Expression);
    assert_eq!(execution.status(), ExecutionStatus::Failed);
}

#[test]
fn a_value_that_no_database_stores_fails_its_step() {
    let mut execution =
        execution("steps: [{id: a, run: x}, {id: b, uses: set, with: {n: \"${{ steps.a.outputs.text }}\"}}]");
    execution.handle(Input::Claimed, at(0)).unwrap();
    let next = completed(&execution, 0, json!({ "text": "a\0b" }));
    execution.handle(next, at(1)).unwrap();
    assert!(execution.error().unwrap().title.contains("U+0000"));
}

#[test]
fn the_deadline_stops_what_runs_and_cancels_the_rest() {
    let mut execution = execution("timeout: 10s\nsteps: [{id: a, run: x}, {id: b, run: x}]");
    execution.handle(Input::Claimed, at(0)).unwrap();
    assert_eq!(execution.deadline_at(), Some(at(10)));
    let decision = execution.handle(Input::DeadlinePassed, at(10)).unwrap();
    assert_eq!(decision.effects, [Effect::Stop { step: 0 }]);
    assert_eq!(execution.status(), ExecutionStatus::Running, "its process may still be there");
    let stopped = Input::Finished { step: 0, attempt: 1, outcome: Outcome::Stopped };
    assert_eq!(execution.handle(stopped, at(11)).unwrap().effects, [Effect::End]);
    assert_eq!(execution.status(), ExecutionStatus::TimedOut);
    assert_eq!(statuses(&execution), [StepStatus::Cancelled, StepStatus::Cancelled]);
}

#[test]
fn a_step_that_outlasts_its_limit_is_timed_out() {
    let mut execution = execution("steps: [{id: a, run: x, timeout: 2s}]");
    execution.handle(Input::Claimed, at(0)).unwrap();
    assert_eq!(execution.steps()[0].timeout_at, Some(at(2)));
    let late = Input::Finished { step: 0, attempt: 1, outcome: Outcome::TimedOut { output: None } };
    execution.handle(late, at(2)).unwrap();
    assert_eq!(statuses(&execution), [StepStatus::TimedOut]);
    assert_eq!(execution.status(), ExecutionStatus::Failed);
    assert_eq!(execution.error().unwrap().kind, FailureKind::Timeout);
}

#[test]
fn a_crash_while_stopping_does_not_bring_a_step_back() {
    let mut execution = execution("timeout: 10s\nsteps: [{id: a, run: x}, {id: b, run: x}]");
    execution.handle(Input::Claimed, at(0)).unwrap();
    execution.handle(Input::DeadlinePassed, at(10)).unwrap();
    let decision = execution.handle(Input::Recovered, at(11)).unwrap();
    assert_eq!(decision.effects, [Effect::End]);
    assert_eq!(execution.status(), ExecutionStatus::TimedOut);
}

#[test]
fn draining_lets_steps_end_and_begins_nothing() {
    let mut execution = execution("steps: [{id: a, run: x}, {id: b, run: x}]");
    execution.handle(Input::Claimed, at(0)).unwrap();
    assert_eq!(execution.handle(Input::Drain, at(1)).unwrap().effects, []);
    let next = completed(&execution, 0, json!({}));
    assert_eq!(execution.handle(next, at(2)).unwrap().effects, [Effect::Release]);
    assert_eq!(statuses(&execution), [StepStatus::Completed, StepStatus::Pending]);
}

#[test]
fn a_late_report_of_an_earlier_attempt_changes_nothing() {
    let mut execution = execution("steps: [{id: a, run: x}]");
    execution.handle(Input::Claimed, at(0)).unwrap();
    let late = completed(&execution, 0, json!({}));
    execution.handle(Input::Recovered, at(1)).unwrap();
    assert_eq!(execution.steps()[0].attempt, 2);
    assert_eq!(execution.handle(late, at(2)).unwrap_err(), Rejected::Superseded { got: 1, current: 2 });
    assert_eq!(statuses(&execution), [StepStatus::Running]);
}

#[test]
fn a_step_that_is_lost_again_and_again_fails() {
    let mut execution = execution("steps: [{id: a, run: x}]");
    execution.handle(Input::Claimed, at(0)).unwrap();
    for lost in 1..=LIMITS.lost_retries {
        execution.handle(Input::Recovered, at(i64::from(lost))).unwrap();
        assert_eq!(execution.steps()[0].history.len(), lost as usize);
        assert_eq!(statuses(&execution), [StepStatus::Running]);
    }
    execution.handle(Input::Recovered, at(9)).unwrap();
    assert_eq!(execution.error().unwrap().kind, FailureKind::Lost);
    assert_eq!(execution.status(), ExecutionStatus::Failed);
}

/// A workflow whose step `n` needs the given earlier steps.
fn graph(needs: &[Vec<usize>]) -> String {
    let mut source = "steps:\n".to_owned();
    for (step, needs) in needs.iter().enumerate() {
        let needs: Vec<String> = needs.iter().map(|need| format!("s{need}")).collect();
        writeln!(source, "- {{id: s{step}, needs: [{}], run: x}}", needs.join(", ")).expect("text can grow");
    }
    source
}

fn random_graph() -> impl Strategy<Value = Vec<Vec<usize>>> {
    (1usize..12).prop_flat_map(|steps| {
        let needs = |step: usize| proptest::sample::subsequence((0..step).collect::<Vec<_>>(), 0..=step.min(3));
        (0..steps).map(needs).collect::<Vec<_>>()
    })
}

/// What happens next to a running execution.
#[derive(Clone, Debug)]
enum Event {
    Complete(usize),
    Fail(usize),
    Repeat,
    Crash,
    Deadline,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0usize..16).prop_map(Event::Complete),
        1 => (0usize..16).prop_map(Event::Fail),
        1 => Just(Event::Repeat),
        1 => Just(Event::Crash),
        1 => Just(Event::Deadline),
    ]
}

/// What a database would hold: rows only ever written whole.
#[derive(Default)]
struct Rows(HashMap<usize, StoredStep>);

impl Rows {
    fn write(&mut self, execution: &Execution, changes: &[Change]) {
        for step in changes.iter().filter_map(Change::step) {
            let state = execution.steps()[step].clone();
            if let Some(before) = self.0.get(&step) {
                assert!(!before.state.status.is_terminal() || before.state == state, "a final step changed");
                assert_eq!(before.state.ordinal, state.ordinal, "the idempotency key changed");
            }
            let key = execution.workflow().steps[step].id.clone();
            self.0.insert(step, StoredStep { key, state });
        }
    }
}

proptest! {
    #[test]
    fn every_execution_ends_with_every_promise_kept(
        needs in random_graph(),
        events in proptest::collection::vec(event(), 0..60),
    ) {
        let source = graph(&needs);
        let mut execution = execution(&source);
        let mut rows = Rows::default();
        let mut clock = 0;
        let decision = execution.handle(Input::Claimed, at(0)).unwrap();
        rows.write(&execution, &decision.changes);
        let mut last = None;
        // After the random part everything that still runs completes, so the execution must end.
        let events = events.into_iter().chain(std::iter::repeat_n(Event::Complete(0), 40));
        for event in events {
            clock += 1;
            let now = at(0) + TimeDelta::milliseconds(clock);
            let running: Vec<usize> = (0..needs.len()).filter(|step| statuses(&execution)[*step] == StepStatus::Running).collect();
            prop_assert!(running.len() <= LIMITS.parallel_steps);
            for step in &running {
                for need in &needs[*step] {
                    prop_assert_eq!(statuses(&execution)[*need], StepStatus::Completed);
                }
            }
            let input = match event {
                Event::Complete(n) | Event::Fail(n) if running.is_empty() => { let _ = n; continue }
                Event::Complete(n) => completed(&execution, running[n % running.len()], json!({})),
                Event::Fail(n) => failed(&execution, running[n % running.len()]),
                Event::Repeat => match last.clone() { Some(input) => input, None => continue },
                Event::Crash => {
                    let stored = rows.0.values().cloned().collect();
                    let status = execution.status();
                    let restored = Execution::restored(
                        new(&source), LIMITS, status, execution.started_at(), execution.deadline_at(), stored,
                    ).unwrap();
                    if status.is_terminal() { continue }
                    execution = restored;
                    Input::Recovered
                }
                Event::Deadline => Input::DeadlinePassed,
            };
            let now = if matches!(input, Input::DeadlinePassed) {
                clock += 300_000;
                at(0) + TimeDelta::milliseconds(clock)
            } else {
                now
            };
            last = Some(input.clone());
            let before = execution.status();
            if let Ok(decision) = execution.handle(input, now) {
                rows.write(&execution, &decision.changes);
            } else {
                prop_assert_eq!(execution.status(), before);
            }
            if before.is_terminal() {
                prop_assert_eq!(execution.status(), before);
            }
        }
        prop_assert!(execution.status().is_terminal(), "{:?} {:?}", execution.status(), statuses(&execution));
        prop_assert!(statuses(&execution).iter().all(|status| status.is_terminal()));
        let all_completed = statuses(&execution).iter().all(|status| *status == StepStatus::Completed);
        if execution.status() == ExecutionStatus::Completed {
            prop_assert!(all_completed);
        } else {
            prop_assert!(execution.error().is_some());
        }
    }
}
