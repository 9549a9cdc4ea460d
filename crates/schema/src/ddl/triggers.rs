//! Triggers: every table keeps `updated_at`, some tables refuse updates.

use crate::change::Refusal;
use crate::def::{Backend, Extra, TableDef};

/// SQLite's present instant in the one text form that instants have.
pub(super) const SQLITE_NOW: &str = "strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')";

/// The functions that PostgreSQL's triggers call.
pub(super) fn functions() -> Vec<String> {
    vec![
        "create function cogwheel_touch_updated_at() returns trigger language plpgsql as $$\n\
         begin\n  \
           if new.updated_at is not distinct from old.updated_at then\n    \
             new.updated_at := clock_timestamp();\n  \
           end if;\n  \
           return new;\n\
         end $$"
            .to_owned(),
        "create function cogwheel_refuse_update() returns trigger language plpgsql as $$\n\
         begin\n  \
           raise exception 'this change of % is refused', tg_table_name using errcode = 'integrity_constraint_violation';\n\
         end $$"
            .to_owned(),
    ]
}

pub(super) fn drop_functions() -> Vec<String> {
    vec!["drop function cogwheel_refuse_update()".to_owned(), "drop function cogwheel_touch_updated_at()".to_owned()]
}

pub(super) fn create(table: &TableDef, backend: Backend) -> Vec<String> {
    let mut triggers = vec![touch(&table.name, backend)];
    triggers.extend(table.extras.iter().flat_map(|extra| match extra {
        Extra::RefuseUpdate { name, when } => vec![refuse(&table.name, name, when.as_deref(), backend)],
        Extra::Keep { lease } => super::keep::create(&table.name, lease, backend),
        _ => Vec::new(),
    }));
    triggers
}

/// The statement that makes a table refuse updates.
pub(super) fn add(table: &str, refusal: &Refusal, backend: Backend) -> String {
    refuse(table, &refusal.name, Some(&refusal.when), backend)
}

/// The statement that makes a table refuse them no more.
pub(super) fn remove(table: &str, refusal: &Refusal, backend: Backend) -> String {
    let of_table = if backend == Backend::Postgres { format!(" on {table}") } else { String::new() };
    format!("drop trigger trg_{table}_{}{of_table}", refusal.name)
}

fn touch(table: &str, backend: Backend) -> String {
    match backend {
        Backend::Postgres => format!(
            "create trigger trg_{table}_updated_at before update on {table} \
             for each row execute function cogwheel_touch_updated_at()"
        ),
        Backend::Sqlite => format!(
            "create trigger trg_{table}_updated_at after update on {table} \
             for each row when new.updated_at is old.updated_at begin \
             update {table} set updated_at = {SQLITE_NOW} where rowid = new.rowid; end"
        ),
    }
}

fn refuse(table: &str, name: &str, when: Option<&str>, backend: Backend) -> String {
    let when = when.map_or_else(String::new, |condition| format!(" when ({condition})"));
    match backend {
        Backend::Postgres => format!(
            "create trigger trg_{table}_{name} before update on {table} \
             for each row{when} execute function cogwheel_refuse_update()"
        ),
        Backend::Sqlite => format!(
            "create trigger trg_{table}_{name} before update on {table} \
             for each row{when} begin select raise(abort, 'this change of {table} is refused'); end"
        ),
    }
}
