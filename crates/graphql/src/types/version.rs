//! The `WorkflowVersion` type.

use async_graphql::{Context, ID, Object, Result};
use cogwheel_engine::views::VersionView;
use serde_json::Value;

use super::Workflow;
use super::instant::Instant;
use crate::errors::internal;
use crate::ids::GlobalId;
use crate::loaders::load;

/// One saved version of a workflow.
pub(crate) struct WorkflowVersion(VersionView);

impl From<VersionView> for WorkflowVersion {
    fn from(view: VersionView) -> Self {
        Self(view)
    }
}

/// One saved version of a workflow. An execution runs the version it began with to its end.
#[Object]
impl WorkflowVersion {
    /// Its global id.
    pub(crate) async fn id(&self) -> ID {
        GlobalId::WorkflowVersion(self.0.id).encode()
    }

    /// The workflow.
    async fn workflow(&self, ctx: &Context<'_>) -> Result<Workflow> {
        let workflow = load(ctx, self.0.workflow).await?;
        workflow.map(Workflow::from).ok_or_else(|| internal(&format_args!("version {} has no workflow", self.0.id)))
    }

    /// Its number, from 1.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// The text as written.
    async fn source(&self) -> &str {
        &self.0.source
    }

    /// The compiled form.
    async fn definition(&self) -> &Value {
        &self.0.definition
    }

    /// SHA-256 of the text, in hex.
    async fn checksum(&self) -> &str {
        &self.0.checksum
    }

    /// Whether new executions run it.
    async fn is_active(&self) -> bool {
        self.0.is_active
    }

    /// When it was saved.
    async fn created_at(&self) -> Instant {
        self.0.created_at.into()
    }
}
