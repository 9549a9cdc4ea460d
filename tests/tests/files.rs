//! Files dropped into a watched folder, and their ledger.

use std::fs;

use cogwheel_tests::{Backend, Home, on_both_databases, until};
use serde_json::{Value, json};

on_both_databases!(
    a_dropped_file_is_recorded_whole,
    files_that_came_while_it_was_down_are_found,
    a_known_version_is_not_taken_again,
    what_does_not_match_is_left_alone,
);

const INTAKE: &str = r"
on: {file: [{path: inbox, match: '*.csv', settle: 0s}]}
outputs: {name: '${{ trigger.file.name }}', size: '${{ trigger.file.size }}'}
steps: [{uses: log, with: {message: 'saw ${{ trigger.file.name }}'}}]
";

const FILES: &str = "{ files(first: 100) { totalCount nodes {
    id filename path size sha256 status decisionReason changeKind modifiedAt firstSeenAt settledAt processedAt
    watch { triggerKey location workflow { name } } executions { id status } } } }";

fn a_dropped_file_is_recorded_whole(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/intake.yaml", INTAKE);
    let server = home.serve();
    home.write("inbox/a b.csv", "x\n");

    let ids = server.ended_executions("intake", 1);
    let execution = server.ended_as(&ids[0], "COMPLETED");
    assert_eq!(execution["result"], json!({"name": "a b.csv", "size": 2}));
    let file = server.ask_until("the file's record", FILES, &json!({}), |data| {
        let file = &data["files"]["nodes"][0];
        (file["status"] == "PROCESSED").then(|| file.clone())
    });
    let path = fs::canonicalize(home.path("inbox/a b.csv")).expect("it stays");
    assert_eq!(file["path"].as_str().map(Into::into), Some(path));
    assert_eq!(file["sha256"], "73cb3858a687a8494ca3323053016282f3dad39d42cf62ca4e79dda2aac7d9ac");
    assert_eq!(file["size"], 2);
    assert_eq!(file["decisionReason"], "NEW_VERSION");
    assert_eq!(file["changeKind"], "CREATED");
    assert_eq!(file["watch"]["workflow"]["name"], "intake");
    assert_eq!(file["executions"], json!([{"id": ids[0], "status": "COMPLETED"}]));
    for instant in ["modifiedAt", "firstSeenAt", "settledAt", "processedAt"] {
        assert!(file[instant].as_str().is_some_and(|text| text.ends_with('Z')), "{instant}: {file:#}");
    }
}

fn files_that_came_while_it_was_down_are_found(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/intake.yaml", INTAKE);
    home.write("inbox/early.csv", "x\n");
    let server = home.serve();
    server.ended_executions("intake", 1);
    server.stop();
    home.write("inbox/late.csv", "y\n");
    let server = home.serve();
    server.ended_executions("intake", 2);
}

fn a_known_version_is_not_taken_again(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/intake.yaml", INTAKE);
    let server = home.serve();
    home.write("inbox/same.csv", "x\n");
    server.ended_executions("intake", 1);
    server.stop();
    let server = home.serve();
    home.write("inbox/other.csv", "y\n");
    // The scan that finds the other one has seen the first again.
    server.ended_executions("intake", 2);
    home.write("inbox/same.csv", "changed\n");
    server.ended_executions("intake", 3);
}

fn what_does_not_match_is_left_alone(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/intake.yaml", INTAKE);
    let server = home.serve();
    for name in ["notes.txt", ".hidden.csv", "half.csv.part", "editor.csv~"] {
        home.write(&format!("inbox/{name}"), "x\n");
    }
    home.write("inbox/yes.csv", "x\n");
    let ids = server.ended_executions("intake", 1);
    assert_eq!(server.execution(&ids[0])["result"]["name"], "yes.csv");
    let taken = until("the file's record", || {
        let data = server.ask(FILES, &json!({}));
        let nodes = data["files"]["nodes"].as_array().expect("a list").clone();
        let taken: Vec<Value> = nodes.into_iter().filter(|file| file["executions"] != json!([])).collect();
        (!taken.is_empty()).then_some(taken)
    });
    assert_eq!(taken.len(), 1, "{taken:#?}");
}
