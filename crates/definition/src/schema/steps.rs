//! The keys of a step.

use serde_json::{Value, json};

use crate::keys::{COMPANIONS, COMPENSATE, FORMS, STEP_TYPES};
use crate::read::{MAX_ATTEMPTS, MAX_ROUNDS};
use crate::{Backoff, MAX_ITEMS, OnLost};

use super::shapes::{
    Properties, about, any, declarations, duration, env, expression, id, named, steps, text, texts, title, truth,
    values, whole, word,
};

pub(super) fn step() -> Properties {
    let cases = json!({ "type": "array", "minItems": 1, "items": named("case") });
    let items = u64::try_from(MAX_ITEMS).unwrap_or(u64::MAX);
    vec![
        ("id", about("How expressions and records name it; by its place without it.", id())),
        ("name", about("A title for people.", title())),
        ("needs", about("The steps of the same list that must have completed before.", texts())),
        (
            "if",
            about(
                "It runs when this is true; without it, when all that it needs completed.",
                json!({ "anyOf": [expression(), truth()] }),
            ),
        ),
        (
            "foreach",
            about(
                "Runs it once for each value of a list: a list, or an expression that gives one.",
                json!({ "anyOf": [expression(), { "type": "array" }] }),
            ),
        ),
        ("max_parallel", about("How many items may be under way at once.", whole(1, items))),
        ("until", about("Runs it again until this is true; may read the step's own outputs.", expression())),
        ("every", about("The pause between two rounds of `until`.", duration())),
        (
            "max_attempts",
            about("How many rounds of `until` there may be in all; 100 without it.", whole(1, MAX_ROUNDS)),
        ),
        (
            "run",
            about("A script for the system's shell. It contains no expressions: values come in through `env`.", text()),
        ),
        (
            "uses",
            about(
                "A step type, or another workflow as ./name.",
                json!({ "anyOf": [word(STEP_TYPES), { "type": "string", "pattern": r"^\./." }] }),
            ),
        ),
        ("with", about("The values of the step type.", json!({ "type": "object" }))),
        ("steps", about("Makes it a group: steps with a scope of their own.", steps())),
        ("switch", about("The value that decides which of the `cases` runs.", any())),
        ("cases", about("The groups of a `switch`; the first that matches runs.", cases)),
        ("default", about("The steps that run when no case does.", steps())),
        ("env", about("Environment of the step, on top of the workflow's.", env())),
        ("timeout", about("How long one attempt may take.", duration())),
        ("retry", about("Whether and when a failed attempt is followed by another.", retry_shape())),
        ("on_lost", about("What follows when the server died while it ran.", word(OnLost::ALL.map(OnLost::as_str)))),
        ("continue_on_error", about("Whether the execution goes on as if it had completed when it fails.", truth())),
        (
            "outputs",
            about("What its outputs must look like, each a JSON Schema; others may come with them.", declarations()),
        ),
        ("compensate", about("How it is undone when the execution does not complete.", named("compensate"))),
        ("pivot", about("Whether nothing is undone any more once it has completed.", truth())),
        ("retriable", about("Whether it is tried again until it succeeds.", truth())),
    ]
}

/// What undoes a step.
pub(super) fn compensate() -> Properties {
    let step = step();
    let of_step = |key: &'static str| {
        let found = step.iter().find(|(other, _)| *other == key);
        (key, found.map_or_else(any, |(_, shape)| shape.clone()))
    };
    COMPENSATE.known.iter().map(|key| of_step(key)).collect()
}

pub(super) fn compensate_rules() -> Value {
    let forms: Vec<Value> =
        FORMS.iter().filter(|form| COMPENSATE.known.contains(form)).map(|form| json!({ "required": [form] })).collect();
    json!({ "oneOf": forms, "dependentRequired": { "with": ["uses"] }, "allOf": values_of_types() })
}

/// One form, the keys that belong to others, and the values of each step type.
pub(super) fn step_rules() -> Value {
    let forms: Vec<Value> = FORMS.iter().map(|form| json!({ "required": [form] })).collect();
    let belongs = COMPANIONS.iter().map(|(key, of)| (*key, *of)).chain([("switch", "cases")]);
    let belongs: serde_json::Map<String, Value> = belongs.map(|(key, of)| (key.to_owned(), json!([of]))).collect();
    json!({ "oneOf": forms, "dependentRequired": belongs, "allOf": values_of_types() })
}

/// What each step type takes under `with`.
fn values_of_types() -> Vec<Value> {
    let with = STEP_TYPES.iter().map(|step_type| {
        let with = match *step_type {
            "set" => values(),
            "workflow" => named("child"),
            other => named(other),
        };
        json!({
            "if": { "properties": { "uses": { "const": step_type } }, "required": ["uses"] },
            "then": { "properties": { "with": with }, "required": ["with"] },
        })
    });
    with.collect()
}

pub(super) fn case() -> Properties {
    vec![
        ("when", about("The value, or the list of values, that it stands for.", json!({ "not": { "const": [] } }))),
        ("steps", about("The steps that run when the deciding value is one of these.", steps())),
    ]
}

/// A number of attempts, or the keys of `retry`.
pub(super) fn retry_shape() -> Value {
    json!({ "anyOf": [whole(1, MAX_ATTEMPTS), named("retry")] })
}

pub(super) fn retry() -> Properties {
    vec![
        ("attempts", about("How many attempts in all, the first one included; 3 without it.", whole(1, MAX_ATTEMPTS))),
        ("backoff", about("How the pause between attempts grows.", word(Backoff::ALL.map(Backoff::as_str)))),
        ("delay", about("The pause before the second attempt; 1s without it.", duration())),
        ("max_delay", about("No pause is longer; 1m without it.", duration())),
        ("jitter", about("Whether each pause is shortened by a random part of up to its half.", truth())),
        ("max_elapsed", about("No attempt begins later than this after the first one began.", duration())),
        (
            "on",
            about(
                "The failures that are tried again: classes, codes such as exit.75, patterns such as http.5*.",
                texts(),
            ),
        ),
    ]
}
