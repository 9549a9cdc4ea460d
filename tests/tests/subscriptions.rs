//! Following executions over WebSocket.

use cogwheel_tests::{Backend, Home, Subscription, on_both_databases, until};
use serde_json::{Value, json};

on_both_databases!(changes_are_seen_to_the_end, a_client_that_comes_back_misses_nothing, all_of_a_workflow_is_followed);

const CHANGES: &str = "subscription($id: ID, $workflow: String, $after: String) {
    executionChanged(id: $id, workflow: $workflow, after: $after) {
        position execution { id status steps(first: 10) { nodes { stepKey status } } } } }";

fn home(backend: Backend) -> Home {
    let home = Home::new(backend);
    home.write(
        "workflows/talk.yaml",
        "steps:\n  - {id: wait, run: 'touch begun; until [ -e go ]; do sleep 0.02; done'}\n  - {id: last, run: 'true'}\n",
    );
    home
}

fn next(subscription: &mut Subscription) -> Option<Value> {
    subscription.next_value().map(|mut value| value["executionChanged"].take())
}

fn changes_are_seen_to_the_end(backend: Backend) {
    let home = home(backend);
    let server = home.serve();
    let id = server.start("talk", &json!({}));
    let mut subscription = server.subscribe(CHANGES, &json!({"id": id}));
    let mut seen = Vec::new();
    until("the step to run", || home.path("begun").exists().then_some(()));
    let first = next(&mut subscription).expect("the present state");
    assert_eq!(first["execution"]["id"], id);
    home.write("go", "");
    while let Some(change) = next(&mut subscription) {
        seen.push(change["execution"].clone());
    }
    let last = seen.last().expect("a change");
    assert_eq!(last["status"], "COMPLETED", "{seen:#?}");
    let steps = last["steps"]["nodes"].as_array().expect("a list");
    assert!(steps.iter().all(|step| step["status"] == "COMPLETED"), "{last:#}");
}

fn a_client_that_comes_back_misses_nothing(backend: Backend) {
    let home = home(backend);
    let server = home.serve();
    let id = server.start("talk", &json!({}));
    let position = {
        let mut subscription = server.subscribe(CHANGES, &json!({"id": id}));
        next(&mut subscription).expect("the present state")["position"].clone()
    };
    home.write("go", "");
    server.ended_as(&id, "COMPLETED");
    let mut subscription = server.subscribe(CHANGES, &json!({"id": id, "after": position}));
    let missed = next(&mut subscription).expect("what was missed");
    assert_eq!(missed["execution"]["status"], "COMPLETED");
    assert!(next(&mut subscription).is_none());
}

fn all_of_a_workflow_is_followed(backend: Backend) {
    let home = home(backend);
    home.write("go", "");
    home.write("workflows/other.yaml", "steps: [{run: 'true'}]\n");
    let server = home.serve();
    let mut subscription = server.subscribe(CHANGES, &json!({"workflow": "talk"}));
    let other = server.start("other", &json!({}));
    server.ended_as(&other, "COMPLETED");
    let mut open = vec![server.start("talk", &json!({})), server.start("talk", &json!({}))];
    while !open.is_empty() {
        let change = next(&mut subscription).expect("it goes on");
        let id = change["execution"]["id"].as_str().expect("an id").to_owned();
        assert_ne!(id, other);
        if change["execution"]["status"] == "COMPLETED" {
            open.retain(|expected| *expected != id);
        }
    }
}
