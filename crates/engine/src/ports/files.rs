//! The port of the ledger of files: which versions were seen, what was decided, and what is done with them afterwards.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cogwheel_definition::{After, FileEvent};
use serde_json::Value;

use super::{BlobKey, Start, Started, StoreError};
use crate::{FileId, TenantId, WatchId};

/// How long is waited after each try at what is done with a file afterwards, where it failed for a reason that may pass.
/// The try after the last pause is the last one.
pub const AFTER_PAUSES: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(10),
    Duration::from_mins(1),
    Duration::from_mins(10),
    Duration::from_hours(1),
    Duration::from_hours(6),
];

/// The ledger's side of the database.
#[async_trait]
pub trait FileLedger: Send + Sync + 'static {
    /// The newest version of each file that a watch has seen and that was not seen to go.
    async fn handled_files(&self, watch: WatchId) -> Result<Vec<HandledFile>, StoreError>;

    /// Which of these fingerprints the ledger of a watch holds.
    async fn known_versions(&self, watch: WatchId, fingerprints: &[String]) -> Result<HashSet<String>, StoreError>;

    /// Records files that start nothing; those that were recorded before are left as they are.
    async fn record_decisions(&self, decisions: Vec<FileDecision>) -> Result<(), StoreError>;

    /// Records how a watch is doing.
    async fn set_watch_health(&self, watch: WatchId, health: WatchHealth) -> Result<(), StoreError>;

    /// Some of the files whose executions have ended and with which something is to be done by `now`. A file that somebody
    /// is at work with, since `before` at the latest, is left out.
    async fn pending_afters(&self, before: DateTime<Utc>, now: DateTime<Utc>) -> Result<Vec<PendingAfter>, StoreError>;

    /// Records what is going to be done, before it is; answers whose turn it is. Of several nodes one gets it.
    async fn plan_afters(&self, plans: Vec<AfterPlan>) -> Result<HashSet<FileId>, StoreError>;

    /// Records what was done.
    async fn end_afters(&self, ended: Vec<EndedAfter>) -> Result<(), StoreError>;

    /// Records an uploaded file with all executions that it sets off, or finds that a file of this id is known.
    async fn record_upload(&self, upload: NewUpload) -> Result<RecordedUpload, StoreError>;

    /// What a tenant may upload, where that is another thing than the settings say.
    async fn tenant_uploads(&self, tenant: TenantId) -> Result<TenantUploads, StoreError>;
}

/// An uploaded file to record.
#[derive(Clone, Debug)]
pub struct NewUpload {
    /// Its id in the ledger; the same id is the same upload.
    pub id: FileId,
    /// Its tenant.
    pub tenant: TenantId,
    /// The one trigger that takes it, where it is one.
    pub watch: Option<WatchId>,
    /// A name that is safe.
    pub filename: String,
    /// The name as it was sent.
    pub original_filename: String,
    /// Where its bytes are kept, which is also their SHA-256.
    pub storage_key: BlobKey,
    /// What it is, by its content.
    pub media_type: String,
    /// Bytes.
    pub size: i64,
    /// Why nothing takes it, and the same for people; none where something does.
    pub refusal: Option<(DecisionReason, String)>,
    /// The executions that it sets off; they wait in the pool.
    pub starts: Vec<Start>,
    /// When.
    pub at: DateTime<Utc>,
}

/// What became of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordedUpload {
    /// It is recorded, and this became of its starts.
    Recorded(Vec<Started>),
    /// A file of this id was recorded before.
    Known,
}

/// What a tenant may upload, where that is another thing than the settings say.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TenantUploads {
    /// The most bytes of a file.
    pub max_size: Option<u64>,
    /// The media types, as `mime` of a trigger names them; an empty list for any.
    pub allowed_types: Option<Vec<String>>,
}

/// A settled version of a watched file, or the end of one.
#[derive(Clone, Debug)]
pub struct FileVersion {
    /// Its id in the ledger.
    pub id: FileId,
    /// Its tenant.
    pub tenant: TenantId,
    /// The watch that saw it.
    pub watch: WatchId,
    /// What happened to the file.
    pub event: FileEvent,
    /// The file's name.
    pub filename: String,
    /// Its absolute path.
    pub path: String,
    /// SHA-256 of the absolute path, in hex.
    pub path_hash: String,
    /// Bytes.
    pub size: i64,
    /// SHA-256 of the content, in hex; `None` for a file that is gone.
    pub sha256: Option<String>,
    /// What it is, by its content; `None` for a file that is gone.
    pub media_type: Option<String>,
    /// Its time stamp.
    pub modified_at: DateTime<Utc>,
    /// Device number.
    pub device: String,
    /// Inode number.
    pub inode: String,
    /// SHA-256 over path, size, time stamp, device, inode and content: the version's identity.
    pub fingerprint: String,
    /// Whether something is to be done with the file once its execution has ended.
    pub has_after: bool,
    /// When it was first seen.
    pub first_seen_at: DateTime<Utc>,
    /// When it had settled.
    pub settled_at: DateTime<Utc>,
}

/// The newest version of a path that was decided on.
#[derive(Clone, Debug)]
pub struct HandledFile {
    /// Its absolute path.
    pub path: String,
    /// Bytes.
    pub size: i64,
    /// Its time stamp.
    pub modified_at: DateTime<Utc>,
    /// Device number.
    pub device: String,
    /// Inode number.
    pub inode: String,
}

