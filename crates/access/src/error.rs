//! Why a key cannot be used.

use std::io;
use std::path::PathBuf;

/// A problem with a key's file; each message says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// There is no such file.
    #[error("there is no key at {}; `cogwheel serve` writes one at its first start", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// Other users of this machine could read or change it.
    #[error(
        "the key {} is open to other users (mode {mode:03o}); run `chmod 600 {}`",
        path.display(),
        path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file does not hold a key.
    #[error(
        "{} does not hold the key that belongs there: {why}; bring back the right file. The server writes a new key in place \
         of a deleted file, but a new master key does not open what the old one has locked",
        path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The file system refused.
    #[error("cannot {action} the key {}; the user that runs the server owns this file", path.display())]
    Io {
        /// What was tried: `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system gives no random numbers.
    #[error("the system gave no random bytes")]
    Random(#[source] getrandom::Error),
    /// A value cannot be encrypted.
    #[error("the value is too long to be encrypted")]
    TooLong,
}
