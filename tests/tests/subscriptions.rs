//! Following an execution over WebSocket.

use cogwheel_tests::{Backend, Home, on_both_databases, until};
use serde_json::json;

on_both_databases!(changes_are_seen_to_the_end, log_lines_are_seen_as_they_come);

fn home(backend: Backend) -> Home {
    let home = Home::new(backend);
    home.write(
        "workflows/talk.yaml",
        "steps:\n  - {id: wait, run: 'echo begun; touch begun; until [ -e go ]; do sleep 0.02; done; echo ending'}\n  - {id: last, run: 'true'}\n",
    );
    home
}

fn changes_are_seen_to_the_end(backend: Backend) {
    let home = home(backend);
    let server = home.serve();
    let id = server.start("talk", &json!({}));
    let query = "subscription($id: ID!) { executionChanged(id: $id) { execution { id status steps(first: 10) { nodes { stepKey status } } } } }";
    let mut subscription = server.subscribe(query, &json!({"id": id}));
    let mut seen = Vec::new();
    until("the step to run", || home.path("begun").exists().then_some(()));
    home.write("go", "");
    while let Some(value) = subscription.next_value() {
        seen.push(value["executionChanged"]["execution"]["status"].as_str().expect("a status").to_owned());
    }
    assert_eq!(seen.last().map(String::as_str), Some("COMPLETED"), "{seen:?}");
    assert!(seen.contains(&"RUNNING".to_owned()), "{seen:?}");
}

fn log_lines_are_seen_as_they_come(backend: Backend) {
    let home = home(backend);
    let server = home.serve();
    let id = server.start("talk", &json!({}));
    let query = "subscription($id: ID!) { executionLogs(id: $id) { sequence message } }";
    let mut subscription = server.subscribe(query, &json!({"id": id}));
    let first = subscription.next_value().expect("a line");
    assert_eq!(first["executionLogs"]["message"], "begun");
    home.write("go", "");
    let mut last = first;
    while let Some(line) = subscription.next_value() {
        last = line;
    }
    assert_eq!(last["executionLogs"]["message"], "ending");
    server.ended_as(&id, "COMPLETED");
}