/// A file that starts nothing, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct FileDecision {
    /// Its id in the ledger.
    pub id: FileId,
    /// Its tenant.
    pub tenant: TenantId,
    /// The watch that saw it.
    pub watch: WatchId,
    /// What happened to the file.
    pub event: FileEvent,
    /// Why it starts nothing.
    pub reason: DecisionReason,
    /// The same for people.
    pub detail: String,
    /// The file's name.
    pub filename: String,
    /// Its absolute path, as far as it is text.
    pub path: String,
    /// SHA-256 of the absolute path, in hex.
    pub path_hash: String,
    /// What is known of the version.
    pub seen: Option<SeenVersion>,
    /// What is recorded once in the ledger of the watch.
    pub fingerprint: String,
    /// When it was first seen.
    pub first_seen_at: DateTime<Utc>,
    /// When it was decided.
    pub decided_at: DateTime<Utc>,
}

/// A version as the file system tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenVersion {
    /// Bytes.
    pub size: i64,
    /// Its time stamp.
    pub modified_at: DateTime<Utc>,
    /// Device number.
    pub device: String,
    /// Inode number.
    pub inode: String,
    /// SHA-256 of the content, in hex, where it was read.
    pub sha256: Option<String>,
}

/// Why a file starts nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DecisionReason {
    /// It is a version that is in the ledger under another path: the server itself put it there, or took it away.
    DuplicateVersion,
    /// The trigger does not ask for it.
    FilteredPattern,
    /// The trigger asks for other media types.
    FilteredMime,
    /// The trigger asks for larger or smaller files.
    FilteredSize,
    /// Its name says that it is not meant to be read.
    HiddenOrTemporary,
    /// It was gone before it had settled.
    Vanished,
    /// It cannot be read, or is nothing that can be.
    Unreadable,
    /// The workflow that asks for it cannot be started.
    WorkflowNotExecutable,
}

/// How a watch is doing.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct WatchHealth {
    /// Whether it sees its folder.
    pub healthy: bool,
    /// What is wrong, for people; `None` when healthy.
    pub problem: Option<String>,
    /// The last full scan.
    pub last_scan_at: Option<DateTime<Utc>>,
    /// Whether the kernel reports changes, so that scans need not find them; `None` before it is known.
    pub has_events: Option<bool>,
    /// The type of the file system.
    pub filesystem: Option<String>,
    /// How often the folder is scanned, in milliseconds, beside the rare scan that all folders have.
    pub scan_every_ms: Option<u64>,
    /// How often reports of the kernel were lost, since the watch began.
    pub overflows: u64,
    /// Whether a limit of the system keeps the kernel from reporting changes.
    pub limit_reached: bool,
    /// The last thing that went wrong, and when; it stays when all is well again.
    pub last_error: Option<(String, DateTime<Utc>)>,
    /// How many names were left alone since the watch began: hidden, unfinished or ignored.
    pub ignored: u64,
}

/// A file whose execution has ended and with which something is to be done.
#[derive(Clone, Debug)]
pub struct PendingAfter {
    /// The file.
    pub id: FileId,
    /// Its tenant.
    pub tenant: TenantId,
    /// The watch that saw it.
    pub watch: WatchId,
    /// Its absolute path.
    pub path: String,
    /// The version.
    pub version: SeenVersion,
    /// What is to be done; the folder is absolute.
    pub action: After,
    /// Where somebody was going to move it.
    pub planned: Option<String>,
    /// How often it was tried in vain.
    pub tries: i32,
    /// The watched folder.
    pub folder: String,
    /// Whether the folders below count.
    pub is_recursive: bool,
    /// Whether the watch tells of files that went.
    pub tells_deletions: bool,
    /// What tells this state of the record from a later one.
    pub updated_at: DateTime<Utc>,
}

/// What is going to be done with a file.
#[derive(Clone, Debug)]
pub struct AfterPlan {
    /// The file.
    pub id: FileId,
    /// The state of the record that this is decided on.
    pub seen_at: DateTime<Utc>,
    /// Where it is moved.
    pub target: Option<String>,
    /// What the watch must not take for somebody else's doing.
    pub own: Vec<FileDecision>,
    /// When.
    pub at: DateTime<Utc>,
}

/// What was done with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedAfter {
    /// The file.
    pub id: FileId,
    /// How it went.
    pub end: AfterEnd,
    /// When.
    pub at: DateTime<Utc>,
}

/// How it went to do something with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AfterEnd {
    /// It was done; where the file is now, if it was moved.
    Done(Option<String>),
    /// The file is left as it is, and why.
    Failed(String),
    /// It cannot be done now, and why; it is tried again.
    Postponed(String),
}

impl WatchHealth {
    /// What is kept of it beside its columns.
    pub fn detail(&self) -> Value {
        serde_json::json!({
            "problem": self.problem,
            "scan_every_ms": self.scan_every_ms,
            "overflows": self.overflows,
            "limit_reached": self.limit_reached,
            "last_error": self.last_error.as_ref().map(|(error, _)| error),
            "last_error_at": self.last_error.as_ref().map(|(_, at)| at),
            "ignored": self.ignored,
        })
    }
}
