//! The ports of secrets: where they are kept, and what locks them away.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::StoreError;
use crate::TenantId;

/// Keeps secrets as they were locked away; it cannot open them.
#[async_trait]
pub trait SecretStore: Send + Sync + 'static {
    /// The key that the tenant's new secrets are locked with, if there is one.
    async fn data_key(&self, tenant: TenantId) -> Result<Option<DataKey>, StoreError>;

    /// Keeps a key for the tenant, unless it has one already; the one it has.
    async fn add_data_key(&self, tenant: TenantId, key: WrappedKey, at: DateTime<Utc>) -> Result<DataKey, StoreError>;

    /// The secret of this name.
    async fn secret(&self, tenant: TenantId, name: &str) -> Result<Option<StoredSecret>, StoreError>;

    /// Every secret of the tenant, by name.
    async fn secrets(&self, tenant: TenantId) -> Result<Vec<StoredSecret>, StoreError>;

    /// Keeps a secret in place of the one of its name, as its next version. Refused with [`StoreError::Conflict`] when that
    /// is no longer `replaces`.
    async fn put_secret(&self, put: PutSecret) -> Result<(), StoreError>;

    /// Forgets a secret that nothing uses.
    async fn delete_secret(&self, tenant: TenantId, name: &str) -> Result<DeletedSecret, StoreError>;
}

/// Locks secrets away with keys that only it can open, and knows those that the server's environment holds.
pub trait Vault: Send + Sync + 'static {
    /// A new key.
    ///
    /// # Errors
    ///
    /// Why there is none.
    fn new_key(&self) -> Result<WrappedKey, VaultError>;

    /// Encrypts a value; it can be opened only as what it is `about`.
    ///
    /// # Errors
    ///
    /// The key cannot be opened.
    fn seal(&self, key: &WrappedKey, about: &str, value: &[u8]) -> Result<Vec<u8>, VaultError>;

    /// Decrypts a value.
    ///
    /// # Errors
    ///
    /// The key or the value cannot be opened.
    fn open(&self, key: &WrappedKey, about: &str, sealed: &[u8]) -> Result<Vec<u8>, VaultError>;

    /// What the server was started with under this name.
    fn environment(&self, variable: &str) -> Option<String>;
}

/// Why a secret cannot be locked away or opened, and what to do about it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct VaultError(pub String);

/// A key in the form that it is kept in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    /// Its bytes, encrypted.
    pub bytes: Vec<u8>,
    /// Which master key encrypted them.
    pub master_key: String,
}

/// A tenant's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataKey {
    /// Its id.
    pub id: Uuid,
    /// The key.
    pub wrapped: WrappedKey,
}

/// A secret as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSecret {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Its value, encrypted, and the key it was encrypted with; `None` for one that nobody has set.
    pub sealed: Option<(Vec<u8>, WrappedKey)>,
    /// How often it was set, from 1.
    pub version: i32,
    /// When it was set last.
    pub rotated_at: Option<DateTime<Utc>>,
    /// When it was named first.
    pub created_at: DateTime<Utc>,
}

/// A secret to keep.
#[derive(Clone, Debug)]
pub struct PutSecret {
    /// Its tenant.
    pub tenant: TenantId,
    /// Its name.
    pub name: String,
    /// What it is for; `None` leaves that as it is.
    pub description: Option<String>,
    /// Its value, encrypted.
    pub sealed: Vec<u8>,
    /// The key it was encrypted with.
    pub key: Uuid,
    /// The version that it takes the place of; `None` when there was none of the name.
    pub replaces: Option<i32>,
    /// When.
    pub at: DateTime<Utc>,
}

/// What became of a secret that was to be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeletedSecret {
    /// It is gone.
    Deleted,
    /// There is none of the name.
    Unknown,
    /// A webhook is signed with it.
    InUse,
}
