//! What the machine promises, over chosen cases and over random graphs.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use cogwheel_machine::{
    CancelRequested, Change, Decision, Effect, Execution, ExecutionId, ExecutionStatus, Failure, FailureKind, Input,
    Limits, NewExecution, Outcome, PastOutcome, Rejected, StepStatus, StoredStep,
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
    let failure = Failure::retriable(FailureKind::Exit, "exit code 3").with_code(3);
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
    let decision = execution.handle(Input::Woken, at(10)).unwrap();
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
    execution.handle(Input::Woken, at(10)).unwrap();
    let decision = execution.handle(Input::Recovered { cancel: None }, at(11)).unwrap();
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
    execution.handle(Input::Recovered { cancel: None }, at(1)).unwrap();
    assert_eq!(execution.steps()[0].attempt, 2);
    assert_eq!(execution.handle(late, at(2)).unwrap_err(), Rejected::Superseded { got: 1, current: 2 });
    assert_eq!(statuses(&execution), [StepStatus::Running]);
}

#[test]
fn a_step_that_is_lost_again_and_again_fails() {
    let mut execution = execution("steps: [{id: a, run: x}]");
    execution.handle(Input::Claimed, at(0)).unwrap();
    for lost in 1..=LIMITS.lost_retries {
        execution.handle(Input::Recovered { cancel: None }, at(i64::from(lost))).unwrap();
        assert_eq!(execution.steps()[0].history.len(), lost as usize);
        assert_eq!(statuses(&execution), [StepStatus::Running]);
    }
    execution.handle(Input::Recovered { cancel: None }, at(9)).unwrap();
    assert_eq!(execution.error().unwrap().kind, FailureKind::Lost);
    assert_eq!(execution.status(), ExecutionStatus::Failed);
}

/// A workflow whose step `n` needs the given earlier steps.
fn graph(needs: &[Vec<usize>]) -> String {
    let mut source = "steps:\n".to_owned();
    for (step, needs) in needs.iter().enumerate() {
        let needs: Vec<String> = needs.iter().map(|need| format!("s{need}")).collect();
        let retry = if is_retried(step) { ", retry: 3" } else { "" };
        let needs = needs.join(", ");
        writeln!(
            source,
            "- {{id: s{step}, needs: [{needs}], run: x, continue_on_error: {}{retry}}}",
            is_tolerated(step)
        )
        .expect("text can grow");
    }
    source
}

/// Which steps of a random graph are tried three times.
fn is_retried(step: usize) -> bool {
    step.is_multiple_of(3)
}

/// Which steps of a random graph may fail.
fn is_tolerated(step: usize) -> bool {
    step % 4 == 1
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
    Cancel,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        9 => (0usize..16).prop_map(Event::Complete),
        3 => (0usize..16).prop_map(Event::Fail),
        1 => Just(Event::Repeat),
        1 => Just(Event::Crash),
        1 => Just(Event::Deadline),
        1 => Just(Event::Cancel),
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
        let mut is_cancelled = false;
        for event in events {
            clock += 1;
            let now = at(0) + TimeDelta::milliseconds(clock);
            let running: Vec<usize> = (0..needs.len()).filter(|step| statuses(&execution)[*step] == StepStatus::Running).collect();
            prop_assert!(running.len() <= LIMITS.parallel_steps);
            for step in &running {
                for need in &needs[*step] {
                    let status = statuses(&execution)[*need];
                    prop_assert!(status == StepStatus::Completed || is_tolerated(*need) && status.is_terminal());
                }
            }
            let input = match event {
                Event::Complete(_) | Event::Fail(_) if running.is_empty() => Input::Woken,
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
                    Input::Recovered { cancel: is_cancelled.then(CancelRequested::default) }
                }
                Event::Deadline => Input::Woken,
                Event::Cancel => Input::Cancel(CancelRequested::default()),
            };
            let now = match (&event, execution.next_wake_at()) {
                (Event::Deadline, Some(_)) => execution.deadline_at().unwrap_or(now).max(now),
                (_, Some(wake_at)) if matches!(input, Input::Woken) => wake_at.max(now),
                _ => now,
            };
            clock = (now - at(0)).num_milliseconds() + 1;
            last = Some(input.clone());
            let before = execution.status();
            is_cancelled |= matches!(input, Input::Cancel(_)) && !before.is_terminal();
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
        for state in execution.steps() {
            let failed = state.history.iter().filter(|past| past.outcome != PastOutcome::Lost).count();
            prop_assert!(failed < if is_retried(state.index) { 3 } else { 1 }, "retries are bounded");
        }
        let all_well = (0..needs.len()).all(|step| {
            statuses(&execution)[step] == StepStatus::Completed || is_tolerated(step)
        });
        if is_cancelled {
            prop_assert!(matches!(execution.status(), ExecutionStatus::Cancelled | ExecutionStatus::TimedOut));
        }
        if execution.status() == ExecutionStatus::Completed {
            prop_assert!(all_well);
        } else {
            prop_assert!(execution.error().is_some());
        }
    }
}

