//! The roots: what can be asked, done and followed.

mod filters;
mod mutation;
mod preview;
mod query;
mod subscription;
mod webhooks;

use async_graphql::MergedObject;

pub(crate) use mutation::Mutation;
pub(crate) use subscription::Subscription;

/// What can be asked.
#[derive(MergedObject, Default)]
pub(crate) struct Query(query::Query, preview::PreviewQuery, webhooks::WebhookQuery);
