//! Outgoing webhooks: what is sent, to whom, how it is signed, and what people do with it.

use std::io::Write as _;
use std::process::Stdio;

use cogwheel_tests::{Backend, Home, Message, Reaction, Receiver, Server, on_both_databases, until};
use serde_json::{Value, json};

on_both_databases!(
    an_event_is_sent_signed_with_every_secret_that_counts,
    only_what_is_subscribed_to_is_sent,
    a_webhook_is_tested_switched_and_deleted,
    what_cannot_be_used_is_refused,
);

const SHOP: &str = "
inputs: {total: {type: integer}}
steps:
  - {uses: emit, with: {type: custom.order.paid, subject: order-7, data: {total: '${{ inputs.total }}'}}}
";

const WEBHOOK: &str = "id name url events filter headers { name value } maxRetries timeoutMs isEnabled disabledReason \
    consecutiveFailures circuitOpenUntil totalCalls failedCalls lastTriggeredAt lastSuccessAt lastFailureAt";

const DELIVERY: &str = "id messageId eventType replayNumber status attemptCount attempts lastStatusCode responseBody \
    requestBody deliveredAt deadAt isTest webhook { id }";

/// A home whose webhooks may be sent to this machine, and are tried again soon.
pub(crate) fn home(backend: Backend) -> Home {
    let mut home = Home::new(backend);
    home.set("webhooks.allowed_networks", "127.0.0.0/8,::1");
    home.set("webhooks.first_retry", "20ms");
    home.set("webhooks.longest_retry", "100ms");
    home.write("workflows/shop.yaml", SHOP);
    home
}

/// What a mutation of webhooks answers.
pub(crate) fn mutate(server: &Server, mutation: &str, input: &str, fields: &str, given: &Value) -> Value {
    let query = format!(
        "mutation($input: {input}!) {{ {mutation}(input: $input) {{ {fields} userErrors {{ code path message }} }} }}"
    );
    server.ask(&query, &json!({ "input": given }))[mutation].take()
}

/// Makes a webhook; its id and its secret.
pub(crate) fn create(server: &Server, input: &Value) -> (String, String) {
    let made = mutate(server, "createWebhook", "CreateWebhookInput", "secret webhook { id }", input);
    assert_eq!(made["userErrors"], json!([]), "{made:#}");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    (text(&made["webhook"]["id"]), text(&made["secret"]))
}

pub(crate) fn webhook(server: &Server, id: &str) -> Value {
    let query = format!("query($id: ID!) {{ webhook(id: $id) {{ {WEBHOOK} }} }}");
    server.ask(&query, &json!({ "id": id }))["webhook"].take()
}

/// The deliveries of a webhook, newest first.
pub(crate) fn deliveries(server: &Server, webhook: &str) -> Vec<Value> {
    let query = format!(
        "query($filter: WebhookDeliveryFilter!) {{ webhookDeliveries(first: 100, filter: $filter) {{ nodes {{ {DELIVERY} }} }} }}"
    );
    let data = server.ask(&query, &json!({ "filter": { "webhook": webhook } }));
    data["webhookDeliveries"]["nodes"].as_array().expect("a list").clone()
}

/// Waits until the receiver has so many messages.
pub(crate) fn received(receiver: &Receiver, count: usize) -> Vec<Message> {
    until(format!("{count} messages"), || {
        let messages = receiver.messages();
        assert!(messages.len() <= count, "too many: {messages:#?}");
        (messages.len() == count).then_some(messages)
    })
}

/// Waits until the newest delivery of a webhook has ended; it.
pub(crate) fn ended_delivery(server: &Server, webhook: &str) -> Value {
    until("the end of the delivery", || {
        let newest = deliveries(server, webhook).into_iter().next()?;
        let is_over = ["DELIVERED", "DEAD", "CANCELLED"].iter().any(|status| newest["status"] == *status);
        is_over.then_some(newest)
    })
}

pub(crate) fn emit(server: &Server, total: i64) {
    let id = server.start("shop", &json!({ "total": total }));
    server.ended_as(&id, "COMPLETED");
}

