//! GraphQL over HTTP.

use std::time::Duration;

use cogwheel_engine::ExecutionStatus;
use cogwheel_server::ServerConfig;
use serde_json::json;

use crate::server::{Answer, Running, config};

const GRAPHQL: &str = "application/graphql-response+json";

#[test]
fn without_the_admin_key_nothing_is_answered() {
    let server = Running::new();
    let body = json!({"query": "{ viewer { kind } }"}).to_string();
    let post = |key: Option<&str>| -> Answer {
        let mut request = server.agent.post(server.url("/graphql")).header("Content-Type", "application/json");
        if let Some(key) = key {
            request = request.header("Authorization", key);
        }
        request.send(&body).unwrap().into()
    };
    for key in [None, Some("Bearer nonsense"), Some("Basic YTpi"), Some("")] {
        let answer = post(key);
        assert_eq!((answer.status, answer.error().0), (401, "UNAUTHENTICATED"), "{key:?}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"cogwheel\""));
    }
    assert_eq!(post(Some(&server.bearer())).body, json!({"data": {"viewer": {"kind": "ADMIN"}}}));
    let answer: Answer = server.agent.get(server.url("/graphql?query=%7Bviewer%7Bkind%7D%7D")).call().unwrap().into();
    assert_eq!(answer.status, 401);
}

#[test]
fn the_media_type_is_the_one_that_was_asked_for() {
    let server = Running::new();
    let body = json!({"query": "{ viewer { kind } }"}).to_string();
    for (accept, media) in [(GRAPHQL, GRAPHQL), ("application/json", "application/json"), ("*/*", "application/json")] {
        let answer = server.post(&body, accept);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some(format!("{media}; charset=utf-8").as_str()));
        assert_eq!(answer.header("server"), None);
    }
    let answer = server.post(&body, "text/html");
    assert_eq!((answer.status, answer.error().0), (406, "BAD_USER_INPUT"));
}

#[test]
fn a_query_that_is_not_executed_is_400_in_the_new_media_type_and_has_no_data() {
    let server = Running::new();
    for query in ["{ nope }", "{", ""] {
        let body = json!({"query": query}).to_string();
        let answer = server.post(&body, GRAPHQL);
        assert_eq!((answer.status, answer.error().0), (400, "BAD_USER_INPUT"));
        assert!(answer.body.get("data").is_none());
        assert_eq!(server.post(&body, "application/json").status, 200);
    }
    let answer = server.post(&json!({"query": "{ node(id: \"x\") { id } }"}).to_string(), GRAPHQL);
    assert_eq!((answer.status, &answer.body["data"]), (200, &json!({"node": null})));
}

#[test]
fn malformed_requests_are_400_in_every_media_type() {
    let server = Running::new();
    for body in
        ["", "{", "[]", "[{\"query\": \"{a}\"}]", "{}", "{\"query\": 1}", "{\"query\": \"{a}\", \"variables\": 7}"]
    {
        for accept in [GRAPHQL, "application/json"] {
            let answer = server.post(body, accept);
            assert_eq!((answer.status, answer.error().0), (400, "BAD_USER_INPUT"), "{body}");
        }
    }
}

#[test]
fn only_json_is_taken() {
    let server = Running::new();
    let request = server.agent.post(server.url("/graphql")).header("Authorization", server.bearer());
    let answer: Answer = request.header("Content-Type", "text/plain").send("{\"query\": \"{a}\"}").unwrap().into();
    assert_eq!((answer.status, answer.error().0), (415, "BAD_USER_INPUT"));
}

#[test]
fn a_body_over_the_limit_is_refused_by_name() {
    let server = Running::with(ServerConfig { body_limit: 1_000, ..config() });
    let long = json!({"query": "{ viewer { kind } }", "operationName": "x".repeat(2_000)}).to_string();
    let answer = server.post(&long, "application/json");
    assert_eq!(answer.status, 413);
    assert_eq!(answer.error(), ("TOO_COMPLEX", "the request's body is over the limit of 1000 bytes"));
    let request = server.agent.post(server.url("/graphql")).header("Authorization", server.bearer());
    let chunked = ureq::SendBody::from_owned_reader(std::io::Cursor::new(long.into_bytes()));
    let answer: Answer = request.header("Content-Type", "application/json").send(chunked).unwrap().into();
    assert_eq!(answer.status, 413);
}

#[test]
fn queries_may_be_got_and_mutations_may_not() {
    let server = Running::new();
    let query = "query=query(%24n%3AString!)%7Bworkflow(name%3A%24n)%7Bname%7D%7D&variables=%7B%22n%22%3A%22w0%22%7D";
    let answer = server.get(&format!("/graphql?{query}"));
    assert_eq!((answer.status, answer.body), (200, json!({"data": {"workflow": {"name": "w0"}}})));
    let mutation = "query=mutation%7BstartWorkflow(input%3A%7Bworkflow%3A%22w0%22%7D)%7BuserErrors%7Bcode%7D%7D%7D";
    let answer = server.get(&format!("/graphql?{mutation}"));
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
    assert!(server.fake.rows(|rows| rows.started.is_empty()));
    let answer = server.get("/graphql");
    assert_eq!(answer.status, 400);
    assert!(answer.error().1.starts_with("the parameter `query` is missing"));
}

#[test]
fn other_methods_and_paths_are_refused_in_json() {
    let server = Running::new();
    let put = || server.agent.put(server.url("/graphql"));
    let answer: Answer = put().header("Authorization", server.bearer()).send("{}").unwrap().into();
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, POST")));
    let stranger: Answer = put().send("{}").unwrap().into();
    assert_eq!((stranger.status, stranger.error().0), (401, "UNAUTHENTICATED"));
    let stranger: Answer = server.agent.get(server.url("/nope")).call().unwrap().into();
    assert_eq!((stranger.status, stranger.error().0), (401, "UNAUTHENTICATED"));
    for path in ["/", "/nope", "/graphql/x", "/health"] {
        let answer = server.get(path);
        assert_eq!((answer.status, answer.error().0), (404, "NOT_FOUND"), "{path}");
    }
}

#[test]
fn a_request_over_the_time_limit_is_answered_by_name() {
    let server = Running::with(ServerConfig { request_timeout: Duration::from_millis(50), ..config() });
    let query = json!({"query": "mutation { startWorkflow(input: {workflow: \"w0\"}) { userErrors { code } } }"});
    let answer = server.post(&query.to_string(), GRAPHQL);
    assert_eq!(answer.error(), ("TOO_COMPLEX", "the request took longer than the time limit of 50 ms"));
}

#[test]
fn limits_hold_over_http() {
    let server = Running::new();
    let answer = server.post(&json!({"query": "{a".repeat(200_000)}).to_string(), GRAPHQL);
    assert_eq!((answer.status, answer.error().0), (400, "TOO_COMPLEX"));
    assert_eq!(server.ask("{ viewer { kind } }").status, 200);
}

#[test]
fn lists_are_answered_with_what_is_below_them() {
    let server = Running::new();
    server.fake.add_execution(server.fake.rows(|rows| rows.workflows[0].id), ExecutionStatus::Running);
    let answer = server
        .ask("{ workflowExecutions(filter: {status: [RUNNING]}) { totalCount nodes { status workflow { name } } } }");
    let expected = json!({"totalCount": 1, "nodes": [{"status": "RUNNING", "workflow": {"name": "w0"}}]});
    assert_eq!(answer.body["data"]["workflowExecutions"], expected);
}
