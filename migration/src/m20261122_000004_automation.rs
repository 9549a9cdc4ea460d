//! Workflows, their triggers, their executions and the files these handle.

mod definitions;
mod executions;
mod files;
mod triggers;

use cogwheel_schema::TableDef;

pub(super) fn tables() -> Vec<TableDef> {
    [definitions::tables(), triggers::tables(), executions::tables(), files::tables()].concat()
}
