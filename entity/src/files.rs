//! Ledger of every file version seen by a watch, uploaded, or written by a step.

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::declared::{Declared, Words};

/// Words of `files.file_source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum FileSource {
    Watch,
    Upload,
    Step,
}

/// Words of `files.change_kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum ChangeKind {
    Created,
    Modified,
    Deleted,
}

/// Words of `files.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum FileStatus {
    Detected,
    Settling,
    Ready,
    Processing,
    Processed,
    Failed,
    Skipped,
    Deleted,
}

/// Words of `files.decision_reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum DecisionReason {
    NewVersion,
    DuplicateVersion,
    FilteredPattern,
    FilteredExtension,
    FilteredMime,
    FilteredSize,
    HiddenOrTemporary,
    Vanished,
    Unreadable,
    UnsafeContent,
    WorkflowNotExecutable,
    Quota,
}

/// Words of `files.scan_status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum ScanStatus {
    NotScanned,
    Clean,
    Rejected,
    ScanFailed,
}

/// Words of `files.after_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum AfterState {
    None,
    Pending,
    Done,
    Failed,
}

/// Ledger of every file version seen by a watch, uploaded, or written by a step.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "files")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub file_watch_id: Option<Uuid>,
    pub file_source: FileSource,
    #[sea_orm(default_value = "created")]
    pub change_kind: ChangeKind,
    /// Safe name.
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub filename: String,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub original_filename: String,
    #[sea_orm(column_type = "String(StringLen::N(4096))")]
    pub file_path: Option<String>,
    /// SHA-256 of the absolute path.
    #[sea_orm(column_type = "Char(Some(64))")]
    pub path_hash: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(1024))")]
    pub storage_key: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub mime_type: Option<String>,
    pub file_size: i64,
    /// SHA-256 of the content.
    #[sea_orm(column_type = "Char(Some(64))")]
    pub file_hash: Option<String>,
    pub modified_at: Option<DateTimeUtc>,
    #[sea_orm(column_type = "String(StringLen::N(64))")]
    pub device_identity: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(64))")]
    pub inode_identity: Option<String>,
    /// SHA-256 over path, size, `modified_at`, device, inode, `file_hash` (a deletion: over the
    /// version it ended), or over path and reason of what starts nothing; each is in the ledger of a watch once.
    #[sea_orm(column_type = "Char(Some(64))")]
    pub fingerprint: Option<String>,
    #[sea_orm(default_value = "detected")]
    pub status: FileStatus,
    pub decision_reason: Option<DecisionReason>,
    #[sea_orm(column_type = "String(StringLen::N(100))")]
    pub batch_key: Option<String>,
    #[sea_orm(default_value = 0)]
    pub retry_count: i32,
    #[sea_orm(column_type = "JsonBinary")]
    pub error: Option<Json>,
    #[sea_orm(column_type = "Text")]
    pub extracted_content: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    pub extraction_metadata: Option<Json>,
    #[sea_orm(default_value = "not_scanned")]
    pub scan_status: ScanStatus,
    #[sea_orm(default_value = "none")]
    pub after_state: AfterState,
    pub uploaded_by_user_id: Option<Uuid>,
    pub first_seen_at: DateTimeUtc,
    pub settled_at: Option<DateTimeUtc>,
    pub processed_at: Option<DateTimeUtc>,
    pub deleted_at: Option<DateTimeUtc>,
    pub bytes_removed_at: Option<DateTimeUtc>,
    /// Where it was moved, or is about to be, once its execution has ended.
    #[sea_orm(column_type = "String(StringLen::N(4096))")]
    pub after_target: Option<String>,
    #[sea_orm(default_value = "now")]
    pub created_at: DateTimeUtc,
    #[sea_orm(default_value = "now")]
    pub updated_at: DateTimeUtc,
}

/// The rows this one points at.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::tenants::Entity",
        from = "Column::TenantId",
        to = "super::tenants::Column::Id",
        on_delete = "Restrict"
    )]
    Tenant,
    #[sea_orm(
        belongs_to = "super::file_watches::Entity",
        from = "Column::FileWatchId",
        to = "super::file_watches::Column::Id",
        on_delete = "SetNull"
    )]
    FileWatch,
    #[sea_orm(
        belongs_to = "super::users::Entity",
        from = "Column::UploadedByUserId",
        to = "super::users::Column::Id",
        on_delete = "SetNull"
    )]
    UploadedByUser,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Std;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<FileSource>(Column::FileSource)
            .words::<ChangeKind>(Column::ChangeKind)
            .words::<FileStatus>(Column::Status)
            .words::<DecisionReason>(Column::DecisionReason)
            .words::<ScanStatus>(Column::ScanStatus)
            .words::<AfterState>(Column::AfterState)
            .indexes([
                unique("uq_files_file_watch_id_fingerprint", "file_watch_id, fingerprint")
                    .partial("file_watch_id is not null")
                    .serves("a version is handled once"),
                unique("uq_files_open_candidate", "file_watch_id, path_hash")
                    .partial("status in ('detected', 'settling')")
                    .serves("one open candidate per path"),
                index("idx_files_file_watch_id", "file_watch_id, first_seen_at")
                    .partial("file_watch_id is not null")
                    .serves("ledger of a watch"),
                index("idx_files_tenant_id", "tenant_id, created_at, id").serves("default list"),
                index("idx_files_status", "tenant_id, status, created_at").serves("list by status; statistics"),
                index("idx_files_open", "status, updated_at")
                    .partial("status in ('detected', 'settling', 'ready', 'processing')")
                    .serves("work not finished; age alarm"),
                index("idx_files_file_hash", "file_hash").partial("file_hash is not null").serves("same content"),
                index("idx_files_storage_key", "storage_key")
                    .partial("storage_key is not null")
                    .serves("are these bytes still referenced"),
            ])
            .key_indexes(["uploaded_by_user_id"])
            .indexes([index("idx_files_after", "status, id")
                .partial("after_state = 'pending'")
                .serves("files whose executions have ended and with which something is to be done")])
            .check("ck_files_size", "file_size >= 0 and retry_count >= 0")
            .check("ck_files_skipped", "status <> 'skipped' or decision_reason is not null")
            .check("ck_files_deleted", "(status = 'deleted') = (deleted_at is not null)")
            .search(
                [("filename", 'A'), ("original_filename", 'A'), ("extracted_content", 'B'), ("mime_type", 'C')],
                Some("filename"),
            )
    }
}
