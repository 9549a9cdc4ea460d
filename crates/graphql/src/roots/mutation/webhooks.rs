//! Making, changing, switching, testing and deleting outgoing webhooks, and sending again.

use std::sync::Arc;
use std::time::Duration;

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use cogwheel_engine::{DEFAULT_OVERLAP, DeliveryId, WebhookError, WebhookId, WebhookSettings};

use super::user_error::{UserError, UserErrorCode};
use crate::Services;
use crate::errors::{internal, store_failed};
use crate::ids::{GlobalId, delivery_id, webhook_id};
use crate::loaders::load;
use crate::types::{Webhook, WebhookDelivery};

/// What is sent to others.
#[derive(Default)]
pub(super) struct WebhookMutations;

/// What is sent to others.
#[Object]
impl WebhookMutations {
    /// Makes an outgoing webhook, switched on. It is sent what is recorded from now on. Its secret is in the answer, and
    /// nowhere afterwards.
    async fn create_webhook(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is sent where.")] input: CreateWebhookInput,
    ) -> Result<CreateWebhookPayload> {
        let CreateWebhookInput { name, url, events, filter, headers, max_retries, timeout_ms } = input;
        let (name, url, events) = (Some(name), Some(url), Some(events));
        let fields = UpdateWebhookFields { name, url, events, filter, headers, max_retries, timeout_ms };
        let settings = match settings(fields) {
            Ok(settings) => settings,
            Err(problem) => return Ok(CreateWebhookPayload { user_errors: vec![problem], ..Default::default() }),
        };
        Ok(match services(ctx)?.create_webhook(settings).await {
            Ok(made) => CreateWebhookPayload {
                webhook: stored(ctx, made.id).await?,
                secret: Some(made.secret),
                user_errors: Vec::new(),
            },
            Err(refused) => CreateWebhookPayload { user_errors: vec![told(&refused)?], ..Default::default() },
        })
    }

    /// Changes an outgoing webhook; what is left out stays as it is. Deliveries that wait are sent as it is set now.
    async fn update_webhook(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which webhook, and what changes.")] input: UpdateWebhookInput,
    ) -> Result<WebhookPayload> {
        let UpdateWebhookInput { id, name, url, events, filter, headers, max_retries, timeout_ms } = input;
        let id = webhook_id(&id)?;
        let fields = UpdateWebhookFields { name, url, events, filter, headers, max_retries, timeout_ms };
        let settings = match settings(fields) {
            Ok(settings) => settings,
            Err(problem) => return Ok(WebhookPayload { webhook: None, user_errors: vec![problem] }),
        };
        let changed = services(ctx)?.change_webhook(id, settings).await;
        WebhookPayload::of(ctx, id, changed).await
    }

    /// Switches an outgoing webhook on, which forgets its failures in a row, or off, which cancels the deliveries that wait.
    async fn set_webhook_enabled(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which webhook, and whether it is on.")] input: SetWebhookEnabledInput,
    ) -> Result<WebhookPayload> {
        let id = webhook_id(&input.id)?;
        let switched = services(ctx)?.set_webhook_enabled(id, input.enabled).await;
        WebhookPayload::of(ctx, id, switched).await
    }

    /// Forgets an outgoing webhook, with the log of its deliveries.
    async fn delete_webhook(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which webhook.")] input: DeleteWebhookInput,
    ) -> Result<DeleteWebhookPayload> {
        let id = webhook_id(&input.id)?;
        Ok(match services(ctx)?.delete_webhook(id).await {
            Ok(()) => DeleteWebhookPayload { id: Some(GlobalId::Webhook(id).encode()), user_errors: Vec::new() },
            Err(refused) => DeleteWebhookPayload { id: None, user_errors: vec![told(&refused)?] },
        })
    }

    /// Gives an outgoing webhook a new secret, which is in the answer and nowhere afterwards. For a while the one that it
    /// replaces signs as well, so that the receiver can be told of the new one.
    async fn rotate_webhook_secret(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which webhook.")] input: RotateWebhookSecretInput,
    ) -> Result<RotateWebhookSecretPayload> {
        let id = webhook_id(&input.id)?;
        let overlap = match input.overlap_ms.map(u64::try_from) {
            None => DEFAULT_OVERLAP,
            Some(Ok(milliseconds)) => Duration::from_millis(milliseconds),
            Some(Err(_)) => {
                let error = UserError::at("overlapMs", UserErrorCode::InvalidInput, "`overlapMs` is less than 0");
                return Ok(RotateWebhookSecretPayload { user_errors: vec![error], ..Default::default() });
            }
        };
        Ok(match services(ctx)?.rotate_webhook_secret(id, overlap).await {
            Ok(secret) => RotateWebhookSecretPayload {
                webhook: stored(ctx, id).await?,
                secret: Some(secret),
                user_errors: Vec::new(),
            },
            Err(refused) => RotateWebhookSecretPayload { user_errors: vec![told(&refused)?], ..Default::default() },
        })
    }

