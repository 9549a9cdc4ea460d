//! The API against an engine of made-up rows.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod answers;
mod artifacts;
mod cancel;
mod contract;
mod events;
mod fake;
mod follow;
mod limits;
mod lists;
mod pause;
mod retry;
mod sagas;
mod schedules;
mod secrets;
mod signal;
mod start;
mod webhooks;
