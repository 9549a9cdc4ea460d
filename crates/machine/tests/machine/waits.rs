//! Steps that let time pass, or wait for somebody.

use chrono::TimeDelta;
use cogwheel_machine::{ExecutionStatus, FailureKind, Input, Rejected};
use serde_json::json;

use crate::rig::{Case, NOTHING, at};

#[test]
fn time_passes_without_taking_room() {
    let (mut case, first) = Case::begun("steps: [{id: w, uses: wait, with: {for: 1m30s}}, {id: after, run: x}]");
    assert_eq!(first, NOTHING);
    assert_eq!((case.status(), case.execution.next_wake_at()), (ExecutionStatus::Waiting, Some(at(90))));
    assert_eq!(case.step("w").input, Some(json!({ "until": "2027-01-15T08:01:30.000000Z" })));
    case.wait(89);
    assert_eq!(case.tell(Input::Woken), NOTHING);
    assert_eq!(case.wake(), ["run after"]);
    assert_eq!((case.status(), case.step("w").output.clone()), (ExecutionStatus::Running, Some(json!({}))));
}

#[test]
fn a_duration_may_be_computed() {
    let (case, _) = Case::begun("steps: [{id: w, uses: wait, with: {for: \"${{ inputs.list | length * 10 }}\"}}]");
    assert_eq!(case.execution.next_wake_at(), Some(at(30)), "a number is of seconds");
    let (case, _) = Case::begun("steps: [{id: w, uses: wait, with: {for: \"${{ inputs.list | length }}m\"}}]");
    assert_eq!(case.execution.next_wake_at(), Some(at(180)));
    for (value, why) in [
        ("inputs.who", "`for`: "),
        ("inputs.list", "must be a duration"),
        ("none", "must be a duration"),
        ("0 - 5", "`for`: "),
    ] {
        let (case, first) =
            Case::begun(&format!("steps: [{{id: w, uses: wait, with: {{for: \"${{{{ {value} }}}}\"}}}}]"));
        assert_eq!(first, ["end"], "{value}");
        assert_eq!(case.error().kind, FailureKind::Expression);
        assert!(case.error().title.contains(why), "{value}: {}", case.error().title);
    }
}

#[test]
fn an_instant_comes_or_has_passed() {
    let until = |instant: &str| format!("steps: [{{id: w, uses: wait, with: {{until: \"{instant}\"}}}}]");
    let (mut case, _) = Case::begun(&until("2027-01-15T09:00:10+01:00"));
    assert_eq!(case.execution.next_wake_at(), Some(at(10)));
    assert_eq!(case.wake(), ["end"]);
    for past in ["2027-01-15T08:00:00Z", "2001-01-01T00:00:00Z"] {
        let (case, first) = Case::begun(&until(past));
        assert_eq!((first, case.shows()), (vec!["end".to_owned()], "w completed".to_owned()));
    }
    let (case, _) = Case::begun(&until("${{ inputs.who }}"));
    assert!(case.error().title.starts_with("`until` must be an instant"));
}

#[test]
fn a_wait_of_no_time_is_over_at_once() {
    let (case, first) = Case::begun("steps: [{id: w, uses: wait, with: {for: \"${{ 0 }}\"}}]");
    assert_eq!((first, case.status()), (vec!["end".to_owned()], ExecutionStatus::Completed));
}

const SIGNAL: &str = "steps:\n\
                      - {id: w, uses: wait, timeout: 1m, with: {signal: paid, correlation: \"${{ inputs.who }}\"}}\n\
                      - {id: after, run: x}";

#[test]
fn a_signal_brings_its_payload() {
    let (mut case, first) = Case::begun(SIGNAL);
    assert_eq!(first, ["await w"]);
    let signal = case.step("w").signal.clone().unwrap();
    assert_eq!((signal.name.as_str(), signal.correlation.as_deref()), ("paid", Some("world")));
    assert_eq!(case.step("w").input, Some(json!({ "signal": "paid", "correlation": "world" })));
    case.wait(2);
    assert_eq!(case.signal("w", json!({ "amount": 5 })), ["run after"]);
    let output = json!({
        "name": "paid", "payload": { "amount": 5 }, "received_at": "2027-01-15T08:00:02.000000Z",
    });
    assert_eq!(case.step("w").output, Some(output));
}

#[test]
fn a_signal_that_does_not_come_in_time_is_a_timeout() {
    let (mut case, _) = Case::begun(SIGNAL);
    assert_eq!(case.execution.next_wake_at(), Some(at(60)));
    assert_eq!(case.wake(), ["end"]);
    assert_eq!(case.shows(), "w timed_out, after skipped");
    assert_eq!((case.status(), case.error().code()), (ExecutionStatus::Failed, "timeout"));
}

#[test]
fn only_what_waits_for_a_signal_takes_one() {
    let (mut case, _) = Case::begun("steps: [{id: w, uses: wait, with: {signal: go}}, {id: after, run: x}]");
    let late = Input::Signalled { step: 0, payload: json!(1), received_at: at(0) };
    case.signal("w", json!(null));
    assert_eq!(case.try_tell(late), Err(Rejected::NotAwaited));
    for step in [1, 2, -1] {
        let stray = Input::Signalled { step, payload: json!(1), received_at: at(0) };
        assert_eq!(case.try_tell(stray), Err(Rejected::NotAwaited));
    }
    assert_eq!(case.shows(), "w completed, after running");
}

