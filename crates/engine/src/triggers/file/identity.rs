//! What tells one version of a file, and one folder, from another.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use chrono::{DateTime, Utc};

use crate::ports::{HandledFile, SeenVersion};
use crate::triggers::digest;

/// A version of a file without its content: equal as long as nobody touched it.
///
/// The device is not compared: its number may change with each mount, and from host to host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity {
    pub(super) size: u64,
    /// In microseconds, as precise as the ledger.
    pub(super) modified_us: i64,
    pub(super) device: u64,
    pub(super) inode: u64,
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        (self.size, self.modified_us, self.inode) == (other.size, other.modified_us, other.inode)
    }
}

impl Identity {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.size(),
            modified_us: metadata.mtime().saturating_mul(1_000_000).saturating_add(metadata.mtime_nsec() / 1000),
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }

    /// Without an inode number that may be another one after the next mount.
    pub(super) fn lasting(self, has_steady_inodes: bool) -> Self {
        Self { inode: if has_steady_inodes { self.inode } else { 0 }, ..self }
    }

    /// As the ledger has it; `None` if it was written by something else.
    pub(super) fn of_handled(file: &HandledFile) -> Option<Self> {
        Some(Self {
            size: u64::try_from(file.size).ok()?,
            modified_us: file.modified_at.timestamp_micros(),
            device: file.device.parse().ok()?,
            inode: file.inode.parse().ok()?,
        })
    }

    /// As the ledger keeps it.
    pub(super) fn to_seen(self, sha256: Option<String>) -> SeenVersion {
        SeenVersion {
            size: i64::try_from(self.size).unwrap_or(i64::MAX),
            modified_at: self.modified_at(),
            device: self.device.to_string(),
            inode: self.inode.to_string(),
            sha256,
        }
    }

    /// As the ledger has it; `None` if it was written by something else.
    pub(super) fn of_seen(seen: &SeenVersion) -> Option<Self> {
        Some(Self {
            size: u64::try_from(seen.size).ok()?,
            modified_us: seen.modified_at.timestamp_micros(),
            device: seen.device.parse().ok()?,
            inode: seen.inode.parse().ok()?,
        })
    }

    pub(super) fn modified_at(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.modified_us).unwrap_or_default()
    }
}

/// What makes a version of a file one and the same: equal for the same bytes at the same place and time only. Inode
/// numbers that do not last are left out by whoever made the identity.
pub(super) fn fingerprint(path: &str, identity: Identity, sha256: &str) -> String {
    let Identity { size, modified_us, inode, .. } = identity;
    digest::of(format!("{path}\0{size}\0{modified_us}\0{inode}\0{sha256}"))
}

/// The same for the end of a version.
pub(super) fn end_fingerprint(path: &str, identity: Identity) -> String {
    fingerprint(path, identity, "deleted")
}

/// When the kernel last saw a change of the content or the entry.
pub(super) fn changed_at(metadata: &Metadata) -> DateTime<Utc> {
    let instant = |seconds, nanoseconds| {
        DateTime::from_timestamp(seconds, u32::try_from(nanoseconds).unwrap_or_default()).unwrap_or_default()
    };
    let modified = instant(metadata.mtime(), metadata.mtime_nsec());
    modified.max(instant(metadata.ctime(), metadata.ctime_nsec()))
}

/// Tells a folder from another one that took its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::triggers) struct FolderIdentity {
    pub(super) device: u64,
    inode: u64,
}

impl FolderIdentity {
    /// The identity of the folder at `path`.
    pub(in crate::triggers) fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        if metadata.is_dir() {
            Ok(Self { device: metadata.dev(), inode: metadata.ino() })
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_but_the_device_counts_in_the_fingerprint() {
        let identity = Identity { size: 1, modified_us: 2, device: 3, inode: 4 };
        let same = fingerprint("/a", identity, "c");
        assert_eq!(same, fingerprint("/a", Identity { device: 9, ..identity }, "c"));
        for other in [
            fingerprint("/b", identity, "c"),
            fingerprint("/a", identity, "d"),
            fingerprint("/a", Identity { size: 9, ..identity }, "c"),
            fingerprint("/a", Identity { modified_us: 9, ..identity }, "c"),
            fingerprint("/a", Identity { inode: 9, ..identity }, "c"),
            end_fingerprint("/a", identity),
        ] {
            assert_ne!(same, other);
        }
    }
}
