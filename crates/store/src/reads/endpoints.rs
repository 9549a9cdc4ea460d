//! Addresses at which calls come in.

use cogwheel_engine::ports::StoreError;
use cogwheel_engine::views::{EndpointView, Page, PageRequest, TriggerFilter};
use cogwheel_engine::{EndpointId, TenantId, WorkflowId};
use cogwheel_entity::inbound_endpoints::{self as rows, Column, ResponseMode};
use sea_orm::{ActiveEnum, ColumnTrait, DatabaseExecutor, EntityTrait, PaginatorTrait, QueryFilter, Select};

use super::triggers::of_live_workflow;
use super::{models, page};
use crate::fault;

const ENDPOINTS: &str = "inbound_endpoints";

pub(super) async fn by_id(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    ids: &[EndpointId],
) -> Result<Vec<EndpointView>, StoreError> {
    let found =
        rows::Entity::find().filter(Column::TenantId.eq(tenant.0)).filter(Column::Id.is_in(ids.iter().map(|id| id.0)));
    Ok(models::all(connection, found).await?.into_iter().map(view).collect())
}

pub(super) async fn list(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    filter: &TriggerFilter,
    request: PageRequest,
) -> Result<Page<EndpointView>, StoreError> {
    let list = page::by_time(select(tenant, filter), Column::CreatedAt, Column::Id, &request);
    Ok(page::cut(models::all(connection, list).await?, &request, view))
}

pub(super) async fn count(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    filter: &TriggerFilter,
) -> Result<u64, StoreError> {
    select(tenant, filter).count(connection).await.map_err(fault::reading(ENDPOINTS))
}

fn select(tenant: TenantId, filter: &TriggerFilter) -> Select<rows::Entity> {
    let is_live = of_live_workflow(Column::WorkflowId, tenant, filter);
    rows::Entity::find().filter(Column::TenantId.eq(tenant.0)).filter(is_live)
}

fn view(row: rows::Model) -> EndpointView {
    EndpointView {
        id: EndpointId(row.id),
        workflow: WorkflowId(row.workflow_id),
        trigger_key: row.trigger_key,
        path: row.endpoint_path,
        methods: row.http_methods,
        signature_mode: row.signature_mode.to_value(),
        replies: row.response_mode == ResponseMode::Reply,
        is_enabled: row.is_enabled,
        total_calls: row.total_calls,
        rejected_calls: row.rejected_calls,
        last_called_at: row.last_called_at,
        created_at: row.created_at,
    }
}
