//! Changes of a table that stands, each of which can be taken back.

use crate::build::Column;
use crate::def::{ColumnDef, Extra, IndexDef, TableDef};

/// A change of a table that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The table.
    pub table: String,
    /// What changes.
    pub kind: ChangeKind,
}

/// What changes of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// A column comes: without foreign key, and of a type that brings no check.
    AddColumn(ColumnDef),
    /// An index comes.
    AddIndex(IndexDef),
    /// An index goes; its definition brings it back.
    DropIndex(IndexDef),
    /// A refusal of updates comes.
    AddRefusal(Refusal),
    /// A refusal of updates goes; its definition brings it back.
    DropRefusal(Refusal),
    /// Rows are kept from now on, but for transactions that see the lease: [`Extra::Keep`].
    Keep(String),
}

/// Which updates of a table are refused, by a trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The last part of the trigger's name.
    pub name: String,
    /// The condition, over `old` and `new`.
    pub when: String,
}

/// A column that comes to `table`.
pub fn add_column(table: &str, column: Column) -> Change {
    Change { table: table.to_owned(), kind: ChangeKind::AddColumn(column.into_def()) }
}

/// An index that comes to `table`.
pub fn add_index(table: &str, index: IndexDef) -> Change {
    Change { table: table.to_owned(), kind: ChangeKind::AddIndex(index) }
}

/// An index of `table` that goes.
pub fn drop_index(table: &str, index: IndexDef) -> Change {
    Change { table: table.to_owned(), kind: ChangeKind::DropIndex(index) }
}

/// Rows of `table` that are kept from now on, but for transactions that see the lease.
pub fn keep(table: &str, lease: &str) -> Change {
    Change { table: table.to_owned(), kind: ChangeKind::Keep(lease.to_owned()) }
}

/// A refusal of updates that comes to `table`.
pub fn add_refusal(table: &str, name: &str, when: &str) -> Change {
    Change { table: table.to_owned(), kind: ChangeKind::AddRefusal(Refusal::new(name, when)) }
}

/// A refusal of updates of `table` that goes.
pub fn drop_refusal(table: &str, name: &str, when: &str) -> Change {
    Change { table: table.to_owned(), kind: ChangeKind::DropRefusal(Refusal::new(name, when)) }
}

impl Refusal {
    fn new(name: &str, when: &str) -> Self {
        Self { name: name.to_owned(), when: when.to_owned() }
    }
}

impl Change {
    /// Does to a declared table what the change does to the real one.
    pub fn apply(&self, table: &mut TableDef) {
        match &self.kind {
            ChangeKind::AddColumn(column) => {
                let closing = table.columns.iter().position(|known| known.name == "created_at");
                table.columns.insert(closing.unwrap_or(table.columns.len()), column.clone());
            }
            ChangeKind::AddIndex(index) => table.indexes.push(index.clone()),
            ChangeKind::DropIndex(index) => table.indexes.retain(|known| known.name != index.name),
            ChangeKind::AddRefusal(Refusal { name, when }) => {
                table.extras.push(Extra::RefuseUpdate { name: name.clone(), when: Some(when.clone()) });
            }
            ChangeKind::DropRefusal(refusal) => {
                table
                    .extras
                    .retain(|known| !matches!(known, Extra::RefuseUpdate { name, .. } if *name == refusal.name));
            }
            ChangeKind::Keep(lease) => table.extras.push(Extra::Keep { lease: lease.clone() }),
        }
    }
}
