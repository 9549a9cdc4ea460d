//! What attempts with processes need on disk; the next one's is made while the present process runs.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cogwheel_machine::{Failure, FailureKind};

use crate::ports::Workplace;

/// The places of one execution. Each is used once: what an attempt leaves running must not write into another's.
///
/// Right after a commit the file system takes ten times as long to make a folder, and that is when attempts begin.
pub(super) struct Places {
    work_dir: PathBuf,
    /// The number of the next one.
    next: AtomicU32,
    spare: Mutex<Spare>,
}

/// The next attempt's place.
#[derive(Debug)]
enum Spare {
    None,
    Made(Workplace),
    /// There is no next attempt.
    Unwanted,
}

impl Places {
    pub(super) fn below(work_dir: PathBuf) -> Self {
        Self { work_dir, next: AtomicU32::new(0), spare: Mutex::new(Spare::None) }
    }

    /// A place for an attempt.
    pub(super) fn take(&self) -> Result<Workplace, Failure> {
        let mut spare = self.spare();
        let made = match std::mem::replace(&mut *spare, Spare::None) {
            Spare::Made(place) => Ok(place),
            Spare::None | Spare::Unwanted => self.make(),
        };
        made.map_err(|error| {
            Failure::retriable(FailureKind::Spawn, "the step's folder and output file could not be made")
                .with_detail(format!("{}: {error}", self.work_dir.display()))
        })
    }

    /// Makes the next one ahead. If it cannot be made, whoever needs it finds out why.
    pub(super) fn restock(&self) {
        let mut spare = self.spare();
        if matches!(*spare, Spare::None)
            && let Ok(place) = self.make()
        {
            *spare = Spare::Made(place);
        }
    }

    /// Nothing is made ahead any more, so that the folder of the execution can be removed.
    pub(super) fn close(&self) {
        *self.spare() = Spare::Unwanted;
    }

    fn make(&self) -> io::Result<Workplace> {
        let artifacts = self.work_dir.join("artifacts");
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let place = Workplace {
                artifacts_dir: artifacts.join(number.to_string()),
                output_file: self.work_dir.join(format!(".output-{number}")),
            };
            match make_new(&artifacts, &place) {
                // Of the execution's time before the server's last end, or made by a script.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                made => return made.map(|()| place),
            }
        }
    }

    fn spare(&self) -> MutexGuard<'_, Spare> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make_new(artifacts: &Path, place: &Workplace) -> io::Result<()> {
    match fs::create_dir(&place.artifacts_dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::create_dir_all(artifacts)?;
            fs::create_dir(&place.artifacts_dir)?;
        }
        made => made?,
    }
    File::create_new(&place.output_file).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_is_new_and_the_spare_one_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let work_dir = folder.path().join("work/execution");
        let places = Places::below(work_dir.clone());
        let first = places.take().unwrap();
        places.restock();
        places.restock();
        let second = places.take().unwrap();
        for place in [&first, &second] {
            assert!(place.artifacts_dir.is_dir() && place.output_file.is_file(), "{place:?}");
        }
        assert_ne!(first.artifacts_dir, second.artifacts_dir);
        assert_eq!(fs::read_dir(work_dir.join("artifacts")).unwrap().count(), 2, "one spare at most");
        places.close();
        fs::remove_dir_all(&work_dir).unwrap();
        places.restock();
        assert!(!work_dir.exists(), "what is removed stays so");
    }

    #[test]
    fn what_is_there_already_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("kept");
        fs::write(&kept, "kept").unwrap();
        std::os::unix::fs::symlink(&kept, folder.path().join(".output-1")).unwrap();
        fs::create_dir_all(folder.path().join("artifacts/0/old")).unwrap();
        let place = Places::below(folder.path().to_owned()).take().unwrap();
        assert_eq!(place.output_file, folder.path().join(".output-2"));
        assert_eq!(fs::read_to_string(kept).unwrap(), "kept");
    }

    #[test]
    fn a_place_that_cannot_be_made_is_explained() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let failure = Places::below(file).take().unwrap_err();
        assert!(failure.retriable && failure.detail.unwrap().contains("file: "), "{}", failure.title);
    }
}
