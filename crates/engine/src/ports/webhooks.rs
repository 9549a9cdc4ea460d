//! The ports of outgoing webhooks: where they and their deliveries are kept, and what sends.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{Consumer, Place, StoreError, WebhookReads, WrappedKey};
use crate::{DeliveryId, TenantId, WebhookId};

/// The reader that makes deliveries of events. It begins, or begins anew where none was on any more, in the transaction that
/// switches the first webhook on, so that the webhook sees whatever is recorded afterwards.
pub const OUTGOING_WEBHOOKS: &str = "webhooks";

/// Keeps outgoing webhooks and their deliveries. Each call that writes is one transaction, durable when it returns.
#[async_trait]
pub trait WebhookStore: WebhookReads {
    /// Keeps a new webhook, switched on.
    async fn create_webhook(&self, new: NewWebhook) -> Result<(), StoreError>;

    /// Changes a webhook. `false` when there is none.
    async fn change_webhook(&self, change: ChangeWebhook) -> Result<bool, StoreError>;

    /// Forgets a webhook with its deliveries. `false` when there is none.
    async fn delete_webhook(&self, tenant: TenantId, id: WebhookId, at: DateTime<Utc>) -> Result<bool, StoreError>;

    /// Switches a webhook on, which forgets its failures in a row, or off, which cancels what waits. `false` when there is
    /// none.
    async fn switch_webhook(&self, switch: SwitchWebhook) -> Result<bool, StoreError>;

    /// What a webhook signs with.
    async fn webhook_secrets(&self, tenant: TenantId, id: WebhookId) -> Result<Option<SealedSecrets>, StoreError>;

    /// Keeps other secrets in place of `replaces`. Refused with [`StoreError::Conflict`] when those are not there any more.
    async fn replace_webhook_secrets(
        &self,
        id: WebhookId,
        replaces: Vec<u8>,
        secrets: (Vec<u8>, Option<Vec<u8>>, Uuid),
        at: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// Every webhook that is switched on, of all tenants.
    async fn subscriptions(&self) -> Result<Vec<Subscription>, StoreError>;

    /// Records deliveries together with how far their reader of events got. A delivery that was recorded before, and one of
    /// a webhook that is gone or switched off, is left out. `false`, and nothing is recorded, when the reader was put to
    /// another place meanwhile.
    async fn queue_deliveries(
        &self,
        consumer: Consumer,
        deliveries: Vec<NewDelivery>,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError>;

    /// Takes up to `room` deliveries that are due, the longest waiting webhooks first, and begins a try of each.
    async fn claim_deliveries(&self, room: usize, at: DateTime<Utc>) -> Result<DueDeliveries, StoreError>;

    /// Tries that nobody will end any more: their leases lapsed before `at`.
    async fn lost_deliveries(&self, at: DateTime<Utc>) -> Result<Vec<LostDelivery>, StoreError>;

    /// Records the end of a try, with what it makes of the delivery, its webhook and the counters. `None` when the try is
    /// not the current one any more.
    async fn finish_delivery(&self, finish: FinishDelivery) -> Result<Option<FinishedDelivery>, StoreError>;

    /// Records a test and begins its only try. `None` when there is no such webhook.
    async fn begin_test(&self, test: TestDelivery) -> Result<Option<ClaimedDelivery>, StoreError>;

    /// Records a delivery that has ended anew, as `id`, to be sent with the same message id.
    async fn redeliver(
        &self,
        tenant: TenantId,
        delivery: DeliveryId,
        id: DeliveryId,
        at: DateTime<Utc>,
    ) -> Result<Redelivery, StoreError>;
}

/// Sends messages to others, and knows whom it may send to.
#[async_trait]
pub trait WebhookTransport: Send + Sync + 'static {
    /// The address as it is to be kept, if something may be sent to it as it is written. What its name stands for is looked
    /// at when it is connected to.
    ///
    /// # Errors
    ///
    /// What is wrong with it, for its author.
    fn check(&self, url: &str) -> Result<String, String>;

    /// Sends a request by `POST` and waits for the answer, for as long as the request allows.
    ///
    /// # Errors
    ///
    /// Why there is no answer, without anything that the address or the headers may hold in confidence.
    async fn post(&self, request: OutgoingRequest) -> Result<OutgoingAnswer, String>;
}

/// A message to send.
#[derive(Clone)]
pub struct OutgoingRequest {
    /// Where to.
    pub url: String,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its body, to the byte.
    pub body: String,
    /// How long sending it and reading the answer may take together.
    pub timeout: Duration,
}

impl fmt::Debug for OutgoingRequest {
    /// Without what may hold a secret: the address, the values of headers, the body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("OutgoingRequest")
            .field("headers", &headers)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutgoingAnswer {
    /// Its HTTP status.
    pub status: u16,
    /// Its `retry-after`, as it came.
    pub retry_after: Option<String>,
    /// The beginning of its body, at most 4 KiB.
    pub body: String,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryStatus {
    /// It waits for its first try.
    Pending,
    /// A try is under way.
    Delivering,
    /// The receiver took it.
    Delivered,
    /// A try failed, and another follows.
    Retrying,
    /// The last try failed.
    Dead,
    /// Its webhook was switched off.
    Cancelled,
}

/// Why a webhook is switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisabledReason {
    /// Somebody did it.
    User,
    /// Too many tries in a row failed.
    ConsecutiveFailures,
    /// The receiver answered 410.
    Gone,
}

/// A webhook to keep.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    /// Its id.
    pub id: WebhookId,
    /// Its tenant.
    pub tenant: TenantId,
    /// What is sent where.
    pub settings: WebhookRow,
    /// Its secret, encrypted.
    pub secret: Vec<u8>,
    /// The key that it was encrypted with.
    pub key: Uuid,
    /// When.
    pub at: DateTime<Utc>,
}

/// What people set of a webhook, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookRow {
    /// Its name for people.
    pub name: String,
    /// Where to send.
    pub url: String,
    /// Patterns of event types: a sorted list of texts, without repetition.
    pub events: Vec<String>,
    /// What must hold of an event: one expression.
    pub filter: Option<String>,
    /// Headers of its own: an object of texts, which may name secrets.
    pub headers: Value,
    /// How often a delivery is tried again.
    pub max_retries: i32,
    /// How long one try may take, in seconds.
    pub timeout_seconds: i32,
}

