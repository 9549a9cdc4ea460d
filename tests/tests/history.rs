//! Executions as they stood: rebuilt from their events, through snapshots and without.

use cogwheel_tests::{Backend, Home, Server, Sql, on_both_databases, until};
use serde_json::{Value, json};

on_both_databases!(
    a_saga_is_shown_as_it_stood_after_each_of_its_events,
    a_damaged_snapshot_is_passed_over_and_named,
    a_row_that_its_events_do_not_tell_is_named,
    what_a_retry_takes_over_is_told,
    only_what_tells_all_of_its_events_is_shown_as_it_stood,
);

/// Its first undo fails until somebody decides.
const TRIP: &str = r"
saga: {deadline: 1h}
steps:
  - id: flight
    run: echo flight
    timeout: 1m
    compensate: {run: exit 4}
  - id: hotel
    needs: [flight]
    run: echo hotel
    compensate: {run: echo no hotel, retry: {attempts: 2, delay: 1ms}}
  - {id: pay, needs: [hotel], run: exit 7}
";

/// A saga of many events.
fn long() -> String {
    let items: Vec<String> = (0..30).map(|item| item.to_string()).collect();
    format!(
        "steps: [{{id: each, foreach: [{}], max_parallel: 1, steps: [{{id: one, run: 'true', compensate: {{run: 'true'}}}}]}}]\n",
        items.join(", ")
    )
}

fn state(home: &Home, id: &str, at: Option<i64>) -> Value {
    let at = at.map(|at| at.to_string());
    let mut arguments = vec!["events", "state", id, "--output", "json"];
    if let Some(at) = &at {
        arguments.extend(["--at", at]);
    }
    home.run(&arguments).with_code(0).json()
}

fn is_clean(home: &Home) {
    let _ = home.run(&["db", "verify", "--data"]).with_code(0);
}

fn findings(home: &Home) -> Vec<String> {
    let report = home.run(&["db", "verify", "--data", "--output", "json"]).with_code(1).json();
    let findings = report["findings"].as_array().unwrap_or_else(|| panic!("{report:#}"));
    findings.iter().map(|finding| finding["message"].as_str().unwrap_or_default().to_owned()).collect()
}

fn statuses(state: &Value) -> Vec<String> {
    let steps = state["steps"].as_array().expect("a list").iter();
    steps.map(|step| format!("{} {}", step["step"], step["status"]).replace('"', "")).collect()
}

fn paused(home: &Home, server: &Server, id: &str) {
    until("the saga to pause", || {
        let query = "query ($id: ID!) { saga(id: $id) { pausedAt } }";
        (server.ask(query, &json!({ "id": id }))["saga"]["pausedAt"] == json!(["flight"])).then_some(())
    });
    is_clean(home);
}

fn a_saga_is_shown_as_it_stood_after_each_of_its_events(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/trip.yaml", TRIP);
    let server = home.serve();
    let id = server.start("trip", &json!({}));
    paused(&home, &server, &id);
    let before = state(&home, &id, None);
    assert_eq!((&before["status"], &before["saga"]["status"]), (&json!("compensating"), &json!("compensating")));
    assert_eq!(
        statuses(&before),
        ["flight completed", "hotel completed", "pay failed", "hotel.compensate completed", "flight.compensate failed",]
    );
    let url = format!("http://{}", server.address());
    let decide = ["sagas", "--server", &url, "force", &id, "flight", "--reason", "cancelled by phone"];
    let _ = home.run(&decide).with_code(0);
    server.ended_as(&id, "COMPENSATED");

    let last = state(&home, &id, None);
    let versions = last["version"].as_i64().expect("a number");
    let all: Vec<Value> = (1..=versions).map(|version| state(&home, &id, Some(version))).collect();
    assert_eq!(all.last(), Some(&last));
    assert_eq!(all[usize::try_from(before["version"].as_i64().expect("a number")).expect("positive") - 1], before);
    assert_eq!(all[0]["steps"], json!([]), "the first event is that it left the queue");
    let sagas: Vec<&str> = all.iter().filter_map(|state| state["saga"]["status"].as_str()).collect();
    let mut turns = sagas.clone();
    turns.dedup();
    assert_eq!(turns, ["running", "compensating", "compensated"]);
    let hotel = all.iter().find(|state| statuses(state).contains(&"hotel running".to_owned())).expect("hotel began");
    assert!(statuses(hotel).contains(&"flight completed".to_owned()) && hotel["saga"]["status"] == "running");
    let flight = &last["saga"]["compensations"][0];
    assert_eq!((&flight["step"], &flight["status"]), (&json!("flight"), &json!("completed")));
    assert_eq!(flight["resolution"]["reason"], "cancelled by phone");
    assert_eq!(last["saga"]["cause"]["error"]["step"], "pay");

    let query = "query ($id: ID!, $version: Int) { executionState(id: $id, version: $version) { version status \
                 saga { status cause compensations { stepKey status } timeouts { stepKey kind isPending } } \
                 steps { stepKey status } execution { status } } }";
    let shown = server.ask(query, &json!({ "id": id, "version": before["version"] }))["executionState"].take();
    assert_eq!((&shown["status"], &shown["execution"]["status"]), (&json!("COMPENSATING"), &json!("COMPENSATED")));
    assert_eq!(shown["steps"][4], json!({ "stepKey": "flight.compensate", "status": "FAILED" }));
    assert_eq!(shown["saga"]["compensations"][0], json!({ "stepKey": "flight", "status": "FAILED" }));
    assert_eq!(shown["saga"]["timeouts"].as_array().map(Vec::len), Some(6), "{shown:#}");
    let human = home.run(&["events", "state", &id, "--at", "3"]).with_code(0);
    assert!(human.stdout.contains("after event  3"), "{human:?}");
    let refused = home.run(&["events", "state", &id, "--at", "999"]).with_code(1);
    assert!(refused.stderr.contains(&format!("the events 1 to {versions}")), "{refused:?}");
    let unknown = home.run(&["events", "state", "019f0000-0000-7000-8000-000000000000"]).with_code(1);
    assert!(unknown.stderr.contains("no event is recorded"), "{unknown:?}");
    is_clean(&home);
}

