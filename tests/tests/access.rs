//! Who may ask, and how many servers there may be.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use cogwheel_tests::{Backend, Client, Home, on_both_databases};
use serde_json::json;

on_both_databases!(
    every_request_needs_the_admin_key,
    a_socket_needs_it_too,
    the_admin_key_is_kept_and_private,
    a_second_server_on_the_data_folder_is_refused,
);

fn every_request_needs_the_admin_key(backend: Backend) {
    let home = Home::new(backend);
    let server = home.serve();
    let query = "{ viewer { __typename } }";
    assert_eq!(server.post(query, &json!({})).status, 200);
    let key = server.key().expect("the admin key").to_owned();
    for wrong in [None, Some("nonsense"), Some(&key[..key.len() - 1]), Some("")] {
        let stranger = server.with_key(wrong);
        let answer = stranger.post(query, &json!({}));
        assert_eq!(answer.status, 401, "{wrong:?}: {answer:?}");
        assert!(answer.text.contains("UNAUTHENTICATED"), "{answer:?}");
        assert!(answer.challenge.as_ref().is_some_and(|scheme| scheme.starts_with("Bearer")), "{answer:?}");
        for path in ["/graphql?query=%7B__typename%7D", "/", "/files", "/nowhere"] {
            assert_eq!(stranger.get(path).status, 401, "{wrong:?} {path}");
        }
    }
}

fn a_socket_needs_it_too(backend: Backend) {
    let home = Home::new(backend);
    let server = home.serve();
    let following =
        |client: &Client| client.try_subscribe("subscription { executionChanged(workflow: \"x\") { position } }");
    let refused = following(&server.with_key(Some("nonsense"))).expect_err("the key is wrong");
    assert!(refused.contains("401"), "{refused}");
    let refused = following(&server.with_key(None)).expect_err("there is no key");
    assert!(refused.contains("4403") || refused.contains("4401"), "{refused}");
}

fn the_admin_key_is_kept_and_private(backend: Backend) {
    let home = Home::new(backend);
    let server = home.serve();
    let first = server.key().map(str::to_owned);
    server.stop();
    let about = fs::metadata(home.data().join("admin.key")).expect("it is there");
    assert_eq!(about.permissions().mode() & 0o777, 0o600);
    assert_eq!(home.serve().key(), first.as_deref());
}

fn a_second_server_on_the_data_folder_is_refused(backend: Backend) {
    let home = Home::new(backend);
    let server = home.serve();
    let second = home.run(&["serve"]).with_code(1);
    assert!(second.stderr.contains("another server"), "{second:#?}");
    assert!(second.stderr.contains("data"), "{second:#?}");
    assert_eq!(server.post("{ __typename }", &json!({})).status, 200);
    server.crash();
    home.serve();
}
