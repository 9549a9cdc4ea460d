//! The queries that declared indexes and foreign keys imply.

use cogwheel_schema::compare::KEYS_WITHOUT_INDEX;
use cogwheel_schema::{Backend, ColumnType, ForeignKeyDef, IndexDef, LiveSchema, TableDef};

use super::DeclaredQuery;

/// Rows a page of a list holds at most.
const PAGE: u32 = 100;

/// The parameters a declared query has at most.
const MOST_PARAMETERS: usize = 99;

/// One query and what its plan must use.
pub(super) struct Pattern {
    /// What a finding is named by: the index, the foreign key or the registered query.
    pub(super) name: String,
    pub(super) table: String,
    pub(super) sql: String,
    /// How many parameters the query has.
    pub(super) parameters: usize,
    /// The index it must use; `None` for any that spares reading the whole table.
    pub(super) index: Option<String>,
    /// Whether the index must also give the order.
    pub(super) ordered: bool,
}

/// One query per declared index, and one look-up per foreign key.
pub(super) fn implied(backend: Backend, declared: &[TableDef], live: &LiveSchema) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    for table in declared.iter().filter(|table| live.tables.contains_key(&table.name)) {
        patterns.extend(table.indexes.iter().map(|index| served(backend, table, index)));
        let keys = table
            .foreign_keys
            .iter()
            .filter(|key| !KEYS_WITHOUT_INDEX.contains(&(table.name.as_str(), key.column.as_str())));
        patterns.extend(keys.map(|key| look_up(backend, table, key)));
    }
    patterns
}

/// A query that the code declared itself.
pub(super) fn registered(backend: Backend, query: &DeclaredQuery) -> Pattern {
    let sql = if backend == Backend::Sqlite { &query.sqlite } else { &query.postgres };
    let parameters = (1..=MOST_PARAMETERS).take_while(|n| sql.contains(&format!("${n}"))).count();
    Pattern {
        name: query.name.to_owned(),
        table: query.table.to_owned(),
        sql: sql.to_owned(),
        parameters,
        index: Some(query.index.to_owned()),
        ordered: false,
    }
}

fn look_up(backend: Backend, table: &TableDef, key: &ForeignKeyDef) -> Pattern {
    let sql = format!("select * from {} where {} = {}", table.name, key.column, placeholder(backend, 1));
    let name = format!("fk_{}_{}", table.name, key.column);
    Pattern { name, table: table.name.clone(), sql, parameters: 1, index: None, ordered: false }
}

/// A unique index serves the look-up of one row, another one a page in its order.
fn served(backend: Backend, table: &TableDef, index: &IndexDef) -> Pattern {
    let bare = |column: &String| column.trim_end_matches(" desc").to_owned();
    let descends = index.columns.first().is_some_and(|column| column.ends_with(" desc"));
    let is_instant = |name: &str| {
        table.columns.iter().any(|column| column.name == name && column.column_type == ColumnType::Instant)
    };
    let due = index.columns.first().is_some_and(|column| is_instant(column));
    let (equal, order): (&[String], &[String]) = match (index.unique, descends || due) {
        (true, _) => (&index.columns, &[]),
        (false, true) => (&[], &index.columns),
        (false, false) => index.columns.split_at(1),
    };
    let mut conditions: Vec<String> = equal
        .iter()
        .enumerate()
        .map(|(n, column)| format!("{} = {}", bare(column), placeholder(backend, n + 1)))
        .collect();
    if due && !index.unique {
        conditions.push(format!("{} <= {}", bare(&index.columns[0]), placeholder(backend, 1)));
    }
    let parameters = conditions.len();
    conditions.extend(index.predicate.iter().map(|predicate| format!("({predicate})")));
    let mut sql = format!("select * from {}", table.name);
    if !conditions.is_empty() {
        sql = format!("{sql} where {}", conditions.join(" and "));
    }
    if !order.is_empty() {
        sql = format!("{sql} order by {} limit {PAGE}", order.join(", "));
    }
    Pattern {
        name: index.name.clone(),
        table: table.name.clone(),
        sql,
        parameters,
        index: Some(index.name.clone()),
        ordered: !order.is_empty(),
    }
}

fn placeholder(backend: Backend, number: usize) -> String {
    match backend {
        Backend::Sqlite => "?".to_owned(),
        Backend::Postgres => format!("${number}"),
    }
}

#[cfg(test)]
mod tests {
    use cogwheel_schema::build::{index, instant, int, std, unique};

    use super::*;

    #[test]
    fn queries_follow_from_indexes() {
        let table = std("t").columns([int("a"), int("b"), instant("due_at")]);
        let sql = |index: IndexDef| served(Backend::Postgres, &table, &index).sql;
        assert_eq!(sql(unique("u", "a, b")), "select * from t where a = $1 and b = $2");
        assert_eq!(sql(index("i", "a, b desc")), "select * from t where a = $1 order by b desc limit 100");
        assert_eq!(
            sql(index("i", "a desc, b").partial("b > 1")),
            "select * from t where (b > 1) order by a desc, b limit 100"
        );
        assert_eq!(sql(index("i", "due_at")), "select * from t where due_at <= $1 order by due_at limit 100");
    }
}
