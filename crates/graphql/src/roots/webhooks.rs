//! What can be asked about outgoing webhooks.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, Result};
use cogwheel_engine::ports;

use crate::Services;
use crate::cursor::PageArgs;
use crate::errors::{bad_input, store_failed};
use crate::ids::{delivery_id, webhook_id};
use crate::limits::page_cost;
use crate::loaders::load;
use crate::types::{Connection, DeliveryStatus, Total, Webhook, WebhookDelivery};
use crate::webhook_services::reads;

/// What can be asked about outgoing webhooks.
#[derive(Default)]
pub(crate) struct WebhookQuery;

/// What can be asked about outgoing webhooks.
#[Object]
impl WebhookQuery {
    /// The outgoing webhook with this id; null if there is none.
    async fn webhook(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: ID) -> Option<Result<Webhook>> {
        find_webhook(ctx, &id).await.transpose()
    }

    /// Outgoing webhooks, newest first.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn webhooks(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many rows from the front: 1 to 100, 50 if not given.")] first: Option<i32>,
        #[graphql(desc = "Only rows after this cursor.")] after: Option<String>,
        #[graphql(desc = "At most so many rows from the end: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only rows before this cursor.")] before: Option<String>,
    ) -> Result<Connection<Webhook>> {
        let tenant = ctx.data::<Arc<dyn Services>>()?.tenant();
        let page = PageArgs { first, after, last, before }.request()?;
        let rows = reads(ctx)?.webhooks(tenant, page).await.map_err(|error| store_failed(&error))?;
        Ok(Connection::new(page, Some(rows), Total::Webhooks))
    }

    /// The delivery of an outgoing webhook with this id; null if there is none.
    async fn webhook_delivery(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: ID,
    ) -> Option<Result<WebhookDelivery>> {
        find_delivery(ctx, &id).await.transpose()
    }

    /// Deliveries of outgoing webhooks, newest first: of one webhook, or in one state, or both.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn webhook_deliveries(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many rows from the front: 1 to 100, 50 if not given.")] first: Option<i32>,
        #[graphql(desc = "Only rows after this cursor.")] after: Option<String>,
        #[graphql(desc = "At most so many rows from the end: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only rows before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which deliveries.")] filter: WebhookDeliveryFilter,
    ) -> Result<Connection<WebhookDelivery>> {
        let tenant = ctx.data::<Arc<dyn Services>>()?.tenant();
        let page = PageArgs { first, after, last, before }.request()?;
        let filter = filter.read()?;
        let rows = reads(ctx)?.deliveries(tenant, &filter, page).await.map_err(|error| store_failed(&error))?;
        Ok(Connection::new(page, Some(rows), Total::Deliveries(filter)))
    }
}

/// Which deliveries to list; one of the two has to be given.
#[derive(InputObject)]
pub(crate) struct WebhookDeliveryFilter {
    /// Of the webhook with this id.
    webhook: Option<ID>,
    /// In this state.
    status: Option<DeliveryStatus>,
}

impl WebhookDeliveryFilter {
    fn read(self) -> Result<ports::DeliveryFilter> {
        if self.webhook.is_none() && self.status.is_none() {
            return Err(bad_input("`filter` names neither a `webhook` nor a `status`; give one of them"));
        }
        let webhook = self.webhook.as_ref().map(webhook_id).transpose()?;
        Ok(ports::DeliveryFilter { webhook, status: self.status.map(Into::into) })
    }
}

async fn find_webhook(ctx: &Context<'_>, id: &ID) -> Result<Option<Webhook>> {
    Ok(load(ctx, webhook_id(id)?).await?.map(Webhook::from))
}

async fn find_delivery(ctx: &Context<'_>, id: &ID) -> Result<Option<WebhookDelivery>> {
    Ok(load(ctx, delivery_id(id)?).await?.map(WebhookDelivery::from))
}
