//! Conditions that stand in a statement as they are, because a partial index has to recognise them.

use cogwheel_engine::TenantId;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ActiveEnum, ColumnTrait, DbBackend};

/// The column is true.
pub(crate) fn is_true(column: impl ColumnTrait) -> Expr {
    is(column, true)
}

/// The column has this truth value.
pub(super) fn is(column: impl ColumnTrait, value: bool) -> Expr {
    Expr::col(column.as_column_ref()).eq(Expr::Constant(value.into()))
}

/// The column holds one of these words.
pub(super) fn one_of<W: ActiveEnum<Value = String>>(column: impl ColumnTrait, words: Vec<W>) -> Expr {
    let mut words: Vec<Expr> = words.into_iter().map(|word| Expr::Constant(word.to_value().into())).collect();
    let column = Expr::col(column.as_column_ref());
    match (words.pop(), words.is_empty()) {
        // One word leaves the order of the index usable; a list does not.
        (Some(word), true) => column.eq(word),
        (last, _) => column.is_in(words.into_iter().chain(last)),
    }
}

/// The column, kept out of SQLite's choice of an index.
///
/// SQLite has no statistics of a database that grows while it is served, and may take the index that sorts a whole
/// history over the one that holds the few rows in question; a plus sign before a column decides it.
pub(super) fn unindexed(column: impl ColumnTrait, backend: DbBackend) -> Expr {
    let column = Expr::col(column.as_column_ref());
    if backend == DbBackend::Sqlite { Expr::cust_with_expr("+?", column) } else { column }
}

/// The row is the tenant's, where another column than the tenant's leads to it.
pub(super) fn also_of_tenant(column: impl ColumnTrait, tenant: TenantId, backend: DbBackend) -> Expr {
    unindexed(column, backend).eq(tenant.0)
}
