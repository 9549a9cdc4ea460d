//! Why the store could not do what it was asked.

/// Few kinds, each with a reaction of its own.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached or is too busy; the same call may work later.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The connection broke while the write was being committed; the same call tells what became of it.
    #[error("the database went away before it told whether the write is recorded: {0}")]
    Unanswered(String),
    /// The write contradicts what is stored: another node owns the row, or it is final.
    #[error("the write was refused: {0}")]
    Conflict(String),
    /// A stored row cannot be understood.
    #[error("{table} row {id} is not usable: {why}")]
    CorruptRow {
        /// The table.
        table: &'static str,
        /// The row's key.
        id: String,
        /// What is wrong with it.
        why: String,
    },
    /// A statement failed in a way that no retry mends.
    #[error("the database refused a statement: {0}")]
    Bug(String),
}

impl StoreError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Unanswered(_))
    }
}
