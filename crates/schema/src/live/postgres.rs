//! Reads a schema from PostgreSQL's catalogue, one query for each kind of object.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{LiveColumn, LiveForeignKey, LiveIndex, LiveSchema, LiveTable, RUNNER_TABLE};

const TABLES: &str = "select c.relname as table, c.relrowsecurity as row_security, c.relforcerowsecurity as forced,
    case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end as partitioned_by
    from pg_class c where c.relnamespace = $1::regnamespace and c.relkind in ('r', 'p') and not c.relispartition";

const COLUMNS: &str = "select c.relname as table, a.attname as name, format_type(a.atttypid, a.atttypmod) as data_type,
    not a.attnotnull as nullable, a.attgenerated <> '' as is_generated, pg_get_expr(d.adbin, d.adrelid) as expression,
    case a.attidentity when 'a' then 'identity always' when 'd' then 'identity by default' end as identity
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where c.relnamespace = $1::regnamespace and c.relkind in ('r', 'p') and not c.relispartition";

const CONSTRAINTS: &str = "select c.relname as table, k.conname as name, k.contype::text as kind,
    array(select a.attname::text from unnest(k.conkey) with ordinality u(n, o)
          join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.n order by u.o) as columns,
    case when k.contype = 'c' then pg_get_constraintdef(k.oid) end as definition, t.relname as target_table,
    array(select a.attname::text from unnest(k.confkey) with ordinality u(n, o)
          join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.n order by u.o) as target_columns,
    case k.confdeltype when 'r' then 'RESTRICT' when 'c' then 'CASCADE' when 'n' then 'SET NULL'
         when 'd' then 'SET DEFAULT' else 'NO ACTION' end as on_delete
    from pg_constraint k join pg_class c on c.oid = k.conrelid left join pg_class t on t.oid = k.confrelid
    where c.relnamespace = $1::regnamespace and not c.relispartition and k.conparentid = 0 and k.contype in ('c',
    'f', 'p')";

// An operator class that belongs to an extension marks an index that exists only where the extension does.
const INDEXES: &str = "select c.relname as table, x.relname as name, i.indisunique as unique,
    array(select pg_get_indexdef(i.indexrelid, p, true)
        || case when o.opcdefault then '' else ' ' || o.opcname end
        || case i.indoption[p - 1] & 3 when 1 then ' DESC NULLS LAST' when 2 then ' NULLS FIRST' when 3 then ' DESC'
        else '' end
        from generate_series(1, i.indnkeyatts) p join pg_opclass o on o.oid = i.indclass[p - 1] order by p) as columns,
    pg_get_expr(i.indpred, i.indrelid) as predicate,
    m.amname || case when i.indisvalid then '' else ' (invalid)' end as method
    from pg_index i join pg_class c on c.oid = i.indrelid join pg_class x on x.oid = i.indexrelid join pg_am m on
    m.oid = x.relam
    where c.relnamespace = $1::regnamespace and not c.relispartition and not i.indisprimary
    and not exists (select from pg_depend e where e.classid = 'pg_opclass'::regclass and e.objid =
    any(i.indclass::oid[]) and e.deptype = 'e')";

const TRIGGERS: &str = "select c.relname as table, t.tgname as name, pg_get_triggerdef(t.oid, true)
    || case t.tgenabled when 'O' then '' when 'D' then ' (disabled)' else ' (' || t.tgenabled::text || ')' end
    || E'\\n' || btrim(p.prosrc, E' \\n') as definition
    from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_proc p on p.oid = t.tgfoid
    where c.relnamespace = $1::regnamespace and not c.relispartition and not t.tgisinternal";

const POLICIES: &str = "select c.relname as table, p.polname as name,
    case when p.polpermissive then 'permissive' else 'restrictive' end
    || ' for ' || case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then
    'delete' else 'all' end
    || ' to ' || coalesce((select string_agg(r.rolname::text, ', ' order by r.rolname) from pg_roles r where r.oid =
    any(p.polroles)), 'public')
    || coalesce(' using (' || pg_get_expr(p.polqual, p.polrelid) || ')', '')
    || coalesce(' with check (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')', '') as definition
    from pg_policy p join pg_class c on c.oid = p.polrelid
    where c.relnamespace = $1::regnamespace and not c.relispartition";

#[derive(Deserialize)]
struct TableRow {
    table: String,
    row_security: bool,
    forced: bool,
    partitioned_by: Option<String>,
}

#[derive(Deserialize)]
struct ColumnRow {
    table: String,
    name: String,
    data_type: String,
    nullable: bool,
    is_generated: bool,
    expression: Option<String>,
    identity: Option<String>,
}

#[derive(Deserialize)]
struct ConstraintRow {
    table: String,
    name: String,
    kind: String,
    columns: Vec<String>,
    definition: Option<String>,
    target_table: Option<String>,
    target_columns: Vec<String>,
    on_delete: String,
}

#[derive(Deserialize)]
struct IndexRow {
    table: String,
    name: String,
    unique: bool,
    columns: Vec<String>,
    predicate: Option<String>,
    method: String,
}

#[derive(Deserialize)]
struct DefinitionRow {
    table: String,
    name: String,
    definition: String,
}

