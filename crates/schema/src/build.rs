//! Words for describing a table: `std("teams").columns([…]).indexes([…])`.

use crate::def::{
    CheckDef, ColumnDef, ColumnType, Extra, ForeignKeyDef, IndexDef, OnDelete, SearchDef, Shape, TableDef,
};

/// A column being described, with the foreign key it may carry.
#[derive(Clone, Debug)]
pub struct Column {
    def: ColumnDef,
    target: Option<(String, OnDelete)>,
}

impl Column {
    /// A required column without default.
    pub fn new(name: &str, column_type: ColumnType) -> Self {
        let def = ColumnDef { name: name.to_owned(), column_type, nullable: false, default: None };
        Self { def, target: None }
    }

    /// Allows NULL.
    #[must_use]
    pub fn null(mut self) -> Self {
        self.def.nullable = true;
        self
    }

    /// Sets the default, written as in the schema: `now`, `true`, `0`, `{}`, `queued`.
    #[must_use]
    pub fn default(mut self, value: &str) -> Self {
        self.def.default = Some(value.to_owned());
        self
    }

    /// The column alone, without the key it may carry.
    pub(crate) fn into_def(self) -> ColumnDef {
        self.def
    }

    /// Refers to `target.id`.
    #[must_use]
    pub fn references(mut self, target: &str, on_delete: OnDelete) -> Self {
        self.target = Some((target.to_owned(), on_delete));
        self
    }
}

