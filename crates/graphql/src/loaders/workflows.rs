//! Keys of workflows and their versions.

use std::collections::HashMap;

use async_graphql::dataloader::Loader;
use cogwheel_engine::views::{ExecutionView, Page, PageRequest, VersionView, WorkflowView};
use cogwheel_engine::{VersionId, WorkflowId};

use super::{Batches, by_key, by_page, rekeyed};
use crate::errors::ReadFailed;

impl Loader<WorkflowId> for Batches {
    type Value = WorkflowView;
    type Error = ReadFailed;

    async fn load(&self, keys: &[WorkflowId]) -> Result<HashMap<WorkflowId, WorkflowView>, ReadFailed> {
        by_key(self.reads().workflows_by_id(self.tenant(), keys).await, |row| row.id, |row| row)
    }
}

impl Loader<VersionId> for Batches {
    type Value = VersionView;
    type Error = ReadFailed;

    async fn load(&self, keys: &[VersionId]) -> Result<HashMap<VersionId, VersionView>, ReadFailed> {
        by_key(self.reads().versions_by_id(self.tenant(), keys).await, |row| row.id, |row| row)
    }
}

/// A page of a workflow's executions.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ExecutionsPage {
    pub(crate) workflow: WorkflowId,
    pub(crate) page: PageRequest,
}

impl Loader<ExecutionsPage> for Batches {
    type Value = Page<ExecutionView>;
    type Error = ReadFailed;

    async fn load(&self, keys: &[ExecutionsPage]) -> Result<HashMap<ExecutionsPage, Self::Value>, ReadFailed> {
        let mut loaded = HashMap::new();
        for (page, workflows) in by_page(keys, |key| (key.page, key.workflow)) {
            let pages = self.reads().executions_of_workflows(self.tenant(), &workflows, page).await;
            loaded.extend(rekeyed(pages, |workflow| ExecutionsPage { workflow, page })?);
        }
        Ok(loaded)
    }
}

/// How many executions a workflow has.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CountExecutions(pub(crate) WorkflowId);

impl Loader<CountExecutions> for Batches {
    type Value = u64;
    type Error = ReadFailed;

    async fn load(&self, keys: &[CountExecutions]) -> Result<HashMap<CountExecutions, u64>, ReadFailed> {
        let workflows: Vec<_> = keys.iter().map(|key| key.0).collect();
        let counts = self.reads().count_executions_of_workflows(self.tenant(), &workflows).await;
        rekeyed(counts, CountExecutions)
    }
}
