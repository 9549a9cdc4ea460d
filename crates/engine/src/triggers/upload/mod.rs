//! Uploaded files: received, kept, and recorded together with the executions that they set off.

mod decide;
mod fields;
pub(crate) mod given;
mod name;
mod receive;
mod record;

use crate::ports::{BlobError, StoreError};

pub use fields::{MAX_FIELD_BYTES, UploadFields};
pub(crate) use given::Given;
pub use receive::{ReceivedUpload, Receiving};
pub use record::Uploaded;

/// What may be uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadLimits {
    /// The most bytes of a file.
    pub max_size: u64,
    /// The media types, as `mime` of a trigger names them; none for any.
    pub allowed_types: Vec<String>,
}

/// Why an upload is not taken.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// Nothing can be called that.
    #[error("the file name cannot be used: {0}")]
    BadName(&'static str),
    /// It has more bytes than a file may have.
    #[error("the file is larger than {limit} bytes, the most that {setting} allows")]
    TooLarge {
        /// The most bytes.
        limit: u64,
        /// What says so.
        setting: &'static str,
    },
    /// It is nothing that may be uploaded.
    #[error("the content of the file is {media_type}, and {setting} allows only {allowed}")]
    TypeNotAllowed {
        /// What it is, by its content.
        media_type: String,
        /// What may be uploaded.
        allowed: String,
        /// What says so.
        setting: &'static str,
    },
    /// A field of its form cannot be taken.
    #[error("the field `{name}` cannot be taken: {why}")]
    InvalidField {
        /// The field.
        name: String,
        /// Why.
        why: &'static str,
    },
    /// The idempotency key cannot be stored.
    #[error("the idempotency key cannot be used: {0}")]
    InvalidIdempotencyKey(&'static str),
    /// The same key came with another file.
    #[error("the idempotency key was used for another file; use a new key for each file")]
    KeyInUse,
    /// Other servers work on the database, and could not read the bytes.
    #[error(
        "several servers work on this database, and do not share a folder for bytes: set `blobs_dir` to the same folder \
         for all of them"
    )]
    NotShared,
    /// The server is stopping.
    #[error("the server is stopping and takes no uploads; try again when it is back")]
    Draining,
    /// The bytes could not be kept.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The store could not record it.
    #[error(transparent)]
    Store(#[from] StoreError),
}
