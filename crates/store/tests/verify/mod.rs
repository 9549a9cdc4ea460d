//! Verification: a clean database has no finding, and each planted fault is named.

mod clean;
mod data_faults;
mod fault;
mod plan_faults;
mod postgres_faults;
mod reading;
mod sqlite_faults;
