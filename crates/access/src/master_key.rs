//! The master key, and what it protects: the data keys that secrets are encrypted with.

use std::fmt;
use std::path::Path;

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{Key, KeyInit as _, XChaCha20Poly1305, XNonce};
use sha2::{Digest as _, Sha256};

use crate::key_file::{self, Prefix, RANDOM_BYTES};
use crate::{AccessError, CallbackKey};

/// The name in the data folder of the file with the master key, where the settings name no other.
pub const MASTER_KEY_FILE: &str = "master.key";

const PREFIX: Prefix = Prefix("cgw_master_");
const NONCE_BYTES: usize = 24;
/// What a wrapped data key is bound to.
const WRAPPED: &[u8] = b"cogwheel data key";

/// The key of an installation. All of its servers have the same.
#[derive(Clone)]
pub struct MasterKey {
    cipher: XChaCha20Poly1305,
    reference: String,
    callbacks: CallbackKey,
}

/// A key that values are encrypted with; it is stored wrapped by the master key.
pub struct DataKey {
    cipher: XChaCha20Poly1305,
}

/// Something was encrypted with another key, for something else, or was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it was encrypted with another key, or was changed")]
pub struct NotOpened;

impl MasterKey {
    /// Takes the key from `path`, or writes a new one there if there is none; also tells whether it is new.
    ///
    /// # Errors
    ///
    /// The file is open to other users, holds no key, or cannot be read or written.
    pub fn load_or_create(path: &Path) -> Result<(Self, bool), AccessError> {
        match key_file::read(path, PREFIX) {
            Ok(key) => Ok((Self::of(&key, path)?, false)),
            Err(AccessError::Missing { .. }) => Ok((Self::of(&key_file::create(path, PREFIX)?, path)?, true)),
            Err(error) => Err(error),
        }
    }

    /// What tells this key from others without giving it away.
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// The key of the addresses under which others answer steps.
    pub fn callbacks(&self) -> CallbackKey {
        self.callbacks.clone()
    }

    /// A new data key, wrapped.
    ///
    /// # Errors
    ///
    /// The system gives no random bytes.
    pub fn new_data_key(&self) -> Result<Vec<u8>, AccessError> {
        let secret: [u8; RANDOM_BYTES] = random()?;
        seal(&self.cipher, WRAPPED, &secret)
    }

    /// The data key that was wrapped.
    ///
    /// # Errors
    ///
    /// Another master key wrapped it, or it was changed.
    pub fn unwrap(&self, wrapped: &[u8]) -> Result<DataKey, NotOpened> {
        let secret = open(&self.cipher, WRAPPED, wrapped)?;
        let secret = Key::try_from(secret.as_slice()).map_err(|_| NotOpened)?;
        Ok(DataKey { cipher: XChaCha20Poly1305::new(&secret) })
    }

    fn of(key: &str, path: &Path) -> Result<Self, AccessError> {
        let malformed = || AccessError::Malformed { path: path.to_owned(), why: "it holds no key".to_owned() };
        let secret = key_file::secret_of(key, PREFIX).ok_or_else(malformed)?;
        let digest = Sha256::digest([b"cogwheel master key ".as_slice(), &secret].concat());
        let reference = digest.iter().take(8).fold(String::from("file:"), |text, byte| format!("{text}{byte:02x}"));
        let callbacks = CallbackKey::derived_from(&secret);
        Ok(Self { cipher: XChaCha20Poly1305::new(&Key::from(secret)), reference, callbacks })
    }
}

impl DataKey {
    /// Encrypts a value; it can be opened only as what it is `about`.
    ///
    /// # Errors
    ///
    /// The system gives no random bytes.
    pub fn seal(&self, about: &[u8], value: &[u8]) -> Result<Vec<u8>, AccessError> {
        seal(&self.cipher, about, value)
    }

    /// Decrypts a value.
    ///
    /// # Errors
    ///
    /// Another key encrypted it, it is about something else, or it was changed.
    pub fn open(&self, about: &[u8], sealed: &[u8]) -> Result<Vec<u8>, NotOpened> {
        open(&self.cipher, about, sealed)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.reference)
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(***)")
    }
}

