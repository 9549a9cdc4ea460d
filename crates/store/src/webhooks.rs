//! The port of outgoing webhooks on both databases.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cogwheel_engine::ports::{
    ChangeWebhook, ClaimedDelivery, Consumer, DueDeliveries, FinishDelivery, FinishedDelivery, LostDelivery,
    NewDelivery, NewWebhook, Redelivery, SealedSecrets, StoreError, Subscription, SwitchWebhook, TestDelivery,
    WebhookStore,
};
use cogwheel_engine::{DeliveryId, TenantId, WebhookId};
use uuid::Uuid;

use crate::store::SqlStore;
use crate::tx::Reading;
use crate::writes::webhooks::{claim, deliveries, finish, manage};

#[async_trait]
impl WebhookStore for SqlStore {
    async fn create_webhook(&self, new: NewWebhook) -> Result<(), StoreError> {
        self.journal().write(Box::new(move |tx| Box::pin(manage::create(tx, new)))).await
    }

    async fn change_webhook(&self, change: ChangeWebhook) -> Result<bool, StoreError> {
        self.journal().write(Box::new(move |tx| Box::pin(manage::change(tx, change)))).await
    }

    async fn delete_webhook(&self, tenant: TenantId, id: WebhookId, at: DateTime<Utc>) -> Result<bool, StoreError> {
        self.journal().write(Box::new(move |tx| Box::pin(manage::delete(tx, tenant, id, at)))).await
    }

    async fn switch_webhook(&self, switch: SwitchWebhook) -> Result<bool, StoreError> {
        self.journal().write(Box::new(move |tx| Box::pin(manage::switch(tx, switch)))).await
    }

    async fn webhook_secrets(&self, tenant: TenantId, id: WebhookId) -> Result<Option<SealedSecrets>, StoreError> {
        manage::secrets(&mut Reading(self.engine()), tenant, id).await
    }

    async fn replace_webhook_secrets(
        &self,
        id: WebhookId,
        replaces: Vec<u8>,
        secrets: (Vec<u8>, Option<Vec<u8>>, Uuid),
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.journal().write(Box::new(move |tx| Box::pin(manage::replace_secrets(tx, id, replaces, secrets, at)))).await
    }

    async fn subscriptions(&self) -> Result<Vec<Subscription>, StoreError> {
        manage::subscriptions(&mut Reading(self.engine())).await
    }

    async fn queue_deliveries(
        &self,
        consumer: Consumer,
        queued: Vec<NewDelivery>,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.journal().write(Box::new(move |tx| Box::pin(deliveries::queue(tx, consumer, queued, at)))).await
    }

    async fn claim_deliveries(&self, room: usize, at: DateTime<Utc>) -> Result<DueDeliveries, StoreError> {
        self.journal().write(Box::new(move |tx| Box::pin(claim::claim(tx, room, at)))).await
    }

    async fn lost_deliveries(&self, at: DateTime<Utc>) -> Result<Vec<LostDelivery>, StoreError> {
        claim::lost(&mut Reading(self.engine()), at).await
    }

    async fn finish_delivery(&self, finished: FinishDelivery) -> Result<Option<FinishedDelivery>, StoreError> {
        self.journal().write(Box::new(move |tx| Box::pin(finish::finish(tx, finished)))).await
    }

    async fn begin_test(&self, test: TestDelivery) -> Result<Option<ClaimedDelivery>, StoreError> {
        self.journal().write(Box::new(move |tx| Box::pin(deliveries::begin_test(tx, test)))).await
    }

    async fn redeliver(
        &self,
        tenant: TenantId,
        delivery: DeliveryId,
        id: DeliveryId,
        at: DateTime<Utc>,
    ) -> Result<Redelivery, StoreError> {
        self.journal().write(Box::new(move |tx| Box::pin(deliveries::redeliver(tx, tenant, delivery, id, at)))).await
    }
}
