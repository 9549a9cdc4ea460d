//! Roles, grants and row-level security of PostgreSQL.
//!
//! The owner migrates, `cogwheel_app` serves requests and sees one tenant, `cogwheel_engine` sees all rows.

use crate::def::{Extra, Shape, TableDef};

/// The tenant a transaction acts for; NULL, so no rows, where none is set.
const CURRENT_TENANT: &str = "nullif(current_setting('cogwheel.tenant_id', true), '')::uuid";

const ROLES: [&str; 2] = ["cogwheel_app", "cogwheel_engine"];

/// Creates the roles where they are missing and lets the migrating role act as them.
///
/// Roles belong to the cluster: other databases may use them, and another migration may create them at
/// the same moment, hence the tolerated errors, and hence nothing ever drops them. An owner that may not
/// create or hand out the roles can still migrate once an administrator has made them; the server then
/// signs in as a member of them.
pub(super) fn roles() -> Vec<String> {
    let create = ROLES.map(|role| {
        format!(
            "do $$ begin \
             if (select count(*) from pg_roles where rolname = '{role}') = 0 then create role {role} nologin; end if; \
             exception \
             when duplicate_object or unique_violation then null; \
             when insufficient_privilege then \
             raise exception 'the role {role} is missing and % may not create it: \
             run \"create role {role} nologin\" as an administrator first', current_user; end $$"
        )
    });
    let join = ROLES.map(|role| {
        format!(
            "do $$ begin \
             if not (select rolsuper from pg_roles where rolname = current_user) \
             and not pg_has_role(current_user, '{role}', 'usage') \
             then execute format('grant {role} to %I', current_user); end if; \
             exception when unique_violation or insufficient_privilege then null; end $$"
        )
    });
    [create, join].concat()
}

pub(super) fn create(table: &TableDef) -> Vec<String> {
    let name = &table.name;
    let mut statements = vec![format!("grant select, insert, update, delete on {name} to cogwheel_engine")];
    if table.shape != Shape::Global {
        statements.push(format!("grant {} on {name} to cogwheel_app", request_rights(table)));
        statements.push(format!("alter table {name} enable row level security"));
        statements.push(format!(
            "create policy tenant_isolation on {name} to cogwheel_app using (tenant_id = {CURRENT_TENANT})"
        ));
        statements.push(engine_policy(name));
    }
    for extra in &table.extras {
        match extra {
            Extra::PublicRead(condition) => statements
                .push(format!("create policy public_read on {name} for select to cogwheel_app using ({condition})")),
            Extra::Reveals(column) => statements.extend(reveal(table, column)),
            _ => {}
        }
    }
    statements
}

/// What a request may do with rows of its tenant; those that never change are removed by retention only.
fn request_rights(table: &TableDef) -> &'static str {
    let immutable = table.extras.iter().any(|extra| matches!(extra, Extra::RefuseUpdate { when: None, .. }));
    if immutable { "select, insert" } else { "select, insert, update, delete" }
}

/// Removes what a table put on others; its own policies and grants go with it.
pub(super) fn drop(table: &TableDef) -> Vec<String> {
    let mut statements = Vec::new();
    for extra in &table.extras {
        if let Extra::Reveals(column) = extra
            && let Some(parent) = target(table, column)
        {
            statements.push(format!("drop policy engine_all_rows on {parent}"));
            statements.push(format!("drop policy tenant_isolation on {parent}"));
            statements.push(format!("alter table {parent} disable row level security"));
            statements.push(format!("revoke select on {parent} from cogwheel_app"));
        }
    }
    statements
}

/// The policy reads this table under its own policy, so the sub-query sees rows of the current tenant only.
fn reveal(table: &TableDef, column: &str) -> Vec<String> {
    let Some(parent) = target(table, column) else { return Vec::new() };
    let name = &table.name;
    vec![
        format!("grant select on {parent} to cogwheel_app"),
        format!("alter table {parent} enable row level security"),
        format!(
            "create policy tenant_isolation on {parent} for select to cogwheel_app \
             using (exists (select 1 from {name} where {name}.{column} = {parent}.id))"
        ),
        engine_policy(parent),
    ]
}

fn engine_policy(table: &str) -> String {
    format!("create policy engine_all_rows on {table} to cogwheel_engine using (true)")
}

fn target<'a>(table: &'a TableDef, column: &str) -> Option<&'a str> {
    table.foreign_keys.iter().find(|key| key.column == column).map(|key| key.target.as_str())
}
