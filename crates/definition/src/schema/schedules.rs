//! The keys of a schedule.

use serde_json::{Value, json};

use crate::schedule::{CatchUp, DstGap, DstOverlap, Overlap};

use super::shapes::{Properties, about, duration, id, named, text, texts, word};

pub(super) fn schedule() -> Properties {
    vec![
        ("id", about("Its name in records.", id())),
        ("cron", about("Five fields, six with leading seconds, or a word such as @daily.", text())),
        (
            "every",
            about("Elapsed time from one due instant to the next, in place of `cron`; whole seconds.", duration()),
        ),
        ("anchor", about("An instant that `every` counts from; 1970-01-01T00:00:00Z without it.", instant())),
        ("timezone", about("The IANA name of the zone whose wall clock counts; UTC without it.", text())),
        ("dst", about("What becomes of times that a change of the clocks skips or repeats.", named("dst"))),
        ("starts_at", about("Nothing is due before this instant.", instant())),
        ("ends_at", about("Nothing is due after this instant.", instant())),
        (
            "exclude",
            about("Dates in its zone on which it starts nothing: 2026-12-25, 12-25, 2026-12-24..2027-01-02.", texts()),
        ),
        ("jitter", about("Puts each start off by a part of this time that follows from its due instant.", duration())),
        (
            "catch_up",
            about("What happens with times that passed while no server ran.", words(CatchUp::ALL, CatchUp::as_str)),
        ),
        ("window", about("Times further back than this are not caught up with.", duration())),
        (
            "overlap",
            about("What happens while the previous execution is still going.", words(Overlap::ALL, Overlap::as_str)),
        ),
        ("inputs", about("The inputs of the executions it starts.", json!({ "type": "object" }))),
    ]
}

/// One of the two says when.
pub(super) fn schedule_rules() -> Value {
    json!({
        "oneOf": [{ "required": ["cron"] }, { "required": ["every"] }],
        "dependentRequired": { "anchor": ["every"], "dst": ["cron"] },
    })
}

pub(super) fn dst() -> Properties {
    vec![
        (
            "gap",
            about(
                "A time that is skipped comes due at the end of the gap, or not.",
                words(DstGap::ALL, DstGap::as_str),
            ),
        ),
        (
            "overlap",
            about(
                "A time that is repeated comes due the first time, the last or both.",
                words(DstOverlap::ALL, DstOverlap::as_str),
            ),
        ),
    ]
}

fn words<W: Copy>(all: &[W], as_str: fn(W) -> &'static str) -> Value {
    word(all.iter().map(|word| as_str(*word)))
}

fn instant() -> Value {
    json!({ "type": "string", "format": "date-time", "examples": ["2026-01-01T06:00:00Z"] })
}
