//! Made-up webhooks and their deliveries.

use std::time::Duration;

use async_trait::async_trait;
use cogwheel_engine::ports::{
    DeliveryFilter, DeliveryStatus, DeliveryView, StoreError, WebhookReads, WebhookRow, WebhookView,
};
use cogwheel_engine::views::{Page, PageRequest, TimeCursor};
use cogwheel_engine::{DeliveryId, MadeWebhook, TenantId, WebhookError, WebhookId, WebhookSettings};
use cogwheel_graphql::WebhookServices;
use serde_json::json;
use uuid::Uuid;

use super::reads::by_time;
use super::{Fake, at};

/// What the rows of webhooks are, and what was asked for.
#[derive(Default)]
pub(crate) struct WebhookRows {
    pub(crate) webhooks: Vec<WebhookView>,
    pub(crate) deliveries: Vec<DeliveryView>,
    pub(crate) given: Vec<WebhookSettings>,
    pub(crate) overlaps: Vec<Duration>,
    /// Why nothing is done.
    pub(crate) refusal: Option<WebhookError>,
}

impl Fake {
    /// Adds a webhook, and one delivery to it.
    pub(crate) fn add_webhook(&self, name: &str) -> WebhookId {
        self.rows(|rows| {
            let n = rows.webhooks.webhooks.len();
            let id = WebhookId(Uuid::from_u128(0x60_0000 + n as u128));
            let created_at = at(i64::try_from(n).expect("few rows"));
            rows.webhooks.webhooks.push(WebhookView {
                id,
                settings: WebhookRow {
                    name: name.to_owned(),
                    url: "https://a.example/".to_owned(),
                    events: vec!["custom.**".to_owned()],
                    filter: None,
                    headers: json!({ "x-team": "data" }),
                    max_retries: 8,
                    timeout_seconds: 15,
                },
                is_active: true,
                disabled_reason: None,
                disabled_at: None,
                consecutive_failures: 0,
                circuit_open_until: None,
                total_calls: 1,
                failed_calls: 1,
                last_triggered_at: Some(created_at),
                last_success_at: None,
                last_failure_at: Some(created_at),
                created_at,
                updated_at: created_at,
            });
            rows.webhooks.deliveries.push(DeliveryView {
                id: DeliveryId(Uuid::from_u128(0x70_0000 + n as u128)),
                webhook: id,
                event: None,
                event_type: "custom.a".to_owned(),
                replay_number: 0,
                status: DeliveryStatus::Dead,
                attempt_count: 1,
                attempts: json!([{ "attempt": 1, "status": 500 }]),
                next_attempt_at: None,
                last_status_code: Some(500),
                response_body: Some("no".to_owned()),
                request_body: "{\"id\":\"evt_1\"}".to_owned(),
                delivered_at: None,
                dead_at: Some(created_at),
                is_test: false,
                created_at,
            });
            id
        })
    }

    fn done<T>(&self, value: T) -> Result<T, WebhookError> {
        match self.rows(|rows| rows.webhooks.refusal.clone()) {
            Some(refusal) => Err(refusal),
            None => Ok(value),
        }
    }
}

#[async_trait]
impl WebhookServices for Fake {
    fn webhook_reads(&self) -> Result<&dyn WebhookReads, WebhookError> {
        Ok(self)
    }

    async fn create_webhook(&self, settings: WebhookSettings) -> Result<MadeWebhook, WebhookError> {
        self.rows(|rows| rows.webhooks.given.push(settings));
        let id = WebhookId(Uuid::from_u128(0x60_0000));
        self.done(MadeWebhook { id, secret: "whsec_x".to_owned() })
    }

    async fn change_webhook(&self, _: WebhookId, settings: WebhookSettings) -> Result<(), WebhookError> {
        self.rows(|rows| rows.webhooks.given.push(settings));
        self.done(())
    }

    async fn delete_webhook(&self, _: WebhookId) -> Result<(), WebhookError> {
        self.done(())
    }

    async fn set_webhook_enabled(&self, id: WebhookId, enabled: bool) -> Result<(), WebhookError> {
        self.rows(|rows| {
            for known in rows.webhooks.webhooks.iter_mut().filter(|known| known.id == id) {
                known.is_active = enabled;
            }
        });
        self.done(())
    }

    async fn rotate_webhook_secret(&self, _: WebhookId, overlap: Duration) -> Result<String, WebhookError> {
        self.rows(|rows| rows.webhooks.overlaps.push(overlap));
        self.done("whsec_y".to_owned())
    }

    async fn test_webhook(&self, _: WebhookId) -> Result<DeliveryId, WebhookError> {
        self.done(DeliveryId(Uuid::from_u128(0x70_0000)))
    }

    async fn redeliver(&self, delivery: DeliveryId) -> Result<DeliveryId, WebhookError> {
        self.done(delivery)
    }
}

fn like(row: &DeliveryView, filter: &DeliveryFilter) -> bool {
    filter.webhook.is_none_or(|webhook| row.webhook == webhook)
        && filter.status.is_none_or(|status| row.status == status)
}

#[async_trait]
impl WebhookReads for Fake {
    async fn webhooks_by_id(&self, _: TenantId, ids: &[WebhookId]) -> Result<Vec<WebhookView>, StoreError> {
        let known =
            |rows: &super::Rows| rows.webhooks.webhooks.iter().filter(|row| ids.contains(&row.id)).cloned().collect();
        self.read("webhooks_by_id", known)
    }

    async fn webhooks(&self, _: TenantId, page: PageRequest) -> Result<Page<WebhookView>, StoreError> {
        let place = |row: &WebhookView| TimeCursor { at: row.created_at, id: row.id.0 };
        self.read("webhooks", |rows| by_time(rows.webhooks.webhooks.clone(), page, place))
    }

    async fn count_webhooks(&self, _: TenantId) -> Result<u64, StoreError> {
        self.read("count_webhooks", |rows| rows.webhooks.webhooks.len() as u64)
    }

    async fn deliveries_by_id(&self, _: TenantId, ids: &[DeliveryId]) -> Result<Vec<DeliveryView>, StoreError> {
        let known =
            |rows: &super::Rows| rows.webhooks.deliveries.iter().filter(|row| ids.contains(&row.id)).cloned().collect();
        self.read("deliveries_by_id", known)
    }

    async fn deliveries(
        &self,
        _: TenantId,
        filter: &DeliveryFilter,
        page: PageRequest,
    ) -> Result<Page<DeliveryView>, StoreError> {
        let place = |row: &DeliveryView| TimeCursor { at: row.created_at, id: row.id.0 };
        self.read("deliveries", |rows| {
            by_time(rows.webhooks.deliveries.iter().filter(|row| like(row, filter)).cloned().collect(), page, place)
        })
    }

    async fn count_deliveries(&self, _: TenantId, filter: &DeliveryFilter) -> Result<u64, StoreError> {
        self.read("count_deliveries", |rows| {
            rows.webhooks.deliveries.iter().filter(|row| like(row, filter)).count() as u64
        })
    }
}
