//! `kill -9` at every write between an event and its delivery: whatever the moment, the receiver gets it, and whatever is
//! repeated has the same id.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use cogwheel_tests::{Backend, Reaction, Receiver, on_both_databases, until, within};
use serde_json::json;

use crate::outgoing::{create, deliveries, home, webhook};

on_both_databases!(every_write_may_be_the_last);

/// How many servers crash side by side: they mostly wait.
const SIDE_BY_SIDE: usize = 6;

/// More commits than the whole run takes.
const MOST_COMMITS: usize = 200;

const DROP: &str = r#"
on: {file: [{path: inbox, match: "*.csv", settle: 0s}]}
steps: [{uses: emit, with: {type: custom.dropped, data: {n: 1}}}]
"#;

fn every_write_may_be_the_last(backend: Backend) {
    // On PostgreSQL a crash during a try costs the time of its lease.
    let stride = if backend == Backend::Postgres { 3 } else { 1 };
    for moment in ["before", "after"] {
        let next = AtomicUsize::new(1);
        let commits = AtomicUsize::new(MOST_COMMITS);
        thread::scope(|scope| {
            for _ in 0..SIDE_BY_SIDE {
                scope.spawn(|| {
                    loop {
                        let commit = next.fetch_add(stride, Ordering::Relaxed);
                        if commit > commits.load(Ordering::Relaxed) {
                            return;
                        }
                        if !crash_and_go_on(backend, moment, commit) {
                            commits.fetch_min(commit, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        let commits = commits.into_inner();
        assert!((8..MOST_COMMITS).contains(&commits), "{commits} commits");
    }
}

/// Whether the server crashed at all; if not, everything was delivered before that commit.
fn crash_and_go_on(backend: Backend, moment: &str, commit: usize) -> bool {
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

    let point = format!("{moment}:{commit}");
    let mut server = home
        .command(&["serve"])
        .env("CRASH_POINT", &point)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    home.write("inbox/one.csv", "1");
    let ended = until(format!("the crash at {point}"), || {
        let ended = server.try_wait().expect("it is our child");
        let is_done = ended.is_none() && is_delivered(&home);
        (ended.is_some() || is_done).then_some(ended)
    });
    if let Some(ended) = ended {
        assert_eq!(ended.signal(), Some(9), "{point}: {ended}");
    } else {
        server.kill().expect("it is our child");
        server.wait().expect("it ends");
    }

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
    ended.is_some()
}

fn is_delivered(home: &cogwheel_tests::Home) -> bool {
    home.sql().number("select count(*) from webhook_deliveries where status = 'delivered'") == 2
}