#[test]
fn a_signal_without_a_name_is_none() {
    for with in [
        "signal: \"${{ inputs.who[:0] }}\"",
        "signal: go, correlation: \"${{ inputs.who[:0] }}\"",
        "signal: \"${{ 'x' * 256 }}\"",
    ] {
        let (case, first) = Case::begun(&format!("steps: [{{id: w, uses: wait, with: {{{with}}}}}]"));
        assert_eq!(first, ["end"], "{with}");
        assert!(case.error().title.contains("must have 1 to 255 characters"), "{:?}", case.error());
    }
}

#[test]
fn what_waits_is_cancelled_at_once() {
    let (mut case, _) = Case::begun(SIGNAL);
    assert_eq!(case.cancel(None), ["end"]);
    assert_eq!(case.shows(), "w cancelled, after cancelled");
    assert_eq!(case.step("w").signal, None);
}

#[test]
fn the_earliest_of_all_times_is_when_it_wakes() {
    let (mut case, _) = Case::begun(
        "timeout: 1h\n\
         steps:\n\
         - {id: a, needs: [], uses: wait, with: {for: 30s}}\n\
         - {id: b, needs: [], uses: wait, with: {for: 20s}}\n\
         - {id: c, needs: [], uses: wait, timeout: 10s, with: {signal: go}, continue_on_error: true}\n\
         - {id: d, needs: [a, b, c], run: x}",
    );
    for (seconds, shows) in [
        (10, "a waiting, b waiting, c timed_out"),
        (20, "a waiting, b completed, c timed_out"),
        (30, "a completed, b completed, c timed_out, d running"),
    ] {
        assert_eq!(case.execution.next_wake_at(), Some(at(seconds)));
        case.wake();
        assert_eq!(case.shows(), shows);
    }
    assert_eq!(case.execution.next_wake_at(), Some(at(0) + TimeDelta::hours(1)));
}

const EVENT: &str = "steps:\n\
                     - {id: w, uses: wait, timeout: 1m, with: {event: custom.paid, failure: [custom.refused, custom.lost], \
                     subject: \"${{ inputs.who }}\"}}\n\
                     - {id: after, run: x}";

#[test]
fn an_event_completes_the_step() {
    let (mut case, first) = Case::begun(EVENT);
    assert_eq!(first, ["await w"]);
    let state = case.step("w");
    let signal = state.signal.clone().unwrap();
    let own = case.execution.id().to_string();
    assert_eq!((signal.name.as_str(), signal.correlation.as_deref()), ("event", Some(own.as_str())));
    let input = json!({
        "event": ["custom.paid"], "failure": ["custom.refused", "custom.lost"], "subject": "world", "correlation": own,
    });
    assert_eq!(state.input, Some(input));
    let awaited = case.execution.awaited_event(case.step("w")).unwrap();
    assert_eq!((awaited.types, awaited.subject), (vec!["custom.paid", "custom.refused", "custom.lost"], Some("world")));
    let event = json!({ "type": "custom.paid", "data": { "amount": 5 } });
    assert_eq!(case.signal("w", event.clone()), ["run after"]);
    assert_eq!(case.step("w").output, Some(event));
}

#[test]
fn an_event_of_a_failure_fails_the_step_for_good() {
    let (mut case, _) = Case::begun(EVENT);
    let event = json!({ "type": "custom.refused", "data": { "why": "no money" } });
    assert_eq!(case.signal("w", event.clone()), ["end"]);
    assert_eq!((case.shows(), case.step("w").output.clone()), ("w failed, after skipped".to_owned(), Some(event)));
    let error = case.error();
    assert_eq!((error.kind, error.code(), error.retriable), (FailureKind::Event, "event.custom.refused", false));
    assert_eq!(
        (error.title.as_str(), error.detail.as_deref()),
        ("the event custom.refused came", Some(r#"{"why":"no money"}"#))
    );
    let (mut case, _) = Case::begun(EVENT);
    case.signal("w", json!({ "type": "custom.lost", "data": "x".repeat(2000) }));
    assert_eq!(case.error().detail, None, "what is long stands in the outputs alone");
}

#[test]
fn an_event_that_does_not_come_times_the_step_out() {
    let (mut case, _) = Case::begun(EVENT);
    case.wait(60);
    assert_eq!(case.tell(Input::Woken), ["end"]);
    assert_eq!(case.error().kind, FailureKind::Timeout);
}

#[test]
fn a_correlation_is_that_of_an_event() {
    let with = |value: &str| {
        Case::begun(&format!("steps: [{{id: w, uses: wait, with: {{event: custom.a, correlation: \"{value}\"}}}}]"))
    };
    let (case, _) = with("0192A000-0000-7000-8000-00000000000F");
    let known = case.step("w").signal.clone().unwrap().correlation;
    assert_eq!(known.as_deref(), Some("0192a000-0000-7000-8000-00000000000f"), "as events have it");
    let (case, first) = with("${{ inputs.who }}");
    assert_eq!(first, ["end"]);
    assert_eq!(case.error().kind, FailureKind::Expression);
    assert!(case.error().title.contains("a UUID, not `world`"), "{}", case.error().title);
}
