//! Changing workflows.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};
use cogwheel_engine::{PauseError, WorkflowRef};

use super::user_error::{UserError, UserErrorCode};
use crate::Services;
use crate::errors::store_failed;
use crate::loaders::load;
use crate::types::Workflow;

/// What changes workflows.
#[derive(Default)]
pub(super) struct WorkflowMutations;

/// What changes workflows.
#[Object]
impl WorkflowMutations {
    /// Pauses or resumes a workflow. A paused one is started by nobody: neither by people nor by its triggers nor by other
    /// workflows. Executions that are live go on. In force, and durable, when it answers.
    async fn set_workflow_enabled(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which workflow, and whether it may be started.")] input: SetWorkflowEnabledInput,
    ) -> Result<SetWorkflowEnabledPayload> {
        let workflow = WorkflowRef::Name(input.workflow);
        match ctx.data::<Arc<dyn Services>>()?.set_enabled(workflow, input.enabled).await {
            Ok(id) => {
                let workflow = load(ctx, id).await?.map(Workflow::from);
                Ok(SetWorkflowEnabledPayload { workflow, user_errors: Vec::new() })
            }
            Err(refused) => {
                let code = match &refused {
                    PauseError::UnknownWorkflow { .. } => UserErrorCode::UnknownWorkflow,
                    PauseError::Store(error) => return Err(store_failed(error)),
                };
                let user_errors = vec![UserError::at("workflow", code, refused.to_string())];
                Ok(SetWorkflowEnabledPayload { workflow: None, user_errors })
            }
        }
    }
}

/// Which workflow, and whether it may be started.
#[derive(InputObject)]
struct SetWorkflowEnabledInput {
    /// The workflow's name.
    workflow: String,
    /// Whether it may be started from now on: false pauses it, true resumes it.
    enabled: bool,
}

/// What came of pausing or resuming a workflow.
#[derive(SimpleObject)]
struct SetWorkflowEnabledPayload {
    /// The workflow as it stands; null when there are errors.
    workflow: Option<Workflow>,
    /// What the caller can mend; empty when it is done.
    user_errors: Vec<UserError>,
}
