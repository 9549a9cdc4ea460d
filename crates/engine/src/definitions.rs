//! Definitions, read when they are first needed and shared from then on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cogwheel_definition::{Diagnostics, Triggers, Workflow, parse};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::OnceCell;
use tracing::warn;

use crate::ports::{StoreError, WorkflowRecord};
use crate::{Engine, LoadedWorkflow, VersionId, WorkflowId};

/// Of the definitions used last, so many stay in memory; up to twice as many may.
const KEPT: usize = 5_000;

/// How many texts are asked for at once.
const BATCH: usize = 256;

/// A definition, or what keeps this release from reading its text.
pub(crate) type Definition = Result<Arc<Workflow>, Arc<Diagnostics>>;

/// Why a definition is not at hand.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoDefinition {
    /// This release cannot read its text.
    #[error("its stored text cannot be read by this release: {}", first_line(.0))]
    Unreadable(Arc<Diagnostics>),
    /// The text could not be fetched.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn first_line(problems: &Diagnostics) -> String {
    problems.to_string().lines().next().unwrap_or_default().to_owned()
}

/// The definitions that were needed last, by version: what a version says never changes.
#[derive(Default)]
pub(crate) struct Definitions {
    slots: Mutex<Slots>,
}

type Slot = Arc<OnceCell<Definition>>;

/// Whatever is asked for moves to `recent`; when that is full it becomes `older`, and what was there is forgotten.
#[derive(Default)]
struct Slots {
    recent: HashMap<VersionId, Slot>,
    older: HashMap<VersionId, Slot>,
}

impl Slots {
    fn make_room(&mut self) {
        if self.recent.len() >= KEPT {
            let forgotten = std::mem::replace(&mut self.older, std::mem::take(&mut self.recent));
            // What cannot be read is complained about once.
            self.older.extend(forgotten.into_iter().filter(|(_, slot)| slot.get().is_some_and(Result::is_err)));
        }
    }
}

impl Definitions {
    fn slot(&self, version: VersionId) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.recent.get(&version) {
            return Arc::clone(slot);
        }
        let slot = slots.older.remove(&version).unwrap_or_default();
        slots.make_room();
        slots.recent.insert(version, Arc::clone(&slot));
        slot
    }

    fn known(&self, version: VersionId) -> Option<Definition> {
        self.slot(version).get().cloned()
    }

    /// Keeps a definition that was read elsewhere.
    pub(crate) fn put(&self, version: VersionId, workflow: Arc<Workflow>) {
        // If it is known already, it is the same.
        let _ = self.slot(version).set(Ok(workflow));
    }

    /// The definition of a version whose text is at hand.
    pub(crate) fn of_text(&self, version: VersionId, name: &str, source: &str) -> Definition {
        if let Some(known) = self.known(version) {
            return known;
        }
        let workflow = read(name, source)?;
        self.put(version, Arc::clone(&workflow));
        Ok(workflow)
    }
}

fn read(name: &str, source: &str) -> Definition {
    parse(source.as_bytes(), name).map(Arc::new).map_err(Arc::new)
}

impl Engine {
    /// What a workflow does, by its active version.
    pub(crate) async fn definition(&self, workflow: &LoadedWorkflow) -> Result<Arc<Workflow>, NoDefinition> {
        let slot = self.definitions().slot(workflow.version_id);
        let read = slot.get_or_try_init(|| self.read_definition(workflow)).await?;
        read.clone().map_err(NoDefinition::Unreadable)
    }

    async fn read_definition(&self, workflow: &LoadedWorkflow) -> Result<Definition, StoreError> {
        let version = workflow.version_id;
        let source = self.store().workflow_sources(&[version]).await?.remove(&version);
        let source = source.ok_or_else(|| no_text(version))?;
        let name = Arc::clone(&workflow.name);
        let (definition, source) = blocking(move || (read(&name, &source), source)).await?;
        if let Err(problems) = &definition {
            self.refuse(workflow.id, version, &workflow.name, problems, &source);
        }
        Ok(definition)
    }

    /// Stored workflows, ready for the catalog: only the texts of those that have triggers are read.
    pub(crate) async fn with_triggers(&self, records: Vec<WorkflowRecord>) -> Result<Vec<LoadedWorkflow>, StoreError> {
        let has_triggers = |record: &WorkflowRecord| {
            !record.schedules.is_empty()
                || !record.watches.is_empty()
                || !record.endpoints.is_empty()
                || record.has_events
        };
        let (triggered, plain): (Vec<_>, Vec<_>) = records.into_iter().partition(has_triggers);
        let mut loaded: Vec<_> =
            plain.into_iter().map(|record| LoadedWorkflow::new(record, &Triggers::default())).collect();
        let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut batches =
            stream::iter(chunks(triggered)).map(|records| self.read_triggers(records)).buffer_unordered(workers);
        while let Some(batch) = batches.try_next().await? {
            loaded.extend(batch);
        }
        Ok(loaded)
    }

