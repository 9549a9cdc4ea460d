//! Walks a watched folder and reports the wanted files in it; blocking.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::examine::{Entry, regular_file};
use super::identity::{FolderIdentity, Identity, changed_at};
use super::matching::Matcher;
use super::observe::{HintSender, Observer, explain};

/// How many files are reported together.
const BATCH: usize = 512;

/// What a scan reports, the end last.
pub(super) enum ScanEvent {
    /// Wanted files as they look now.
    Found(Vec<Sighting>),
    /// It is over.
    Done(ScanReport),
}

/// A wanted file as a scan saw it.
pub(super) struct Sighting {
    pub(super) path: PathBuf,
    pub(super) identity: Identity,
    /// When it was changed last.
    pub(super) changed_at: DateTime<Utc>,
}

/// How a scan ended.
pub(super) struct ScanReport {
    /// The watch over what was scanned; `None` if the kernel does not watch it.
    pub(super) observer: Option<Observer>,
    /// Whether it began at the top.
    pub(super) is_full: bool,
    /// Why the watched folder cannot be read.
    pub(super) failure: Option<String>,
    /// Why not everything is seen, or not at once.
    pub(super) trouble: Option<String>,
}

/// A scan to make.
pub(super) struct Scan {
    pub(super) folder: PathBuf,
    pub(super) matcher: Arc<Matcher>,
    pub(super) observer: Option<Observer>,
    pub(super) hints: HintSender,
    /// The folders to scan; the whole watched folder if there are none.
    pub(super) only: Vec<PathBuf>,
    pub(super) events: mpsc::Sender<ScanEvent>,
    pub(super) stop: CancellationToken,
}

impl Scan {
    /// Makes the scan. Each folder is watched before it is read, so that nothing falls in between.
    pub(super) fn run(mut self) {
        let is_full = self.only.is_empty();
        let mut trouble = None;
        let failure = if is_full { self.whole(&mut trouble).err() } else { None };
        for folder in std::mem::take(&mut self.only) {
            self.walk(folder, &mut trouble);
        }
        let failure = failure.map(|error| error.to_string());
        let observer = if failure.is_some() { None } else { self.observer };
        // Nobody listens any more only when the watch has ended.
        let _ = self.events.blocking_send(ScanEvent::Done(ScanReport { observer, is_full, failure, trouble }));
    }

    fn whole(&mut self, trouble: &mut Option<String>) -> io::Result<()> {
        let identity = FolderIdentity::of(&self.folder)?;
        if !self.observer.as_ref().is_some_and(|observer| observer.is_of(identity)) {
            // The old one first: its watches count against the limit.
            self.observer = None;
            match Observer::new(&self.folder, identity, self.hints.clone()) {
                Ok(observer) => self.observer = Some(observer),
                Err(error) => *trouble = Some(explain(&error)),
            }
        }
        let folder = self.folder.clone();
        let below = self.read(&folder, trouble)?;
        for folder in below {
            self.walk(folder, trouble);
        }
        Ok(())
    }

    /// Scans a folder below the watched one with all that is in it.
    fn walk(&mut self, folder: PathBuf, trouble: &mut Option<String>) {
        let mut open = vec![folder];
        while let Some(folder) = open.pop() {
            if self.stop.is_cancelled() {
                return;
            }
            if let Some(observer) = &mut self.observer
                && let Err(error) = observer.add(&folder)
            {
                trouble.get_or_insert_with(|| explain(&error));
            }
            match self.read(&folder, trouble) {
                Ok(below) => open.extend(below),
                // It went, or was no folder in the first place.
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(error) => {
                    trouble.get_or_insert_with(|| format!("cannot read the folder {}: {error}", folder.display()));
                }
            }
        }
    }

