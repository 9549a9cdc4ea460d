//! Explains queries in a scratch schema of PostgreSQL, inside a transaction that is rolled back.

use cogwheel_schema::LiveSchema;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, Statement, TransactionTrait,
};

use super::fill::Fill;
use super::patterns::Pattern;
use super::{Access, Unfilled};

const SCHEMA: &str = "cogwheel_plans";

/// The plans of all patterns, in their order; a query that cannot be planned gives its error.
pub(super) async fn explain(
    db: &DatabaseConnection,
    live: &LiveSchema,
    fills: &[Fill],
    patterns: &[Pattern],
) -> Result<Vec<Result<Access, String>>, DbErr> {
    let transaction = db.begin().await?;
    let plans = in_scratch(&transaction, live, fills, patterns).await;
    transaction.rollback().await?;
    plans
}

async fn in_scratch(
    conn: &DatabaseTransaction,
    live: &LiveSchema,
    fills: &[Fill],
    patterns: &[Pattern],
) -> Result<Vec<Result<Access, String>>, DbErr> {
    // Plans are made without knowing the parameters, as for statements prepared once, and with the
    // costs of storage on which reading at random is cheap.
    conn.execute_unprepared(&format!(
        "create schema {SCHEMA}; set local plan_cache_mode = force_generic_plan; set local random_page_cost = 1.1; \
         set local jit = off; \
         set local client_min_messages = error"
    ))
    .await?;
    let mut unique = Vec::new();
    let mut plain = Vec::new();
    let query = "select c.relname::text, n.nspname::text, i.indisunique, pg_get_indexdef(i.indexrelid) from pg_index i \
        join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace \
        where n.nspname = current_schema() and not c.relispartition and not i.indisprimary and i.indisvalid";
    for row in conn.query_all_raw(Statement::from_string(DbBackend::Postgres, query)).await? {
        let (table, schema): (String, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let definition: String = row.try_get_by_index(3)?;
        if live.tables.contains_key(&table) {
            let list = if row.try_get_by_index(2)? { &mut unique } else { &mut plain };
            list.push(moved(&definition, &schema, &table));
        }
    }
    let copies: Vec<String> = live
        .tables
        .iter()
        .map(|(name, table)| {
            let key = if table.primary_key.is_empty() {
                String::new()
            } else {
                format!(", primary key ({})", table.primary_key.join(", "))
            };
            format!("create unlogged table {SCHEMA}.{name} (like {name} including defaults including generated{key})")
        })
        .collect();
    let path = format!("set local search_path = {SCHEMA}, \"$user\", public");
    let analyze: Vec<String> = live.tables.keys().map(|name| format!("analyze {SCHEMA}.{name}")).collect();
    for statements in [&copies[..], &[path], &unique] {
        conn.execute_unprepared(&statements.join("; ")).await?;
    }
    let mut unfilled = Unfilled::default();
    for fill in fills {
        let savepoint = conn.begin().await?;
        let filled = savepoint.execute_unprepared(&fill.sql).await;
        match filled {
            Ok(_) => savepoint.commit().await?,
            Err(_) => savepoint.rollback().await?,
        }
        unfilled.note(fill, filled);
    }
    for statements in [&plain, &analyze] {
        conn.execute_unprepared(&statements.join("; ")).await?;
    }
    let mut plans = Vec::with_capacity(patterns.len());
    for pattern in patterns {
        plans.push(match unfilled.why(pattern) {
            Some(error) => Err(error),
            None => plan(conn, pattern).await?,
        });
    }
    Ok(plans)
}

/// An index definition that makes the index in the scratch schema; a partitioned table is copied as a plain one.
fn moved(definition: &str, schema: &str, table: &str) -> String {
    let quoted = format!("\"{schema}\"");
    [schema, quoted.as_str()].iter().fold(definition.to_owned(), |text, schema| {
        ["ON ONLY", "ON"].iter().fold(text, |text, on| {
            text.replacen(&format!(" {on} {schema}.{table} "), &format!(" ON {SCHEMA}.{table} "), 1)
        })
    })
}

async fn plan(conn: &DatabaseTransaction, pattern: &Pattern) -> Result<Result<Access, String>, DbErr> {
    let savepoint = conn.begin().await?;
    if let Err(error) = savepoint.execute_unprepared(&format!("prepare cogwheel_plan as {}", pattern.sql)).await {
        savepoint.rollback().await?;
        return Ok(Err(error.to_string()));
    }
    let nulls = vec!["null"; pattern.parameters].join(", ");
    let call = if nulls.is_empty() { String::new() } else { format!("({nulls})") };
    let explain = format!("explain (costs off) execute cogwheel_plan{call}");
    let rows = savepoint.query_all_raw(Statement::from_string(DbBackend::Postgres, explain)).await?;
    let lines: Vec<String> = rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>()?;
    savepoint.execute_unprepared("deallocate cogwheel_plan").await?;
    savepoint.commit().await?;
    Ok(Ok(read(&lines)))
}

/// Reads lines such as `Index Scan using idx_t_a on t` and `Bitmap Index Scan on idx_t_a`.
fn read(lines: &[String]) -> Access {
    let trimmed: Vec<&str> = lines.iter().map(|line| line.trim().trim_start_matches("->").trim()).collect();
    let mut access = Access { text: trimmed.join(" / "), ..Access::default() };
    for line in trimmed {
        let index = if line.starts_with("Index") {
            line.split_once(" using ")
        } else {
            line.split_once("Bitmap Index Scan on ")
        };
        access.indexes.extend(index.and_then(|(_, rest)| rest.split(' ').next()).map(str::to_owned));
        access.scans |= line.starts_with("Seq Scan");
        access.sorts |= line.starts_with("Sort") || line.starts_with("Incremental Sort");
    }
    access
}

#[cfg(test)]
mod tests {
    use super::{moved, read};

    #[test]
    fn plan_lines_are_understood() {
        let plan = |line: &str| read(&[line.to_owned()]);
        assert!(plan("  ->  Index Scan Backward using idx_t_a on t").indexes.contains("idx_t_a"));
        assert!(plan("        ->  Bitmap Index Scan on idx_t_a").indexes.contains("idx_t_a"));
        assert!(plan("  ->  Seq Scan on t").scans);
        assert!(plan("  ->  Incremental Sort").sorts);
    }

    #[test]
    fn an_index_moves_with_its_table() {
        let definition = "CREATE INDEX i ON ONLY public.audit_log USING btree (a)";
        assert_eq!(
            moved(definition, "public", "audit_log"),
            "CREATE INDEX i ON cogwheel_plans.audit_log USING btree (a)"
        );
    }
}
