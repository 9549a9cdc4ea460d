//! Attempts after attempts.

use chrono::TimeDelta;
use cogwheel_machine::{ExecutionStatus, FailureKind, Input, PastOutcome};
use serde_json::json;

use crate::rig::{Case, NOTHING, at};

/// The pauses between the attempts of a step that always fails, in seconds, and how often it was tried.
fn pauses(retry: &str) -> (Vec<i64>, i32) {
    let (mut case, _) = Case::begun(&format!("steps: [{{id: a, run: x, retry: {retry}}}]"));
    let mut pauses = Vec::new();
    while !case.status().is_terminal() {
        case.fail("a");
        let Some(wake_at) = case.step("a").wake_at else { break };
        assert_eq!(case.execution.next_wake_at(), Some(wake_at), "the owner sleeps until then");
        assert_eq!(case.status(), ExecutionStatus::Waiting, "a pause takes no slot");
        let early = case.execution.clone().handle(Input::Woken, wake_at - TimeDelta::microseconds(1));
        assert!(early.expect("it is taken in").effects.is_empty(), "not before its time");
        pauses.push((wake_at - case.now()).num_seconds());
        assert_eq!(case.wake(), ["run a"]);
    }
    assert_eq!(case.status(), ExecutionStatus::Failed);
    (pauses, case.step("a").attempt)
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
    let (mut case, _) = Case::begun("steps: [{id: a, run: x, retry: {attempts: 2, on: [timeout]}}]");
    assert_eq!(case.time_out("a"), NOTHING);
    assert_eq!(case.shows(), "a retrying");
    assert_eq!(case.wake(), ["run a"]);
    assert_eq!(case.complete("a", json!({})), ["end"]);
    assert_eq!(case.status(), ExecutionStatus::Completed);
    let history = &case.step("a").history;
    assert_eq!(history.iter().map(|past| past.outcome).collect::<Vec<_>>(), [PastOutcome::TimedOut]);
    assert_eq!(history[0].error.as_ref().unwrap().code(), "timeout");
}

#[test]
fn a_step_that_outlasts_its_limit_is_timed_out() {
    let (mut case, _) = Case::begun("steps: [{id: a, run: x, timeout: 2s}]");
    assert_eq!(case.step("a").timeout_at, Some(at(2)));
    assert_ne!(case.execution.next_wake_at(), Some(at(2)), "whoever runs the attempt keeps its limit");
    case.wait(2);
    case.time_out("a");
    assert_eq!(case.shows(), "a timed_out");
    assert_eq!((case.status(), case.error().kind), (ExecutionStatus::Failed, FailureKind::Timeout));
}

#[test]
fn an_attempt_that_became_due_waits_for_room() {
    let steps: Vec<_> = (0..4).map(|step| format!("{{id: s{step}, needs: [], run: x}}")).collect();
    let text = format!("steps: [{{id: a, run: x, retry: 2}}, {}]", steps.join(", "));
    let (mut case, _) = Case::begun(&text);
    assert_eq!(case.fail("a"), ["run s3"]);
    assert_eq!(case.wake(), NOTHING);
    assert_eq!(case.complete("s3", json!({})), ["run a"]);
}
