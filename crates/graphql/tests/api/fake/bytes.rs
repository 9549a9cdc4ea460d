//! Bytes that the made-up rows refer to.

use std::path::Path;

use async_trait::async_trait;
use cogwheel_engine::ports::{BlobError, BlobKey, Blobs, Incoming, OpenBlob};

use super::Fake;

#[async_trait]
impl Blobs for Fake {
    async fn put(&self, _: Vec<u8>) -> Result<BlobKey, BlobError> {
        unreachable!("the API keeps nothing")
    }

    async fn put_file(&self, _: &Path, _: u64) -> Result<(BlobKey, u64), BlobError> {
        unreachable!("the API keeps nothing")
    }

    async fn receive(&self) -> Result<Box<dyn Incoming>, BlobError> {
        unreachable!("nothing is uploaded here")
    }

    async fn copy_to(&self, _: &BlobKey, _: &Path) -> Result<(), BlobError> {
        unreachable!("nothing is uploaded here")
    }

    async fn get(&self, key: &BlobKey, _limit: u64) -> Result<Vec<u8>, BlobError> {
        let found = self.rows(|rows| rows.blobs.get(key.as_str()).cloned());
        found.ok_or_else(|| BlobError::Missing(key.clone()))
    }

    async fn open(&self, _: &BlobKey, _: u64) -> Result<OpenBlob, BlobError> {
        unreachable!("no field is a stream")
    }

    fn is_shared(&self) -> bool {
        false
    }
}
