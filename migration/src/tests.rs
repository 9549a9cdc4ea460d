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
use crate::step::Step;
use cogwheel_schema::TableDef;

fn all_tables() -> Vec<TableDef> {
    tables_of(&steps())
}

/// The tables as the steps leave them.
fn tables_of(steps: &[Step]) -> Vec<TableDef> {
    let mut tables: Vec<TableDef> = Vec::new();
    for step in steps {
        tables.extend(step.tables());
        for change in step.changes() {
            let table = tables.iter_mut().find(|table| table.name == change.table);
            change.apply(table.expect("a step changes tables that stand"));
        }
    }
    tables
}
