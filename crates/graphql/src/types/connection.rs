//! Relay connections: a page of a list, its cursors, and the count of the whole list when asked for.

use std::sync::Arc;

use async_graphql::{Context, Object, OutputType, Result, SimpleObject};
use cogwheel_engine::ports::DeliveryFilter;
use cogwheel_engine::views::{
    ExecutionFilter, FileFilter, FireFilter, Page, PageRequest, SagaFilter, TriggerFilter, WorkflowFilter,
};
use cogwheel_engine::{ExecutionId, ScheduleId, WorkflowId};

use super::{
    Execution, ExecutionLog, File, FileWatch, InboundEndpoint, Saga, Schedule, ScheduleFire, Step, Webhook,
    WebhookDelivery, Workflow,
};
use crate::Services;
use crate::errors::store_failed;
use crate::loaders::{CountChildren, CountExecutions, CountFires, CountLogs, CountSteps, load};

/// A row that knows its place in its list.
pub(crate) trait Listed: OutputType {
    /// The row's cursor.
    fn cursor(&self) -> String;
}

/// What `totalCount` counts.
pub(crate) enum Total {
    Workflows(WorkflowFilter),
    Executions(ExecutionFilter),
    ExecutionsOf(WorkflowId),
    ChildrenOf(ExecutionId),
    Steps(ExecutionId),
    Logs(ExecutionId, Option<i32>),
    Files(FileFilter),
    Sagas(SagaFilter),
    Watches(TriggerFilter),
    Endpoints(TriggerFilter),
    Schedules(TriggerFilter),
    Fires(FireFilter),
    FiresOf(ScheduleId),
    Webhooks,
    Deliveries(DeliveryFilter),
}

impl Total {
    async fn count(&self, ctx: &Context<'_>) -> Result<u64> {
        let services = ctx.data::<Arc<dyn Services>>()?;
        let (reads, tenant) = (services.reads(), services.tenant());
        let counted = match self {
            Self::Workflows(filter) => reads.count_workflows(tenant, filter).await,
            Self::Executions(filter) => reads.count_executions(tenant, filter).await,
            Self::Files(filter) => reads.count_files(tenant, filter).await,
            Self::Sagas(filter) => reads.count_sagas(tenant, filter).await,
            Self::Watches(filter) => reads.count_watches(tenant, filter).await,
            Self::Endpoints(filter) => reads.count_endpoints(tenant, filter).await,
            Self::Schedules(filter) => reads.count_schedules(tenant, filter).await,
            Self::Fires(filter) => reads.count_fires(tenant, filter).await,
            Self::ExecutionsOf(id) => return Ok(load(ctx, CountExecutions(*id)).await?.unwrap_or(0)),
            Self::ChildrenOf(id) => return Ok(load(ctx, CountChildren(*id)).await?.unwrap_or(0)),
            Self::Steps(id) => return Ok(load(ctx, CountSteps(*id)).await?.unwrap_or(0)),
            Self::Logs(id, step) => return Ok(load(ctx, CountLogs(*id, *step)).await?.unwrap_or(0)),
            Self::FiresOf(id) => return Ok(load(ctx, CountFires(*id)).await?.unwrap_or(0)),
            Self::Webhooks => crate::webhook_services::reads(ctx)?.count_webhooks(tenant).await,
            Self::Deliveries(filter) => crate::webhook_services::reads(ctx)?.count_deliveries(tenant, filter).await,
        };
        counted.map_err(|error| store_failed(&error))
    }
}

/// Part of a list.
pub(crate) struct Connection<T> {
    rows: Vec<Arc<T>>,
    has_next: bool,
    has_previous: bool,
    total: Total,
}

