//! Conditions, retries and cancellation, as a client sees them.

use cogwheel_tests::{Backend, Home, Server, on_both_databases, step, until};
use serde_json::{Value, json};

on_both_databases!(
    a_step_is_tried_again_until_it_succeeds,
    a_pause_between_attempts_survives_a_crash,
    a_pause_between_attempts_takes_no_slot,
    conditions_choose_what_runs,
    a_running_execution_is_cancelled,
    a_queued_execution_is_cancelled,
    a_cancellation_survives_a_crash,
    what_cannot_be_cancelled_is_refused_by_name,
);

const CANCEL: &str = "mutation($input: CancelExecutionInput!) { cancelExecution(input: $input) {
    execution { id status cancelRequestedAt cancelReason } userErrors { code message path } } }";

fn cancel(server: &Server, id: &str) -> Value {
    cancel_because(server, id, "no longer wanted")
}

fn cancel_because(server: &Server, id: &str, reason: &str) -> Value {
    server.ask(CANCEL, &json!({"input": {"id": id, "reason": reason}}))["cancelExecution"].take()
}

fn a_step_is_tried_again_until_it_succeeds(backend: Backend) {
    let home = Home::new(backend);
    home.write(
        "workflows/flaky.yaml",
        r"
steps:
  - id: flaky
    run: 'echo x >> tries.txt; [ $(wc -l < tries.txt) -ge 3 ] || exit 75'
    retry: {attempts: 5, delay: 50ms, on: [exit.75]}
  - {id: wrong, run: 'echo x >> wrong.txt; exit 2', retry: {attempts: 5, delay: 50ms, on: [exit.75]}, continue_on_error: true}
",
    );
    let server = home.serve();
    let id = server.start("flaky", &json!({}));
    let execution = server.ended_as(&id, "COMPLETED");
    let flaky = step(&execution, "flaky");
    assert_eq!((&flaky["status"], &flaky["attempt"]), (&json!("COMPLETED"), &json!(3)), "{execution:#}");
    let history = flaky["attemptHistory"].as_array().expect("a list");
    let codes: Vec<_> = history.iter().map(|attempt| &attempt["error"]["code"]).collect();
    assert_eq!(codes, ["exit.75", "exit.75"], "{history:#?}");
    let wrong = step(&execution, "wrong");
    assert_eq!((&wrong["status"], &wrong["attempt"]), (&json!("FAILED"), &json!(1)), "{execution:#}");
    assert_eq!(home.read("wrong.txt").lines().count(), 1);
}

fn a_pause_between_attempts_survives_a_crash(backend: Backend) {
    let home = Home::new(backend);
    home.write(
        "workflows/patient.yaml",
        r"
steps:
  - {id: patient, run: 'echo x >> tries.txt; [ -e go ]', retry: {attempts: 2, backoff: fixed, delay: 3s, jitter: false}}
",
    );
    let server = home.serve();
    let id = server.start("patient", &json!({}));
    until("the step to wait for its second attempt", || {
        (step(&server.execution(&id), "patient")["status"] == "RETRYING").then_some(())
    });
    server.crash();
    home.write("go", "");
    let server = home.serve();
    let execution = server.ended_as(&id, "COMPLETED");
    assert_eq!(step(&execution, "patient")["attempt"], 2, "{execution:#}");
    assert_eq!(home.read("tries.txt").lines().count(), 2);
    assert!(
        execution["executionTimeMs"].as_i64().is_some_and(|took| took >= 3000),
        "the pause was kept: {execution:#}"
    );
}

fn a_pause_between_attempts_takes_no_slot(backend: Backend) {
    let mut home = Home::new(backend);
    home.set("engine.max_running_executions", "1");
    home.write("workflows/patient.yaml", "timeout: 3h\nsteps: [{id: patient, run: 'false', retry: {delay: 1h}}]\n");
    home.write("workflows/quick.yaml", "steps: [{run: 'true'}]\n");
    let server = home.serve();
    let waiting: Vec<_> = (0..3).map(|_| server.start("patient", &json!({}))).collect();
    for id in &waiting {
        until("the step to wait for its second attempt", || {
            (step(&server.execution(id), "patient")["status"] == "RETRYING").then_some(())
        });
    }
    let quick = server.start("quick", &json!({}));
    server.ended_as(&quick, "COMPLETED");
    for id in &waiting {
        cancel(&server, id);
        server.ended_as(id, "CANCELLED");
    }
}