fn an_event_is_sent_signed_with_every_secret_that_counts(backend: Backend) {
    let home = home(backend);
    let server = home.serve();
    let receiver = Receiver::new();
    let mut set = home.command(&["secrets", "set", "SHOP_TOKEN"]);
    let mut set = set.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("the binary runs");
    set.stdin.take().expect("a pipe").write_all(b"t0ken").expect("it reads");
    assert!(set.wait().expect("it ends").success());
    let (id, first) = create(
        &server,
        &json!({
            "name": "shop", "url": receiver.url("/orders?x=1"), "events": ["custom.**"],
            "headers": [{"name": "Authorization", "value": "Bearer ${{ secrets.SHOP_TOKEN }}"}, {"name": "X-Team", "value": "data"}],
        }),
    );
    emit(&server, 12);
    let message = received(&receiver, 1).remove(0);
    assert!(message.is_signed_with(&first), "{message:?}");
    let said = message.json();
    assert_eq!((&said["type"], &said["subject"]), (&json!("custom.order.paid"), &json!("order-7")));
    assert_eq!((&said["data"], message.path.as_str()), (&json!({"total": 12}), "/orders?x=1"));
    assert_eq!(said["id"], message.id());
    assert_eq!(message.header("content-type"), "application/json");
    assert_eq!((message.header("authorization"), message.header("x-team")), ("Bearer t0ken", "data"));
    assert_eq!(message.header("cogwheel-attempt"), "1");

    let delivery = ended_delivery(&server, &id);
    assert_eq!((&delivery["status"], &delivery["attemptCount"]), (&json!("DELIVERED"), &json!(1)));
    assert_eq!((&delivery["messageId"], &delivery["lastStatusCode"]), (&json!(message.id()), &json!(200)));
    assert_eq!((&delivery["responseBody"], &delivery["webhook"]["id"]), (&json!("ok"), &json!(id)));
    assert_eq!(delivery["requestBody"], String::from_utf8(message.body.clone()).expect("text").as_str());
    let state = webhook(&server, &id);
    assert_eq!((&state["totalCalls"], &state["failedCalls"]), (&json!(1), &json!(0)));
    assert!(state["lastTriggeredAt"].is_string() && state["lastSuccessAt"].is_string());
    assert!(!state.to_string().contains("whsec_") && !state.to_string().contains("t0ken"));

    // During a rotation both secrets sign; afterwards the new one alone.
    let rotate = |overlap: i64| {
        let input = json!({ "id": id, "overlapMs": overlap });
        let answer = mutate(&server, "rotateWebhookSecret", "RotateWebhookSecretInput", "secret", &input);
        answer["secret"].as_str().expect("a secret").to_owned()
    };
    let second = rotate(3_600_000);
    emit(&server, 13);
    let message = received(&receiver, 2).remove(1);
    assert!(message.is_signed_with(&first) && message.is_signed_with(&second) && first != second);
    let third = rotate(0);
    emit(&server, 14);
    let message = received(&receiver, 3).remove(2);
    assert!(message.is_signed_with(&third) && !message.is_signed_with(&second) && !message.is_signed_with(&first));
    assert!(server.stop().success());
    let _ = home.run(&["db", "verify", "--data"]).with_code(0);
}

fn only_what_is_subscribed_to_is_sent(backend: Backend) {
    let home = home(backend);
    home.write(
        "workflows/job.yaml",
        "inputs: {code: {type: integer}}\nsteps: [{run: 'exit $CODE', env: {CODE: '${{ inputs.code }}'}}]\n",
    );
    let server = home.serve();
    let (large, failures) = (Receiver::new(), Receiver::new());
    emit(&server, 99);
    create(
        &server,
        &json!({
            "name": "large", "url": large.url("/"), "events": ["custom.order.*"], "filter": "event.data.total > 10",
        }),
    );
    create(&server, &json!({ "name": "failures", "url": failures.url("/"), "events": ["workflow.failed"] }));
    for total in [5, 11, 10, 12] {
        emit(&server, total);
    }
    for code in [0, 3] {
        let id = server.start("job", &json!({ "code": code }));
        server.ended_execution(&id);
    }
    let mut totals: Vec<i64> =
        received(&large, 2).iter().filter_map(|message| message.json()["data"]["total"].as_i64()).collect();
    totals.sort_unstable();
    assert_eq!(totals, [11, 12], "what was recorded before the webhook was made is none of its business");
    let failure = received(&failures, 1).remove(0).json();
    assert_eq!((&failure["type"], &failure["data"]["workflow"]), (&json!("workflow.failed"), &json!("job")));
}

