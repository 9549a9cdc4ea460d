//! Rows that nothing but retention may remove.

use super::columns::quoted;
use crate::def::Backend;

/// What refuses a delete, and on PostgreSQL a truncation.
///
/// Retention inserts the lease and removes it again in the transaction that deletes, so that nobody else sees it.
pub(super) fn create(table: &str, lease: &str, backend: Backend) -> Vec<String> {
    let seen = format!("exists (select 1 from leases where lease_name = {})", quoted(lease));
    match backend {
        Backend::Postgres => vec![
            format!(
                "create function cogwheel_keep_{table}() returns trigger language plpgsql as $$\n\
                 begin\n  \
                   if {seen} then\n    \
                     return old;\n  \
                   end if;\n  \
                   raise exception 'rows of {table} are removed by retention alone' \
                   using errcode = 'integrity_constraint_violation';\n\
                 end $$"
            ),
            format!(
                "create trigger trg_{table}_keep before delete on {table} \
                 for each row execute function cogwheel_keep_{table}()"
            ),
            format!(
                "create trigger trg_{table}_keep_all before truncate on {table} \
                 for each statement execute function cogwheel_refuse_update()"
            ),
        ],
        Backend::Sqlite => vec![format!(
            "create trigger trg_{table}_keep before delete on {table} \
             for each row when not {seen} begin \
             select raise(abort, 'rows of {table} are removed by retention alone'); end"
        )],
    }
}

/// Lets rows be deleted again.
pub(super) fn drop(table: &str, backend: Backend) -> Vec<String> {
    let mut statements = match backend {
        Backend::Postgres => {
            vec![
                format!("drop trigger trg_{table}_keep_all on {table}"),
                format!("drop trigger trg_{table}_keep on {table}"),
            ]
        }
        Backend::Sqlite => vec![format!("drop trigger trg_{table}_keep")],
    };
    statements.extend(drop_function(table, backend));
    statements
}

/// Removes what no table needs any more.
pub(super) fn drop_function(table: &str, backend: Backend) -> Option<String> {
    (backend == Backend::Postgres).then(|| format!("drop function cogwheel_keep_{table}()"))
}
