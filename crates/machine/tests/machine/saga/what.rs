//! What is undone: whatever was done, or may have been.

use cogwheel_machine::{ExecutionStatus, Failure, FailureKind, Outcome};
use serde_json::json;

use super::undoable;
use crate::rig::{Case, NOTHING};

/// The undos of `a` alone when it ended as `end` says, and another step failed.
fn undone(more: &str, end: impl FnOnce(&mut Case)) -> String {
    let (mut case, _) = Case::begun(&format!(
        "steps: [{}, {{id: z, needs: [], run: x}}]",
        undoable("a", &format!(", needs: []{more}"))
    ));
    end(&mut case);
    if !case.step("z").status.is_terminal() {
        case.fail("z");
    }
    assert!(case.step("a").status.is_terminal());
    case.undos()
}

#[test]
fn what_completed_is_undone_and_what_failed_cleanly_is_not() {
    assert_eq!(undone("", |case| drop(case.complete("a", json!({})))), "a 0 running");
    assert_eq!(undone("", |case| drop(case.fail("a"))), "");
    assert_eq!(undone(", continue_on_error: true", |case| drop(case.fail("a"))), "");
    assert_eq!(undone(", if: \"inputs.who == 'nobody'\"", |_| ()), "", "what was skipped did nothing");
    assert_eq!(undone(", env: {X: \"${{ inputs.list[9] }}\"}", |_| ()), "", "it failed before it ran");
}

#[test]
fn what_may_have_happened_is_undone() {
    assert_eq!(undone("", |case| drop(case.time_out("a"))), "a 0 running");
    assert_eq!(undone(", continue_on_error: true", |case| drop(case.time_out("a"))), "a 0 running");
    assert_eq!(undone(", on_lost: fail", |case| drop(case.crash(None))), "a 0 running", "lost for good");
    let killed = |kind: FailureKind| {
        move |case: &mut Case| {
            let failure = Failure::retriable(kind, "it was killed");
            let report = case.ended("a", Outcome::Failed { failure, output: None });
            case.tell(report);
        }
    };
    assert_eq!(undone("", killed(FailureKind::Signal)), "a 0 running");
    assert_eq!(undone("", killed(FailureKind::Output)), "a 0 running", "it did its work and said nonsense");
}

#[test]
fn an_exchange_tells_that_nothing_happened_only_if_it_was_refused_or_never_took_place() {
    let answered = |code: &'static str| {
        move |case: &mut Case| {
            let failure = Failure::retriable(FailureKind::Http, "not as expected").with_code(code);
            case.tell(case.ended("a", Outcome::Failed { failure, output: None }));
        }
    };
    for code in ["dns", "connect", "tls", "400", "404", "409", "422", "429"] {
        assert_eq!(undone("", answered(code)), "", "{code}");
    }
    for code in ["interrupted", "redirect", "200", "302", "408", "500", "502", "504"] {
        assert_eq!(undone("", answered(code)), "a 0 running", "{code}");
    }
    let scripted = |case: &mut Case| {
        let failure = Failure::retriable(FailureKind::Http, "as a test says");
        case.tell(case.ended("a", Outcome::Failed { failure, output: None }));
    };
    assert_eq!(undone("", scripted), "");
}

#[test]
fn earlier_attempts_count_although_the_last_one_failed_cleanly() {
    let retry = ", retry: {attempts: 2, delay: 1s, jitter: false, on: [timeout]}";
    let late = undone(retry, |case| {
        case.time_out("a");
        case.wake();
        case.fail("a");
    });
    assert_eq!(late, "a 0 running");
    let lost = undone("", |case| {
        case.crash(None);
        case.fail("a");
    });
    assert_eq!(lost, "a 0 running");
    let clean = undone(", retry: {attempts: 2, delay: 1s, jitter: false}", |case| {
        case.fail("a");
        case.wake();
        case.fail("a");
    });
    assert_eq!(clean, "");
}

#[test]
fn what_is_cancelled_in_flight_is_undone_and_what_only_waited_for_its_next_attempt_is_not() {
    let (mut case, _) = Case::begun(&format!(
        "steps: [{}, {}, {}]",
        undoable("a", ", needs: []"),
        undoable("b", ", needs: [], retry: 3"),
        undoable("c", ", needs: [a]")
    ));
    case.fail("b");
    assert_eq!(case.cancel(Some("enough")), ["stop a"]);
    assert_eq!(case.stopped("a"), ["run a.compensate"]);
    assert_eq!(case.undos(), "a 0 running");
    assert_eq!(case.complete("a.compensate", json!({})), ["end"]);
    assert_eq!((case.status(), case.error().kind), (ExecutionStatus::Compensated, FailureKind::Cancelled));
    assert_eq!(case.error().detail.as_deref(), Some("enough"));
}

#[test]
fn a_group_that_completed_is_undone_as_a_whole_and_one_that_did_not_step_by_step() {
    let text = format!(
        "steps: [{{id: g, compensate: {{run: u}}, steps: [{}, {}]}}, {{id: z, run: x}}]",
        undoable("p", ""),
        undoable("q", "")
    );
    let (mut case, _) = Case::begun(&text);
    case.complete("g.p", json!({}));
    case.complete("g.q", json!({}));
    case.fail("z");
    assert_eq!(case.undos(), "g 0 running");
    let (mut case, _) = Case::begun(&text);
    case.complete("g.p", json!({}));
    case.fail("g.q");
    assert_eq!(case.undos(), "g.p 0 running");
}

#[test]
fn an_undo_may_be_a_group_that_waits_for_an_answer() {
    let (mut case, _) = Case::begun(
        "steps:\n- id: a\n  run: x\n  compensate:\n    timeout: 1h\n    \
         steps: [{id: ask, run: u}, {id: answer, uses: wait, with: {signal: freed}}]\n- {id: z, run: x}",
    );
    case.complete("a", json!({}));
    assert_eq!(case.fail("z"), ["run a.compensate.ask"]);
    assert_eq!(case.crash(None), ["run a.compensate.ask"]);
    assert_eq!(case.complete("a.compensate.ask", json!({})), ["await a.compensate.answer"]);
    assert_eq!(case.crash(None), ["await a.compensate.answer"]);
    assert_eq!(case.execution.next_wake_at(), case.step("a.compensate").timeout_at);
    assert_eq!(case.signal("a.compensate.answer", json!(1)), ["end"]);
    assert_eq!(case.status(), ExecutionStatus::Compensated);
}

#[test]
fn an_execution_with_nothing_to_undo_ends_as_ever() {
    let (mut case, _) = Case::begun(&format!("steps: [{{id: z, run: x}}, {}]", undoable("a", "")));
    assert_eq!(case.fail("z"), ["end"]);
    assert_eq!((case.status(), case.shows().as_str()), (ExecutionStatus::Failed, "z failed, a skipped"));
    let (mut case, _) = Case::begun(&format!("steps: [{}]", undoable("a", "")));
    assert_eq!(case.complete("a", json!({})), ["end"]);
    assert_eq!(case.status(), ExecutionStatus::Completed);
    assert_eq!(
        Case::begun("steps: [{run: x}]").0.execution.saga(),
        None,
        "and one without any `compensate` is no saga"
    );
    assert_eq!(case.undos(), NOTHING.join(""));
}
