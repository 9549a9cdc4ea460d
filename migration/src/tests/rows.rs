//! One row in every table, with the least that its checks ask for.

use cogwheel_schema::{Backend, ColumnDef, ColumnType, TableDef};
use sea_orm_migration::sea_orm::{ConnectionTrait, DatabaseConnection};
use uuid::Uuid;

use crate::step::backend;

/// Nullable columns that a check or a policy asks for, with text, `now` or `key` (the parent's only row).
const REQUIRED: [(&str, &str, &str); 14] = [
    ("user_assignments", "organization_id", "key"),
    ("secrets", "external_ref", "HOME"),
    ("schedules", "cron_schedule", "* * * * *"),
    ("file_watches", "location", "/inbox"),
    ("schedule_fires", "fired_at", "now"),
    ("signals", "correlation_key", "order-1"),
    ("resource_grants", "workflow_id", "key"),
    ("resource_grants", "user_id", "key"),
    ("inbound_endpoints", "secret_id", "key"),
    ("notifications", "user_id", "key"),
    ("workflow_executions", "triggered_by_user_id", "key"),
    ("workflow_versions", "created_by_user_id", "key"),
    ("audit_log", "actor_user_id", "key"),
    ("files", "extracted_content", "quarterly figures"),
];

/// Instant of all rows, long past, so that a time stamp that moves is seen to move.
const PAST: &str = "2026-01-01T00:00:00+00:00";

/// A set of rows that belong together: one per table and tenant.
#[derive(Clone, Copy)]
pub(super) struct Family(pub u8);

impl Family {
    /// Id of the family's row in a table; its tenant is its row in `tenants`.
    pub(super) fn id(self, table: &str) -> Uuid {
        let mut bytes = [self.0; 16];
        for (byte, letter) in bytes.iter_mut().zip(table.bytes().rev()) {
            *byte ^= letter;
        }
        Uuid::from_bytes(bytes)
    }

    pub(super) async fn insert(self, db: &DatabaseConnection, tables: &[TableDef]) {
        for table in tables {
            let sql = self.statement(table, backend(db).unwrap());
            db.execute_unprepared(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
    }

    fn statement(self, table: &TableDef, backend: Backend) -> String {
        let (names, values): (Vec<_>, Vec<_>) = table
            .columns
            .iter()
            .filter_map(|column| Some((column.name.as_str(), self.value(table, column, backend)?)))
            .unzip();
        format!("insert into {} ({}) values ({})", table.name, names.join(", "), values.join(", "))
    }

    fn value(self, table: &TableDef, column: &ColumnDef, backend: Backend) -> Option<String> {
        let name = column.name.as_str();
        let required = REQUIRED.iter().find(|(owner, known, _)| *owner == table.name && *known == name);
        if let Some((_, _, word)) = required
            && *word != "key"
        {
            return Some(if *word == "now" { format!("'{PAST}'") } else { format!("'{word}'") });
        }
        if name == "created_at" || name == "updated_at" {
            return Some(format!("'{PAST}'"));
        }
        if table.name == "secrets" && name == "provider" {
            return Some("'environment'".to_owned());
        }
        if required.is_none() && (column.nullable || column.default.is_some()) {
            return None;
        }
        Some(match &column.column_type {
            ColumnType::Uuid => {
                let target = table.foreign_keys.iter().find(|key| key.column == name).map(|key| key.target.as_str());
                uuid(self.id(target.unwrap_or(&table.name)), backend)
            }
            ColumnType::Instant => format!("'{PAST}'"),
            ColumnType::Date => "'2026-01-01'".to_owned(),
            ColumnType::Varchar(_) | ColumnType::Text => format!("'{name}-{}'", self.0),
            ColumnType::Char(length) => format!("'{}'", "a".repeat(usize::from(*length))),
            ColumnType::Enum(words) => format!("'{}'", words[0]),
            ColumnType::Json => "'{}'".to_owned(),
            ColumnType::Bool => "false".to_owned(),
            ColumnType::Bytes => match backend {
                Backend::Sqlite => format!("x'{:02x}'", self.0),
                Backend::Postgres => format!("'\\x{:02x}'", self.0),
            },
            ColumnType::Rank { .. } => return None,
            ColumnType::SmallInt | ColumnType::Int | ColumnType::BigInt => self.0.to_string(),
            ColumnType::Money | ColumnType::Decimal(..) => "1".to_owned(),
        })
    }
}

pub(super) fn uuid(id: Uuid, backend: Backend) -> String {
    match backend {
        Backend::Sqlite => format!("x'{}'", id.simple()),
        Backend::Postgres => format!("'{id}'"),
    }
}

pub(super) async fn count(db: &impl ConnectionTrait, table: &str) -> i64 {
    number(db, &format!("select count(*) as n from {table}")).await
}

/// The column `n` of the only row.
pub(super) async fn number(db: &impl ConnectionTrait, sql: &str) -> i64 {
    let statement = sea_orm_migration::sea_orm::Statement::from_string(db.get_database_backend(), sql);
    let row = db.query_one_raw(statement).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    row.unwrap().try_get("", "n").unwrap()
}
