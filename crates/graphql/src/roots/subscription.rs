//! What can be followed.

use std::sync::Arc;

use async_graphql::{Context, ID, Result, Subscription};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use crate::Services;
use crate::errors::bad_input;
use crate::follow::{ExecutionChange, Position, follow_execution, follow_workflow};
use crate::ids::execution_id;

/// What can be followed.
pub(crate) struct Subscription;

/// What can be followed.
#[Subscription]
impl Subscription {
    /// Executions as they change: one of them, or all of a workflow. Brings the present state at once, then again after
    /// each change; a slow client skips intermediate states but never misses the newest. Following one execution
    /// completes after its end. Give exactly one of `id` and `workflow`.
    async fn execution_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The execution to follow: its global id, or its bare UUID.")] id: Option<ID>,
        #[graphql(desc = "The name of the workflow whose executions to follow.")] workflow: Option<String>,
        #[graphql(
            desc = "The last position that was received: go on from there and miss nothing. What changed within \
                          the last seconds before it may come again."
        )]
        after: Option<String>,
    ) -> Result<BoxStream<'static, Result<ExecutionChange>>> {
        let services = Arc::clone(ctx.data::<Arc<dyn Services>>()?);
        let after = after.as_deref().map(read_position).transpose()?;
        Ok(match (id, workflow) {
            (Some(id), None) => follow_execution(services, execution_id(&id)?, after).await?.boxed(),
            (None, Some(name)) => follow_workflow(services, name, after).await?.boxed(),
            _ => return Err(bad_input("give exactly one of `id` and `workflow`")),
        })
    }
}

fn read_position(text: &str) -> Result<Position> {
    Position::decode(text)
        .ok_or_else(|| bad_input("`after` is not a position of this subscription; use one that it has given"))
}
