//! What becomes of a file, however it comes: the table of `docs/files.md`, line by line.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::time::Duration;

use cogwheel_definition::FileEvent;
use cogwheel_engine::ports::{DecisionReason, FileDecision, FileVersion};

use super::files::{healthy, intake, taken, watching};
use super::rig::Rig;

/// Everything that was taken once a last file was, which comes after everything that was done before.
async fn all_taken(rig: &Rig) -> Vec<FileVersion> {
    rig.put("inbox/zz-last", "last");
    let is_there = |tables: &super::store::Tables| {
        tables.files.iter().any(|file| file.filename == "zz-last").then(|| tables.files.clone())
    };
    let mut files = rig.store.until("the last file", is_there).await;
    files.retain(|file| file.filename != "zz-last");
    files
}

fn told(files: &[FileVersion]) -> Vec<(&str, FileEvent, i64)> {
    files.iter().map(|file| (file.filename.as_str(), file.event, file.size)).collect()
}

async fn decided(rig: &Rig, name: &str) -> FileDecision {
    let find =
        |tables: &super::store::Tables| tables.decisions.iter().find(|decision| decision.filename == name).cloned();
    rig.store.until(&format!("the decision on {name}"), find).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hard_link_and_a_copy_are_files_of_their_own() {
    let rig = Rig::new();
    let engine = watching(&rig, "*", "100ms").await;
    rig.put("inbox/a", "abc");
    taken(&rig, 1).await;
    fs::hard_link(rig.path("inbox/a"), rig.path("inbox/b")).unwrap();
    taken(&rig, 2).await;
    fs::copy(rig.path("inbox/a"), rig.path("inbox/c")).unwrap();
    taken(&rig, 3).await;
    let files = all_taken(&rig).await;
    assert_eq!(told(&files), ["a", "b", "c"].map(|name| (name, FileEvent::Created, 3)));
    assert!(files[0].inode == files[1].inode && files[0].inode != files[2].inode);
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_anew_is_a_new_version_whatever_it_holds() {
    let rig = Rig::new();
    let engine = watching(&rig, "*", "100ms").await;
    fs::write(rig.path("inbox/a"), "first").unwrap();
    taken(&rig, 1).await;
    // Truncated and rewritten; the same content under the same name; other content.
    for (number, content) in ["second one", "second one", "3"].into_iter().enumerate() {
        fs::write(rig.path("inbox/a"), content).unwrap();
        taken(&rig, number + 2).await;
    }
    let files = all_taken(&rig).await;
    let sizes: Vec<_> = files.iter().map(|file| file.size).collect();
    assert_eq!((sizes, files[3].event), (vec![5, 10, 10, 1], FileEvent::Modified));
    assert!(files[1].sha256 == files[2].sha256 && files[1].fingerprint != files[2].fingerprint);
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_editors_save_is_one_change() {
    let rig = Rig::new();
    let engine = watching(&rig, "*.txt", "200ms").await;
    rig.put("inbox/a.txt", "old");
    taken(&rig, 1).await;
    // A backup beside it, a new file in its place, the backup removed.
    fs::rename(rig.path("inbox/a.txt"), rig.path("inbox/a.txt~")).unwrap();
    fs::write(rig.path("inbox/a.txt"), "new text").unwrap();
    fs::remove_file(rig.path("inbox/a.txt~")).unwrap();
    taken(&rig, 2).await;
    // A temporary file that takes its place.
    fs::write(rig.path("inbox/.a.txt.swp"), "newer").unwrap();
    fs::rename(rig.path("inbox/.a.txt.swp"), rig.path("inbox/a.txt")).unwrap();
    taken(&rig, 3).await;
    rig.put("inbox/last.txt", "");
    let files = taken(&rig, 4).await;
    let (created, modified) = (FileEvent::Created, FileEvent::Modified);
    let expected = [("a.txt", created, 3), ("a.txt", modified, 8), ("a.txt", modified, 5), ("last.txt", created, 0)];
    assert_eq!(told(&files), expected);
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_name_and_no_content_will_do() {
    let rig = Rig::new();
    let engine = watching(&rig, "*", "0s").await;
    let names = ["-rf", "a\nb", "it's \"quoted\"", "späße ☂.csv", " ", "$(date)", "a;b|c", "%s", "\\", "\u{1f600}"];
    for name in names {
        rig.put(&format!("inbox/{name}"), "");
    }
    let files = taken(&rig, names.len()).await;
    let mut seen: Vec<_> = files.iter().map(|file| (file.filename.as_str(), file.size)).collect();
    seen.sort_unstable();
    let mut expected = names.map(|name| (name, 0));
    expected.sort_unstable();
    assert_eq!(seen, expected);
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_starts_nothing_is_in_the_ledger_with_its_reason() {
    let rig = Rig::new();
    let text = "on: {file: {path: inbox, match: '*', ignore: 'draft-*', settle: 0s}}\nsteps: [{run: x}]\n";
    rig.put("workflows/intake.yaml", text);
    for name in ["early.part", "draft-early"] {
        rig.put(&format!("inbox/{name}"), "x");
    }
    symlink("/etc", rig.path("inbox/early-link")).unwrap();
    let engine = rig.launch().await;
    healthy(&rig, true).await;
    let foreign = OsStr::from_bytes(b"caf\xe9.csv");
    rig.put("late.tmp", "x");
    fs::rename(rig.path("late.tmp"), rig.path("inbox/late.tmp")).unwrap();
    rig.put("inbox/draft-late", "x");
    rig.put("foreign", "x");
    fs::rename(rig.path("foreign"), rig.path("inbox").join(foreign)).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, rig.path("inbox/pipe"), rustix::fs::Mode::RWXU).unwrap();
    let mut vanishing = File::create(rig.path("inbox/vanishing")).unwrap();
    vanishing.write_all(b"x").unwrap();
    fs::remove_file(rig.path("inbox/vanishing")).unwrap();
    for (name, reason, why) in [
        ("early.part", DecisionReason::HiddenOrTemporary, "not finished"),
        ("late.tmp", DecisionReason::HiddenOrTemporary, "not finished"),
        ("draft-early", DecisionReason::FilteredPattern, "`ignore`"),
        ("draft-late", DecisionReason::FilteredPattern, "`ignore`"),
        ("early-link", DecisionReason::Unreadable, "out of the watched folder"),
        ("caf\u{fffd}.csv", DecisionReason::Unreadable, "not UTF-8"),
        ("pipe", DecisionReason::Unreadable, "no regular file"),
        ("vanishing", DecisionReason::Vanished, "gone before"),
    ] {
        let decision = decided(&rig, name).await;
        assert_eq!(decision.reason, reason, "{name}");
        assert!(decision.detail.contains(why), "{decision:?}");
    }
    let count = rig.store.tables().decisions.len();
    engine.shut_down().await;
    let engine = rig.launch().await;
    assert!(all_taken(&rig).await.is_empty());
    assert_eq!(rig.store.tables().decisions.len(), count, "each once, over restarts");
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_followed_to_a_file_of_the_folder_only() {
    let rig = Rig::new();
    let engine = watching(&rig, "**/*", "0s").await;
    fs::create_dir(rig.path("inbox/sub")).unwrap();
    rig.put("inbox/sub/real", "abc");
    rig.put("outside", "secret");
    taken(&rig, 1).await;
    symlink("sub/real", rig.path("inbox/good")).unwrap();
    symlink("../outside", rig.path("inbox/out")).unwrap();
    symlink("sub", rig.path("inbox/folder")).unwrap();
    symlink("nowhere", rig.path("inbox/dangling")).unwrap();
    taken(&rig, 2).await;
    for name in ["out", "folder"] {
        assert_eq!(decided(&rig, name).await.reason, DecisionReason::Unreadable, "{name}");
    }
    let files = all_taken(&rig).await;
    assert_eq!(files.iter().map(|file| file.filename.as_str()).collect::<Vec<_>>(), ["real", "good"]);
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_file_is_waited_for_although_it_is_quiet() {
    let rig = Rig::new();
    let mut open = File::create(rig.path("inbox/open")).unwrap();
    open.write_all(b"half").unwrap();
    let engine = watching(&rig, "*", "50ms").await;
    // One that came later is taken once it has been quiet for long enough; this one has been for longer.
    assert!(all_taken(&rig).await.is_empty());
    open.write_all(b" and half").unwrap();
    drop(open);
    let is_there = |tables: &super::store::Tables| tables.files.iter().find(|file| file.filename == "open").cloned();
    assert_eq!(rig.store.until("the file", is_there).await.size, 13);
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_watches_on_one_folder_both_take_a_file() {
    let rig = Rig::new();
    rig.put("workflows/one.yaml", intake("*", "0s"));
    rig.put("workflows/two.yaml", intake("*.csv", "0s"));
    let engine = rig.launch().await;
    let both =
        |tables: &super::store::Tables| (tables.health.iter().filter(|last| last.healthy).count() >= 2).then_some(());
    rig.store.until("two healthy watches", both).await;
    rig.put("inbox/a.csv", "x");
    rig.put("inbox/b.txt", "x");
    let files = taken(&rig, 3).await;
    let of = |name: &str| files.iter().filter(|file| file.filename == name).count();
    assert_eq!((of("a.csv"), of("b.txt")), (2, 1));
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletions_are_told_on_request_and_no_others_made_up() {
    let rig = Rig::new();
    let text =
        "on: {file: {path: inbox, match: '**/*', events: [created, deleted], settle: 50ms}}\nsteps: [{run: x}]\n";
    rig.put("workflows/intake.yaml", text);
    fs::create_dir(rig.path("inbox/sub")).unwrap();
    for name in ["a", "sub/b", "sub/c", "d"] {
        rig.put(&format!("inbox/{name}"), "x");
    }
    let engine = rig.launch().await;
    taken(&rig, 4).await;
    fs::write(rig.path("inbox/a"), "changed").unwrap();
    let changed = decided(&rig, "a").await;
    assert_eq!((changed.reason, changed.event), (DecisionReason::FilteredPattern, FileEvent::Modified));
    fs::remove_file(rig.path("inbox/a")).unwrap();
    let gone = taken(&rig, 5).await.remove(4);
    assert_eq!((gone.filename.as_str(), gone.event, gone.size, gone.sha256), ("a", FileEvent::Deleted, 7, None));
    assert_eq!(rig.store.tables().starts[4].trigger["file"]["event"], "deleted");
    // A whole folder leaves, and a file while nobody is there.
    fs::rename(rig.path("inbox/sub"), rig.path("sub")).unwrap();
    taken(&rig, 7).await;
    engine.shut_down().await;
    fs::remove_file(rig.path("inbox/d")).unwrap();
    let engine = rig.launch().await;
    assert_eq!(taken(&rig, 8).await[7].filename, "d");
    rig.put("inbox/a", "again");
    let again = taken(&rig, 9).await.remove(8);
    assert_eq!((again.filename.as_str(), again.event), ("a", FileEvent::Created));
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_not_mounted_has_lost_nothing() {
    let rig = Rig::new();
    let Ok(disk) = tempfile::tempdir_in("/dev/shm") else { return };
    fs::create_dir(disk.path().join("in")).unwrap();
    symlink(disk.path().join("in"), rig.path("mount")).unwrap();
    fs::create_dir(rig.path("bare")).unwrap();
    let text = "on: {file: {path: mount, events: [created, deleted], settle: 0s, poll: 100ms}}\nsteps: [{run: x}]\n";
    rig.put("workflows/intake.yaml", text);
    let engine = rig.launch().await;
    fs::write(disk.path().join("in/a"), "x").unwrap();
    taken(&rig, 1).await;
    let point_to = |target: &std::path::Path| {
        symlink(target, rig.path("next")).unwrap();
        fs::rename(rig.path("next"), rig.path("mount")).unwrap();
    };
    point_to(&rig.path("bare"));
    let unmounted = |tables: &super::store::Tables| {
        tables.health.last()?.problem.as_ref().filter(|problem| problem.contains("mount its file system")).map(drop)
    };
    rig.store.until("a warning", unmounted).await;
    point_to(&disk.path().join("in"));
    healthy(&rig, true).await;
    let back = |tables: &super::store::Tables| tables.health.last().filter(|last| last.problem.is_none()).map(drop);
    rig.store.until("its end", back).await;
    fs::write(disk.path().join("in/b"), "x").unwrap();
    let files = taken(&rig, 2).await;
    assert_eq!(files[1].filename, "b", "nothing was deleted, and nothing is new");
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_polled_on_request_and_the_kernel_left_alone() {
    let rig = Rig::new();
    rig.put("workflows/intake.yaml", "on: {file: {path: inbox, settle: 100ms, poll: 100ms}}\nsteps: [{run: x}]\n");
    let engine = rig.launch().await;
    healthy(&rig, true).await;
    let health = rig.store.tables().health[0].clone();
    assert_eq!((health.has_events, health.scan_every_ms), (Some(false), Some(100)));
    assert!(health.filesystem.is_some());
    rig.put("inbox/a", "x");
    taken(&rig, 1).await;
    fs::write(rig.path("inbox/a"), "changed").unwrap();
    assert_eq!(taken(&rig, 2).await[1].event, FileEvent::Modified);
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_files_are_taken_once_each() {
    const FILES: usize = 100_000;
    let rig = Rig::new();
    for number in 0..FILES {
        fs::write(rig.path(&format!("inbox/{number}")), "").unwrap();
    }
    let engine = watching(&rig, "*", "0s").await;
    let enough = |tables: &super::store::Tables| (tables.files.len() >= FILES).then_some(());
    rig.store.until_within(Duration::from_mins(3), "all files", enough).await;
    {
        let tables = rig.store.tables();
        let paths: HashSet<_> = tables.files.iter().map(|file| &file.path).collect();
        assert_eq!((tables.files.len(), paths.len()), (FILES, FILES));
    }
    engine.shut_down().await;
}
