//! Outgoing webhooks and their deliveries. Whoever changes a webhook or one of its deliveries locks the webhook's row first,
//! so that what is decided about one webhook is decided in one order.

pub(crate) mod claim;
pub(crate) mod deliveries;
pub(crate) mod finish;
pub(crate) mod manage;
mod told;
