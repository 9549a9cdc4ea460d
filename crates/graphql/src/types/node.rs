//! The `Node` interface: any object by its global id.

use async_graphql::{Context, ID, Interface, Result};

use super::{
    Artifact, Execution, File, FileWatch, InboundEndpoint, Schedule, ScheduleFire, Step, Webhook, WebhookDelivery,
    Workflow, WorkflowVersion,
};
use crate::ids::GlobalId;
use crate::loaders::{ArtifactKey, FireKey, StepKey, load};

/// An object with a global id.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID", desc = "The object's global id; `node(id:)` finds it again."))]
pub(crate) enum Node {
    /// A workflow.
    Workflow(Workflow),
    /// A version of a workflow.
    WorkflowVersion(WorkflowVersion),
    /// An execution.
    Execution(Execution),
    /// A step of an execution.
    Step(Step),
    /// A file that a step left.
    Artifact(Artifact),
    /// A file version.
    File(File),
    /// A watch.
    FileWatch(FileWatch),
    /// An address for calls.
    InboundEndpoint(InboundEndpoint),
    /// A schedule.
    Schedule(Schedule),
    /// A due instant.
    ScheduleFire(ScheduleFire),
    /// An outgoing webhook.
    Webhook(Webhook),
    /// An event to an outgoing webhook.
    WebhookDelivery(WebhookDelivery),
}

/// The object that `id` names, if there is one.
pub(crate) async fn find_node(ctx: &Context<'_>, id: &ID) -> Result<Option<Node>> {
    Ok(match GlobalId::parse(id)? {
        GlobalId::Workflow(id) => load(ctx, id).await?.map(Workflow::from).map(Into::into),
        GlobalId::WorkflowVersion(id) => load(ctx, id).await?.map(WorkflowVersion::from).map(Into::into),
        GlobalId::WorkflowExecution(id) => load(ctx, id).await?.map(Execution::from).map(Into::into),
        GlobalId::StepExecution(id, ordinal) => load(ctx, StepKey(id, ordinal)).await?.map(Step::from).map(Into::into),
        GlobalId::Artifact(id) => load(ctx, ArtifactKey(id)).await?.map(Artifact::from).map(Into::into),
        GlobalId::File(id) => load(ctx, id).await?.map(File::from).map(Into::into),
        GlobalId::FileWatch(id) => load(ctx, id).await?.map(FileWatch::from).map(Into::into),
        GlobalId::InboundEndpoint(id) => load(ctx, id).await?.map(InboundEndpoint::from).map(Into::into),
        GlobalId::Schedule(id) => load(ctx, id).await?.map(Schedule::from).map(Into::into),
        GlobalId::ScheduleFire(id) => load(ctx, FireKey(id)).await?.map(ScheduleFire::from).map(Into::into),
        GlobalId::Webhook(id) => load(ctx, id).await?.map(Webhook::from).map(Into::into),
        GlobalId::WebhookDelivery(id) => load(ctx, id).await?.map(WebhookDelivery::from).map(Into::into),
    })
}