    /// Sends a test to an outgoing webhook, switched on or not, and answers with what came of its one try.
    async fn test_webhook(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which webhook.")] input: TestWebhookInput,
    ) -> Result<WebhookDeliveryPayload> {
        let sent = services(ctx)?.test_webhook(webhook_id(&input.id)?).await;
        WebhookDeliveryPayload::of(ctx, sent).await
    }

    /// Sends a delivery that has ended anew: as a delivery of its own, with the same message id. It is durable when it
    /// answers, and sent soon after.
    async fn redeliver_webhook_delivery(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which delivery.")] input: RedeliverWebhookDeliveryInput,
    ) -> Result<WebhookDeliveryPayload> {
        let queued = services(ctx)?.redeliver(delivery_id(&input.id)?).await;
        WebhookDeliveryPayload::of(ctx, queued).await
    }
}

/// A header that a webhook adds to its messages.
#[derive(InputObject)]
struct WebhookHeaderInput {
    /// Its name. Those that belong to the message or to the connection are refused.
    name: String,
    /// Its value; `${{ secrets.NAME }}` in it stands for a secret. What carries credentials, such as `authorization`, has to
    /// name one.
    value: String,
}

/// What is sent where.
#[derive(InputObject)]
struct CreateWebhookInput {
    /// Its name for people; at most 255 characters.
    name: String,
    /// Where messages are sent: http:// or https://, on the internet unless the server's settings allow more.
    url: String,
    /// Patterns of the types of events: `workflow.failed`, `workflow.*`, `custom.**`; at most 100. `webhook.*`, `event.*`,
    /// `node.*` and `secret.*` are never sent.
    events: Vec<String>,
    /// What must hold of an event: one expression that reads `event`, as the `if` of a workflow's event trigger does.
    filter: Option<String>,
    /// Headers that are added; at most 20.
    headers: Option<Vec<WebhookHeaderInput>>,
    /// How often a delivery is tried again after the first try: 0 to 20, 8 if not given.
    max_retries: Option<i32>,
    /// How long one try may take, in milliseconds, rounded up to seconds: at most 60000, 15000 if not given.
    timeout_ms: Option<i32>,
}

/// Which webhook, and what changes of it; what is left out stays as it is.
#[derive(InputObject)]
struct UpdateWebhookInput {
    /// The webhook's id.
    id: ID,
    /// Its name for people; at most 255 characters.
    name: Option<String>,
    /// Where messages are sent: http:// or https://, on the internet unless the server's settings allow more.
    url: Option<String>,
    /// Patterns of the types of events; they take the place of those that were there.
    events: Option<Vec<String>>,
    /// What must hold of an event: one expression that reads `event`; an empty text for nothing.
    filter: Option<String>,
    /// Headers that are added; they take the place of those that were there.
    headers: Option<Vec<WebhookHeaderInput>>,
    /// How often a delivery is tried again after the first try: 0 to 20.
    max_retries: Option<i32>,
    /// How long one try may take, in milliseconds, rounded up to seconds: at most 60000.
    timeout_ms: Option<i32>,
}

/// The fields that making and changing have in common.
struct UpdateWebhookFields {
    name: Option<String>,
    url: Option<String>,
    events: Option<Vec<String>>,
    filter: Option<String>,
    headers: Option<Vec<WebhookHeaderInput>>,
    max_retries: Option<i32>,
    timeout_ms: Option<i32>,
}

/// Which webhook, and whether it is on.
#[derive(InputObject)]
struct SetWebhookEnabledInput {
    /// The webhook's id.
    id: ID,
    /// Whether events are sent to it from now on.
    enabled: bool,
}

/// Which webhook to forget.
#[derive(InputObject)]
struct DeleteWebhookInput {
    /// The webhook's id.
    id: ID,
}

/// Which webhook gets a new secret.
#[derive(InputObject)]
struct RotateWebhookSecretInput {
    /// The webhook's id.
    id: ID,
    /// How long the secret that is replaced still signs, in milliseconds: 24 hours if not given, at most 30 days, 0 for not at
    /// all.
    overlap_ms: Option<i64>,
}

/// Which webhook to test.
#[derive(InputObject)]
struct TestWebhookInput {
    /// The webhook's id.
    id: ID,
}

