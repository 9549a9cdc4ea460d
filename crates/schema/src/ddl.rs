//! Renders declared tables as SQL for either database.
//!
//! The text is deterministic: migrations take their checksum over it. Every convention of the schema
//! (types, generated checks, time-stamp triggers, row-level security, grants) is written here once.

mod access;
mod columns;
mod keep;
mod search;
mod triggers;

use crate::change::{Change, ChangeKind};
use crate::def::{Backend, Extra, IndexDef, TableDef};

/// Statements that every table relies on: roles and trigger functions of PostgreSQL, nothing on SQLite.
pub fn create_support(backend: Backend) -> Vec<String> {
    match backend {
        Backend::Sqlite => Vec::new(),
        Backend::Postgres => [access::roles(), triggers::functions()].concat(),
    }
}

/// Statements that remove what [`create_support`] made, except the roles, which belong to the whole cluster.
pub fn drop_support(backend: Backend) -> Vec<String> {
    match backend {
        Backend::Sqlite => Vec::new(),
        Backend::Postgres => triggers::drop_functions(),
    }
}

/// Statements that create the support and then all `tables`, which stand in an order that satisfies their keys.
pub fn create_schema(tables: &[TableDef], backend: Backend) -> Vec<String> {
    let mut statements = create_support(backend);
    statements.extend(tables.iter().flat_map(|table| create_table(table, backend)));
    statements
}

/// Statements that create a table with its keys, checks, indexes, triggers, policies and grants.
pub fn create_table(table: &TableDef, backend: Backend) -> Vec<String> {
    let mut statements = columns::table(table, backend);
    statements.extend(table.indexes.iter().map(|index| create_index(&table.name, index)));
    statements.extend(triggers::create(table, backend));
    statements.extend(search::create(table, backend));
    if backend == Backend::Postgres {
        statements.extend(table.extras.iter().filter_map(|extra| postgres_index(table, extra)));
        statements.extend(access::create(table));
    }
    statements
}

/// Statements that drop a table with everything that hangs on it.
pub fn drop_table(table: &TableDef, backend: Backend) -> Vec<String> {
    let mut statements = match backend {
        Backend::Sqlite => search::drop(table),
        Backend::Postgres => access::drop(table),
    };
    statements.push(format!("drop table {}", table.name));
    if table.extras.iter().any(|extra| matches!(extra, Extra::Keep { .. })) {
        statements.extend(keep::drop_function(&table.name, backend));
    }
    statements
}

/// The statements that make a change.
pub fn make_change(change: &Change, backend: Backend) -> Vec<String> {
    match &change.kind {
        ChangeKind::AddColumn(column) => vec![columns::add(&change.table, column, backend)],
        ChangeKind::AddIndex(index) => vec![create_index(&change.table, index)],
        ChangeKind::DropIndex(index) => vec![format!("drop index {}", index.name)],
        ChangeKind::AddRefusal(refusal) => vec![triggers::add(&change.table, refusal, backend)],
        ChangeKind::DropRefusal(refusal) => vec![triggers::remove(&change.table, refusal, backend)],
        ChangeKind::Keep(lease) => keep::create(&change.table, lease, backend),
    }
}

/// The statements that take a change back.
pub fn take_back_change(change: &Change, backend: Backend) -> Vec<String> {
    match &change.kind {
        ChangeKind::AddColumn(column) => vec![format!("alter table {} drop column {}", change.table, column.name)],
        ChangeKind::AddIndex(index) => vec![format!("drop index {}", index.name)],
        ChangeKind::DropIndex(index) => vec![create_index(&change.table, index)],
        ChangeKind::AddRefusal(refusal) => vec![triggers::remove(&change.table, refusal, backend)],
        ChangeKind::DropRefusal(refusal) => vec![triggers::add(&change.table, refusal, backend)],
        ChangeKind::Keep(_) => keep::drop(&change.table, backend),
    }
}

fn create_index(table: &str, index: &IndexDef) -> String {
    let unique = if index.unique { "unique " } else { "" };
    let predicate = index.predicate.as_ref().map_or_else(String::new, |predicate| format!(" where {predicate}"));
    format!("create {unique}index {} on {table} ({}){predicate}", index.name, index.columns.join(", "))
}

fn postgres_index(table: &TableDef, extra: &Extra) -> Option<String> {
    match extra {
        Extra::Gin { name, column } => Some(format!("create index {name} on {} using gin ({column})", table.name)),
        Extra::TransactionId { column, index, then } => {
            Some(format!("create index {index} on {} ({column}, {then})", table.name))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
