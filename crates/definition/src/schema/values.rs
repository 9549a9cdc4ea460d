//! The values that step types take under `with`.

use serde_json::{Value, json};

use crate::LogLevel;

use super::shapes::{Properties, about, any, duration, or_expression, text, texts, truth, values, word};

pub(super) fn shell() -> Properties {
    vec![("script", about("A script for the system's shell; it contains no expressions.", text()))]
}

pub(super) fn log() -> Properties {
    vec![
        ("message", about("The line that is written to the execution's log.", any())),
        ("level", about("Its severity; info without it.", word(LogLevel::ALL.map(LogLevel::as_str)))),
    ]
}

pub(super) fn wait() -> Properties {
    vec![
        ("for", about("How long it waits.", or_expression(&duration()))),
        (
            "until",
            about(
                "The instant it waits for, RFC 3339.",
                or_expression(&json!({ "type": "string", "format": "date-time" })),
            ),
        ),
        ("signal", about("The name of the signal it waits for.", text())),
        ("event", about("The types of the events that it waits for: custom. and a name of your own.", texts())),
        ("failure", about("The types of events with which it has failed.", texts())),
        ("subject", about("What the event must be about; anything without it.", text())),
        (
            "correlation",
            about(
                "What tells signals of the same name apart; of events the correlation id, that of the execution without it.",
                text(),
            ),
        ),
    ]
}

/// What it waits for, of which there is one.
pub(super) fn wait_rules() -> Value {
    json!({
        "oneOf": [
            { "required": ["for"] },
            { "required": ["until"] },
            { "required": ["signal"] },
            { "required": ["event"] },
        ],
        "dependentRequired": { "failure": ["event"], "subject": ["event"] },
        "dependentSchemas": { "correlation": { "anyOf": [{ "required": ["signal"] }, { "required": ["event"] }] } },
    })
}

pub(super) fn child() -> Properties {
    vec![
        ("name", about("The name of the workflow that it runs.", text())),
        ("inputs", about("The inputs that the workflow is started with.", values())),
        ("wait", about("Whether the step ends when that workflow has, and as it has; true without it.", truth())),
    ]
}

pub(super) fn http() -> Properties {
    let mapping = or_expression(&json!({ "type": "object" }));
    let expect = json!({ "type": ["string", "integer", "array"] });
    let size = json!({ "type": ["string", "integer"] });
    vec![
        ("method", about("The method; GET, or POST with a body, without it.", text())),
        ("url", about("An address with http:// or https://.", text())),
        ("headers", about("Headers of the request, by name.", mapping.clone())),
        ("query", about("Parameters that are added to the address, by name.", mapping)),
        ("body", about("The text to send.", json!({ "type": "string" }))),
        ("json", about("The value to send as JSON.", any())),
        (
            "expect",
            about("The status that is a success, such as 200 or 2xx, or a list of them; 2xx without it.", expect),
        ),
        ("max_response", about("The largest answer that is taken; 1MiB without it.", size)),
        ("follow_redirects", about("Whether redirects are followed; true without it.", or_expression(&truth()))),
    ]
}

pub(super) fn transform() -> Properties {
    vec![
        ("input", about("The value to reshape, or the text to read.", any())),
        ("jq", about("The jq filter that is applied to the value.", text())),
        ("from", about("The format that the input is read from: csv, json, ndjson or text.", text())),
        ("to", about("The format that the result is written in: csv, json or ndjson.", text())),
        ("delimiter", about("What separates the columns of CSV.", text())),
        ("header", about("Whether the first line of CSV names the columns; true without it.", or_expression(&truth()))),
    ]
}

pub(super) fn emit() -> Properties {
    vec![
        ("type", about("The type of the event: `custom.` and a name of your own, such as custom.order.paid.", text())),
        ("data", about("What the event carries.", any())),
        ("subject", about("What the event is about.", text())),
    ]
}
