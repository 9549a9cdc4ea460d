//! The functions, filters and tests that expressions may call.

use std::fmt::Write as _;

use chrono::DateTime;
use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, State, Value};
use sha2::{Digest, Sha256};

use crate::duration;
use crate::expression::to_json;

/// Functions; those from `json` on can also be used as filters.
pub(crate) const FUNCTIONS: [&str; 11] =
    ["range", "dict", "json", "from_json", "basename", "dirname", "stem", "sha256", "duration", "date", "jq"];

/// Functions that only the `if` of a step may call.
pub(crate) const STATUS: [&str; 3] = ["success", "failure", "always"];

/// Those of [`STATUS`] that look at the steps before, and the name under which the context has what they answer.
pub(crate) const NEEDS: [&str; 2] = ["success", "failure"];
pub(crate) const NEEDS_ROOT: &str = "$needs";

/// Filters that are taken from the evaluator as they are.
pub(crate) const FILTERS: [&str; 47] = [
    "abs",
    "attr",
    "batch",
    "bool",
    "capitalize",
    "chain",
    "count",
    "d",
    "default",
    "dictsort",
    "first",
    "float",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "slice",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "trim",
    "unique",
    "upper",
    "zip",
    "tojson",
    "pprint",
    "escape",
    "e",
];

/// Tests, the words after `is`.
pub(crate) const TESTS: [&str; 31] = [
    "boolean",
    "defined",
    "divisibleby",
    "endingwith",
    "eq",
    "equalto",
    "even",
    "false",
    "float",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "int",
    "integer",
    "iterable",
    "le",
    "lessthan",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sameas",
    "sequence",
    "startingwith",
    "string",
    "true",
    "undefined",
];

/// Adds the functions that the evaluator does not bring.
pub(crate) fn add(environment: &mut Environment<'static>) {
    environment.add_function("json", to_text);
    environment.add_function("from_json", from_text);
    environment.add_function("basename", basename);
    environment.add_function("dirname", dirname);
    environment.add_function("stem", stem);
    environment.add_function("sha256", sha256);
    environment.add_function("duration", milliseconds);
    environment.add_function("date", date);
    environment.add_function("jq", jq);
    environment.add_function("success", |state: &State<'_, '_>| needs(state, "success"));
    environment.add_function("failure", |state: &State<'_, '_>| needs(state, "failure"));
    environment.add_function("always", || true);
    environment.add_filter("json", to_text);
    environment.add_filter("from_json", from_text);
    environment.add_filter("basename", basename);
    environment.add_filter("dirname", dirname);
    environment.add_filter("stem", stem);
    environment.add_filter("sha256", sha256);
    environment.add_filter("duration", milliseconds);
    environment.add_filter("date", date);
    environment.add_filter("jq", jq);
}

/// What the context says of the steps before.
fn needs(state: &State<'_, '_>, word: &str) -> Result<Value, Error> {
    let needs = state.lookup(NEEDS_ROOT).ok_or_else(|| refuse(format!("`{word}()` belongs to the `if` of a step")))?;
    needs.get_attr(word)
}

fn refuse(reason: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason)
}

fn to_text(value: &Value) -> Result<String, Error> {
    to_json(value, &mut 0, 0).map(|json| json.to_string()).map_err(refuse)
}

fn from_text(text: &str) -> Result<Value, Error> {
    let parsed: serde_json::Value = serde_json::from_str(text).map_err(|error| refuse(format!("not JSON: {error}")))?;
    Ok(Value::from(Serde(parsed)))
}

/// The last part of a path.
fn basename(path: &str) -> String {
    let path = path.trim_end_matches('/');
    path.rsplit_once('/').map_or(path, |(_, name)| name).to_owned()
}

/// A path without its last part, as the POSIX utility of that name gives it.
fn dirname(path: &str) -> String {
    match path.trim_end_matches('/').rsplit_once('/') {
        Some((folder, _)) if folder.trim_end_matches('/').is_empty() => "/".to_owned(),
        Some((folder, _)) => folder.trim_end_matches('/').to_owned(),
        None if path.starts_with('/') => "/".to_owned(),
        None => ".".to_owned(),
    }
}

/// The last part of a path without its extension.
fn stem(path: &str) -> String {
    let name = basename(path);
    match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem.to_owned(),
        _ => name,
    }
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The milliseconds of a duration such as `1h30m`.
fn milliseconds(text: &str) -> Result<u64, Error> {
    let duration = duration::parse(text).map_err(refuse)?;
    u64::try_from(duration.as_millis()).map_err(|_| refuse(format!("`{text}` is too long")))
}

/// An RFC 3339 instant on the wall clock of UTC, as the `strftime` format says.
fn date(instant: &str, format: &str) -> Result<String, Error> {
    let instant = DateTime::parse_from_rfc3339(instant)
        .map_err(|error| refuse(format!("`{instant}` is no RFC 3339 instant: {error}")))?;
    let mut text = String::new();
    // The formatter reports a format that it cannot read only when it writes.
    write!(text, "{}", instant.to_utc().format(format))
        .map_err(|_| refuse(format!("`{format}` is no date format; write for example `%Y-%m-%d`")))?;
    Ok(text)
}

/// What a jq filter makes of a value: its one result, a list of several, or nothing.
fn jq(value: &Value, filter: &str) -> Result<Value, Error> {
    let input = to_json(value, &mut 0, 0).map_err(refuse)?;
    let mut results = crate::jq(filter, &input).map_err(|reason| refuse(format!("jq: {reason}")))?;
    Ok(match results.len() {
        0 => Value::from(()),
        1 => Value::from(Serde(results.swap_remove(0))),
        _ => Value::from(Serde(results)),
    })
}

/// Whether a jq filter can be compiled.
///
/// # Errors
///
/// What is wrong with it, and where.
pub(crate) fn check_jq(filter: &str) -> Result<(), String> {
    // Behind `empty` it is compiled but never runs, which could take its time; alone, its places are its own.
    let never_runs = format!("empty | (\n{filter}\n)");
    match crate::jq(&never_runs, &serde_json::Value::Null) {
        Ok(_) => Ok(()),
        Err(_) => crate::jq(filter, &serde_json::Value::Null).map(|_| ()),
    }
}

#[cfg(test)]
mod tests {
    use super::{basename, date, dirname, milliseconds, stem};

    #[test]
    fn times_are_read_and_written() {
        assert_eq!(milliseconds("1h30m").ok(), Some(5_400_000));
        assert_eq!(date("2026-03-01T23:30:00-02:00", "%Y-%m-%d %H:%M").ok().as_deref(), Some("2026-03-02 01:30"));
        for failed in
            [date("yesterday", "%Y"), date("2026-03-01T00:00:00Z", "%Q"), milliseconds("soon").map(|n| n.to_string())]
        {
            assert!(failed.is_err(), "{failed:?}");
        }
    }

    #[test]
    fn paths_come_apart_as_in_a_shell() {
        for (path, folder, name, short) in [
            ("/in/a.tar.gz", "/in", "a.tar.gz", "a.tar"),
            ("a.csv", ".", "a.csv", "a"),
            ("/a", "/", "a", "a"),
            ("/", "/", "", ""),
            ("in//.hidden/", "in", ".hidden", ".hidden"),
        ] {
            assert_eq!(
                (dirname(path), basename(path), stem(path)),
                (folder.into(), name.into(), short.into()),
                "{path}"
            );
        }
    }
}
