//! What webhooks sign with: made here, shown once, locked away, replaced with an overlap in which both sign.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ports::{DataKey, SealedSecrets, Vault, VaultError, WrappedKey};
use crate::triggers::STANDARD_SECRET;
use crate::{TenantId, WebhookId};

/// How long a key is, in bytes; Standard Webhooks allow 24 to 64.
const KEY_BYTES: usize = 32;

/// What is locked away.
#[derive(Serialize, Deserialize)]
struct Content {
    value: String,
    /// Until when it signs, where it was replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<DateTime<Utc>>,
}

/// A new secret, as its receiver needs it.
pub(super) fn new() -> Result<String, VaultError> {
    let mut key = [0; KEY_BYTES];
    getrandom::fill(&mut key).map_err(|error| VaultError(format!("the system gives no random bytes: {error}")))?;
    Ok(format!("{STANDARD_SECRET}{}", STANDARD.encode(key)))
}

/// Locks a secret away; it can be opened only as that of its webhook.
pub(super) fn seal(
    vault: &dyn Vault,
    key: &WrappedKey,
    (tenant, webhook): (TenantId, WebhookId),
    value: &str,
) -> Result<Vec<u8>, VaultError> {
    seal_content(vault, key, (tenant, webhook), &Content { value: value.to_owned(), until: None })
}

/// The secrets that sign at `now`: the current one, then one that was replaced and still counts.
pub(super) fn open(
    vault: &dyn Vault,
    whose: (TenantId, WebhookId),
    sealed: &SealedSecrets,
    now: DateTime<Utc>,
) -> Result<Vec<String>, VaultError> {
    let current = open_content(vault, &sealed.key, whose, &sealed.current)?;
    let previous = sealed.previous.as_ref().map(|previous| open_content(vault, &sealed.key, whose, previous));
    let previous = previous.transpose()?.filter(|previous| previous.until.is_none_or(|until| until > now));
    Ok(std::iter::once(current.value).chain(previous.map(|previous| previous.value)).collect())
}

/// A secret in place of another.
pub(super) struct Rotated {
    /// What is shown.
    pub(super) value: String,
    /// The same, locked away.
    pub(super) current: Vec<u8>,
    /// The one that it replaces, locked away, where it still signs.
    pub(super) previous: Option<Vec<u8>>,
}

/// A new secret in place of the current one, which signs until the instant, if one is given; both locked away with `key`.
pub(super) fn rotate(
    vault: &dyn Vault,
    whose: (TenantId, WebhookId),
    sealed: &SealedSecrets,
    key: &DataKey,
    until: Option<DateTime<Utc>>,
) -> Result<Rotated, VaultError> {
    let replaced = open_content(vault, &sealed.key, whose, &sealed.current)?;
    let value = new()?;
    let current = seal(vault, &key.wrapped, whose, &value)?;
    let previous = until.map(|until| {
        let content = Content { value: replaced.value, until: Some(until) };
        seal_content(vault, &key.wrapped, whose, &content)
    });
    Ok(Rotated { value, current, previous: previous.transpose()? })
}

fn seal_content(
    vault: &dyn Vault,
    key: &WrappedKey,
    whose: (TenantId, WebhookId),
    content: &Content,
) -> Result<Vec<u8>, VaultError> {
    let content = serde_json::to_vec(content).map_err(|error| VaultError(error.to_string()))?;
    vault.seal(key, &about(whose), &content)
}

fn open_content(
    vault: &dyn Vault,
    key: &WrappedKey,
    whose: (TenantId, WebhookId),
    sealed: &[u8],
) -> Result<Content, VaultError> {
    let content = vault.open(key, &about(whose), sealed)?;
    serde_json::from_slice(&content).map_err(|error| VaultError(format!("what was locked away is no secret: {error}")))
}

fn about((tenant, webhook): (TenantId, WebhookId)) -> String {
    format!("webhook {}/{}", tenant.0, webhook.0)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use uuid::Uuid;

    use super::*;

    /// Locks nothing, but remembers what a value is about.
    struct Open;

    impl Vault for Open {
        fn new_key(&self) -> Result<WrappedKey, VaultError> {
            Ok(WrappedKey { bytes: Vec::new(), master_key: String::new() })
        }

        fn seal(&self, _: &WrappedKey, about: &str, value: &[u8]) -> Result<Vec<u8>, VaultError> {
            Ok([about.as_bytes(), b"\n", value].concat())
        }

        fn open(&self, _: &WrappedKey, about: &str, sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
            let value = sealed.strip_prefix(format!("{about}\n").as_bytes());
            value.map(<[u8]>::to_vec).ok_or_else(|| VaultError("another's".to_owned()))
        }

        fn environment(&self, _: &str) -> Option<String> {
            None
        }
    }

    #[test]
    fn a_replaced_secret_signs_until_its_time_is_over() {
        let whose = (TenantId(Uuid::from_u128(1)), WebhookId(Uuid::from_u128(2)));
        let now = DateTime::UNIX_EPOCH;
        let wrapped = Open.new_key().unwrap();
        let key = DataKey { id: Uuid::nil(), wrapped: wrapped.clone() };
        let first = new().unwrap();
        assert!(first.starts_with("whsec_") && first != new().unwrap());
        assert_eq!(STANDARD.decode(&first["whsec_".len()..]).unwrap().len(), 32);
        let current = seal(&Open, &wrapped, whose, &first).unwrap();
        let sealed = SealedSecrets { current, previous: None, key: wrapped.clone() };
        assert_eq!(open(&Open, whose, &sealed, now).unwrap(), std::slice::from_ref(&first));

        let until = now + TimeDelta::hours(1);
        let Rotated { value: second, current, previous } = rotate(&Open, whose, &sealed, &key, Some(until)).unwrap();
        let sealed = SealedSecrets { current, previous, key: wrapped.clone() };
        assert_eq!(open(&Open, whose, &sealed, now).unwrap(), [second.clone(), first]);
        assert_eq!(open(&Open, whose, &sealed, until).unwrap(), [second]);

        let Rotated { value: third, current, previous } = rotate(&Open, whose, &sealed, &key, None).unwrap();
        let sealed = SealedSecrets { current, previous, key: wrapped };
        assert_eq!(
            open(&Open, whose, &sealed, now).unwrap(),
            [third],
            "without an overlap the old one is worth nothing"
        );
        let other = (whose.0, WebhookId(Uuid::from_u128(3)));
        assert!(open(&Open, other, &sealed, now).is_err(), "one webhook's secret is not another's");
    }
}
