//! Who has a file open for writing, as far as the kernel tells.
//!
//! It tells of the processes of this host that the server may look into: those of its own user, or all of them for the
//! superuser. A process in a container of its own, on another host, or that wrote through a memory mapping and closed
//! the file is not seen.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use tokio::sync::{Mutex, oneshot};
use tokio::task::spawn_blocking;

/// Device and inode.
type FileKey = (u64, u64);

/// Asks for many files at once, so that a look at all processes is worth it.
#[derive(Default)]
pub(super) struct Writers {
    waiting: std::sync::Mutex<Vec<Question>>,
    /// Held by whoever looks.
    looking: Mutex<()>,
}

struct Question {
    file: FileKey,
    answer: oneshot::Sender<Option<u32>>,
}

impl Writers {
    /// The process that has the file open for writing, if one has.
    pub(super) async fn who(self: &Arc<Self>, device: u64, inode: u64) -> Option<u32> {
        let (answer, mut told) = oneshot::channel();
        self.waiting().push(Question { file: (device, inode), answer });
        let _looking = self.looking.lock().await;
        if let Ok(writer) = told.try_recv() {
            return writer;
        }
        let questions = std::mem::take(&mut *self.waiting());
        let files: HashSet<FileKey> = questions.iter().map(|question| question.file).collect();
        let found = spawn_blocking(move || look(Path::new("/proc"), &files)).await.unwrap_or_default();
        for Question { file, answer } in questions {
            // Whoever asked may be gone.
            let _ = answer.send(found.get(&file).copied());
        }
        told.try_recv().ok().flatten()
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Question>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which of the files are open for writing, and by whom.
fn look(proc: &Path, files: &HashSet<FileKey>) -> HashMap<FileKey, u32> {
    let mut found = HashMap::new();
    let Ok(processes) = fs::read_dir(proc) else { return found };
    for process in processes.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // It may have ended, or be somebody else's.
        let Ok(open) = fs::read_dir(process.path().join("fd")) else { continue };
        for entry in open.flatten() {
            if let Some(file) = written(&process.path(), &entry.path(), files) {
                found.insert(file, pid);
            }
        }
    }
    found
}

/// The file behind a descriptor, if it is one of these and is open for writing.
fn written(process: &Path, descriptor: &Path, files: &HashSet<FileKey>) -> Option<FileKey> {
    let target: PathBuf = fs::read_link(descriptor).ok()?;
    // Sockets, pipes and the like; devices; asking a dead network share would take for ever, asking its name does not.
    if !target.is_absolute() || target.starts_with("/dev") || target.starts_with("/proc") {
        return None;
    }
    let metadata = fs::metadata(descriptor).ok().filter(fs::Metadata::is_file)?;
    let file = (metadata.dev(), metadata.ino());
    if !files.contains(&file) {
        return None;
    }
    let info = fs::read_to_string(process.join("fdinfo").join(descriptor.file_name()?)).ok()?;
    is_for_writing(&info).then_some(file)
}

/// Whether a descriptor's flags let it write.
fn is_for_writing(info: &str) -> bool {
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok()).is_some_and(|flags| flags & 3 != 0)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::process;

    use super::*;

    fn key(path: &Path) -> FileKey {
        let metadata = fs::metadata(path).unwrap();
        (metadata.dev(), metadata.ino())
    }

    #[tokio::test]
    async fn a_writer_is_seen_under_every_name_of_the_file_and_a_reader_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let [written, read, linked] = ["written", "read", "linked"].map(|name| dir.path().join(name));
        let writer = File::create(&written).unwrap();
        fs::write(&read, "x").unwrap();
        let reader = File::open(&read).unwrap();
        fs::hard_link(&written, &linked).unwrap();
        let writers = Arc::new(Writers::default());
        let who = async |path: &Path| {
            let (device, inode) = key(path);
            writers.who(device, inode).await
        };
        assert_eq!(who(&linked).await, Some(process::id()));
        assert_eq!(who(&read).await, None);
        drop((writer, reader));
        assert_eq!(who(&written).await, None);
    }

    #[test]
    fn flags_tell_readers_from_writers() {
        for (flags, writes) in [("0100000", false), ("0100001", true), ("02100002", true), ("x", false)] {
            assert_eq!(is_for_writing(&format!("pos:\t0\nflags:\t{flags}\nmnt_id:\t1\n")), writes, "{flags}");
        }
    }
}
