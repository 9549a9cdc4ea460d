//! Sagas as operators see them: what is undone, what pauses, and what they decide.

use cogwheel_tests::{Backend, Finished, Home, Server, on_both_databases, step, until};
use serde_json::{Value, json};

on_both_databases!(
    what_was_done_is_undone_in_the_reverse_order,
    a_failed_undo_pauses_until_somebody_decides,
    a_saga_goes_on_where_it_was_after_a_crash,
    a_completed_saga_is_undone_on_request,
    a_deadline_that_passes_while_the_server_is_down_is_the_cause,
    a_saga_that_runs_another_undoes_it_as_a_whole,
    what_is_left_of_one_that_cannot_go_on_is_named_to_the_one_that_started_it,
);

/// Each step writes its name; its undo writes what it undoes, and reads what the step put out.
const ORDERED: &str = r#"
steps:
  - id: account
    run: 'echo account >> done.txt; echo "id=7" >> "$COGWHEEL_OUTPUT"'
    compensate:
      run: 'echo "account $ID $COGWHEEL_STEP_KEY $COGWHEEL_SAGA_ID" >> undone.txt'
      env: {ID: "${{ steps.account.outputs.id }}"}
  - id: mailbox
    needs: [account]
    run: echo mailbox >> done.txt
    compensate: {run: 'test ! -e broken || exit 3; echo mailbox >> undone.txt'}
  - id: badge
    needs: [account]
    run: echo badge >> done.txt
    compensate: {run: echo badge >> undone.txt}
  - {id: welcome, needs: [mailbox, badge], run: 'test -e well'}
"#;

fn sagas(home: &Home, server: &Server, arguments: &[&str]) -> Finished {
    let url = format!("http://{}", server.address());
    home.run(&[&["sagas", "--server", &url], arguments].concat())
}

fn show(home: &Home, server: &Server, id: &str) -> Value {
    sagas(home, server, &["show", id, "--output", "json"]).with_code(0).json()
}

fn statuses(saga: &Value) -> Vec<String> {
    let undos = saga["compensations"].as_array().expect("a list").iter();
    undos
        .map(|undo| {
            format!("{} {}", undo["stepKey"].as_str().unwrap_or_default(), undo["status"].as_str().unwrap_or_default())
        })
        .collect()
}

fn paused(home: &Home, server: &Server, id: &str) -> Value {
    until("the saga to pause", || {
        let saga = show(home, server, id);
        let is_running = saga["compensations"].as_array()?.iter().any(|undo| undo["status"] == "RUNNING");
        (saga["pausedAt"] == json!(["mailbox"]) && !is_running).then_some(saga)
    })
}

fn what_was_done_is_undone_in_the_reverse_order(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/onboard.yaml", ORDERED);
    let server = home.serve();
    let id = server.start("onboard", &json!({}));
    let execution = server.ended_as(&id, "COMPENSATED");
    assert_eq!(execution["error"]["step"], "welcome", "the first cause is kept");
    assert_eq!(step(&execution, "account.compensate")["status"], "COMPLETED");
    let undone = home.read("undone.txt");
    let mut lines: Vec<&str> = undone.lines().collect();
    let last = lines.pop().expect("three lines");
    lines.sort_unstable();
    assert_eq!(lines, ["badge", "mailbox"]);
    let words: Vec<&str> = last.split(' ').collect();
    assert_eq!((words[0], words[1], words.len()), ("account", "7", 4), "what the step put out is there: {last}");
    assert!(words[2].starts_with(words[3]) && words[2] != words[3], "the undo has a key of its own: {last}");
    let saga = show(&home, &server, &id);
    assert_eq!((&saga["status"], &saga["cause"]), (&json!("COMPENSATED"), &json!("STEP_FAILED")));
    assert_eq!(saga["compensations"][2]["unwindOrder"], 1);
    let listed = sagas(&home, &server, &["list", "--status", "compensated", "--output", "json"]).with_code(0).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    drop(home.run(&["db", "verify", "--data"]).with_code(0));
}

fn a_failed_undo_pauses_until_somebody_decides(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/onboard.yaml", ORDERED);
    home.write("broken", "");
    let server = home.serve();
    let id = server.start("onboard", &json!({}));
    let saga = paused(&home, &server, &id);
    assert_eq!(statuses(&saga), ["badge COMPLETED", "mailbox FAILED", "account PENDING"]);
    let shown = sagas(&home, &server, &["show", &id]).with_code(0).stdout;
    assert!(shown.contains("paused at mailbox"), "{shown}");
    drop(sagas(&home, &server, &["retry", &id, "account", "--reason", "why not"]).with_code(1));
    drop(sagas(&home, &server, &["retry", &id, "mailbox", "--reason", "it may be back"]).with_code(0));
    until("the undo to fail again", || {
        let undo = show(&home, &server, &id)["compensations"][1].take();
        (undo["resolution"] == "RETRY" && undo["status"] == "FAILED").then_some(())
    });
    drop(sagas(&home, &server, &["skip", &id, "mailbox", "--reason", "it is archived"]).with_code(0));
    let execution = server.ended_as(&id, "FAILED");
    assert_eq!(execution["error"]["not_undone"], json!(["mailbox"]));
    assert!(home.read("undone.txt").contains("account"), "the rest is undone");
    let acts = "select action || ' ' || reason from audit_log order by id";
    assert_eq!(home.sql().texts(acts), ["saga.retry it may be back", "saga.skip it is archived"]);
    drop(home.run(&["db", "verify", "--data"]).with_code(0));
}

