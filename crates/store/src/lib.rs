//! The ports' SQL: journal, queries, schema verification. Nothing else knows SQL.
//!
//! [`Database::connect`] reaches a database, [`Database::open`] serves from it: [`SqlStore`] implements the engine's
//! ports. Everything that is written goes through the journal, which commits together what waits together.

mod database;
mod events;
mod fault;
mod journal;
mod notices;
mod plans;
mod reads;
mod rows;
mod store;
mod tx;
mod values;
pub mod verify;
mod webhooks;
mod writes;

pub use database::{ConnectOptions, Database};
pub use journal::JournalStats;
pub use plans::declared_queries;
pub use store::SqlStore;
