//! Writes bytes so that they are there under their hash, whole and durable, or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use cogwheel_engine::ports::{BlobError, BlobKey};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::folder::place_of;

/// How much is read, hashed and written at a time.
pub(super) const CHUNK: usize = 256 * 1024;

/// Bytes may be secrets: nobody but the server's user reads them.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// A file under way to its place; removed unless it gets there. It is locked while it is written to: one that is not
/// locked belongs to nobody.
pub(super) struct Incoming<R: AsRef<Path>> {
    root: R,
    path: PathBuf,
    is_placed: bool,
}

/// Keeps what `source`, the file at `source_path`, still holds: its key, and how many bytes that is.
pub(super) fn file(
    root: &Path,
    source: &mut File,
    source_path: &Path,
    limit: u64,
) -> Result<(BlobKey, u64), BlobError> {
    let (incoming, mut file) = Incoming::begin(root)?;
    let mut hash = Sha256::new();
    let mut size = 0;
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = match source.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(BlobError::Unreadable { path: source_path.to_owned(), source }),
        };
        size += length as u64;
        if size > limit {
            return Err(BlobError::TooLarge { path: source_path.to_owned(), limit });
        }
        hash.update(&chunk[..length]);
        file.write_all(&chunk[..length]).map_err(failed_at(&incoming.path))?;
    }
    let key = BlobKey::of_hash(hash.finalize().into());
    incoming.sync_and_place(&file, &key)?;
    Ok((key, size))
}

/// Keeps these bytes. Those that are there already are not written again.
pub(super) fn bytes(root: &Path, bytes: &[u8]) -> Result<BlobKey, BlobError> {
    let key = BlobKey::of_hash(Sha256::digest(bytes).into());
    if is_there(root, &key)? {
        return Ok(key);
    }
    let (incoming, mut file) = Incoming::begin(root)?;
    file.write_all(bytes).map_err(failed_at(&incoming.path))?;
    incoming.sync_and_place(&file, &key)?;
    Ok(key)
}

impl<R: AsRef<Path>> Incoming<R> {
    pub(super) fn begin(root: R) -> Result<(Self, File), BlobError> {
        loop {
            let path = incoming_folder(root.as_ref()).join(Uuid::now_v7().to_string());
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(FILE_MODE)
                .open(&path)
                .map_err(failed_at(&path))?;
            // Where there are no locks, age decides what is abandoned.
            let is_locked = file.lock().is_ok();
            // Another server may have opened the folder before the lock was there, and taken the file for abandoned.
            if !is_locked || file.metadata().map_err(failed_at(&path))?.nlink() > 0 {
                return Ok((Self { root, path, is_placed: false }, file));
            }
        }
    }

    /// Where it is until it is placed.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Brings the bytes down to the disk and into their place, unless they are there.
    fn sync_and_place(self, file: &File, key: &BlobKey) -> Result<(), BlobError> {
        if is_there(self.root.as_ref(), key)? {
            return Ok(());
        }
        file.sync_all().map_err(failed_at(&self.path))?;
        self.place(key)
    }

    /// Puts bytes that are on the disk into their place, unless they are there.
    pub(super) fn place(mut self, key: &BlobKey) -> Result<(), BlobError> {
        let root = self.root.as_ref();
        if is_there(root, key)? {
            return Ok(());
        }
        let place = place_of(root, key);
        for folder in folders_above(&place, root).rev() {
            make_folder(folder)?;
        }
        fs::rename(&self.path, &place).map_err(failed_at(&place))?;
        self.is_placed = true;
        make_name_durable(self.root.as_ref(), &place)
    }
}

impl<R: AsRef<Path>> Drop for Incoming<R> {
    fn drop(&mut self) {
        if !self.is_placed {
            // What stays is removed when the store is opened next.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether the bytes are there, durably: whoever wrote them may not have come that far yet.
fn is_there(root: &Path, key: &BlobKey) -> Result<bool, BlobError> {
    let place = place_of(root, key);
    match fs::symlink_metadata(&place) {
        Ok(_) => make_name_durable(root, &place).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed_at(&place)(error)),
    }
}

/// Forces the file's name and those of its folders to the disk; folders that did not change cost next to nothing.
fn make_name_durable(root: &Path, place: &Path) -> Result<(), BlobError> {
    for folder in folders_above(place, root).chain([root]) {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed_at(folder))?;
    }
    Ok(())
}

/// The folders between a place and the root, the innermost first.
fn folders_above<'a>(place: &'a Path, root: &'a Path) -> std::vec::IntoIter<&'a Path> {
    let folders: Vec<&Path> = place.ancestors().skip(1).take_while(|folder| *folder != root).collect();
    folders.into_iter()
}

/// Makes the folder, and those above it that are missing.
pub(super) fn make_folders(folder: &Path) -> Result<(), BlobError> {
    DirBuilder::new().mode(FOLDER_MODE).recursive(true).create(folder).map_err(failed_at(folder))
}

/// Makes the folder unless it is there.
pub(super) fn make_folder(folder: &Path) -> Result<(), BlobError> {
    match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed_at(folder)(error)),
        _ => Ok(()),
    }
}

/// Where bytes are written that have no key yet: in the same file system, so that a rename puts them in place.
pub(super) fn incoming_folder(root: &Path) -> PathBuf {
    root.join("incoming")
}

/// What an error at `path` of the store means.
pub(super) fn failed_at(path: &Path) -> impl Fn(io::Error) -> BlobError {
    move |source| {
        let path = path.to_owned();
        if matches!(Errno::from_io_error(&source), Some(Errno::NOSPC | Errno::DQUOT)) {
            BlobError::NoSpace { path, source }
        } else {
            BlobError::Unavailable { path, source }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_apart() {
        let failed = |errno: Errno| failed_at(Path::new("/blobs/ab"))(errno.into());
        for errno in [Errno::NOSPC, Errno::DQUOT] {
            let error = failed(errno);
            assert!(matches!(error, BlobError::NoSpace { .. }) && error.is_transient(), "{error}");
            assert!(error.to_string().starts_with("no space is left to write /blobs/ab: "), "{error}");
        }
        let error = failed(Errno::IO);
        assert!(matches!(error, BlobError::Unavailable { .. }) && error.is_transient(), "{error}");
    }
}
