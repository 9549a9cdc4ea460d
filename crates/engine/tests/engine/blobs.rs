//! A place for bytes that nobody brings: no step here leaves a file or puts out much.

use std::path::Path;

use async_trait::async_trait;
use cogwheel_engine::ports::{BlobError, BlobKey, Blobs, Incoming, OpenBlob};

pub(crate) struct NoBlobs;

#[async_trait]
impl Blobs for NoBlobs {
    async fn put(&self, _: Vec<u8>) -> Result<BlobKey, BlobError> {
        unreachable!("nothing here is large")
    }

    async fn put_file(&self, _: &Path, _: u64) -> Result<(BlobKey, u64), BlobError> {
        unreachable!("no step here leaves a file")
    }

    async fn receive(&self) -> Result<Box<dyn Incoming>, BlobError> {
        unreachable!("nothing is uploaded here")
    }

    async fn copy_to(&self, _: &BlobKey, _: &Path) -> Result<(), BlobError> {
        unreachable!("nothing is uploaded here")
    }

    async fn get(&self, key: &BlobKey, _: u64) -> Result<Vec<u8>, BlobError> {
        Err(BlobError::Missing(key.clone()))
    }

    async fn open(&self, key: &BlobKey, _: u64) -> Result<OpenBlob, BlobError> {
        Err(BlobError::Missing(key.clone()))
    }

    fn is_shared(&self) -> bool {
        true
    }
}
