//! What people do with webhooks: make, change, switch, delete and test them, give them new secrets, send again.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;

use super::check::{WebhookSettings, Wrong};
use super::secret::Rotated;
use super::{Webhooks, changed, message, secret, send};
use crate::ports::{
    ChangeWebhook, DataKey, NewWebhook, Redelivery, StoreError, SwitchWebhook, TestDelivery, VaultError, WebhookReads,
    WebhookView,
};
use crate::{DeliveryId, Engine, WebhookId};

/// The longest time that a replaced secret still signs.
const LONGEST_OVERLAP: Duration = Duration::from_hours(30 * 24);

/// How often a secret is replaced anew that somebody else replaced at the same time.
const TRIES: usize = 3;

/// Why something was not done with a webhook.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WebhookError {
    /// What was given cannot be used.
    #[error("`{field}` {why}")]
    Invalid {
        /// Which part.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// No such webhook.
    #[error("there is no webhook {0}")]
    UnknownWebhook(WebhookId),
    /// No such delivery.
    #[error("there is no delivery {0}")]
    UnknownDelivery(DeliveryId),
    /// It is on its way.
    #[error("the delivery {0} has not ended; it is sent again by itself")]
    NotEnded(DeliveryId),
    /// A test is made anew.
    #[error("the delivery {0} was a test; test the webhook again instead")]
    IsTest(DeliveryId),
    /// Nothing is sent to it.
    #[error("the webhook of the delivery {0} is switched off; switch it on first")]
    Disabled(DeliveryId),
    /// This program has none.
    #[error("there are no webhooks here")]
    NotHere,
    /// Its secret cannot be locked away or opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// It could not be stored or found.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Wrong> for WebhookError {
    fn from(Wrong { field, why }: Wrong) -> Self {
        Self::Invalid { field, why }
    }
}

/// A new webhook.
#[derive(Clone)]
pub struct MadeWebhook {
    /// Its id.
    pub id: WebhookId,
    /// What it signs with, as its receiver needs it. Nobody can read it again.
    pub secret: String,
}

