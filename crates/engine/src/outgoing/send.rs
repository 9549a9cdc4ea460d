//! Sends what is due: takes deliveries under a lease, makes one try of each, and records its end.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use super::{Webhooks, backoff, headers, message, secret};
use crate::Engine;
use crate::ports::{
    ClaimedDelivery, DeliveryEnd, EndedTry, FinishDelivery, LostDelivery, OutgoingAnswer, OutgoingRequest, StoreError,
    TryRecord,
};

/// How often what other servers recorded or left behind is looked for.
const LOOK: Duration = Duration::from_secs(5);

/// How long is waited at least between two looks at what cannot be sent yet.
const BREATH: Duration = Duration::from_millis(20);

/// The first and the longest pause between tries while the database is away.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long tries that are under way may take when the server stops; the others are made again by the next start.
const GRACE: Duration = Duration::from_secs(3);

/// Sends until the engine stops.
pub(super) async fn keep(engine: Arc<Engine>, parts: Webhooks) {
    let mut under_way = JoinSet::new();
    if !engine.is_clustered() {
        // Nobody else sends: whatever is under way was left behind by an earlier start.
        sweep(&engine, &parts, engine.clock().now() + TimeDelta::days(1)).await;
    }
    let mut swept_at = Instant::now();
    loop {
        if swept_at.elapsed() >= LOOK {
            sweep(&engine, &parts, engine.clock().now()).await;
            swept_at = Instant::now();
        }
        while under_way.try_join_next().is_some() {}
        let pause = claim(&engine, &parts, &mut under_way).await;
        let woken = async {
            tokio::select! {
                () = engine.outgoing().work_came.notified() => {}
                Some(_) = under_way.join_next() => {}
                () = sleep(pause) => {}
            }
        };
        if engine.stop().run_until_cancelled(woken).await.is_none() {
            break;
        }
    }
    let ended = async { while under_way.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, ended).await.is_err() {
        info!("tries of webhooks that are under way are made again by the next start");
    }
}

/// Takes what is due, and begins to send it. How long nothing more is due.
async fn claim(engine: &Arc<Engine>, parts: &Webhooks, under_way: &mut JoinSet<()>) -> Duration {
    let room = parts.config.max_in_flight.saturating_sub(under_way.len());
    // Where no webhook is on, nothing waits.
    if room == 0 || !engine.outgoing().has_subscriptions() {
        return LOOK;
    }
    let now = engine.clock().now();
    let due = match parts.store.claim_deliveries(room, now).await {
        Ok(due) => due,
        Err(error) => {
            warn!(%error, "deliveries cannot be taken; trying again");
            return LONGEST_PAUSE;
        }
    };
    let has_claimed = !due.deliveries.is_empty();
    for delivery in due.deliveries {
        let (engine, parts) = (Arc::clone(engine), parts.clone());
        under_way.spawn(async move { make_try(&engine, &parts, delivery).await });
    }
    let until = due.next_due_at.map_or(LOOK, |at| (at - now).to_std().unwrap_or_default());
    // What is due and was not taken has to wait for tries that are under way.
    let least = if has_claimed || !until.is_zero() { BREATH } else { Duration::from_secs(1) };
    until.clamp(least, LOOK)
}

/// Makes the try of a delivery that has begun, and records how it ended.
pub(super) async fn make_try(engine: &Arc<Engine>, parts: &Webhooks, delivery: ClaimedDelivery) {
    let at = engine.clock().now();
    let began = Instant::now();
    let sent = send(engine, parts, &delivery).await;
    let now = engine.clock().now();
    let tries = (delivery.attempt, delivery.max_retries);
    let end = backoff::end_of(sent.as_ref().ok(), tries, &parts.config, chance(engine), now);
    let (status, body, error) = match sent {
        Ok(answer) => (Some(answer.status), Some(answer.body), said(answer.status)),
        Err(why) => (None, None, Some(why)),
    };
    debug!(delivery = %delivery.id, status, error, "a webhook was called");
    let record = TryRecord { at, took: began.elapsed(), status, error, body };
    finish(
        engine,
        parts,
        FinishDelivery {
            id: delivery.id,
            epoch: delivery.epoch,
            record: EndedTry::Made(record),
            end,
            breaker: parts.config.breaker(),
            at: now,
        },
    )
    .await;
}

