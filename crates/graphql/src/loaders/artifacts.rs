//! Keys of artifacts.

use std::collections::HashMap;

use async_graphql::dataloader::Loader;
use cogwheel_engine::ExecutionId;
use cogwheel_engine::views::ArtifactView;
use uuid::Uuid;

use super::{Batches, by_key, rekeyed};
use crate::errors::ReadFailed;

/// One artifact.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ArtifactKey(pub(crate) Uuid);

impl Loader<ArtifactKey> for Batches {
    type Value = ArtifactView;
    type Error = ReadFailed;

    async fn load(&self, keys: &[ArtifactKey]) -> Result<HashMap<ArtifactKey, ArtifactView>, ReadFailed> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        by_key(self.reads().artifacts_by_id(self.tenant(), &ids).await, |row| ArtifactKey(row.id), |row| row)
    }
}

/// The files that a step left.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ArtifactsOf(pub(crate) ExecutionId, pub(crate) i32);

impl Loader<ArtifactsOf> for Batches {
    type Value = Vec<ArtifactView>;
    type Error = ReadFailed;

    async fn load(&self, keys: &[ArtifactsOf]) -> Result<HashMap<ArtifactsOf, Self::Value>, ReadFailed> {
        let steps: Vec<_> = keys.iter().map(|key| (key.0, key.1)).collect();
        let found = self.reads().artifacts_of_steps(self.tenant(), &steps).await;
        rekeyed(found, |(execution, ordinal)| ArtifactsOf(execution, ordinal))
    }
}