    async fn read_triggers(&self, records: Vec<WorkflowRecord>) -> Result<Vec<LoadedWorkflow>, StoreError> {
        self.read_definitions(&records).await?;
        let load = |record: WorkflowRecord| match self.definitions().known(record.version_id) {
            Some(Ok(workflow)) => Ok(LoadedWorkflow::new(record, &workflow.triggers)),
            Some(Err(_)) => Ok(LoadedWorkflow::new(record, &Triggers::default())),
            None => Err(no_text(record.version_id)),
        };
        records.into_iter().map(load).collect()
    }

    /// Reads those that are not known yet.
    async fn read_definitions(&self, records: &[WorkflowRecord]) -> Result<(), StoreError> {
        let missing: HashMap<VersionId, &WorkflowRecord> = records
            .iter()
            .filter(|record| self.definitions().known(record.version_id).is_none())
            .map(|record| (record.version_id, record))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let versions: Vec<VersionId> = missing.keys().copied().collect();
        let sources = self.store().workflow_sources(&versions).await?;
        let named: Vec<_> = sources
            .into_iter()
            .filter_map(|(version, source)| Some((version, missing.get(&version)?.name.clone(), source)))
            .collect();
        let read_all = move || -> Vec<_> {
            named.into_iter().map(|(version, name, source)| (version, read(&name, &source), source)).collect()
        };
        for (version, definition, source) in blocking(read_all).await? {
            let is_news = self.definitions().slot(version).set(definition.clone()).is_ok();
            if let (true, Err(problems), Some(record)) = (is_news, &definition, missing.get(&version)) {
                self.refuse(record.id, version, &record.name, problems, &source);
            }
        }
        Ok(())
    }

    /// Says once that a stored text cannot be read, and shows it at its file.
    fn refuse(&self, id: WorkflowId, version: VersionId, name: &str, problems: &Diagnostics, source: &str) {
        warn!(
            workflow = name,
            "the stored version cannot be used by this release until its file is corrected:\n{}",
            problems.render(source, name)
        );
        let was_replaced = self.catalog().by_id(id).is_some_and(|now| now.version_id != version);
        if !was_replaced {
            self.files().refuse(name, problems);
        }
    }
}

fn chunks(records: Vec<WorkflowRecord>) -> Vec<Vec<WorkflowRecord>> {
    let mut chunks = Vec::with_capacity(records.len().div_ceil(BATCH));
    let mut records = records.into_iter().peekable();
    while records.peek().is_some() {
        chunks.push(records.by_ref().take(BATCH).collect());
    }
    chunks
}

async fn blocking<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(read)
        .await
        .map_err(|panic| StoreError::Bug(format!("reading a definition failed: {panic}")))
}

fn no_text(version: VersionId) -> StoreError {
    StoreError::CorruptRow {
        table: "workflow_versions",
        id: version.to_string(),
        why: "it is not there any more".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn version(number: usize) -> VersionId {
        VersionId(Uuid::from_u128(number as u128))
    }

    const GOOD: &str = "steps: [{run: 'true'}]\n";

    #[test]
    fn is_read_once_and_shared() {
        let definitions = Definitions::default();
        let first = definitions.of_text(version(1), "a", GOOD).unwrap();
        let again = definitions.of_text(version(1), "a", "not even read").unwrap();
        assert!(Arc::ptr_eq(&first, &again));
    }

    #[test]
    fn what_was_used_last_stays_and_so_does_what_cannot_be_read() {
        let definitions = Definitions::default();
        let workflow = definitions.of_text(version(0), "a", GOOD).unwrap();
        definitions.slot(version(1)).set(read("bad", "steps: 5\n")).unwrap();
        let is_known = |number| definitions.slot(version(number)).get().is_some();
        for number in 2..4 * KEPT {
            definitions.put(version(number), Arc::clone(&workflow));
            assert!(is_known(0));
        }
        assert!(is_known(4 * KEPT - KEPT) && is_known(1) && !is_known(2));
        let slots = definitions.slots.lock().unwrap();
        assert!(slots.recent.len() + slots.older.len() <= 2 * KEPT + 1);
    }
}
