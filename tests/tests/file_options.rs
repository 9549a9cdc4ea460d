//! Batches, markers, and what is done with files once their executions have ended.

use std::collections::BTreeSet;
use std::fs;

use cogwheel_tests::{Backend, Home, Server, on_both_databases, until};
use serde_json::{Value, json};

on_both_databases!(
    files_are_batched_and_moved_by_the_verdict,
    a_marked_folder_is_one_execution,
    what_was_left_undone_by_a_crash_is_done,
    every_decision_can_be_read,
    a_watch_tells_how_it_is_asked_and_how_it_does,
);

const FILES: &str = "{ files(first: 100) { totalCount nodes {
    filename path status decisionReason detail changeKind batch afterState afterTarget } } }";

fn files(server: &Server) -> Vec<Value> {
    let mut data = server.ask(FILES, &json!({}));
    let mut files: Vec<Value> = serde_json::from_value(data["files"]["nodes"].take()).expect("a list");
    files.sort_by_key(|file| file["filename"].as_str().map(str::to_owned));
    files
}

fn names(folder: &std::path::Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.path().is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

fn files_are_batched_and_moved_by_the_verdict(backend: Backend) {
    let home = Home::new(backend);
    home.write(
        "workflows/load.yaml",
        "on: {file: {path: inbox, match: '*.csv', settle: 0s, batch: {max_files: 3, max_wait: 1s},
               after: {success: inbox/archive/, failure: failed}}}
outputs: {names: '${{ trigger.files | map(attribute=\"name\") | sort | list }}'}
steps: [{run: 'for name in $NAMES; do if [ \"$name\" = bad.csv ]; then exit 1; fi; done',
         env: {NAMES: '${{ trigger.files | map(attribute=\"name\") | join(\" \") }}'}, retry: {attempts: 1}}]
",
    );
    home.write("elsewhere/x", "");
    fs::create_dir_all(home.path("inbox/archive")).expect("a new folder");
    home.write("inbox/archive/a.csv", "somebody else's");
    let server = home.serve();
    for name in ["a.csv", "b.csv", "c.csv"] {
        home.write(&format!("inbox/{name}"), name);
    }
    let ids = server.ended_executions("load", 1);
    assert_eq!(server.ended_as(&ids[0], "COMPLETED")["result"]["names"], json!(["a.csv", "b.csv", "c.csv"]));
    home.write("inbox/bad.csv", "bad");
    server.ended_executions("load", 2);
    until("the files to be moved", || {
        let is_done = names(&home.path("failed")).contains("bad.csv") && names(&home.path("inbox")).is_empty();
        is_done.then_some(())
    });
    let archived = BTreeSet::from(["a.csv", "a-1.csv", "b.csv", "c.csv"].map(str::to_owned));
    assert_eq!(names(&home.path("inbox/archive")), archived);
    assert_eq!(home.read("inbox/archive/a.csv"), "somebody else's");
    let moved = until("the records", || {
        let files = files(&server);
        files.iter().all(|file| file["afterState"] != "PENDING").then_some(files)
    });
    let taken: Vec<_> = moved.iter().filter(|file| file["status"] != "SKIPPED").collect();
    let a = taken[0];
    assert_eq!((a["afterState"].as_str(), a["detail"].as_str()), (Some("DONE"), None), "{moved:#?}");
    assert!(a["afterTarget"].as_str().is_some_and(|target| target.ends_with("inbox/archive/a-1.csv")));
    assert!(a["batch"].is_string() && a["batch"] == taken[1]["batch"]);
    server.stop();
    let server = home.serve();
    home.write("inbox/last.csv", "");
    server.ended_executions("load", 3);
}

fn a_marked_folder_is_one_execution(backend: Backend) {
    let home = Home::new(backend);
    home.write(
        "workflows/load.yaml",
        "on: {file: {path: inbox, match: '**/*.csv', done_marker: _SUCCESS, batch: {max_wait: 1h}}}
outputs: {count: '${{ trigger.files | length }}'}
steps: [{uses: log, with: {message: '${{ trigger.files[0].name }}'}}]
",
    );
    let server = home.serve();
    fs::create_dir_all(home.path("inbox/day")).expect("a new folder");
    for number in 0..5 {
        fs::write(home.path(&format!("inbox/day/{number}.csv")), "x").expect("a new file");
    }
    home.write("inbox/day/_SUCCESS", "");
    let ids = server.ended_executions("load", 1);
    assert_eq!(server.execution(&ids[0])["result"]["count"], 5);
}