    /// Reports the wanted files that lie directly in `folder`, and answers the folders to go on with.
    fn read(&self, folder: &Path, trouble: &mut Option<String>) -> io::Result<Vec<PathBuf>> {
        let mut below = Vec::new();
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = entry.path();
            let Ok(relative) = path.strip_prefix(&self.folder) else { continue };
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                if self.matcher.descends(relative) {
                    below.push(path);
                }
            } else if self.matcher.takes(relative) {
                match regular_file(&self.folder, &path) {
                    Ok(Entry::File(metadata)) => {
                        let (identity, changed_at) = (Identity::of(&metadata), changed_at(&metadata));
                        found.push(Sighting { path, identity, changed_at });
                    }
                    Ok(Entry::Folder | Entry::Other) => {}
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => {
                        trouble.get_or_insert_with(|| format!("cannot look at the file {}: {error}", path.display()));
                    }
                }
            }
            if found.len() == BATCH {
                self.report(std::mem::take(&mut found));
                if self.stop.is_cancelled() {
                    return Ok(Vec::new());
                }
            }
        }
        self.report(found);
        Ok(below)
    }

    fn report(&self, found: Vec<Sighting>) {
        if !found.is_empty() {
            // As above.
            let _ = self.events.blocking_send(ScanEvent::Found(found));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::super::observe::Hints;
    use super::super::spec::WatchSpec;
    use super::*;
    use crate::{TenantId, WatchId, WorkflowId};

    fn matcher(folder: &Path, pattern: &str) -> Arc<Matcher> {
        let spec = WatchSpec {
            id: WatchId(Uuid::nil()),
            tenant: TenantId(Uuid::nil()),
            workflow: WorkflowId(Uuid::nil()),
            workflow_name: "w".to_owned(),
            trigger_key: "file-0".to_owned(),
            folder: folder.to_owned(),
            include: vec![pattern.to_owned()],
            ignore: Vec::new(),
            is_recursive: pattern.contains('/'),
            settle: Duration::ZERO,
        };
        Arc::new(Matcher::new(&spec).unwrap())
    }

    fn scan(folder: &Path, pattern: &str, only: &[PathBuf]) -> (Vec<String>, ScanReport) {
        let (events, mut receiver) = mpsc::channel(64);
        let scan = Scan {
            folder: folder.to_owned(),
            matcher: matcher(folder, pattern),
            observer: None,
            hints: Hints::new().sender(),
            only: only.to_vec(),
            events,
            stop: CancellationToken::new(),
        };
        scan.run();
        let (mut names, mut report) = (Vec::new(), None);
        while let Some(event) = receiver.blocking_recv() {
            match event {
                ScanEvent::Found(found) => names.extend(
                    found.iter().map(|seen| seen.path.strip_prefix(folder).unwrap().to_string_lossy().into_owned()),
                ),
                ScanEvent::Done(done) => report = Some(done),
            }
        }
        names.sort();
        (names, report.unwrap())
    }

    #[test]
    fn finds_what_is_wanted_as_deep_as_wanted() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["a.csv", "b.txt", ".c.csv", "sub/d.csv", "sub/deep/e.csv", ".git/f.csv"] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        let (flat, report) = scan(dir.path(), "*.csv", &[]);
        assert_eq!(flat, ["a.csv"]);
        assert!(report.is_full && report.failure.is_none() && report.observer.is_some());
        assert_eq!(scan(dir.path(), "**/*.csv", &[]).0, ["a.csv", "sub/d.csv", "sub/deep/e.csv"]);
        let (part, report) = scan(dir.path(), "**/*.csv", &[dir.path().join("sub/deep"), dir.path().join("a.csv")]);
        assert_eq!(part, ["sub/deep/e.csv"]);
        assert!(!report.is_full && report.trouble.is_none());
    }

    #[test]
    fn says_why_a_folder_cannot_be_scanned() {
        let dir = tempfile::tempdir().unwrap();
        let (_, report) = scan(&dir.path().join("missing"), "*", &[]);
        assert!(report.failure.unwrap().contains("No such file"));
        fs::write(dir.path().join("file"), "").unwrap();
        let (_, report) = scan(&dir.path().join("file"), "*", &[]);
        assert!(report.failure.is_some() && report.observer.is_none());
    }
}
