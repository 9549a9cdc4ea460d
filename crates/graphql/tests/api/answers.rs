//! What single fields answer, and how mistakes and failures are told.

use async_graphql::{Request, Variables};
use cogwheel_access::Principal;
use cogwheel_engine::ports::StoreError;
use cogwheel_engine::views::Priority;
use cogwheel_engine::{ExecutionStatus, FileProblem, WorkflowFile};
use cogwheel_graphql::is_refused;
use serde_json::json;

use crate::fake::{Fake, at, only_error};

#[tokio::test]
async fn the_viewer_holds_the_admin_key() {
    assert_eq!(Fake::default().data("{ viewer { kind } }").await, json!({"viewer": {"kind": "ADMIN"}}));
}

#[tokio::test]
async fn every_kind_of_object_is_found_again_by_its_global_id() {
    let fake = Fake::with(1, 1);
    let data = fake
        .data(
            "{ workflow(name: \"w0\") { id activeVersion { id } schedules { id fires { nodes { id } } } fileWatches { id } }
               workflowExecutions { nodes { id steps { nodes { id } } files { id } } } }",
        )
        .await;
    let (workflow, execution) = (&data["workflow"], &data["workflowExecutions"]["nodes"][0]);
    for (id, name) in [
        (&workflow["id"], "Workflow"),
        (&workflow["activeVersion"]["id"], "WorkflowVersion"),
        (&workflow["schedules"][0]["id"], "Schedule"),
        (&workflow["schedules"][0]["fires"]["nodes"][0]["id"], "ScheduleFire"),
        (&workflow["fileWatches"][0]["id"], "FileWatch"),
        (&execution["id"], "WorkflowExecution"),
        (&execution["steps"]["nodes"][0]["id"], "StepExecution"),
        (&execution["files"][0]["id"], "File"),
    ] {
        let found = fake.data(&format!("{{ node(id: {id}) {{ __typename id }} }}")).await;
        assert_eq!(found["node"], json!({"__typename": name, "id": id}));
    }
}

#[tokio::test]
async fn nodes_come_in_the_order_asked_for_with_null_for_the_unknown() {
    let fake = Fake::with(2, 0);
    let data = fake.data("{ a: workflow(name: \"w0\") { id } b: workflow(name: \"w1\") { id } }").await;
    fake.take_calls();
    // base64url of `Workflow:00000000-0000-0000-0000-000000000000`
    let unknown = "V29ya2Zsb3c6MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAw";
    let query = format!("{{ nodes(ids: [{}, \"{unknown}\", {}]) {{ id }} }}", data["b"]["id"], data["a"]["id"]);
    let nodes = fake.data(&query).await;
    assert_eq!(nodes["nodes"], json!([{"id": data["b"]["id"]}, null, {"id": data["a"]["id"]}]));
    assert_eq!(fake.take_calls(), ["workflows_by_id"]);
}

#[tokio::test]
async fn the_unknown_is_null_and_the_malformed_a_mistake() {
    let fake = Fake::with(1, 1);
    let data = fake
        .data("{ workflow(name: \"nope\") { id } workflowExecution(id: \"00000000-0000-0000-0000-00000000dead\") { id } }")
        .await;
    assert_eq!(data, json!({"workflow": null, "workflowExecution": null}));
    for query in ["{ node(id: \"nonsense\") { id } }", "{ workflowExecution(id: \"x\") { id } }"] {
        let (code, message) = fake.error(query).await;
        assert_eq!(code, "BAD_USER_INPUT");
        assert!(message.contains("is not an id of this API"), "{message}");
    }
}

#[tokio::test]
async fn a_field_that_fails_is_null_and_leaves_the_others_alone() {
    let response = Fake::with(1, 0).ask("{ viewer { kind } nodes(ids: [\"x\"]) { id } node(id: \"x\") { id } }").await;
    assert_eq!(response.errors.len(), 2);
    assert_eq!(response.data.into_json().unwrap(), json!({"viewer": {"kind": "ADMIN"}, "nodes": [null], "node": null}));
}

#[tokio::test]
async fn an_execution_is_read_by_its_bare_uuid() {
    let fake = Fake::with(1, 1);
    let id = fake.rows(|rows| rows.executions[0].id);
    let data = fake
        .data(&format!(
            "{{ workflowExecution(id: \"{id}\") {{ status createdAt executionTimeMs inputs workflow {{ name }} }} }}"
        ))
        .await;
    assert_eq!(
        data["workflowExecution"],
        json!({
            "status": "COMPLETED", "createdAt": "2027-01-15T08:00:00Z", "executionTimeMs": 3_000_000_000_i64,
            "inputs": {"n": 0}, "workflow": {"name": "w0"},
        })
    );
}

