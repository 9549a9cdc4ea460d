//! Keys of executions, their steps and logs.

use std::collections::HashMap;

use async_graphql::dataloader::Loader;
use cogwheel_engine::views::{ExecutionView, LogView, Page, PageRequest, StepView};
use cogwheel_engine::{ExecutionId, FileId};

use super::{Batches, by_key, by_page, rekeyed};
use crate::errors::ReadFailed;

impl Loader<ExecutionId> for Batches {
    type Value = ExecutionView;
    type Error = ReadFailed;

    async fn load(&self, keys: &[ExecutionId]) -> Result<HashMap<ExecutionId, ExecutionView>, ReadFailed> {
        by_key(self.reads().executions_by_id(self.tenant(), keys).await, |row| row.id, |row| row)
    }
}

/// The executions that took a file in.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ExecutionsOfFile(pub(crate) FileId);

impl Loader<ExecutionsOfFile> for Batches {
    type Value = Vec<ExecutionView>;
    type Error = ReadFailed;

    async fn load(&self, keys: &[ExecutionsOfFile]) -> Result<HashMap<ExecutionsOfFile, Self::Value>, ReadFailed> {
        let files: Vec<_> = keys.iter().map(|key| key.0).collect();
        rekeyed(self.reads().executions_of_files(self.tenant(), &files).await, ExecutionsOfFile)
    }
}

/// A page of the executions that an execution's steps started.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ChildrenPage {
    pub(crate) execution: ExecutionId,
    pub(crate) page: PageRequest,
}

impl Loader<ChildrenPage> for Batches {
    type Value = Page<ExecutionView>;
    type Error = ReadFailed;

    async fn load(&self, keys: &[ChildrenPage]) -> Result<HashMap<ChildrenPage, Self::Value>, ReadFailed> {
        let mut loaded = HashMap::new();
        for (page, executions) in by_page(keys, |key| (key.page, key.execution)) {
            let pages = self.reads().children_of_executions(self.tenant(), &executions, page).await;
            loaded.extend(rekeyed(pages, |execution| ChildrenPage { execution, page })?);
        }
        Ok(loaded)
    }
}

/// How many executions an execution's steps started.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CountChildren(pub(crate) ExecutionId);

impl Loader<CountChildren> for Batches {
    type Value = u64;
    type Error = ReadFailed;

    async fn load(&self, keys: &[CountChildren]) -> Result<HashMap<CountChildren, u64>, ReadFailed> {
        let executions: Vec<_> = keys.iter().map(|key| key.0).collect();
        rekeyed(self.reads().count_children_of_executions(self.tenant(), &executions).await, CountChildren)
    }
}

/// One step.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct StepKey(pub(crate) ExecutionId, pub(crate) i32);

impl Loader<StepKey> for Batches {
    type Value = StepView;
    type Error = ReadFailed;

    async fn load(&self, keys: &[StepKey]) -> Result<HashMap<StepKey, StepView>, ReadFailed> {
        let ids: Vec<_> = keys.iter().map(|key| (key.0, key.1)).collect();
        let steps = self.reads().steps_by_id(self.tenant(), &ids).await;
        by_key(steps, |row| StepKey(row.execution, row.ordinal), |row| row)
    }
}

/// A page of an execution's steps.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct StepsPage {
    pub(crate) execution: ExecutionId,
    pub(crate) page: PageRequest<i32>,
}

impl Loader<StepsPage> for Batches {
    type Value = Page<StepView>;
    type Error = ReadFailed;

    async fn load(&self, keys: &[StepsPage]) -> Result<HashMap<StepsPage, Self::Value>, ReadFailed> {
        let mut loaded = HashMap::new();
        for (page, executions) in by_page(keys, |key| (key.page, key.execution)) {
            let pages = self.reads().steps(self.tenant(), &executions, page).await;
            loaded.extend(rekeyed(pages, |execution| StepsPage { execution, page })?);
        }
        Ok(loaded)
    }
}

/// How many steps an execution has recorded.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CountSteps(pub(crate) ExecutionId);

impl Loader<CountSteps> for Batches {
    type Value = u64;
    type Error = ReadFailed;

    async fn load(&self, keys: &[CountSteps]) -> Result<HashMap<CountSteps, u64>, ReadFailed> {
        let executions: Vec<_> = keys.iter().map(|key| key.0).collect();
        rekeyed(self.reads().count_steps(self.tenant(), &executions).await, CountSteps)
    }
}

/// A page of a log: an execution's whole one, or that of one of its steps.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct LogsPage {
    pub(crate) execution: ExecutionId,
    pub(crate) step: Option<i32>,
    pub(crate) page: PageRequest<i64>,
}

impl Loader<LogsPage> for Batches {
    type Value = Page<LogView>;
    type Error = ReadFailed;

    async fn load(&self, keys: &[LogsPage]) -> Result<HashMap<LogsPage, Self::Value>, ReadFailed> {
        let mut loaded = HashMap::new();
        for (page, logs) in by_page(keys, |key| (key.page, (key.execution, key.step))) {
            let pages = self.reads().logs_of(self.tenant(), &logs, page).await;
            loaded.extend(rekeyed(pages, |(execution, step)| LogsPage { execution, step, page })?);
        }
        Ok(loaded)
    }
}

/// How many lines a log has.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CountLogs(pub(crate) ExecutionId, pub(crate) Option<i32>);

impl Loader<CountLogs> for Batches {
    type Value = u64;
    type Error = ReadFailed;

    async fn load(&self, keys: &[CountLogs]) -> Result<HashMap<CountLogs, u64>, ReadFailed> {
        let logs: Vec<_> = keys.iter().map(|key| (key.0, key.1)).collect();
        let counts = self.reads().count_logs_of(self.tenant(), &logs).await;
        rekeyed(counts, |(execution, step)| CountLogs(execution, step))
    }
}
