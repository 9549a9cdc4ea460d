//! Bytes that are too large for the database, under the hash of their content.

#[cfg(test)]
mod memory;

use std::fmt::{self, Write as _};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::str::FromStr;

use async_trait::async_trait;
use serde::Serialize;
use tokio::io::AsyncRead;

#[cfg(test)]
pub(crate) use memory::MemoryBlobs;

/// The length of a key: SHA-256 in hex.
const KEY_LENGTH: usize = 64;

/// Keeps bytes. The same bytes are kept once, whoever brings them, and what was put stays as it is.
#[async_trait]
pub trait Blobs: Send + Sync + 'static {
    /// Keeps these bytes; they outlive a power failure once this returns.
    async fn put(&self, bytes: Vec<u8>) -> Result<BlobKey, BlobError>;

    /// Keeps what a regular file holds, in bounded memory; `TooLarge` if that is more than `limit` bytes.
    async fn put_file(&self, path: &Path, limit: u64) -> Result<(BlobKey, u64), BlobError>;

    /// Takes bytes in as they come, in bounded memory. Nothing is left of what is not placed.
    async fn receive(&self) -> Result<Box<dyn Incoming>, BlobError>;

    /// Writes the bytes, which are what was put, to a new file that may be read and not written: a copy, so that whoever
    /// has it cannot reach what is kept. What lies at the path is replaced.
    async fn copy_to(&self, key: &BlobKey, path: &Path) -> Result<(), BlobError>;

    /// The bytes, which are what was put; `TooLarge` if they are more than `limit`.
    async fn get(&self, key: &BlobKey, limit: u64) -> Result<Vec<u8>, BlobError>;

    /// The bytes from this place on as a stream, whose content nobody has checked.
    async fn open(&self, key: &BlobKey, from: u64) -> Result<OpenBlob, BlobError>;

    /// Whether every node of the database finds here what any of them put.
    fn is_shared(&self) -> bool;
}

/// Bytes on their way in. Dropped before they are placed, they are gone.
#[async_trait]
pub trait Incoming: Send {
    /// Takes the next bytes.
    async fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError>;

    /// Brings what was taken down to the disk, so that placing it is quick; answers its key. Nothing comes after it.
    async fn finish(&mut self) -> Result<BlobKey, BlobError>;

    /// Keeps what was taken and finished; it outlives a power failure once this returns.
    async fn place(self: Box<Self>) -> Result<BlobKey, BlobError>;
}

/// Bytes to read one after the other.
pub struct OpenBlob {
    /// How many there are, also before the place.
    pub size: u64,
    /// Those from the place on.
    pub reader: Pin<Box<dyn AsyncRead + Send>>,
}

impl fmt::Debug for OpenBlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenBlob").field("size", &self.size).finish_non_exhaustive()
    }
}

/// Names kept bytes: the SHA-256 of them, in hex. No other text is a key, so none can lead out of the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct BlobKey(String);

impl BlobKey {
    /// The key of bytes with this SHA-256.
    pub fn of_hash(hash: [u8; 32]) -> Self {
        let mut hex = String::with_capacity(KEY_LENGTH);
        for byte in hash {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
        }
        Self(hex)
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BlobKey {
    type Err = BlobError;

    fn from_str(text: &str) -> Result<Self, BlobError> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == KEY_LENGTH && text.bytes().all(is_hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BlobError::NotAKey(text.chars().take(KEY_LENGTH).collect()))
        }
    }
}

impl fmt::Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why bytes could not be kept or given back; few kinds, each with a reaction of its own.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// There is no room for them, which somebody can make.
    #[error("no space is left to write {path}: {source}")]
    NoSpace {
        /// What was to be written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The place where they are kept cannot be used at the moment.
    #[error("{path} cannot be used: {source}")]
    Unavailable {
        /// What was to be read or written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file that holds them cannot be read.
    #[error("{path} cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// They are more than was asked for.
    #[error("{path} is larger than {limit} bytes")]
    TooLarge {
        /// Where they are.
        path: PathBuf,
        /// How many may be there.
        limit: u64,
    },
    /// There are none under this key.
    #[error("there are no bytes under the key {0}")]
    Missing(BlobKey),
    /// They are no longer what was put.
    #[error("{path} is damaged: its content has the SHA-256 {found}")]
    Damaged {
        /// Where they are.
        path: PathBuf,
        /// The hash of what is there.
        found: BlobKey,
    },
    /// The text cannot be a key.
    #[error("`{0}` is no SHA-256 in hex")]
    NotAKey(String),
}

impl BlobError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::NoSpace { .. } | Self::Unavailable { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_hash_in_lower_case_hex_is_a_key() {
        let key = BlobKey::of_hash([0xa7; 32]);
        assert_eq!(key.as_str(), "a7".repeat(32));
        assert_eq!(key.as_str().parse::<BlobKey>().unwrap(), key);
        let near =
            ["", "a7", "../../../etc/passwd", &"A7".repeat(32), &"g7".repeat(32), &"a7".repeat(33), &"é".repeat(32)];
        for text in near {
            assert!(matches!(text.parse::<BlobKey>(), Err(BlobError::NotAKey(_))), "{text}");
        }
    }
}
