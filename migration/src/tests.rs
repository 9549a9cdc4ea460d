//! The chain on both databases: levels, ledger, faults, triggers, policies.

mod behaviour;
mod database;
mod entities;
mod faults;
mod isolation;
mod levels;
mod lints;
mod rows;

use crate::chain::steps;
use cogwheel_schema::TableDef;

fn all_tables() -> Vec<TableDef> {
    steps().iter().flat_map(crate::step::Step::tables).collect()
}
