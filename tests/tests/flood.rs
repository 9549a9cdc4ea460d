//! A thousand files at once.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use cogwheel_tests::{Backend, Home, on_both_databases, within};
use serde_json::Value;

on_both_databases!(a_thousand_files_are_a_thousand_executions);

const FILES: usize = 1000;

fn a_thousand_files_are_a_thousand_executions(backend: Backend) {
    let home = Home::new(backend);
    home.write(
        "workflows/intake.yaml",
        "on: {file: [{path: inbox, match: '*.csv', settle: 0s}]}\nsteps: [{uses: log, with: {message: '${{ trigger.file.name }}'}}]\n",
    );
    let server = home.serve();
    let batch = home.path("elsewhere/batch");
    fs::create_dir(&batch).expect("a new folder");
    let names: BTreeSet<String> = (0..FILES).map(|number| format!("{number:04}.csv")).collect();
    for name in &names {
        fs::write(batch.join(name), name).expect("a new file");
    }
    for name in &names {
        fs::rename(batch.join(name), home.path("inbox").join(name)).expect("it can be moved");
    }

    within(Duration::from_mins(2), "a thousand completed executions", || {
        (server.count_executions("intake", &["COMPLETED"]) >= FILES as u64).then_some(())
    });
    let all = server.all_executions("intake");
    assert_eq!(all.len(), FILES);
    let seen: BTreeSet<String> = all.iter().filter_map(name).collect();
    assert_eq!(seen, names);
    let files = server.ask("{ files(first: 1) { totalCount } }", &Value::Null);
    assert_eq!(files["files"]["totalCount"], FILES);
}

fn name(execution: &Value) -> Option<String> {
    assert_eq!(execution["status"], "COMPLETED");
    execution["trigger"]["file"]["name"].as_str().map(str::to_owned)
}
