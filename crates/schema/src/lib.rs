//! What a database schema is: declared, rendered, read from a live database, compared.
//!
//! Two independent accounts of the tables exist: the entities (what the code believes) and the
//! migrations (how a database got there). Both speak in [`TableDef`]; [`ddl`] renders it, [`live`]
//! reads what a database really holds, [`compare`] names every difference. Beside the tables stands one form in which rows
//! are kept: [`event_chain`].

pub mod build;
pub mod change;
pub mod compare;
pub mod ddl;
pub mod def;
pub mod event_chain;
pub mod live;

pub use change::{Change, ChangeKind};
pub use def::{
    Backend, CheckDef, ColumnDef, ColumnType, Extra, ForeignKeyDef, IndexDef, OnDelete, SearchDef, Shape, TableDef,
};
pub use live::LiveSchema;
