//! Outgoing webhooks in trouble: receivers that misbehave, targets that are not allowed, and servers that die.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cogwheel_tests::{Backend, Reaction, Receiver, on_both_databases, step, until, within};
use serde_json::json;

use crate::outgoing::{create, deliveries, emit, ended_delivery, home, mutate, received, webhook};

on_both_databases!(
    a_receiver_that_fails_n_times_gets_one_more_try,
    a_dead_letter_is_sent_anew,
    misbehaving_receivers_do_no_harm,
    only_allowed_targets_are_ever_connected_to,
    a_receiver_that_keeps_failing_is_switched_off,
    nothing_is_lost_when_the_server_is_killed,
);

/// On PostgreSQL, what a dead server had under way is taken up when its leases have lapsed.
const LEASES: Duration = Duration::from_mins(2);

fn a_receiver_that_fails_n_times_gets_one_more_try(backend: Backend) {
    let home = home(backend);
    let server = home.serve();
    let receiver = Receiver::new();
    let tries = AtomicUsize::new(0);
    receiver.behave(move |_| match tries.fetch_add(1, Ordering::Relaxed) {
        0 => Reaction::Status(500),
        1 => Reaction::With(429, "retry-after", "0".to_owned()),
        2 => Reaction::HangUp,
        _ => Reaction::Status(204),
    });
    let (id, secret) = create(&server, &json!({ "name": "a", "url": receiver.url("/"), "events": ["custom.**"] }));
    emit(&server, 1);
    let delivery = ended_delivery(&server, &id);
    assert_eq!((&delivery["status"], &delivery["attemptCount"]), (&json!("DELIVERED"), &json!(4)));
    let messages = received(&receiver, 4);
    for (number, message) in (1..).zip(&messages) {
        assert!(message.is_signed_with(&secret), "each try is signed for its time");
        assert_eq!((message.id(), &message.body), (messages[0].id(), &messages[0].body));
        assert_eq!(message.header("cogwheel-attempt"), format!("{number}"));
    }
    let said: Vec<_> =
        delivery["attempts"].as_array().expect("a list").iter().map(|attempt| &attempt["status"]).collect();
    assert_eq!(said, [&json!(500), &json!(429), &json!(null), &json!(204)]);
    let state = webhook(&server, &id);
    assert_eq!(
        (&state["totalCalls"], &state["failedCalls"], &state["consecutiveFailures"]),
        (&json!(1), &json!(0), &json!(0))
    );
}

fn a_dead_letter_is_sent_anew(backend: Backend) {
    let home = home(backend);
    home.write(
        "workflows/alarm.yaml",
        "on: {event: {type: webhook.delivery_died}}\nsteps: [{uses: set, with: {a: 1}}]\n",
    );
    let server = home.serve();
    server.has_version("alarm", 1);
    let receiver = Receiver::new();
    receiver.behave(|_| Reaction::Status(503));
    let input = json!({ "name": "a", "url": receiver.url("/"), "events": ["custom.**"], "maxRetries": 2 });
    let (id, _) = create(&server, &input);
    emit(&server, 1);
    let dead = ended_delivery(&server, &id);
    assert_eq!((&dead["status"], &dead["attemptCount"]), (&json!("DEAD"), &json!(3)));
    assert!(dead["deadAt"].is_string());
    server.ended_executions("alarm", 1);
    let query = "{ webhookDeliveries(first: 5, filter: {status: DEAD}) { totalCount nodes { id } } }";
    let letters = server.ask(query, &json!(null));
    assert_eq!(letters["webhookDeliveries"], json!({"totalCount": 1, "nodes": [{"id": dead["id"]}]}));

    receiver.behave(|_| Reaction::Status(200));
    let again = mutate(
        &server,
        "redeliverWebhookDelivery",
        "RedeliverWebhookDeliveryInput",
        "delivery { id replayNumber messageId }",
        &json!({ "id": dead["id"] }),
    );
    assert_eq!(again["delivery"]["replayNumber"], 1);
    let delivered = ended_delivery(&server, &id);
    assert_eq!((&delivered["status"], &delivered["id"]), (&json!("DELIVERED"), &again["delivery"]["id"]));
    let messages = received(&receiver, 4);
    assert!(
        messages.iter().all(|message| message.id() == messages[0].id()),
        "the receiver can tell that it is the same"
    );
    let state = webhook(&server, &id);
    assert_eq!((&state["totalCalls"], &state["failedCalls"]), (&json!(2), &json!(1)));
    assert!(server.stop().success());
    let _ = home.run(&["db", "verify", "--data"]).with_code(0);
}

