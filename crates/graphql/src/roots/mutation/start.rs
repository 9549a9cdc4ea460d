//! Starting workflows.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};
use cogwheel_engine::{ExecutionId, StartRequest};
use serde_json::Value;

use super::user_error::{UserError, not_started, object};
use crate::Services;
use crate::errors::internal;
use crate::loaders::load;
use crate::types::Execution;

/// What starts executions.
#[derive(Default)]
pub(super) struct StartMutations;

/// What starts executions.
#[Object]
impl StartMutations {
    /// Starts a workflow. Durable when it answers; the execution goes on whether or not anybody follows it.
    async fn start_workflow(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to start.")] input: StartWorkflowInput,
    ) -> Result<StartWorkflowPayload> {
        let request = match input.read() {
            Ok(request) => request,
            Err(problem) => return Ok(StartWorkflowPayload::refused(vec![problem])),
        };
        match ctx.data::<Arc<dyn Services>>()?.start(request).await {
            Ok(started) => {
                let execution = Some(stored(ctx, started.id).await?);
                Ok(StartWorkflowPayload { execution, user_errors: Vec::new() })
            }
            Err(refused) => Ok(StartWorkflowPayload::refused(not_started(&refused, "workflow")?)),
        }
    }
}

/// An execution that has just been recorded.
pub(super) async fn stored(ctx: &Context<'_>, id: ExecutionId) -> Result<Execution> {
    let row = load(ctx, id).await?;
    row.map(Execution::from).ok_or_else(|| internal(&format_args!("execution {id} was not stored")))
}

/// What to start.
#[derive(InputObject)]
struct StartWorkflowInput {
    /// The workflow's name.
    workflow: String,
    /// Its inputs, an object; what is left out takes its default.
    inputs: Option<Value>,
    /// The same key of the same workflow is the same execution: starting again answers with the first one.
    idempotency_key: Option<String>,
}

impl StartWorkflowInput {
    fn read(self) -> Result<StartRequest, UserError> {
        Ok(StartRequest::manual(self.workflow, object(self.inputs)?, self.idempotency_key))
    }
}

/// What came of a start.
#[derive(SimpleObject)]
struct StartWorkflowPayload {
    /// The execution; null when there are errors.
    execution: Option<Execution>,
    /// What the caller can mend; empty when it was started.
    user_errors: Vec<UserError>,
}

impl StartWorkflowPayload {
    fn refused(user_errors: Vec<UserError>) -> Self {
        Self { execution: None, user_errors }
    }
}
