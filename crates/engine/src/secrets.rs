//! Secrets by name: set, replaced with an overlap in which the old value still counts, read where they are needed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::ports::{DataKey, DeletedSecret, PutSecret, SecretStore, StoreError, StoredSecret, Vault, VaultError};
use crate::{Engine, TenantId};

/// The longest name, in characters.
const LONGEST_NAME: usize = 100;

/// The longest value, in bytes.
const LONGEST_VALUE: usize = 64 * 1024;

/// The longest time that a replaced value still counts.
const LONGEST_OVERLAP: Duration = Duration::from_hours(30 * 24);

/// How long a replaced value still counts where nobody says.
pub const DEFAULT_OVERLAP: Duration = Duration::from_hours(24);

/// How often a secret is set anew that somebody else set at the same time.
const TRIES: usize = 3;

/// Where secrets are kept, and what opens them.
#[derive(Clone)]
pub struct Secrets {
    /// Where they are kept.
    pub store: Arc<dyn SecretStore>,
    /// What opens them.
    pub vault: Arc<dyn Vault>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(***)")
    }
}

/// A secret without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretInfo {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Whether it has a value.
    pub is_set: bool,
    /// How often it was set.
    pub version: i32,
    /// When it was set last.
    pub rotated_at: Option<DateTime<Utc>>,
    /// When it was named first.
    pub created_at: DateTime<Utc>,
}

/// A secret to set.
#[derive(Clone)]
pub struct SetSecret {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// What it is for; `None` leaves that as it is.
    pub description: Option<String>,
    /// How long the value that it replaces still counts.
    pub overlap: Duration,
}

/// Why a secret was not set, deleted or read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SecretError {
    /// What was given cannot be used.
    #[error("`{field}` {why}")]
    Invalid {
        /// Which part.
        field: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// No such secret.
    #[error("there is no secret `{name}`")]
    Unknown {
        /// As asked for.
        name: String,
    },
    /// It is needed.
    #[error("a webhook is signed with the secret `{name}`; remove the webhook from its workflow first")]
    InUse {
        /// As asked for.
        name: String,
    },
    /// It cannot be locked away or opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// It could not be stored or found.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is locked away.
#[derive(Serialize, Deserialize)]
struct Content {
    value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<Previous>,
}

/// A value that was replaced.
#[derive(Serialize, Deserialize)]
struct Previous {
    value: String,
    until: DateTime<Utc>,
}

impl Secrets {
    /// Sets a secret of the tenant, or replaces its value. Durable when it returns; what uses it sees the new value at once.
    ///
    /// # Errors
    ///
    /// Why it was not set.
    pub async fn set(&self, tenant: TenantId, set: SetSecret, at: DateTime<Utc>) -> Result<SecretInfo, SecretError> {
        check(&set)?;
        let mut tries = 0;
        loop {
            tries += 1;
            match self.put(tenant, &set, at).await {
                Err(SecretError::Store(StoreError::Conflict(_))) if tries < TRIES => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    let stored = self.store.secret(tenant, &set.name).await?;
                    return stored.map(info).ok_or(SecretError::Unknown { name: set.name });
                }
            }
        }
    }

    /// Every secret of the tenant, by name, without its value.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub async fn list(&self, tenant: TenantId) -> Result<Vec<SecretInfo>, SecretError> {
        Ok(self.store.secrets(tenant).await?.into_iter().map(info).collect())
    }

    /// Forgets a secret.
    ///
    /// # Errors
    ///
    /// There is none of the name, or it is needed.
    pub async fn delete(&self, tenant: TenantId, name: &str) -> Result<(), SecretError> {
        match self.store.delete_secret(tenant, name).await? {
            DeletedSecret::Deleted => Ok(()),
            DeletedSecret::Unknown => Err(SecretError::Unknown { name: name.to_owned() }),
            DeletedSecret::InUse => Err(SecretError::InUse { name: name.to_owned() }),
        }
    }

    /// The values that `name` stands for at `now`: the current one, then one that was replaced and still counts. None when
    /// nobody set it.
    pub(crate) async fn values(
        &self,
        tenant: TenantId,
        name: &str,
        now: DateTime<Utc>,
    ) -> Result<Vec<String>, SecretError> {
        let Some((sealed, key)) = self.store.secret(tenant, name).await?.and_then(|secret| secret.sealed) else {
            return Ok(self.vault.environment(&variable(name)).into_iter().collect());
        };
        let content = open(&self.vault.open(&key, &about(tenant, name), &sealed)?)?;
        let previous = content.previous.filter(|previous| previous.until > now).map(|previous| previous.value);
        Ok(std::iter::once(content.value).chain(previous).collect())
    }

    async fn put(&self, tenant: TenantId, set: &SetSecret, at: DateTime<Utc>) -> Result<(), SecretError> {
        let Self { store, vault } = self;
        let about = about(tenant, &set.name);
        let before = store.secret(tenant, &set.name).await?;
        let replaces = before.as_ref().map(|before| before.version);
        let previous = match before.and_then(|before| before.sealed) {
            Some((sealed, key)) if !set.overlap.is_zero() => {
                let value = open(&vault.open(&key, &about, &sealed)?)?.value;
                let until = at + TimeDelta::from_std(set.overlap).unwrap_or(TimeDelta::MAX);
                Some(Previous { value, until })
            }
            _ => None,
        };
        let DataKey { id, wrapped } = match store.data_key(tenant).await? {
            Some(key) => key,
            None => store.add_data_key(tenant, vault.new_key()?, at).await?,
        };
        let content = Content { value: set.value.clone(), previous };
        let content = serde_json::to_vec(&content).map_err(|error| VaultError(error.to_string()))?;
        let put = PutSecret {
            tenant,
            name: set.name.clone(),
            description: set.description.clone(),
            sealed: vault.seal(&wrapped, &about, &content)?,
            key: id,
            replaces,
            at,
        };
        Ok(store.put_secret(put).await?)
    }
}