macro_rules! column_words {
    ($($(#[$doc:meta])* $name:ident => $column_type:expr;)*) => {
        $($(#[$doc])*
        pub fn $name(name: &str) -> Column {
            Column::new(name, $column_type)
        })*
    };
}

column_words! {
    /// A `uuid` column.
    uuid => ColumnType::Uuid;
    /// An instant.
    instant => ColumnType::Instant;
    /// A calendar date.
    date => ColumnType::Date;
    /// Unbounded text.
    text => ColumnType::Text;
    /// A 16-bit integer.
    smallint => ColumnType::SmallInt;
    /// A 32-bit integer.
    int => ColumnType::Int;
    /// A 64-bit integer.
    bigint => ColumnType::BigInt;
    /// A boolean.
    boolean => ColumnType::Bool;
    /// A JSON document.
    json => ColumnType::Json;
    /// An amount of money with four places.
    money => ColumnType::Money;
    /// Raw bytes.
    bytes => ColumnType::Bytes;
}

/// Text of at most `length` characters.
pub fn varchar(name: &str, length: u16) -> Column {
    Column::new(name, ColumnType::Varchar(length))
}

/// Text of exactly `length` characters.
pub fn char(name: &str, length: u16) -> Column {
    Column::new(name, ColumnType::Char(length))
}

/// A decimal with `precision` digits, `scale` of them after the point.
pub fn decimal(name: &str, precision: u8, scale: u8) -> Column {
    Column::new(name, ColumnType::Decimal(precision, scale))
}

/// Text that is one of `words`.
pub fn words<const N: usize>(name: &str, words: [&str; N]) -> Column {
    Column::new(name, ColumnType::Enum(words.map(str::to_owned).to_vec()))
}

/// The generated position of `source`'s word in `words`, lowest first.
pub fn rank<const N: usize>(name: &str, source: &str, words: [&str; N]) -> Column {
    let words = words.map(str::to_owned).to_vec();
    Column::new(name, ColumnType::Rank { source: source.to_owned(), words })
}

/// An index on `columns`, written as in SQL: `tenant_id, created_at desc`.
pub fn index(name: &str, columns: &str) -> IndexDef {
    IndexDef { name: name.to_owned(), columns: split_columns(columns), unique: false, predicate: None, serves: None }
}

/// A unique index on `columns`.
pub fn unique(name: &str, columns: &str) -> IndexDef {
    IndexDef { unique: true, ..index(name, columns) }
}

impl IndexDef {
    /// Limits the index to rows where `predicate` holds.
    #[must_use]
    pub fn partial(mut self, predicate: &str) -> Self {
        self.predicate = Some(predicate.to_owned());
        self
    }

    /// Names the query the index serves.
    #[must_use]
    pub fn serves(mut self, query: &str) -> Self {
        self.serves = Some(query.to_owned());
        self
    }
}

/// A table owned by a tenant, with an `id`.
pub fn std(name: &str) -> TableDef {
    TableDef::shaped(name, Shape::Std, &["id"])
}

/// As [`std()`], for rows reached only through their parent: `tenant_id` needs no index.
pub fn hot(name: &str) -> TableDef {
    TableDef::shaped(name, Shape::Hot, &["id"])
}

/// A table of the whole installation, with an `id` and without a tenant.
pub fn global(name: &str) -> TableDef {
    TableDef::shaped(name, Shape::Global, &["id"])
}

/// A table owned by a tenant whose rows are named by `primary_key` instead of an `id`.
pub fn child<const N: usize>(name: &str, primary_key: [&str; N]) -> TableDef {
    TableDef::shaped(name, Shape::Child, &primary_key)
}

impl TableDef {
    /// A table without columns, keys or indexes yet.
    pub fn empty(name: &str, shape: Shape) -> Self {
        Self {
            name: name.to_owned(),
            shape,
            columns: Vec::new(),
            primary_key: Vec::new(),
            foreign_keys: Vec::new(),
            indexes: Vec::new(),
            checks: Vec::new(),
            extras: Vec::new(),
        }
    }

    fn shaped(name: &str, shape: Shape, primary_key: &[&str]) -> Self {
        let mut table = Self::empty(name, shape);
        table.primary_key = primary_key.iter().map(|&column| column.to_owned()).collect();
        if shape != Shape::Child {
            table = table.column(uuid("id"));
        }
        if shape != Shape::Global {
            table = table.column(uuid("tenant_id").references("tenants", OnDelete::Restrict));
        }
        table.columns([instant("created_at").default("now"), instant("updated_at").default("now")])
    }

    /// Adds columns, before the two time stamps that close every table.
    #[must_use]
    pub fn columns(self, columns: impl IntoIterator<Item = Column>) -> Self {
        columns.into_iter().fold(self, Self::column)
    }

    fn column(mut self, column: Column) -> Self {
        if let Some((target, on_delete)) = column.target {
            self.foreign_keys.push(ForeignKeyDef { column: column.def.name.clone(), target, on_delete });
        }
        let closing = self.columns.iter().position(|known| known.name == "created_at");
        let closing = closing.filter(|_| column.def.name != "updated_at");
        self.columns.insert(closing.unwrap_or(self.columns.len()), column.def);
        self
    }

    /// Adds indexes.
    #[must_use]
    pub fn indexes(mut self, indexes: impl IntoIterator<Item = IndexDef>) -> Self {
        self.indexes.extend(indexes);
        self
    }

    /// Adds an index `idx_<table>_<column>` per foreign key column, without the rows where it is NULL.
    #[must_use]
    pub fn key_indexes<const N: usize>(mut self, columns: [&str; N]) -> Self {
        for column in columns {
            let mut key_index = index(&format!("idx_{}_{column}", self.name), column);
            if self.columns.iter().any(|known| known.name == column && known.nullable) {
                key_index = key_index.partial(&format!("{column} is not null"));
            }
            self.indexes.push(key_index);
        }
        self
    }

    /// Adds a check.
    #[must_use]
    pub fn check(mut self, name: &str, condition: &str) -> Self {
        self.checks.push(CheckDef { name: name.to_owned(), condition: condition.to_owned() });
        self
    }

    /// Refuses every update.
    #[must_use]
    pub fn immutable(mut self) -> Self {
        self.extras.push(Extra::RefuseUpdate { name: "immutable".to_owned(), when: None });
        self
    }

    /// Refuses every delete but those of a transaction that sees the lease.
    #[must_use]
    pub fn keep(mut self, lease: &str) -> Self {
        self.extras.push(Extra::Keep { lease: lease.to_owned() });
        self
    }

    /// Refuses an update while `when` holds.
    #[must_use]
    pub fn refuse_update(mut self, name: &str, when: &str) -> Self {
        self.extras.push(Extra::RefuseUpdate { name: name.to_owned(), when: Some(when.to_owned()) });
        self
    }

    /// Refuses every change but those of `free` columns and the clearing of `clearable` ones.
    ///
    /// Covers the columns described so far.
    #[must_use]
    pub fn frozen_except<const N: usize, const M: usize>(self, free: [&str; N], clearable: [&str; M]) -> Self {
        let changes: Vec<_> = self
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .filter(|name| !free.contains(name))
            .map(|name| {
                let changed = format!("old.{name} is distinct from new.{name}");
                if clearable.contains(&name) { format!("(new.{name} is not null and {changed})") } else { changed }
            })
            .collect();
        self.refuse_update("frozen", &changes.join(" or "))
    }

    /// Partitions the table by range of a v7 id (PostgreSQL).
    #[must_use]
    pub fn partition_by(mut self, column: &str) -> Self {
        self.extras.push(Extra::PartitionBy(column.to_owned()));
        self
    }

    /// Indexes a JSON column with GIN (PostgreSQL).
    #[must_use]
    pub fn gin(mut self, name: &str, column: &str) -> Self {
        self.extras.push(Extra::Gin { name: name.to_owned(), column: column.to_owned() });
        self
    }

    /// Makes the columns searchable by their words, each with a PostgreSQL weight.
    #[must_use]
    pub fn search<const N: usize>(mut self, columns: [(&str, char); N], partial_words: Option<&str>) -> Self {
        let columns = columns.map(|(column, weight)| (column.to_owned(), weight)).to_vec();
        self.extras.push(Extra::Search(SearchDef { columns, partial_words: partial_words.map(str::to_owned) }));
        self
    }

    /// Lets every tenant read the rows where `condition` holds (PostgreSQL).
    #[must_use]
    pub fn public_read(mut self, condition: &str) -> Self {
        self.extras.push(Extra::PublicRead(condition.to_owned()));
        self
    }

    /// Shows a tenant the rows of the table that `column` refers to, as far as its own rows point at them (PostgreSQL).
    #[must_use]
    pub fn reveals(mut self, column: &str) -> Self {
        self.extras.push(Extra::Reveals(column.to_owned()));
        self
    }

    /// Numbers the rows in `column` (PostgreSQL).
    #[must_use]
    pub fn identity(mut self, column: &str) -> Self {
        self.extras.push(Extra::Identity(column.to_owned()));
        self
    }

    /// Records the inserting transaction in `column`, indexed before the columns `then` (PostgreSQL).
    #[must_use]
    pub fn transaction_id(mut self, column: &str, index: &str, then: &str) -> Self {
        self.extras.push(Extra::TransactionId {
            column: column.to_owned(),
            index: index.to_owned(),
            then: then.to_owned(),
        });
        self
    }
}

/// Splits at the commas that stand outside parentheses.
fn split_columns(columns: &str) -> Vec<String> {
    let mut depth = 0;
    columns
        .split(|character| {
            match character {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            character == ',' && depth == 0
        })
        .map(|column| column.trim().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stamps_close_the_table() {
        let table = std("teams").columns([text("name"), uuid("lead_id").null().references("users", OnDelete::SetNull)]);
        let names: Vec<_> = table.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["id", "tenant_id", "name", "lead_id", "created_at", "updated_at"]);
        assert_eq!(table.foreign_keys.len(), 2);
    }

    #[test]
    fn expressions_stay_whole() {
        let index = index("i", "coalesce(a, b), c desc");
        assert_eq!(index.columns, ["coalesce(a, b)", "c desc"]);
    }

    #[test]
    fn key_indexes_leave_out_null() {
        let table = std("t").columns([uuid("a_id"), uuid("b_id").null()]).key_indexes(["a_id", "b_id"]);
        assert_eq!(table.indexes[0].predicate, None);
        assert_eq!(table.indexes[1].predicate.as_deref(), Some("b_id is not null"));
    }
}
