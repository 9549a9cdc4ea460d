//! `kill -9` at every write of a workflow that has something of everything: whatever the moment, the work is done once.
//!
//! Debug builds end themselves at the commit that `CRASH_POINT` names, before it is made or after it, and before anybody
//! is answered. The server is started anew without it, and has to bring everything to its end.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use cogwheel_tests::{Backend, Home, on_both_databases, until};
use serde_json::{Value, json};

on_both_databases!(every_write_may_be_the_last);

/// How many servers crash side by side: they mostly wait.
const SIDE_BY_SIDE: usize = 6;

/// More commits than the whole run takes.
const MOST_COMMITS: usize = 400;

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
    for moment in ["before", "after"] {
        let next = AtomicUsize::new(1);
        let commits = AtomicUsize::new(MOST_COMMITS);
        thread::scope(|scope| {
            for _ in 0..SIDE_BY_SIDE {
                scope.spawn(|| {
                    loop {
                        let commit = next.fetch_add(1, Ordering::Relaxed);
                        if commit > commits.load(Ordering::Relaxed) {
                            return;
                        }
                        if !crash_and_go_on(backend, moment, commit) {
                            commits.fetch_min(commit, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        let commits = commits.into_inner();
        assert!((20..MOST_COMMITS).contains(&commits), "{commits} commits");
    }
}

/// Whether the server crashed at all; if not, the workflow ended before that commit.
fn crash_and_go_on(backend: Backend, moment: &str, commit: usize) -> bool {
    let home = Home::new(backend);
    home.write("workflows/reference.yaml", REFERENCE);
    home.write("workflows/sub.yaml", SUB);
    home.write("inbox/one.csv", "1");
    let point = format!("{moment}:{commit}");
    let mut server = home
        .command(&["serve"])
        .env("CRASH_POINT", &point)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    let ended = until(format!("the crash at {point}"), || {
        let ended = server.try_wait().expect("it is our child");
        let is_done = home.path("tidy.txt").exists() && ended.is_none() && is_completed(&home);
        (ended.is_some() || is_done).then_some(ended)
    });
    if let Some(ended) = ended {
        assert_eq!(ended.signal(), Some(9), "{point}: {ended}");
    } else {
        server.kill().expect("it is our child");
        server.wait().expect("it ends");
    }

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
    check_steps(&point, execution["steps"]["nodes"].as_array().expect("a list"));
    let mut values: Vec<String> = home.read("each.txt").lines().map(str::to_owned).collect();
    values.sort_unstable();
    values.dedup();
    assert_eq!(values, ["1", "2", "3"], "{point}");
    server.stop();
    let _ = home.run(&["db", "verify", "--data"]).with_code(0);
    ended.is_some()
}

/// Each step is recorded once, in its final state.
fn check_steps(point: &str, steps: &[Value]) {
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
