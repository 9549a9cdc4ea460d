//! What attempts leave, and what is too large for a row, on a real file system and blobs in memory.

use std::os::unix::fs::symlink;
use std::sync::Arc;

use serde_json::json;
use tokio::sync::mpsc;

use super::*;
use crate::clock::SystemClock;
use crate::ports::{Blobs as _, LogLine, MemoryBlobs};

fn folder(files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    folder
}

#[test]
fn regular_files_are_listed_by_their_path_and_links_are_not_followed() {
    let folder = folder(&["b", "a/c/d.txt", "a/ü .csv"]);
    symlink("/etc", folder.path().join("etc")).unwrap();
    symlink("b", folder.path().join("a/link")).unwrap();
    fs::create_dir(folder.path().join("empty")).unwrap();
    let mut listed = list(folder.path()).unwrap();
    assert_eq!(listed.files, [("a/c/d.txt".to_owned(), 9), ("a/ü .csv".to_owned(), 9), ("b".to_owned(), 1)]);
    listed.others.sort();
    assert_eq!(listed.others, ["a/link", "etc"]);
    let nothing = list(&folder.path().join("nowhere")).unwrap();
    assert!(nothing.files.is_empty() && nothing.others.is_empty());
}

#[test]
fn too_many_files_or_folders_are_refused() {
    let folder = folder(&[]);
    let most = folder.path().join("most");
    fs::create_dir(&most).unwrap();
    (0..MAX_FILES).for_each(|number| fs::write(most.join(number.to_string()), "").unwrap());
    assert_eq!(list(folder.path()).unwrap().files.len(), MAX_FILES);
    fs::write(folder.path().join("one-more"), "").unwrap();
    let failure = list(folder.path()).unwrap_err();
    assert!(failure.kind == FailureKind::Output && failure.title.contains("more than 1000"), "{failure:?}");

    let deep = tempfile::tempdir().unwrap();
    (0..=MAX_FILES).for_each(|number| fs::create_dir(deep.path().join(number.to_string())).unwrap());
    assert!(list(deep.path()).unwrap_err().title.contains("more than 1000"));
}

#[test]
fn a_name_is_the_steps_key_and_the_path_and_has_a_limit() {
    let path = "é".repeat(MAX_NAME - 5);
    assert_eq!(named("load", vec![(path.clone(), 1)]).unwrap(), [(format!("load/{path}"), path.clone())]);
    let failure = named("load[1]", vec![(path, 1)]).unwrap_err();
    assert!(failure.detail.unwrap().contains("has 258 characters; 255 are allowed"));
    let failure = named("load", vec![("dump".to_owned(), MAX_FILE + 1)]).unwrap_err();
    assert_eq!(failure.title, "the artifact `dump` cannot be kept");
    assert_eq!(failure.detail.unwrap(), "it is larger than 1 GiB");
}

#[test]
fn an_output_beyond_all_bounds_fails_its_step_unless_something_did_before() {
    let huge = || json!({"x": "y".repeat(100)});
    let Outcome::Failed { failure, output: None } = within(Outcome::Completed { output: huge() }, 100) else {
        panic!()
    };
    assert!(failure.kind == FailureKind::Output && failure.detail.unwrap().contains("COGWHEEL_ARTIFACTS"));
    let first = Failure::retriable(FailureKind::Exit, "exit code 1");
    let failed = within(Outcome::Failed { failure: first.clone(), output: Some(huge()) }, 100);
    assert!(matches!(failed, Outcome::Failed { failure, output: None } if failure == first));
    assert!(matches!(bounded(Outcome::Completed { output: json!(1) }), Outcome::Completed { .. }));
}

/// Where a test keeps things.
struct Place {
    blobs: Arc<MemoryBlobs>,
    outputs: Outputs,
    killing: CancellationToken,
    left: Leavings,
    lines: mpsc::Receiver<(i32, i32, LogLine)>,
    _folder: tempfile::TempDir,
}

impl Place {
    fn with(files: &[&str], blobs: MemoryBlobs) -> Self {
        let folder = folder(files);
        let (sender, lines) = mpsc::channel(8);
        let left = Leavings {
            folder: folder.path().to_owned(),
            step: 3,
            key: "load".to_owned(),
            logs: LogSink::new(sender, 3, 1, Arc::new(SystemClock)),
            stop: CancellationToken::new(),
        };
        let blobs = Arc::new(blobs);
        let outputs = Outputs::new(Arc::clone(&blobs) as _, false);
        Self { blobs, outputs, killing: CancellationToken::new(), left, lines, _folder: folder }
    }

