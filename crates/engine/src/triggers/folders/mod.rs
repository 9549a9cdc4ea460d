//! Keeps the workflows in line with the files of the workflow folders.

mod follow;
mod known;
mod load;
mod read;
mod saved;

use std::collections::HashSet;
use std::sync::Arc;

use cogwheel_definition::{Diagnostic, parse};
use tracing::{info, warn};

use crate::ports::WorkflowRecord;
use crate::triggers::FileProblem;
use crate::{Engine, EngineError, LoadedWorkflow, WorkflowId};

pub(super) use follow::follow;
pub(super) use load::Loader;
pub(crate) use saved::triggers;

/// Brings the stored workflows and the folders together for the first time.
pub(super) async fn load(engine: &Arc<Engine>) -> Result<(), EngineError> {
    let stored = engine.store().workflows(engine.tenant()).await?;
    let mut loader = engine.files().loader.lock().await;
    loader.begin(stored);
    loader.pass(engine).await;
    info!(workflows = engine.catalog().all().len(), "workflows loaded");
    Ok(())
}

/// Brings the catalog in line with what other nodes stored.
pub(super) async fn reload(engine: &Arc<Engine>) {
    // A pass over the folders puts what it saves into the catalog itself.
    let _loader = engine.files().loader.lock().await;
    let stored = match engine.store().workflows(engine.tenant()).await {
        Ok(stored) => stored,
        Err(error) => return warn!(%error, "cannot read what other nodes stored"),
    };
    let mut gone: HashSet<WorkflowId> = engine.catalog().all().iter().map(|workflow| workflow.id).collect();
    for record in stored {
        gone.remove(&record.id);
        let known = engine.catalog().by_id(record.id);
        let is_current =
            known.is_some_and(|known| known.version_id == record.version_id && known.is_enabled == record.is_enabled);
        if !is_current {
            put_stored(engine, record);
        }
    }
    for workflow in gone {
        engine.catalog().remove(workflow);
    }
}

/// Puts a stored workflow into the catalog as its stored text has it.
fn put_stored(engine: &Engine, record: WorkflowRecord) {
    match parse(record.source.as_bytes(), &record.name) {
        Ok(workflow) => engine.catalog().put(LoadedWorkflow::new(record, Arc::new(workflow))),
        Err(problems) => warn!(
            workflow = record.name,
            "the stored version cannot be used by this release until its file is corrected:\n{}",
            problems.render(&record.source, &record.name)
        ),
    }
}

/// What is wrong with a file beyond its text.
enum Trouble {
    Unreadable(String),
    NameTaken { name: String, by: String },
    NotSaved(String),
}

impl Trouble {
    fn to_problem(&self) -> FileProblem {
        let (code, message, help) = match self {
            Self::Unreadable(why) => {
                ("COG0201", format!("it cannot be read: {why}"), "check that it exists and that the server may read it")
            }
            Self::NameTaken { name, by } => (
                "COG0202",
                format!("the workflow `{name}` is already defined by {by}"),
                "give one of the two another `name`, or remove one",
            ),
            Self::NotSaved(why) => ("COG0203", format!("the workflow could not be saved: {why}"), "it is tried again"),
        };
        FileProblem { code: code.to_owned(), message, line: 1, column: 1, help: Some(help.to_owned()) }
    }
}

impl From<&Diagnostic> for FileProblem {
    fn from(diagnostic: &Diagnostic) -> Self {
        Self {
            code: diagnostic.code.to_string(),
            message: diagnostic.message.clone(),
            line: u32::try_from(diagnostic.line).unwrap_or(u32::MAX),
            column: u32::try_from(diagnostic.column).unwrap_or(u32::MAX),
            help: diagnostic.help.clone(),
        }
    }
}
