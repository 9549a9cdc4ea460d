//! Copies of kept bytes, for those who must not reach the bytes themselves.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use cogwheel_engine::ports::{BlobError, BlobKey};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::write::{CHUNK, failed_at, make_folders};

/// Whoever has the copy may read it, and has to go out of the way to write to it.
const COPY_MODE: u32 = 0o400;

/// A copy that is not whole yet; removed unless it gets to its place.
struct Draft {
    path: PathBuf,
    is_placed: bool,
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_placed {
            // It lies in a scratch folder, which goes as a whole.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Copies `source`, the file of `key` at `source_path`, to `path`, and looks at what it copies.
pub(super) fn checked(source: &mut File, source_path: &Path, key: &BlobKey, path: &Path) -> Result<(), BlobError> {
    let folder = path.parent().unwrap_or(path);
    make_folders(folder)?;
    let mut draft = Draft { path: folder.join(format!(".{}", Uuid::now_v7())), is_placed: false };
    let failed = failed_at(&draft.path);
    let mut copy =
        OpenOptions::new().write(true).create_new(true).mode(COPY_MODE).open(&draft.path).map_err(&failed)?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = match source.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(BlobError::Unreadable { path: source_path.to_owned(), source }),
        };
        hash.update(&chunk[..length]);
        copy.write_all(&chunk[..length]).map_err(&failed)?;
    }
    let found = BlobKey::of_hash(hash.finalize().into());
    if found != *key {
        return Err(BlobError::Damaged { path: source_path.to_owned(), found });
    }
    fs::rename(&draft.path, path).map_err(failed_at(path))?;
    draft.is_placed = true;
    Ok(())
}
