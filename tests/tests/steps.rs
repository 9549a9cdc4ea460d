//! Executions started over the API: inputs, order, failure, time limits.

use cogwheel_tests::{Backend, Home, messages, on_both_databases, step, until};
use serde_json::{Value, json};

on_both_databases!(
    inputs_are_typed_and_filled_in,
    wrong_inputs_are_refused_by_name,
    the_same_key_is_the_same_execution,
    steps_follow_their_needs,
    a_failing_step_ends_the_execution,
    a_step_over_its_time_is_ended,
    an_execution_over_its_time_is_ended,
    output_and_logs_are_kept,
    more_executions_than_slots_wait_their_turn,
);

fn inputs_are_typed_and_filled_in(backend: Backend) {
    let home = Home::new(backend);
    home.write(
        "workflows/order.yaml",
        r"
inputs:
  region: {type: string, enum: [eu, us], default: eu}
  count: {type: integer}
outputs: {region: '${{ inputs.region }}', double: '${{ inputs.count * 2 }}'}
steps:
  - {uses: log, with: {message: '${{ inputs.count }} for ${{ inputs.region }}'}}
",
    );
    let server = home.serve();
    let id = server.start("order", &json!({"count": 21}));
    let execution = server.ended_as(&id, "COMPLETED");
    assert_eq!(execution["inputs"], json!({"region": "eu", "count": 21}));
    assert_eq!(execution["result"], json!({"region": "eu", "double": 42}));
    assert_eq!(execution["triggerType"], "MANUAL");
    assert_eq!(messages(&execution), ["21 for eu"]);
    assert!(execution["executionTimeMs"].is_u64(), "{execution:#}");
}

fn wrong_inputs_are_refused_by_name(backend: Backend) {
    let home = Home::new(backend);
    home.write(
        "workflows/order.yaml",
        "inputs: {region: {type: string, enum: [eu, us]}, count: {type: integer}}\nsteps: [{run: 'true'}]\n",
    );
    let server = home.serve();
    let refused = |input: Value| {
        let payload = server.start_payload(&input);
        assert!(payload["execution"].is_null(), "{payload:#}");
        let mut told: Vec<_> = payload["userErrors"].as_array().expect("a list").iter().map(told).collect();
        told.sort();
        told
    };
    assert_eq!(
        refused(json!({"workflow": "order", "inputs": {"region": "mars", "count": "many", "colour": 1}})),
        ["INVALID_INPUT inputs.colour", "INVALID_INPUT inputs.count", "INVALID_INPUT inputs.region"]
    );
    assert_eq!(refused(json!({"workflow": "order"})), ["INVALID_INPUT inputs.count", "INVALID_INPUT inputs.region"]);
    assert_eq!(refused(json!({"workflow": "ordre"})), ["UNKNOWN_WORKFLOW workflow"]);
    assert_eq!(server.count_executions("order", &[]), 0);
}

/// Code and path of a user error.
fn told(error: &Value) -> String {
    let path: Vec<_> = error["path"].as_array().expect("a path").iter().filter_map(Value::as_str).collect();
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error:#}");
    format!("{} {}", error["code"].as_str().unwrap_or_default(), path.join("."))
}

fn the_same_key_is_the_same_execution(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/once.yaml", "steps: [{run: 'echo run >> ran.txt'}]\n");
    let server = home.serve();
    let start = |key: &str| {
        let payload = server.start_payload(&json!({"workflow": "once", "idempotencyKey": key}));
        assert_eq!(payload["userErrors"], json!([]), "{payload:#}");
        payload["execution"]["id"].as_str().expect("an id").to_owned()
    };
    let first = start("k1");
    assert_eq!(start("k1"), first);
    server.ended_as(&first, "COMPLETED");
    assert_eq!(start("k1"), first);
    let other = start("k2");
    assert_ne!(other, first);
    server.ended_as(&other, "COMPLETED");
    assert_eq!(home.read("ran.txt"), "run\nrun\n");
    assert_eq!(server.execution(&first)["idempotencyKey"], "k1");
    // The refused starts had made places for their steps before they were refused.
    let scratch = home.data().join("work");
    until("nothing is left of the starts that were refused", || {
        (std::fs::read_dir(&scratch).expect("the scratch folder").count() == 0).then_some(())
    });
}

fn steps_follow_their_needs(backend: Backend) {
    let home = Home::new(backend);
    // `left` and `right` each wait for the other's sign: they end only if they run side by side.
    home.write(
        "workflows/graph.yaml",
        r#"
outputs: {sum: '${{ steps.join.outputs.sum }}'}
steps:
  - id: join
    needs: [left, right]
    uses: set
    with: {sum: '${{ steps.left.outputs.n + steps.right.outputs.n }}'}
  - id: left
    needs: root
    run: |
      touch left; until [ -e right ]; do sleep 0.02; done; echo n=1 >> "$COGWHEEL_OUTPUT"
  - id: right
    needs: root
    run: |
      touch right; until [ -e left ]; do sleep 0.02; done; echo n=2 >> "$COGWHEEL_OUTPUT"
  - id: root
    run: |
      test ! -e left; test ! -e right
"#,
    );
    let server = home.serve();
    let id = server.start("graph", &json!({}));
    let execution = server.ended_as(&id, "COMPLETED");
    assert_eq!(execution["result"], json!({"sum": 3}));
}

