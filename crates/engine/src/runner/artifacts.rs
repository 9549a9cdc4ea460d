//! Keeps what executions put out as bytes: the files that attempts leave, and outputs too large for their rows.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cogwheel_machine::{Failure, FailureKind, Outcome};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Runner;
use super::drive::Drive;
use super::journal::Written;
use crate::clock::Clock;
use crate::media::media_type;
use crate::outputs::{self, MAX_OUTPUT, OutputError, Outputs};
use crate::ports::{ArtifactKind, BlobError, LogLevel, LogSink, LogStream, NewArtifact, Record, StepRow};

/// The largest file that is kept, in bytes: copying it takes seconds, in which the step cannot end.
const MAX_FILE: u64 = 1024 * 1024 * 1024;

/// The most files of a step: each is a row, written in the transaction that ends the step.
const MAX_FILES: usize = 1000;

/// The longest name, in characters: what its column holds.
const MAX_NAME: usize = 255;

/// The name of an execution's own result among its artifacts; those of steps begin with a key.
const RESULT: &str = "/result";

/// The first and the longest pause between tries while nothing can be kept.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What an attempt may leave, and where.
pub(super) struct Leavings {
    pub(super) folder: PathBuf,
    /// Its step.
    pub(super) step: i32,
    /// The key of its step.
    pub(super) key: String,
    pub(super) logs: LogSink,
    /// Cancelled when nobody waits for the attempt any more.
    pub(super) stop: CancellationToken,
}

/// What is in a folder.
#[derive(Debug, Default)]
struct Listed {
    /// Regular files by their path below the folder, with their sizes.
    files: Vec<(String, u64)>,
    /// Whatever else there is: links, pipes, sockets.
    others: Vec<String>,
}

/// What a step put out, unless that is more than can be worked with.
pub(super) fn bounded(outcome: Outcome) -> Outcome {
    within(outcome, MAX_OUTPUT)
}

fn within(outcome: Outcome, limit: usize) -> Outcome {
    let output = match &outcome {
        Outcome::Completed { output } => Some(output),
        Outcome::Failed { output, .. } | Outcome::TimedOut { output } => output.as_ref(),
        Outcome::Stopped => None,
    };
    if output.is_none_or(|output| outputs::is_at_most(output, limit)) {
        return outcome;
    }
    let too_much = refused(format!("the step put out more than {limit} bytes"))
        .with_detail("put out less, or leave large results as files in the folder `$COGWHEEL_ARTIFACTS`");
    match outcome {
        // The first cause counts.
        Outcome::Failed { failure, .. } => Outcome::Failed { failure, output: None },
        Outcome::TimedOut { .. } => Outcome::TimedOut { output: None },
        Outcome::Completed { .. } | Outcome::Stopped => Outcome::Failed { failure: too_much, output: None },
    }
}

/// Keeps bytes, and keeps trying while there is no room for them or their place cannot be used: what was put out must
/// not be lost for that.
pub(crate) struct Keeper<'r> {
    outputs: &'r Outputs,
    clock: &'r dyn Clock,
    /// Cancelled when the server ends.
    killing: &'r CancellationToken,
}

impl Runner {
    pub(crate) fn keeper(&self) -> Keeper<'_> {
        Keeper { outputs: &self.outputs, clock: self.clock.as_ref(), killing: &self.killing }
    }
}

