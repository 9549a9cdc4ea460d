//! Connections: pages, cursors, counts, and how many reads they cost.

use cogwheel_engine::ports::Parent;
use serde_json::{Value, json};

use crate::fake::Fake;

fn numbers(connection: &Value) -> Vec<i64> {
    connection["nodes"].as_array().unwrap().iter().map(|node| node["inputs"]["n"].as_i64().unwrap()).collect()
}

async fn page(fake: &Fake, args: &str) -> Value {
    let query = format!(
        "{{ workflowExecutions({args}) {{ nodes {{ inputs }} edges {{ cursor node {{ id }} }}
            pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }}"
    );
    fake.data(&query).await["workflowExecutions"].take()
}

#[tokio::test]
async fn pages_forward_and_backward_meet_every_row_once() {
    let fake = Fake::with(1, 7);
    let first = page(&fake, "first: 3").await;
    assert_eq!(numbers(&first), [6, 5, 4]);
    assert_eq!(first["pageInfo"]["hasNextPage"], true);
    assert_eq!(first["pageInfo"]["hasPreviousPage"], false);
    assert_eq!(first["pageInfo"]["endCursor"], first["edges"][2]["cursor"]);
    let second = page(&fake, &format!("first: 3, after: {}", first["pageInfo"]["endCursor"])).await;
    assert_eq!(numbers(&second), [3, 2, 1]);
    assert_eq!(second["pageInfo"]["hasPreviousPage"], true);
    let third = page(&fake, &format!("first: 3, after: {}", second["pageInfo"]["endCursor"])).await;
    assert_eq!(numbers(&third), [0]);
    assert_eq!(third["pageInfo"]["hasNextPage"], false);
    let back = page(&fake, &format!("last: 2, before: {}", third["pageInfo"]["startCursor"])).await;
    assert_eq!(numbers(&back), [2, 1]);
    assert_eq!(back["pageInfo"]["hasNextPage"], true);
    assert_eq!(back["pageInfo"]["hasPreviousPage"], true);
    let end = page(&fake, "last: 2").await;
    assert_eq!(numbers(&end), [1, 0]);
    assert_eq!(end["pageInfo"]["hasNextPage"], false);
}

#[tokio::test]
async fn an_empty_list_has_no_cursors() {
    let empty = page(&Fake::default(), "first: 3").await;
    assert_eq!(
        empty["pageInfo"],
        json!({"hasNextPage": false, "hasPreviousPage": false, "startCursor": null, "endCursor": null})
    );
}

#[tokio::test]
async fn page_arguments_out_of_bounds_are_refused() {
    let fake = Fake::with(1, 1);
    for (args, says) in [
        ("first: 101", "`first` must be between 1 and 100, not 101"),
        ("last: 0", "`last` must be between 1 and 100, not 0"),
        ("first: 1, last: 1", "`first` and `last` cannot be combined"),
        ("first: 1, after: \"x\"", "`after` is not a cursor of this list"),
    ] {
        let (code, message) = fake.error(&format!("{{ workflowExecutions({args}) {{ nodes {{ id }} }} }}")).await;
        assert_eq!(code, "BAD_USER_INPUT");
        assert!(message.starts_with(says), "{message}");
    }
}

#[tokio::test]
async fn the_total_is_counted_only_when_asked_for() {
    let fake = Fake::with(1, 3);
    fake.data("{ workflowExecutions(first: 1) { nodes { id } } }").await;
    assert_eq!(fake.take_calls(), ["executions"]);
    let data = fake.data("{ workflowExecutions(first: 1) { totalCount } }").await;
    assert_eq!(data["workflowExecutions"]["totalCount"], 3);
    assert_eq!(fake.take_calls(), ["executions", "count_executions"]);
}

#[tokio::test]
async fn filters_narrow_lists() {
    let fake = Fake::with(2, 2);
    let data = fake
        .data(
            "{ one: workflowExecutions(filter: {workflow: \"w1\", status: [COMPLETED, FAILED], triggerType: MANUAL}) { totalCount }
               none: workflowExecutions(filter: {status: [RUNNING]}) { totalCount }
               off: workflows(filter: {isEnabled: false}) { nodes { name } } }",
        )
        .await;
    assert_eq!(data, json!({"one": {"totalCount": 2}, "none": {"totalCount": 0}, "off": {"nodes": []}}));
    let schedule = fake.rows(|rows| rows.schedules[1].id);
    let data = fake
        .data(&format!("{{ scheduleFires(filter: {{schedule: \"{schedule}\"}}) {{ nodes {{ outcome skipReason schedule {{ id }} }} }} }}"))
        .await;
    assert_eq!(data["scheduleFires"]["nodes"].as_array().unwrap().len(), 1);
    assert_eq!(data["scheduleFires"]["nodes"][0]["skipReason"], "OVERLAP");
}

