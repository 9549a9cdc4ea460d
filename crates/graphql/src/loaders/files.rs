//! Keys of files.

use std::collections::HashMap;

use async_graphql::dataloader::Loader;
use cogwheel_engine::views::FileView;
use cogwheel_engine::{ExecutionId, FileId};

use super::{Batches, by_key, rekeyed};
use crate::errors::ReadFailed;

impl Loader<FileId> for Batches {
    type Value = FileView;
    type Error = ReadFailed;

    async fn load(&self, keys: &[FileId]) -> Result<HashMap<FileId, FileView>, ReadFailed> {
        by_key(self.reads().files_by_id(self.tenant(), keys).await, |row| row.id, |row| row)
    }
}

/// The input files of an execution.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FilesOfExecution(pub(crate) ExecutionId);

impl Loader<FilesOfExecution> for Batches {
    type Value = Vec<FileView>;
    type Error = ReadFailed;

    async fn load(&self, keys: &[FilesOfExecution]) -> Result<HashMap<FilesOfExecution, Self::Value>, ReadFailed> {
        let executions: Vec<_> = keys.iter().map(|key| key.0).collect();
        rekeyed(self.reads().files_of_executions(self.tenant(), &executions).await, FilesOfExecution)
    }
}
