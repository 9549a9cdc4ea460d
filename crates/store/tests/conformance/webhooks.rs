//! Outgoing webhooks: deliveries recorded once, taken by one, ended once, and counted as they end.

use std::collections::HashSet;
use std::time::Duration;

use cogwheel_engine::events::EventType;
use cogwheel_engine::ports::{
    Actor, Breaker, ClaimedDelivery, DeliveryEnd, DeliveryFilter, DeliveryStatus, DisabledReason, EndedTry, EventLog,
    FinishDelivery, FinishedDelivery, LostDelivery, NewDelivery, NewEvent, NewWebhook, OUTGOING_WEBHOOKS, Redelivery,
    SecretStore, Store, StoreError, Stream, SwitchWebhook, TestDelivery, TryRecord, WebhookReads, WebhookRow,
    WebhookStore, WebhookView, WrappedKey,
};
use cogwheel_engine::views::PageRequest;
use cogwheel_engine::{DeliveryId, TenantId, WebhookId};
use serde_json::json;
use uuid::Uuid;

use super::on_both;
use super::world::{PLAIN, World, at};

on_both! {
    deliveries_are_recorded_once_with_their_readers_place
    the_last_delivery_is_never_an_earlier_one
    a_delivery_is_taken_by_one_and_ended_once
    failures_in_a_row_open_the_circuit_and_switch_off
    a_receiver_that_is_gone_is_switched_off
    no_receiver_gets_more_than_its_share
    a_try_whose_server_died_is_found
    a_delivery_that_ended_is_sent_anew
    a_test_has_one_try_and_no_consequences
    switching_off_cancels_what_waits
    secrets_are_replaced_once
    webhooks_and_deliveries_are_listed
}

const BREAKER: Breaker = Breaker {
    opens_after: 2,
    first_pause: Duration::from_secs(30),
    longest_pause: Duration::from_mins(1),
    disables_after: 4,
};

pub(super) async fn made(world: &World, name: &str) -> WebhookId {
    let wrapped = WrappedKey { bytes: vec![1], master_key: "test".to_owned() };
    let key = world.store.add_data_key(world.tenant, wrapped, at(0)).await.unwrap();
    let settings = WebhookRow {
        name: name.to_owned(),
        url: "https://a.example/hook?token=s3cret".to_owned(),
        events: vec!["custom.**".to_owned()],
        filter: Some("event.data.n > 1".to_owned()),
        headers: json!({ "x-team": "data" }),
        max_retries: 3,
        timeout_seconds: 15,
    };
    let id = WebhookId(Uuid::now_v7());
    let new = NewWebhook { id, tenant: world.tenant, settings, secret: vec![7, 7], key: key.id, at: at(0) };
    world.store.create_webhook(new).await.unwrap();
    id
}

async fn webhook(world: &World, id: WebhookId) -> WebhookView {
    world.store.webhooks_by_id(world.tenant, &[id]).await.unwrap().remove(0)
}

/// Events that are recorded, by their ids.
async fn events(world: &World, count: usize) -> Vec<Uuid> {
    let workflow = world.save(PLAIN, at(0)).await;
    let start = world.started(&workflow).await;
    let mut record = world.running(&start, 0);
    let new = |_| NewEvent {
        id: Uuid::now_v7(),
        event_type: "custom.a".parse().unwrap(),
        actor: Actor::Engine,
        data: json!({ "n": 1 }),
        depth: 0,
        correlation_id: None,
        causation_id: None,
    };
    record.events = (0..count).map(new).collect();
    let ids = record.events.iter().map(|event| event.id).collect();
    world.store.record(record).await.unwrap();
    ids
}

pub(super) fn delivery(world: &World, webhook: WebhookId, event: Uuid) -> NewDelivery {
    NewDelivery {
        id: DeliveryId(Uuid::now_v7()),
        webhook,
        tenant: world.tenant,
        event,
        event_type: "custom.a".to_owned(),
        body: format!("{{\"id\":\"evt_{}\"}}", event.simple()),
    }
}

/// So many deliveries to a webhook, recorded at an instant.
async fn queued(world: &World, webhook: WebhookId, count: usize, seconds: i64) {
    let consumer = world.store.event_consumer(OUTGOING_WEBHOOKS, at(0)).await.unwrap();
    let new = events(world, count).await.into_iter().map(|event| delivery(world, webhook, event)).collect();
    assert!(world.store.queue_deliveries(consumer, new, at(seconds)).await.unwrap());
}

