//! The ledger of files.

use std::collections::HashMap;

use cogwheel_engine::ports::StoreError;
use cogwheel_engine::views::{FileFilter, FileView, Page, PageRequest};
use cogwheel_engine::{FileId, TenantId, WatchId};
use cogwheel_entity::execution_files::{self as links, Column as LinkColumn};
use cogwheel_entity::files::{Column, Entity, FileStatus, Model};
use cogwheel_machine::ExecutionId;
use sea_orm::{
    ActiveEnum, ColumnTrait, ConnectionTrait, DatabaseExecutor, DbBackend, EntityTrait, PaginatorTrait, QueryFilter,
    QuerySelect, Select, prelude::Uuid,
};

use super::{literal, models, page};
use crate::fault;
use crate::rows::Stored;

const TABLE: &str = "files";

pub(super) async fn by_id(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    ids: &[FileId],
) -> Result<Vec<FileView>, StoreError> {
    let ids = ids.iter().map(|id| id.0);
    let found = Entity::find().filter(Column::TenantId.eq(tenant.0)).filter(Column::Id.is_in(ids));
    Ok(models::all(connection, found).await?.into_iter().map(view).collect())
}

pub(super) async fn list(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    filter: &FileFilter,
    request: PageRequest,
) -> Result<Page<FileView>, StoreError> {
    let backend = connection.get_database_backend();
    if filter.watch.is_none() && !filter.status.is_empty() {
        let mut rows = Vec::new();
        // A list for each state, so that a rare one is not looked for in the whole history.
        for status in &filter.status {
            let list = select_of_status(backend, tenant, status.stored(), &request);
            rows.extend(models::all(connection, list).await?);
        }
        let rows = page::merge(rows, &request, |row| (row.created_at, row.id));
        return Ok(page::cut(rows, &request, view));
    }
    let list = page::by_time(select(backend, tenant, filter), Column::CreatedAt, Column::Id, &request);
    let rows = models::all(connection, list).await?;
    Ok(page::cut(rows, &request, view))
}

pub(super) async fn count(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    filter: &FileFilter,
) -> Result<u64, StoreError> {
    let list = select(connection.get_database_backend(), tenant, filter);
    list.count(connection).await.map_err(fault::reading(TABLE))
}

/// The input files of each execution, in the order in which they were seen.
pub(super) async fn of_executions(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    executions: &[ExecutionId],
) -> Result<HashMap<ExecutionId, Vec<FileView>>, StoreError> {
    let links: Vec<(Uuid, Uuid)> = links::Entity::find()
        .select_only()
        .columns([LinkColumn::ExecutionId, LinkColumn::FileId])
        .filter(LinkColumn::TenantId.eq(tenant.0))
        .filter(LinkColumn::ExecutionId.is_in(executions.iter().map(|execution| execution.0)))
        .filter(literal::one_of(LinkColumn::Role, vec![links::FileRole::Input]))
        .into_tuple()
        .all(connection)
        .await
        .map_err(fault::reading("execution_files"))?;
    let ids: Vec<FileId> = links.iter().map(|(_, file)| FileId(*file)).collect();
    let files = by_id(connection, tenant, &ids).await?;
    let files: HashMap<Uuid, FileView> = files.into_iter().map(|view| (view.id.0, view)).collect();
    let mut found: HashMap<ExecutionId, Vec<FileView>> = HashMap::new();
    for (execution, file) in links {
        let views = found.entry(ExecutionId(execution)).or_default();
        views.extend(files.get(&file).cloned());
    }
    for views in found.values_mut() {
        views.sort_by_key(|view| (view.first_seen_at, view.id));
    }
    Ok(found)
}

/// The tenant's files in one state.
pub(crate) fn select_of_status(
    backend: DbBackend,
    tenant: TenantId,
    status: FileStatus,
    request: &PageRequest,
) -> Select<Entity> {
    let list = select(backend, tenant, &FileFilter::default());
    let status = literal::one_of(Column::Status, vec![status]);
    page::of_status(list, (Column::CreatedAt, Column::Id), status, request, backend)
}

pub(crate) fn select(backend: DbBackend, tenant: TenantId, filter: &FileFilter) -> Select<Entity> {
    let mut list = match filter.watch {
        Some(watch) => Entity::find().filter(Column::FileWatchId.eq(watch.0)).filter(literal::also_of_tenant(
            Column::TenantId,
            tenant,
            backend,
        )),
        None => Entity::find().filter(Column::TenantId.eq(tenant.0)),
    };
    if !filter.status.is_empty() {
        let words = filter.status.iter().map(|status| status.stored()).collect();
        list = list.filter(literal::one_of(Column::Status, words));
    }
    list
}

fn view(row: Model) -> FileView {
    FileView {
        id: FileId(row.id),
        watch: row.file_watch_id.map(WatchId),
        source: row.file_source.to_value(),
        filename: row.filename,
        original_filename: row.original_filename,
        path: row.file_path,
        storage_key: row.storage_key,
        media_type: row.mime_type,
        size: row.file_size,
        sha256: row.file_hash,
        status: Stored::from_stored(row.status),
        decision_reason: row.decision_reason.map(|reason| reason.to_value()),
        change_kind: row.change_kind.to_value(),
        modified_at: row.modified_at,
        first_seen_at: row.first_seen_at,
        settled_at: row.settled_at,
        processed_at: row.processed_at,
        batch: row.batch_key,
        detail: row.error.as_ref().and_then(|error| error["message"].as_str()).map(str::to_owned),
        after_state: row.after_state.to_value(),
        after_target: row.after_target,
        created_at: row.created_at,
    }
}