fn misbehaving_receivers_do_no_harm(backend: Backend) {
    let home = home(backend);
    let server = home.serve();
    let (receiver, inside) = (Receiver::new(), Receiver::new());
    let elsewhere = inside.url("/secret");
    receiver.behave(move |message| match message.path.as_str() {
        "/late" => Reaction::Late(Duration::from_secs(20)),
        "/drip" => Reaction::Drip,
        "/flood" => Reaction::Flood,
        "/redirect" => Reaction::With(307, "location", elsewhere.clone()),
        "/gone" => Reaction::Status(410),
        _ => Reaction::HangUp,
    });
    let input = |path: &str| {
        json!({
            "name": path, "url": receiver.url(path), "events": ["custom.**"], "maxRetries": 0, "timeoutMs": 1000,
        })
    };
    let made = ["/late", "/drip", "/flood", "/redirect", "/gone", "/hang-up"]
        .map(|path| (path, create(&server, &input(path)).0));
    let good = Receiver::new();
    create(&server, &json!({ "name": "good", "url": good.url("/"), "events": ["custom.**"] }));
    emit(&server, 1);
    received(&good, 1);
    for (path, id) in &made {
        let delivery = ended_delivery(&server, id);
        let attempt = &delivery["attempts"][0];
        let (status, says) = match *path {
            "/late" | "/drip" => ("DEAD", "did not answer within 1 s"),
            "/flood" => ("DELIVERED", ""),
            "/redirect" => ("DEAD", "redirects are not followed"),
            "/gone" => ("DEAD", "gone for good"),
            _ => ("DEAD", "broke off"),
        };
        assert_eq!(delivery["status"], status, "{path}: {delivery:#}");
        assert!(attempt["error"].as_str().unwrap_or_default().contains(says), "{path}: {attempt}");
        if *path == "/flood" {
            assert_eq!(delivery["responseBody"].as_str().map(str::len), Some(4096), "no more of it is kept");
        }
        if *path == "/gone" {
            assert_eq!(webhook(&server, id)["disabledReason"], "GONE");
        }
    }
    assert_eq!(inside.messages().len(), 0, "nobody was led there");
    let id = server.start("shop", &json!({ "total": 2 }));
    server.ended_as(&id, "COMPLETED");
    received(&good, 2);
}

fn only_allowed_targets_are_ever_connected_to(backend: Backend) {
    let mut home = home(backend);
    home.unset("webhooks.allowed_networks");
    let server = home.serve();
    let receiver = Receiver::new();
    for url in [receiver.url("/"), "http://[::1]:80/".to_owned(), "http://2130706433/".to_owned()] {
        let input = json!({ "name": "a", "url": url, "events": ["custom.**"] });
        let refused = mutate(&server, "createWebhook", "CreateWebhookInput", "secret", &input);
        let message = refused["userErrors"][0]["message"].as_str().expect("a message");
        assert!(message.contains("webhooks.allow_private_targets"), "{message}");
    }
    // What a name stands for shows when it is connected to.
    let input = json!({ "name": "a", "url": receiver.named_url("/"), "events": ["custom.**"], "maxRetries": 0 });
    let (id, _) = create(&server, &input);
    emit(&server, 1);
    let delivery = ended_delivery(&server, &id);
    assert_eq!(delivery["status"], "DEAD");
    let error = delivery["attempts"][0]["error"].as_str().expect("an error");
    assert!(error.contains("not on the internet"), "{error}");
    assert_eq!(receiver.messages().len(), 0);
    assert!(server.stop().success());

    home.set("webhooks.allow_private_targets", "true");
    let server = home.serve();
    emit(&server, 2);
    received(&receiver, 1);
}

