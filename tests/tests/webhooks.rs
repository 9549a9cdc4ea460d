//! Calls from outside: who is believed, what is started once, how it is answered.

use std::io::Write as _;
use std::process::Stdio;

use cogwheel_tests::{Answer, Backend, Home, Server, on_both_databases, step, until};
use serde_json::{Value, json};

on_both_databases!(
    a_signed_call_starts_its_workflow_once,
    a_secret_is_replaced_with_an_overlap,
    a_call_is_answered_with_the_result,
    bad_calls_are_refused_and_counted,
    a_path_belongs_to_one_workflow,
);

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

const ORDERS: &str = "
on:
  webhook: {path: orders, secret: ORDERS, inputs: {order: '${{ trigger.webhook.body }}'}}
inputs: {order: {type: object}}
steps:
  - {id: take, uses: set, with: {id: '${{ inputs.order.id }}', by: '${{ trigger.webhook.id }}', type: '${{ trigger.type }}'}}
";

const ENDPOINTS: &str = "{ inboundEndpoints(first: 10) { nodes { path url signatureMode methods totalCalls rejectedCalls \
    lastCalledAt isEnabled workflow { name } } } }";

fn set_secret(server: &Server, name: &str, value: &str, overlap_ms: i64) {
    let query = "mutation($input: SetSecretInput!) { setSecret(input: $input) { userErrors { message } } }";
    let input = json!({"name": name, "value": value, "overlapMs": overlap_ms});
    let set = server.ask(query, &json!({ "input": input }));
    assert_eq!(set["setSecret"]["userErrors"], json!([]), "{set:#}");
}

fn orders(backend: Backend) -> (Home, Server) {
    let home = Home::new(backend);
    home.write("workflows/orders.yaml", ORDERS);
    let server = home.serve();
    set_secret(&server, "ORDERS", SECRET, 0);
    (home, server)
}

fn execution_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()["executionId"].as_str().expect("an id").to_owned()
}

/// What is counted of the only address, once there were so many calls.
fn counted(server: &Server, total: i64) -> Value {
    server.ask_until("the calls to be counted", ENDPOINTS, &Value::Null, |data| {
        let endpoint = &data["inboundEndpoints"]["nodes"][0];
        (endpoint["totalCalls"] == total).then(|| endpoint.clone())
    })
}

