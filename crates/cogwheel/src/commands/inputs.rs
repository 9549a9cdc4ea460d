//! The inputs that a command line gives to an execution.

use std::path::Path;

use cogwheel_definition::Workflow;
use serde_json::{Map, Value};

use super::validate::{Problem, Report, Unsound};
use crate::cli::GivenInput;

/// The inputs of an execution that is started with the given ones, or everything that is wrong with those.
pub(super) fn resolve(
    file: &Path,
    workflow: &Workflow,
    given: Vec<GivenInput>,
) -> Result<Map<String, Value>, Box<Unsound>> {
    let mut inputs = Map::new();
    let mut wrong = Vec::new();
    for GivenInput { name, value } in given {
        if inputs.insert(name.clone(), value).is_some() {
            wrong.push(format!("`{name}` is given more than once"));
        }
    }
    match workflow.inputs.check(inputs) {
        Ok(inputs) if wrong.is_empty() => return Ok(inputs),
        Ok(_) => {}
        Err(problems) => wrong.extend(problems.iter().map(ToString::to_string)),
    }
    let problems: Vec<Problem> = wrong.into_iter().map(|message| problem(file, message)).collect();
    let text: Vec<_> = problems.iter().map(|problem| problem.text.clone()).collect();
    let report = Report::unsound(file, Some(workflow.name.clone()), problems);
    Err(Box::new(Unsound { report, text: text.join("\n") }))
}

fn problem(file: &Path, message: String) -> Problem {
    let text = format!("error: {}: input: {message}", file.display());
    Problem { code: None, message, line: None, column: None, help: None, text }
}
