//! Blobs in a local folder: the bytes with the SHA-256 `abcd…` are the file `ab/cd/abcd…`.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use cogwheel_engine::ports::{BlobError, BlobKey, Blobs, Incoming, OpenBlob};
use rustix::fs::{Mode, OFlags};
use sha2::{Digest as _, Sha256};
use tracing::warn;

use super::copy;
use super::receive::Receiver;
use super::write::{self, failed_at, incoming_folder, make_folder, make_folders};

/// A file that nobody has written to for this long is not on its way any more, where locks cannot tell.
const ABANDONED: Duration = Duration::from_hours(1);

/// A folder of blobs. Nodes that share it need not know of each other.
#[derive(Clone, Debug)]
pub struct BlobFolder {
    root: Arc<Path>,
    is_shared: bool,
}

impl BlobFolder {
    /// Opens the folder, makes it where it is missing, and removes what servers that died before `now` left half written.
    pub async fn open(root: PathBuf, now: SystemTime) -> Result<Self, BlobError> {
        blocking(move || {
            make_folders(&root)?;
            make_folder(&incoming_folder(&root))?;
            // The folder's own name must not get lost with what is put into it.
            if let Some(parent) = root.parent() {
                File::open(parent).and_then(|parent| parent.sync_all()).map_err(failed_at(parent))?;
            }
            remove_abandoned(&incoming_folder(&root), now);
            Ok(Self { root: root.into(), is_shared: false })
        })
        .await
    }

    /// The same folder, which is that of every node.
    #[must_use]
    pub fn shared(self) -> Self {
        Self { is_shared: true, ..self }
    }

    async fn with_root<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> Result<T, BlobError> + Send + 'static,
    ) -> Result<T, BlobError> {
        let root = Arc::clone(&self.root);
        blocking(move || work(&root)).await
    }
}

#[async_trait]
impl Blobs for BlobFolder {
    async fn put(&self, bytes: Vec<u8>) -> Result<BlobKey, BlobError> {
        self.with_root(move |root| write::bytes(root, &bytes)).await
    }

    async fn put_file(&self, path: &Path, limit: u64) -> Result<(BlobKey, u64), BlobError> {
        let path = path.to_owned();
        self.with_root(move |root| {
            let unreadable = |source| BlobError::Unreadable { path: path.clone(), source };
            let mut file = open_regular(&path).map_err(unreadable)?;
            write::file(root, &mut file, &path, limit)
        })
        .await
    }

    async fn receive(&self) -> Result<Box<dyn Incoming>, BlobError> {
        let root = Arc::clone(&self.root);
        blocking(move || Ok(Box::new(Receiver::begin(root)?) as Box<dyn Incoming>)).await
    }

    async fn copy_to(&self, key: &BlobKey, path: &Path) -> Result<(), BlobError> {
        let (key, path) = (key.clone(), path.to_owned());
        self.with_root(move |root| {
            let place = place_of(root, &key);
            let (mut file, _) = open(&place, &key)?;
            copy::checked(&mut file, &place, &key, &path)
        })
        .await
    }

    async fn get(&self, key: &BlobKey, limit: u64) -> Result<Vec<u8>, BlobError> {
        let key = key.clone();
        self.with_root(move |root| {
            let path = place_of(root, &key);
            let (file, size) = open(&path, &key)?;
            if size > limit {
                return Err(BlobError::TooLarge { path, limit });
            }
            let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
            // One byte more than there was shows that the file grew.
            file.take(size + 1).read_to_end(&mut bytes).map_err(failed_at(&path))?;
            let found = BlobKey::of_hash(Sha256::digest(&bytes).into());
            if found == key { Ok(bytes) } else { Err(BlobError::Damaged { path, found }) }
        })
        .await
    }

    async fn open(&self, key: &BlobKey, from: u64) -> Result<OpenBlob, BlobError> {
        let key = key.clone();
        let at_place = move |root: &Path| {
            let path = place_of(root, &key);
            let (mut file, size) = open(&path, &key)?;
            file.seek(SeekFrom::Start(from)).map_err(failed_at(&path))?;
            Ok((file, size))
        };
        let (file, size) = self.with_root(at_place).await?;
        Ok(OpenBlob { size, reader: Box::pin(tokio::fs::File::from_std(file)) })
    }

    fn is_shared(&self) -> bool {
        self.is_shared
    }
}

/// Where the bytes of a key are.
pub(super) fn place_of(root: &Path, key: &BlobKey) -> PathBuf {
    let name = key.as_str();
    root.join(&name[..2]).join(&name[2..4]).join(name)
}

fn open(path: &Path, key: &BlobKey) -> Result<(File, u64), BlobError> {
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => BlobError::Missing(key.clone()),
        _ => failed_at(path)(error),
    })?;
    let size = file.metadata().map_err(failed_at(path))?.len();
    Ok((file, size))
}

/// A pipe must not hang the server, and a link may lead anywhere.
fn open_regular(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no regular file")) }
}

fn remove_abandoned(incoming: &Path, now: SystemTime) {
    let Ok(entries) = fs::read_dir(incoming) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if let Err(error) = remove_if_abandoned(&path, now)
            && error.kind() != io::ErrorKind::NotFound
        {
            warn!(path = %path.display(), %error, "cannot remove a half-written file");
        }
    }
}

/// Whoever writes to a file holds its lock, which ends with its process.
fn remove_if_abandoned(path: &Path, now: SystemTime) -> io::Result<()> {
    let file = open_regular(path)?;
    let is_abandoned = match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(_)) => {
            now.duration_since(file.metadata()?.modified()?).is_ok_and(|age| age >= ABANDONED)
        }
    };
    if is_abandoned { fs::remove_file(path) } else { Ok(()) }
}

/// Runs `work`, which uses the file system, where it may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime ends: whoever asked is about to go as well.
        Err(error) => Err(BlobError::Unavailable { path: PathBuf::new(), source: io::Error::other(error) }),
    }
}

#[cfg(test)]
mod tests;
