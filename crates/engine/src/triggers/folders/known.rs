//! What a pass remembers of each workflow file.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use tracing::warn;

use super::Trouble;
use super::read::{Document, Stamp};
use crate::ports::StoreError;
use crate::triggers::FileProblem;

/// One workflow file.
pub(super) struct Known {
    pub(super) folder: PathBuf,
    /// Its name in the folder, as the store keeps it.
    pub(super) origin: String,
    /// As it was read; `None` if it has to be read again.
    pub(super) stamp: Option<Stamp>,
    pub(super) checked_at: Option<DateTime<Utc>>,
    /// What it defines, or defined when it was good last.
    pub(super) claim: Option<Claim>,
    status: Status,
    /// What is wrong with its present text, with what tells that text from another.
    refused: Option<(String, Vec<FileProblem>)>,
    /// Whether what is shown of it is up to date.
    pub(super) is_shown: bool,
}

/// A workflow that a file defines.
pub(super) struct Claim {
    pub(super) name: String,
    pub(super) checksum: String,
    /// Until it is stored.
    pub(super) document: Option<Document>,
}

/// Whether the workflow that a file defines is the one in use.
#[derive(Debug, PartialEq, Eq)]
enum Status {
    InUse,
    /// Another file defines the same workflow.
    NameTaken {
        by: String,
    },
    NotSaved(String),
}

impl Known {
    pub(super) fn new(folder: &Path, path: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            origin: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            stamp: None,
            checked_at: None,
            claim: None,
            status: Status::InUse,
            refused: None,
            is_shown: false,
        }
    }

    /// The name of the workflow it stands for.
    pub(super) fn name(&self) -> Option<&str> {
        self.claim.as_ref().map(|claim| claim.name.as_str())
    }

    pub(super) fn take_document(&mut self, document: Document) {
        self.refused = None;
        let (name, checksum) = (document.workflow.name.clone(), document.checksum.clone());
        self.claim = Some(Claim { name, checksum, document: Some(document) });
    }

    /// Its text is the stored one of the workflow of this name.
    pub(super) fn take_stored(&mut self, name: String, checksum: String) {
        self.refused = None;
        self.claim = Some(Claim { name, checksum, document: None });
    }

    /// Notes that its present text, told from others by `mark`, is not usable; answers whether that is news.
    pub(super) fn refuse(&mut self, mark: String, problems: Vec<FileProblem>) -> bool {
        let is_news = self.refused.as_ref().is_none_or(|(known, _)| *known != mark);
        self.refused = Some((mark, problems));
        is_news
    }

    /// Its workflow is its own.
    pub(super) fn win(&mut self) {
        // What could not be saved stays so until it is.
        if matches!(self.status, Status::NameTaken { .. }) {
            self.set(Status::InUse);
        }
    }

    pub(super) fn saved(&mut self) {
        self.set(Status::InUse);
    }

    /// Its workflow belongs to the file at `owner`.
    pub(super) fn lose(&mut self, name: &str, owner: &Path) {
        let by = owner.display().to_string();
        if self.set(Status::NameTaken { by: by.clone() }) {
            let file = self.folder.join(&self.origin);
            warn!(file = %file.display(), workflow = name, by, "another file defines the same workflow; this one is not used");
        }
        if self.claim.as_ref().is_some_and(|claim| claim.document.is_none()) {
            // The text will be needed when the other file goes.
            self.stamp = None;
        }
    }

    /// Notes that its workflow is not stored yet; answers whether that is news.
    pub(super) fn not_saved(&mut self, document: Document, error: &StoreError) -> bool {
        if let Some(claim) = &mut self.claim {
            claim.document = Some(document);
        }
        self.set(Status::NotSaved(error.to_string()))
    }

    fn set(&mut self, status: Status) -> bool {
        let is_news = self.status != status;
        self.is_shown &= !is_news;
        self.status = status;
        is_news
    }

    /// The workflow that it is shown to define: none while the name is another file's.
    pub(super) fn shown_name(&self) -> Option<&str> {
        self.name().filter(|_| !matches!(self.status, Status::NameTaken { .. }))
    }

    /// Everything that keeps its present text from being used.
    pub(super) fn shown_problems(&self) -> Vec<FileProblem> {
        let mut problems = self.refused.as_ref().map(|(_, problems)| problems.clone()).unwrap_or_default();
        match &self.status {
            Status::InUse => {}
            Status::NameTaken { by } => {
                let name = self.name().unwrap_or_default().to_owned();
                problems.push(Trouble::NameTaken { name, by: by.clone() }.to_problem());
            }
            Status::NotSaved(why) => problems.push(Trouble::NotSaved(why.clone()).to_problem()),
        }
        problems
    }
}
