//! `kill -9` at every write between an event and its delivery: whatever the moment, the receiver gets it, and whatever is
//! repeated has the same id.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cogwheel_tests::{Backend, CrashPoint, Home, Reaction, Receiver, on_both_databases, within};
use serde_json::json;

use crate::outgoing::{create, deliveries, home, webhook};

on_both_databases!(every_write_may_be_the_last);

const DROP: &str = r#"
on: {file: [{path: inbox, match: "*.csv", settle: 0s}]}
steps: [{uses: emit, with: {type: custom.dropped, data: {n: 1}}}]
"#;

fn every_write_may_be_the_last(backend: Backend) {
    // A crash during a try costs the time of its lease.
    let stride = if backend == Backend::Postgres { 5 } else { 2 };
    CrashPoint::each(&(8..200), stride, |point| crash_and_go_on(backend, point));
}

/// Whether the server crashed at all; if not, everything was delivered before that commit.
fn crash_and_go_on(backend: Backend, point: CrashPoint) -> bool {
    let home = home(backend);
    home.write("workflows/drop.yaml", DROP);
    let receiver = Receiver::new();
    let tries = AtomicUsize::new(0);
    receiver.behave(move |_| Reaction::Status(if tries.fetch_add(1, Ordering::Relaxed) == 0 { 500 } else { 200 }));
    let server = home.serve();
    // One fails at first; the other's deliveries are tried once, but for tries of which nobody knows the end.
    let once = Receiver::new();
    let webhooks = [(&receiver, 8, 1000), (&once, 0, 5000)].map(|(receiver, retries, timeout)| {
        let url = receiver.url("/");
        let input = json!({
            "name": "a", "url": url, "events": ["custom.**"], "timeoutMs": timeout, "maxRetries": retries,
        });
        (receiver, create(&server, &input))
    });
    assert!(server.stop().success());

    let crashing = point.serve(&home);
    home.write("inbox/one.csv", "1");
    let has_crashed = crashing.has_crashed(|| is_delivered(&home));

    let server = home.serve();
    for (receiver, (id, secret)) in &webhooks {
        within(Duration::from_secs(90), format!("the delivery after {point}"), || {
            deliveries(&server, id).iter().any(|one| one["status"] == "DELIVERED").then_some(())
        });
        assert_eq!(deliveries(&server, id).len(), 1, "{point}: recorded once");
        let messages = receiver.messages();
        for message in &messages {
            assert!(message.is_signed_with(secret), "{point}");
            assert_eq!((message.id(), &message.body), (messages[0].id(), &messages[0].body), "{point}");
        }
        let state = webhook(&server, id);
        assert_eq!((&state["totalCalls"], &state["failedCalls"]), (&json!(1), &json!(0)), "{point}");
    }
    server.stop();
    let _ = home.run(&["db", "verify", "--data"]).with_code(0);
    has_crashed
}

fn is_delivered(home: &Home) -> bool {
    home.sql().number("select count(*) from webhook_deliveries where status = 'delivered'") == 2
}
