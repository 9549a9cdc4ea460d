//! The `WebhookDelivery` type.

use async_graphql::{Context, Enum, ID, Object, Result};
use cogwheel_engine::ports::{self, DeliveryView};
use cogwheel_engine::views::TimeCursor;
use cogwheel_engine::webhook_message_id;
use serde_json::Value;

use super::Webhook;
use super::connection::Listed;
use super::instant::Instant;
use crate::cursor::Cursor;
use crate::errors::internal;
use crate::ids::GlobalId;
use crate::loaders::load;

/// An event to an outgoing webhook.
pub(crate) struct WebhookDelivery(DeliveryView);

impl From<DeliveryView> for WebhookDelivery {
    fn from(view: DeliveryView) -> Self {
        Self(view)
    }
}

impl Listed for WebhookDelivery {
    fn cursor(&self) -> String {
        TimeCursor { at: self.0.created_at, id: self.0.id.0 }.encode()
    }
}

/// Where a delivery stands.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "ports::DeliveryStatus", name = "WebhookDeliveryStatus")]
pub(crate) enum DeliveryStatus {
    /// It waits for its first try.
    Pending,
    /// A try is under way.
    Delivering,
    /// The receiver took it.
    Delivered,
    /// A try failed, and another follows.
    Retrying,
    /// The last try failed; it can be sent anew.
    Dead,
    /// Its webhook was switched off.
    Cancelled,
}

/// One event to one webhook, with what came of it.
#[Object]
impl WebhookDelivery {
    /// Its global id.
    pub(crate) async fn id(&self) -> ID {
        GlobalId::WebhookDelivery(self.0.id).encode()
    }

    /// Its webhook.
    async fn webhook(&self, ctx: &Context<'_>) -> Result<Webhook> {
        let webhook = load(ctx, self.0.webhook).await?;
        webhook.map(Webhook::from).ok_or_else(|| internal(&format_args!("delivery {} has no webhook", self.0.id)))
    }

    /// What receivers tell repetitions by, the `webhook-id`: the same for every try, and when it is sent anew.
    async fn message_id(&self) -> String {
        webhook_message_id(&self.0.request_body)
    }

    /// The event's type.
    async fn event_type(&self) -> &str {
        &self.0.event_type
    }

    /// The event's id; null for a test, and once the event was cleaned away.
    async fn event_id(&self) -> Option<String> {
        self.0.event.map(|event| event.to_string())
    }

    /// How often the event had been sent anew before, from 0.
    async fn replay_number(&self) -> i32 {
        self.0.replay_number
    }

    /// Where it stands.
    async fn status(&self) -> DeliveryStatus {
        self.0.status.into()
    }

    /// How many tries have begun.
    async fn attempt_count(&self) -> i32 {
        self.0.attempt_count
    }

    /// What became of each try, the earliest first: `attempt`, `at`, `status`, `duration_ms` and `error`.
    async fn attempts(&self) -> &Value {
        &self.0.attempts
    }

    /// When it is tried next.
    async fn next_attempt_at(&self) -> Option<Instant> {
        self.0.next_attempt_at.map(Into::into)
    }

    /// The HTTP status of the last answer.
    async fn last_status_code(&self) -> Option<i32> {
        self.0.last_status_code
    }

    /// The beginning of the last answer's body, at most 4 KiB.
    async fn response_body(&self) -> Option<&str> {
        self.0.response_body.as_deref()
    }

    /// The exact text that is signed and sent.
    async fn request_body(&self) -> &str {
        &self.0.request_body
    }

    /// When the receiver took it.
    async fn delivered_at(&self) -> Option<Instant> {
        self.0.delivered_at.map(Into::into)
    }

    /// When it was given up.
    async fn dead_at(&self) -> Option<Instant> {
        self.0.dead_at.map(Into::into)
    }

    /// Whether it is a test.
    async fn is_test(&self) -> bool {
        self.0.is_test
    }

    /// When it was recorded.
    async fn created_at(&self) -> Instant {
        self.0.created_at.into()
    }
}
