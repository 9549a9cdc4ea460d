//! `kill -9` at every write of a workflow that has something of everything: whatever the moment, the work is done once.
//!
//! Afterwards the server is started anew, and has to bring everything to its end.

use cogwheel_tests::{Backend, CrashPoint, Home, on_both_databases, until};
use serde_json::{Value, json};

on_both_databases!(every_write_may_be_the_last);

/// Retry, foreach, wait, sub-workflow, timeout, loop, group and a handler.
const REFERENCE: &str = r#"
on: {file: [{path: inbox, match: "*.csv", settle: 0s}]}
timeout: 2m
outputs: {doubled: "${{ steps.sub.outputs.doubled }}"}
steps:
  - id: flaky
    run: 'test -e flaky || { touch flaky; exit 75; }'
    retry: {attempts: 3, delay: 10ms, backoff: fixed, jitter: false}
  - id: each
    foreach: [1, 2, 3]
    max_parallel: 2
    run: 'echo "$N" >> each.txt'
    env: {N: "${{ item }}"}
  - {id: pause, uses: wait, with: {for: 30ms}}
  - {id: sub, uses: workflow, with: {name: sub, inputs: {n: 21}}}
  - id: poll
    until: "steps.poll.outputs.n >= 2"
    every: 10ms
    run: 'echo x >> poll.txt; echo "n=$(wc -l < poll.txt)" >> "$COGWHEEL_OUTPUT"'
  - id: both
    steps:
      - {id: late, run: 'sleep 30', timeout: 80ms, continue_on_error: true}
      - {id: sum, uses: set, with: {n: "${{ steps.sub.outputs.doubled + 1 }}"}}
finally:
  - {id: tidy, run: 'echo tidy >> tidy.txt'}
"#;

const SUB: &str = "\
inputs: {n: {type: integer}}
outputs: {doubled: \"${{ inputs.n * 2 }}\"}
steps: [{id: work, run: 'true'}]
";

fn every_write_may_be_the_last(backend: Backend) {
    CrashPoint::each(&(20..400), 1, |point| crash_and_go_on(backend, point));
}

/// Whether the server crashed at all; if not, the workflow ended before that commit.
fn crash_and_go_on(backend: Backend, point: CrashPoint) -> bool {
    let home = Home::new(backend);
    home.write("workflows/reference.yaml", REFERENCE);
    home.write("workflows/sub.yaml", SUB);
    home.write("inbox/one.csv", "1");
    let has_crashed = point.serve(&home).has_crashed(|| home.path("tidy.txt").exists() && is_completed(&home));

    let server = home.serve();
    until(format!("everything to end after {point}"), || {
        (server.count_executions("reference", &["COMPLETED"]) == 1).then_some(())
    });
    assert_eq!(server.count_executions("reference", &[]), 1, "{point}: started once");
    assert_eq!(server.count_executions("sub", &[]), 1, "{point}: its sub-workflow was started once");
    let answer = server.ask(
        "{ workflowExecutions(first: 1, filter: {workflow: \"reference\"}) { nodes { result steps(first: 100) { nodes { stepKey status } } } } }",
        &Value::Null,
    );
    let execution = &answer["workflowExecutions"]["nodes"][0];
    assert_eq!(execution["result"], json!({ "doubled": 42 }), "{point}");
    check_steps(point, execution["steps"]["nodes"].as_array().expect("a list"));
    let mut values: Vec<String> = home.read("each.txt").lines().map(str::to_owned).collect();
    values.sort_unstable();
    values.dedup();
    assert_eq!(values, ["1", "2", "3"], "{point}");
    server.stop();
    let _ = home.run(&["db", "verify", "--data"]).with_code(0);
    has_crashed
}

/// Each step is recorded once, in its final state.
fn check_steps(point: CrashPoint, steps: &[Value]) {
    let mut keys: Vec<&str> = steps.iter().filter_map(|step| step["stepKey"].as_str()).collect();
    keys.sort_unstable();
    let count = keys.len();
    keys.dedup();
    assert_eq!(keys.len(), count, "{point}: {keys:?}");
    for key in ["flaky", "each", "each[0]", "each[1]", "each[2]", "pause", "sub", "poll", "both", "both.sum", "tidy"] {
        let step = steps.iter().find(|step| step["stepKey"] == key);
        assert_eq!(step.map(|step| &step["status"]), Some(&json!("COMPLETED")), "{point}: {key}");
    }
    let late = steps.iter().find(|step| step["stepKey"] == "both.late").expect("it is recorded");
    assert_eq!(late["status"], "TIMED_OUT", "{point}");
}

/// Whether the server that is about to crash has brought everything to its end.
fn is_completed(home: &Home) -> bool {
    let mut sql = home.sql();
    sql.number("select count(*) from workflow_executions where status = 'completed'") == 2
}
