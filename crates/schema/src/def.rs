//! Tables as they are declared, in words that mean the same on both databases.

/// The database a schema is rendered for or read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// Embedded SQLite.
    Sqlite,
    /// PostgreSQL 15 or newer.
    Postgres,
}

/// Logical column types and how each database stores them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// `uuid`; a 16-byte blob on SQLite.
    Uuid,
    /// `timestamptz`; RFC 3339 text in UTC on SQLite.
    Instant,
    /// A calendar date.
    Date,
    /// `varchar(n)`.
    Varchar(u16),
    /// `char(n)`.
    Char(u16),
    /// Unbounded text.
    Text,
    /// 16-bit integer.
    SmallInt,
    /// 32-bit integer.
    Int,
    /// 64-bit integer.
    BigInt,
    /// Boolean; SQLite holds 0 or 1 under a check.
    Bool,
    /// `jsonb`; text with a `json_valid` check on SQLite.
    Json,
    /// Text restricted to the listed words by a check.
    Enum(Vec<String>),
    /// `decimal(19,4)`; a real below 10^11 on SQLite.
    Money,
    /// `decimal(p,s)`; a real on SQLite.
    Decimal(u8, u8),
    /// Raw bytes.
    Bytes,
    /// Generated `smallint`: the position of the source column's word in the list, from 0.
    Rank {
        /// The enum column that is ranked.
        source: String,
        /// Its words, lowest first.
        words: Vec<String>,
    },
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnDef {
    /// Name, snake case.
    pub name: String,
    /// Logical type.
    pub column_type: ColumnType,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// Default as written in the schema (`now`, `true`, `0`, `{}`, `queued`), rendered per type.
    pub default: Option<String>,
}

/// What happens to a row when the row it points at is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDelete {
    /// The delete is refused.
    Restrict,
    /// The row goes too.
    Cascade,
    /// The reference becomes NULL.
    SetNull,
}

/// A single-column foreign key to another table's `id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKeyDef {
    /// The referring column; the constraint is `fk_<table>_<column>`.
    pub column: String,
    /// The table whose `id` is referred to.
    pub target: String,
    /// On-delete action.
    pub on_delete: OnDelete,
}

/// An index or unique index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexDef {
    /// Full name.
    pub name: String,
    /// Columns or expressions in order, each with an optional ` desc`.
    pub columns: Vec<String>,
    /// Whether it is unique.
    pub unique: bool,
    /// Predicate of a partial index, literal SQL valid on both databases.
    pub predicate: Option<String>,
    /// The query it serves, in words; `None` where it serves the list its first column owns, or a rule.
    pub serves: Option<String>,
}

/// A check written out in the schema (those of enums, JSON, booleans and money are implied by the type).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckDef {
    /// Full name.
    pub name: String,
    /// The condition, valid on both databases.
    pub condition: String,
}

/// The columns a table has without repeating them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `id`, `tenant_id`, `created_at`, `updated_at`.
    Std,
    /// As `Std`, but `tenant_id` carries no index of its own.
    Hot,
    /// As `Std` without `tenant_id`.
    Global,
    /// `tenant_id`, `created_at`, `updated_at`; the primary key is named by the table.
    Child,
}

/// A declared table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableDef {
    /// Name, plural snake case.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
    /// All columns in order, the shape's included.
    pub columns: Vec<ColumnDef>,
    /// Columns of the primary key.
    pub primary_key: Vec<String>,
    /// Foreign keys, `tenant_id`'s included.
    pub foreign_keys: Vec<ForeignKeyDef>,
    /// Indexes beside the primary key.
    pub indexes: Vec<IndexDef>,
    /// Checks written out.
    pub checks: Vec<CheckDef>,
    /// What only some tables have: immutability, partitions, search and the like.
    pub extras: Vec<Extra>,
}

/// What a table has beyond columns, keys, checks and ordinary indexes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extra {
    /// A trigger `trg_<table>_<name>` refuses an update while the condition over `old` and `new` holds, and any update without one.
    RefuseUpdate {
        /// Last part of the trigger's name.
        name: String,
        /// The refused change, valid on both databases.
        when: Option<String>,
    },
    /// Rows cannot be deleted, unless the deleting transaction sees a lease of this name: then it is retention. On
    /// PostgreSQL the table cannot be truncated either.
    Keep {
        /// The value of `leases.lease_name`.
        lease: String,
    },
    /// PostgreSQL: partitioned by range of this v7 id, with a default partition `<table>_default`.
    PartitionBy(String),
    /// PostgreSQL: a GIN index on a JSON column.
    Gin {
        /// Full name.
        name: String,
        /// The JSON column.
        column: String,
    },
    /// Full-text search: a generated `tsvector` with a GIN index, or an FTS5 table `<table>_fts`.
    Search(SearchDef),
    /// PostgreSQL: policy `public_read` also lets rows of other tenants be read where this holds.
    PublicRead(String),
    /// PostgreSQL: rows of the table this column refers to are visible to a tenant that has a row here pointing at them.
    Reveals(String),
    /// PostgreSQL: the column is generated by default as identity; on SQLite the single writer hands it out.
    Identity(String),
    /// PostgreSQL: the column holds the id of the inserting transaction and leads the index named here.
    TransactionId {
        /// The column, `xid8`.
        column: String,
        /// Full name of the index.
        index: String,
        /// Columns of the index after the transaction id.
        then: String,
    },
}

/// Columns searched by their words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchDef {
    /// Searched columns with their PostgreSQL weight (`A` highest to `D`).
    pub columns: Vec<(String, char)>,
    /// The column that is also searched by parts of words (trigrams).
    pub partial_words: Option<String>,
}
