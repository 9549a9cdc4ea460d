//! The store's tests against real databases, SQLite and PostgreSQL.
//!
//! `COGWHEEL_TEST_POSTGRES_URL` names a PostgreSQL server and a role that may create databases.

mod databases;
mod verify;