fn a_failing_step_ends_the_execution(backend: Backend) {
    let home = Home::new(backend);
    home.write(
        "workflows/fails.yaml",
        "steps:\n  - {id: bad, run: 'echo no more paper >&2; exit 7'}\n  - {id: after, run: 'touch after'}\n",
    );
    let server = home.serve();
    let id = server.start("fails", &json!({}));
    let execution = server.ended_as(&id, "FAILED");
    assert_eq!(step(&execution, "bad")["status"], "FAILED");
    assert_eq!(step(&execution, "after")["status"], "SKIPPED");
    assert!(!home.path("after").exists());
    let error = execution["error"].to_string();
    assert!(error.contains("bad") && error.contains('7'), "{error}");
    assert!(messages(&execution).contains(&"no more paper"), "{execution:#}");
}

fn a_step_over_its_time_is_ended(backend: Backend) {
    let home = Home::new(backend);
    home.write(
        "workflows/slow.yaml",
        format!(
            "steps:\n  - {{id: hang, timeout: 300ms, env: {{MARK: {}}}, run: 'sleep 1000 & sleep 1000'}}\n",
            home.mark()
        ),
    );
    let server = home.serve();
    let id = server.start("slow", &json!({}));
    let execution = server.ended_execution(&id);
    assert_eq!(step(&execution, "hang")["status"], "TIMED_OUT", "{execution:#}");
    assert!(["FAILED", "TIMED_OUT"].map(Value::from).contains(&execution["status"]), "{execution:#}");
    until("the step's processes to be gone", || home.marked_processes().is_empty().then_some(()));
}

fn an_execution_over_its_time_is_ended(backend: Backend) {
    let home = Home::new(backend);
    home.write(
        "workflows/slow.yaml",
        format!("timeout: 500ms\nenv: {{MARK: {}}}\nsteps:\n  - {{id: hang, run: sleep 1000}}\n", home.mark()),
    );
    let server = home.serve();
    let id = server.start("slow", &json!({}));
    server.ended_as(&id, "TIMED_OUT");
    until("the step's processes to be gone", || home.marked_processes().is_empty().then_some(()));
}

fn output_and_logs_are_kept(backend: Backend) {
    let home = Home::new(backend);
    home.write(
        "workflows/talks.yaml",
        r#"
steps:
  - id: talk
    run: |
      echo out; echo err >&2; printf 'no end'
      echo 'list=[1,2]' >> "$COGWHEEL_OUTPUT"
      echo 'text=plain words' >> "$COGWHEEL_OUTPUT"
      printf 'long<<EOF\none\ntwo\nEOF\n' >> "$COGWHEEL_OUTPUT"
"#,
    );
    let server = home.serve();
    let id = server.start("talks", &json!({}));
    let execution = server.ended_as(&id, "COMPLETED");
    let output = &step(&execution, "talk")["output"];
    assert_eq!(output["list"], json!([1, 2]), "{execution:#}");
    assert_eq!(output["text"], "plain words");
    assert_eq!(output["long"], "one\ntwo");
    assert_eq!(output["exit_code"], 0);
    assert_eq!(output["stdout"], "out\nno end");
    let logs = execution["logs"]["nodes"].as_array().expect("a list");
    let line = |text: &str| logs.iter().find(|line| line["message"] == text).unwrap_or_else(|| panic!("{execution:#}"));
    assert_eq!(line("out")["stream"], "STDOUT");
    assert_eq!(line("err")["stream"], "STDERR");
    assert_eq!(line("no end")["attempt"], 1);
    let sequence: Vec<_> = logs.iter().map(|line| line["sequence"].as_i64().expect("a number")).collect();
    assert!(sequence.is_sorted_by(|a, b| a < b), "{sequence:?}");
}

fn more_executions_than_slots_wait_their_turn(backend: Backend) {
    let mut home = Home::new(backend);
    home.set("engine.max_running_executions", "2");
    home.write("workflows/short.yaml", "steps: [{run: 'echo x >> ran.txt'}]\n");
    let server = home.serve();
    let ids: Vec<_> = (0..12).map(|_| server.start("short", &json!({}))).collect();
    for id in &ids {
        server.ended_as(id, "COMPLETED");
    }
    assert_eq!(home.read("ran.txt").lines().count(), ids.len());
}
