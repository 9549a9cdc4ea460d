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

/// The row is the tenant's, where another column than the tenant's leads to it.
///
/// SQLite keeps no statistics of a new database and might take the tenant's index instead, which is the whole history;
/// the plus sign takes that index out of its choice.
pub(super) fn also_of_tenant(column: impl ColumnTrait, tenant: TenantId, backend: DbBackend) -> Expr {
    match backend {
        DbBackend::Sqlite => Expr::cust_with_exprs(
            "+? = ?",
            [Expr::col(column.as_column_ref()), Expr::val(tenant.0)],
        ),
        _ => column.eq(tenant.0),
    }
}