fn what_was_left_undone_by_a_crash_is_done(backend: Backend) {
    let mut home = Home::new(backend);
    home.set("cluster.lease", "1s");
    home.write(
        "workflows/load.yaml",
        "on: {file: {path: inbox, settle: 0s, after: {success: delete}}}
steps: [{run: 'until [ -e elsewhere/go ]; do sleep 0.02; done'}]
",
    );
    let server = home.serve();
    home.write("inbox/a", "x");
    until("the execution", || (server.count_executions("load", &["RUNNING"]) == 1).then_some(()));
    server.crash();
    home.write("elsewhere/go", "");
    let server = home.serve();
    server.ended_executions("load", 1);
    // It goes by way of a hidden name.
    until("the file to be deleted", || names(&home.path("inbox")).is_empty().then_some(()));
}

fn every_decision_can_be_read(backend: Backend) {
    let home = Home::new(backend);
    home.write(
        "workflows/load.yaml",
        "on: {file: {path: inbox, ignore: 'draft-*', settle: 0s, events: created}}\nsteps: [{uses: log, with: {message: x}}]\n",
    );
    std::os::unix::fs::symlink("/etc/hosts", home.path("inbox/link")).expect("a new link");
    for name in ["a", "draft-b", "c.part", ".d"] {
        home.write(&format!("inbox/{name}"), "x");
    }
    let server = home.serve();
    server.ended_executions("load", 1);
    home.write("inbox/a", "changed");
    let decided = until("the decisions", || {
        let files = files(&server);
        let decided = files.iter().filter(|file| file["status"] == "SKIPPED").cloned().collect::<Vec<_>>();
        (decided.len() == 5).then_some(decided)
    });
    let told: Vec<_> = decided
        .iter()
        .map(|file| (file["filename"].as_str().unwrap_or(""), file["decisionReason"].as_str().unwrap_or("")))
        .collect();
    assert_eq!(
        told,
        [
            (".d", "HIDDEN_OR_TEMPORARY"),
            ("a", "FILTERED_PATTERN"),
            ("c.part", "HIDDEN_OR_TEMPORARY"),
            ("draft-b", "FILTERED_PATTERN"),
            ("link", "UNREADABLE"),
        ]
    );
    assert!(decided.iter().all(|file| file["detail"].as_str().is_some_and(|detail| detail.len() > 10)), "{decided:#?}");
}

fn a_watch_tells_how_it_is_asked_and_how_it_does(backend: Backend) {
    const WATCH: &str = "{ fileWatches { nodes { events poll mode filesystem scanIntervalMs doneMarker batchMaxFiles
        batchMaxWaitMs afterSuccess afterFailure health overflows limitReached lastError ignored lastScanAt } } }";
    let home = Home::new(backend);
    home.write(
        "workflows/load.yaml",
        "on: {file: {path: inbox, events: [deleted], poll: 200ms, done_marker: '{name}.ok', batch: {max_files: 9},
                     after: {success: delete, failure: failed}}}
steps: [{uses: log, with: {message: x}}]
",
    );
    let server = home.serve();
    let watch = server.ask_until("a healthy watch", WATCH, &json!({}), |data| {
        let watch = &data["fileWatches"]["nodes"][0];
        (watch["health"] == "HEALTHY").then(|| watch.clone())
    });
    assert_eq!(watch["events"], json!(["DELETED"]));
    assert_eq!(
        (&watch["poll"], &watch["mode"], &watch["scanIntervalMs"]),
        (&json!("poll"), &json!("POLL"), &json!(200))
    );
    assert_eq!((&watch["doneMarker"], &watch["batchMaxFiles"]), (&json!("{name}.ok"), &json!(9)));
    assert_eq!((&watch["batchMaxWaitMs"], &watch["afterSuccess"]), (&json!(10_000), &json!("delete")));
    assert!(watch["afterFailure"].as_str().is_some_and(|folder| folder.ends_with("/failed")), "{watch:#}");
    assert!(watch["filesystem"].is_string() && watch["lastScanAt"].is_string(), "{watch:#}");
    assert_eq!((&watch["overflows"], &watch["limitReached"]), (&json!(0), &json!(false)));
}
