//! The `WorkflowFile` type.

use async_graphql::SimpleObject;
use cogwheel_engine as engine;

use super::instant::Instant;

/// A file in a workflow folder, and how reading it went.
#[derive(SimpleObject)]
pub(crate) struct WorkflowFile {
    /// Its path.
    path: String,
    /// The name of the workflow that it defines; with problems, of its last good version.
    workflow: Option<String>,
    /// When it was last read.
    checked_at: Instant,
    /// Why its present text is not in use; empty when it is.
    problems: Vec<FileProblem>,
}

impl From<engine::WorkflowFile> for WorkflowFile {
    fn from(file: engine::WorkflowFile) -> Self {
        Self {
            path: file.path,
            workflow: file.workflow,
            checked_at: file.checked_at.into(),
            problems: file.problems.into_iter().map(Into::into).collect(),
        }
    }
}

/// One thing that is wrong with a workflow file.
#[derive(SimpleObject)]
pub(crate) struct FileProblem {
    /// A stable code, explained in the documentation.
    code: String,
    /// What is wrong.
    message: String,
    /// Line, from 1.
    line: u32,
    /// Column in characters, from 1.
    column: u32,
    /// What to do.
    help: Option<String>,
}

impl From<engine::FileProblem> for FileProblem {
    fn from(problem: engine::FileProblem) -> Self {
        let engine::FileProblem { code, message, line, column, help } = problem;
        Self { code, message, line, column, help }
    }
}
