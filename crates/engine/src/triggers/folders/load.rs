//! One pass over the workflow folders: what was added, changed or removed takes effect.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use tokio::task::JoinError;
use tracing::{error, info, warn};

use super::known::{Claim, Known};
use super::read::{self, Document, Reading, Refusal, Stamp, StoredTexts, Text};
use super::{Trouble, saved};
use crate::ports::{Notice, SaveWorkflow, StoreError, WorkflowRecord};
use crate::triggers::{FileProblem, WorkflowFile};
use crate::{Engine, WorkflowId};

/// How many workflows are saved side by side, so that they are committed together.
const SAVES_AT_ONCE: usize = 32;

/// What the last pass left behind, so that the next one touches only what changed.
#[derive(Default)]
pub(in crate::triggers) struct Loader {
    /// By path: of two files that define the same workflow, the first one does.
    files: BTreeMap<PathBuf, Known>,
    /// The workflows of the store that have a file, by name.
    workflows: HashMap<String, Stored>,
    /// Until the first pass is over: what need not be read anew.
    stored_texts: Arc<StoredTexts>,
    /// Folders that could not be read, and why.
    unreadable: BTreeMap<PathBuf, String>,
    /// Whether a workflow was saved or removed since other nodes were told.
    has_changed: bool,
}

/// A workflow of the store.
struct Stored {
    id: WorkflowId,
    checksum: String,
    origin: String,
    /// The folder of its file, once it was seen.
    folder: Option<PathBuf>,
}

/// Whether everything is in line, or a later pass has to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passed {
    InLine,
    TryAgain,
}

/// A folder's files, or why they cannot be listed.
type Listing = (PathBuf, std::io::Result<Vec<(PathBuf, Stamp)>>);

impl Loader {
    /// Starts from what is stored.
    pub(super) fn begin(&mut self, stored: &[WorkflowRecord]) {
        let mut texts = StoredTexts::default();
        for record in stored {
            let Some(origin) = &record.origin_path else { continue };
            texts.insert((origin.clone(), record.checksum.clone()), record.name.clone());
            let stored =
                Stored { id: record.id, checksum: record.checksum.clone(), origin: origin.clone(), folder: None };
            self.workflows.insert(record.name.clone(), stored);
        }
        self.stored_texts = Arc::new(texts);
    }

    /// Whether a workflow of [`Self::begin`] was not removed with its file since.
    pub(super) fn still_has(&self, record: &WorkflowRecord) -> bool {
        record.origin_path.is_none() || self.workflows.contains_key(&record.name)
    }

    /// Looks at every folder, and reads, saves and removes what changed.
    pub(super) async fn pass(&mut self, engine: &Engine) -> Passed {
        match self.look(engine).await {
            Ok(()) => {}
            Err(panic) => error!(%panic, "reading the workflow folders failed"),
        }
        self.take_up_last_good();
        let saved = self.apply_claims(engine).await;
        let removed = self.remove_undefined(engine).await;
        self.show(engine);
        self.tell_others(engine).await;
        let is_in_line = saved && removed && self.unreadable.is_empty();
        if is_in_line { Passed::InLine } else { Passed::TryAgain }
    }

    async fn look(&mut self, engine: &Engine) -> Result<(), JoinError> {
        let folders = engine.config().workflow_folders.clone();
        let list = move || -> Vec<Listing> {
            folders.into_iter().map(|folder| (folder.clone(), read::list(&folder))).collect()
        };
        let listings = tokio::task::spawn_blocking(list).await?;
        let paths = self.take_listings(engine, listings);
        let stored_texts = std::mem::take(&mut self.stored_texts);
        let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let chunks = paths.chunks(paths.len().div_ceil(workers).max(1));
        let reading: Vec<_> = chunks
            .map(|chunk| {
                let chunk = chunk.to_vec();
                let stored_texts = Arc::clone(&stored_texts);
                tokio::task::spawn_blocking(move || read::read_all(chunk, &stored_texts))
            })
            .collect();
        for readings in reading {
            for reading in readings.await? {
                self.take_reading(engine, reading);
            }
        }
        Ok(())
    }

