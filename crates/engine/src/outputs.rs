//! Outputs that are too large for their rows: kept as blobs, with a reference in the row.
//!
//! In memory an output is always whole. It becomes a reference where its row is written, and is read back where the row
//! is read. Whatever looks like a reference is itself kept as a blob, so what is read as a reference was never put out
//! by a step.

use std::io::{self, Write};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::ports::{BlobError, BlobKey, Blobs};

/// The largest output, in bytes of JSON, that stands in its row: lists of rows must stay cheap to read.
pub(crate) const INLINE_LIMIT: usize = 64 * 1024;

/// The largest output of an attempt, in bytes of JSON: it is held in memory, several times while it is written. Step
/// types allow less by themselves; JSON can be longer than what it says.
pub(crate) const MAX_OUTPUT: usize = 64 * 1024 * 1024;

/// The field that makes a reference.
const KEY: &str = "$blob";
const SIZE: &str = "size";

/// Why an output could not be read back.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// Its bytes could not be read.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// They are no value.
    #[error("the bytes under the key {key} are no output: {source}")]
    Malformed {
        /// Their key.
        key: BlobKey,
        /// What is wrong with them.
        source: serde_json::Error,
    },
}

impl OutputError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Blob(error) if error.is_transient())
    }
}

/// Where outputs are kept, and which of them.
#[derive(Clone)]
pub(crate) struct Outputs {
    blobs: Arc<dyn Blobs>,
    inline_limit: usize,
}

impl Outputs {
    /// Where nodes do not share their blobs, outputs stay in the database whatever their size: any node may go on with
    /// an execution, and must find all of it.
    pub(crate) fn new(blobs: Arc<dyn Blobs>, is_clustered: bool) -> Self {
        let inline_limit = if is_clustered && !blobs.is_shared() { usize::MAX } else { INLINE_LIMIT };
        Self { blobs, inline_limit }
    }

    pub(crate) fn blobs(&self) -> &Arc<dyn Blobs> {
        &self.blobs
    }

    /// The bytes to keep for an output that does not stand in its row; `None` for one that does.
    pub(crate) fn to_offload(&self, output: &Value) -> Option<Vec<u8>> {
        let stands = is_at_most(output, self.inline_limit) && referenced(output).is_none();
        (!stands).then(|| output.to_string().into_bytes())
    }

    /// The output that `stored` refers to; `None` where it is the output itself.
    pub(crate) async fn read_back(&self, stored: &Value) -> Result<Option<Value>, OutputError> {
        let Some((key, size)) = referenced(stored) else { return Ok(None) };
        let bytes = self.blobs.get(&key, size).await?;
        serde_json::from_slice(&bytes).map(Some).map_err(|source| OutputError::Malformed { key, source })
    }
}

/// What stands in the row of an output that is kept elsewhere.
pub(crate) fn reference(key: &BlobKey, size: usize) -> Value {
    json!({ KEY: key, SIZE: size })
}

/// How many bytes an output has that `stored` only refers to; `None` where it is the output itself.
pub fn offloaded_size(stored: &Value) -> Option<u64> {
    referenced(stored).map(|(_, size)| size)
}

/// What a value refers to, if it is a reference.
fn referenced(value: &Value) -> Option<(BlobKey, u64)> {
    let fields = value.as_object().filter(|fields| fields.len() == 2)?;
    Some((fields.get(KEY)?.as_str()?.parse().ok()?, fields.get(SIZE)?.as_u64()?))
}

/// Whether a value is at most `limit` bytes of JSON, told without writing it down.
pub(crate) fn is_at_most(value: &Value, limit: usize) -> bool {
    serde_json::to_writer(Room(limit), value).is_ok()
}

/// Takes bytes until there is no room for more.
struct Room(usize);

impl Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or_else(|| io::Error::from(io::ErrorKind::StorageFull))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::MemoryBlobs;

    fn outputs(is_clustered: bool) -> Outputs {
        Outputs::new(Arc::new(MemoryBlobs::default()), is_clustered)
    }

    #[tokio::test]
    async fn what_is_large_or_looks_like_a_reference_is_kept_elsewhere_and_comes_back() {
        let outputs = outputs(false);
        let key = BlobKey::of_hash([7; 32]);
        let largest = json!("x".repeat(INLINE_LIMIT - 2));
        let near = [json!({"$blob": 3, "size": 1}), json!({"$blob": key, "size": 1, "more": 1})];
        for value in near.into_iter().chain([json!(null), largest]) {
            assert!(outputs.to_offload(&value).is_none());
            assert_eq!(outputs.read_back(&value).await.unwrap(), None);
        }
        for value in [json!({"rows": vec!["é\n"; 20_000]}), json!("x".repeat(INLINE_LIMIT - 1)), reference(&key, 7)] {
            let bytes = outputs.to_offload(&value).unwrap();
            let size = bytes.len();
            let stored = reference(&outputs.blobs.put(bytes).await.unwrap(), size);
            assert!(is_at_most(&stored, 128) && offloaded_size(&stored) == Some(size as u64));
            assert_eq!(outputs.read_back(&stored).await.unwrap(), Some(value));
        }
    }

    #[test]
    fn nodes_that_share_no_blobs_leave_outputs_in_the_database() {
        let large = json!("x".repeat(INLINE_LIMIT));
        assert!(outputs(false).to_offload(&large).is_some());
        assert!(outputs(true).to_offload(&large).is_none());
    }

    #[tokio::test]
    async fn what_cannot_be_read_back_is_told() {
        let outputs = outputs(false);
        let missing = outputs.read_back(&reference(&BlobKey::of_hash([7; 32]), 7)).await.unwrap_err();
        assert!(matches!(missing, OutputError::Blob(BlobError::Missing(_))) && !missing.is_transient());
        let key = outputs.blobs.put(b"no json".to_vec()).await.unwrap();
        let malformed = outputs.read_back(&reference(&key, 7)).await.unwrap_err();
        assert!(matches!(malformed, OutputError::Malformed { .. }) && !malformed.is_transient());
    }
}