fn a_signed_call_starts_its_workflow_once(backend: Backend) {
    let (home, server) = orders(backend);
    let first = server.call("orders", SECRET, "msg_1", r#"{"id": 7}"#);
    assert_eq!(first.json()["isNew"], true);
    let id = execution_of(&first);
    let execution = server.ended_as(&id, "COMPLETED");
    assert_eq!(step(&execution, "take")["output"], json!({"id": 7, "by": "msg_1", "type": "webhook"}));
    assert_eq!((&execution["triggerType"], &execution["triggerKey"]), (&json!("WEBHOOK"), &json!("webhook-0")));
    assert!(execution["trigger"]["webhook"]["headers"]["webhook-signature"].is_string());

    let again = server.call("orders", SECRET, "msg_1", r#"{"id": 7}"#);
    assert_eq!(
        (execution_of(&again), &again.json()["isNew"]),
        (id.clone(), &json!(false)),
        "a repeated call finds the first"
    );
    let github = execution_of(&server.call_as_github("orders", SECRET, "delivery-1", r#"{"id": 8}"#));
    assert_ne!(github, id);
    assert_eq!(execution_of(&server.call_as_github("orders", SECRET, "delivery-1", r#"{"id": 8}"#)), github);
    server.ended_executions("orders", 2);

    // What was counted and who calls may be believed outlive a restart.
    assert_eq!(counted(&server, 4)["rejectedCalls"], 0);
    server.crash();
    let server = home.serve();
    assert_eq!(execution_of(&server.call("orders", SECRET, "msg_1", r#"{"id": 7}"#)), id);
    let third = execution_of(&server.call("orders", SECRET, "msg_3", r#"{"id": 9}"#));
    server.ended_as(&third, "COMPLETED");
}

fn a_secret_is_replaced_with_an_overlap(backend: Backend) {
    let (home, server) = orders(backend);
    set_secret(&server, "ORDERS", "the new one", 3_600_000);
    for (secret, id) in [(SECRET, "old"), ("the new one", "new")] {
        execution_of(&server.call("orders", secret, id, r#"{"id": 1}"#));
    }
    set_secret(&server, "ORDERS", "the newest one", 0);
    assert_eq!(server.call("orders", "the new one", "late", r#"{"id": 1}"#).status, 401);
    execution_of(&server.call("orders", "the newest one", "newest", r#"{"id": 1}"#));

    // The database and the command line tell nobody what it is.
    let kept = home.sql().number("select count(*) from secrets where ciphertext is not null");
    assert_eq!(kept, 1);
    let list = home.run(&["secrets", "list", "--output", "json"]).with_code(0);
    assert_eq!(
        (&list.json()["secrets"][0]["version"], &list.json()["secrets"][0]["is_set"]),
        (&json!(3), &json!(true))
    );
    assert!(!list.stdout.contains("newest"));
    let mut set = home.command(&["secrets", "set", "ORDERS", "--overlap", "0"]);
    let mut set = set.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("the binary runs");
    set.stdin.take().expect("a pipe").write_all(b"from the command line\n").expect("it reads");
    assert!(set.wait().expect("it ends").success());
    execution_of(&server.call("orders", "from the command line", "cli", r#"{"id": 1}"#));
    assert!(home.run(&["secrets", "delete", "ORDERS"]).with_code(1).stderr.contains("signed with"));
    assert!(home.run(&["secrets", "delete", "NONE"]).with_code(1).stderr.contains("no secret `NONE`"));
}

fn a_call_is_answered_with_the_result(backend: Backend) {
    let home = Home::new(backend);
    for (name, rest) in [
        ("sum", "outputs: {sum: '${{ steps.sum.outputs.is }}'}"),
        ("page", "outputs: {status: 201, headers: {X-Made: yes}, body: '<p>${{ steps.sum.outputs.is }}</p>'}"),
    ] {
        home.write(
            &format!("workflows/{name}.yaml"),
            format!(
                "on: {{webhook: {{path: {name}, signature: none, reply: true, inputs: {{values: '${{{{ trigger.webhook.body }}}}'}}}}}}\n\
                 inputs: {{values: {{type: array}}}}\n\
                 steps: [{{id: sum, uses: set, with: {{is: '${{{{ inputs.values | sum }}}}'}}}}]\n{rest}\n"
            ),
        );
    }
    home.write(
        "workflows/slow.yaml",
        "on: {webhook: {path: slow, signature: none, reply: true, reply_timeout: 100ms}}\ntimeout: 2h\nsteps: [{uses: wait, with: {for: 1h}}]\n",
    );
    home.write(
        "workflows/sad.yaml",
        "on: {webhook: {path: sad, signature: none, reply: true}}\nsteps: [{run: exit 3}]\n",
    );
    let server = home.serve();
    let json = [("content-type", "application/json")];
    let sum = server.send("POST", "/hooks/default/sum", &json, b"[1, 2, 3]");
    assert_eq!((sum.status, sum.json()), (200, json!({"sum": 6})));
    let page = server.send("POST", "/hooks/default/page", &json, b"[4]");
    assert_eq!((page.status, page.text.as_str()), (201, "<p>4</p>"));
    assert_eq!(server.send("POST", "/hooks/default/sum", &json, b"{}").status, 400, "an input of the wrong form");
    let sad = server.send("POST", "/hooks/default/sad", &[], b"");
    assert_eq!((sad.status, &sad.json()["status"]), (502, &json!("failed")));
    let slow = server.send("POST", "/hooks/default/slow", &[], b"");
    assert_eq!(slow.status, 202, "whoever waits too long gets the id");
}

fn bad_calls_are_refused_and_counted(backend: Backend) {
    let (home, server) = orders(backend);
    let body = r#"{"id": 1}"#;
    for (answer, status, code) in [
        (server.call("orders", "wrong", "m", body), 401, "not_verified"),
        (server.call_at("orders", SECRET, "m", body, -301), 401, "not_verified"),
        (server.call_at("orders", SECRET, "m", body, 302), 401, "not_verified"),
        (server.call_as_github("orders", "wrong", "d", body), 401, "not_verified"),
        (server.send("POST", "/hooks/default/orders", &[], body.as_bytes()), 401, "not_verified"),
        (server.send("GET", "/hooks/default/orders", &[], b""), 405, "method"),
        (server.call("orders", SECRET, "m", "{"), 400, "invalid"),
        (server.call("orders", SECRET, "n", "[1]"), 400, "invalid_input"),
        (server.call("orders", SECRET, "o", &"x".repeat(1024 * 1024 + 1)), 413, "too_large"),
    ] {
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (status, &json!(code)), "{answer:?}");
    }
    let endpoint = counted(&server, 9);
    assert_eq!((&endpoint["rejectedCalls"], &endpoint["path"]), (&json!(9), &json!("orders")));
    assert_eq!(endpoint["url"], "/hooks/default/orders");
    assert_eq!(endpoint["workflow"]["name"], "orders");
    assert!(endpoint["lastCalledAt"].is_string());
    for path in ["/hooks/default/none", "/hooks/other/orders", "/hooks/default"] {
        assert!([404, 401].contains(&server.send("POST", path, &[], b"").status), "{path}");
    }
    assert_eq!(server.count_executions("orders", &["QUEUED", "RUNNING", "COMPLETED", "FAILED"]), 0);

    // A paused workflow and one whose secret nobody has set take nothing.
    let pause =
        "mutation { setWorkflowEnabled(input: {workflow: \"orders\", enabled: false}) { userErrors { message } } }";
    server.ask(pause, &Value::Null);
    assert_eq!(server.call("orders", SECRET, "p", body).status, 404);
    home.write("workflows/unset.yaml", "on: {webhook: {path: unset, secret: NOBODY_SET}}\nsteps: [{run: 'true'}]\n");
    server.has_version("unset", 1);
    let unset = server.call("unset", SECRET, "q", body);
    assert_eq!((unset.status, &unset.json()["error"]["code"]), (503, &json!("unavailable")));
    until("the operator to be told", || server.log().contains("cogwheel secrets set").then_some(()));
}

fn a_path_belongs_to_one_workflow(backend: Backend) {
    let (home, server) = orders(backend);
    home.write("workflows/other.yaml", "on: {webhook: {path: orders, signature: none}}\nsteps: [{run: 'true'}]\n");
    let files = "{ workflowFiles { path problems { message } } }";
    server.ask_until("the problem of the file", files, &Value::Null, |data| {
        data["workflowFiles"].to_string().contains("belongs to the workflow `orders`").then_some(())
    });
    // When its owner gives it up, the other one gets it.
    home.write("workflows/orders.yaml", ORDERS.replace("path: orders", "path: orders/new"));
    server.has_version("orders", 2);
    until("the other workflow to take the path", || {
        (server.send("POST", "/hooks/default/orders", &[], b"").status == 202).then_some(())
    });
    execution_of(&server.call("orders/new", SECRET, "m", r#"{"id": 1}"#));
}