    fn keeper(&self) -> Keeper<'_> {
        Keeper { outputs: &self.outputs, clock: &SystemClock, killing: &self.killing }
    }

    async fn keep(&self, outcome: Outcome) -> (Outcome, Vec<NewArtifact>) {
        self.keeper().keep_leavings(&self.left, outcome).await
    }
}

fn completed() -> Outcome {
    Outcome::Completed { output: json!({"rows": 3}) }
}

#[tokio::test(start_paused = true)]
async fn files_are_kept_also_if_the_disk_is_full_for_a_while() {
    let place = Place::with(&["a/rows.csv", "same", "a/b"], MemoryBlobs::full_for(3));
    let (outcome, artifacts) = place.keep(completed()).await;
    assert!(matches!(outcome, Outcome::Completed { .. }));
    let names: Vec<_> = artifacts.iter().map(|artifact| (artifact.name.as_str(), artifact.size)).collect();
    assert_eq!(names, [("load/a/b", 3), ("load/a/rows.csv", 10), ("load/same", 4)]);
    assert!(artifacts.iter().all(|artifact| artifact.step_ordinal == Some(3)));
    assert_eq!((artifacts[1].kind, artifacts[1].mime_type.as_str()), (ArtifactKind::Artifact, "text/csv"));
    assert_eq!(place.blobs.get(&artifacts[1].storage_key, 10).await.unwrap(), b"a/rows.csv");
}

#[tokio::test]
async fn only_attempts_that_ended_by_themselves_leave_something() {
    let place = Place::with(&["a"], MemoryBlobs::default());
    let failure = Failure::retriable(FailureKind::Exit, "exit code 1");
    let (_, artifacts) = place.keep(Outcome::Failed { failure, output: None }).await;
    assert_eq!(artifacts.len(), 1);
    for outcome in [Outcome::Stopped, Outcome::TimedOut { output: None }] {
        assert!(place.keep(outcome).await.1.is_empty());
    }
}

#[tokio::test]
async fn what_cannot_be_kept_fails_a_completed_attempt_and_is_logged_by_a_failed_one() {
    let long = "x".repeat(251);
    let mut place = Place::with(&[&long], MemoryBlobs::default());
    let (outcome, artifacts) = place.keep(completed()).await;
    let Outcome::Failed { failure, output } = outcome else { panic!("{outcome:?}") };
    assert!(artifacts.is_empty() && failure.kind == FailureKind::Output && !failure.retriable);
    assert_eq!(output, Some(json!({"rows": 3})));

    let first = Failure::retriable(FailureKind::Exit, "exit code 1");
    let (outcome, _) = place.keep(Outcome::Failed { failure: first.clone(), output: None }).await;
    assert!(matches!(outcome, Outcome::Failed { failure, .. } if failure == first));
    let (.., line) = place.lines.recv().await.unwrap();
    assert!(line.level == LogLevel::Error && line.message.contains("cannot be kept"), "{line:?}");
}

#[tokio::test]
async fn links_are_left_out_and_the_log_says_so() {
    let mut place = Place::with(&["a"], MemoryBlobs::default());
    symlink("/etc/passwd", place.left.folder.join("passwd")).unwrap();
    assert_eq!(place.keep(completed()).await.1.len(), 1);
    let (.., line) = place.lines.recv().await.unwrap();
    assert!(line.level == LogLevel::Warn && line.message.contains("`passwd`, 1 in all"), "{line:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_waited_for_who_does_not_wait() {
    let place = Place::with(&["a"], MemoryBlobs::full_for(usize::MAX));
    place.left.stop.cancel();
    let (outcome, _) = place.keep(completed()).await;
    let Outcome::Failed { failure, .. } = outcome else { panic!("{outcome:?}") };
    assert!(failure.retriable && failure.detail.unwrap().starts_with("no space is left"));
}

#[tokio::test(start_paused = true)]
async fn large_values_are_replaced_once_there_is_room() {
    let place = Place::with(&[], MemoryBlobs::full_for(2));
    let stop = CancellationToken::new();
    let mut small = json!({"rows": 3});
    assert!(place.keeper().offloaded(&mut small, None, RESULT, &stop).await.unwrap().is_none());
    assert_eq!((small, place.blobs.len()), (json!({"rows": 3}), 0));

    let whole = json!("x".repeat(100_000));
    let mut value = whole.clone();
    let artifact = place.keeper().offloaded(&mut value, Some(3), "load", &stop).await.unwrap().unwrap();
    assert_eq!((artifact.name.as_str(), artifact.kind, artifact.size), ("load", ArtifactKind::StepOutput, 100_002));
    assert_eq!(value, json!({"$blob": artifact.storage_key, "size": 100_002}));
    assert_eq!(place.outputs.read_back(&value).await.unwrap(), Some(whole));
}
