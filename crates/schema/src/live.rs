//! The schema that a database really holds.

mod postgres;
mod sql;
mod sqlite;

use std::collections::BTreeMap;
use std::fmt::Write;

use sea_orm::{ConnectionTrait, DbErr};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Backend;

/// The table in which the migration runner lists applied steps; no part of the declared schema.
pub const RUNNER_TABLE: &str = "seaql_migrations";

/// Everything `verify` compares, as the database itself spells it.
///
/// Expressions are the database's own text, so two live schemas of the same server compare exactly.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveSchema {
    /// Tables by name.
    pub tables: BTreeMap<String, LiveTable>,
}

/// One live table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveTable {
    /// Columns by name.
    pub columns: BTreeMap<String, LiveColumn>,
    /// Columns of the primary key, in order.
    pub primary_key: Vec<String>,
    /// Foreign keys by referring columns.
    pub foreign_keys: BTreeMap<String, LiveForeignKey>,
    /// Indexes by name, the primary key's not included.
    pub indexes: BTreeMap<String, LiveIndex>,
    /// Check conditions by constraint name; a check without a name stands under its own text.
    pub checks: BTreeMap<String, String>,
    /// Trigger definitions by name, with the body of the function they call.
    pub triggers: BTreeMap<String, String>,
    /// Row-level-security policies by name (PostgreSQL).
    pub policies: BTreeMap<String, String>,
    /// Whether row-level security is enabled (PostgreSQL).
    pub row_security: bool,
    /// Whether row-level security binds the owner too (PostgreSQL).
    pub row_security_forced: bool,
    /// Partition key (PostgreSQL).
    pub partitioned_by: Option<String>,
    /// Table options such as `strict` or `without rowid` (SQLite).
    pub options: Option<String>,
    /// Definition, where the table is virtual (full-text search on SQLite).
    pub virtual_definition: Option<String>,
}

/// One live column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveColumn {
    /// Type as the database spells it.
    pub data_type: String,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// Default expression.
    pub default: Option<String>,
    /// Generation expression of a generated column, or the kind of an identity column.
    pub generated: Option<String>,
}

/// One live foreign key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveForeignKey {
    /// Constraint name, empty where it has none.
    pub name: String,
    /// Table referred to.
    pub target_table: String,
    /// Columns referred to.
    pub target_columns: Vec<String>,
    /// On-delete action: `RESTRICT`, `CASCADE`, `SET NULL`, `NO ACTION`, `SET DEFAULT`.
    pub on_delete: String,
}

/// One live index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveIndex {
    /// Columns or expressions in order, with ` DESC` where descending.
    pub columns: Vec<String>,
    /// Whether it is unique.
    pub unique: bool,
    /// Predicate of a partial index.
    pub predicate: Option<String>,
    /// Access method (`btree`, `gin`); ` (invalid)` follows where the database does not use the index.
    pub method: String,
}

impl LiveSchema {
    /// SHA-256 of the schema's canonical JSON, 64 hexadecimal digits.
    ///
    /// Equal for two databases of one server version that hold the same objects, however they got there.
    pub fn fingerprint(&self) -> String {
        let canonical = serde_json::to_vec(self).expect("maps with text keys always serialise");
        Sha256::digest(&canonical).iter().fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

/// Reads the schema of the database, on PostgreSQL that of `current_schema()`.
///
/// Left out are what the declared schema does not speak of: the migration runner's table, the
/// databases' own tables, shadow tables of full-text search, partitions (their parent is kept), and
/// indexes that exist only where an extension does.
///
/// # Errors
/// When the catalogue cannot be read, or holds a statement that does not parse.
pub async fn read(conn: &impl ConnectionTrait, backend: Backend) -> Result<LiveSchema, DbErr> {
    match backend {
        Backend::Sqlite => sqlite::read(conn).await,
        Backend::Postgres => {
            let schema = postgres::current_schema(conn).await?;
            postgres::read(conn, &schema).await
        }
    }
}

/// Reads one named schema of a PostgreSQL database; names inside it appear without their qualifier.
///
/// # Errors
/// When the catalogue cannot be read.
pub async fn read_schema(conn: &impl ConnectionTrait, schema: &str) -> Result<LiveSchema, DbErr> {
    postgres::read(conn, schema).await
}
