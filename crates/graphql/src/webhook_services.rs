//! What the schema asks of the engine about outgoing webhooks.

use std::sync::Arc;
use std::time::Duration;

use async_graphql::{Context, Result};
use async_trait::async_trait;
use cogwheel_engine::ports::WebhookReads;
use cogwheel_engine::{DeliveryId, Engine, MadeWebhook, WebhookError, WebhookId, WebhookSettings};

use crate::Services;
use crate::errors::internal;
use crate::services::to_its_end;

/// The webhooks of the engine as the API sees them. What changes something goes on to its end even if the caller stops
/// waiting.
#[async_trait]
pub trait WebhookServices: Send + Sync + 'static {
    /// Where webhooks and their deliveries are read.
    fn webhook_reads(&self) -> Result<&dyn WebhookReads, WebhookError>;

    /// Makes a webhook.
    async fn create_webhook(&self, settings: WebhookSettings) -> Result<MadeWebhook, WebhookError>;

    /// Changes a webhook.
    async fn change_webhook(&self, id: WebhookId, settings: WebhookSettings) -> Result<(), WebhookError>;

    /// Forgets a webhook.
    async fn delete_webhook(&self, id: WebhookId) -> Result<(), WebhookError>;

    /// Switches a webhook on or off.
    async fn set_webhook_enabled(&self, id: WebhookId, enabled: bool) -> Result<(), WebhookError>;

    /// Gives a webhook a new secret.
    async fn rotate_webhook_secret(&self, id: WebhookId, overlap: Duration) -> Result<String, WebhookError>;

    /// Sends a test.
    async fn test_webhook(&self, id: WebhookId) -> Result<DeliveryId, WebhookError>;

    /// Sends a delivery anew.
    async fn redeliver(&self, delivery: DeliveryId) -> Result<DeliveryId, WebhookError>;
}

/// Where webhooks and their deliveries are read.
pub(crate) fn reads<'a>(ctx: &Context<'a>) -> Result<&'a dyn WebhookReads> {
    ctx.data::<Arc<dyn Services>>()?.webhook_reads().map_err(|error| internal(&error))
}

#[async_trait]
impl WebhookServices for Arc<Engine> {
    fn webhook_reads(&self) -> Result<&dyn WebhookReads, WebhookError> {
        Engine::webhook_reads(self)
    }

    async fn create_webhook(&self, settings: WebhookSettings) -> Result<MadeWebhook, WebhookError> {
        let engine = Self::clone(self);
        to_its_end(async move { Engine::create_webhook(&engine, settings).await }).await?
    }

    async fn change_webhook(&self, id: WebhookId, settings: WebhookSettings) -> Result<(), WebhookError> {
        let engine = Self::clone(self);
        to_its_end(async move { Engine::change_webhook(&engine, id, settings).await }).await?
    }

    async fn delete_webhook(&self, id: WebhookId) -> Result<(), WebhookError> {
        let engine = Self::clone(self);
        to_its_end(async move { Engine::delete_webhook(&engine, id).await }).await?
    }

    async fn set_webhook_enabled(&self, id: WebhookId, enabled: bool) -> Result<(), WebhookError> {
        let engine = Self::clone(self);
        to_its_end(async move { Engine::set_webhook_enabled(&engine, id, enabled).await }).await?
    }

    async fn rotate_webhook_secret(&self, id: WebhookId, overlap: Duration) -> Result<String, WebhookError> {
        let engine = Self::clone(self);
        to_its_end(async move { Engine::rotate_webhook_secret(&engine, id, overlap).await }).await?
    }

    async fn test_webhook(&self, id: WebhookId) -> Result<DeliveryId, WebhookError> {
        let engine = Self::clone(self);
        to_its_end(async move { Engine::test_webhook(&engine, id).await }).await?
    }

    async fn redeliver(&self, delivery: DeliveryId) -> Result<DeliveryId, WebhookError> {
        let engine = Self::clone(self);
        to_its_end(async move { Engine::redeliver(&engine, delivery).await }).await?
    }
}
