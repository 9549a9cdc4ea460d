//! Files that have settled and wait for the others of their batch.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cogwheel_definition::{DoneMarker, FileBatch};
use tokio::time::Instant;

use super::candidates::Ready;
use super::identity::Identity;
use super::spec::WatchSpec;
use crate::ports::FileVersion;

/// A file that has settled.
pub(super) struct Settled {
    pub(super) ready: Ready,
    pub(super) identity: Identity,
    pub(super) version: FileVersion,
}

/// The batches of one watch.
pub(super) struct Batches {
    rule: Option<FileBatch>,
    /// A marker says that the files of its folder are all there: they are a batch by themselves.
    by_folder: bool,
    open: BTreeMap<PathBuf, Open>,
}

struct Open {
    files: Vec<Settled>,
    /// When the first of them came.
    since: Instant,
}

impl Batches {
    pub(super) fn new(spec: &WatchSpec) -> Self {
        let by_folder = matches!(spec.done_marker, Some(DoneMarker::Folder(_)));
        Self { rule: spec.batch, by_folder, open: BTreeMap::new() }
    }

    /// Takes a file that has settled. Answers whether it is the first of a marked folder, whose other files have to be
    /// looked for: they may have been looked at before the marker was there.
    pub(super) fn add(&mut self, settled: Settled, now: Instant) -> bool {
        let parent = settled.ready.path.parent().filter(|_| self.by_folder);
        let folder = parent.unwrap_or_else(|| Path::new("")).to_owned();
        let open = self.open.entry(folder).or_insert_with(|| Open { files: Vec::new(), since: now });
        open.files.push(settled);
        self.by_folder && open.files.len() == 1
    }

    /// How many files wait.
    pub(super) fn len(&self) -> usize {
        self.open.values().map(|open| open.files.len()).sum()
    }

    /// When a batch is no longer waited with.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let rule = self.rule?;
        self.open.values().map(|open| open.since + rule.max_wait).min()
    }

    /// The next batch that is full, has waited long enough, or is known to be complete: with a marker of the folder,
    /// once nothing else is on its way.
    pub(super) fn take_due(&mut self, now: Instant, nothing_comes: bool) -> Option<Vec<Settled>> {
        let rule = self.rule?;
        let most = usize::try_from(rule.max_files).unwrap_or(usize::MAX);
        let is_due = |open: &Open| {
            open.files.len() >= most || open.since + rule.max_wait <= now || (self.by_folder && nothing_comes)
        };
        let folder = self.open.iter().find(|(_, open)| is_due(open)).map(|(folder, _)| folder.clone())?;
        let open = self.open.get_mut(&folder)?;
        if open.files.len() > most {
            let rest = open.files.split_off(most);
            open.since = now;
            return Some(std::mem::replace(&mut open.files, rest));
        }
        self.open.remove(&folder).map(|open| open.files)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::DateTime;
    use cogwheel_definition::FileEvent;
    use uuid::Uuid;

    use super::super::examine::Quiet;
    use super::*;
    use crate::{FileId, TenantId, WatchId};

    const SECOND: Duration = Duration::from_secs(1);

    fn settled(path: &str) -> Settled {
        let at = DateTime::UNIX_EPOCH;
        let version = FileVersion {
            id: FileId(Uuid::nil()),
            tenant: TenantId(Uuid::nil()),
            watch: WatchId(Uuid::nil()),
            event: FileEvent::Created,
            filename: path.to_owned(),
            path: path.to_owned(),
            path_hash: String::new(),
            size: 0,
            sha256: None,
            media_type: None,
            modified_at: at,
            device: String::new(),
            inode: String::new(),
            fingerprint: String::new(),
            has_after: false,
            first_seen_at: at,
            settled_at: at,
        };
        let identity = Identity { size: 0, modified_us: 0, device: 0, inode: 0 };
        Settled { ready: Ready { path: path.into(), first_seen: at, quiet: Quiet::Closed }, identity, version }
    }

    fn batches(max_files: u32, marker: Option<&str>) -> Batches {
        let spec = WatchSpec {
            batch: Some(FileBatch { max_files, max_wait: SECOND }),
            done_marker: marker.map(|name| DoneMarker::Folder(name.to_owned())),
            ..WatchSpec::plain(Path::new("/in"))
        };
        Batches::new(&spec)
    }

    fn paths(files: Option<Vec<Settled>>) -> Vec<String> {
        files.unwrap_or_default().iter().map(|file| file.version.path.clone()).collect()
    }

    #[test]
    fn a_batch_is_due_when_it_is_full_or_has_waited() {
        let (mut batches, start) = (batches(2, None), Instant::now());
        batches.add(settled("/in/a"), start);
        assert_eq!(batches.next_deadline(), Some(start + SECOND));
        assert!(batches.take_due(start, true).is_none());
        batches.add(settled("/in/b"), start + SECOND / 2);
        batches.add(settled("/in/sub/c"), start + SECOND / 2);
        assert_eq!(paths(batches.take_due(start + SECOND / 2, false)), ["/in/a", "/in/b"]);
        assert!(batches.take_due(start + SECOND, false).is_none(), "the rest waits anew");
        assert_eq!(paths(batches.take_due(start + SECOND * 3 / 2, false)), ["/in/sub/c"]);
        assert_eq!(batches.next_deadline(), None);
    }

    #[test]
    fn a_marked_folder_is_a_batch_once_nothing_more_comes() {
        let (mut batches, start) = (batches(10, Some("_SUCCESS")), Instant::now());
        for path in ["/in/one/a", "/in/two/b", "/in/one/c"] {
            batches.add(settled(path), start);
        }
        assert!(batches.take_due(start, false).is_none());
        assert_eq!(paths(batches.take_due(start, true)), ["/in/one/a", "/in/one/c"]);
        assert_eq!(paths(batches.take_due(start, true)), ["/in/two/b"]);
    }
}
