//! Checks on synthetic rows that each declared query uses its index; user data is not touched.
//!
//! The live definitions of tables and indexes are copied into a scratch place, so that an index which
//! was dropped or changed is missed there too.

mod fill;
mod patterns;
mod postgres;
mod sqlite;

use std::collections::{BTreeMap, BTreeSet};

use cogwheel_schema::{Backend, LiveSchema, TableDef};
use sea_orm::{DatabaseConnection, DbErr, ExecResult};

use super::report::{Figures, Finding, Part};
use super::{VerifyError, while_doing};
use fill::Fill;
use patterns::Pattern;

/// Synthetic rows in each table; parents have [`CHILDREN`] of them.
const ROWS: u32 = 4000;

/// Rows that refer to one parent.
const CHILDREN: u32 = 40;

/// A query the code sends, and the index it relies on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredQuery {
    /// A name for findings: `claim_due_schedules`.
    pub name: &'static str,
    /// The table whose access is looked at.
    pub table: &'static str,
    /// The statement for SQLite, parameters as `?`.
    pub sqlite: String,
    /// The statement for PostgreSQL, parameters as `$1`.
    pub postgres: String,
    /// The index the plan must name.
    pub index: &'static str,
}

/// How a plan reaches its rows.
#[derive(Debug, Default)]
struct Access {
    /// Indexes it uses.
    indexes: BTreeSet<String>,
    /// Whether it reads a whole table.
    scans: bool,
    /// Whether it sorts instead of reading in order.
    sorts: bool,
    /// The plan as the database prints it.
    text: String,
}

/// Tables whose live definition takes no synthetic rows, and why.
#[derive(Debug, Default)]
struct Unfilled(BTreeMap<String, String>);

impl Unfilled {
    fn note(&mut self, fill: &Fill, result: Result<ExecResult, DbErr>) {
        if let Err(error) = result {
            self.0.insert(fill.table.clone(), error.to_string());
        }
    }

    fn why(&self, pattern: &Pattern) -> Option<String> {
        self.0.get(&pattern.table).map(|error| format!("the table takes no rows of the declared form: {error}"))
    }
}

/// Explains every declared query in a filled copy of the schema.
pub(super) async fn check(
    db: &DatabaseConnection,
    backend: Backend,
    declared: &[TableDef],
    live: &LiveSchema,
    queries: &[DeclaredQuery],
    figures: &mut Figures,
) -> Result<Vec<Finding>, VerifyError> {
    let fills = fill::statements(backend, declared, live);
    let mut patterns = patterns::implied(backend, declared, live);
    patterns.extend(queries.iter().map(|query| patterns::registered(backend, query)));
    let plans = match backend {
        Backend::Sqlite => sqlite::explain(db, live, &fills, &patterns).await,
        Backend::Postgres => postgres::explain(db, live, &fills, &patterns).await,
    };
    let plans = plans.map_err(while_doing("explaining queries on synthetic rows"))?;
    figures.plans_checked = plans.len();
    Ok(patterns.iter().zip(plans).filter_map(|(pattern, access)| judge(backend, pattern, access, live)).collect())
}

fn judge(backend: Backend, pattern: &Pattern, access: Result<Access, String>, live: &LiveSchema) -> Option<Finding> {
    let finding = |why: String| Some(Finding::new(Part::Plans, "index_not_used", &pattern.table, &pattern.name, why));
    let access = match access {
        Ok(access) => access,
        Err(error) => return finding(format!("the query cannot be planned: {error}; query: {}", pattern.sql)),
    };
    let indexes = live.tables.get(&pattern.table).map(|table| &table.indexes);
    let plan = || format!("plan: {}; query: {}", access.text, pattern.sql);
    let Some(index) = &pattern.index else {
        // A look-up by foreign key: any index will do.
        return if access.scans || access.indexes.is_empty() {
            finding(format!("the look-up by this foreign key reads the whole table; {}", plan()))
        } else {
            None
        };
    };
    let Some(held) = indexes.and_then(|indexes| indexes.get(index)) else {
        return finding(format!("index {index} does not exist; {}", plan()));
    };
    let named = access.indexes.contains(index);
    let same_lead = |name: &String| {
        let other = indexes.and_then(|indexes| indexes.get(name));
        other.is_some_and(|other| other.columns.first() == held.columns.first())
    };
    let good = match backend {
        Backend::Sqlite => named && !(pattern.ordered && access.sorts),
        // PostgreSQL weighs costs: it may rightly take another index that starts alike, and sort few rows.
        Backend::Postgres => named || access.indexes.iter().any(same_lead),
    };
    if good && !access.scans { None } else { finding(format!("index {index} is not used as declared; {}", plan())) }
}