/// Lets the table be changed, does it, and puts everything back.
fn tamper(backend: Backend, sql: &mut Sql, table: &str, change: &str) {
    assert!(table != "saga_snapshots" || sql.try_execute(change).is_err(), "the database refuses");
    match backend {
        Backend::Sqlite => {
            let is_refused = format!("type = 'trigger' and tbl_name = '{table}' and sql like '%before update%'");
            let triggers = sql.texts(&format!("select sql from sqlite_master where {is_refused}"));
            let names = sql.texts(&format!("select name from sqlite_master where {is_refused}"));
            names.iter().for_each(|name| sql.execute(&format!("drop trigger {name}")));
            sql.execute(change);
            triggers.iter().for_each(|trigger| sql.execute(trigger));
        }
        Backend::Postgres => {
            sql.execute(&format!("alter table {table} disable trigger user"));
            sql.execute(change);
            sql.execute(&format!("alter table {table} enable trigger user"));
        }
    }
}

fn a_damaged_snapshot_is_passed_over_and_named(backend: Backend) {
    let mut home = Home::new(backend);
    home.set("engine.snapshot_events", "20");
    home.write("workflows/long.yaml", long());
    let server = home.serve();
    let id = server.start("long", &json!({}));
    server.ended_as(&id, "COMPLETED");
    let mut sql = home.sql();
    until("states to be kept", || (sql.number("select count(*) from saga_snapshots") == 3).then_some(()));
    assert!(server.stop().success());
    is_clean(&home);
    let whole = state(&home, &id, None);
    let newest = "version = (select max(version) from saga_snapshots)";
    let holds = sql.number(&format!("select stream_version from saga_snapshots where {newest}"));
    let as_kept = state(&home, &id, Some(holds));
    let change = match backend {
        Backend::Sqlite => "snapshot_data = replace(snapshot_data, 'foreach', 'forEach')",
        Backend::Postgres => "snapshot_data = replace(snapshot_data::text, 'foreach', 'forEach')::jsonb",
    };
    tamper(backend, &mut sql, "saga_snapshots", &format!("update saga_snapshots set {change} where {newest}"));
    assert_eq!(state(&home, &id, Some(holds)), as_kept, "an older one and the events serve");
    assert_eq!(state(&home, &id, None), whole);
    let found = findings(&home);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].contains("is damaged: its checksum is"), "{found:#?}");
}

fn a_row_that_its_events_do_not_tell_is_named(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/trip.yaml", TRIP);
    let server = home.serve();
    let id = server.start("trip", &json!({}));
    paused(&home, &server, &id);
    assert!(server.stop().success());
    let mut sql = home.sql();
    sql.execute("update saga_instances set current_step = 9");
    sql.execute("update saga_compensations set retry_count = 3 where step_id = 'hotel'");
    let found = findings(&home);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].contains("retry_count of row 1/1 of saga_compensations is 3, its events say 0"), "{found:#?}");
    assert!(found[1].contains("current_step of its row of saga_instances is 9, its events say 3"), "{found:#?}");
}

fn what_a_retry_takes_over_is_told(backend: Backend) {
    let home = Home::new(backend);
    let workflow = "history: full\nsteps: [{id: a, run: 'true'}, {id: b, needs: [a], run: test -e ready}]\n";
    home.write("workflows/again.yaml", workflow);
    let server = home.serve();
    let id = server.start("again", &json!({}));
    server.ended_as(&id, "FAILED");
    home.write("ready", "");
    let retry = "mutation ($input: RetryExecutionInput!) { retryExecution(input: $input) { execution { id } \
                 userErrors { message } } }";
    let retried = server.ask(retry, &json!({ "input": { "id": id } }))["retryExecution"].take();
    let again = retried["execution"]["id"].as_str().unwrap_or_else(|| panic!("{retried:#}")).to_owned();
    server.ended_as(&again, "COMPLETED");
    let query = "query ($id: ID!) { executionState(id: $id) { status steps { stepKey status } } }";
    let shown = server.ask(query, &json!({ "id": again }))["executionState"].take();
    let steps = json!([{ "stepKey": "a", "status": "COMPLETED" }, { "stepKey": "b", "status": "COMPLETED" }]);
    assert_eq!(shown, json!({ "status": "COMPLETED", "steps": steps }));
}

fn only_what_tells_all_of_its_events_is_shown_as_it_stood(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/plain.yaml", "steps: [{uses: emit, with: {type: custom.done}}]\n");
    let server = home.serve();
    let id = server.start("plain", &json!({}));
    server.ended_as(&id, "COMPLETED");
    let refused = home.run(&["events", "state", &id]).with_code(1);
    assert!(refused.stderr.contains("`history: full`"), "{refused:?}");
}