    /// Forgets files that are gone and answers those that have to be read.
    fn take_listings(&mut self, engine: &Engine, listings: Vec<Listing>) -> Vec<PathBuf> {
        let mut to_read = Vec::new();
        for (folder, listing) in listings {
            match listing {
                Ok(files) => {
                    self.folder_is_readable(engine, &folder);
                    let present: HashSet<&Path> = files.iter().map(|(path, _)| path.as_path()).collect();
                    let gone =
                        |path: &PathBuf, known: &mut Known| known.folder == folder && !present.contains(path.as_path());
                    for (path, _) in self.files.extract_if(.., gone) {
                        engine.files().remove(&path.to_string_lossy());
                    }
                    for (path, stamp) in files {
                        let known = self.files.entry(path.clone()).or_insert_with(|| Known::new(&folder, &path));
                        if known.stamp != Some(stamp) {
                            to_read.push(path);
                        }
                    }
                }
                Err(error) => self.folder_is_unreadable(engine, folder, &error),
            }
        }
        to_read
    }

    fn folder_is_readable(&mut self, engine: &Engine, folder: &Path) {
        if self.unreadable.remove(folder).is_some() {
            info!(folder = %folder.display(), "the workflow folder can be read again");
            engine.files().remove(&folder.to_string_lossy());
        }
    }

    fn folder_is_unreadable(&mut self, engine: &Engine, folder: PathBuf, error: &std::io::Error) {
        let why = error.to_string();
        if self.unreadable.get(&folder) == Some(&why) {
            return;
        }
        let retry = engine.config().watch_retry;
        warn!(folder = %folder.display(), error = why, ?retry, "cannot read a workflow folder; its workflows stay as they are");
        engine.files().put(WorkflowFile {
            path: folder.to_string_lossy().into_owned(),
            workflow: None,
            checked_at: engine.clock().now(),
            problems: vec![Trouble::Unreadable(why.clone()).to_problem()],
        });
        self.unreadable.insert(folder, why);
    }

    fn take_reading(&mut self, engine: &Engine, reading: Reading) {
        let Reading { path, stamp, text } = reading;
        let Some(known) = self.files.get_mut(&path) else { return };
        let now = engine.clock().now();
        known.stamp = stamp.filter(|stamp| stamp.is_telling(now.timestamp()));
        known.checked_at = Some(now);
        known.is_shown = false;
        match text {
            Ok(Text::New(document)) => known.take_document(*document),
            Ok(Text::Stored { name, checksum }) => known.take_stored(name, checksum),
            Err(Refusal::Unreadable(error)) => {
                let problem = Trouble::Unreadable(error.to_string()).to_problem();
                if known.refuse(error.to_string(), vec![problem]) {
                    warn!(file = %path.display(), %error, "cannot read a workflow file; its last good version stays in use");
                }
            }
            Err(Refusal::Refused { diagnostics, rendered, checksum }) => {
                let problems = diagnostics.items.iter().map(FileProblem::from).collect();
                if known.refuse(checksum, problems) {
                    warn!(
                        "{} is not used in its present form; its last good version stays, if there is one\n{rendered}",
                        path.display()
                    );
                }
            }
        }
    }

    /// A file that is broken since before the start stands for the workflow that was stored from it.
    fn take_up_last_good(&mut self) {
        let claimed: HashSet<String> =
            self.files.values().filter_map(|known| known.name().map(str::to_owned)).collect();
        for known in self.files.values_mut().filter(|known| known.claim.is_none() && known.checked_at.is_some()) {
            let of_file =
                |(name, stored): &(&String, &Stored)| stored.origin == known.origin && !claimed.contains(name.as_str());
            if let Some((name, stored)) = self.workflows.iter().find(of_file) {
                known.claim = Some(Claim { name: name.clone(), checksum: stored.checksum.clone(), document: None });
            }
        }
    }

    /// Lets each file have the workflow it defines, the first one of several; answers whether all could be saved.
    async fn apply_claims(&mut self, engine: &Engine) -> bool {
        let mut owners: HashMap<String, PathBuf> = HashMap::new();
        let mut saves = Vec::new();
        for (path, known) in &mut self.files {
            let Some(name) = known.name().map(str::to_owned) else { continue };
            if let Some(owner) = owners.get(&name) {
                known.lose(&name, owner);
                continue;
            }
            owners.insert(name.clone(), path.clone());
            known.win();
            let Some(claim) = &mut known.claim else { continue };
            match self.workflows.get_mut(&name) {
                Some(stored) if stored.checksum == claim.checksum && stored.origin == known.origin => {
                    stored.folder = Some(known.folder.clone());
                    claim.document = None;
                    known.saved();
                }
                _ => saves.extend(claim.document.take().map(|document| (path.clone(), document))),
            }
        }
        self.save(engine, saves).await
    }

