//! Outgoing webhooks and the log of their deliveries.

use cogwheel_engine::ports::{
    DeliveryFilter, DeliveryStatus, DeliveryView, DisabledReason, StoreError, WebhookRow, WebhookView,
};
use cogwheel_engine::views::{Page, PageRequest};
use cogwheel_engine::{DeliveryId, TenantId, WebhookId};
use cogwheel_entity::webhook_deliveries::{self as delivery_rows, Column as DeliveryColumn};
use cogwheel_entity::webhooks::{self as rows, Column};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseExecutor, DbBackend, EntityTrait, PaginatorTrait, QueryFilter, Select,
};

use super::{literal, models, page};
use crate::fault;
use crate::rows::Stored as _;
use crate::writes::webhooks::manage::{filter_of, texts};

const WEBHOOKS: &str = "webhooks";
const DELIVERIES: &str = "webhook_deliveries";

pub(super) async fn by_id(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    ids: &[WebhookId],
) -> Result<Vec<WebhookView>, StoreError> {
    let found = select_webhooks(tenant).filter(Column::Id.is_in(ids.iter().map(|id| id.0)));
    Ok(models::all(connection, found).await?.into_iter().map(view).collect())
}

pub(super) async fn list(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    request: PageRequest,
) -> Result<Page<WebhookView>, StoreError> {
    let list = page::by_time(select_webhooks(tenant), Column::CreatedAt, Column::Id, &request);
    Ok(page::cut(models::all(connection, list).await?, &request, view))
}

pub(super) async fn count(connection: &DatabaseExecutor<'_>, tenant: TenantId) -> Result<u64, StoreError> {
    select_webhooks(tenant).count(connection).await.map_err(fault::reading(WEBHOOKS))
}

pub(super) async fn deliveries_by_id(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    ids: &[DeliveryId],
) -> Result<Vec<DeliveryView>, StoreError> {
    let found = delivery_rows::Entity::find()
        .filter(DeliveryColumn::TenantId.eq(tenant.0))
        .filter(DeliveryColumn::Id.is_in(ids.iter().map(|id| id.0)));
    Ok(models::all(connection, found).await?.into_iter().map(delivery_view).collect())
}

pub(super) async fn deliveries(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    filter: &DeliveryFilter,
    request: PageRequest,
) -> Result<Page<DeliveryView>, StoreError> {
    let list = select_deliveries(connection.get_database_backend(), tenant, filter);
    let list = page::by_time(list, DeliveryColumn::CreatedAt, DeliveryColumn::Id, &request);
    Ok(page::cut(models::all(connection, list).await?, &request, delivery_view))
}

pub(super) async fn count_deliveries(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    filter: &DeliveryFilter,
) -> Result<u64, StoreError> {
    let list = select_deliveries(connection.get_database_backend(), tenant, filter);
    list.count(connection).await.map_err(fault::reading(DELIVERIES))
}

/// The tenant's webhooks: few enough to be sorted.
fn select_webhooks(tenant: TenantId) -> Select<rows::Entity> {
    rows::Entity::find().filter(Column::TenantId.eq(tenant.0))
}

/// By the index of the webhook's log where one is named, else by that of the tenant's states.
fn select_deliveries(backend: DbBackend, tenant: TenantId, filter: &DeliveryFilter) -> Select<delivery_rows::Entity> {
    let of_tenant = DeliveryColumn::TenantId;
    let mut list = match filter.webhook {
        Some(webhook) => delivery_rows::Entity::find()
            .filter(DeliveryColumn::WebhookId.eq(webhook.0))
            .filter(literal::also_of_tenant(of_tenant, tenant, backend)),
        None => delivery_rows::Entity::find().filter(of_tenant.eq(tenant.0)),
    };
    if let Some(status) = filter.status {
        list = list.filter(literal::one_of(DeliveryColumn::Status, vec![status.stored()]));
    }
    list
}

fn view(row: rows::Model) -> WebhookView {
    WebhookView {
        id: WebhookId(row.id),
        settings: WebhookRow {
            name: row.name,
            url: row.url,
            events: texts(&row.events),
            filter: filter_of(row.event_filter.as_ref()),
            headers: row.headers,
            max_retries: row.max_retries,
            timeout_seconds: row.timeout_seconds,
        },
        is_active: row.is_active,
        disabled_reason: row.disabled_reason.map(DisabledReason::from_stored),
        disabled_at: row.disabled_at,
        consecutive_failures: row.consecutive_failures,
        circuit_open_until: row.circuit_open_until,
        total_calls: row.total_calls,
        failed_calls: row.failed_calls,
        last_triggered_at: row.last_triggered_at,
        last_success_at: row.last_success_at,
        last_failure_at: row.last_failure_at,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

fn delivery_view(row: delivery_rows::Model) -> DeliveryView {
    DeliveryView {
        id: DeliveryId(row.id),
        webhook: WebhookId(row.webhook_id),
        event: row.event_id,
        event_type: row.event_type,
        replay_number: row.replay_number,
        status: DeliveryStatus::from_stored(row.status),
        attempt_count: row.attempt_count,
        attempts: row.attempts,
        next_attempt_at: row.next_attempt_at,
        last_status_code: row.last_status_code,
        response_body: row.response_body,
        request_body: row.request_body,
        delivered_at: row.delivered_at,
        dead_at: row.dead_at,
        is_test: row.is_test,
        created_at: row.created_at,
    }
}
