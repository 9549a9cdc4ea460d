//! One difference and its kinds.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What sort of difference it is; serialised in `snake_case`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each kind is said by its name")]
pub enum Kind {
    MissingTable,
    ExtraTable,
    MissingColumn,
    ExtraColumn,
    ColumnType,
    Nullability,
    Default,
    Generated,
    PrimaryKey,
    MissingCheck,
    ExtraCheck,
    Check,
    MissingForeignKey,
    ExtraForeignKey,
    ForeignKeyTarget,
    ForeignKeyName,
    OnDelete,
    ForeignKeyWithoutIndex,
    MissingIndex,
    ExtraIndex,
    Index,
    DuplicateIndex,
    MissingTrigger,
    ExtraTrigger,
    Trigger,
    MissingPolicy,
    ExtraPolicy,
    Policy,
    RowSecurity,
    Partition,
    TableOptions,
    VirtualTable,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// One named difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Its kind.
    pub kind: Kind,
    /// The table it is about.
    pub table: String,
    /// The column, constraint, index, trigger or policy, or the table itself.
    pub object: String,
    /// What is declared; `None` where nothing is.
    pub declared: Option<String>,
    /// What the database holds; `None` where nothing is.
    pub live: Option<String>,
    /// The difference as a sentence.
    pub message: String,
}

/// Collects the differences of one table.
pub(super) struct Findings<'a> {
    pub(super) table: &'a str,
    pub(super) found: &'a mut Vec<Difference>,
}

impl Findings<'_> {
    pub(super) fn add(
        &mut self,
        kind: Kind,
        object: &str,
        declared: Option<String>,
        live: Option<String>,
        message: String,
    ) {
        self.found.push(Difference {
            kind,
            table: self.table.to_owned(),
            object: object.to_owned(),
            declared,
            live,
            message,
        });
    }
}