fn a_webhook_is_tested_switched_and_deleted(backend: Backend) {
    let home = home(backend);
    let server = home.serve();
    let receiver = Receiver::new();
    let (id, secret) = create(&server, &json!({ "name": "shop", "url": receiver.url("/"), "events": ["custom.**"] }));
    let test = || {
        let fields = format!("delivery {{ {DELIVERY} }}");
        mutate(&server, "testWebhook", "TestWebhookInput", &fields, &json!({ "id": id }))["delivery"].take()
    };
    let sent = test();
    assert_eq!(
        (&sent["status"], &sent["isTest"], &sent["eventType"]),
        (&json!("DELIVERED"), &json!(true), &json!("test.sent"))
    );
    let message = received(&receiver, 1).remove(0);
    assert!(message.is_signed_with(&secret) && message.json()["type"] == "test.sent");

    let switch = |enabled: bool| {
        let input = json!({ "id": id, "enabled": enabled });
        mutate(&server, "setWebhookEnabled", "SetWebhookEnabledInput", "webhook { isEnabled disabledReason }", &input)
    };
    assert_eq!(switch(false)["webhook"], json!({"isEnabled": false, "disabledReason": "USER"}));
    emit(&server, 1);
    receiver.behave(|_| Reaction::Status(500));
    assert_eq!(test()["status"], "DEAD", "a test of one that is off, with one try");
    receiver.behave(|_| Reaction::Status(200));
    assert_eq!(switch(true)["webhook"], json!({"isEnabled": true, "disabledReason": null}));
    emit(&server, 2);
    let messages = received(&receiver, 3);
    assert_eq!(messages[2].json()["data"]["total"], 2, "what happened meanwhile is nobody's");
    let state = webhook(&server, &id);
    assert_eq!(state["consecutiveFailures"], 0);

    let update = json!({ "id": id, "name": "till", "url": receiver.url("/new"), "headers": [], "maxRetries": 2 });
    let updated = mutate(&server, "updateWebhook", "UpdateWebhookInput", "webhook { name maxRetries events }", &update);
    assert_eq!(updated["webhook"], json!({"name": "till", "maxRetries": 2, "events": ["custom.**"]}));
    emit(&server, 3);
    assert_eq!(received(&receiver, 4)[3].path, "/new");

    let list = server.ask("{ webhooks(first: 5) { totalCount nodes { id } } }", &Value::Null);
    assert_eq!(list["webhooks"], json!({"totalCount": 1, "nodes": [{"id": id}]}));
    let node = server.ask("query($id: ID!) { node(id: $id) { ... on Webhook { name } } }", &json!({ "id": id }));
    assert_eq!(node["node"]["name"], "till");
    let delete = || mutate(&server, "deleteWebhook", "DeleteWebhookInput", "id", &json!({ "id": id }));
    assert_eq!(delete(), json!({"id": id, "userErrors": []}));
    assert_eq!(delete()["userErrors"][0]["code"], "UNKNOWN_WEBHOOK");
    emit(&server, 4);
    assert!(server.stop().success());
    assert_eq!(receiver.messages().len(), 4);
    let _ = home.run(&["db", "verify", "--data"]).with_code(0);
}

fn what_cannot_be_used_is_refused(backend: Backend) {
    let home = home(backend);
    let server = home.serve();
    let good = json!({ "name": "a", "url": "https://a.example/", "events": ["custom.**"] });
    for (field, value, path) in [
        ("url", json!("ftp://a.example/"), "url"),
        ("url", json!("http://10.1.2.3/"), "url"),
        ("url", json!("http://169.254.169.254/latest/meta-data/"), "url"),
        ("url", json!("https://user:pass@a.example/"), "url"),
        ("events", json!([]), "events"),
        ("events", json!(["webhook.*"]), "events"),
        ("filter", json!("event.data >"), "filter"),
        ("filter", json!("inputs.a"), "filter"),
        ("headers", json!([{"name": "Host", "value": "x"}]), "headers"),
        ("headers", json!([{"name": "Authorization", "value": "Bearer plain"}]), "headers"),
        ("maxRetries", json!(21), "maxRetries"),
        ("timeoutMs", json!(60_001), "timeoutMs"),
        ("timeoutMs", json!(-1), "timeoutMs"),
        ("name", json!(""), "name"),
    ] {
        let mut input = good.clone();
        input[field] = value;
        let answer = mutate(&server, "createWebhook", "CreateWebhookInput", "secret webhook { id }", &input);
        let error = &answer["userErrors"][0];
        assert_eq!((&error["code"], &error["path"]), (&json!("INVALID_INPUT"), &json!([path])), "{input}: {answer}");
        assert_eq!((&answer["secret"], &answer["webhook"]), (&Value::Null, &Value::Null));
    }
    let nobody = "00000000-0000-7000-8000-000000000000";
    let answer = mutate(&server, "testWebhook", "TestWebhookInput", "delivery { id }", &json!({ "id": nobody }));
    assert_eq!(answer["userErrors"][0]["code"], "UNKNOWN_WEBHOOK");
    let input = json!({ "id": nobody });
    let answer =
        mutate(&server, "redeliverWebhookDelivery", "RedeliverWebhookDeliveryInput", "delivery { id }", &input);
    assert_eq!(answer["userErrors"][0]["code"], "UNKNOWN_DELIVERY");
}
