//! The keys of the document itself, and of what starts an execution.

use serde_json::json;

use crate::read::MAX_LIMIT;
use crate::{CatchUp, Overflow, Overlap, Priority};

use super::shapes::{
    Properties, about, declarations, duration, env, id, named, one_or_more, steps, text, title, values, whole, word,
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
        ("steps", about("What it does.", steps())),
        ("on_failure", about("Steps that run when the execution failed, was cancelled or timed out.", steps())),
        ("finally", about("Steps that always run last.", steps())),
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
    ]
}

pub(super) fn schedule() -> Properties {
    vec![
        ("id", about("Its name in records.", id())),
        ("cron", about("Five fields, six with leading seconds, or a word such as @daily.", text())),
        ("timezone", about("The IANA name of the zone whose wall clock counts; UTC without it.", text())),
        (
            "catch_up",
            about("What happens with times that passed while no server ran.", word(CatchUp::ALL.map(CatchUp::as_str))),
        ),
        ("window", about("Times further back than this are not caught up with.", duration())),
        (
            "overlap",
            about("What happens while the previous execution is still going.", word(Overlap::ALL.map(Overlap::as_str))),
        ),
        ("inputs", about("The inputs of the executions it starts.", json!({ "type": "object" }))),
    ]
}
