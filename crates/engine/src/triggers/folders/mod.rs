//! Keeps the workflows in line with the files of the workflow folders.

mod follow;
mod known;
mod load;
mod read;
mod saved;

use std::sync::Arc;

use cogwheel_definition::Diagnostic;
use tracing::{info, warn};

use crate::ports::StoreError;
use crate::triggers::FileProblem;
use crate::{Engine, EngineError};

pub(super) use follow::follow;
pub(super) use load::Loader;
pub(crate) use saved::triggers;

/// Brings the stored workflows and the folders together for the first time.
pub(super) async fn load(engine: &Arc<Engine>) -> Result<(), EngineError> {
    let mut stored = engine.store().workflows(engine.tenant()).await?;
    let mut loader = engine.files().loader.lock().await;
    loader.begin(&stored);
    loader.pass(engine).await;
    // What the pass saved is in the catalog, and what it removed must not get there.
    stored.retain(|record| engine.catalog().by_id(record.id).is_none() && loader.still_has(record));
    let rest = engine.with_triggers(stored).await?;
    engine.catalog().change(rest, []);
    info!(workflows = engine.catalog().len(), "workflows loaded");
    Ok(())
}

/// Brings the catalog in line with what other nodes stored.
pub(super) async fn reload(engine: &Arc<Engine>) {
    // A pass over the folders puts what it saves into the catalog itself.
    let _loader = engine.files().loader.lock().await;
    if let Err(error) = take_over(engine).await {
        warn!(%error, "cannot read what other nodes stored");
    }
}

async fn take_over(engine: &Engine) -> Result<(), StoreError> {
    let mut stored = engine.store().workflows(engine.tenant()).await?;
    let mut gone = engine.catalog().ids();
    stored.retain(|record| {
        gone.remove(&record.id);
        let known = engine.catalog().by_id(record.id);
        known.is_none_or(|known| !known.stands_for(record))
    });
    let changed = engine.with_triggers(stored).await?;
    engine.catalog().change(changed, gone);
    Ok(())
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
