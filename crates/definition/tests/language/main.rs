//! What the language accepts and refuses, through the crate's public face.

mod accepted;
mod declared;
mod execution;
mod nested;
mod properties;
mod refused;
mod step_types;

use cogwheel_definition::{Diagnostics, Workflow, parse};

#[track_caller]
fn good(text: &str) -> Workflow {
    parse(text.as_bytes(), "file").unwrap_or_else(|problems| panic!("{}", problems.render(text, "file.yaml")))
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
}
