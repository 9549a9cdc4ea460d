//! Full-text search: a generated `tsvector` on PostgreSQL, FTS5 tables on SQLite.

use crate::def::{Backend, Extra, SearchDef, TableDef};

/// A `tsvector` may hold 1 MB; longer text is searchable by its beginning.
const SEARCHED_CHARACTERS: u32 = 200_000;

pub(super) fn create(table: &TableDef, backend: Backend) -> Vec<String> {
    let Some(search) = find(table) else { return Vec::new() };
    match backend {
        Backend::Postgres => postgres(table, search),
        Backend::Sqlite => sqlite(table, search),
    }
}

/// Drops the FTS5 tables; PostgreSQL drops column and index with the table.
pub(super) fn drop(table: &TableDef) -> Vec<String> {
    let Some(search) = find(table) else { return Vec::new() };
    sqlite_tables(table, search).iter().map(|fts| format!("drop table {}", fts.name)).collect()
}

pub(super) fn postgres_column(table: &TableDef) -> Option<String> {
    let parts: Vec<_> = find(table)?
        .columns
        .iter()
        .map(|(column, weight)| {
            let text = format!("left(coalesce({column}, ''), {SEARCHED_CHARACTERS})");
            format!("setweight(to_tsvector('simple', {text}), '{weight}')")
        })
        .collect();
    Some(format!("search_vector tsvector generated always as ({}) stored", parts.join(" || ")))
}

fn postgres(table: &TableDef, search: &SearchDef) -> Vec<String> {
    let name = &table.name;
    let mut statements = vec![format!("create index idx_{name}_search_vector on {name} using gin (search_vector)")];
    if let Some(column) = &search.partial_words {
        // The extension is the installation's choice, and may lie outside the search path; without it a
        // search by part of a name scans the tenant.
        statements.push(format!(
            "do $$ begin if exists (select 1 from pg_extension where extname = 'pg_trgm') then \
             create index idx_{name}_{column}_trgm on {name} using gin ({column} gin_trgm_ops); end if; \
             exception when undefined_object then null; end $$"
        ));
    }
    statements
}

fn find(table: &TableDef) -> Option<&SearchDef> {
    table.extras.iter().find_map(|extra| match extra {
        Extra::Search(search) => Some(search),
        _ => None,
    })
}

/// An FTS5 table over columns of an ordinary one.
struct Fts<'a> {
    name: String,
    columns: Vec<&'a str>,
    tokenizer: &'static str,
    rank: String,
}

fn sqlite_tables<'a>(table: &TableDef, search: &'a SearchDef) -> Vec<Fts<'a>> {
    let weights: Vec<_> = search.columns.iter().map(|(_, weight)| bm25_weight(*weight)).collect();
    let mut tables = vec![Fts {
        name: format!("{}_fts", table.name),
        columns: search.columns.iter().map(|(column, _)| column.as_str()).collect(),
        tokenizer: "unicode61",
        rank: format!("bm25({})", weights.join(", ")),
    }];
    if let Some(column) = &search.partial_words {
        tables.push(Fts {
            name: format!("{}_{column}_fts", table.name),
            columns: vec![column],
            tokenizer: "trigram",
            rank: "bm25(1.0)".to_owned(),
        });
    }
    tables
}

/// The factors that PostgreSQL's ranking gives the four weights.
fn bm25_weight(weight: char) -> &'static str {
    match weight {
        'A' => "10.0",
        'B' => "4.0",
        'C' => "2.0",
        _ => "1.0",
    }
}

fn sqlite(table: &TableDef, search: &SearchDef) -> Vec<String> {
    sqlite_tables(table, search).iter().flat_map(|fts| sqlite_statements(&table.name, fts)).collect()
}

/// The FTS5 table keeps no text of its own; triggers tell it what was there and what is.
fn sqlite_statements(table: &str, fts: &Fts<'_>) -> Vec<String> {
    let name = &fts.name;
    let columns = fts.columns.join(", ");
    let of = |row: &str| {
        let values: Vec<_> = fts.columns.iter().map(|column| format!("{row}.{column}")).collect();
        format!("{row}.rowid, {}", values.join(", "))
    };
    let add = format!("insert into {name} (rowid, {columns}) values ({});", of("new"));
    let remove = format!("insert into {name} ({name}, rowid, {columns}) values ('delete', {});", of("old"));
    vec![
        format!(
            "create virtual table {name} using fts5({columns}, content='{table}', content_rowid='rowid', \
             tokenize='{}')",
            fts.tokenizer
        ),
        format!("insert into {name} ({name}, rank) values ('rank', '{}')", fts.rank),
        format!("create trigger trg_{name}_insert after insert on {table} begin {add} end"),
        format!("create trigger trg_{name}_delete after delete on {table} begin {remove} end"),
        format!("create trigger trg_{name}_update after update of {columns} on {table} begin {remove} {add} end"),
    ]
}
