//! `kill -9`, and what is left of the work afterwards.

use cogwheel_tests::{Backend, Home, on_both_databases, step, until};
use serde_json::json;

on_both_databases!(
    completed_steps_are_not_run_again,
    a_start_that_was_answered_is_not_lost,
    executions_in_the_queue_go_on,
);

/// Each run of a step leaves a line in the step's file; `second` waits for the file `go`.
fn three_steps(home: &Home) -> String {
    format!(
        r"
env: {{MARK: {}}}
steps:
  - {{id: first, run: 'echo ran >> first.txt'}}
  - {{id: second, run: 'echo ran >> second.txt; until [ -e go ]; do sleep 0.02; done'}}
  - {{id: third, run: 'echo ran >> third.txt'}}
",
        home.mark()
    )
}

fn completed_steps_are_not_run_again(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/three.yaml", three_steps(&home));
    let server = home.serve();
    let id = server.start("three", &json!({}));
    until("the second step to run", || (home.read("second.txt") == "ran\n").then_some(()));
    let before = home.marked_processes();
    assert!(!before.is_empty());
    server.crash();

    let server = home.serve();
    until("the second step to run again", || (home.read("second.txt") == "ran\nran\n").then_some(()));
    let after = home.marked_processes();
    assert!(before.iter().all(|process| !after.contains(process)), "{before:?} are still there: {after:?}");
    home.write("go", "");

    let execution = server.ended_as(&id, "COMPLETED");
    assert_eq!(home.read("first.txt"), "ran\n");
    assert_eq!(home.read("second.txt"), "ran\nran\n");
    assert_eq!(home.read("third.txt"), "ran\n");
    assert_eq!(step(&execution, "first")["attempt"], 1);
    assert_eq!(step(&execution, "second")["attempt"], 2);
    assert_eq!(step(&execution, "second")["attemptHistory"].as_array().map(Vec::len), Some(1), "{execution:#}");
    assert_eq!(step(&execution, "third")["attempt"], 1);
}

fn a_start_that_was_answered_is_not_lost(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/short.yaml", "steps: [{id: one, run: 'true'}, {id: two, run: 'true'}]\n");
    let mut ids = Vec::new();
    for _ in 0..3 {
        let server = home.serve();
        for _ in 0..20 {
            ids.push(server.start("short", &json!({})));
        }
        server.crash();
    }
    let server = home.serve();
    for id in &ids {
        server.ended_as(id, "COMPLETED");
    }
    assert_eq!(server.count_executions("short", &[]), ids.len() as u64);
}

fn executions_in_the_queue_go_on(backend: Backend) {
    let mut home = Home::new(backend);
    home.set("engine.max_running_executions", "1");
    home.write("workflows/three.yaml", three_steps(&home));
    let server = home.serve();
    let ids: Vec<_> = (0..4).map(|_| server.start("three", &json!({}))).collect();
    until("the first execution to be under way", || (!home.read("second.txt").is_empty()).then_some(()));
    assert_eq!(server.count_executions("three", &["QUEUED"]), 3);
    server.crash();

    home.write("go", "");
    let server = home.serve();
    for id in &ids {
        server.ended_as(id, "COMPLETED");
    }
    assert_eq!(home.read("first.txt").lines().count(), ids.len());
    assert_eq!(home.read("third.txt").lines().count(), ids.len());
}
