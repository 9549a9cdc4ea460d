//! The store's tests against real databases, SQLite and PostgreSQL.
//!
//! `COGWHEEL_TEST_POSTGRES_URL` names a PostgreSQL server and a role that may create databases.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;
mod databases;
mod undo_matrix;
mod verify;
