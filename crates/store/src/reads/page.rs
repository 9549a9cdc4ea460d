//! Keyset pages over any entity: page 1000 costs what page 1 costs.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::Hash;

use chrono::{DateTime, Utc};
use cogwheel_engine::views::{Page, PageRequest};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, DbBackend, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect, Select, Value, prelude::Uuid,
};

use super::literal;

/// How many rows to read: one more than asked for tells whether more follow.
pub(super) fn limit<C>(page: &PageRequest<C>) -> u64 {
    let (PageRequest::Forward { first: size, .. } | PageRequest::Backward { last: size, .. }) = page;
    u64::from(*size) + 1
}

/// A list by time, newest first; equal times are told apart by id.
pub(crate) fn by_time<E: EntityTrait>(list: Select<E>, at: E::Column, id: E::Column, page: &PageRequest) -> Select<E> {
    by_time_then(list, at, &Expr::col(id.as_column_ref()), page)
}

/// The same with the id as an expression.
fn by_time_then<E: EntityTrait>(list: Select<E>, at: E::Column, id: &Expr, page: &PageRequest) -> Select<E> {
    let place = || Expr::tuple([Expr::col(at.as_column_ref()), id.clone()]);
    let list = match page {
        PageRequest::Forward { after: Some(after), .. } => {
            list.filter(place().lt(Expr::tuple([Expr::val(after.at), Expr::val(after.id)])))
        }
        PageRequest::Backward { before: Some(before), .. } => {
            list.filter(place().gt(Expr::tuple([Expr::val(before.at), Expr::val(before.id)])))
        }
        PageRequest::Forward { after: None, .. } | PageRequest::Backward { before: None, .. } => list,
    };
    let order = time_order(page);
    list.order_by(at, order.clone()).order_by(id.clone(), order).limit(limit(page))
}

/// In which order such a list is read.
pub(super) fn time_order(page: &PageRequest) -> Order {
    match page {
        PageRequest::Forward { .. } => Order::Desc,
        PageRequest::Backward { .. } => Order::Asc,
    }
}

/// A list by time of rows with one status, through the index that leads with the status.
pub(crate) fn of_status<E: EntityTrait>(
    list: Select<E>,
    (at, id): (E::Column, E::Column),
    status: Expr,
    page: &PageRequest,
    backend: DbBackend,
) -> Select<E> {
    by_time_then(list.filter(status), at, &literal::unindexed(id, backend), page)
}

/// The first rows of several such lists together, each row once.
pub(super) fn merge<M>(mut rows: Vec<M>, page: &PageRequest, place: impl Fn(&M) -> (DateTime<Utc>, Uuid)) -> Vec<M> {
    rows.sort_unstable_by_key(|row| Reverse(place(row)));
    rows.dedup_by_key(|row| place(row));
    if matches!(page, PageRequest::Backward { .. }) {
        rows.reverse();
    }
    rows.truncate(usize::try_from(limit(page)).unwrap_or(usize::MAX));
    rows
}

/// The condition and the order of a list that runs up along one column.
pub(super) fn along<C: Copy + Into<Value>>(column: impl ColumnTrait, page: &PageRequest<C>) -> (Option<Expr>, Order) {
    match page {
        PageRequest::Forward { after, .. } => (after.map(|after| column.gt(after)), Order::Asc),
        PageRequest::Backward { before, .. } => (before.map(|before| column.lt(before)), Order::Desc),
    }
}

/// The rows that were read, in the list's order, without the one too many.
pub(super) fn cut<M, T, C>(mut rows: Vec<M>, page: &PageRequest<C>, view: impl Fn(M) -> T) -> Page<T> {
    let size = usize::try_from(limit(page) - 1).unwrap_or(usize::MAX);
    let has_more = rows.len() > size;
    rows.truncate(size);
    if matches!(page, PageRequest::Backward { .. }) {
        rows.reverse();
    }
    Page { items: rows.into_iter().map(view).collect(), has_more }
}

/// A number of rows, as the port tells it.
pub(super) fn counted(rows: i64) -> u64 {
    u64::try_from(rows).unwrap_or(0)
}

/// The pages of several parents, without those that have no rows.
pub(super) fn cut_each<P, M, T, C>(
    parents: &[P],
    lists: Vec<Vec<M>>,
    page: &PageRequest<C>,
    view: impl Fn(M) -> T,
) -> HashMap<P, Page<T>>
where
    P: Copy + Eq + Hash,
{
    let read = parents.iter().copied().zip(lists).filter(|(_, rows)| !rows.is_empty());
    read.map(|(parent, rows)| (parent, cut(rows, page, &view))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_in_the_lists_order_and_knows_of_more() {
        let forward: PageRequest<i64> = PageRequest::Forward { first: 2, after: None };
        let page = cut(vec![1, 2, 3], &forward, |row| row);
        assert_eq!((page.items, page.has_more), (vec![1, 2], true));
        let backward: PageRequest<i64> = PageRequest::Backward { last: 2, before: None };
        let page = cut(vec![9, 8, 7], &backward, |row| row);
        assert_eq!((page.items, page.has_more), (vec![8, 9], true));
        let page = cut(vec![9], &backward, |row| row);
        assert_eq!((page.items, page.has_more), (vec![9], false));
    }

    #[test]
    fn a_page_of_none_still_knows_of_more() {
        let none: PageRequest<i64> = PageRequest::Forward { first: 0, after: None };
        let page = cut(vec![1], &none, |row| row);
        assert!(page.items.is_empty() && page.has_more);
    }
}