/// What the record of a try says of an answer that is not as it should be.
fn said(status: u16) -> Option<String> {
    match status {
        200..=299 => None,
        300..=399 => Some(format!("the receiver answered {status}; redirects are not followed")),
        410 => Some("the receiver answered 410: it is gone for good".to_owned()),
        _ => Some(format!("the receiver answered {status}")),
    }
}

async fn send(engine: &Engine, parts: &Webhooks, delivery: &ClaimedDelivery) -> Result<OutgoingAnswer, String> {
    let whose = (delivery.tenant, delivery.webhook);
    let vault = engine.secrets().map(|secrets| Arc::clone(&secrets.vault)).map_err(|error| error.to_string())?;
    let now = engine.clock().now();
    let secrets = secret::open(&*vault, whose, &delivery.secrets, now).map_err(|error| error.to_string())?;
    let named = |name: String| async move {
        let values = engine.secret_values(&name).await.map_err(|error| error.to_string())?;
        values.into_iter().next().ok_or_else(|| format!("a header names the secret `{name}`, which nobody has set"))
    };
    let mut headers = headers::opened(&delivery.headers, named).await?;
    headers.extend(message::signed(&delivery.body, &secrets, now));
    for (name, value) in [
        ("content-type", "application/json".to_owned()),
        ("cogwheel-delivery", delivery.id.to_string()),
        ("cogwheel-attempt", delivery.attempt.to_string()),
    ] {
        headers.push((name.to_owned(), value));
    }
    let timeout = Duration::from_secs(u64::try_from(delivery.timeout_seconds).unwrap_or(1));
    let request = OutgoingRequest { url: delivery.url.clone(), headers, body: delivery.body.clone(), timeout };
    parts.transport.post(request).await
}

/// Ends the tries of servers that died: whether the receiver got them, nobody knows.
async fn sweep(engine: &Arc<Engine>, parts: &Webhooks, before: DateTime<Utc>) {
    let lost = match parts.store.lost_deliveries(before).await {
        Ok(lost) => lost,
        Err(error) => {
            warn!(%error, "deliveries that were left behind cannot be looked for; trying again");
            return;
        }
    };
    for LostDelivery { id, epoch, is_test } in lost {
        let at = engine.clock().now();
        // The receiver may never have got it, so it is sent again, also where that try was the last: it is not to blame.
        let end = if is_test { DeliveryEnd::Dead } else { DeliveryEnd::Retry(at) };
        let breaker = parts.config.breaker();
        finish(engine, parts, FinishDelivery { id, epoch, record: EndedTry::Lost, end, breaker, at }).await;
    }
}

/// Records the end of a try. While the database is away it tries again: otherwise the receiver would get it once more.
async fn finish(engine: &Arc<Engine>, parts: &Webhooks, finish: FinishDelivery) {
    let mut pause = FIRST_PAUSE;
    loop {
        match parts.store.finish_delivery(finish.clone()).await {
            Ok(finished) => {
                let Some(finished) = finished else {
                    debug!(delivery = %finish.id, "the end of a try is somebody else's business by now");
                    return;
                };
                if let Some(reason) = finished.disabled {
                    warn!(delivery = %finish.id, ?reason, "a webhook was switched off");
                    super::changed(engine).await;
                }
                if finished.has_events {
                    engine.tell_of_events();
                }
                return;
            }
            Err(error @ (StoreError::Unavailable(_) | StoreError::Unanswered(_))) => {
                info!(%error, "the database is away; the end of a try waits");
                if engine.stop().run_until_cancelled(sleep(pause)).await.is_none() {
                    return;
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(error) => {
                warn!(delivery = %finish.id, %error, "the end of a try cannot be recorded; it is made again");
                return;
            }
        }
    }
}

/// A random number.
fn chance(engine: &Engine) -> u64 {
    u64::try_from(engine.clock().new_id().as_u128() & u128::from(u64::MAX)).unwrap_or(0)
}
