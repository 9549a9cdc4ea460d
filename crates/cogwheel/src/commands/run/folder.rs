//! The data folder of one run, and the workflows beside the file that is run.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use cogwheel_definition::{Action, Workflow};
use cogwheel_engine::clock::{Clock as _, SystemClock};

use crate::commands::{database, validate};
use crate::output;

/// The folder that holds a run's database and scratch files; removed when dropped, unless it is to be kept.
pub(in crate::commands) struct DataFolder {
    path: PathBuf,
    is_kept: bool,
}

impl DataFolder {
    /// Makes the folder: this one, or one of its own among the temporary files. None when there is something in it, which
    /// is said.
    pub(in crate::commands) fn make(keep: Option<PathBuf>) -> anyhow::Result<Option<Self>> {
        let is_kept = keep.is_some();
        let path = keep.unwrap_or_else(|| std::env::temp_dir().join(format!("cogwheel-run-{}", SystemClock.new_id())));
        if fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_some()) {
            let why = format!("{} is not empty: --keep takes a new or an empty folder", path.display());
            output::complain(&anyhow::Error::msg(why));
            return Ok(None);
        }
        database::prepare_folder(&path)?;
        Ok(Some(Self { path, is_kept }))
    }

    pub(in crate::commands) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for DataFolder {
    fn drop(&mut self) {
        if !self.is_kept
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            output::complain(&anyhow::Error::new(error).context(format!("cannot remove {}", self.path.display())));
        }
    }
}

/// Whether a workflow runs others.
pub(super) fn runs_others(workflow: &Workflow) -> bool {
    workflow.steps.iter().any(|step| matches!(step.action, Action::Workflow { .. }))
}

/// The sound workflows of the files beside `file`, of several with the same name the first; those that are not are named.
pub(super) fn workflows_beside(file: &Path, name: &str) -> Vec<(Workflow, String)> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| is_workflow(path))
        .collect();
    paths.sort();
    let mut names = HashSet::from([name.to_owned()]);
    let mut workflows = Vec::new();
    for path in paths.iter().filter(|path| path.file_name() != file.file_name()) {
        match validate::load(path) {
            Ok((workflow, source)) => {
                if names.insert(workflow.name.clone()) {
                    workflows.push((workflow, source));
                }
            }
            Err(_) => output::note(&format!("{} defines no workflow; `cogwheel validate` shows why", path.display())),
        }
    }
    workflows
}

/// As the server tells them from other files.
fn is_workflow(path: &Path) -> bool {
    let is_hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !is_hidden && path.is_file() && path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}
