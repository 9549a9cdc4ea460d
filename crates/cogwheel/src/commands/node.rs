//! What belongs to this process alone: its lock on the data folder and its name.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use cogwheel_engine::NodeId;
use tokio::time::sleep;
use uuid::Uuid;

/// How often a lock that somebody has is tried again, and the pause before that.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// The lock of a data folder; let go of when dropped, also by `kill -9`.
#[derive(Debug)]
pub(super) struct FolderLock {
    _file: File,
    /// Where the id of the server that has the folder is kept.
    node: PathBuf,
}

impl FolderLock {
    /// Takes the lock, or says who has it.
    pub(super) async fn take(data_dir: &Path) -> anyhow::Result<Self> {
        let path = data_dir.join("cogwheel.lock");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        match try_for_a_moment(&file).await {
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

/// A server that was killed while it started a process leaves its lock with that process until the program is loaded.
async fn try_for_a_moment(file: &File) -> Result<(), TryLockError> {
    for _ in 0..TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => sleep(PAUSE).await,
            answer => return answer,
        }
    }
    file.try_lock()
}

/// The host's name, for people.
pub(super) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lock_that_a_dead_server_leaves_for_a_moment_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let left = FolderLock::take(folder.path()).await.unwrap();
        let dies = async {
            sleep(PAUSE * 2).await;
            drop(left);
        };
        let (taken, ()) = tokio::join!(FolderLock::take(folder.path()), dies);
        taken.unwrap();
    }

    #[tokio::test]
    async fn who_has_the_lock_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let _first = FolderLock::take(folder.path()).await.unwrap();
        let refused = FolderLock::take(folder.path()).await.unwrap_err().to_string();
        assert!(refused.contains(&format!("(process {})", std::process::id())), "{refused}");
    }
}
