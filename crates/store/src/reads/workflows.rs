//! Workflows and their versions.

use cogwheel_engine::ports::StoreError;
use cogwheel_engine::views::{Page, PageRequest, VersionView, WorkflowFilter, WorkflowStatus, WorkflowView};
use cogwheel_engine::{TenantId, VersionId, WorkflowId};
use cogwheel_entity::workflow_versions::{self as versions, Column as VersionColumn};
use cogwheel_entity::workflows::{Column, Entity, Model, WorkflowKind};
use sea_orm::{
    ColumnTrait, Condition, DatabaseExecutor, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect, Select,
    prelude::Uuid,
};
use std::collections::HashMap;

use super::{literal, models, page};
use crate::fault;
use crate::rows::Stored;

const TABLE: &str = "workflows";

/// The id of the live workflow of that name.
pub(super) async fn id_of(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    name: &str,
) -> Result<Option<Uuid>, StoreError> {
    named(tenant, name)
        .select_only()
        .column(Column::Id)
        .into_tuple()
        .one(connection)
        .await
        .map_err(fault::reading(TABLE))
}

pub(super) async fn by_name(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    name: &str,
) -> Result<Option<WorkflowView>, StoreError> {
    let rows = models::all(connection, named(tenant, name)).await?;
    Ok(views(connection, tenant, rows).await?.pop())
}

pub(super) async fn by_id(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    ids: &[WorkflowId],
) -> Result<Vec<WorkflowView>, StoreError> {
    let found =
        Entity::find().filter(Column::TenantId.eq(tenant.0)).filter(Column::Id.is_in(ids.iter().map(|id| id.0)));
    let rows = models::all(connection, found).await?;
    views(connection, tenant, rows).await
}

pub(super) async fn list(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    filter: &WorkflowFilter,
    request: PageRequest,
) -> Result<Page<WorkflowView>, StoreError> {
    let list = page::by_time(filtered(tenant, filter), Column::CreatedAt, Column::Id, &request);
    let rows = models::all(connection, list).await?;
    let cut = page::cut(rows, &request, |row| row);
    Ok(Page { items: views(connection, tenant, cut.items).await?, has_more: cut.has_more })
}

pub(super) async fn count(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    filter: &WorkflowFilter,
) -> Result<u64, StoreError> {
    filtered(tenant, filter).count(connection).await.map_err(fault::reading(TABLE))
}

pub(super) async fn versions_by_id(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    ids: &[VersionId],
) -> Result<Vec<VersionView>, StoreError> {
    let found = versions::Entity::find()
        .filter(VersionColumn::TenantId.eq(tenant.0))
        .filter(VersionColumn::Id.is_in(ids.iter().map(|id| id.0)));
    Ok(models::all(connection, found).await?.into_iter().map(version_view).collect())
}

fn named(tenant: TenantId, name: &str) -> Select<Entity> {
    Entity::find()
        .filter(Column::TenantId.eq(tenant.0))
        .filter(Column::Name.eq(name))
        .filter(Column::DeletedAt.is_null())
}

pub(crate) fn filtered(tenant: TenantId, filter: &WorkflowFilter) -> Select<Entity> {
    let mut list = Entity::find()
        .filter(Column::TenantId.eq(tenant.0))
        .filter(Column::DeletedAt.is_null())
        .filter(literal::one_of(Column::WorkflowKind, vec![WorkflowKind::Standard]));
    if !filter.status.is_empty() {
        let words = filter.status.iter().map(|status| status.stored()).collect();
        list = list.filter(literal::one_of(Column::Status, words));
    }
    if let Some(is_enabled) = filter.is_enabled {
        let in_use = literal::one_of(Column::Status, vec![WorkflowStatus::Active.stored()]);
        let enabled = Condition::all().add(literal::is_true(Column::IsEnabled)).add(in_use);
        list = list.filter(if is_enabled { enabled } else { enabled.not() });
    }
    list
}

/// Adds the active versions' ids, which stand in another table.
async fn views(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    rows: Vec<Model>,
) -> Result<Vec<WorkflowView>, StoreError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let active: HashMap<Uuid, Uuid> = versions::Entity::find()
        .select_only()
        .columns([VersionColumn::WorkflowId, VersionColumn::Id])
        .filter(VersionColumn::TenantId.eq(tenant.0))
        .filter(VersionColumn::WorkflowId.is_in(rows.iter().map(|row| row.id)))
        .filter(literal::is_true(VersionColumn::IsActive))
        .into_tuple::<(Uuid, Uuid)>()
        .all(connection)
        .await
        .map_err(fault::reading("workflow_versions"))?
        .into_iter()
        .collect();
    Ok(rows.into_iter().map(|row| view(&active, row)).collect())
}

fn view(active: &HashMap<Uuid, Uuid>, row: Model) -> WorkflowView {
    let status = Stored::from_stored(row.status);
    WorkflowView {
        id: WorkflowId(row.id),
        name: row.name,
        description: row.description,
        labels: row.labels,
        status,
        is_enabled: row.is_enabled && status == WorkflowStatus::Active,
        origin_path: row.origin_path,
        active_version: active.get(&row.id).copied().map(VersionId),
        total_executions: row.total_executions,
        successful_executions: row.successful_executions,
        failed_executions: row.failed_executions,
        last_execution_at: row.last_execution_at,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

fn version_view(row: versions::Model) -> VersionView {
    VersionView {
        id: VersionId(row.id),
        workflow: WorkflowId(row.workflow_id),
        version: row.version,
        source: row.source_text,
        definition: row.definition,
        checksum: row.checksum,
        is_active: row.is_active,
        created_at: row.created_at,
    }
}