#[tokio::test]
async fn fifty_executions_with_everything_below_them_cost_one_read_per_edge() {
    let fake = Fake::with(1, 50);
    let data = fake
        .data(
            "{ workflowExecutions(first: 50) { nodes { id workflow { name } workflowVersion { version } files { filename }
                 steps(first: 10) { totalCount nodes { stepKey logs(first: 3) { totalCount nodes { message } } } }
                 logs(first: 5) { nodes { message } } } } }",
        )
        .await;
    let nodes = data["workflowExecutions"]["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 50);
    assert_eq!(nodes[49]["steps"]["nodes"][1]["logs"]["nodes"].as_array().unwrap().len(), 3);
    assert_eq!(nodes[0]["logs"]["nodes"].as_array().unwrap().len(), 5);
    let mut calls = fake.take_calls();
    calls.sort_unstable();
    assert_eq!(
        calls,
        [
            "count_logs_of",
            "count_steps",
            "executions",
            "files_of_executions",
            "logs_of",
            "logs_of",
            "steps",
            "versions_by_id",
            "workflows_by_id"
        ]
    );
}

#[tokio::test]
async fn fifty_executions_with_their_relatives_cost_one_read_per_edge() {
    let fake = Fake::with(1, 50);
    fake.rows(|rows| {
        let first = rows.executions[0].id;
        for (at, row) in rows.executions.iter_mut().enumerate().skip(1) {
            row.parent = Some(Parent { execution: first, step_ordinal: 1 });
            row.rerun_of = Some(first).filter(|_| at % 2 == 0);
        }
    });
    let data = fake
        .data(
            "{ workflowExecutions(first: 50) { nodes { parent { inputs } parentStepOrdinal rerunOf { inputs }
                 children(first: 10) { totalCount nodes { inputs parent { id } } } } } }",
        )
        .await;
    let nodes = data["workflowExecutions"]["nodes"].as_array().unwrap();
    let is_of_first = |node: &Value| node["parent"]["inputs"]["n"] == 0 && node["parentStepOrdinal"] == 1;
    assert!(nodes[..49].iter().all(is_of_first));
    assert_eq!(nodes[0]["rerunOf"], json!(null));
    assert_eq!(nodes[1]["rerunOf"]["inputs"]["n"], 0);
    assert_eq!(nodes[49]["parent"], json!(null));
    assert_eq!(nodes[49]["children"]["totalCount"], 49);
    assert_eq!(numbers(&nodes[49]["children"]), (40..50).rev().collect::<Vec<_>>());
    let mut calls = fake.take_calls();
    calls.sort_unstable();
    assert_eq!(
        calls,
        [
            "children_of_executions",
            "count_children_of_executions",
            "executions",
            "executions_by_id",
            "executions_by_id",
        ]
    );
}

#[tokio::test]
async fn fifty_workflows_with_everything_below_them_cost_one_read_per_edge() {
    let fake = Fake::with(50, 2);
    let data = fake
        .data(
            "{ workflows(first: 50) { nodes { name activeVersion { version } fileWatches { health workflow { name } }
                 schedules { cron fires(first: 5) { totalCount nodes { dueAt } } }
                 executions(first: 5) { totalCount nodes { status } } } } }",
        )
        .await;
    let nodes = data["workflows"]["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 50);
    assert!(nodes.iter().all(
        |node| node["executions"]["totalCount"] == 2 && node["executions"]["nodes"].as_array().unwrap().len() == 2
    ));
    let mut calls = fake.take_calls();
    calls.sort_unstable();
    assert_eq!(
        calls,
        [
            "count_executions_of_workflows",
            "count_fires_of_schedules",
            "executions_of_workflows",
            "fires_of_schedules",
            "schedules_of_workflows",
            "versions_by_id",
            "watches_of_workflows",
            "workflows",
            "workflows_by_id",
        ]
    );
}

#[tokio::test]
async fn fifty_files_with_their_watch_and_executions_cost_one_read_per_edge() {
    let fake = Fake::with(1, 50);
    let data = fake.data("{ files(first: 50) { nodes { size watch { triggerKey } executions { status } } } }").await;
    assert_eq!(
        data["files"]["nodes"][0],
        json!({"size": 5_000_000_000_i64, "watch": {"triggerKey": "inbox"}, "executions": [{"status": "COMPLETED"}]})
    );
    let mut calls = fake.take_calls();
    calls.sort_unstable();
    assert_eq!(calls, ["executions_of_files", "files", "watches_by_id"]);
}

#[tokio::test]
async fn steps_and_logs_run_in_order_and_page_on() {
    let fake = Fake::with(1, 1);
    let data = fake
        .data("{ workflowExecutions { nodes { steps(last: 1) { nodes { ordinal logs(first: 2) { nodes { sequence }
                 pageInfo { endCursor hasNextPage } } } } logs(stepOrdinal: 0) { nodes { sequence stream level } } } } }")
        .await;
    let execution = &data["workflowExecutions"]["nodes"][0];
    assert_eq!(execution["steps"]["nodes"][0]["ordinal"], 1);
    assert_eq!(execution["steps"]["nodes"][0]["logs"]["nodes"], json!([{"sequence": 3}, {"sequence": 4}]));
    assert_eq!(execution["steps"]["nodes"][0]["logs"]["pageInfo"]["hasNextPage"], true);
    assert_eq!(execution["logs"]["nodes"].as_array().unwrap().len(), 3);
    assert_eq!(execution["logs"]["nodes"][0], json!({"sequence": 0, "stream": "STDOUT", "level": "INFO"}));
}
