//! The `File` type.

use async_graphql::{Context, ID, Object, Result};
use cogwheel_engine::views::{FileView, TimeCursor};

use super::connection::Listed;
use super::enums::{FileAfterState, FileChangeKind, FileDecisionReason, FileSource};
use super::instant::Instant;
use super::{Execution, FileStatus, FileWatch};
use crate::cursor::Cursor;
use crate::ids::{GlobalId, file_path};
use crate::limits::list_cost;
use crate::loaders::{ExecutionsOfFile, load};

/// How many executions a file version is reckoned to have set off.
const EXECUTIONS: usize = 1;

/// A file version in the ledger.
pub(crate) struct File(FileView);

impl From<FileView> for File {
    fn from(view: FileView) -> Self {
        Self(view)
    }
}

impl Listed for File {
    fn cursor(&self) -> String {
        TimeCursor { at: self.0.created_at, id: self.0.id.0 }.encode()
    }
}

/// One version of a file, as the ledger knows it.
#[Object]
impl File {
    /// Its global id.
    pub(crate) async fn id(&self) -> ID {
        GlobalId::File(self.0.id).encode()
    }

    /// Where it comes from.
    async fn source(&self) -> Result<FileSource> {
        FileSource::from_word(&self.0.source)
    }

    /// The file's name; that of an upload is made safe.
    async fn filename(&self) -> &str {
        &self.0.filename
    }

    /// The file's name as it was sent, or found.
    async fn original_filename(&self) -> &str {
        &self.0.original_filename
    }

    /// What it holds, by its content: a media type. Null where it was not looked at.
    async fn mime_type(&self) -> Option<&str> {
        self.0.media_type.as_deref()
    }

    /// The path below the server's address at which it is downloaded; null where its bytes are not kept.
    async fn download_path(&self) -> Option<String> {
        self.0.storage_key.as_ref().map(|_| file_path(self.0.id).0)
    }

    /// Its absolute path when it was seen; null for an upload.
    async fn path(&self) -> Option<&str> {
        self.0.path.as_deref()
    }

    /// Bytes.
    async fn size(&self) -> i64 {
        self.0.size
    }

    /// SHA-256 of the content, in hex.
    async fn sha256(&self) -> Option<&str> {
        self.0.sha256.as_deref()
    }

    /// Where it stands.
    async fn status(&self) -> FileStatus {
        self.0.status.into()
    }

    /// Why it was taken or not.
    async fn decision_reason(&self) -> Option<Result<FileDecisionReason>> {
        self.0.decision_reason.as_deref().map(FileDecisionReason::from_word)
    }

    /// Why it started nothing, or why nothing was done with it once its execution had ended; for people.
    async fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// What the files of one batch have in common.
    async fn batch(&self) -> Option<&str> {
        self.0.batch.as_deref()
    }

    /// How far the trigger's `after` has come.
    async fn after_state(&self) -> Result<FileAfterState> {
        FileAfterState::from_word(&self.0.after_state)
    }

    /// Where the trigger's `after` moved it, or is about to.
    async fn after_target(&self) -> Option<&str> {
        self.0.after_target.as_deref()
    }

    /// What happened to the file.
    async fn change_kind(&self) -> Result<FileChangeKind> {
        FileChangeKind::from_word(&self.0.change_kind)
    }

    /// The file's own time stamp.
    async fn modified_at(&self) -> Option<Instant> {
        self.0.modified_at.map(Into::into)
    }

    /// When it was first seen.
    async fn first_seen_at(&self) -> Instant {
        self.0.first_seen_at.into()
    }

    /// When it had been quiet for long enough.
    async fn settled_at(&self) -> Option<Instant> {
        self.0.settled_at.map(Into::into)
    }

    /// When its execution ended.
    async fn processed_at(&self) -> Option<Instant> {
        self.0.processed_at.map(Into::into)
    }

    /// The watch that saw it.
    async fn watch(&self, ctx: &Context<'_>) -> Option<Result<FileWatch>> {
        load(ctx, self.0.watch?).await.transpose().map(|found| found.map(FileWatch::from))
    }

    /// The executions that took it in.
    #[graphql(complexity = "list_cost(EXECUTIONS, child_complexity)")]
    async fn executions(&self, ctx: &Context<'_>) -> Result<Vec<Execution>> {
        let executions = load(ctx, ExecutionsOfFile(self.0.id)).await?.unwrap_or_default();
        Ok(executions.into_iter().map(Execution::from).collect())
    }
}