async fn claimed(world: &World, room: usize, seconds: i64) -> Vec<ClaimedDelivery> {
    world.store.claim_deliveries(room, at(seconds)).await.unwrap().deliveries
}

async fn one(world: &World, seconds: i64) -> ClaimedDelivery {
    let mut claimed = claimed(world, 1, seconds).await;
    assert_eq!(claimed.len(), 1, "at {seconds}");
    claimed.remove(0)
}

async fn finished(
    world: &World,
    delivery: &ClaimedDelivery,
    status: u16,
    end: DeliveryEnd,
    seconds: i64,
) -> Option<FinishedDelivery> {
    let record = TryRecord {
        at: at(seconds),
        took: Duration::from_millis(12),
        status: Some(status),
        error: (status != 200).then(|| format!("the receiver answered {status}\0")),
        body: Some("well\0".to_owned()),
    };
    let (id, epoch) = (delivery.id, delivery.epoch);
    let finish = FinishDelivery { id, epoch, record: EndedTry::Made(record), end, breaker: BREAKER, at: at(seconds) };
    world.store.finish_delivery(finish).await.unwrap()
}

pub(super) async fn statuses(world: &World) -> Vec<String> {
    let rows = world.rows("select status from webhook_deliveries order by created_at, id").await;
    rows.iter().map(|row| row.try_get("", "status").unwrap()).collect()
}

async fn told(world: &World) -> Vec<String> {
    let rows = world.rows("select event_type from event_store where stream_id like 'webhook-%' order by version").await;
    rows.iter().map(|row| row.try_get("", "event_type").unwrap()).collect()
}

