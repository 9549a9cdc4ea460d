//! The admin key: the one credential of the first release.

use std::fmt;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::AccessError;
use crate::key_file::{self, ADMIN_KEY_FILE, Prefix};

const PREFIX: Prefix = Prefix("cgw_admin_");

/// The server's half of the admin key: it can check a key and cannot tell it.
#[derive(Clone)]
pub struct AdminKey {
    digest: [u8; 32],
}

impl AdminKey {
    /// Takes the key from `admin.key` in the data folder, or writes a new one there if there is none; also tells
    /// whether it is new. The caller is the only server on this folder.
    ///
    /// # Errors
    ///
    /// The file is open to other users, holds no key, or cannot be read or written.
    pub fn load_or_create(data_dir: &Path) -> Result<(Self, bool), AccessError> {
        let path = data_dir.join(ADMIN_KEY_FILE);
        match key_file::read(&path, PREFIX) {
            Ok(key) => Ok((Self::of(&key), false)),
            Err(AccessError::Missing { .. }) => Ok((Self::of(&key_file::create(&path, PREFIX)?), true)),
            Err(error) => Err(error),
        }
    }

    /// Whether `presented` is the key. Takes the same time wherever they differ.
    pub fn verify(&self, presented: &str) -> bool {
        digest(presented).ct_eq(&self.digest).into()
    }

    fn of(key: &str) -> Self {
        Self { digest: digest(key) }
    }
}

impl fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminKey(***)")
    }
}

/// The admin key in clear, for the command line on the server's machine.
///
/// # Errors
///
/// There is no key yet, the file is open to other users, holds no key, or cannot be read.
pub fn read_admin_key(data_dir: &Path) -> Result<String, AccessError> {
    key_file::read(&data_dir.join(ADMIN_KEY_FILE), PREFIX)
}

fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_start_makes_the_key_and_the_next_one_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let (first, is_new) = AdminKey::load_or_create(folder.path()).unwrap();
        assert!(is_new);
        let text = read_admin_key(folder.path()).unwrap();
        let (second, is_new) = AdminKey::load_or_create(folder.path()).unwrap();
        assert!(!is_new);
        assert!(first.verify(&text) && second.verify(&text));
    }

    #[test]
    fn only_the_whole_key_is_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let (key, _) = AdminKey::load_or_create(folder.path()).unwrap();
        let text = read_admin_key(folder.path()).unwrap();
        for wrong in ["", "cgw_admin_", &text[1..], &text[..text.len() - 1], &format!("{text}\n"), &text.to_uppercase()]
        {
            assert!(!key.verify(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn two_folders_have_two_keys() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (key, _) = AdminKey::load_or_create(one.path()).unwrap();
        AdminKey::load_or_create(other.path()).unwrap();
        assert!(!key.verify(&read_admin_key(other.path()).unwrap()));
    }

    #[test]
    fn debug_shows_neither_the_key_nor_its_digest() {
        let key = AdminKey::of("cgw_admin_secret");
        assert_eq!(format!("{key:?}"), "AdminKey(***)");
    }

    #[test]
    fn a_missing_key_says_how_to_get_one() {
        let folder = tempfile::tempdir().unwrap();
        let message = read_admin_key(folder.path()).unwrap_err().to_string();
        assert!(message.contains("admin.key") && message.contains("cogwheel serve"), "{message}");
    }

    #[test]
    fn a_missing_data_folder_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let error = AdminKey::load_or_create(&folder.path().join("nowhere")).unwrap_err();
        assert!(matches!(&error, AccessError::Io { action: "write", .. }) && error.to_string().contains("nowhere"));
    }
}