#[tokio::test]
async fn what_waits_says_for_what_and_until_when() {
    let fake = Fake::with(1, 1);
    fake.rows(|rows| {
        rows.executions[0].status = ExecutionStatus::Waiting;
        rows.executions[0].priority = Priority::High;
        rows.executions[0].retry_count = 2;
        rows.executions[0].next_wake_at = Some(at(60));
        let step = &mut rows.steps[1];
        (step.parent_ordinal, step.step_key) = (Some(0), "s0.ok".to_owned());
        (step.wait_signal_name, step.wait_correlation_key) = (Some("approved".to_owned()), Some("k7".to_owned()));
        step.timeout_at = Some(at(60));
    });
    let data = fake
        .data(
            "{ workflowExecutions { nodes { status priority retryCount nextWakeAt
                 steps(last: 1) { nodes { stepKey parentOrdinal waitSignalName waitCorrelationKey wakeAt timeoutAt } } } } }",
        )
        .await;
    assert_eq!(
        data["workflowExecutions"]["nodes"][0],
        json!({
            "status": "WAITING", "priority": "HIGH", "retryCount": 2, "nextWakeAt": "2027-01-15T08:01:00Z",
            "steps": {"nodes": [{
                "stepKey": "s0.ok", "parentOrdinal": 0, "waitSignalName": "approved", "waitCorrelationKey": "k7",
                "wakeAt": null, "timeoutAt": "2027-01-15T08:01:00Z",
            }]},
        })
    );
}

#[tokio::test]
async fn a_watch_that_cannot_see_its_folder_says_so() {
    let data = Fake::with(1, 0)
        .data("{ fileWatches { nodes { triggerKey health problem include workflow { name } } } }")
        .await;
    assert_eq!(
        data["fileWatches"]["nodes"],
        json!([{"triggerKey": "inbox", "health": "FAILED", "problem": "no such folder", "include": ["*.csv"],
                "workflow": {"name": "w0"}}])
    );
}

#[tokio::test]
async fn a_broken_workflow_file_is_shown_with_line_and_column() {
    let fake = Fake::default();
    let problem = FileProblem {
        code: "COG0101".to_owned(),
        message: "unknown key `stepz`".to_owned(),
        line: 3,
        column: 1,
        help: Some("did you mean `steps`?".to_owned()),
    };
    fake.rows(|rows| {
        rows.workflow_files.push(WorkflowFile {
            path: "a.yaml".to_owned(),
            workflow: Some("a".to_owned()),
            checked_at: at(0),
            problems: vec![problem],
        });
    });
    let data =
        fake.data("{ workflowFiles { path workflow checkedAt problems { code message line column help } } }").await;
    assert_eq!(
        data["workflowFiles"],
        json!([{"path": "a.yaml", "workflow": "a", "checkedAt": "2027-01-15T08:00:00Z", "problems": [{
            "code": "COG0101", "message": "unknown key `stepz`", "line": 3, "column": 1, "help": "did you mean `steps`?",
        }]}])
    );
}

#[tokio::test]
async fn a_request_that_is_not_executed_is_told_apart_from_a_failed_field() {
    let fake = Fake::with(1, 1);
    for query in ["{", "{ nope }", "{ workflow { id } }", "query A { viewer { kind } } query B { viewer { kind } }", ""]
    {
        let response = fake.ask(query).await;
        assert!(is_refused(&response), "{query}");
        assert_eq!(only_error(&response).0, "BAD_USER_INPUT", "{query}");
    }
    let response = fake.ask("{ viewer { kind } node(id: \"x\") { id } }").await;
    assert!(!is_refused(&response));
}

#[tokio::test]
async fn one_of_several_operations_is_chosen_by_its_name() {
    let mut request = Request::new("query A { viewer { kind } } query B($n: String!) { workflow(name: $n) { name } }")
        .variables(Variables::from_json(json!({"n": "w0"})));
    request.operation_name = Some("B".to_owned());
    let response = Fake::with(1, 0).schema().execute(Principal::Admin, request).await;
    assert_eq!(response.data.into_json().unwrap(), json!({"workflow": {"name": "w0"}}));
    let request = Request::new("query A { viewer { kind } }").operation_name("C");
    let response = Fake::default().schema().execute(Principal::Admin, request).await;
    assert_eq!(only_error(&response).1, "the document has no operation `C`");
}

#[tokio::test]
async fn what_the_database_said_stays_in_the_log() {
    let fake = Fake::with(1, 1);
    fake.rows(|rows| rows.failure = Some(StoreError::Bug("relation \"secret\" does not exist".to_owned())));
    let response = fake.ask("{ workflows { nodes { name } } }").await;
    let text = serde_json::to_string(&response).unwrap();
    assert!(!text.contains("secret") && text.contains("errorId"), "{text}");
    assert_eq!(only_error(&response).0, "INTERNAL");
    fake.rows(|rows| rows.failure = Some(StoreError::Unavailable("pool timed out".to_owned())));
    let (code, message) = fake.error("{ workflow(name: \"w0\") { name } }").await;
    assert_eq!(code, "INTERNAL");
    assert!(message.starts_with("the database is unavailable; try again later"), "{message}");
}

#[tokio::test]
async fn a_subscription_needs_a_websocket() {
    let (code, message) =
        Fake::default().error("subscription { executionChanged(workflow: \"w\") { position } }").await;
    assert_eq!(code, "BAD_USER_INPUT");
    assert!(message.contains("graphql-transport-ws"), "{message}");
}