async fn deliveries_are_recorded_once_with_their_readers_place(world: &World) {
    let (on, off) = (made(world, "on").await, made(world, "off").await);
    let switch = SwitchWebhook { id: off, tenant: world.tenant, is_active: false, at: at(1) };
    assert!(world.store.switch_webhook(switch).await.unwrap());
    let subscriptions = world.store.subscriptions().await.unwrap();
    assert_eq!(subscriptions.iter().map(|known| known.webhook).collect::<Vec<_>>(), [on]);
    assert_eq!(subscriptions[0].filter.as_deref(), Some("event.data.n > 1"));

    let ids = events(world, 2).await;
    let mut consumer = world.store.event_consumer(OUTGOING_WEBHOOKS, at(0)).await.unwrap();
    consumer.place = loop {
        // Other transactions of the server, whosever they are, hold it up.
        let page = world.store.events_after(consumer.place, 100).await.unwrap();
        if let Some(last) = page.events.iter().find(|event| event.id == ids[1]) {
            break last.place;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let both = || [on, off].into_iter().flat_map(|webhook| ids.iter().map(move |event| (webhook, *event)));
    let new = || both().map(|(webhook, event)| delivery(world, webhook, event)).collect::<Vec<_>>();
    assert!(world.store.queue_deliveries(consumer, new(), at(5)).await.unwrap());
    // Another server that read the same page.
    let (again, more) = tokio::join!(
        world.store.queue_deliveries(consumer, new(), at(6)),
        world.store.queue_deliveries(consumer, new(), at(6))
    );
    assert!(again.unwrap() && more.unwrap());
    assert_eq!(statuses(world).await, ["pending", "pending"]);
    let known = world.store.event_consumer(OUTGOING_WEBHOOKS, at(7)).await.unwrap();
    assert_eq!(known.place, consumer.place, "it is recorded how far the reading got");
    assert_eq!(webhook(world, on).await.last_triggered_at, Some(at(5)));
    assert_eq!(webhook(world, off).await.last_triggered_at, None);
    assert!(!told(world).await.is_empty());
    let urls = world.number("select count(*) from event_store where cast(event_data as text) like '%s3cret%'").await;
    let audited = "select count(*) from audit_log a join users u on u.id = a.actor_user_id
        where a.table_name = 'webhooks' and a.category = 'administration' and a.actor_type = 'user'";
    let audited = world.number(audited).await;
    assert_eq!((urls, audited), (0, 3), "what an address may hold in confidence is not told");
}

async fn the_last_delivery_is_never_an_earlier_one(world: &World) {
    let id = made(world, "clocks").await;
    queued(world, id, 1, 9).await;
    // By a server whose clock is behind.
    queued(world, id, 1, 5).await;
    assert_eq!(webhook(world, id).await.last_triggered_at, Some(at(9)));
}

async fn a_delivery_is_taken_by_one_and_ended_once(world: &World) {
    let id = made(world, "one").await;
    queued(world, id, 1, 5).await;
    let first = one(world, 6).await;
    assert_eq!((first.attempt, first.epoch, first.max_retries), (1, 1, 3));
    assert_eq!((first.url.as_str(), &first.secrets.current), ("https://a.example/hook?token=s3cret", &vec![7, 7]));
    assert!(claimed(world, 10, 6).await.is_empty(), "it is under way");
    let ended = finished(world, &first, 500, DeliveryEnd::Retry(at(20)), 7).await.unwrap();
    assert_eq!(ended, FinishedDelivery { status: DeliveryStatus::Retrying, disabled: None, has_events: false });
    assert_eq!(finished(world, &first, 200, DeliveryEnd::Delivered, 8).await, None, "it has ended");

    let due = world.store.claim_deliveries(10, at(19)).await.unwrap();
    assert!(due.deliveries.is_empty());
    assert_eq!(due.next_due_at, Some(at(20)));
    let second = one(world, 20).await;
    assert_eq!((second.attempt, second.epoch, second.body.as_str()), (2, 2, first.body.as_str()));
    assert_eq!(finished(world, &first, 200, DeliveryEnd::Delivered, 21).await, None, "that try is over");
    finished(world, &second, 200, DeliveryEnd::Delivered, 21).await.unwrap();
    let view = webhook(world, id).await;
    assert_eq!((view.total_calls, view.failed_calls, view.consecutive_failures), (1, 0, 0));
    assert_eq!((view.last_failure_at, view.last_success_at), (Some(at(7)), Some(at(21))));
    let filter = DeliveryFilter { webhook: Some(id), status: None };
    let page = PageRequest::Forward { first: 10, after: None };
    let log = world.store.deliveries(world.tenant, &filter, page).await.unwrap().items.remove(0);
    assert_eq!((log.attempt_count, log.last_status_code, log.delivered_at), (2, Some(200), Some(at(21))));
    assert_eq!(log.response_body.as_deref(), Some("well\u{fffd}"));
    let attempts = log.attempts.as_array().unwrap();
    assert_eq!((attempts.len(), &attempts[0]["status"], &attempts[1]["attempt"]), (2, &json!(500), &json!(2)));
    assert_eq!(attempts[0]["error"], "the receiver answered 500\u{fffd}");
}

async fn failures_in_a_row_open_the_circuit_and_switch_off(world: &World) {
    let id = made(world, "failing").await;
    queued(world, id, 8, 5).await;
    for (failures, seconds, opens) in [(1, 10, None), (2, 11, Some(41)), (3, 41, Some(101))] {
        let taken = one(world, seconds).await;
        finished(world, &taken, 500, DeliveryEnd::Retry(at(1000)), seconds).await.unwrap();
        let view = webhook(world, id).await;
        assert_eq!((view.consecutive_failures, view.circuit_open_until), (failures, opens.map(at)));
        assert!(claimed(world, 10, seconds).await.len() <= 1, "after a failure one message goes first");
        let taken = world.rows("select id from webhook_deliveries where status = 'delivering'").await;
        if opens.is_some() {
            assert!(taken.is_empty(), "nothing while the circuit is open");
        } else {
            world.execute("update webhook_deliveries set status = 'pending', next_attempt_at = created_at where status = 'delivering'").await;
        }
    }
    let due = world.store.claim_deliveries(10, at(50)).await.unwrap();
    assert!(due.deliveries.is_empty());
    assert_eq!(due.next_due_at, Some(at(101)));
    // A receiver that is well again is sent everything.
    let probe = one(world, 101).await;
    finished(world, &probe, 200, DeliveryEnd::Delivered, 102).await.unwrap();
    let view = webhook(world, id).await;
    assert_eq!((view.consecutive_failures, view.circuit_open_until), (0, None));

    for seconds in [103, 104, 200, 300] {
        let taken = one(world, seconds).await;
        let ended = finished(world, &taken, 500, DeliveryEnd::Dead, seconds).await.unwrap();
        assert_eq!(ended.disabled.is_some(), seconds == 300);
        assert!(ended.has_events);
    }
    let view = webhook(world, id).await;
    assert_eq!((view.is_active, view.disabled_reason), (false, Some(DisabledReason::ConsecutiveFailures)));
    assert_eq!((view.disabled_at, view.total_calls, view.failed_calls), (Some(at(300)), 5, 4));
    let dead = statuses(world).await.iter().filter(|status| *status == "dead").count();
    assert_eq!(dead, 4);
    assert!(statuses(world).await.iter().all(|status| ["dead", "delivered", "cancelled"].contains(&status.as_str())));
    let told = told(world).await;
    assert_eq!(told.iter().filter(|kind| *kind == "webhook.delivery_died").count(), 4);
    assert_eq!(told.iter().filter(|kind| *kind == "webhook.disabled").count(), 1);
    says_what_is_promised(world, id).await;
    assert!(claimed(world, 10, 5000).await.is_empty());
    // Whoever switches it on again forgives it.
    let switch = SwitchWebhook { id, tenant: world.tenant, is_active: true, at: at(400) };
    assert!(world.store.switch_webhook(switch).await.unwrap());
    let view = webhook(world, id).await;
    assert_eq!((view.is_active, view.disabled_reason, view.consecutive_failures), (true, None, 0));
}

async fn a_receiver_that_is_gone_is_switched_off(world: &World) {
    let id = made(world, "gone").await;
    queued(world, id, 2, 5).await;
    let taken = one(world, 6).await;
    let ended = finished(world, &taken, 410, DeliveryEnd::Gone, 7).await.unwrap();
    assert_eq!((ended.status, ended.disabled), (DeliveryStatus::Dead, Some(DisabledReason::Gone)));
    let mut statuses = statuses(world).await;
    statuses.sort_unstable();
    assert_eq!(statuses, ["cancelled", "dead"]);
    let view = webhook(world, id).await;
    assert_eq!((view.is_active, view.disabled_reason), (false, Some(DisabledReason::Gone)));
}

async fn no_receiver_gets_more_than_its_share(world: &World) {
    let (slow, other) = (made(world, "slow").await, made(world, "other").await);
    queued(world, slow, 30, 5).await;
    queued(world, other, 1, 6).await;
    let (a, b) = tokio::join!(world.store.claim_deliveries(16, at(7)), world.store.claim_deliveries(16, at(7)));
    let mut taken = a.unwrap().deliveries;
    taken.extend(b.unwrap().deliveries);
    taken.extend(claimed(world, 16, 7).await);
    let ids: HashSet<DeliveryId> = taken.iter().map(|delivery| delivery.id).collect();
    assert_eq!(ids.len(), taken.len(), "each is taken by one");
    let of = |webhook| taken.iter().filter(|delivery| delivery.webhook == webhook).count();
    assert_eq!((of(slow), of(other)), (4, 1), "a backlog keeps no other waiting");
    finished(world, &taken[0], 200, DeliveryEnd::Delivered, 8).await.unwrap();
    assert_eq!(claimed(world, 16, 8).await.len(), 1);
}

async fn a_try_whose_server_died_is_found(world: &World) {
    let id = made(world, "lost").await;
    queued(world, id, 1, 5).await;
    let taken = one(world, 6).await;
    assert!(world.store.lost_deliveries(at(6 + 15)).await.unwrap().is_empty(), "it may still be under way");
    let lost = world.store.lost_deliveries(at(6 + 31)).await.unwrap();
    assert_eq!(lost, [LostDelivery { id: taken.id, epoch: 1, is_test: false }]);
    let (end, record) = (DeliveryEnd::Retry(at(40)), EndedTry::Lost);
    let finish = FinishDelivery { id: taken.id, epoch: 1, record, end, breaker: BREAKER, at: at(40) };
    let ended = world.store.finish_delivery(finish).await.unwrap().unwrap();
    assert_eq!(ended.status, DeliveryStatus::Retrying);
    let view = webhook(world, id).await;
    assert_eq!((view.consecutive_failures, view.last_failure_at), (0, None), "the receiver is not to blame");
    assert_eq!(finished(world, &taken, 200, DeliveryEnd::Delivered, 41).await, None, "it came too late");
    let again = one(world, 41).await;
    assert_eq!((again.id, again.attempt, again.epoch, again.body), (taken.id, 2, 2, taken.body));
}

async fn a_delivery_that_ended_is_sent_anew(world: &World) {
    let id = made(world, "again").await;
    queued(world, id, 1, 5).await;
    let again = |delivery, seconds| async move {
        let id = DeliveryId(Uuid::now_v7());
        world.store.redeliver(world.tenant, delivery, id, at(seconds)).await.unwrap()
    };
    let taken = one(world, 6).await;
    assert_eq!(again(taken.id, 7).await, Redelivery::NotEnded);
    assert_eq!(again(DeliveryId(Uuid::now_v7()), 7).await, Redelivery::Unknown);
    let foreign = TenantId(Uuid::now_v7());
    let stolen = world.store.redeliver(foreign, taken.id, DeliveryId(Uuid::now_v7()), at(7)).await.unwrap();
    assert_eq!(stolen, Redelivery::Unknown);
    finished(world, &taken, 500, DeliveryEnd::Dead, 8).await.unwrap();
    for (number, seconds) in [(1, 100), (2, 200)] {
        let Redelivery::Queued(new) = again(taken.id, seconds).await else { panic!("it is refused") };
        let sent = one(world, seconds).await;
        assert_eq!((sent.id, sent.attempt, &sent.body), (new, 1, &taken.body));
        finished(world, &sent, 200, DeliveryEnd::Delivered, seconds).await.unwrap();
        let log = world.store.deliveries_by_id(world.tenant, &[new]).await.unwrap().remove(0);
        assert_eq!(log.replay_number, number);
    }
    let view = webhook(world, id).await;
    assert_eq!((view.total_calls, view.failed_calls, view.last_triggered_at), (3, 1, Some(at(200))));
    let switch = SwitchWebhook { id, tenant: world.tenant, is_active: false, at: at(300) };
    assert!(world.store.switch_webhook(switch).await.unwrap());
    assert_eq!(again(taken.id, 301).await, Redelivery::Disabled);
}

async fn a_test_has_one_try_and_no_consequences(world: &World) {
    let id = made(world, "test").await;
    let test = TestDelivery {
        id: DeliveryId(Uuid::now_v7()),
        webhook: id,
        tenant: world.tenant,
        body: "{\"id\":\"msg_1\"}".to_owned(),
        event_type: "test.sent".to_owned(),
        at: at(5),
    };
    let foreign = TestDelivery { tenant: TenantId(Uuid::now_v7()), ..test.clone() };
    assert!(world.store.begin_test(foreign).await.unwrap().is_none());
    let taken = world.store.begin_test(test.clone()).await.unwrap().unwrap();
    assert_eq!((taken.attempt, taken.max_retries), (1, 0));
    let lost = LostDelivery { id: taken.id, epoch: 1, is_test: true };
    assert_eq!(world.store.lost_deliveries(at(100)).await.unwrap(), [lost]);
    let ended = finished(world, &taken, 410, DeliveryEnd::Gone, 6).await.unwrap();
    assert_eq!(ended, FinishedDelivery { status: DeliveryStatus::Dead, disabled: None, has_events: false });
    let view = webhook(world, id).await;
    assert_eq!((view.is_active, view.consecutive_failures, view.total_calls, view.failed_calls), (true, 0, 1, 1));
    let anew = world.store.redeliver(world.tenant, test.id, DeliveryId(Uuid::now_v7()), at(7)).await.unwrap();
    assert_eq!(anew, Redelivery::IsTest);
}

async fn switching_off_cancels_what_waits(world: &World) {
    let id = made(world, "off").await;
    queued(world, id, 2, 5).await;
    let taken = one(world, 6).await;
    let switch = |is_active, seconds| SwitchWebhook { id, tenant: world.tenant, is_active, at: at(seconds) };
    assert!(world.store.switch_webhook(switch(false, 7)).await.unwrap());
    assert_eq!(
        finished(world, &taken, 500, DeliveryEnd::Retry(at(9)), 8).await.unwrap().status,
        DeliveryStatus::Cancelled
    );
    assert_eq!(statuses(world).await, ["cancelled", "cancelled"]);
    assert_eq!(webhook(world, id).await.disabled_reason, Some(DisabledReason::User));
    let unknown = SwitchWebhook { id: WebhookId(Uuid::now_v7()), ..switch(true, 9) };
    assert!(!world.store.switch_webhook(unknown).await.unwrap());

    // Nobody listened meanwhile, so that the reading begins anew with what comes now.
    events(world, 1).await;
    assert!(world.store.switch_webhook(switch(true, 10)).await.unwrap());
    let consumer = world.store.event_consumer(OUTGOING_WEBHOOKS, at(11)).await.unwrap();
    let page = world.store.events_after(consumer.place, 10).await.unwrap();
    assert!(page.events.iter().all(|event| event.event_type == "webhook.updated"), "{page:?}");
    assert!(world.store.delete_webhook(world.tenant, id, at(12)).await.unwrap());
    assert!(!world.store.delete_webhook(world.tenant, id, at(12)).await.unwrap());
    assert_eq!(statuses(world).await, Vec::<String>::new());
    assert_eq!(told(world).await, ["webhook.created", "webhook.disabled", "webhook.updated", "webhook.deleted"]);
    says_what_is_promised(world, id).await;
}

/// Every event of a webhook holds what the catalogue says of its type.
async fn says_what_is_promised(world: &World, id: WebhookId) {
    let stream = Stream::of("webhook", id.0);
    let told = world.store.stream_events(world.tenant, stream.name(), 0, 100).await.unwrap();
    assert!(!told.is_empty());
    for event in told {
        let known: EventType = event.event_type.parse().unwrap();
        let data = event.data["data"].as_object().unwrap();
        assert!(known.fields().iter().all(|field| data.contains_key(*field)), "{known}: {data:?}");
        assert_eq!(data["webhook_id"], id.to_string(), "{known}");
    }
}

async fn secrets_are_replaced_once(world: &World) {
    let id = made(world, "secret").await;
    let sealed = world.store.webhook_secrets(world.tenant, id).await.unwrap().unwrap();
    assert_eq!((&sealed.current, &sealed.previous), (&vec![7, 7], &None));
    let wrapped = WrappedKey { bytes: vec![1], master_key: "test".to_owned() };
    let key = world.store.add_data_key(world.tenant, wrapped, at(0)).await.unwrap();
    let replace =
        |replaces, new| world.store.replace_webhook_secrets(id, replaces, (new, Some(vec![7, 7]), key.id), at(5));
    replace(vec![7, 7], vec![8]).await.unwrap();
    assert!(matches!(replace(vec![7, 7], vec![9]).await, Err(StoreError::Conflict(_))), "somebody was faster");
    let sealed = world.store.webhook_secrets(world.tenant, id).await.unwrap().unwrap();
    assert_eq!((sealed.current, sealed.previous), (vec![8], Some(vec![7, 7])));
    says_what_is_promised(world, id).await;
}

async fn webhooks_and_deliveries_are_listed(world: &World) {
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        ids.push(made(world, name).await);
    }
    queued(world, ids[0], 3, 5).await;
    let taken = one(world, 6).await;
    finished(world, &taken, 500, DeliveryEnd::Dead, 7).await.unwrap();
    let page = PageRequest::Forward { first: 2, after: None };
    let listed = world.store.webhooks(world.tenant, page).await.unwrap();
    assert_eq!((listed.items.len(), listed.has_more), (2, true));
    assert_eq!(listed.items[0].settings.headers, json!({"x-team": "data"}));
    assert_eq!(world.store.count_webhooks(world.tenant).await.unwrap(), 3);
    let foreign = TenantId(Uuid::now_v7());
    assert_eq!(world.store.count_webhooks(foreign).await.unwrap(), 0);
    let count = |webhook, status| async move {
        world.store.count_deliveries(world.tenant, &DeliveryFilter { webhook, status }).await.unwrap()
    };
    assert_eq!(count(Some(ids[0]), None).await, 3);
    assert_eq!(count(None, Some(DeliveryStatus::Dead)).await, 1);
    assert_eq!(count(Some(ids[1]), Some(DeliveryStatus::Dead)).await, 0);
    let dead = DeliveryFilter { webhook: None, status: Some(DeliveryStatus::Dead) };
    let listed = world.store.deliveries(world.tenant, &dead, page).await.unwrap();
    assert_eq!((listed.items.len(), listed.items[0].id), (1, taken.id));
    assert_eq!(listed.items[0].dead_at, Some(at(7)));
}
