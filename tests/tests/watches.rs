//! Watched folders that are missing, unreadable or go away.

use std::fs;

use cogwheel_tests::{Backend, Home, Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases!(
    a_missing_folder_is_watched_once_it_is_there,
    a_deleted_folder_comes_back,
    a_folder_that_is_none_is_told
);

const WATCHES: &str =
    "{ fileWatches { nodes { triggerKey location health problem lastScanAt settleMs workflow { name } } } }";

fn intake(path: &str) -> String {
    format!(
        "on: {{file: [{{path: {path}, match: '*.csv', settle: 0s}}]}}\nsteps: [{{uses: log, with: {{message: seen}}}}]\n"
    )
}

/// Waits until the one watch has this health.
fn watch(server: &Server, health: &str) -> Value {
    server.ask_until(&format!("a {health} watch"), WATCHES, &json!({}), |data| {
        let watch = &data["fileWatches"]["nodes"][0];
        (watch["health"] == health).then(|| watch.clone())
    })
}

fn a_missing_folder_is_watched_once_it_is_there(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/intake.yaml", intake("later/deep"));
    let server = home.serve();
    let failed = watch(&server, "FAILED");
    assert!(failed["problem"].as_str().is_some_and(|problem| problem.contains("later/deep")), "{failed:#}");
    assert!(server.log().contains("later/deep"), "{}", server.log());

    fs::create_dir_all(home.path("later/deep")).expect("a new folder");
    home.write("later/deep/a.csv", "x\n");
    server.ended_executions("intake", 1);
    assert!(watch(&server, "HEALTHY")["problem"].is_null());
}

fn a_deleted_folder_comes_back(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/intake.yaml", intake("inbox"));
    let server = home.serve();
    watch(&server, "HEALTHY");
    home.write("inbox/a.csv", "x\n");
    server.ended_executions("intake", 1);

    fs::remove_dir_all(home.path("inbox")).expect("it can be removed");
    watch(&server, "FAILED");
    fs::create_dir(home.path("inbox")).expect("a new folder");
    home.write("inbox/b.csv", "y\n");
    server.ended_executions("intake", 2);
    watch(&server, "HEALTHY");
}

fn a_folder_that_is_none_is_told(backend: Backend) {
    let home = Home::new(backend);
    home.write("nofolder", "a plain file");
    home.write("workflows/intake.yaml", intake("nofolder"));
    let server = home.serve();
    let failed = watch(&server, "FAILED");
    assert!(failed["problem"].as_str().is_some_and(|problem| problem.contains("nofolder")), "{failed:#}");
    assert_eq!(server.get("/health/ready").status, 200);
}