fn a_saga_goes_on_where_it_was_after_a_crash(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/onboard.yaml", ORDERED);
    home.write("broken", "");
    let server = home.serve();
    let id = server.start("onboard", &json!({}));
    paused(&home, &server, &id);
    server.crash();
    let server = home.serve();
    let saga = paused(&home, &server, &id);
    assert_eq!(statuses(&saga), ["badge COMPLETED", "mailbox FAILED", "account PENDING"]);
    drop(sagas(&home, &server, &["force", &id, "mailbox", "--reason", "removed by hand"]).with_code(0));
    server.ended_as(&id, "COMPENSATED");
    assert_eq!(home.read("undone.txt").lines().filter(|line| *line == "badge").count(), 1);
}

fn a_completed_saga_is_undone_on_request(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/onboard.yaml", format!("history: full\n{ORDERED}"));
    home.write("well", "");
    let server = home.serve();
    let id = server.start("onboard", &json!({}));
    server.ended_as(&id, "COMPLETED");
    drop(sagas(&home, &server, &["compensate", &id, "--reason", "wrong person"]).with_code(0));
    server.ended_as(&id, "COMPENSATED");
    let saga = show(&home, &server, &id);
    assert_eq!((&saga["cause"], &saga["causeDetail"]["detail"]), (&json!("OPERATOR"), &json!("wrong person")));
    drop(sagas(&home, &server, &["compensate", &id, "--reason", "again"]).with_code(1));
    let told = "select event_type from event_store
        where event_type like 'workflow.%' and stream_id like 'execution-%' order by version";
    assert_eq!(
        home.sql().texts(told),
        ["workflow.started", "workflow.completed", "workflow.compensating", "workflow.compensated"],
        "each turn is told once"
    );
    drop(home.run(&["db", "verify", "--data"]).with_code(0));
}

fn a_deadline_that_passes_while_the_server_is_down_is_the_cause(backend: Backend) {
    let home = Home::new(backend);
    home.write(
        "workflows/slow.yaml",
        "saga: {deadline: 3s}\nsteps:\n  - {id: a, run: 'echo a >> done.txt', compensate: {run: 'echo a >> undone.txt'}}\n  \
         - {id: wait, uses: wait, with: {for: 2m}}\n",
    );
    let server = home.serve();
    let id = server.start("slow", &json!({}));
    until("the wait", || (step(&server.execution(&id), "wait")["status"] == "WAITING").then_some(()));
    assert_eq!(show(&home, &server, &id)["timeouts"][0]["isPending"], true);
    server.crash();
    let down_since = std::time::Instant::now();
    until("the deadline to pass", || (down_since.elapsed().as_secs() > 3).then_some(()));
    let server = home.serve();
    server.ended_as(&id, "COMPENSATED");
    let saga = show(&home, &server, &id);
    assert_eq!((&saga["cause"], &saga["timeouts"][0]["isPending"]), (&json!("TIMED_OUT"), &json!(false)));
    assert!(saga["timeouts"][0]["firedAt"].is_string());
    assert_eq!(home.read("undone.txt"), "a\n");
}

fn a_saga_that_runs_another_undoes_it_as_a_whole(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/onboard.yaml", ORDERED);
    home.write("well", "");
    home.write(
        "workflows/hire.yaml",
        "saga: {on_undo_failure: pause}\nsteps:\n  - {id: onboard, uses: workflow, with: {name: onboard}}\n  - {id: pay, run: exit 4}\n",
    );
    let server = home.serve();
    let id = server.start("hire", &json!({}));
    let execution = server.ended_as(&id, "COMPENSATED");
    assert_eq!(execution["error"]["step"], "pay");
    assert_eq!(home.read("undone.txt").lines().count(), 3);
    let child = server.ended_executions("onboard", 1).remove(0);
    let saga = show(&home, &server, &child);
    assert_eq!((&saga["status"], &saga["cause"]), (&json!("COMPENSATED"), &json!("PARENT")));
}

fn what_is_left_of_one_that_cannot_go_on_is_named_to_the_one_that_started_it(backend: Backend) {
    let home = Home::new(backend);
    home.write(
        "workflows/inner.yaml",
        "saga: {deadline: 1h}\nsteps:\n  - {id: a, run: 'true', compensate: {run: 'true'}}\n  \
         - {id: told, uses: wait, with: {signal: told}}\n",
    );
    home.write(
        "workflows/outer.yaml",
        "saga: {on_undo_failure: pause}\nsteps:\n  - {id: a, run: 'true', compensate: {run: 'true'}}\n  \
         - {id: inner, uses: workflow, with: {name: inner}}\n",
    );
    let server = home.serve();
    let id = server.start("outer", &json!({}));
    let waiting = "select count(*) from step_executions where step_key = 'told' and status = 'waiting'";
    until("the inner one to wait", || (home.sql().number(waiting) == 1).then_some(()));
    server.crash();
    home.sql().execute("update step_executions set step_key = 'nowhere' where step_key = 'told'");
    let server = home.serve();
    let execution = server.ended_as(&id, "FAILED");
    assert_eq!(execution["error"]["not_undone"], json!(["inner/a", "inner/nowhere"]));
    let child = server.ended_executions("inner", 1).remove(0);
    let saga = show(&home, &server, &child);
    assert_eq!((&saga["status"], &saga["timeouts"][0]["isPending"]), (&json!("FAILED"), &json!(false)));
    assert_eq!(saga["execution"]["error"]["not_undone"], json!(["a", "nowhere"]));
    assert_eq!(show(&home, &server, &id)["compensations"][0]["status"], "COMPLETED", "the rest is undone");
}
