//! Checks that follow from the declaration: references, tenants, words, JSON.

use cogwheel_schema::{Backend, ColumnDef, ColumnType, ForeignKeyDef, LiveSchema, TableDef};

use super::{Check, Dialect};

/// The declared table without the columns that the live one lacks; `None` where its key is missing.
pub(super) fn present_part(table: &TableDef, live: &LiveSchema) -> Option<TableDef> {
    let held = live.tables.get(&table.name)?;
    let mut table = table.clone();
    table.columns.retain(|column| held.columns.contains_key(&column.name));
    table.foreign_keys.retain(|key| held.columns.contains_key(&key.column));
    table.primary_key.iter().all(|column| held.columns.contains_key(column)).then_some(table)
}

/// All checks the tables imply.
pub(super) fn checks(dialect: Dialect, tables: &[TableDef]) -> Vec<Check> {
    let mut checks = Vec::new();
    for table in tables {
        for key in &table.foreign_keys {
            let Some(parent) = tables.iter().find(|parent| parent.name == key.target) else { continue };
            checks.push(orphans(dialect, table, key));
            if key.target != "tenants" && has_tenant(table) && has_tenant(parent) {
                checks.push(tenant_mismatches(dialect, table, key));
            }
        }
        for column in &table.columns {
            checks.extend(values(dialect, table, column));
        }
    }
    checks
}

fn has_tenant(table: &TableDef) -> bool {
    table.columns.iter().any(|column| column.name == "tenant_id")
}

fn orphans(dialect: Dialect, table: &TableDef, key: &ForeignKeyDef) -> Check {
    let (name, column, target) = (&table.name, &key.column, &key.target);
    let id = dialect.row_id(table, "c");
    let value = dialect.uuid(&format!("c.{column}"));
    let sql = format!(
        "select {id} as row_id, '{column} is ' || {value} || ', and {target} has no such row' as detail from {name} c \
         where c.{column} is not null and not exists (select 1 from {target} p where p.id = c.{column})"
    );
    Check { kind: "orphan", table: name.clone(), reads: vec![target.clone()], sql }
}

fn tenant_mismatches(dialect: Dialect, table: &TableDef, key: &ForeignKeyDef) -> Check {
    let (name, column, target) = (&table.name, &key.column, &key.target);
    let (id, parent) = (dialect.row_id(table, "c"), dialect.uuid("p.id"));
    let (own, other) = (dialect.uuid("c.tenant_id"), dialect.uuid("p.tenant_id"));
    let sql = format!(
        "select {id} as row_id, 'it belongs to tenant ' || {own} || ', its {column} names row ' || {parent} || ' of \
         {target}, which belongs to tenant ' || {other} as detail \
         from {name} c join {target} p on p.id = c.{column} where p.tenant_id <> c.tenant_id"
    );
    Check { kind: "tenant_mismatch", table: name.clone(), reads: vec![target.clone()], sql }
}

/// Checks on a column's values, where its type says which there may be.
fn values(dialect: Dialect, table: &TableDef, column: &ColumnDef) -> Option<Check> {
    let name = &column.name;
    let (kind, broken, what) = match &column.column_type {
        ColumnType::Enum(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
            (
                "unknown_word",
                format!("c.{name} not in ({})", words.join(", ")),
                format!("'{name} holds the unknown word ' || c.{name}"),
            )
        }
        ColumnType::Instant if dialect.0 == Backend::Sqlite => {
            // Instants sort as text only in one form: UTC as `+00:00`, no fraction or three or six digits.
            let second = format!("{}T{}", digits("4-2-2"), digits("2:2:2"));
            let forms = ["", ".3", ".6"].map(|fraction| format!("c.{name} glob '{second}{}+00:00'", digits(fraction)));
            let broken = format!("not ({})", forms.join(" or "));
            ("invalid_instant", broken, format!("'{name} is not an instant in the one form that sorts: ' || c.{name}"))
        }
        ColumnType::Json if dialect.0 == Backend::Sqlite => (
            "invalid_json",
            format!("not json_valid(c.{name})"),
            format!("'{name} is not valid JSON: ' || substr(c.{name}, 1, 60)"),
        ),
        _ => return None,
    };
    let id = dialect.row_id(table, "c");
    let sql = format!(
        "select {id} as row_id, {what} as detail from {} c where c.{name} is not null and {broken}",
        table.name
    );
    Some(Check { kind, table: table.name.clone(), reads: Vec::new(), sql })
}

/// A glob pattern in which each number stands for that many digits: `4-2` for `[0-9][0-9][0-9][0-9]-[0-9][0-9]`.
fn digits(shape: &str) -> String {
    shape
        .chars()
        .map(|c| c.to_digit(10).map_or_else(|| c.to_string(), |count| "[0-9]".repeat(count as usize)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::digits;

    #[test]
    fn numbers_stand_for_digits() {
        assert_eq!(digits("2:.1"), "[0-9][0-9]:.[0-9]");
    }
}
