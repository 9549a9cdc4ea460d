//! Names every difference between two live schemas.

mod difference;
mod redundancy;
mod scratch;
mod tables;

pub use difference::{Difference, Kind};
pub use scratch::declared;

use crate::LiveSchema;

/// Foreign keys that need no index of their own: their rows are reached through another parent, and
/// a purge of the tenant empties that parent first.
pub const KEYS_WITHOUT_INDEX: [(&str, &str); 7] = [
    ("execution_files", "tenant_id"),
    ("execution_logs", "tenant_id"),
    ("saga_compensations", "tenant_id"),
    ("saga_snapshots", "tenant_id"),
    ("saga_timeouts", "tenant_id"),
    ("signals", "tenant_id"),
    ("step_executions", "tenant_id"),
];

/// Every difference, by table; both schemas must come from the same server, as texts are compared.
///
/// Beside what differs, what is wrong in the live schema by itself is named: an index that repeats
/// another, and a foreign key that no index leads.
pub fn differences(declared: &LiveSchema, live: &LiveSchema) -> Vec<Difference> {
    let mut found = Vec::new();
    for (name, table) in &declared.tables {
        match live.tables.get(name) {
            Some(live_table) => tables::compare(name, table, live_table, &mut found),
            None => found.push(Difference {
                kind: Kind::MissingTable,
                table: name.clone(),
                object: name.clone(),
                declared: Some(format!("{} columns", table.columns.len())),
                live: None,
                message: format!("table {name} is declared and does not exist"),
            }),
        }
    }
    for (name, table) in &live.tables {
        if !declared.tables.contains_key(name) {
            found.push(Difference {
                kind: Kind::ExtraTable,
                table: name.clone(),
                object: name.clone(),
                declared: None,
                live: Some(format!("{} columns", table.columns.len())),
                message: format!("table {name} exists and is not declared"),
            });
        }
        redundancy::duplicate_indexes(name, table, declared.tables.get(name), &mut found);
        redundancy::keys_without_index(name, table, &mut found);
    }
    found.sort_by(|a, b| (&a.table, a.kind, &a.object).cmp(&(&b.table, b.kind, &b.object)));
    found
}