fn a_receiver_that_keeps_failing_is_switched_off(backend: Backend) {
    let mut home = home(backend);
    home.set("webhooks.disable_after", "8");
    home.write("workflows/alarm.yaml", "on: {event: {type: webhook.disabled}}\nsteps: [{id: tell, uses: set, with: {why: '${{ trigger.event.data.reason }}'}}]\n");
    let server = home.serve();
    server.has_version("alarm", 1);
    let receiver = Receiver::new();
    receiver.behave(|_| Reaction::Status(500));
    let input = json!({ "name": "a", "url": receiver.url("/"), "events": ["custom.**"], "maxRetries": 1 });
    let (id, _) = create(&server, &input);
    for total in 0..10 {
        emit(&server, total);
    }
    until("the webhook to be switched off", || (webhook(&server, &id)["isEnabled"] == false).then_some(()));
    let state = webhook(&server, &id);
    assert_eq!(state["disabledReason"], "CONSECUTIVE_FAILURES");
    assert!(state["consecutiveFailures"].as_i64() >= Some(8), "{state}");
    let alarms = server.ended_executions("alarm", 1);
    assert_eq!(step(&server.execution(&alarms[0]), "tell")["output"]["why"], "consecutive_failures");
    assert!(
        deliveries(&server, &id)
            .iter()
            .all(|one| one["status"] == "DEAD" || one["status"] == "CANCELLED" || one["status"] == "DELIVERING")
    );
    let known = receiver.messages().len();
    assert!((8..=11).contains(&known), "at most what was under way came on top: {known}");
    assert!(server.stop().success());
    let _ = home.run(&["db", "verify", "--data"]).with_code(0);
}

fn nothing_is_lost_when_the_server_is_killed(backend: Backend) {
    let home = home(backend);
    let receiver = Receiver::new();
    let count = AtomicUsize::new(0);
    receiver.behave(move |_| match count.fetch_add(1, Ordering::Relaxed) % 7 {
        3 => Reaction::Status(500),
        5 => Reaction::Late(Duration::from_millis(300)),
        _ => Reaction::Status(200),
    });
    let mut server = home.serve();
    let input =
        json!({ "name": "a", "url": receiver.url("/"), "events": ["custom.**"], "maxRetries": 20, "timeoutMs": 2000 });
    let (id, secret) = create(&server, &input);
    let mut emitted = HashSet::new();
    for round in 0..5 {
        for step in 0..8 {
            let total = 100 * round + step;
            let execution = server.start("shop", &json!({ "total": total }));
            emitted.insert(total);
            if step == 7 {
                server.ended_as(&execution, "COMPLETED");
            }
        }
        server.crash();
        server = home.serve();
    }
    within(LEASES, "every event to be delivered", || {
        let delivered = deliveries(&server, &id).iter().filter(|one| one["status"] == "DELIVERED").count();
        (delivered == emitted.len()).then_some(())
    });
    let mut by_id = HashMap::new();
    let mut totals = HashSet::new();
    for message in receiver.messages() {
        assert!(message.is_signed_with(&secret));
        totals.insert(message.json()["data"]["total"].as_i64().expect("a number"));
        let known = by_id.entry(message.id().to_owned()).or_insert_with(|| message.body.clone());
        assert_eq!(*known, message.body, "what is repeated is the same");
    }
    assert_eq!(totals, emitted, "nothing is lost");
    assert_eq!(by_id.len(), emitted.len(), "and nothing is repeated under another id");
    let state = webhook(&server, &id);
    assert_eq!((&state["totalCalls"], &state["failedCalls"]), (&json!(emitted.len()), &json!(0)));
    assert!(server.stop().success());
    let _ = home.run(&["db", "verify", "--data"]).with_code(0);
}

/// Two servers of one database share the sending, and one takes up what the other left behind.
#[test]
fn servers_share_the_sending() {
    let mut home = home(Backend::Postgres);
    let key = home.path("shared.key");
    home.set("master_key_file", &key.display().to_string());
    let (one, other) = (home.serve(), home.serve_from("other"));
    let receiver = Receiver::new();
    let input =
        json!({ "name": "a", "url": receiver.url("/"), "events": ["custom.**"], "maxRetries": 20, "timeoutMs": 1000 });
    let (id, _) = create(&one, &input);
    for total in 0..10 {
        emit(if total % 2 == 0 { &one } else { &other }, total);
    }
    received(&receiver, 10);
    receiver.behave(|_| Reaction::Late(Duration::from_millis(900)));
    for total in 10..20 {
        emit(&one, total);
    }
    one.crash();
    within(LEASES, "the other to send what is left", || {
        let delivered = deliveries(&other, &id).iter().filter(|one| one["status"] == "DELIVERED").count();
        (delivered == 20).then_some(())
    });
    let ids: HashSet<String> = receiver.messages().iter().map(|message| message.id().to_owned()).collect();
    assert_eq!(ids.len(), 20);
}
