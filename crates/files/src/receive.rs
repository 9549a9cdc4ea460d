//! Bytes that come piece by piece: gathered, hashed and written a chunk at a time.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use cogwheel_engine::ports::{BlobError, BlobKey, Incoming};
use sha2::{Digest as _, Sha256};

use super::folder::blocking;
use super::write::{self, CHUNK, failed_at};

/// Takes bytes in; what it wrote is removed unless it is placed.
pub(super) struct Receiver {
    /// What has come since the last write.
    gathered: Vec<u8>,
    /// What is on the disk; away while a thread writes to it, and for good once that failed.
    written: Option<Written>,
}

struct Written {
    file: File,
    incoming: write::Incoming<Arc<Path>>,
    hash: Sha256,
    /// Its key, once it is whole and durable.
    key: Option<BlobKey>,
}

impl Receiver {
    pub(super) fn begin(root: Arc<Path>) -> Result<Self, BlobError> {
        let (incoming, file) = write::Incoming::begin(root)?;
        let written = Written { file, incoming, hash: Sha256::new(), key: None };
        Ok(Self { gathered: Vec::with_capacity(CHUNK), written: Some(written) })
    }

    /// Works on what is written where that may block. After a failure there is nothing left to work on.
    async fn work(
        &mut self,
        work: impl FnOnce(&mut Written, &[u8]) -> Result<(), BlobError> + Send + 'static,
    ) -> Result<(), BlobError> {
        let Some(mut written) = self.written.take() else { return Err(broken_off()) };
        let mut gathered = std::mem::take(&mut self.gathered);
        let (written, gathered) = blocking(move || {
            work(&mut written, &gathered)?;
            gathered.clear();
            Ok((written, gathered))
        })
        .await?;
        (self.written, self.gathered) = (Some(written), gathered);
        Ok(())
    }
}

impl Written {
    fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.hash.update(bytes);
        self.file.write_all(bytes).map_err(failed_at(self.incoming.path()))
    }
}

#[async_trait]
impl Incoming for Receiver {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        let mut bytes = bytes;
        while !bytes.is_empty() {
            let room = CHUNK.saturating_sub(self.gathered.len());
            let (now, later) = bytes.split_at(bytes.len().min(room));
            self.gathered.extend_from_slice(now);
            bytes = later;
            if self.gathered.len() >= CHUNK {
                self.work(Written::write).await?;
            }
        }
        Ok(())
    }

    async fn finish(&mut self) -> Result<BlobKey, BlobError> {
        self.work(|written, rest| {
            written.write(rest)?;
            written.file.sync_all().map_err(failed_at(written.incoming.path()))?;
            written.key = Some(BlobKey::of_hash(std::mem::take(&mut written.hash).finalize().into()));
            Ok(())
        })
        .await?;
        // Nothing comes any more, and the files of a form wait for one another.
        self.gathered = Vec::new();
        self.written.as_ref().and_then(|written| written.key.clone()).ok_or_else(broken_off)
    }

    async fn place(mut self: Box<Self>) -> Result<BlobKey, BlobError> {
        let Some(Written { file, incoming, key: Some(key), .. }) = self.written.take() else {
            return Err(broken_off());
        };
        blocking(move || {
            incoming.place(&key)?;
            // Its lock kept the bytes from being taken for abandoned until they were in their place.
            drop(file);
            Ok(key)
        })
        .await
    }
}

fn broken_off() -> BlobError {
    let source = std::io::Error::other("the bytes were not taken in to their end");
    BlobError::Unavailable { path: "incoming".into(), source }
}
