//! Blobs in memory, for tests.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

use super::{BlobError, BlobKey, Blobs, Incoming, OpenBlob};

/// Keeps bytes until it is dropped, and has no room for the first few.
#[derive(Default)]
pub(crate) struct MemoryBlobs {
    kept: Mutex<HashMap<BlobKey, Vec<u8>>>,
    refusals: AtomicUsize,
}

impl MemoryBlobs {
    /// Refuses so many puts before it takes one.
    pub(crate) fn full_for(refusals: usize) -> Self {
        Self { refusals: AtomicUsize::new(refusals), ..Self::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.kept.lock().unwrap().len()
    }
}

#[async_trait]
impl Blobs for MemoryBlobs {
    async fn put(&self, bytes: Vec<u8>) -> Result<BlobKey, BlobError> {
        let refuse = |left: usize| left.checked_sub(1);
        if self.refusals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, refuse).is_ok() {
            return Err(BlobError::NoSpace { path: "memory".into(), source: io::ErrorKind::StorageFull.into() });
        }
        let key = BlobKey::of_hash(Sha256::digest(&bytes).into());
        self.kept.lock().unwrap().insert(key.clone(), bytes);
        Ok(key)
    }

    async fn put_file(&self, path: &Path, limit: u64) -> Result<(BlobKey, u64), BlobError> {
        let bytes = std::fs::read(path).map_err(|source| BlobError::Unreadable { path: path.to_owned(), source })?;
        let size = bytes.len() as u64;
        if size > limit {
            return Err(BlobError::TooLarge { path: path.to_owned(), limit });
        }
        Ok((self.put(bytes).await?, size))
    }

    async fn receive(&self) -> Result<Box<dyn Incoming>, BlobError> {
        unreachable!("the tests of uploads have a folder")
    }

    async fn copy_to(&self, key: &BlobKey, path: &Path) -> Result<(), BlobError> {
        let bytes = self.get(key, u64::MAX).await?;
        std::fs::write(path, bytes).map_err(|source| BlobError::Unavailable { path: path.to_owned(), source })
    }

    async fn get(&self, key: &BlobKey, _limit: u64) -> Result<Vec<u8>, BlobError> {
        self.kept.lock().unwrap().get(key).cloned().ok_or_else(|| BlobError::Missing(key.clone()))
    }

    async fn open(&self, key: &BlobKey, from: u64) -> Result<OpenBlob, BlobError> {
        let mut reader = io::Cursor::new(self.get(key, u64::MAX).await?);
        reader.set_position(from);
        Ok(OpenBlob { size: reader.get_ref().len() as u64, reader: Box::pin(reader) })
    }

    fn is_shared(&self) -> bool {
        false
    }
}
