//! What is known of each workflow file: loaded as what, or refused why.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use cogwheel_definition::Diagnostics;

use super::folders::Loader;

/// A workflow file and how reading it went.
#[derive(Clone, Debug)]
pub struct WorkflowFile {
    /// Its path.
    pub path: String,
    /// The workflow it defines; with problems, the one that its last good version defined.
    pub workflow: Option<String>,
    /// When it was last read.
    pub checked_at: DateTime<Utc>,
    /// Why its present text is not in use; empty when it is.
    pub problems: Vec<FileProblem>,
}

/// One thing wrong with a workflow file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileProblem {
    /// A stable code, explained in the documentation.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// What to do.
    pub help: Option<String>,
}

/// The known workflow files by path.
#[derive(Default)]
pub(crate) struct WorkflowFiles {
    files: Mutex<BTreeMap<String, WorkflowFile>>,
    /// Keeps the folders in line with the store; one pass at a time.
    pub(super) loader: tokio::sync::Mutex<Loader>,
}

impl WorkflowFiles {
    /// Every known file, by path. A folder that cannot be read is listed like a file, with the problem.
    pub(crate) fn all(&self) -> Vec<WorkflowFile> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(super) fn put(&self, file: WorkflowFile) {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).insert(file.path.clone(), file);
    }

    /// Shows at the file that is in use for a workflow why its text cannot be used after all.
    pub(crate) fn refuse(&self, workflow: &str, problems: &Diagnostics) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let in_use = |file: &&mut WorkflowFile| file.workflow.as_deref() == Some(workflow) && file.problems.is_empty();
        if let Some(file) = files.values_mut().find(in_use) {
            file.problems = problems.items.iter().map(FileProblem::from).collect();
        }
    }

    pub(super) fn remove(&self, path: &str) {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
    }
}
