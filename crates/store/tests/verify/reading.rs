//! What is read from SQLite's stored statements is what SQLite itself makes of them.

use std::collections::{BTreeMap, BTreeSet};

use cogwheel_schema::{Backend, LiveSchema, live};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use crate::databases::Template;

#[tokio::test]
async fn columns_keys_and_indexes_are_those_sqlite_knows() {
    let template = Template::sqlite().await;
    let copy = template.copy().await;
    let db = copy.open().await;
    let schema = live::read(&db, Backend::Sqlite).await.unwrap();
    assert_same(&columns(&schema), &lines(&db, COLUMNS).await);
    assert_same(&foreign_keys(&schema), &lines(&db, FOREIGN_KEYS).await);
    assert_same(&indexes(&schema), &lines(&db, INDEXES).await);
    db.close().await.unwrap();
}

fn assert_same(read: &BTreeSet<String>, known: &BTreeSet<String>) {
    let differences: Vec<_> = read.symmetric_difference(known).collect();
    assert!(!read.is_empty() && differences.is_empty(), "{differences:#?}");
}

const COLUMNS: &str = "select m.name || '.' || x.name || ' ' || lower(x.type) || ' ' || x.\"notnull\" || ' ' || x.pk || ' ' || (x.hidden > 0) \
    from sqlite_schema m, pragma_table_xinfo(m.name) x where m.type = 'table'";

const FOREIGN_KEYS: &str = "select m.name || '.' || k.\"from\" || ' ' || k.\"table\" || '.' || k.\"to\" || ' ' || k.on_delete \
    from sqlite_schema m, pragma_foreign_key_list(m.name) k where m.type = 'table'";

const INDEXES: &str = "select m.name || '.' || i.name || ' ' || i.\"unique\" || ' ' || i.partial || ' ' || \
    (select group_concat(coalesce(x.name, '()') || x.desc, ', ') from pragma_index_xinfo(i.name) x where x.key) \
    from sqlite_schema m, pragma_index_list(m.name) i where m.type = 'table' and i.origin = 'c'";

/// The rows that concern the tables of the schema, by table.
async fn lines(db: &DatabaseConnection, query: &str) -> BTreeSet<String> {
    let rows = db.query_all_raw(Statement::from_string(DbBackend::Sqlite, query)).await.unwrap();
    let other = |line: &String| {
        ["sqlite_", "seaql_migrations", "files_fts", "files_filename_fts"].iter().any(|name| line.starts_with(name))
    };
    rows.iter().map(|row| row.try_get_by_index::<String>(0).unwrap()).filter(|line| !other(line)).collect()
}

fn columns(schema: &LiveSchema) -> BTreeSet<String> {
    let of_table = |(name, table): (&String, &live::LiveTable)| {
        let positions: BTreeMap<_, _> = table.primary_key.iter().zip(1..).collect();
        let line = |(column, held): (&String, &live::LiveColumn)| {
            let position = positions.get(column).unwrap_or(&0);
            let (required, generated) = (u8::from(!held.nullable), u8::from(held.generated.is_some()));
            format!("{name}.{column} {} {required} {position} {generated}", held.data_type)
        };
        table.columns.iter().map(line).collect::<Vec<_>>()
    };
    schema.tables.iter().flat_map(of_table).collect()
}

fn foreign_keys(schema: &LiveSchema) -> BTreeSet<String> {
    let of_table = |(name, table): (&String, &live::LiveTable)| {
        let line = |(column, key): (&String, &live::LiveForeignKey)| {
            format!("{name}.{column} {}.{} {}", key.target_table, key.target_columns.join(", "), key.on_delete)
        };
        table.foreign_keys.iter().map(line).collect::<Vec<_>>()
    };
    schema.tables.iter().flat_map(of_table).collect()
}

fn indexes(schema: &LiveSchema) -> BTreeSet<String> {
    let part = |column: &String| {
        let bare = column.trim_end_matches(" DESC");
        let shown = if bare.contains('(') { "()" } else { bare };
        format!("{shown}{}", u8::from(bare.len() < column.len()))
    };
    let of_table = |(name, table): (&String, &live::LiveTable)| {
        let line = |(index, held): (&String, &live::LiveIndex)| {
            let parts: Vec<String> = held.columns.iter().map(part).collect();
            let (unique, partial) = (u8::from(held.unique), u8::from(held.predicate.is_some()));
            format!("{name}.{index} {unique} {partial} {}", parts.join(", "))
        };
        table.indexes.iter().map(line).collect::<Vec<_>>()
    };
    schema.tables.iter().flat_map(of_table).collect()
}
