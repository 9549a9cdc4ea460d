//! What belongs to this process alone: its lock on the data folder and its name.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use cogwheel_engine::NodeId;
use uuid::Uuid;

/// The lock of a data folder; let go of when dropped, also by `kill -9`.
#[derive(Debug)]
pub(super) struct FolderLock {
    _file: File,
    /// Where the id of the server that has the folder is kept.
    node: PathBuf,
}

impl FolderLock {
    /// Takes the lock, or says who has it.
    pub(super) fn take(data_dir: &Path) -> anyhow::Result<Self> {
        let path = data_dir.join("cogwheel.lock");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = std::fs::read_to_string(&path).unwrap_or_default();
                bail!(
                    "another server ({}) runs on the data folder {}: stop it first, or give this one a folder of its own with --data-dir",
                    holder.trim(),
                    data_dir.display()
                );
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        file.set_len(0)?;
        write!(file, "process {}", std::process::id())?;
        Ok(Self { _file: file, node: data_dir.join("node.id") })
    }

    /// Notes which node has the folder now; answers which one had it before. That one has ended, since it had the lock.
    pub(super) fn hand_over(&self, to: NodeId) -> anyhow::Result<Option<NodeId>> {
        let before = match std::fs::read_to_string(&self.node) {
            Ok(id) => Uuid::parse_str(id.trim()).ok().map(NodeId),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", self.node.display())),
        };
        std::fs::write(&self.node, to.to_string()).with_context(|| format!("cannot write {}", self.node.display()))?;
        Ok(before)
    }
}

/// The host's name, for people.
pub(super) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
