//! Explains queries in an SQLite database in memory.

use cogwheel_schema::LiveSchema;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, Statement};

use super::fill::Fill;
use super::patterns::Pattern;
use super::{Access, Unfilled};

/// The plans of all patterns, in their order; a query that cannot be planned gives its error.
pub(super) async fn explain(
    db: &DatabaseConnection,
    live: &LiveSchema,
    fills: &[Fill],
    patterns: &[Pattern],
) -> Result<Vec<Result<Access, String>>, DbErr> {
    let mut options = ConnectOptions::new("sqlite::memory:");
    options.max_connections(1).sqlx_logging(false);
    let memory = Database::connect(options).await?;
    let query = "select type, name, tbl_name, sql from sqlite_schema where sql is not null order by type <> 'table'";
    let mut plain_indexes = Vec::new();
    memory.execute_unprepared("pragma foreign_keys = off; pragma ignore_check_constraints = on").await?;
    for row in db.query_all_raw(Statement::from_string(DbBackend::Sqlite, query)).await? {
        let (kind, table): (String, String) = (row.try_get_by_index(0)?, row.try_get_by_index(2)?);
        let sql: String = row.try_get_by_index(3)?;
        let copied = live.tables.get(&table).is_some_and(|table| table.virtual_definition.is_none());
        match kind.as_str() {
            // Unique indexes stand before the rows, since they decide which rows are possible.
            "index"
                if copied
                    && !live.tables[&table]
                        .indexes
                        .get(&row.try_get_by_index::<String>(1)?)
                        .is_some_and(|index| index.unique) =>
            {
                plain_indexes.push(sql);
            }
            "table" | "index" if copied => {
                memory.execute_unprepared(&sql).await?;
            }
            _ => {}
        }
    }
    memory.execute_unprepared("begin").await?;
    let mut unfilled = Unfilled::default();
    for fill in fills {
        unfilled.note(fill, memory.execute_unprepared(&fill.sql).await);
    }
    memory.execute_unprepared(&format!("{}; commit; analyze", plain_indexes.join("; "))).await?;
    let mut plans = Vec::with_capacity(patterns.len());
    for pattern in patterns {
        if let Some(error) = unfilled.why(pattern) {
            plans.push(Err(error));
            continue;
        }
        let statement = Statement::from_string(DbBackend::Sqlite, format!("explain query plan {}", pattern.sql));
        plans.push(match memory.query_all_raw(statement).await {
            Ok(rows) => Ok(read(&rows.iter().map(|row| row.try_get_by_index(3)).collect::<Result<Vec<String>, _>>()?)),
            Err(error) => Err(error.to_string()),
        });
    }
    memory.close().await?;
    Ok(plans)
}

/// Reads lines such as `SEARCH t USING INDEX idx_t_a (a=?)` and `USE TEMP B-TREE FOR ORDER BY`.
fn read(lines: &[String]) -> Access {
    let mut access = Access { text: lines.join(" / "), ..Access::default() };
    let made = |line: &'_ String| {
        ["CO-ROUTINE ", "MATERIALIZE "].iter().find_map(|word| line.strip_prefix(word).map(str::to_owned))
    };
    let mut subqueries: Vec<String> = lines.iter().filter_map(made).collect();
    subqueries.push("CONSTANT ROW".to_owned());
    for line in lines {
        access.sorts |= line.contains("TEMP B-TREE");
        let scanned = line.strip_prefix("SCAN ");
        match line.split_once("INDEX ") {
            Some((_, rest)) => access.indexes.extend(rest.split(' ').next().map(str::to_owned)),
            None => access.scans |= scanned.is_some_and(|name| !subqueries.iter().any(|known| known == name)),
        }
    }
    access
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn plan_lines_are_understood() {
        let plan = |line: &str| read(&[line.to_owned()]);
        assert!(plan("SEARCH t USING COVERING INDEX idx_t_a (a=?)").indexes.contains("idx_t_a"));
        assert!(!plan("SCAN t USING INDEX idx_t_a").scans);
        assert!(plan("SCAN t").scans);
        assert!(!plan("SCAN CONSTANT ROW").scans);
        assert!(!read(&["CO-ROUTINE (subquery-3)".to_owned(), "SCAN (subquery-3)".to_owned()]).scans);
        assert!(plan("USE TEMP B-TREE FOR LAST TERM OF ORDER BY").sorts);
    }
}
