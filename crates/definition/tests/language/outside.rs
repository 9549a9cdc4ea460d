//! What starts a workflow from outside the server: webhooks and events.

use std::time::Duration;

use cogwheel_definition::{Method, Signature};
use serde_json::json;

use super::{good, one};

const RUN: &str = "steps: [{run: 'true'}]\n";

#[test]
fn a_webhook_says_who_may_call_and_with_what() {
    let workflow = good(
        "inputs: {order: {type: object}, source: {type: string, default: web}}\n\
         on:\n  webhook:\n  - {path: orders, secret: ORDERS_HMAC, inputs: {order: '${{ trigger.webhook.body }}'}}\n  \
         - {id: ping, path: up/v1.0, signature: none, methods: [GET, POST], max_body: 64KiB, reply: true, \
         reply_timeout: 5s, tolerance: 1m, inputs: {order: {}, source: '${{ trigger.webhook.query.from }}'}}\n\
         steps: [{run: x, env: {ID: '${{ trigger.webhook.id }} ${{ trigger.key }}'}}]\n",
    );
    let [first, second] = workflow.triggers.webhooks.as_slice() else { panic!("{:?}", workflow.triggers) };
    assert_eq!((first.key.as_str(), first.path.as_str()), ("webhook-0", "orders"));
    assert_eq!((first.signature, first.secret.as_deref()), (Signature::Any, Some("ORDERS_HMAC")));
    assert_eq!((first.tolerance, first.max_body, first.reply), (Duration::from_mins(5), 1 << 20, None));
    assert_eq!(first.methods, [Method::Post]);
    let seen = json!({"trigger": {"webhook": {"body": {"id": 7}}}});
    assert_eq!(first.inputs[0].1.render(&seen), Ok(json!({"id": 7})));
    assert_eq!((second.key.as_str(), second.max_body), ("ping", 64 << 10));
    assert_eq!((second.reply, second.tolerance), (Some(Duration::from_secs(5)), Duration::from_mins(1)));
    assert_eq!(second.methods, [Method::Get, Method::Post]);
}

#[test]
fn what_is_wrong_with_a_webhook_is_said() {
    for (webhook, code, message) in [
        ("¦{secret: S}", "COG0105", "needs the `path`"),
        ("¦{path: x}", "COG0105", "write `signature: none` if anybody may call"),
        ("{path: x, ¦secert: S}", "COG0101", "did you mean `secret`?"),
        ("{path: x, signature: none, secret: ¦S}", "COG0106", "signs nothing"),
        ("{path: ¦/x, secret: S}", "COG0106", "cannot be part of an address"),
        ("{path: ¦a b, secret: S}", "COG0106", "cannot be part of an address"),
        ("{path: ¦a/../b, secret: S}", "COG0106", "cannot be part of an address"),
        ("{path: x, secret: S, signature: ¦hmac}", "COG0106", "any, standard, github, bearer, none"),
        ("{path: x, secret: ¦'a b'}", "COG0107", "the secret `a b`"),
        ("{path: x, secret: S, tolerance: ¦2d}", "COG0108", "longer than 1440 minutes"),
        ("{path: x, secret: S, methods: ¦TRACE}", "COG0106", "a method must be one of"),
        ("{path: x, secret: S, methods: ¦[]}", "COG0106", "names no method"),
        ("{path: x, secret: S, max_body: ¦lots}", "COG0106", "such as `64KiB`"),
        ("{path: x, secret: S, max_body: ¦1GiB}", "COG0106", "more than 16 MiB"),
        ("{path: x, secret: S, max_body: ¦0}", "COG0106", "more than nothing"),
        ("{path: x, secret: S, reply_timeout: ¦5s}", "COG0106", "without `reply: true`"),
        ("{path: x, secret: S, reply: true, reply_timeout: ¦1h}", "COG0108", "longer than 5 minutes"),
        ("{path: x, secret: S, inputs: {¦a: 1}}", "COG0123", "there is no input `a`"),
    ] {
        one(&format!("{RUN}on: {{webhook: {webhook}}}\n"), code, message);
    }
    let needy = |trigger: &str| format!("inputs: {{a: {{type: string}}}}\n{RUN}on: {{{trigger}}}\n");
    one(&needy("webhook: ¦{path: x, secret: S}"), "COG0123", "a webhook cannot start the workflow: nothing gives");
    one(&needy("event: {type: custom.x, inputs: ¦{}}"), "COG0123", "an event cannot start the workflow");
    one(&needy("event: {type: custom.x, inputs: {¦b: 1, a: x}}"), "COG0123", "there is no input `b`");
}

#[test]
fn an_event_trigger_names_types_and_a_condition() {
    let workflow = good(
        "on:\n  event:\n  - {type: workflow.failed, if: \"${{ event.data.workflow != 'import' }}\"}\n  \
         - {id: paid, type: 'custom.order.**', if: event.data.total > 10, inputs: {}}\n\
         steps: [{run: x, env: {ID: '${{ trigger.event.data.workflow }}'}}]\n",
    );
    let [first, second] = workflow.triggers.events.as_slice() else { panic!("{:?}", workflow.triggers) };
    assert_eq!((first.key.as_str(), first.pattern.as_str()), ("event-0", "workflow.failed"));
    let holds = |data| {
        let seen = json!({ "event": { "data": data } });
        first.condition.as_ref().unwrap().expression.render(&seen).unwrap()
    };
    assert_eq!((holds(json!({"workflow": "x"})), holds(json!({"workflow": "import"}))), (true.into(), false.into()));
    assert!(second.key == "paid" && second.pattern.matches("custom.order.paid.late"));
}

#[test]
fn what_is_wrong_with_an_event_trigger_is_said() {
    for (event, code, message) in [
        ("¦{if: 'true'}", "COG0105", "needs the `type`"),
        ("{type: ¦'a b'}", "COG0122", "`workflow.*`"),
        ("{type: ¦'**.x'}", "COG0122", "before its end"),
        ("{type: x, if: ¦5}", "COG0104", "must be an expression"),
        ("{type: x, if: \"${{ ¦trigger.key }}\"}", "COG0131", "it can read `event`, `workflow`"),
        ("{type: x, if: \"${{ event.¦dta }}\"}", "COG0131", "did you mean `data`?"),
    ] {
        one(&format!("{RUN}on: {{event: {event}}}\n"), code, message);
    }
    one(
        "inputs: {a: {}}\non: {event: {type: x, inputs: {a: '${{ ¦inputs.a }}'}}}\nsteps: [{run: x}]",
        "COG0131",
        "it can read `trigger`",
    );
    one(
        "on: {event: {type: x}}\nsteps: [{run: x, env: {A: '${{ ¦event.data }}'}}]",
        "COG0131",
        "read `trigger.event` here",
    );
    one("steps: [{run: x, env: {A: '${{ trigger.¦event.data }}'}}]", "COG0131", "has no `on.event`");
}
