//! What can be done: one file a family of mutations.

mod cancel;
mod retry;
mod sagas;
mod schedules;
mod secrets;
mod signal;
mod start;
mod uploads;
mod user_error;
mod webhooks;
mod workflows;

use async_graphql::MergedObject;

/// What can be done.
#[derive(MergedObject, Default)]
pub(crate) struct Mutation(
    start::StartMutations,
    cancel::CancelMutations,
    retry::RetryMutations,
    sagas::SagaMutations,
    signal::SignalMutations,
    secrets::SecretMutations,
    workflows::WorkflowMutations,
    schedules::ScheduleMutations,
    uploads::UploadMutations,
    webhooks::WebhookMutations,
);
