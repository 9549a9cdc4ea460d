//! Rows of uploaded files.

use cogwheel_engine::FileId;
use cogwheel_engine::ports::{NewRow, NewUpload};
use cogwheel_entity::files;
use sea_orm::ActiveEnum as _;
use serde::Serialize;
use serde_json::json;

use super::{Document, Instant, Key};
use crate::rows::decision_reason;
use crate::values::storable_text;

/// A new row of `files` for an upload.
#[derive(Debug, Serialize)]
pub(in crate::journal) struct UploadColumns {
    pub(in crate::journal) id: Key,
    pub(in crate::journal) tenant_id: Key,
    pub(in crate::journal) file_watch_id: Option<Key>,
    pub(in crate::journal) filename: String,
    pub(in crate::journal) original_filename: String,
    pub(in crate::journal) storage_key: String,
    pub(in crate::journal) mime_type: String,
    pub(in crate::journal) file_size: i64,
    pub(in crate::journal) status: String,
    pub(in crate::journal) decision_reason: String,
    pub(in crate::journal) error: Option<Document>,
    pub(in crate::journal) created_at: Instant,
}

impl UploadColumns {
    pub(in crate::journal) fn of(upload: &NewUpload) -> Self {
        let (status, reason) = match &upload.refusal {
            Some((reason, _)) => (files::FileStatus::Ready, decision_reason(*reason)),
            None => (files::FileStatus::Processing, files::DecisionReason::NewVersion),
        };
        let why = |(_, detail): &(_, String)| json!({ "kind": reason.to_value(), "message": detail });
        Self {
            id: Key(upload.id.0),
            tenant_id: Key(upload.tenant.0),
            file_watch_id: upload.watch.map(|watch| Key(watch.0)),
            filename: storable_text(&upload.filename),
            original_filename: storable_text(&upload.original_filename),
            storage_key: upload.storage_key.as_str().to_owned(),
            mime_type: upload.media_type.clone(),
            file_size: upload.size,
            status: status.to_value(),
            decision_reason: reason.to_value(),
            error: Document::of_option(upload.refusal.as_ref().map(why).as_ref()),
            created_at: Instant(upload.at),
        }
    }
}

/// A new row of `execution_files` for a file that is recorded already.
#[derive(Debug, Serialize)]
pub(in crate::journal) struct LinkColumns {
    /// The file.
    pub(in crate::journal) id: Key,
    pub(in crate::journal) tenant_id: Key,
    pub(in crate::journal) execution_id: Key,
    pub(in crate::journal) created_at: Instant,
}

impl LinkColumns {
    pub(in crate::journal) fn of(row: &NewRow, file: FileId) -> Self {
        Self {
            id: Key(file.0),
            tenant_id: Key(row.tenant.0),
            execution_id: Key(row.id.0),
            created_at: Instant(row.created_at),
        }
    }
}