impl Engine {
    /// See [`Secrets::set`].
    pub async fn set_secret(&self, set: SetSecret) -> Result<SecretInfo, SecretError> {
        self.secrets()?.set(self.tenant(), set, self.clock().now()).await
    }

    /// See [`Secrets::list`].
    pub async fn list_secrets(&self) -> Result<Vec<SecretInfo>, SecretError> {
        self.secrets()?.list(self.tenant()).await
    }

    /// See [`Secrets::delete`].
    pub async fn delete_secret(&self, name: &str) -> Result<(), SecretError> {
        self.secrets()?.delete(self.tenant(), name).await
    }

    pub(crate) async fn secret_values(&self, name: &str) -> Result<Vec<String>, SecretError> {
        self.secrets()?.values(self.tenant(), name, self.clock().now()).await
    }
}

fn info(stored: StoredSecret) -> SecretInfo {
    SecretInfo {
        is_set: stored.sealed.is_some(),
        name: stored.name,
        description: stored.description,
        version: stored.version,
        rotated_at: stored.rotated_at,
        created_at: stored.created_at,
    }
}

fn open(content: &[u8]) -> Result<Content, VaultError> {
    serde_json::from_slice(content).map_err(|error| VaultError(format!("what was locked away is no secret: {error}")))
}

/// What a value can be opened as: nobody can pass one secret off as another.
fn about(tenant: TenantId, name: &str) -> String {
    format!("secret {}/{name}", tenant.0)
}

/// The environment variable that holds a secret nobody has set.
pub fn variable(name: &str) -> String {
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    format!("COGWHEEL_SECRET_{name}")
}

fn check(set: &SetSecret) -> Result<(), SecretError> {
    check_name(&set.name)?;
    let (field, why) = match set.value.len() {
        0 => ("value", "is empty"),
        bytes if bytes > LONGEST_VALUE => ("value", "is longer than 64 KiB"),
        _ if set.overlap > LONGEST_OVERLAP => ("overlap", "is longer than 30 days"),
        _ => return Ok(()),
    };
    Err(SecretError::Invalid { field, why })
}

fn check_name(name: &str) -> Result<(), SecretError> {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let goes_on_well = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let why = if name.len() > LONGEST_NAME {
        "is longer than 100 characters"
    } else if !starts_well || !goes_on_well {
        "is not made of letters, digits, `_` and `-`, a letter or `_` first"
    } else {
        return Ok(());
    };
    Err(SecretError::Invalid { field: "name", why })
}
