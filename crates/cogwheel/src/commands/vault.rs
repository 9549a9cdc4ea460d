//! The engine's vault over the installation's master key.

use std::path::PathBuf;

use cogwheel_access::{CallbackKey, DataKey, MASTER_KEY_FILE, MasterKey, NotOpened};
use cogwheel_engine::ports::{Vault, VaultError, WrappedKey};
use tracing::info;

use crate::settings::Settings;

/// Locks secrets away with data keys that the master key protects.
pub(super) struct KeyVault {
    master: MasterKey,
    file: PathBuf,
}

impl KeyVault {
    /// Takes the master key, or makes one at the first start.
    pub(super) fn open(settings: &Settings) -> anyhow::Result<Self> {
        let file = settings.master_key_file.clone().unwrap_or_else(|| settings.data_dir.join(MASTER_KEY_FILE));
        let (master, is_new) = MasterKey::load_or_create(&file)?;
        if is_new {
            info!("wrote the master key to {}; keep a copy, secrets cannot be read without it", file.display());
        }
        Ok(Self { master, file })
    }

    /// The key of the addresses under which others answer steps.
    pub(super) fn callbacks(&self) -> CallbackKey {
        self.master.callbacks()
    }

    fn data_key(&self, key: &WrappedKey) -> Result<DataKey, VaultError> {
        if key.master_key != self.master.reference() {
            return Err(VaultError(format!(
                "the secrets of this database are locked with another master key ({}) than that of {} ({}); \
                 bring back the right file or name it in `master_key_file`",
                key.master_key,
                self.file.display(),
                self.master.reference()
            )));
        }
        self.master.unwrap(&key.bytes).map_err(broken)
    }
}

impl Vault for KeyVault {
    fn new_key(&self) -> Result<WrappedKey, VaultError> {
        let bytes = self.master.new_data_key().map_err(|error| VaultError(error.to_string()))?;
        Ok(WrappedKey { bytes, master_key: self.master.reference().to_owned() })
    }

    fn seal(&self, key: &WrappedKey, about: &str, value: &[u8]) -> Result<Vec<u8>, VaultError> {
        self.data_key(key)?.seal(about.as_bytes(), value).map_err(|error| VaultError(error.to_string()))
    }

    fn open(&self, key: &WrappedKey, about: &str, sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        self.data_key(key)?.open(about.as_bytes(), sealed).map_err(broken)
    }

    fn environment(&self, variable: &str) -> Option<String> {
        std::env::var(variable).ok().filter(|value| !value.is_empty())
    }
}

fn broken(error: NotOpened) -> VaultError {
    VaultError(format!("what the database holds of the secret cannot be opened: {error}"))
}