/// Which delivery to send anew.
#[derive(InputObject)]
struct RedeliverWebhookDeliveryInput {
    /// The delivery's id.
    id: ID,
}

/// What came of making a webhook.
#[derive(SimpleObject, Default)]
struct CreateWebhookPayload {
    /// The webhook; null when there are errors.
    webhook: Option<Webhook>,
    /// What it signs with, for its receiver. Keep it: nobody can read it again. Null when there are errors.
    secret: Option<String>,
    /// What the caller can mend; empty when it is made.
    user_errors: Vec<UserError>,
}

/// What came of changing or switching a webhook.
#[derive(SimpleObject)]
struct WebhookPayload {
    /// The webhook as it stands; null when there are errors.
    webhook: Option<Webhook>,
    /// What the caller can mend; empty when it is done.
    user_errors: Vec<UserError>,
}

/// What came of forgetting a webhook.
#[derive(SimpleObject)]
struct DeleteWebhookPayload {
    /// The id of the webhook that is gone; null when there are errors.
    id: Option<ID>,
    /// What the caller can mend; empty when it is gone.
    user_errors: Vec<UserError>,
}

/// What came of giving a webhook a new secret.
#[derive(SimpleObject, Default)]
struct RotateWebhookSecretPayload {
    /// The webhook; null when there are errors.
    webhook: Option<Webhook>,
    /// What it signs with from now on. Keep it: nobody can read it again. Null when there are errors.
    secret: Option<String>,
    /// What the caller can mend; empty when it is done.
    user_errors: Vec<UserError>,
}

/// What came of sending something.
#[derive(SimpleObject)]
struct WebhookDeliveryPayload {
    /// The delivery as it stands; null when there are errors.
    delivery: Option<WebhookDelivery>,
    /// What the caller can mend; empty when it is sent, or is going to be.
    user_errors: Vec<UserError>,
}

impl WebhookPayload {
    async fn of(ctx: &Context<'_>, id: WebhookId, done: Result<(), WebhookError>) -> Result<Self> {
        Ok(match done {
            Ok(()) => Self { webhook: stored(ctx, id).await?, user_errors: Vec::new() },
            Err(refused) => Self { webhook: None, user_errors: vec![told(&refused)?] },
        })
    }
}

impl WebhookDeliveryPayload {
    async fn of(ctx: &Context<'_>, done: Result<DeliveryId, WebhookError>) -> Result<Self> {
        Ok(match done {
            Ok(id) => Self { delivery: load(ctx, id).await?.map(WebhookDelivery::from), user_errors: Vec::new() },
            Err(refused) => Self { delivery: None, user_errors: vec![told(&refused)?] },
        })
    }
}

fn settings(fields: UpdateWebhookFields) -> Result<WebhookSettings, UserError> {
    let timeout = match fields.timeout_ms.map(u64::try_from) {
        None => None,
        Some(Ok(milliseconds)) => Some(Duration::from_millis(milliseconds)),
        Some(Err(_)) => {
            return Err(UserError::at("timeoutMs", UserErrorCode::InvalidInput, "`timeoutMs` is less than 0"));
        }
    };
    let headers = fields.headers.map(|headers| headers.into_iter().map(|header| (header.name, header.value)).collect());
    let UpdateWebhookFields { name, url, events, filter, max_retries, .. } = fields;
    Ok(WebhookSettings { name, url, events, filter, headers, max_retries, timeout })
}

fn services<'a>(ctx: &Context<'a>) -> Result<&'a Arc<dyn Services>> {
    ctx.data::<Arc<dyn Services>>()
}

async fn stored(ctx: &Context<'_>, id: WebhookId) -> Result<Option<Webhook>> {
    Ok(load(ctx, id).await?.map(Webhook::from))
}

fn told(refused: &WebhookError) -> Result<UserError> {
    let (code, field) = match refused {
        WebhookError::Invalid { field, .. } => (UserErrorCode::InvalidInput, *field),
        WebhookError::UnknownWebhook(_) => (UserErrorCode::UnknownWebhook, "id"),
        WebhookError::UnknownDelivery(_) | WebhookError::IsTest(_) => (UserErrorCode::UnknownDelivery, "id"),
        WebhookError::NotEnded(_) => (UserErrorCode::NotEnded, "id"),
        WebhookError::Disabled(_) => (UserErrorCode::WebhookDisabled, "id"),
        WebhookError::NotHere => return Err(internal(refused)),
        WebhookError::Vault(error) => return Err(internal(error)),
        WebhookError::Store(error) => return Err(store_failed(error)),
    };
    Ok(UserError::at(field, code, refused.to_string()))
}
