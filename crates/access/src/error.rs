//! Why the admin key cannot be used.

use std::io;
use std::path::PathBuf;

/// A problem with the admin key's file; each message says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// There is no such file.
    #[error("there is no admin key at {}; `cogwheel serve` writes one at its first start", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// Other users of this machine could read or change it.
    #[error(
        "the admin key {} is open to other users (mode {mode:03o}); run `chmod 600 {}`, \
         or delete the file and restart the server to get a new key",
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
        "{} does not hold an admin key: {why}; delete the file and restart the server to get a new key",
        path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The file system refused.
    #[error("cannot {action} the admin key {}; the user that runs the server owns this file", path.display())]
    Io {
        /// What was tried: `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system gives no random numbers.
    #[error("the system gave no random bytes for a new admin key")]
    Random(#[source] getrandom::Error),
}