fn random<const BYTES: usize>() -> Result<[u8; BYTES], AccessError> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(AccessError::Random)?;
    Ok(bytes)
}

/// The nonce, then the ciphertext: nonces of this length may be drawn at random.
fn seal(cipher: &XChaCha20Poly1305, about: &[u8], value: &[u8]) -> Result<Vec<u8>, AccessError> {
    let nonce: [u8; NONCE_BYTES] = random()?;
    let payload = Payload { msg: value, aad: about };
    // It fails for values of hundreds of gigabytes alone.
    let ciphertext = cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| AccessError::TooLong)?;
    Ok([nonce.as_slice(), &ciphertext].concat())
}

fn open(cipher: &XChaCha20Poly1305, about: &[u8], sealed: &[u8]) -> Result<Vec<u8>, NotOpened> {
    let (nonce, ciphertext) = sealed.split_at_checked(NONCE_BYTES).ok_or(NotOpened)?;
    let nonce = XNonce::try_from(nonce).map_err(|_| NotOpened)?;
    cipher.decrypt(&nonce, Payload { msg: ciphertext, aad: about }).map_err(|_| NotOpened)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> (tempfile::TempDir, MasterKey) {
        let folder = tempfile::tempdir().unwrap();
        let (key, is_new) = MasterKey::load_or_create(&folder.path().join(MASTER_KEY_FILE)).unwrap();
        assert!(is_new);
        (folder, key)
    }

    #[test]
    fn what_is_sealed_is_opened_by_the_same_key_alone() {
        let (folder, master) = key();
        let wrapped = master.new_data_key().unwrap();
        let sealed = master.unwrap(&wrapped).unwrap().seal(b"a/HMAC", b"secret").unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"secret"));

        let (again, is_new) = MasterKey::load_or_create(&folder.path().join(MASTER_KEY_FILE)).unwrap();
        assert!(!is_new && again.reference() == master.reference());
        let data_key = again.unwrap(&wrapped).unwrap();
        assert_eq!(data_key.open(b"a/HMAC", &sealed), Ok(b"secret".to_vec()));
        assert_eq!(data_key.open(b"b/HMAC", &sealed), Err(NotOpened), "about something else");

        let (_other_folder, other) = key();
        assert!(other.unwrap(&wrapped).is_err() && other.reference() != master.reference());
        let other_data_key = master.unwrap(&master.new_data_key().unwrap()).unwrap();
        assert_eq!(other_data_key.open(b"a/HMAC", &sealed), Err(NotOpened));
    }

    #[test]
    fn what_was_changed_is_not_opened() {
        let (_folder, master) = key();
        let data_key = master.unwrap(&master.new_data_key().unwrap()).unwrap();
        let sealed = data_key.seal(b"x", b"value").unwrap();
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert_eq!(data_key.open(b"x", &changed), Err(NotOpened), "byte {place}");
        }
        assert_eq!(data_key.open(b"x", &sealed[..10]), Err(NotOpened));
        assert_ne!(data_key.seal(b"x", b"value").unwrap(), sealed, "each time with another nonce");
    }

    #[test]
    fn keys_are_not_shown() {
        let (folder, master) = key();
        let text = std::fs::read_to_string(folder.path().join(MASTER_KEY_FILE)).unwrap();
        let data_key = master.unwrap(&master.new_data_key().unwrap()).unwrap();
        let shown = format!("{master:?} {data_key:?}");
        assert!(!shown.contains(text.trim_end().strip_prefix("cgw_master_").unwrap()), "{shown}");
    }

    #[test]
    fn an_admin_key_is_no_master_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(MASTER_KEY_FILE);
        key_file::create(&path, Prefix("cgw_admin_")).unwrap();
        let message = MasterKey::load_or_create(&path).unwrap_err().to_string();
        assert!(message.contains("cgw_master_"), "{message}");
    }
}
