//! What tells one version of a file, and one folder, from another.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use chrono::{DateTime, Utc};

use crate::ports::HandledFile;

/// A version of a file without its content: equal as long as nobody touched it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) size: u64,
    /// In microseconds, as precise as the ledger.
    pub(super) modified_us: i64,
    pub(super) device: u64,
    pub(super) inode: u64,
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

    /// As the ledger has it; `None` if it was written by something else.
    pub(super) fn of_handled(file: &HandledFile) -> Option<Self> {
        Some(Self {
            size: u64::try_from(file.size).ok()?,
            modified_us: file.modified_at.timestamp_micros(),
            device: file.device.parse().ok()?,
            inode: file.inode.parse().ok()?,
        })
    }

    pub(super) fn modified_at(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.modified_us).unwrap_or_default()
    }
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
    device: u64,
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
