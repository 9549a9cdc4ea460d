//! Keys of outgoing webhooks and their deliveries.

use std::collections::HashMap;

use async_graphql::dataloader::Loader;
use cogwheel_engine::ports::{DeliveryView, StoreError, WebhookReads, WebhookView};
use cogwheel_engine::{DeliveryId, WebhookId};

use super::{Batches, by_key};
use crate::errors::ReadFailed;

impl Batches {
    fn webhook_reads(&self) -> Result<&dyn WebhookReads, ReadFailed> {
        self.services.webhook_reads().map_err(|error| ReadFailed::log(&StoreError::Bug(error.to_string())))
    }
}

impl Loader<WebhookId> for Batches {
    type Value = WebhookView;
    type Error = ReadFailed;

    async fn load(&self, keys: &[WebhookId]) -> Result<HashMap<WebhookId, WebhookView>, ReadFailed> {
        by_key(self.webhook_reads()?.webhooks_by_id(self.tenant(), keys).await, |row| row.id, |row| row)
    }
}

impl Loader<DeliveryId> for Batches {
    type Value = DeliveryView;
    type Error = ReadFailed;

    async fn load(&self, keys: &[DeliveryId]) -> Result<HashMap<DeliveryId, DeliveryView>, ReadFailed> {
        by_key(self.webhook_reads()?.deliveries_by_id(self.tenant(), keys).await, |row| row.id, |row| row)
    }
}
