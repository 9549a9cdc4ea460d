//! The examples that a newcomer runs first.

use std::fs;
use std::path::Path;

use cogwheel_tests::{Backend, Home, messages, on_both_databases, step, until};
use serde_json::json;

on_both_databases!(
    a_dropped_csv_is_checked_summarised_and_archived,
    a_malformed_csv_fails_and_stays,
    hello_greets,
    the_disk_is_reported
);

/// A home with the examples and the settings of the repository; for PostgreSQL one line of these is changed.
fn home(backend: Backend) -> Home {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package lies in the repository");
    let mut home = Home::new(backend);
    fs::create_dir_all(home.path("examples/workflows")).expect("a new folder");
    for entry in fs::read_dir(repository.join("examples/workflows")).expect("the examples are there").flatten() {
        let to = home.path("examples/workflows").join(entry.file_name());
        fs::copy(entry.path(), to).expect("an example can be copied");
    }
    let settings = fs::read_to_string(repository.join("config.toml")).expect("config.toml is there");
    let line = "\ndatabase_url = \"\"\n";
    assert!(settings.contains(line), "{settings}");
    let url = home.unset("database_url").unwrap_or_default();
    home.write("config.toml", settings.replace(line, &format!("\ndatabase_url = \"{url}\"\n")));
    home
}

fn a_dropped_csv_is_checked_summarised_and_archived(backend: Backend) {
    let home = home(backend);
    let server = home.serve();
    assert_eq!(home.data().join("cogwheel.db").exists(), backend == Backend::Sqlite);
    let content = "id,name,amount\n1,Ada,10\n2,Grace,20\n";
    home.write("inbox/people.csv", content);

    let ids = server.ended_executions("csv-intake", 1);
    let execution = server.ended_as(&ids[0], "COMPLETED");
    assert_eq!(execution["triggerType"], "FILE");
    assert_eq!(execution["trigger"]["file"]["name"], "people.csv");
    assert_eq!(execution["result"]["rows"], 2);
    assert_eq!(execution["result"]["columns"], 3);
    for key in ["check", "summary", "report", "archive"] {
        assert_eq!(step(&execution, key)["status"], "COMPLETED", "{execution:#}");
    }
    assert!(messages(&execution).iter().any(|line| line.contains("people.csv: 2 rows, 3 columns")), "{execution:#}");

    let file = &execution["files"][0];
    assert_eq!(file["filename"], "people.csv");
    assert_eq!(file["size"], content.len());
    assert_eq!(file["sha256"].as_str().map(str::len), Some(64));
    assert_eq!(file["status"], "PROCESSED");
    assert!(!home.path("inbox/people.csv").exists());
    let archived = execution["result"]["archived"].as_str().expect("its new place");
    assert_eq!(fs::read_to_string(archived).expect("it was moved there"), content);
}

fn a_malformed_csv_fails_and_stays(backend: Backend) {
    let home = home(backend);
    let server = home.serve();
    home.write("inbox/broken.csv", "a,b\n1,2\n1,2,3\n");

    let ids = server.ended_executions("csv-intake", 1);
    let execution = server.ended_as(&ids[0], "FAILED");
    assert_eq!(step(&execution, "check")["status"], "FAILED");
    assert_eq!(step(&execution, "archive")["status"], "SKIPPED");
    assert!(messages(&execution).iter().any(|line| line.contains("line 3 has 3 columns")), "{execution:#}");
    assert!(home.path("inbox/broken.csv").exists());
    until("the file's record to tell", || (server.execution(&ids[0])["files"][0]["status"] == "FAILED").then_some(()));
}

fn hello_greets(backend: Backend) {
    let home = home(backend);
    let server = home.serve();
    let id = server.start("hello", &json!({"name": "Ada $(id) \"x\""}));
    let execution = server.ended_as(&id, "COMPLETED");
    assert_eq!(execution["result"]["greeting"], "Hello, Ada $(id) \"x\"!");
    let id = server.start("hello", &json!({}));
    assert_eq!(server.ended_as(&id, "COMPLETED")["result"]["greeting"], "Hello, world!");
}

fn the_disk_is_reported(backend: Backend) {
    let home = home(backend);
    let server = home.serve();
    let id = server.start("disk-report", &json!({"path": home.root()}));
    let execution = server.ended_as(&id, "COMPLETED");
    assert!(execution["result"]["used_percent"].as_u64().is_some_and(|percent| percent <= 100), "{execution:#}");
    assert!(execution["result"]["available_mib"].is_u64(), "{execution:#}");
    let schedules = server.ask(
        "{ schedules(filter: {workflow: \"disk-report\"}) { nodes { cron timezone catchUp overlap isEnabled nextDueAt } } }",
        &json!({}),
    );
    let schedule = &schedules["schedules"]["nodes"][0];
    assert_eq!(schedule["cron"], "*/15 * * * *");
    assert_eq!(schedule["isEnabled"], true);
    assert!(schedule["nextDueAt"].is_string(), "{schedule:#}");
}
