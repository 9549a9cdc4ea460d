//! The `Webhook` type.

use async_graphql::{Enum, ID, Object, SimpleObject};
use cogwheel_engine::ports::{self, WebhookView};
use cogwheel_engine::views::TimeCursor;

use super::connection::Listed;
use super::instant::Instant;
use crate::cursor::Cursor;
use crate::ids::GlobalId;

/// An outgoing webhook.
pub(crate) struct Webhook(WebhookView);

impl From<WebhookView> for Webhook {
    fn from(view: WebhookView) -> Self {
        Self(view)
    }
}

impl Listed for Webhook {
    fn cursor(&self) -> String {
        TimeCursor { at: self.0.created_at, id: self.0.id.0 }.encode()
    }
}

/// Why a webhook is switched off.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "ports::DisabledReason", name = "WebhookDisabledReason")]
pub(crate) enum DisabledReason {
    /// Somebody did it.
    User,
    /// Too many tries in a row failed.
    ConsecutiveFailures,
    /// The receiver answered 410.
    Gone,
}

/// A header that a webhook adds to its messages.
#[derive(SimpleObject)]
struct WebhookHeader {
    /// Its name, in lower case.
    name: String,
    /// Its value as written: secrets stand in it by their names.
    value: String,
}

/// An outgoing webhook: events that are sent to an address. What it signs with, nobody is told again.
#[Object]
impl Webhook {
    /// Its global id.
    pub(crate) async fn id(&self) -> ID {
        GlobalId::Webhook(self.0.id).encode()
    }

    /// Its name for people.
    async fn name(&self) -> &str {
        &self.0.settings.name
    }

    /// Where messages are sent.
    async fn url(&self) -> &str {
        &self.0.settings.url
    }

    /// Patterns of the types of events that are sent.
    async fn events(&self) -> &[String] {
        &self.0.settings.events
    }

    /// What must hold of an event: one expression.
    async fn filter(&self) -> Option<&str> {
        self.0.settings.filter.as_deref()
    }

    /// Headers that are added, by name.
    async fn headers(&self) -> Vec<WebhookHeader> {
        let headers = self.0.settings.headers.as_object().into_iter().flatten();
        let header = |(name, value): (&String, &serde_json::Value)| WebhookHeader {
            name: name.clone(),
            value: value.as_str().unwrap_or_default().to_owned(),
        };
        headers.map(header).collect()
    }

    /// How often a delivery is tried again after the first try.
    async fn max_retries(&self) -> i32 {
        self.0.settings.max_retries
    }

    /// How long one try may take, in milliseconds.
    async fn timeout_ms(&self) -> i32 {
        self.0.settings.timeout_seconds.saturating_mul(1000)
    }

    /// Whether it is switched on.
    async fn is_enabled(&self) -> bool {
        self.0.is_active
    }

    /// Why it is switched off.
    async fn disabled_reason(&self) -> Option<DisabledReason> {
        self.0.disabled_reason.map(Into::into)
    }

    /// Since when it is switched off.
    async fn disabled_at(&self) -> Option<Instant> {
        self.0.disabled_at.map(Into::into)
    }

    /// How many tries failed in a row; a try that succeeds forgets them.
    async fn consecutive_failures(&self) -> i32 {
        self.0.consecutive_failures
    }

    /// Until when nothing is sent, after several failures in a row.
    async fn circuit_open_until(&self) -> Option<Instant> {
        self.0.circuit_open_until.map(Into::into)
    }

    /// How many deliveries have ended, delivered or given up, tests included.
    async fn total_calls(&self) -> i64 {
        self.0.total_calls
    }

    /// How many of them were given up.
    async fn failed_calls(&self) -> i64 {
        self.0.failed_calls
    }

    /// When a delivery was recorded last.
    async fn last_triggered_at(&self) -> Option<Instant> {
        self.0.last_triggered_at.map(Into::into)
    }

    /// When a try succeeded last.
    async fn last_success_at(&self) -> Option<Instant> {
        self.0.last_success_at.map(Into::into)
    }

    /// When a try failed last.
    async fn last_failure_at(&self) -> Option<Instant> {
        self.0.last_failure_at.map(Into::into)
    }

    /// When it was made.
    async fn created_at(&self) -> Instant {
        self.0.created_at.into()
    }

    /// When it changed last.
    async fn updated_at(&self) -> Instant {
        self.0.updated_at.into()
    }
}
