//! One execution for many files, and markers that say that files are whole.

use std::collections::HashSet;
use std::fs;

use serde_json::Value;

use super::files::{healthy, intake, taken};
use super::rig::Rig;
use super::store::Tables;

fn batches(option: &str) -> String {
    format!("on: {{file: {{path: inbox, match: '**/*.csv', settle: 0s, {option}}}}}\nsteps: [{{run: x}}]\n")
}

async fn started(rig: &Rig, count: usize) -> Vec<Vec<String>> {
    let enough = |tables: &Tables| (tables.starts.len() >= count).then(|| tables.starts.clone());
    let starts = rig.store.until(&format!("{count} executions"), enough).await;
    let names = |files: &Value| {
        let files = files.as_array().expect("a list").iter();
        let mut names: Vec<String> = files.map(|file| file["name"].as_str().expect("a name").to_owned()).collect();
        names.sort();
        names
    };
    starts.iter().map(|row| names(&row.trigger["files"])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_batch_starts_at_once_and_the_rest_after_its_wait() {
    let rig = Rig::new();
    rig.put("workflows/intake.yaml", batches("batch: {max_files: 3, max_wait: 500ms}"));
    let engine = rig.launch().await;
    healthy(&rig, true).await;
    for number in 0..7 {
        rig.put(&format!("inbox/{number}.csv"), number.to_string());
    }
    let started = started(&rig, 3).await;
    assert_eq!(started.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 1]);
    let names: HashSet<_> = started.concat().into_iter().collect();
    assert_eq!(names.len(), 7);
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_while_its_batch_waits_is_taken_as_it_is_then() {
    let rig = Rig::new();
    rig.put("workflows/intake.yaml", batches("batch: {max_files: 9, max_wait: 1s}"));
    rig.put("workflows/single.yaml", intake("*.txt", "0s"));
    let engine = rig.launch().await;
    let both = |tables: &Tables| (tables.health.iter().filter(|last| last.healthy).count() >= 2).then_some(());
    rig.store.until("two healthy watches", both).await;
    rig.put("inbox/a.csv", "one");
    rig.put("inbox/b.csv", "one");
    // What came after them is taken: they are known, and wait.
    rig.put("inbox/last.txt", "one");
    taken(&rig, 1).await;
    rig.put("inbox/a.csv", "longer");
    let mut files = taken(&rig, 3).await;
    files.retain(|file| file.filename != "last.txt");
    let sizes: HashSet<_> = files.iter().map(|file| (file.filename.clone(), file.size)).collect();
    assert_eq!(sizes, HashSet::from([("a.csv".to_owned(), 6), ("b.csv".to_owned(), 3)]));
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_batch_that_waits_when_it_stops_are_found_again() {
    let rig = Rig::new();
    rig.put("workflows/intake.yaml", batches("batch: {max_files: 3, max_wait: 1h}"));
    let engine = rig.launch().await;
    healthy(&rig, true).await;
    rig.put("inbox/a.csv", "a");
    rig.put("inbox/b.csv", "b");
    engine.shut_down().await;
    assert!(rig.store.tables().files.is_empty());
    let engine = rig.launch().await;
    rig.put("inbox/c.csv", "c");
    assert_eq!(started(&rig, 1).await, [["a.csv", "b.csv", "c.csv"]]);
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marked_folder_is_one_batch() {
    let rig = Rig::new();
    rig.put("workflows/intake.yaml", batches("done_marker: _SUCCESS, batch: {max_wait: 1h}"));
    let engine = rig.launch().await;
    healthy(&rig, true).await;
    for day in ["mon", "tue"] {
        fs::create_dir(rig.path(&format!("inbox/{day}"))).unwrap();
        for part in 0..3 {
            fs::write(rig.path(&format!("inbox/{day}/{day}-{part}.csv")), "x").unwrap();
        }
    }
    rig.put("inbox/mon/_SUCCESS", "");
    assert_eq!(started(&rig, 1).await, [["mon-0.csv", "mon-1.csv", "mon-2.csv"]]);
    rig.put("inbox/tue/_SUCCESS", "");
    assert_eq!(started(&rig, 2).await[1], ["tue-0.csv", "tue-1.csv", "tue-2.csv"]);
    assert_eq!(rig.store.tables().files.len(), 6, "a marker is no file");
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marker_of_each_file_lets_that_file_go() {
    let rig = Rig::new();
    let text = "on: {file: {path: inbox, match: '*.csv', done_marker: '{stem}.ok'}}\nsteps: [{run: x}]\n";
    rig.put("workflows/intake.yaml", text);
    rig.put("inbox/early.csv", "x");
    rig.put("inbox/early.ok", "");
    let engine = rig.launch().await;
    taken(&rig, 1).await;
    rig.put("inbox/a.csv", "x");
    rig.put("inbox/b.csv", "x");
    rig.put("inbox/b.ok", "");
    let files = taken(&rig, 2).await;
    assert_eq!(files.iter().map(|file| file.filename.as_str()).collect::<Vec<_>>(), ["early.csv", "b.csv"]);
    rig.put("inbox/a.ok", "");
    assert_eq!(taken(&rig, 3).await[2].filename, "a.csv");
    engine.shut_down().await;
}