    async fn save(&mut self, engine: &Engine, documents: Vec<(PathBuf, Document)>) -> bool {
        let saves: Vec<_> = documents
            .into_iter()
            .filter_map(|(path, document)| {
                let origin = self.files.get(&path)?.origin.clone();
                Some(save(engine, path, origin, document))
            })
            .collect();
        let mut saves = stream::iter(saves).buffer_unordered(SAVES_AT_ONCE);
        let mut all_saved = true;
        while let Some((path, document, saved)) = saves.next().await {
            let Some(known) = self.files.get_mut(&path) else { continue };
            known.is_shown = false;
            match saved {
                Ok(record) => {
                    let stored = Stored {
                        id: record.id,
                        checksum: record.checksum.clone(),
                        origin: known.origin.clone(),
                        folder: Some(known.folder.clone()),
                    };
                    known.saved();
                    info!(workflow = record.name, version = record.version, file = %path.display(), "workflow saved");
                    self.workflows.insert(record.name.clone(), stored);
                    self.has_changed = true;
                    engine.put_workflow(record, document.workflow);
                }
                Err(error) => {
                    if known.not_saved(document, &error) {
                        warn!(file = %path.display(), %error, "a workflow could not be saved; it is tried again");
                    }
                    all_saved = false;
                }
            }
        }
        all_saved
    }

    /// Removes the workflows whose file is gone from a folder that can be read; answers whether all could be.
    async fn remove_undefined(&mut self, engine: &Engine) -> bool {
        let defined: HashSet<&str> = self.files.values().filter_map(Known::name).collect();
        let folders = &engine.config().workflow_folders;
        let mut undefined = Vec::new();
        for (name, stored) in self.workflows.iter().filter(|(name, _)| !defined.contains(name.as_str())) {
            let is_gone = match &stored.folder {
                Some(folder) => !self.unreadable.contains_key(folder),
                // A file that was never here may well be in the folder of another node.
                None => !engine.has_company() && !folders.is_empty() && self.unreadable.is_empty(),
            };
            if is_gone {
                undefined.push((name.clone(), stored.id));
            }
        }
        let mut all_removed = true;
        for (name, id) in undefined {
            match engine.store().remove_workflow(id, engine.clock().now()).await {
                Ok(()) => {
                    info!(workflow = name, "workflow removed with its file");
                    engine.catalog().remove(id);
                    self.workflows.remove(&name);
                    self.has_changed = true;
                }
                Err(error) => {
                    warn!(workflow = name, %error, "a workflow could not be removed; it is tried again");
                    all_removed = false;
                }
            }
        }
        all_removed
    }

    /// Tells other nodes that workflows were saved or removed.
    async fn tell_others(&mut self, engine: &Engine) {
        if std::mem::take(&mut self.has_changed)
            && let Err(error) = engine.store().notify(Notice::Workflows).await
        {
            warn!(%error, "other nodes were not told of changed workflows");
        }
    }

    fn show(&mut self, engine: &Engine) {
        for (path, known) in self.files.iter_mut().filter(|(_, known)| !known.is_shown) {
            if let Some(checked_at) = known.checked_at {
                engine.files().put(WorkflowFile {
                    path: path.to_string_lossy().into_owned(),
                    workflow: known.shown_name().map(str::to_owned),
                    checked_at,
                    problems: known.shown_problems(),
                });
                known.is_shown = true;
            }
        }
    }
}

async fn save(
    engine: &Engine,
    path: PathBuf,
    origin: String,
    document: Document,
) -> (PathBuf, Document, Result<WorkflowRecord, StoreError>) {
    let at = engine.clock().now();
    let save = SaveWorkflow {
        tenant: engine.tenant(),
        workflow: document.workflow.clone(),
        source: document.source.clone(),
        checksum: document.checksum.clone(),
        origin_path: Some(origin),
        triggers: saved::triggers(&document.workflow, &engine.config().root, at),
        at,
    };
    let saved = engine.store().save_workflow(save).await;
    (path, document, saved)
}
