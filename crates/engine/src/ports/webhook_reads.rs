//! What the API reads of outgoing webhooks.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{DeliveryStatus, DisabledReason, StoreError, WebhookRow};
use crate::views::{Page, PageRequest};
use crate::{DeliveryId, TenantId, WebhookId};

/// What the API reads of webhooks.
#[async_trait]
pub trait WebhookReads: Send + Sync + 'static {
    /// The webhooks of these ids; those that do not exist are left out.
    async fn webhooks_by_id(&self, tenant: TenantId, ids: &[WebhookId]) -> Result<Vec<WebhookView>, StoreError>;

    /// The tenant's webhooks, newest first.
    async fn webhooks(&self, tenant: TenantId, page: PageRequest) -> Result<Page<WebhookView>, StoreError>;

    /// How many webhooks the tenant has.
    async fn count_webhooks(&self, tenant: TenantId) -> Result<u64, StoreError>;

    /// The deliveries of these ids; those that do not exist are left out.
    async fn deliveries_by_id(&self, tenant: TenantId, ids: &[DeliveryId]) -> Result<Vec<DeliveryView>, StoreError>;

    /// Deliveries, newest first.
    async fn deliveries(
        &self,
        tenant: TenantId,
        filter: &DeliveryFilter,
        page: PageRequest,
    ) -> Result<Page<DeliveryView>, StoreError>;

    /// How many deliveries there are.
    async fn count_deliveries(&self, tenant: TenantId, filter: &DeliveryFilter) -> Result<u64, StoreError>;
}

/// Which deliveries to list.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    /// Of this webhook.
    pub webhook: Option<WebhookId>,
    /// In this state.
    pub status: Option<DeliveryStatus>,
}

/// A webhook as the API shows it.
#[derive(Clone, Debug)]
pub struct WebhookView {
    /// Its id.
    pub id: WebhookId,
    /// What people set of it.
    pub settings: WebhookRow,
    /// Whether it is on.
    pub is_active: bool,
    /// Why it is off.
    pub disabled_reason: Option<DisabledReason>,
    /// Since when it is off.
    pub disabled_at: Option<DateTime<Utc>>,
    /// How many tries failed in a row.
    pub consecutive_failures: i32,
    /// Until when nothing is sent, after such failures.
    pub circuit_open_until: Option<DateTime<Utc>>,
    /// How many deliveries have ended.
    pub total_calls: i64,
    /// How many of them in vain.
    pub failed_calls: i64,
    /// When a delivery of it was recorded last.
    pub last_triggered_at: Option<DateTime<Utc>>,
    /// When a try succeeded last.
    pub last_success_at: Option<DateTime<Utc>>,
    /// When a try failed last.
    pub last_failure_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
}

/// A delivery as the API shows it.
#[derive(Clone, Debug)]
pub struct DeliveryView {
    /// Its id.
    pub id: DeliveryId,
    /// Its webhook.
    pub webhook: WebhookId,
    /// The event.
    pub event: Option<Uuid>,
    /// Its type.
    pub event_type: String,
    /// How often it had been sent anew before, from 0.
    pub replay_number: i32,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// How many tries have begun.
    pub attempt_count: i32,
    /// What became of each: a list of objects with `at`, `status`, `duration_ms` and `error`.
    pub attempts: Value,
    /// When it is tried next.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// The HTTP status of the last answer.
    pub last_status_code: Option<i32>,
    /// The beginning of the last answer's body.
    pub response_body: Option<String>,
    /// The exact text that is signed and sent.
    pub request_body: String,
    /// When the receiver took it.
    pub delivered_at: Option<DateTime<Utc>>,
    /// When it was given up.
    pub dead_at: Option<DateTime<Utc>>,
    /// Whether it is a test.
    pub is_test: bool,
    /// When it was recorded.
    pub created_at: DateTime<Utc>,
}
