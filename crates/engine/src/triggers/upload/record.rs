//! Records an upload whose bytes are here, once, with everything that it sets off.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::time::sleep;
use tracing::warn;
use uuid::Builder;

use super::decide::{Candidate, decide};
use super::{ReceivedUpload, UploadError};
use crate::ports::{NewUpload, RecordedUpload, Start, Started, StoreError};
use crate::start::{StartError, check_idempotency_key};
use crate::{Changed, Engine, FileId, TenantId};

/// The first and the longest pause between questions whether it is recorded.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The file that answers an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// Its id in the ledger.
    pub file: FileId,
    /// Whether this upload made it; `false` when the same key brought it before.
    pub is_new: bool,
}

impl Engine {
    /// Keeps and records an upload, and starts what asks for it. Durable when it returns. The same key finds the file of
    /// the first time.
    ///
    /// # Errors
    ///
    /// Why it is not taken.
    pub async fn record_upload(
        self: &Arc<Self>,
        received: ReceivedUpload,
        idempotency_key: Option<String>,
    ) -> Result<Uploaded, UploadError> {
        if self.is_draining() {
            return Err(UploadError::Draining);
        }
        if let Some(key) = &idempotency_key {
            check_idempotency_key(key).map_err(UploadError::InvalidIdempotencyKey)?;
        }
        let ReceivedUpload { incoming, key, media_type, size, name, sent_name, place, fields, .. } = received;
        let tenant = self.tenant();
        let id = match &idempotency_key {
            Some(key) => id_of_key(tenant, key, place),
            None => FileId(self.clock().new_id()),
        };
        if idempotency_key.is_some()
            && let Some(known) = self.known_upload(id, key.as_str()).await?
        {
            return Ok(known);
        }
        let at = self.clock().now();
        let bytes = u64::try_from(size).unwrap_or_default();
        let seen = json!({
            "id": id,
            "source": "upload",
            // Each execution has a path of its own.
            "path": null,
            "name": name,
            "size": bytes,
            "sha256": key.as_str(),
            "mime": media_type,
            "modified_at": at,
            "event": "created",
            "fields": fields.into_json(),
        });
        let candidate = Candidate { id, name: &name, media_type: &media_type, size: bytes, seen };
        let decision = decide(self, &candidate).await.map_err(not_decided)?;
        let refusal = decision.refusal();
        let watch = if let [watch] = decision.taken_by[..] { Some(watch) } else { None };
        let storage_key = key.clone();
        let new = NewUpload {
            id,
            tenant,
            watch,
            filename: name,
            original_filename: sent_name,
            storage_key,
            media_type,
            size,
            refusal,
            starts: decision.starts,
            at,
        };
        let starts = new.starts.clone();
        // The row must never outlive its bytes, so these come first; nothing that is refused comes this far.
        incoming.place().await?;
        match self.until_recorded(new).await? {
            RecordedUpload::Recorded(started) => {
                self.tell_of_starts(&starts, &started).await;
                Ok(Uploaded { file: id, is_new: true })
            }
            RecordedUpload::Known => {
                let known = self.known_upload(id, key.as_str()).await?;
                known.ok_or_else(|| StoreError::Bug(format!("the file {id} is known and not there")).into())
            }
        }
    }

    /// The file of this id, if it is there: it must be the same one.
    async fn known_upload(&self, id: FileId, sha256: &str) -> Result<Option<Uploaded>, UploadError> {
        let found = self.reads().files_by_id(self.tenant(), &[id]).await?;
        match found.first() {
            None => Ok(None),
            Some(file) if file.sha256.as_deref() == Some(sha256) => Ok(Some(Uploaded { file: id, is_new: false })),
            Some(_) => Err(UploadError::KeyInUse),
        }
    }

    /// When the answer gets lost, it is asked about until it is known what became of it.
    async fn until_recorded(&self, new: NewUpload) -> Result<RecordedUpload, StoreError> {
        let mut answer = self.store().record_upload(new.clone()).await;
        let mut pause = FIRST_PAUSE;
        let mut is_lost = false;
        while let Err(error) = &answer
            && (matches!(error, StoreError::Unanswered(_)) || is_lost && error.is_transient())
        {
            is_lost = true;
            warn!(file = %new.id, %error, "asking again whether an upload is recorded");
            if self.stop().run_until_cancelled(sleep(pause)).await.is_none() {
                break;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            answer = self.store().record_upload(new.clone()).await;
        }
        if is_lost && matches!(answer, Ok(RecordedUpload::Known)) {
            self.runner().tell_of_work().await;
        }
        answer
    }

    async fn tell_of_starts(&self, starts: &[Start], started: &[Started]) {
        if starts.is_empty() {
            return;
        }
        for started in started {
            if let Started::Replacing(others) = started {
                for other in others {
                    self.runner().tell(*other).await;
                }
            }
        }
        self.runner().tell_of_work().await;
        for start in starts {
            self.feed().notify(Changed { execution: start.row.id, workflow: start.row.workflow });
        }
    }
}

/// The id of what an idempotency key brings: the same however often it comes, so that it is recorded once.
fn id_of_key(tenant: TenantId, key: &str, place: usize) -> FileId {
    let mut hash = Sha256::new();
    hash.update(b"upload\0");
    hash.update(tenant.0.as_bytes());
    hash.update((place as u64).to_be_bytes());
    hash.update(key.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    FileId(Builder::from_custom_bytes(bytes).into_uuid())
}

fn not_decided(error: StartError) -> UploadError {
    match error {
        StartError::Store(error) => UploadError::Store(error),
        _ => UploadError::Draining,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_key_is_the_same_file_in_its_tenant_alone() {
        let (one, other) = (TenantId(Uuid::from_u128(1)), TenantId(Uuid::from_u128(2)));
        assert_eq!(id_of_key(one, "a", 0), id_of_key(one, "a", 0));
        assert_ne!(id_of_key(one, "a", 0), id_of_key(one, "b", 0));
        assert_ne!(id_of_key(one, "a", 0), id_of_key(one, "a", 1));
        assert_ne!(id_of_key(one, "a", 0), id_of_key(other, "a", 0));
    }
}