#[test]
fn a_false_if_skips_the_step_and_what_needs_it() {
    let mut execution = execution(
        "inputs: {who: {type: string}}\n\
         steps:\n\
         - {id: a, if: \"inputs.who == 'nobody'\", run: x}\n\
         - {id: b, run: x}\n\
         - {id: c, if: \"always()\", run: x}",
    );
    assert_eq!(runs(&execution.handle(Input::Claimed, at(0)).unwrap()), [2]);
    assert_eq!(statuses(&execution), [StepStatus::Skipped, StepStatus::Skipped, StepStatus::Running]);
    assert_eq!(execution.steps()[0].error.as_ref().unwrap().kind, FailureKind::ConditionFalse);
    let next = completed(&execution, 2, json!({}));
    execution.handle(next, at(1)).unwrap();
    assert_eq!(execution.status(), ExecutionStatus::Completed, "a branch that was not taken is no failure");
}

#[test]
fn an_if_that_is_no_truth_value_fails_the_step() {
    let mut execution = execution("inputs: {who: {type: string}}\nsteps: [{id: a, if: \"inputs.who\", run: x}]");
    assert_eq!(execution.handle(Input::Claimed, at(0)).unwrap().effects, [Effect::End]);
    assert_eq!(execution.status(), ExecutionStatus::Failed);
    assert!(execution.error().unwrap().title.contains("must give true or false"));
}

#[test]
fn a_handler_runs_only_after_a_failure() {
    let text = "steps: [{id: a, run: x}, {id: b, run: x}, {id: handle, if: \"failure()\", run: x}]";
    let mut failing = execution(text);
    failing.handle(Input::Claimed, at(0)).unwrap();
    let next = failed(&failing, 0);
    assert_eq!(runs(&failing.handle(next, at(1)).unwrap()), [2], "the failure is upstream, though not a direct need");
    let next = completed(&failing, 2, json!({}));
    failing.handle(next, at(2)).unwrap();
    assert_eq!(failing.status(), ExecutionStatus::Failed, "handling a failure does not undo it");

    let mut sound = execution(text);
    sound.handle(Input::Claimed, at(0)).unwrap();
    for step in 0..2 {
        let next = completed(&sound, step, json!({}));
        sound.handle(next, at(1)).unwrap();
    }
    assert_eq!(statuses(&sound)[2], StepStatus::Skipped);
    assert_eq!(sound.status(), ExecutionStatus::Completed);
}

#[test]
fn an_error_that_is_tolerated_holds_nothing_up() {
    let mut execution = execution("steps: [{id: a, run: x, continue_on_error: true}, {id: b, run: x}]");
    execution.handle(Input::Claimed, at(0)).unwrap();
    let next = failed(&execution, 0);
    assert_eq!(runs(&execution.handle(next, at(1)).unwrap()), [1]);
    let next = completed(&execution, 1, json!({}));
    execution.handle(next, at(2)).unwrap();
    assert_eq!(statuses(&execution), [StepStatus::Failed, StepStatus::Completed]);
    assert_eq!(execution.status(), ExecutionStatus::Completed);
}

/// The pauses between the attempts of a step that always fails, in seconds, and how often it was tried.
fn pauses(retry: &str) -> (Vec<i64>, i32) {
    let mut execution = execution(&format!("steps: [{{id: a, run: x, retry: {retry}}}]"));
    execution.handle(Input::Claimed, at(0)).expect("it is taken in");
    let (mut now, mut pauses) = (at(0), Vec::new());
    while !execution.status().is_terminal() {
        let next = failed(&execution, 0);
        assert_eq!(runs(&execution.handle(next, now).expect("it is taken in")), Vec::<usize>::new());
        let Some(wake_at) = execution.steps()[0].wake_at else { break };
        assert_eq!(execution.next_wake_at(), Some(wake_at), "the owner sleeps until then");
        let early = execution.handle(Input::Woken, wake_at - TimeDelta::microseconds(1)).expect("it is taken in");
        assert!(early.effects.is_empty(), "not before its time");
        assert_eq!(runs(&execution.handle(Input::Woken, wake_at).expect("it is taken in")), [0]);
        pauses.push((wake_at - now).num_seconds());
        now = wake_at;
    }
    assert_eq!(execution.status(), ExecutionStatus::Failed);
    (pauses, execution.steps()[0].attempt)
}

