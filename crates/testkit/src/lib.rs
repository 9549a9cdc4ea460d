//! Databases for tests: empty, or copied from one that was prepared for all of them; gone when they are dropped.
//!
//! Knows no crate of Cogwheel, so that every one of them can use it in its tests.

mod address;
mod database;
mod prepared;
mod shared;

pub use database::{Backend, TestDatabase, connect};
pub use shared::SharedTemplate;
