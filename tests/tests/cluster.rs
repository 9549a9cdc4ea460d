//! Several servers on one PostgreSQL share the work, and one goes on with what another leaves behind.

use std::time::Duration;

use cogwheel_tests::{Backend, Home, Server, until, within};
use serde_json::json;

/// How long a dead server's work may lie about: its lease, and the time until another one looks.
const TAKE_OVER: Duration = Duration::from_mins(1);

const WORK: &str = "\
steps:
  - {id: first, run: 'echo first >> first.txt'}
  - {id: second, run: 'echo second >> second.txt; until [ -e go ]; do sleep 0.05; done'}
  - {id: third, run: 'echo third >> third.txt'}
";

/// Two servers with data folders of their own on one database and one root.
fn two_servers(workflow: &str) -> (Home, Server, Server) {
    let mut home = Home::new(Backend::Postgres);
    home.set("engine.max_running_executions", "4");
    home.set("cluster.lease", "2s");
    home.write("workflows/work.yaml", workflow);
    let one = home.serve();
    let two = home.serve_from("data-two");
    (home, one, two)
}

/// How many live executions each node owns.
fn owners(home: &Home) -> Vec<i64> {
    let mut sql = home.sql();
    sql.texts(
        "select count(*)::text from workflow_executions where owner_node_id is not null group by owner_node_id order by 1",
    )
    .iter()
    .map(|count| count.parse().expect("a number"))
    .collect()
}

#[test]
fn work_is_shared() {
    let (home, one, _two) = two_servers(WORK);
    let ids: Vec<String> = (0..12).map(|_| one.start("work", &json!({}))).collect();
    until("both servers to run as much as they may", || (owners(&home) == [4, 4]).then_some(()));
    home.write("go", "");
    for id in &ids {
        one.ended_as(id, "COMPLETED");
    }
    for file in ["first.txt", "second.txt", "third.txt"] {
        assert_eq!(home.read(file).lines().count(), ids.len(), "{file}");
    }
}

#[test]
fn a_dead_servers_executions_go_on_elsewhere() {
    let (home, one, two) = two_servers(WORK);
    let ids: Vec<String> = (0..4).map(|_| one.start("work", &json!({}))).collect();
    until("all to be under way", || (home.read("second.txt").lines().count() == 4).then_some(()));
    one.crash();
    within(TAKE_OVER, "the other server to take them over", || {
        (home.read("second.txt").lines().count() == 8).then_some(())
    });
    home.write("go", "");
    for id in &ids {
        two.ended_as(id, "COMPLETED");
    }
    assert_eq!(home.read("first.txt").lines().count(), 4, "what had completed is not done again");
    assert_eq!(home.read("third.txt").lines().count(), 4);
}

#[test]
fn a_request_reaches_the_server_that_runs_the_execution() {
    let (home, one, two) = two_servers(WORK);
    let id = one.start("work", &json!({}));
    until("it to be under way", || (!home.read("second.txt").is_empty()).then_some(()));
    let cancelled = two.ask(
        "mutation($id: ID!) { cancelExecution(input: {id: $id}) { userErrors { message } } }",
        &json!({ "id": id }),
    );
    assert_eq!(cancelled["cancelExecution"]["userErrors"], json!([]));
    two.ended_as(&id, "CANCELLED");
}

#[test]
fn a_server_that_stops_hands_its_work_over() {
    let (home, one, two) =
        two_servers("steps: [{id: wait, uses: wait, with: {for: 4s}}, {run: 'echo done >> done.txt'}]\n");
    let ids: Vec<String> = (0..4).map(|_| one.start("work", &json!({}))).collect();
    assert!(one.stop().success());
    for id in &ids {
        two.ended_as(id, "COMPLETED");
    }
    assert_eq!(home.read("done.txt").lines().count(), 4);
}
