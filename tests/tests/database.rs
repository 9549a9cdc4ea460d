//! `cogwheel db`: the chain up and down, and what it prints.

use cogwheel_tests::{Backend, Home, on_both_databases};
use serde_json::{Value, json};

on_both_databases!(
    the_chain_goes_up_down_and_up_to_the_same_schema,
    a_first_start_migrates_and_verifies_clean,
    a_server_that_may_not_migrate_says_what_to_do,
    a_populated_database_verifies_clean,
    rollback_is_refused_under_a_running_server,
);

fn json_of(home: &Home, arguments: &[&str]) -> Value {
    let arguments: Vec<_> = arguments.iter().copied().chain(["--output", "json"]).collect();
    home.run(&arguments).with_code(0).json()
}

fn fingerprint(home: &Home) -> String {
    let printed = json_of(home, &["db", "fingerprint"]);
    let fingerprint = printed["fingerprint"].as_str().expect("a text").to_owned();
    assert_eq!(fingerprint.len(), 64, "{fingerprint}");
    fingerprint
}

fn the_chain_goes_up_down_and_up_to_the_same_schema(backend: Backend) {
    let home = Home::unmigrated(backend);
    let applied = json_of(&home, &["db", "migrate"]);
    let steps = applied.as_array().expect("a list").len();
    assert!(steps >= 5, "{applied:#}");
    let first = fingerprint(&home);
    assert_eq!(json_of(&home, &["db", "migrate"]), json!([]));
    assert_eq!(fingerprint(&home), first);
    let status = json_of(&home, &["db", "status"]);
    assert!(status.as_array().expect("a list").iter().all(|step| step["state"] == "applied"), "{status:#}");

    let taken_back = json_of(&home, &["db", "rollback", "--steps", &steps.to_string()]);
    assert_eq!(taken_back.as_array().map(Vec::len), Some(steps));
    let pending = home.run(&["db", "status", "--output", "json"]).with_code(1).json();
    assert!(pending.as_array().expect("a list").iter().all(|step| step["state"] == "pending"), "{pending:#}");
    assert_ne!(fingerprint(&home), first);

    json_of(&home, &["db", "migrate"]);
    assert_eq!(fingerprint(&home), first);
    let report = json_of(&home, &["db", "verify", "--data", "--plans"]);
    assert_eq!(report["verdict"], "clean", "{report:#}");
    let human = home.run(&["db", "verify"]).with_code(0);
    assert!(!human.stdout.trim().is_empty());
}

fn a_first_start_migrates_and_verifies_clean(backend: Backend) {
    let home = Home::unmigrated(backend);
    let server = home.serve();
    assert_eq!(server.get("/health/ready").status, 200);
    server.stop();
    assert_eq!(json_of(&home, &["db", "verify", "--data"])["verdict"], "clean");
    assert_eq!(home.sql().number("select count(*) from migration_log where direction = 'down'"), 0);
    assert_eq!(home.sql().number("select count(*) from migration_log where length(checksum) <> 64"), 0);
}

fn a_server_that_may_not_migrate_says_what_to_do(backend: Backend) {
    let mut home = Home::unmigrated(backend);
    home.set("database.migrate_on_start", "false");
    let refused = home.run(&["serve"]).with_code(1);
    assert!(refused.stderr.contains("cogwheel db migrate"), "{refused:#?}");
    let _ = home.run(&["db", "migrate"]).with_code(0);
    home.serve();
}

fn a_populated_database_verifies_clean(backend: Backend) {
    let home = Home::new(backend);
    home.write(
        "workflows/mix.yaml",
        r#"
inputs: {fail: {type: boolean, default: false}}
on: {file: [{path: inbox, settle: 0s}], schedule: [{cron: '* * * * * *'}]}
steps: [{env: {FAIL: '${{ inputs.fail }}'}, run: 'test "$FAIL" != true'}]
"#,
    );
    home.write("inbox/file.csv", "x\n");
    let server = home.serve();
    let good = server.start("mix", &json!({}));
    server.ended_as(&good, "COMPLETED");
    let bad = server.start("mix", &json!({"fail": true}));
    server.ended_as(&bad, "FAILED");
    server.stop();
    let report = home.run(&["db", "verify", "--data", "--output", "json"]);
    assert_eq!(report.json()["verdict"], "clean", "{report:#?}");
    assert_eq!(report.code, 0);
}

fn rollback_is_refused_under_a_running_server(backend: Backend) {
    let home = Home::new(backend);
    let server = home.serve();
    let refused = home.run(&["db", "rollback"]).with_code(1);
    assert!(refused.stderr.contains("another server"), "{refused:#?}");
    assert_eq!(server.get("/health/ready").status, 200);
}
