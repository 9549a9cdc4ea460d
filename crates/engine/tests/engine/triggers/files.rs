//! Files in watched folders.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use cogwheel_definition::FileEvent;
use cogwheel_engine::Engine;
use cogwheel_engine::ports::FileVersion;

use super::rig::Rig;

pub(super) fn intake(pattern: &str, settle: &str) -> String {
    format!("on: {{file: {{path: inbox, match: '{pattern}', settle: {settle}}}}}\nsteps: [{{run: x}}]\n")
}

/// An engine that watches the inbox and has looked at it.
pub(super) async fn watching(rig: &Rig, pattern: &str, settle: &str) -> Arc<Engine> {
    rig.put("workflows/intake.yaml", intake(pattern, settle));
    let engine = rig.launch().await;
    healthy(rig, true).await;
    engine
}

pub(super) async fn healthy(rig: &Rig, healthy: bool) {
    let is_it = |tables: &super::store::Tables| tables.health.last().filter(|last| last.healthy == healthy).map(|_| ());
    rig.store.until(if healthy { "a healthy watch" } else { "a failed watch" }, is_it).await;
}

pub(super) async fn taken(rig: &Rig, count: usize) -> Vec<FileVersion> {
    rig.store
        .until(&format!("{count} files"), |tables| (tables.files.len() >= count).then(|| tables.files.clone()))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_moved_into_place_is_taken_at_once_and_recorded_whole() {
    let rig = Rig::new();
    let engine = watching(&rig, "*.csv", "0s").await;
    rig.put("inbox/a b.csv", "abc");
    let file = taken(&rig, 1).await.remove(0);
    let path = rig.path("inbox/a b.csv");
    assert_eq!((file.filename.as_str(), file.path.as_str()), ("a b.csv", path.to_str().unwrap()));
    assert_eq!((file.size, file.event), (3, FileEvent::Created));
    assert_eq!(file.sha256.as_deref().unwrap(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");

    rig.put("inbox/a b.csv", "abc");
    let again = taken(&rig, 2).await.remove(1);
    assert!(again.event == FileEvent::Modified && again.fingerprint != file.fingerprint && again.sha256 == file.sha256);
    assert_eq!(rig.store.tables().starts[1].trigger["file"]["name"], "a b.csv");
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slowly_written_file_is_taken_once_and_whole() {
    for settle in ["1s", "0s"] {
        let rig = Rig::new();
        let engine = watching(&rig, "*", settle).await;
        let mut file = File::create(rig.path("inbox/slow")).unwrap();
        for _ in 0..20 {
            file.write_all(&[b'x'; 1000]).unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(rig.store.tables().files.is_empty(), "settle {settle}: half a file");
        drop(file);
        let files = taken(&rig, 1).await;
        rig.put("inbox/after", "");
        taken(&rig, 2).await;
        assert_eq!((files[0].size, rig.store.tables().files.len()), (20_000, 2), "settle {settle}");
        engine.shut_down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_files_at_once_are_a_thousand_starts() {
    let rig = Rig::new();
    let engine = watching(&rig, "*.csv", "0s").await;
    for number in 0..1000 {
        fs::write(rig.path(&format!("inbox/{number}.csv")), number.to_string()).unwrap();
    }
    let files = taken(&rig, 1000).await;
    let paths: HashSet<_> = files.iter().map(|file| &file.path).collect();
    assert_eq!((files.len(), paths.len()), (1000, 1000));
    engine.shut_down().await;

    // All of them are known to the next life, and one more came while nobody was there.
    rig.put("inbox/late.csv", "late");
    let engine = rig.launch().await;
    let files = taken(&rig, 1001).await;
    assert_eq!(files[1000].filename, "late.csv");
    healthy(&rig, true).await;
    assert_eq!(rig.store.tables().files.len(), 1001);
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_in_new_deep_folders_are_found() {
    let rig = Rig::new();
    let engine = watching(&rig, "**/*.csv", "0s").await;
    for folder in 0..30 {
        let deep = rig.path(&format!("inbox/{folder}/deep/er"));
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("a.csv"), "x").unwrap();
        fs::write(rig.path(&format!("inbox/{folder}/b.csv")), "x").unwrap();
    }
    taken(&rig, 60).await;
    // A whole tree moved into place makes one event.
    fs::create_dir_all(rig.path("tree/sub")).unwrap();
    fs::write(rig.path("tree/sub/c.csv"), "x").unwrap();
    fs::rename(rig.path("tree"), rig.path("inbox/tree")).unwrap();
    taken(&rig, 61).await;
    rig.put("inbox/tree/sub/d.csv", "x");
    assert_eq!(taken(&rig, 62).await.len(), 62);
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_may_come_later_go_and_come_back() {
    let rig = Rig::new();
    fs::remove_dir(rig.path("inbox")).unwrap();
    rig.put("workflows/intake.yaml", intake("*", "0s"));
    let engine = rig.launch().await;
    healthy(&rig, false).await;
    let problem = rig.store.tables().health[0].problem.clone().unwrap();
    assert!(problem.contains(rig.path("inbox").to_str().unwrap()), "{problem}");

    fs::create_dir(rig.path("inbox")).unwrap();
    rig.put("inbox/a", "a");
    taken(&rig, 1).await;
    healthy(&rig, true).await;
    fs::remove_dir_all(rig.path("inbox")).unwrap();
    healthy(&rig, false).await;
    fs::create_dir(rig.path("inbox")).unwrap();
    healthy(&rig, true).await;
    rig.put("inbox/b", "b");
    taken(&rig, 2).await;

    // Replaced in one go: the watch must move to the new folder.
    fs::create_dir(rig.path("next")).unwrap();
    fs::write(rig.path("next/c"), "c").unwrap();
    fs::rename(rig.path("inbox"), rig.path("previous")).unwrap();
    fs::rename(rig.path("next"), rig.path("inbox")).unwrap();
    taken(&rig, 3).await;
    rig.put("inbox/d", "d");
    let files = taken(&rig, 4).await;
    assert_eq!(files.iter().map(|file| file.filename.as_str()).collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    let states: Vec<bool> = rig.store.tables().health.iter().map(|health| health.healthy).collect();
    assert!(states.starts_with(&[false, true, false, true]) && states.len() <= 6, "each change once: {states:?}");
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_wait_for_the_store() {
    let rig = Rig::new();
    let engine = watching(&rig, "*", "0s").await;
    rig.store.change(|tables| tables.is_away = true);
    rig.put("inbox/a", "a");
    rig.put("inbox/b", "b");
    rig.store.until("two starts in vain", |tables| (tables.refused >= 2).then_some(())).await;
    rig.store.change(|tables| tables.is_away = false);
    let files = taken(&rig, 2).await;
    assert_eq!(files.len(), 2);
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_whose_answer_got_lost_runs_all_the_same() {
    let rig = Rig::new();
    let engine = watching(&rig, "*", "0s").await;
    rig.store.change(|tables| tables.loses_answers = true);
    rig.put("inbox/a", "a");
    taken(&rig, 1).await;
    rig.store.until("its end", |tables| tables.live.is_empty().then_some(())).await;
    assert_eq!(rig.store.tables().starts.len(), 1);
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_trigger_is_another_watch() {
    let rig = Rig::new();
    let engine = watching(&rig, "*.csv", "0s").await;
    rig.put("inbox/a.txt", "a");
    rig.put("inbox/b.csv", "b");
    taken(&rig, 1).await;
    rig.put("workflows/intake.yaml", intake("*.txt", "0s"));
    let files = taken(&rig, 2).await;
    assert_eq!(files[1].filename, "a.txt", "it was there before");
    engine.shut_down().await;
}