/// The schema that unqualified names belong to.
pub(super) async fn current_schema(conn: &impl ConnectionTrait) -> Result<String, DbErr> {
    let row = conn.query_one_raw(Statement::from_string(DbBackend::Postgres, "select current_schema()::text")).await?;
    match row {
        Some(row) => row.try_get_by_index::<Option<String>>(0)?,
        None => None,
    }
    .ok_or_else(|| {
        DbErr::Custom(
            "the connection's search_path names no schema that exists; set search_path to the schema of the tables"
                .to_owned(),
        )
    })
}

/// Reads the named schema.
pub(super) async fn read(conn: &impl ConnectionTrait, schema: &str) -> Result<LiveSchema, DbErr> {
    let mut live = LiveSchema::default();
    for row in rows::<TableRow>(conn, schema, TABLES).await? {
        if row.table == RUNNER_TABLE {
            continue;
        }
        let table = LiveTable {
            row_security: row.row_security,
            row_security_forced: row.forced,
            partitioned_by: row.partitioned_by.map(|key| unqualified(&key, schema)),
            ..LiveTable::default()
        };
        live.tables.insert(row.table, table);
    }
    for row in rows::<ColumnRow>(conn, schema, COLUMNS).await? {
        let Some(table) = live.tables.get_mut(&row.table) else { continue };
        let expression = row.expression.map(|text| unqualified(&text, schema));
        let (default, generated) = if row.is_generated { (None, expression) } else { (expression, row.identity) };
        let data_type = unqualified(&row.data_type, schema);
        table.columns.insert(row.name, LiveColumn { data_type, nullable: row.nullable, default, generated });
    }
    for row in rows::<ConstraintRow>(conn, schema, CONSTRAINTS).await? {
        let Some(table) = live.tables.get_mut(&row.table) else { continue };
        match (row.kind.as_str(), row.definition, row.target_table) {
            ("p", _, _) => table.primary_key = row.columns,
            (_, Some(check), _) => {
                table.checks.insert(row.name, unqualified(&check, schema));
            }
            (_, None, Some(target_table)) => {
                let key = LiveForeignKey {
                    name: row.name,
                    target_table,
                    target_columns: row.target_columns,
                    on_delete: row.on_delete,
                };
                table.foreign_keys.insert(row.columns.join(", "), key);
            }
            _ => {}
        }
    }
    for row in rows::<IndexRow>(conn, schema, INDEXES).await? {
        let Some(table) = live.tables.get_mut(&row.table) else { continue };
        let index = LiveIndex {
            columns: row.columns.iter().map(|column| unqualified(column, schema)).collect(),
            unique: row.unique,
            predicate: row.predicate.map(|predicate| unqualified(&predicate, schema)),
            method: row.method,
        };
        table.indexes.insert(row.name, index);
    }
    for row in rows::<DefinitionRow>(conn, schema, TRIGGERS).await? {
        let Some(table) = live.tables.get_mut(&row.table) else { continue };
        table.triggers.insert(row.name, unqualified(&row.definition, schema));
    }
    for row in rows::<DefinitionRow>(conn, schema, POLICIES).await? {
        let Some(table) = live.tables.get_mut(&row.table) else { continue };
        table.policies.insert(row.name, unqualified(&row.definition, schema));
    }
    Ok(live)
}

/// All rows of a catalogue query, fetched as one JSON text.
async fn rows<T: DeserializeOwned>(conn: &impl ConnectionTrait, schema: &str, query: &str) -> Result<Vec<T>, DbErr> {
    let sql = format!("select coalesce(json_agg(q), '[]')::text from ({query}) q");
    let quoted = format!("\"{}\"", schema.replace('"', "\"\""));
    let row = conn.query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, [quoted.into()])).await?;
    let text: String =
        row.ok_or_else(|| DbErr::RecordNotFound("an aggregate gave no row".to_owned()))?.try_get_by_index(0)?;
    serde_json::from_str(&text).map_err(|error| DbErr::Type(format!("cannot read the catalogue's answer: {error}")))
}

/// Removes `schema.` before names, outside of text literals.
fn unqualified(text: &str, schema: &str) -> String {
    let bare = format!("{schema}.");
    let quoted = format!("\"{schema}\".");
    let mut out = String::with_capacity(text.len());
    let (mut in_literal, mut previous) = (false, ' ');
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let boundary = !(previous.is_alphanumeric() || previous == '_' || previous == '"' || previous == '.');
        let qualifier = [&bare, &quoted].into_iter().find(|q| !in_literal && boundary && rest.starts_with(q.as_str()));
        if let Some(qualifier) = qualifier {
            rest = &rest[qualifier.len()..];
            continue;
        }
        in_literal ^= next == '\'';
        out.push(next);
        previous = next;
        rest = &rest[next.len_utf8()..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::unqualified;

    #[test]
    fn a_qualifier_goes_and_literals_stay() {
        assert_eq!(unqualified("ON public.users x", "public"), "ON users x");
        assert_eq!(unqualified("\"odd name\".f(a)", "odd name"), "f(a)");
        assert_eq!(unqualified("a = 'public.users' and notpublic.b", "public"), "a = 'public.users' and notpublic.b");
    }
}