#[test]
fn pauses_grow_as_the_retry_says() {
    for (retry, expected) in [
        ("{attempts: 4, delay: 2s, backoff: fixed, jitter: false}", vec![2, 2, 2]),
        ("{attempts: 4, delay: 2s, backoff: linear, jitter: false}", vec![2, 4, 6]),
        ("{attempts: 5, delay: 2s, max_delay: 10s, jitter: false}", vec![2, 4, 8, 10]),
        ("{attempts: 9, delay: 10s, max_elapsed: 35s, jitter: false}", vec![10, 20]),
        ("{attempts: 1}", vec![]),
        ("{attempts: 3, on: [timeout]}", vec![]),
    ] {
        let attempts = i32::try_from(expected.len()).unwrap() + 1;
        assert_eq!(pauses(retry), (expected, attempts), "{retry}");
    }
    for pause in pauses("{attempts: 9, delay: 20s, backoff: fixed, jitter: true}").0 {
        assert!((10..=20).contains(&pause), "{pause}");
    }
}

#[test]
fn a_retry_that_succeeds_leaves_its_history() {
    let mut execution = execution("steps: [{id: a, run: x, retry: {attempts: 2, on: [timeout]}}]");
    execution.handle(Input::Claimed, at(0)).unwrap();
    execution
        .handle(Input::Finished { step: 0, attempt: 1, outcome: Outcome::TimedOut { output: None } }, at(1))
        .unwrap();
    assert_eq!(statuses(&execution), [StepStatus::Retrying]);
    execution.handle(Input::Woken, at(10)).unwrap();
    let next = completed(&execution, 0, json!({}));
    execution.handle(next, at(11)).unwrap();
    assert_eq!(execution.status(), ExecutionStatus::Completed);
    let history = &execution.steps()[0].history;
    assert_eq!(history.iter().map(|past| past.outcome).collect::<Vec<_>>(), [PastOutcome::TimedOut]);
    assert_eq!(history[0].error.as_ref().unwrap().code(), "timeout");
}

#[test]
fn a_lost_attempt_is_a_failure_where_the_step_says_so() {
    let mut execution = execution("steps: [{id: a, run: x, on_lost: fail}]");
    execution.handle(Input::Claimed, at(0)).unwrap();
    execution.handle(Input::Recovered { cancel: None }, at(1)).unwrap();
    assert_eq!(execution.status(), ExecutionStatus::Failed);
    assert_eq!(execution.error().unwrap().kind, FailureKind::Lost);
}

#[test]
fn a_cancel_stops_what_runs_and_begins_nothing_more() {
    let mut execution = execution(
        "steps: [{id: a, run: x}, {id: b, run: x, needs: [], retry: 3}, {id: c, run: x, needs: [a], if: \"always()\"}]",
    );
    execution.handle(Input::Claimed, at(0)).unwrap();
    let next = failed(&execution, 1);
    execution.handle(next, at(0)).unwrap();
    let request = CancelRequested { reason: Some("no longer wanted".to_owned()) };
    let decision = execution.handle(Input::Cancel(request.clone()), at(1)).unwrap();
    assert_eq!(decision.effects, [Effect::Stop { step: 0 }]);
    assert_eq!(statuses(&execution), [StepStatus::Running, StepStatus::Cancelled, StepStatus::Cancelled]);
    assert!(execution.handle(Input::Cancel(request), at(1)).unwrap().effects.is_empty(), "asked twice, stopped once");
    let stopped = Input::Finished { step: 0, attempt: 1, outcome: Outcome::Stopped };
    assert_eq!(execution.handle(stopped, at(2)).unwrap().effects, [Effect::End]);
    assert_eq!(execution.status(), ExecutionStatus::Cancelled);
    assert_eq!(execution.error().unwrap().detail.as_deref(), Some("no longer wanted"));
}

#[test]
fn what_is_cancelled_in_the_queue_never_runs() {
    let mut execution = execution("steps: [{id: a, run: x}]");
    let decision = execution.handle(Input::Cancel(CancelRequested::default()), at(0)).unwrap();
    assert_eq!(decision.effects, [Effect::End]);
    assert_eq!(execution.status(), ExecutionStatus::Cancelled);
    assert_eq!(execution.steps()[0].attempt, 0);
}

#[test]
fn what_is_cancelled_before_it_is_taken_up_again_begins_nothing() {
    let mut execution = execution(
        "steps: [{id: a, run: x, needs: [], retry: 3}, {id: b, run: x, needs: []}, {id: c, needs: [b], run: x}]",
    );
    execution.handle(Input::Claimed, at(0)).unwrap();
    let next = failed(&execution, 0);
    execution.handle(next, at(1)).unwrap();
    let decision = execution.handle(Input::Recovered { cancel: Some(CancelRequested::default()) }, at(100)).unwrap();
    assert_eq!(decision.effects, [Effect::End]);
    assert_eq!(statuses(&execution), [StepStatus::Cancelled; 3]);
    assert_eq!(execution.status(), ExecutionStatus::Cancelled);
}