fn conditions_choose_what_runs(backend: Backend) {
    let home = Home::new(backend);
    home.write(
        "workflows/choose.yaml",
        r"
inputs: {fail: {type: boolean, default: false}}
steps:
  - {id: work, env: {FAIL: '${{ inputs.fail }}'}, run: '[ $FAIL = false ]'}
  - {id: good, needs: work, run: 'true'}
  - {id: big, needs: work, if: 'inputs.fail == true', run: 'true'}
  - {id: handle, needs: [work], if: failure(), run: 'true'}
  - {id: clean, needs: [good, handle], if: '${{ always() }}', run: 'true'}
",
    );
    let server = home.serve();
    for (fail, status, expected) in [
        (false, "COMPLETED", ["COMPLETED", "COMPLETED", "SKIPPED", "SKIPPED", "COMPLETED"]),
        (true, "FAILED", ["FAILED", "SKIPPED", "SKIPPED", "COMPLETED", "COMPLETED"]),
    ] {
        let id = server.start("choose", &json!({"fail": fail}));
        let execution = server.ended_as(&id, status);
        let statuses = ["work", "good", "big", "handle", "clean"].map(|key| step(&execution, key)["status"].clone());
        assert_eq!(statuses, expected.map(Value::from), "{execution:#}");
    }
}

fn endless(home: &Home) -> String {
    let mark = home.mark();
    format!(
        "env: {{MARK: {mark}}}\nsteps:\n  - {{id: hang, run: 'sleep 1000 & sleep 1000'}}\n  - {{id: next, run: 'true'}}\n"
    )
}

fn a_running_execution_is_cancelled(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/endless.yaml", endless(&home));
    let server = home.serve();
    let id = server.start("endless", &json!({}));
    until("the step to run", || (!home.marked_processes().is_empty()).then_some(()));
    for reason in ["no longer wanted", "once more"] {
        let payload = cancel_because(&server, &id, reason);
        let is_late = payload["userErrors"][0]["code"] == "ALREADY_ENDED";
        assert!(payload["userErrors"] == json!([]) || is_late, "asking twice is no error: {payload:#}");
        assert_eq!(payload["execution"]["id"], id.as_str());
        assert_eq!(payload["execution"]["cancelReason"], "no longer wanted", "{payload:#}");
        assert!(payload["execution"]["cancelRequestedAt"].is_string(), "{payload:#}");
    }
    let execution = server.ended_as(&id, "CANCELLED");
    assert_eq!(step(&execution, "hang")["status"], "CANCELLED", "{execution:#}");
    assert_eq!(execution["error"]["detail"], "no longer wanted", "{execution:#}");
    until("the step's processes to be gone", || home.marked_processes().is_empty().then_some(()));
}

fn a_queued_execution_is_cancelled(backend: Backend) {
    let mut home = Home::new(backend);
    home.set("engine.max_running_executions", "1");
    home.write("workflows/endless.yaml", endless(&home));
    let server = home.serve();
    let first = server.start("endless", &json!({}));
    until("the first execution to run", || (!home.marked_processes().is_empty()).then_some(()));
    let second = server.start("endless", &json!({}));
    assert_eq!(cancel(&server, &second)["userErrors"], json!([]));
    let execution = server.ended_as(&second, "CANCELLED");
    assert_eq!(execution["steps"]["nodes"], json!([]), "it never ran");
    assert_eq!(cancel(&server, &first)["userErrors"], json!([]));
    server.ended_as(&first, "CANCELLED");
}

fn a_cancellation_survives_a_crash(backend: Backend) {
    let mut home = Home::new(backend);
    home.set("engine.kill_grace", "30s");
    let mark = home.mark();
    home.write(
        "workflows/stubborn.yaml",
        format!(
            "env: {{MARK: {mark}}}\nsteps:\n  - {{id: stubborn, run: 'trap \"\" TERM; while :; do sleep 0.1; done'}}\n"
        ),
    );
    let server = home.serve();
    let id = server.start("stubborn", &json!({}));
    until("the step to run", || (!home.marked_processes().is_empty()).then_some(()));
    assert_eq!(cancel(&server, &id)["userErrors"], json!([]));
    server.crash();
    let server = home.serve();
    let execution = server.ended_as(&id, "CANCELLED");
    assert_eq!(step(&execution, "stubborn")["attempt"], 1, "it is not tried again: {execution:#}");
    until("the step's processes to be gone", || home.marked_processes().is_empty().then_some(()));
}

fn what_cannot_be_cancelled_is_refused_by_name(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/short.yaml", "steps: [{run: 'true'}]\n");
    let server = home.serve();
    let id = server.start("short", &json!({}));
    server.ended_as(&id, "COMPLETED");
    let payload = cancel(&server, &id);
    assert_eq!(payload["userErrors"][0]["code"], "ALREADY_ENDED", "{payload:#}");
    assert!(payload["userErrors"][0]["message"].as_str().is_some_and(|text| text.contains("completed")));
    let payload = cancel(&server, "018f0000-0000-7000-8000-000000000000");
    assert_eq!(payload["userErrors"][0]["code"], "UNKNOWN_EXECUTION", "{payload:#}");
    assert!(payload["execution"].is_null());
}