/// A change of a webhook.
#[derive(Clone, Debug)]
pub struct ChangeWebhook {
    /// Which.
    pub id: WebhookId,
    /// The tenant that it must belong to.
    pub tenant: TenantId,
    /// What it is from now on.
    pub settings: WebhookRow,
    /// When.
    pub at: DateTime<Utc>,
}

/// A webhook to switch on or off.
#[derive(Clone, Copy, Debug)]
pub struct SwitchWebhook {
    /// Which.
    pub id: WebhookId,
    /// The tenant that it must belong to.
    pub tenant: TenantId,
    /// Whether it is on from now on.
    pub is_active: bool,
    /// When.
    pub at: DateTime<Utc>,
}

/// What a webhook signs with, encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedSecrets {
    /// The current secret.
    pub current: Vec<u8>,
    /// One that was replaced and may still count.
    pub previous: Option<Vec<u8>>,
    /// The key that both were encrypted with.
    pub key: WrappedKey,
}

/// Which events a webhook wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The webhook.
    pub webhook: WebhookId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its name for people.
    pub name: String,
    /// Patterns of event types.
    pub events: Vec<String>,
    /// What must hold of an event: one expression.
    pub filter: Option<String>,
    /// Where the webhook was switched on last: it does not see what was recorded before.
    pub since: Place,
}

/// An event to send to a webhook.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// The webhook.
    pub webhook: WebhookId,
    /// The webhook's tenant.
    pub tenant: TenantId,
    /// The event.
    pub event: Uuid,
    /// Its type.
    pub event_type: String,
    /// The exact text that is signed and sent.
    pub body: String,
}

/// A test to send to a webhook.
#[derive(Clone, Debug)]
pub struct TestDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// The webhook.
    pub webhook: WebhookId,
    /// The tenant that it must belong to.
    pub tenant: TenantId,
    /// The exact text that is signed and sent.
    pub body: String,
    /// Its type.
    pub event_type: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// A delivery of which a try has begun.
#[derive(Clone, Debug)]
pub struct ClaimedDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// Its webhook.
    pub webhook: WebhookId,
    /// Its tenant.
    pub tenant: TenantId,
    /// What tells this try from earlier ones of the delivery.
    pub epoch: i64,
    /// Which try this is, from 1.
    pub attempt: i32,
    /// How often it may be tried again after the first.
    pub max_retries: i32,
    /// How long one try may take, in seconds.
    pub timeout_seconds: i32,
    /// Where to.
    pub url: String,
    /// Headers of its own: an object of texts, which may name secrets.
    pub headers: Value,
    /// What to sign with.
    pub secrets: SealedSecrets,
    /// The exact text that is signed and sent.
    pub body: String,
}

