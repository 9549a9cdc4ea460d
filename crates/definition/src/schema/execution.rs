//! The keys of the document itself, and of what starts an execution.

use serde_json::{Value, json};

use crate::read::MAX_LIMIT;
use crate::{History, Method, OnUndoFailure, Overflow, Priority, Signature};

use super::shapes::{
    Properties, about, declarations, duration, env, expression, id, named, one_or_more, steps, text, title, truth,
    values, whole, word,
};

pub(super) fn workflow() -> Properties {
    let labels = json!({ "type": "object", "additionalProperties": { "type": ["string", "number", "boolean"] } });
    vec![
        ("name", about("Its name, unique in its tenant; without it, the file's name without extension.", title())),
        ("description", about("What it is for.", json!({ "type": "string" }))),
        ("labels", about("Key-value pairs to filter by.", labels)),
        (
            "inputs",
            about(
                "The values an execution is started with, each a JSON Schema; required without a `default`.",
                declarations(),
            ),
        ),
        ("outputs", about("Named values that the execution hands back; any shape, with expressions.", values())),
        ("on", about("What starts it, beside people, the API and other workflows.", named("on"))),
        ("env", about("Environment of every step; may read inputs, trigger, execution, workflow and now.", env())),
        ("defaults", about("What steps have that do not say otherwise.", named("defaults"))),
        ("concurrency", about("How many of its executions may run side by side.", named("concurrency"))),
        ("timeout", about("How long the whole execution may take; 5m without it.", duration())),
        ("queue_timeout", about("How long it may wait in the queue before it is given up.", duration())),
        ("priority", about("Which executions leave the queue first.", word(Priority::ALL.map(Priority::as_str)))),
        ("history", about("What of its executions is recorded as events.", word(History::ALL.map(History::as_str)))),
        ("steps", about("What it does.", steps())),
        ("on_failure", about("Steps that run when the execution failed, was cancelled or timed out.", steps())),
        ("finally", about("Steps that always run last.", steps())),
        ("saga", about("When everything is undone, and what follows when that fails.", named("saga"))),
    ]
}

pub(super) fn saga() -> Properties {
    vec![
        ("deadline", about("How long the steps may take before everything is undone.", duration())),
        (
            "on_undo_failure",
            about(
                "What follows when a step cannot be undone: an operator decides, or the execution has failed.",
                word(OnUndoFailure::ALL.map(OnUndoFailure::as_str)),
            ),
        ),
    ]
}

pub(super) fn defaults() -> Properties {
    vec![
        ("timeout", about("How long one attempt of a step may take; 5m without it.", duration())),
        ("retry", about("Whether and when a failed attempt is followed by another.", super::steps::retry_shape())),
    ]
}

pub(super) fn concurrency() -> Properties {
    vec![
        ("key", about("Executions with the same key count together; may read inputs, trigger and workflow.", text())),
        ("limit", about("How many of them may run side by side; 1 without it.", whole(1, MAX_LIMIT))),
        ("overflow", about("What happens with one more than that.", word(Overflow::ALL.map(Overflow::as_str)))),
    ]
}

pub(super) fn on() -> Properties {
    vec![
        ("schedule", about("Times at which it starts, one or a list.", one_or_more(&named("schedule")))),
        ("file", about("Folders whose files start it, one or a list.", one_or_more(&named("file")))),
        ("webhook", about("Addresses whose calls start it, one or a list.", one_or_more(&named("webhook")))),
        ("event", about("Events that start it, one or a list.", one_or_more(&named("event")))),
    ]
}

pub(super) fn webhook() -> Properties {
    vec![
        ("id", about("Its name in records.", id())),
        ("path", about("The last part of the address, after `/hooks/<tenant>/`.", text())),
        ("secret", about("The name of the secret that calls are signed with.", id())),
        (
            "signature",
            about(
                "How calls are signed; Standard Webhooks or GitHub's header without it.",
                word(Signature::ALL.map(Signature::as_str)),
            ),
        ),
        ("tolerance", about("How far a call's time stamp may be off; 5m without it.", duration())),
        ("methods", about("The HTTP methods that are taken; POST without it.", methods())),
        ("max_body", about("The largest body, such as `64KiB`; 1MiB without it.", size())),
        ("reply", about("Whether a call waits for the end of its execution and is answered with its result.", truth())),
        ("reply_timeout", about("How long it waits at most; 30s without it.", duration())),
        ("inputs", about("The inputs of the executions it starts; may read trigger and workflow.", values())),
    ]
}

/// Anybody may call only where that is said.
pub(super) fn webhook_rules() -> Value {
    let open = json!({ "properties": { "signature": { "const": "none" } }, "required": ["signature"] });
    json!({ "required": ["path"], "anyOf": [{ "required": ["secret"] }, open] })
}

pub(super) fn size() -> Value {
    json!({ "anyOf": [{ "type": "integer", "minimum": 1 }, text()] })
}

fn methods() -> Value {
    let method = word(Method::ALL.map(Method::as_str));
    json!({ "anyOf": [method, { "type": "array", "items": method, "minItems": 1 }] })
}

pub(super) fn event() -> Properties {
    vec![
        ("id", about("Its name in records.", id())),
        ("type", about("The type of the events, or a pattern such as `workflow.*` or `custom.**`.", text())),
        (
            "if",
            about(
                "What must hold of an event; may read event and workflow.",
                json!({ "anyOf": [expression(), truth()] }),
            ),
        ),
        ("inputs", about("The inputs of the executions it starts; may read trigger and workflow.", values())),
    ]
}
