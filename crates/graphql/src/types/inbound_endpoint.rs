//! The `InboundEndpoint` type.

use async_graphql::{Context, Enum, ID, Object, Result};
use cogwheel_engine::DEFAULT_TENANT;
use cogwheel_engine::views::{EndpointView, TimeCursor};

use super::Workflow;
use super::connection::Listed;
use super::instant::Instant;
use crate::cursor::Cursor;
use crate::errors::internal;
use crate::ids::GlobalId;
use crate::loaders::load;

/// An address at which calls come in.
pub(crate) struct InboundEndpoint(EndpointView);

impl From<EndpointView> for InboundEndpoint {
    fn from(view: EndpointView) -> Self {
        Self(view)
    }
}

impl Listed for InboundEndpoint {
    fn cursor(&self) -> String {
        TimeCursor { at: self.0.created_at, id: self.0.id.0 }.encode()
    }
}

/// How calls show that they come from where they should.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum SignatureMode {
    /// By the headers of Standard Webhooks; where the workflow names no kind, by GitHub's as well.
    StandardWebhooks,
    /// By the header `x-hub-signature-256`.
    Github,
    /// By the secret itself, as a bearer token.
    Bearer,
    /// Not at all: anybody may call.
    None,
}

/// An inbound webhook: an address whose calls start a workflow.
#[Object]
impl InboundEndpoint {
    /// Its global id.
    pub(crate) async fn id(&self) -> ID {
        GlobalId::InboundEndpoint(self.0.id).encode()
    }

    /// Its key in the workflow.
    async fn trigger_key(&self) -> &str {
        &self.0.trigger_key
    }

    /// The last part of its address.
    async fn path(&self) -> &str {
        &self.0.path
    }

    /// Its address on this server.
    async fn url(&self) -> String {
        format!("/hooks/{DEFAULT_TENANT}/{}", self.0.path)
    }

    /// The HTTP methods that it takes.
    async fn methods(&self) -> Vec<String> {
        let methods = self.0.methods.as_array().into_iter().flatten();
        methods.filter_map(|method| method.as_str()).map(str::to_owned).collect()
    }

    /// How calls must be signed.
    async fn signature_mode(&self) -> Result<SignatureMode> {
        Ok(match self.0.signature_mode.as_str() {
            "standard_webhooks" => SignatureMode::StandardWebhooks,
            "hub_sha256" => SignatureMode::Github,
            "bearer" => SignatureMode::Bearer,
            "none" => SignatureMode::None,
            other => return Err(internal(&format_args!("`{other}` is no kind of signature"))),
        })
    }

    /// Whether a call is answered with the result of its execution.
    async fn replies(&self) -> bool {
        self.0.replies
    }

    /// Whether it takes calls.
    async fn is_enabled(&self) -> bool {
        self.0.is_enabled
    }

    /// How often it was called; counted within a second.
    async fn total_calls(&self) -> i64 {
        self.0.total_calls
    }

    /// How often a call was refused.
    async fn rejected_calls(&self) -> i64 {
        self.0.rejected_calls
    }

    /// When it was called last.
    async fn last_called_at(&self) -> Option<Instant> {
        self.0.last_called_at.map(Into::into)
    }

    /// The workflow that it starts.
    async fn workflow(&self, ctx: &Context<'_>) -> Result<Workflow> {
        let workflow = load(ctx, self.0.workflow).await?;
        workflow.map(Workflow::from).ok_or_else(|| internal(&format_args!("endpoint {} has no workflow", self.0.id)))
    }
}
