//! Health, for whoever keeps the server alive.

use cogwheel_engine::ports::StoreError;

use crate::server::{Answer, Running};

fn health(server: &Running, page: &str) -> Answer {
    server.agent.get(server.url(&format!("/health/{page}"))).call().unwrap().into()
}

#[test]
fn health_needs_no_key_and_asks_the_database() {
    let server = Running::new();
    assert_eq!(health(&server, "live").status, 200);
    let ready = health(&server, "ready");
    assert_eq!((ready.status, &ready.body["status"]), (200, &"ok".into()));
    assert_eq!(ready.body["checks"][0]["name"], "database");
    assert!(ready.body["checks"][0]["durationMs"].is_number());
    assert_eq!(server.fake.take_calls(), ["ping"]);
}

#[test]
fn a_failing_database_makes_it_unready_and_tells_strangers_nothing() {
    let server = Running::new();
    server.fake.rows(|rows| rows.failure = Some(StoreError::Unavailable("password wrong for bob".to_owned())));
    let ready = health(&server, "ready");
    assert_eq!((ready.status, &ready.body["status"]), (503, &"failed".into()));
    assert_eq!(ready.body["checks"][0]["status"], "failed");
    assert!(!ready.body.to_string().contains("bob"), "{}", ready.body);
    assert_eq!(health(&server, "live").status, 200);
}

#[test]
fn a_stopping_engine_makes_it_unready() {
    let server = Running::new();
    server.fake.rows(|rows| rows.is_draining = true);
    let ready = health(&server, "ready");
    assert_eq!(ready.status, 503);
    assert_eq!(ready.body["checks"][1]["problem"], "the server is stopping");
}
