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
use super::matching::{Matcher, Named};
use super::mounts::Mount;
use super::observe::{HintSender, Observer, explain, is_limit};

/// How many files are reported together.
const BATCH: usize = 512;

/// What a scan reports, the end last.
pub(super) enum ScanEvent {
    /// Files as they look now.
    Found(Vec<Sighting>),
    /// Files that are left alone for their names, or are none that could be read.
    Passed(Vec<Passed>),
    /// What the folder lies on; before anything is found in it.
    On(Option<Mount>),
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

/// What a scan passed by.
pub(super) struct Passed {
    pub(super) path: PathBuf,
    pub(super) why: Pass,
}

/// Why it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// Its name says that it is not finished.
    Unfinished,
    /// A pattern leaves it out.
    Ignored,
    /// It is no file of the folder.
    NotOurs(&'static str),
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
    /// Whether that is a limit of the system.
    pub(super) limit_reached: bool,
    /// The device that the folder lies on.
    pub(super) device: Option<u64>,
}

/// What went wrong on the way.
#[derive(Default)]
struct Trouble {
    first: Option<String>,
    limit_reached: bool,
}

impl Trouble {
    fn note(&mut self, what: impl FnOnce() -> String) {
        self.first.get_or_insert_with(what);
    }

    fn not_watched(&mut self, error: &notify::Error) {
        self.limit_reached |= is_limit(error);
        self.note(|| explain(error));
    }
}

/// A scan to make.
pub(super) struct Scan {
    pub(super) folder: PathBuf,
    pub(super) matcher: Arc<Matcher>,
    pub(super) observer: Option<Observer>,
    /// Whether the kernel is asked to report changes.
    pub(super) observes: bool,
    /// Whether inode numbers last.
    pub(super) has_steady_inodes: bool,
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
        let mut trouble = Trouble::default();
        let (device, failure) = match is_full.then(|| self.whole(&mut trouble)) {
            Some(Ok(device)) => (Some(device), None),
            Some(Err(error)) => (None, Some(error)),
            None => (None, None),
        };
        for folder in std::mem::take(&mut self.only) {
            self.walk(folder, &mut trouble);
        }
        let failure = failure.map(|error| error.to_string());
        let observer = if failure.is_some() { None } else { self.observer };
        let report = ScanReport {
            observer,
            is_full,
            failure,
            trouble: trouble.first,
            limit_reached: trouble.limit_reached,
            device,
        };
        // As below.
        let _ = self.events.blocking_send(ScanEvent::Done(report));
    }

    /// Answers the device that the folder lies on.
    fn whole(&mut self, trouble: &mut Trouble) -> io::Result<u64> {
        let identity = FolderIdentity::of(&self.folder)?;
        let mount = Mount::of(&self.folder);
        self.has_steady_inodes = mount.as_ref().is_none_or(|mount| !mount.has_unsteady_inodes());
        // Nobody listens any more only when the watch has ended.
        let _ = self.events.blocking_send(ScanEvent::On(mount));
        if self.observes && !self.observer.as_ref().is_some_and(|observer| observer.is_of(identity)) {
            // The old one first: its watches count against the limit.
            self.observer = None;
            match Observer::new(&self.folder, identity, self.hints.clone()) {
                Ok(observer) => self.observer = Some(observer),
                Err(error) => trouble.not_watched(&error),
            }
        }
        let folder = self.folder.clone();
        let below = self.read(&folder, trouble)?;
        for folder in below {
            self.walk(folder, trouble);
        }
        Ok(identity.device)
    }

    /// Scans a folder below the watched one with all that is in it.
    fn walk(&mut self, folder: PathBuf, trouble: &mut Trouble) {
        let mut open = vec![folder];
        while let Some(folder) = open.pop() {
            if self.stop.is_cancelled() {
                return;
            }
            if let Some(observer) = &mut self.observer
                && let Err(error) = observer.add(&folder)
            {
                trouble.not_watched(&error);
            }
            match self.read(&folder, trouble) {
                Ok(below) => open.extend(below),
                // It went, or was no folder in the first place.
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(error) => {
                    trouble.note(|| format!("cannot read the folder {}: {error}", folder.display()));
                }
            }
        }
    }

    /// Reports the wanted files that lie directly in `folder`, and answers the folders to go on with.
    fn read(&self, folder: &Path, trouble: &mut Trouble) -> io::Result<Vec<PathBuf>> {
        let mut below = Vec::new();
        let mut found = Vec::new();
        let mut passed = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = entry.path();
            let Ok(relative) = path.strip_prefix(&self.folder) else { continue };
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                if self.matcher.descends(relative) {
                    below.push(path);
                }
                continue;
            }
            match self.matcher.named(relative) {
                Named::Unfinished => passed.push(Passed { path, why: Pass::Unfinished }),
                Named::Ignored => passed.push(Passed { path, why: Pass::Ignored }),
                Named::Marker | Named::Foreign => {}
                Named::Wanted => match regular_file(&self.folder, &path) {
                    Ok(Entry::File(metadata)) => {
                        let identity = Identity::of(&metadata).lasting(self.has_steady_inodes);
                        let changed_at = changed_at(&metadata);
                        found.push(Sighting { path, identity, changed_at });
                    }
                    Ok(Entry::Folder) => {}
                    Ok(Entry::Other(why)) => passed.push(Passed { path, why: Pass::NotOurs(why) }),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => trouble.note(|| format!("cannot look at the file {}: {error}", path.display())),
                },
            }
            if found.len() + passed.len() >= BATCH {
                self.report(std::mem::take(&mut found), std::mem::take(&mut passed));
                if self.stop.is_cancelled() {
                    return Ok(Vec::new());
                }
            }
        }
        self.report(found, passed);
        Ok(below)
    }

    fn report(&self, found: Vec<Sighting>, passed: Vec<Passed>) {
        // As below.
        if !found.is_empty() {
            let _ = self.events.blocking_send(ScanEvent::Found(found));
        }
        if !passed.is_empty() {
            let _ = self.events.blocking_send(ScanEvent::Passed(passed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::observe::Hints;
    use super::super::spec::WatchSpec;
    use super::*;

    fn matcher(folder: &Path, pattern: &str) -> Arc<Matcher> {
        let spec = WatchSpec {
            include: vec![pattern.to_owned()],
            is_recursive: pattern.contains('/'),
            ..WatchSpec::plain(folder)
        };
        Arc::new(Matcher::new(&spec).unwrap())
    }

    fn scan(folder: &Path, pattern: &str, only: &[PathBuf]) -> (Vec<String>, ScanReport) {
        let (events, mut receiver) = mpsc::channel(64);
        let scan = Scan {
            folder: folder.to_owned(),
            matcher: matcher(folder, pattern),
            observer: None,
            observes: true,
            has_steady_inodes: true,
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
                ScanEvent::Passed(_) | ScanEvent::On(_) => {}
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