/// What is due.
#[derive(Clone, Debug, Default)]
pub struct DueDeliveries {
    /// What the caller sends now, each under a lease.
    pub deliveries: Vec<ClaimedDelivery>,
    /// When the next of what is left is due.
    pub next_due_at: Option<DateTime<Utc>>,
}

/// A try whose server died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostDelivery {
    /// The delivery.
    pub id: DeliveryId,
    /// The try.
    pub epoch: i64,
    /// Whether it was a test, which is tried once.
    pub is_test: bool,
}

/// What a try makes of its delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryEnd {
    /// The receiver took it.
    Delivered,
    /// It is tried again at this instant.
    Retry(DateTime<Utc>),
    /// It was the last try.
    Dead,
    /// The receiver answered 410: no more of this webhook.
    Gone,
}

/// A try that has ended, for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TryRecord {
    /// When it began.
    pub at: DateTime<Utc>,
    /// How long it took.
    pub took: Duration,
    /// The answer's HTTP status.
    pub status: Option<u16>,
    /// What went wrong.
    pub error: Option<String>,
    /// The beginning of the answer's body.
    pub body: Option<String>,
}

/// The end of a try.
#[derive(Clone, Debug)]
pub struct FinishDelivery {
    /// The delivery.
    pub id: DeliveryId,
    /// The try.
    pub epoch: i64,
    /// What it was.
    pub record: EndedTry,
    /// What it makes of the delivery.
    pub end: DeliveryEnd,
    /// What failures in a row make of the webhook.
    pub breaker: Breaker,
    /// When.
    pub at: DateTime<Utc>,
}

/// How a try ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndedTry {
    /// It was made.
    Made(TryRecord),
    /// Nobody knows: its server died.
    Lost,
}

/// What became of a delivery and its webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinishedDelivery {
    /// Where the delivery stands.
    pub status: DeliveryStatus,
    /// Why its webhook was switched off by this.
    pub disabled: Option<DisabledReason>,
    /// Whether events were recorded.
    pub has_events: bool,
}

/// What failures in a row make of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// After how many nothing more is sent for a while.
    pub opens_after: i32,
    /// For how long at first; each further failure doubles it.
    pub first_pause: Duration,
    /// For how long at the most.
    pub longest_pause: Duration,
    /// After how many the webhook is switched off.
    pub disables_after: i32,
}

impl Breaker {
    /// How long nothing more is sent after so many failures in a row; `None` while it goes on.
    pub fn pause_after(&self, failures: i32) -> Option<Duration> {
        let more = u32::try_from(failures - self.opens_after).ok()?;
        let pause = self.first_pause.saturating_mul(2_u32.saturating_pow(more));
        Some(pause.min(self.longest_pause))
    }

    /// Whether the webhook is switched off after so many failures in a row.
    pub fn disables(&self, failures: i32) -> bool {
        failures >= self.disables_after
    }
}

/// What became of a request to send something again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redelivery {
    /// It is recorded, as this delivery.
    Queued(DeliveryId),
    /// There is no such delivery.
    Unknown,
    /// It has not ended.
    NotEnded,
    /// It was a test.
    IsTest,
    /// Its webhook is switched off.
    Disabled,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_shows_nothing_in_confidence() {
        let request = OutgoingRequest {
            url: "https://a.example/s3cret".to_owned(),
            headers: vec![("authorization".to_owned(), "Bearer s3cret".to_owned())],
            body: "s3cret".to_owned(),
            timeout: Duration::from_secs(1),
        };
        let shown = format!("{request:?}");
        assert!(shown.contains("authorization") && !shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn failures_in_a_row_open_the_circuit_ever_longer() {
        let breaker = Breaker {
            opens_after: 3,
            first_pause: Duration::from_secs(30),
            longest_pause: Duration::from_secs(100),
            disables_after: 6,
        };
        let pause = |failures| breaker.pause_after(failures).map(|pause| pause.as_secs());
        let pauses = [1, 2, 3, 4, 5, 6, i32::MAX].map(pause);
        assert_eq!(pauses, [None, None, Some(30), Some(60), Some(100), Some(100), Some(100)]);
        assert_eq!([1, 5, 6, 7].map(|failures| breaker.disables(failures)), [false, false, true, true]);
    }
}