impl std::fmt::Debug for MadeWebhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MadeWebhook").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Engine {
    /// What there is to read of webhooks.
    ///
    /// # Errors
    ///
    /// This program has none.
    pub fn webhook_reads(&self) -> Result<&dyn WebhookReads, WebhookError> {
        Ok(&*self.outgoing().parts()?.store)
    }

    /// Makes a webhook, switched on. It sees what is recorded from now on.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub async fn create_webhook(&self, settings: WebhookSettings) -> Result<MadeWebhook, WebhookError> {
        let parts = self.outgoing().parts()?;
        let settings = settings.checked(None, &*parts.transport)?;
        let (id, tenant, at) = (WebhookId(self.clock().new_id()), self.tenant(), self.clock().now());
        let key = self.data_key().await?;
        let value = secret::new()?;
        let sealed = secret::seal(&*self.secrets()?.vault, &key.wrapped, (tenant, id), &value)?;
        let new = NewWebhook { id, tenant, settings, secret: sealed, key: key.id, at };
        parts.store.create_webhook(new).await?;
        changed(self).await;
        Ok(MadeWebhook { id, secret: value })
    }

    /// Changes a webhook. What was recorded for it before is sent as it is now set to be sent.
    ///
    /// # Errors
    ///
    /// Why nothing changed.
    pub async fn change_webhook(&self, id: WebhookId, settings: WebhookSettings) -> Result<(), WebhookError> {
        let parts = self.outgoing().parts()?;
        let before = self.known_webhook(parts, id).await?;
        let settings = settings.checked(Some(&before.settings), &*parts.transport)?;
        let change = ChangeWebhook { id, tenant: self.tenant(), settings, at: self.clock().now() };
        if !parts.store.change_webhook(change).await? {
            return Err(WebhookError::UnknownWebhook(id));
        }
        changed(self).await;
        Ok(())
    }

    /// Forgets a webhook with the log of its deliveries. A try that is under way may still arrive.
    ///
    /// # Errors
    ///
    /// Why it is still there.
    pub async fn delete_webhook(&self, id: WebhookId) -> Result<(), WebhookError> {
        let parts = self.outgoing().parts()?;
        if !parts.store.delete_webhook(self.tenant(), id, self.clock().now()).await? {
            return Err(WebhookError::UnknownWebhook(id));
        }
        changed(self).await;
        Ok(())
    }

    /// Switches a webhook on, with its failures forgotten, or off, which cancels what waits to be sent.
    ///
    /// # Errors
    ///
    /// Why nothing changed.
    pub async fn set_webhook_enabled(&self, id: WebhookId, is_active: bool) -> Result<(), WebhookError> {
        let parts = self.outgoing().parts()?;
        let switch = SwitchWebhook { id, tenant: self.tenant(), is_active, at: self.clock().now() };
        if !parts.store.switch_webhook(switch).await? {
            return Err(WebhookError::UnknownWebhook(id));
        }
        changed(self).await;
        Ok(())
    }

    /// Gives a webhook a new secret, which is answered and cannot be read again. For as long as `overlap` says, the one that
    /// it replaces signs as well; one that was replaced before does not any more.
    ///
    /// # Errors
    ///
    /// Why the old one stays.
    pub async fn rotate_webhook_secret(&self, id: WebhookId, overlap: Duration) -> Result<String, WebhookError> {
        if overlap > LONGEST_OVERLAP {
            return Err(WebhookError::Invalid { field: "overlapMs", why: "is longer than 30 days".to_owned() });
        }
        let parts = self.outgoing().parts()?;
        let (tenant, at) = (self.tenant(), self.clock().now());
        let until = (!overlap.is_zero()).then(|| at + TimeDelta::from_std(overlap).unwrap_or(TimeDelta::MAX));
        let mut tries = 0;
        loop {
            tries += 1;
            let sealed = parts.store.webhook_secrets(tenant, id).await?.ok_or(WebhookError::UnknownWebhook(id))?;
            let key = self.data_key().await?;
            let Rotated { value, current, previous } =
                secret::rotate(&*self.secrets()?.vault, (tenant, id), &sealed, &key, until)?;
            let secrets = (current, previous, key.id);
            match parts.store.replace_webhook_secrets(id, sealed.current, secrets, at).await {
                Err(StoreError::Conflict(_)) if tries < TRIES => {}
                Err(error) => return Err(error.into()),
                Ok(()) => return Ok(value),
            }
        }
    }

    /// Sends a test to a webhook, switched on or not, and waits for what comes of it. There is one try, which counts among
    /// the calls but not among the failures in a row.
    ///
    /// # Errors
    ///
    /// Why nothing was sent.
    pub async fn test_webhook(self: &Arc<Self>, id: WebhookId) -> Result<DeliveryId, WebhookError> {
        let parts = self.outgoing().parts()?;
        let name = self.known_webhook(parts, id).await?.settings.name;
        let (delivery, at) = (DeliveryId(self.clock().new_id()), self.clock().now());
        let test = TestDelivery {
            id: delivery,
            webhook: id,
            tenant: self.tenant(),
            body: message::of_test(delivery, &name, at),
            event_type: message::TEST_TYPE.to_owned(),
            at,
        };
        let claimed = parts.store.begin_test(test).await?.ok_or(WebhookError::UnknownWebhook(id))?;
        send::make_try(self, parts, claimed).await;
        Ok(delivery)
    }

    /// Sends a delivery that has ended anew, with the same message id. It has its own tries and its own record.
    ///
    /// # Errors
    ///
    /// Why nothing is sent.
    pub async fn redeliver(&self, delivery: DeliveryId) -> Result<DeliveryId, WebhookError> {
        let parts = self.outgoing().parts()?;
        let (id, at) = (DeliveryId(self.clock().new_id()), self.clock().now());
        match parts.store.redeliver(self.tenant(), delivery, id, at).await? {
            Redelivery::Queued(queued) => {
                self.outgoing().work_came.notify_one();
                Ok(queued)
            }
            Redelivery::Unknown => Err(WebhookError::UnknownDelivery(delivery)),
            Redelivery::NotEnded => Err(WebhookError::NotEnded(delivery)),
            Redelivery::IsTest => Err(WebhookError::IsTest(delivery)),
            Redelivery::Disabled => Err(WebhookError::Disabled(delivery)),
        }
    }

    async fn known_webhook(&self, parts: &Webhooks, id: WebhookId) -> Result<WebhookView, WebhookError> {
        let found = parts.store.webhooks_by_id(self.tenant(), &[id]).await?;
        found.into_iter().next().ok_or(WebhookError::UnknownWebhook(id))
    }

    /// The key that new secrets of the tenant are locked with.
    async fn data_key(&self) -> Result<DataKey, WebhookError> {
        let secrets = self.secrets()?;
        let (tenant, at) = (self.tenant(), self.clock().now());
        Ok(match secrets.store.data_key(tenant).await? {
            Some(key) => key,
            None => secrets.store.add_data_key(tenant, secrets.vault.new_key()?, at).await?,
        })
    }
}
