//! Reads a schema from the statements SQLite keeps in `sqlite_schema`.
//!
//! They are the database's own truth: the engine parses them each time it opens the file, and
//! `alter table` rewrites them. Names of constraints exist nowhere else.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use super::sql::{self, Token};
use super::{LiveIndex, LiveSchema, LiveTable, RUNNER_TABLE};

const SHADOWS: [&str; 5] = ["config", "content", "data", "docsize", "idx"];

/// Reads the whole database with one query.
pub(super) async fn read(conn: &impl ConnectionTrait) -> Result<LiveSchema, DbErr> {
    let query = "select json_group_array(json_array(type, name, tbl_name, sql)) from sqlite_schema";
    let row = conn.query_one_raw(Statement::from_string(DbBackend::Sqlite, query)).await?;
    let text: String =
        row.ok_or_else(|| DbErr::RecordNotFound("an aggregate gave no row".to_owned()))?.try_get_by_index(0)?;
    let objects: Vec<(String, String, String, Option<String>)> =
        serde_json::from_str(&text).map_err(|error| DbErr::Type(format!("cannot read the catalogue: {error}")))?;
    let mut live = LiveSchema::default();
    for (kind, name, _, sql) in &objects {
        if kind == "table" && !is_internal(name) {
            let table = parse_table(sql.as_deref().unwrap_or_default()).map_err(|why| unreadable(name, &why))?;
            live.tables.insert(name.clone(), table);
        }
    }
    drop_shadows(&mut live);
    for (kind, name, table, sql) in &objects {
        let (Some(table), Some(sql)) = (live.tables.get_mut(table), sql) else { continue };
        match kind.as_str() {
            "index" => {
                let index = parse_index(sql).map_err(|why| unreadable(name, &why))?;
                table.indexes.insert(name.clone(), index);
            }
            "trigger" => {
                table
                    .triggers
                    .insert(name.clone(), sql::canonical(&sql::tokens(sql).map_err(|why| unreadable(name, &why))?));
            }
            _ => {}
        }
    }
    Ok(live)
}

fn is_internal(name: &str) -> bool {
    name == RUNNER_TABLE || name.starts_with("sqlite_")
}

fn unreadable(name: &str, why: &str) -> DbErr {
    DbErr::Type(format!("cannot read the definition of {name}: {why}"))
}

fn drop_shadows(live: &mut LiveSchema) {
    let shadows: Vec<String> = live
        .tables
        .iter()
        .filter(|(_, table)| table.virtual_definition.as_ref().is_some_and(|text| text.contains("using fts5")))
        .flat_map(|(name, _)| SHADOWS.map(|suffix| format!("{name}_{suffix}")))
        .collect();
    for shadow in shadows {
        live.tables.remove(&shadow);
    }
}

fn parse_table(sql: &str) -> Result<LiveTable, String> {
    let tokens = sql::tokens(sql)?;
    if tokens.get(1).is_some_and(|token| token.is("virtual")) {
        return Ok(LiveTable { virtual_definition: Some(sql::canonical(&tokens)), ..LiveTable::default() });
    }
    sql::create_table(&tokens)
}

fn parse_index(sql: &str) -> Result<LiveIndex, String> {
    let tokens = sql::tokens(sql)?;
    let unique = tokens.get(1).is_some_and(|token| token.is("unique"));
    let open = tokens.iter().position(|token| token.is("(")).ok_or("it has no column list")?;
    let close = sql::closing(&tokens, open)?;
    let columns = sql::split(&tokens[open + 1..close]).into_iter().map(index_part).collect();
    let predicate =
        tokens.get(close + 1).is_some_and(|token| token.is("where")).then(|| sql::canonical(&tokens[close + 2..]));
    Ok(LiveIndex { columns, unique, predicate, method: "btree".to_owned() })
}

fn index_part(tokens: &[Token]) -> String {
    match tokens.split_last() {
        Some((last, rest)) if last.is("desc") => format!("{} DESC", sql::canonical(rest)),
        Some((last, rest)) if last.is("asc") => sql::canonical(rest),
        _ => sql::canonical(tokens),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_reads_as_columns_order_and_predicate() {
        let index = parse_index(
            "CREATE UNIQUE INDEX \"uq_a\" ON t (coalesce(a, 'x, y'), b DESC,\n c asc) WHERE status IN ('A', 'b') AND \
             c is not null",
        );
        let expected = LiveIndex {
            columns: vec!["coalesce(a, 'x, y')".to_owned(), "b DESC".to_owned(), "c".to_owned()],
            unique: true,
            predicate: Some("status in ('A', 'b') and c is not null".to_owned()),
            method: "btree".to_owned(),
        };
        assert_eq!(index, Ok(expected));
    }

    #[test]
    fn shadow_tables_of_full_text_search_are_left_out() {
        let mut live = LiveSchema::default();
        let search = parse_table("create virtual table files_fts using fts5(filename, content='files')").unwrap();
        live.tables.insert("files_fts".to_owned(), search);
        live.tables.insert("files_fts_data".to_owned(), LiveTable::default());
        live.tables.insert("files_more".to_owned(), LiveTable::default());
        drop_shadows(&mut live);
        assert_eq!(live.tables.keys().collect::<Vec<_>>(), ["files_fts", "files_more"]);
    }
}