impl Keeper<'_> {
    /// Keeps the files that an attempt left, if it ended by itself. A completed attempt whose files cannot be kept has
    /// failed; one that has failed anyway says so in its log.
    pub(super) async fn keep_leavings(&self, left: &Leavings, outcome: Outcome) -> (Outcome, Vec<NewArtifact>) {
        if matches!(outcome, Outcome::TimedOut { .. } | Outcome::Stopped) {
            return (outcome, Vec::new());
        }
        match (self.leavings(left).await, outcome) {
            (Ok(artifacts), outcome) => (outcome, artifacts),
            (Err(failure), Outcome::Completed { output }) => {
                (Outcome::Failed { failure, output: Some(output) }, Vec::new())
            }
            (Err(failure), outcome) => {
                left.logs.line(LogStream::Engine, LogLevel::Error, failure.title).await;
                (outcome, Vec::new())
            }
        }
    }

    async fn leavings(&self, left: &Leavings) -> Result<Vec<NewArtifact>, Failure> {
        // Most steps leave nothing, and to see that takes less than to ask another thread.
        if fs::read_dir(&left.folder).is_ok_and(|mut entries| entries.next().is_none()) {
            return Ok(Vec::new());
        }
        let folder = left.folder.clone();
        let listed = tokio::task::spawn_blocking(move || list(&folder)).await;
        let Listed { files, others } =
            listed.map_err(|error| refused("the artifacts were not listed").with_detail(error.to_string()))??;
        if let Some(first) = others.first() {
            let message = format!(
                "left out of the artifacts, since only regular files are kept: `{first}`, {} in all",
                others.len()
            );
            left.logs.line(LogStream::Engine, LogLevel::Warn, message).await;
        }
        let named = named(&left.key, files)?;
        let mut artifacts = Vec::with_capacity(named.len());
        for (name, path) in named {
            let path_there = left.folder.join(&path);
            let put = || self.outputs.blobs().put_file(&path_there, MAX_FILE);
            let kept = self.until_kept(&left.stop, put).await.map_err(|error| not_kept(&path, &error))?;
            let (storage_key, size) = kept;
            artifacts.push(NewArtifact {
                id: self.clock.new_id(),
                step_ordinal: Some(left.step),
                name,
                kind: ArtifactKind::Artifact,
                mime_type: media_type(&path),
                storage_key,
                size,
            });
        }
        Ok(artifacts)
    }

    /// Replaces outputs that are too large for their rows by references.
    ///
    /// # Errors
    ///
    /// Why one cannot be kept, once `stop` is cancelled.
    pub(crate) async fn offload(&self, rows: &mut [StepRow], stop: &CancellationToken) -> Result<(), BlobError> {
        for row in rows {
            if let Some(output) = &mut row.state.output {
                row.offloaded = self.offloaded(output, Some(row.state.ordinal), &row.state.key, stop).await?;
            }
        }
        Ok(())
    }

    /// What the value is kept under that was replaced by a reference to it; `None` where it stays.
    async fn offloaded(
        &self,
        value: &mut Value,
        step_ordinal: Option<i32>,
        name: &str,
        stop: &CancellationToken,
    ) -> Result<Option<NewArtifact>, BlobError> {
        let Some(bytes) = self.outputs.to_offload(value) else { return Ok(None) };
        let size = bytes.len();
        let storage_key = self.until_kept(stop, || self.outputs.blobs().put(bytes.clone())).await?;
        *value = outputs::reference(&storage_key, size);
        Ok(Some(NewArtifact {
            id: self.clock.new_id(),
            step_ordinal,
            name: name.to_owned(),
            kind: ArtifactKind::StepOutput,
            storage_key,
            mime_type: "application/json".to_owned(),
            size: size as u64,
        }))
    }

    /// Gives up, with what is in the way, when nobody waits for it any more.
    async fn until_kept<T, F: Future<Output = Result<T, BlobError>>>(
        &self,
        stop: &CancellationToken,
        put: impl Fn() -> F,
    ) -> Result<T, BlobError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match put().await {
                Err(error) if error.is_transient() => error,
                done => return done,
            };
            warn!(%error, "an output cannot be kept; its execution stands still");
            tokio::select! {
                () = self.killing.cancelled() => return Err(error),
                () = stop.cancelled() => return Err(error),
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            }
        }
    }
}