impl<T> Connection<T> {
    /// The part that `request` asked for; `None` where the list's owner has no rows at all.
    pub(crate) fn new<C, V>(request: PageRequest<C>, page: Option<Page<V>>, total: Total) -> Self
    where
        T: From<V>,
    {
        let (rows, has_more) = page.map_or_else(|| (Vec::new(), false), |page| (page.items, page.has_more));
        let (has_next, has_previous) = match request {
            PageRequest::Forward { after, .. } => (has_more, after.is_some()),
            PageRequest::Backward { before, .. } => (before.is_some(), has_more),
        };
        Self { rows: rows.into_iter().map(|row| Arc::new(T::from(row))).collect(), has_next, has_previous, total }
    }
}

/// Part of a list; page on with the cursors of `pageInfo`.
#[Object(
    concrete(name = "WorkflowConnection", params(Workflow)),
    concrete(name = "WorkflowExecutionConnection", params(Execution)),
    concrete(name = "StepExecutionConnection", params(Step)),
    concrete(name = "ExecutionLogConnection", params(ExecutionLog)),
    concrete(name = "FileConnection", params(File)),
    concrete(name = "FileWatchConnection", params(FileWatch)),
    concrete(name = "InboundEndpointConnection", params(InboundEndpoint)),
    concrete(name = "ScheduleConnection", params(Schedule)),
    concrete(name = "ScheduleFireConnection", params(ScheduleFire)),
    concrete(name = "SagaConnection", params(Saga)),
    concrete(name = "WebhookConnection", params(Webhook)),
    concrete(name = "WebhookDeliveryConnection", params(WebhookDelivery))
)]
impl<T> Connection<T>
where
    T: Listed,
    Edge<T>: OutputType,
{
    /// The rows with their cursors.
    async fn edges(&self) -> Vec<Edge<T>> {
        self.rows.iter().map(|row| Edge { cursor: row.cursor(), node: Arc::clone(row) }).collect()
    }

    /// The rows alone.
    async fn nodes(&self) -> &[Arc<T>] {
        &self.rows
    }

    /// Where this part stands in the list.
    async fn page_info(&self) -> PageInfo {
        PageInfo {
            has_next_page: self.has_next,
            has_previous_page: self.has_previous,
            start_cursor: self.rows.first().map(|row| row.cursor()),
            end_cursor: self.rows.last().map(|row| row.cursor()),
        }
    }

    /// How many rows the whole list has. Counted only when asked for; on large lists that takes its time.
    async fn total_count(&self, ctx: &Context<'_>) -> Result<u64> {
        self.total.count(ctx).await
    }
}

/// A row of a list with its cursor.
#[derive(SimpleObject)]
#[graphql(
    concrete(name = "WorkflowEdge", params(Workflow)),
    concrete(name = "WorkflowExecutionEdge", params(Execution)),
    concrete(name = "StepExecutionEdge", params(Step)),
    concrete(name = "ExecutionLogEdge", params(ExecutionLog)),
    concrete(name = "FileEdge", params(File)),
    concrete(name = "FileWatchEdge", params(FileWatch)),
    concrete(name = "InboundEndpointEdge", params(InboundEndpoint)),
    concrete(name = "ScheduleEdge", params(Schedule)),
    concrete(name = "ScheduleFireEdge", params(ScheduleFire)),
    concrete(name = "SagaEdge", params(Saga)),
    concrete(name = "WebhookEdge", params(Webhook)),
    concrete(name = "WebhookDeliveryEdge", params(WebhookDelivery))
)]
pub(crate) struct Edge<T: OutputType> {
    /// The row's place in the list, to page on from.
    cursor: String,
    /// The row.
    node: Arc<T>,
}

/// Where a page stands in its list.
#[derive(SimpleObject)]
pub(crate) struct PageInfo {
    /// Whether more rows follow this page.
    has_next_page: bool,
    /// Whether rows stand before this page.
    has_previous_page: bool,
    /// The cursor of the first row; give it as `before` to page backward.
    start_cursor: Option<String>,
    /// The cursor of the last row; give it as `after` to page forward.
    end_cursor: Option<String>,
}
