//! The `Artifact` type.

use async_graphql::{Context, ID, Object, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cogwheel_engine::views::ArtifactView;

use super::Step;
use super::bytes::read;
use super::instant::Instant;
use crate::errors::bad_input;
use crate::ids::GlobalId;
use crate::loaders::{StepKey, load};

/// The largest file that an answer carries, in bytes: an answer is held in memory as a whole.
const MAX_CONTENT: u64 = 1024 * 1024;

/// A file that a step left.
pub(crate) struct Artifact(ArtifactView);

impl From<ArtifactView> for Artifact {
    fn from(view: ArtifactView) -> Self {
        Self(view)
    }
}

/// A file that a step left in its folder for artifacts.
#[Object]
impl Artifact {
    /// Its global id.
    pub(crate) async fn id(&self) -> ID {
        GlobalId::Artifact(self.0.id).encode()
    }

    /// Its name, unique in the execution: the step's key, `/`, and the path in the folder.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// What it holds, by the end of its name.
    async fn mime_type(&self) -> &str {
        &self.0.mime_type
    }

    /// Bytes.
    async fn size(&self) -> i64 {
        self.0.size
    }

    /// SHA-256 of the content, in hex.
    async fn sha256(&self) -> &str {
        &self.0.sha256
    }

    /// When it was kept first.
    async fn created_at(&self) -> Instant {
        self.0.created_at.into()
    }

    /// What it holds, in base64. An error for a file of more than 1 MiB.
    #[graphql(complexity = 10)]
    async fn content(&self, ctx: &Context<'_>) -> Result<String> {
        if self.0.size.unsigned_abs() > MAX_CONTENT {
            let message =
                format!("`{}` has {} bytes; an answer carries at most {MAX_CONTENT}", self.0.name, self.0.size);
            return Err(bad_input(message));
        }
        Ok(STANDARD.encode(read(ctx, &self.0.storage_key, self.0.size.unsigned_abs()).await?))
    }

    /// The step that left it.
    async fn step(&self, ctx: &Context<'_>) -> Option<Result<Step>> {
        let key = StepKey(self.0.execution, self.0.step_ordinal?);
        load(ctx, key).await.transpose().map(|found| found.map(Step::from))
    }
}
