//! Statements that fill a table with synthetic rows, set by set.
//!
//! Row `n` has the id `n`. Four tenants share a table, forty rows a parent; true booleans and rare words
//! are one row in ten, nullable columns that an index reads are NULL in one row of three, everything else
//! differs by row.

use std::collections::BTreeMap;

use cogwheel_schema::live::LiveColumn;
use cogwheel_schema::{Backend, ColumnDef, ColumnType, LiveSchema, TableDef};

use super::{CHILDREN, ROWS};

/// Tenants among which the rows of a table are divided: few, so that a list holds many pages.
const TENANTS: u32 = 4;

/// The statement that fills one table.
pub(super) struct Fill {
    pub(super) table: String,
    pub(super) sql: String,
}

/// One `insert` per declared table that exists; rows that break a unique index are skipped.
pub(super) fn statements(backend: Backend, declared: &[TableDef], live: &LiveSchema) -> Vec<Fill> {
    let fill = |table: &TableDef| {
        let present = &live.tables.get(&table.name)?.columns;
        Some(Fill { table: table.name.clone(), sql: insert(backend, table, present) })
    };
    declared.iter().filter_map(fill).collect()
}

fn insert(backend: Backend, table: &TableDef, present: &BTreeMap<String, LiveColumn>) -> String {
    let (names, values): (Vec<&str>, Vec<String>) = table
        .columns
        .iter()
        .enumerate()
        .filter(|(_, column)| {
            present.contains_key(&column.name) && !matches!(column.column_type, ColumnType::Rank { .. })
        })
        .filter(|(_, column)| !column.nullable || is_indexed(table, &column.name))
        .map(|(position, column)| (column.name.as_str(), nullable(column, position, value(backend, table, column))))
        .unzip();
    let (names, values, last) = (names.join(", "), values.join(", "), ROWS - 1);
    match backend {
        Backend::Sqlite => format!(
            "insert or ignore into {} ({names}) with recursive rows(n) as (select 0 union all select n + 1 from rows \
             where n < {last}) select {values} from rows",
            table.name
        ),
        Backend::Postgres => {
            format!(
                "insert into {} ({names}) select {values} from generate_series(0, {last}) n on conflict do nothing",
                table.name
            )
        }
    }
}

fn is_indexed(table: &TableDef, column: &str) -> bool {
    let names = |text: &str| text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == column);
    table.indexes.iter().any(|index| {
        index.columns.iter().any(|part| names(part)) || index.predicate.as_ref().is_some_and(|text| names(text))
    })
}

fn nullable(column: &ColumnDef, position: usize, value: String) -> String {
    if column.nullable { format!("case when (n + {position}) % 3 > 0 then {value} end") } else { value }
}

fn value(backend: Backend, table: &TableDef, column: &ColumnDef) -> String {
    let sqlite = backend == Backend::Sqlite;
    match &column.column_type {
        ColumnType::Uuid => uuid(backend, &row_referred_to(table, &column.name)),
        ColumnType::Instant if sqlite => {
            "strftime('%Y-%m-%dT%H:%M:%S+00:00', 1767225600 + n * 60, 'unixepoch')".to_owned()
        }
        ColumnType::Instant => "timestamptz '2026-01-01 00:00+00' + n * interval '1 minute'".to_owned(),
        ColumnType::Date if sqlite => "date('2016-01-01', '+' || n || ' days')".to_owned(),
        ColumnType::Date => "date '2016-01-01' + n".to_owned(),
        ColumnType::Varchar(length) | ColumnType::Char(length) if *length < 6 => {
            format!("substr('v' || (n % 90 + 10), 1, {length})")
        }
        ColumnType::Varchar(_) | ColumnType::Char(_) | ColumnType::Text => "'v' || n".to_owned(),
        ColumnType::SmallInt | ColumnType::Decimal(..) => "n % 9".to_owned(),
        ColumnType::Int | ColumnType::BigInt | ColumnType::Money => "n".to_owned(),
        ColumnType::Bool if sqlite => "n % 10 = 0".to_owned(),
        ColumnType::Bool => "(n % 10 = 0)".to_owned(),
        ColumnType::Json if sqlite => "'{}'".to_owned(),
        ColumnType::Json => "'{}'::jsonb".to_owned(),
        ColumnType::Bytes if sqlite => "cast('v' || n as blob)".to_owned(),
        ColumnType::Bytes => "convert_to('v' || n, 'UTF8')".to_owned(),
        ColumnType::Enum(words) | ColumnType::Rank { words, .. } => word(words),
    }
}

fn uuid(backend: Backend, number: &str) -> String {
    match backend {
        Backend::Sqlite => format!("cast(printf('%016d', {number}) as blob)"),
        Backend::Postgres => format!("lpad(to_hex({number}), 32, '0')::uuid"),
    }
}

/// The number of the row that a uuid column names: the row itself, or that of a parent.
fn row_referred_to(table: &TableDef, column: &str) -> String {
    if column == "tenant_id" {
        return format!("n / {} % {TENANTS}", ROWS / CHILDREN);
    }
    let Some(position) = table.foreign_keys.iter().position(|key| key.column == column) else { return "n".to_owned() };
    let one_to_one =
        table.indexes.iter().any(|index| index.unique && index.predicate.is_none() && index.columns == [column]);
    if one_to_one {
        "n".to_owned()
    } else if position % 2 == 0 {
        format!("n / {CHILDREN}")
    } else {
        // With the other form, two keys of one row are a pair that no other row has.
        format!("n % {}", ROWS / CHILDREN)
    }
}

/// The word in the middle of the list is the common one, as final states stand behind live ones.
fn word(words: &[String]) -> String {
    let common = words.len() / 2;
    let cases: Vec<String> = words.iter().enumerate().map(|(n, word)| format!("when {n} then '{word}'")).collect();
    format!(
        "case when n % 10 > 2 then '{}' else case (n / 10) % {} {} end end",
        words[common],
        words.len(),
        cases.join(" ")
    )
}
