//! What the language accepts and refuses, through the crate's public face.

mod accepted;
mod calendar;
mod declared;
mod execution;
mod nested;
mod outside;
mod properties;
mod refused;
mod sagas;
mod schedules;
mod step_types;

use std::sync::LazyLock;

use cogwheel_definition::{Diagnostics, Workflow, document_values, json_schema, parse};

/// Codes of mistakes that show in the shape of a document.
const OF_SHAPE: [&str; 4] = ["COG0101", "COG0104", "COG0105", "COG0109"];

static SHAPE: LazyLock<jsonschema::Validator> =
    LazyLock::new(|| jsonschema::draft202012::new(&json_schema()).expect("a schema"));

/// What the schema for editors has against a document; nothing where it cannot be read as YAML.
fn misshapen(text: &str) -> Option<Vec<String>> {
    let values = document_values(text.as_bytes()).ok()?;
    Some(SHAPE.iter_errors(&values).map(|error| format!("{}: {error}", error.instance_path())).collect())
}

#[track_caller]
fn good(text: &str) -> Workflow {
    let workflow =
        parse(text.as_bytes(), "file").unwrap_or_else(|problems| panic!("{}", problems.render(text, "file.yaml")));
    assert_eq!(misshapen(text), Some(Vec::new()), "the schema refuses what is read:\n{text}");
    workflow
}

fn problems(text: &str) -> Diagnostics {
    parse(text.as_bytes(), "file").map(|_| ()).expect_err(text)
}

/// Parses `marked` without its mark `¦` and expects one problem, of that code, where the mark stood.
#[track_caller]
fn one(marked: &str, code: &str, message: &str) {
    let (before, after) = marked.split_once('¦').expect("a mark");
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    let found = problems(&format!("{before}{after}"));
    let [item] = found.items.as_slice() else { panic!("{marked}\ngives\n{found}") };
    let shown = item.to_string();
    assert_eq!((item.code.as_str(), item.line, item.column), (code, line, column), "{marked}\ngives\n{shown}");
    assert!(shown.contains(message), "`{shown}` does not contain `{message}`");
    // Keywords that JSON Schema does not have are allowed by it.
    let is_of_shape = OF_SHAPE.contains(&code) && !shown.contains(" in the input `");
    if let Some(shape) = misshapen(&format!("{before}{after}")).filter(|_| is_of_shape) {
        assert!(!shape.is_empty(), "the schema takes what is not read:\n{marked}");
    }
}
