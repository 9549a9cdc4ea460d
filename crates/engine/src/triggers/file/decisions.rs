//! Files that start nothing, on their way into the ledger: each once, and not without end.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use chrono::{DateTime, Utc};
use cogwheel_definition::FileEvent;

use super::identity::{Identity, fingerprint};
use super::spec::WatchSpec;
use crate::FileId;
use crate::clock::Clock;
use crate::ports::{DecisionReason, FileDecision};
use crate::triggers::digest;

/// Names that are left alone are recorded until there are so many of them; of more, only the number is kept.
const MOST_NAMES: usize = 1000;

/// The longest path that is recorded.
const LONGEST_PATH: usize = 4096;

/// The decisions of one watch.
#[derive(Default)]
pub(super) struct Decisions {
    /// What was recorded, or counted, since the watch began.
    told: HashSet<u64>,
    names: usize,
    ignored: u64,
    waiting: Vec<FileDecision>,
    is_writing: bool,
}

/// A file that starts nothing.
pub(super) struct Refusal<'r> {
    pub(super) path: &'r Path,
    pub(super) reason: DecisionReason,
    pub(super) detail: &'r str,
    pub(super) version: Option<Identity>,
    pub(super) first_seen: DateTime<Utc>,
}

impl Decisions {
    /// Takes a file in that starts nothing; answers whether it was told for the first time.
    pub(super) fn refuse(&mut self, spec: &WatchSpec, clock: &dyn Clock, refusal: &Refusal<'_>) -> bool {
        let Refusal { path, reason, detail, version, first_seen } = refusal;
        let part = match reason {
            DecisionReason::Vanished => first_seen.timestamp_micros(),
            _ => version.map_or(0, |version| version.modified_us),
        };
        let mut hasher = DefaultHasher::new();
        (path, reason, part).hash(&mut hasher);
        if !self.told.insert(hasher.finish()) {
            return false;
        }
        let is_left_alone = matches!(reason, DecisionReason::HiddenOrTemporary | DecisionReason::FilteredPattern);
        self.ignored += u64::from(is_left_alone);
        if is_left_alone || *reason == DecisionReason::Vanished {
            self.names += 1;
            if self.names > MOST_NAMES {
                return true;
            }
        }
        let text = path.to_string_lossy();
        if text.len() > LONGEST_PATH {
            return true;
        }
        let path_hash = digest::of(path.as_os_str().as_encoded_bytes());
        self.waiting.push(FileDecision {
            id: FileId(clock.new_id()),
            tenant: spec.tenant,
            watch: spec.id,
            event: FileEvent::Created,
            reason: *reason,
            detail: (*detail).to_owned(),
            filename: path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            path: text.into_owned(),
            fingerprint: digest::of(format!("{reason:?}\0{path_hash}\0{part}")),
            path_hash,
            seen: version.map(|version| version.to_seen(None)),
            first_seen_at: *first_seen,
            decided_at: clock.now(),
        });
        true
    }

    /// Takes a whole version in that the trigger does not ask for.
    pub(super) fn filter(
        &mut self,
        version: &crate::ports::FileVersion,
        identity: Identity,
        reason: DecisionReason,
        detail: String,
    ) {
        let seen = identity.to_seen(version.sha256.clone());
        self.waiting.push(FileDecision {
            id: version.id,
            tenant: version.tenant,
            watch: version.watch,
            event: version.event,
            reason,
            detail,
            filename: version.filename.clone(),
            path: version.path.clone(),
            path_hash: version.path_hash.clone(),
            seen: Some(seen),
            fingerprint: version.fingerprint.clone(),
            first_seen_at: version.first_seen_at,
            decided_at: version.settled_at,
        });
    }

    /// How many names were left alone.
    pub(super) fn ignored(&self) -> u64 {
        self.ignored
    }

    /// What is to be written now, if anything; [`Decisions::wrote`] ends it.
    pub(super) fn begin_write(&mut self) -> Option<Vec<FileDecision>> {
        if self.is_writing || self.waiting.is_empty() {
            return None;
        }
        self.is_writing = true;
        Some(std::mem::take(&mut self.waiting))
    }

    /// A write ended; what failed waits for the next one.
    pub(super) fn wrote(&mut self, failed: Vec<FileDecision>) {
        self.is_writing = false;
        self.waiting.splice(0..0, failed);
    }
}

/// What the server itself does to a file, as the ledger of its watch has to know it: a version that it put somewhere,
/// or took away.
pub(super) fn own(
    of: &crate::ports::PendingAfter,
    clock: &dyn Clock,
    event: FileEvent,
    path: &str,
    identity: Identity,
) -> FileDecision {
    let sha256 = of.version.sha256.clone().unwrap_or_default();
    let (fingerprint, detail) = match event {
        FileEvent::Deleted => (super::identity::end_fingerprint(path, identity), "the watch itself took it away"),
        FileEvent::Created | FileEvent::Modified => {
            (fingerprint(path, identity, &sha256), "the watch itself moved it here")
        }
    };
    let now = clock.now();
    FileDecision {
        id: FileId(clock.new_id()),
        tenant: of.tenant,
        watch: of.watch,
        event,
        reason: DecisionReason::DuplicateVersion,
        detail: detail.to_owned(),
        filename: Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        path: path.to_owned(),
        path_hash: digest::of(path),
        seen: Some(identity.to_seen(of.version.sha256.clone())),
        fingerprint,
        first_seen_at: now,
        decided_at: now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn each_is_recorded_once_and_names_not_without_end() {
        let (mut decisions, spec) = (Decisions::default(), WatchSpec::plain(Path::new("/in")));
        let mut refuse = |path: &str, reason, size| {
            let version = Some(Identity { size, modified_us: i64::try_from(size).unwrap(), device: 0, inode: 0 });
            let refusal =
                Refusal { path: Path::new(path), reason, detail: "why", version, first_seen: DateTime::UNIX_EPOCH };
            decisions.refuse(&spec, &SystemClock, &refusal)
        };
        assert!(refuse("/in/a", DecisionReason::Unreadable, 1));
        assert!(!refuse("/in/a", DecisionReason::Unreadable, 1));
        assert!(refuse("/in/a", DecisionReason::Unreadable, 2), "another version");
        for number in 0..MOST_NAMES + 10 {
            refuse(&format!("/in/.{number}"), DecisionReason::HiddenOrTemporary, 1);
        }
        assert!(refuse("/in/b", DecisionReason::Unreadable, 1));
        assert_eq!(decisions.ignored(), 1010);
        let written = decisions.begin_write().unwrap();
        assert_eq!(written.len(), MOST_NAMES + 3);
        assert!(decisions.begin_write().is_none(), "one write at a time");
        let fingerprints: HashSet<_> = written.iter().map(|decision| &decision.fingerprint).collect();
        assert_eq!(fingerprints.len(), written.len());
        let count = written.len();
        decisions.wrote(written);
        assert_eq!(decisions.begin_write().map(|again| again.len()), Some(count), "a failed write is made up for");
    }
}