impl Drive<'_> {
    /// Replaces what is too large for its row by a reference; the execution in memory keeps it whole.
    pub(super) async fn offload(&self, record: &mut Record) -> Written {
        // Only the server's end puts an end to the waiting: without its record the execution cannot go on.
        let stop = CancellationToken::new();
        let keeper = self.runner.keeper();
        let offload = async {
            keeper.offload(&mut record.steps, &stop).await?;
            if let Some(result) = record.head.as_mut().and_then(|head| head.result.as_mut()) {
                record.artifacts.extend(keeper.offloaded(result, None, RESULT, &stop).await?);
            }
            Ok::<_, BlobError>(())
        };
        match offload.await {
            Ok(()) => Written::Durable,
            Err(error) => {
                warn!(execution = %self.execution.id(), %error, "an output is not kept; the execution is let go of");
                Written::Refused
            }
        }
    }

    /// The output that `stored` refers to, if it does; waits while it cannot be read.
    pub(super) async fn read_back(&self, stored: &Value) -> Result<Option<Value>, OutputError> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.runner.outputs.read_back(stored).await {
                Err(error) if error.is_transient() => {
                    warn!(execution = %self.execution.id(), %error, "an output cannot be read; the execution stands still");
                    tokio::select! {
                        () = self.runner.killing.cancelled() => return Err(error),
                        () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                    }
                }
                done => return done,
            }
        }
    }
}

/// Lists a folder and those in it, following no link. One that is not there is empty.
fn list(folder: &Path) -> Result<Listed, Failure> {
    let mut listed = Listed::default();
    let mut folders = vec![PathBuf::new()];
    let mut seen = 0;
    while let Some(below) = folders.pop() {
        let entries = match fs::read_dir(folder.join(&below)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(unlisted(&below, &error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| unlisted(&below, &error))?;
            let path = below.join(entry.file_name());
            // That of the entry itself, not of what it may lead to.
            let metadata = entry.metadata().map_err(|error| unlisted(&path, &error))?;
            seen += usize::from(metadata.is_dir());
            if seen > MAX_FILES || listed.files.len() + listed.others.len() >= MAX_FILES && !metadata.is_dir() {
                return Err(refused(format!("the step left more than {MAX_FILES} files or folders as artifacts"))
                    .with_detail("pack them into an archive"));
            }
            if metadata.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path
                .to_str()
                .ok_or_else(|| refused(format!("the artifact `{}` has a name that is not UTF-8", path.display())))?;
            if metadata.is_file() {
                listed.files.push((name.to_owned(), metadata.len()));
            } else {
                listed.others.push(name.to_owned());
            }
        }
    }
    listed.files.sort_unstable();
    Ok(listed)
}

/// Each file's name among the execution's artifacts, with its path; looked at before the first of them is kept.
fn named(key: &str, files: Vec<(String, u64)>) -> Result<Vec<(String, String)>, Failure> {
    files
        .into_iter()
        .map(|(path, size)| {
            let name = format!("{key}/{path}");
            let length = name.chars().count();
            if length > MAX_NAME {
                let why = format!("its name, `{name}`, has {length} characters; {MAX_NAME} are allowed");
                return Err(not_an_artifact(&path, &why));
            }
            if size > MAX_FILE {
                return Err(too_large(&path));
            }
            Ok((name, path))
        })
        .collect()
}

fn not_kept(path: &str, error: &BlobError) -> Failure {
    match error {
        BlobError::TooLarge { .. } => too_large(path),
        // It was there a moment ago.
        BlobError::Unreadable { source, .. } => not_an_artifact(path, &source.to_string()),
        error => Failure::retriable(FailureKind::Output, format!("the artifact `{path}` was not kept"))
            .with_detail(error.to_string()),
    }
}

fn too_large(path: &str) -> Failure {
    not_an_artifact(path, &format!("it is larger than {} GiB", MAX_FILE / 1024 / 1024 / 1024))
}

fn not_an_artifact(path: &str, why: &str) -> Failure {
    refused(format!("the artifact `{path}` cannot be kept")).with_detail(why)
}

fn unlisted(path: &Path, error: &io::Error) -> Failure {
    refused(format!("the artifacts in `{}` cannot be listed", path.display())).with_detail(error.to_string())
}

fn refused(title: impl Into<String>) -> Failure {
    Failure::permanent(FailureKind::Output, title)
}

#[cfg(test)]
mod tests;
