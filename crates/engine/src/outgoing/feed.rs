//! Makes deliveries of events: each recorded event is held against the webhooks once, in order, also after a restart.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use cogwheel_definition::{Condition, EventPattern};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tracing::{error, info, warn};

use super::{Webhooks, message};
use crate::ports::{Consumer, DeadLetter, NewDelivery, OUTGOING_WEBHOOKS, RecordedEvent, StoreError, Subscription};
use crate::{DeliveryId, Engine, WebhookId};

/// How many events are read at once.
const PAGE: usize = 128;

/// How long until webhooks and events are looked for that another server recorded: it deals with them itself, unless it
/// died or was not heard.
const LOOK: Duration = Duration::from_secs(10);

/// The first and the longest pause until events are looked for that cannot be read yet, or while the database is away.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How far the reading came.
enum Read {
    /// To the end.
    All,
    /// To events that cannot be read yet.
    HeldUp,
}

/// Holds events against the webhooks until the engine stops.
pub(super) async fn keep(engine: Arc<Engine>, parts: Webhooks) {
    let mut pause = FIRST_PAUSE;
    let mut looked_at = Instant::now();
    loop {
        let mut look = LOOK;
        if engine.outgoing().has_subscriptions() {
            match read_on(&engine, &parts).await {
                Ok(Read::All) => pause = FIRST_PAUSE,
                held_up => {
                    match held_up {
                        Err(error) if error.is_transient() => info!(%error, "the database is away; deliveries wait"),
                        Err(error) => error!(%error, "deliveries cannot be made of events; trying again"),
                        Ok(_) => {}
                    }
                    look = pause;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
        let woken = async {
            tokio::select! {
                () = engine.outgoing().events_came.notified() => {}
                () = sleep(look) => {}
            }
        };
        if engine.stop().run_until_cancelled(woken).await.is_none() {
            return;
        }
        if looked_at.elapsed() >= LOOK {
            if let Err(error) = super::look(&engine).await {
                info!(%error, "what webhooks want could not be read; what was known last counts");
            }
            looked_at = Instant::now();
        }
    }
}

/// Reads on to the end. Whatever is not committed is done again by the next reading.
async fn read_on(engine: &Engine, parts: &Webhooks) -> Result<Read, StoreError> {
    // Other servers may have dealt with what this one did not read yet.
    let mut consumer = engine.store().event_consumer(OUTGOING_WEBHOOKS, engine.clock().now()).await?;
    while !engine.is_draining() {
        let page = engine.store().events_after(consumer.place, PAGE).await?;
        let Some(last) = page.events.last().map(|event| event.place) else {
            return Ok(if page.is_held_up { Read::HeldUp } else { Read::All });
        };
        let subscribers = Subscribers::new(parts.store.subscriptions().await?);
        let mut deliveries = Vec::new();
        for event in &page.events {
            let (wanted, reasons) = subscribers.of(event);
            if !wanted.is_empty() {
                let body = message::of_event(event);
                deliveries.extend(wanted.into_iter().map(|subscription| NewDelivery {
                    id: DeliveryId(engine.clock().new_id()),
                    webhook: subscription.webhook,
                    tenant: subscription.tenant,
                    event: event.id,
                    event_type: event.event_type.clone(),
                    body: body.clone(),
                }));
            }
            if !reasons.is_empty() {
                bury(engine, &consumer, event, reasons).await?;
            }
        }
        consumer.place = last;
        let there_are = !deliveries.is_empty();
        if !parts.store.queue_deliveries(consumer, deliveries, engine.clock().now()).await? {
            // The reader was put to another place meanwhile.
            consumer = engine.store().event_consumer(OUTGOING_WEBHOOKS, engine.clock().now()).await?;
        } else if there_are {
            engine.outgoing().work_came.notify_one();
        }
    }
    Ok(Read::All)
}

async fn bury(
    engine: &Engine,
    consumer: &Consumer,
    event: &RecordedEvent,
    reasons: Vec<String>,
) -> Result<(), StoreError> {
    warn!(event = %event.id, event_type = event.event_type, why = reasons.join("; "), "an event is not sent");
    let letter = DeadLetter {
        consumer: consumer.id,
        event: event.id,
        tenant: event.tenant,
        depth: event.depth() + 1,
        reasons,
        at: engine.clock().now(),
    };
    engine.store().bury(letter).await
}

/// The webhooks that are on, with their conditions compiled.
struct Subscribers {
    all: Vec<(Subscription, Vec<EventPattern>)>,
    conditions: HashMap<WebhookId, Result<Condition, String>>,
}

impl Subscribers {
    fn new(subscriptions: Vec<Subscription>) -> Self {
        let condition = |subscription: &Subscription| {
            Some((subscription.webhook, Condition::on_event(subscription.filter.as_deref()?)))
        };
        let conditions = subscriptions.iter().filter_map(condition).collect();
        let patterns = |subscription: &Subscription| {
            subscription.events.iter().filter_map(|pattern| EventPattern::parse(pattern).ok()).collect()
        };
        let all = subscriptions.into_iter().map(|subscription| {
            let patterns = patterns(&subscription);
            (subscription, patterns)
        });
        Self { all: all.collect(), conditions }
    }

    /// Who wants this event, and why others cannot be asked.
    fn of(&self, event: &RecordedEvent) -> (Vec<&Subscription>, Vec<String>) {
        let (mut wanted, mut reasons) = (Vec::new(), Vec::new());
        if !message::may_be_sent(&event.event_type) {
            return (wanted, reasons);
        }
        for (subscription, patterns) in &self.all {
            let is_meant = subscription.tenant == event.tenant
                && event.place > subscription.since
                && patterns.iter().any(|pattern| pattern.matches(&event.event_type));
            match is_meant.then(|| self.holds(subscription, event)) {
                Some(Ok(true)) => wanted.push(subscription),
                Some(Err(why)) => reasons.push(format!("webhook {}: {why}", subscription.name)),
                Some(Ok(false)) | None => {}
            }
        }
        (wanted, reasons)
    }

    fn holds(&self, subscription: &Subscription, event: &RecordedEvent) -> Result<bool, String> {
        let Some(condition) = self.conditions.get(&subscription.webhook) else { return Ok(true) };
        let condition = condition.as_ref().map_err(|why| format!("its filter cannot be used: {why}"))?;
        match condition.expression.render(&json!({ "event": event.seen() })) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(other) => Err(format!("its filter gives {other}, not true or false")),
            Err(error) => Err(format!("its filter: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::TenantId;
    use crate::ports::Place;

    const TENANT: TenantId = TenantId(Uuid::from_u128(1));

    fn subscription(id: u128, events: &[&str], filter: Option<&str>) -> Subscription {
        Subscription {
            webhook: WebhookId(Uuid::from_u128(id)),
            tenant: TENANT,
            name: format!("w{id}"),
            events: events.iter().map(|&pattern| pattern.to_owned()).collect(),
            filter: filter.map(str::to_owned),
            since: Place { transaction: 7, position: 99 },
        }
    }

    fn event(event_type: &str, data: &Value) -> RecordedEvent {
        RecordedEvent {
            id: Uuid::from_u128(9),
            tenant: TENANT,
            event_type: event_type.to_owned(),
            stream: "execution-x".to_owned(),
            place: Place { transaction: 7, position: 100 },
            data: json!({ "subject": "s", "data": data }),
            schema_version: 1,
            version: 1,
            aggregate_type: "execution".to_owned(),
            aggregate_id: None,
            metadata: Value::Null,
            correlation_id: None,
            causation_id: None,
            hash: String::new(),
            at: DateTime::UNIX_EPOCH,
        }
    }

    fn of(subscribers: &Subscribers, event: &RecordedEvent) -> (Vec<u128>, usize) {
        let (wanted, reasons) = subscribers.of(event);
        (wanted.iter().map(|one| one.webhook.0.as_u128()).collect(), reasons.len())
    }

    #[test]
    fn an_event_is_for_those_who_subscribed_to_it() {
        let all = Subscribers::new(vec![
            subscription(1, &["workflow.*"], None),
            subscription(2, &["custom.**", "workflow.failed"], Some("event.data.n > 1")),
            subscription(3, &["**"], None),
        ]);
        assert_eq!(of(&all, &event("workflow.failed", &json!({"n": 2}))), (vec![1, 2, 3], 0));
        assert_eq!(of(&all, &event("workflow.failed", &json!({"n": 1}))), (vec![1, 3], 0));
        assert_eq!(of(&all, &event("custom.a.b", &json!({}))), (vec![3], 1), "its filter cannot be asked");
        assert_eq!(of(&all, &event("webhook.disabled", &json!({}))), (vec![], 0), "whatever the pattern says");
        let mut early = event("workflow.failed", &json!({"n": 2}));
        for place in [(7, 99), (6, 1000)] {
            early.place = Place { transaction: place.0, position: place.1 };
            assert_eq!(of(&all, &early), (vec![], 0), "it was recorded before they were on");
        }
        let mut foreign = event("workflow.failed", &json!({"n": 2}));
        foreign.tenant = TenantId(Uuid::from_u128(2));
        assert_eq!(of(&all, &foreign), (vec![], 0));
    }
}
