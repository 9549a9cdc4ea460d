//! Whole rows, many lists of them in one statement, and the name of a row that does not decode.

use cogwheel_engine::ports::StoreError;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Alias, Asterisk, Expr, Query, SelectStatement, UnionType};
use sea_orm::{
    ConnectionTrait, DatabaseExecutor, DbErr, EntityTrait, FromQueryResult, IdenStatic, Iterable, Order,
    PrimaryKeyToColumn, QueryResult, QueryTrait, Select,
};

use crate::fault;
use crate::rows::corrupt;

/// Lists that one statement reads; SQLite takes up to 500.
const LISTS_IN_A_STATEMENT: usize = 250;

/// The column that tells which list a row is of.
const LIST: &str = "list_number";

/// The rows of a query.
pub(super) async fn all<E: EntityTrait>(
    connection: &DatabaseExecutor<'_>,
    query: Select<E>,
) -> Result<Vec<E::Model>, StoreError> {
    let statement = query.build(connection.get_database_backend());
    let rows = connection.query_all_raw(statement).await.map_err(|error| fault::from_db(&error))?;
    rows.iter().map(model::<E>).collect()
}

/// The rows of each list, in the lists' order. Each is limited by itself, so the cost follows what is asked for.
pub(super) async fn of_each<E: EntityTrait>(
    connection: &DatabaseExecutor<'_>,
    lists: Vec<Select<E>>,
    (sorted_by, order): (&[E::Column], Order),
) -> Result<Vec<Vec<E::Model>>, StoreError> {
    let failed = |error: DbErr| fault::from_db(&error);
    let mut read: Vec<Vec<E::Model>> = lists.iter().map(|_| Vec::new()).collect();
    let mut lists = lists.into_iter();
    for read in read.chunks_mut(LISTS_IN_A_STATEMENT) {
        let Some(mut query) = together(lists.by_ref().take(LISTS_IN_A_STATEMENT)) else { break };
        query.order_by(Alias::new(LIST), Order::Asc);
        for column in sorted_by {
            query.order_by(*column, order.clone());
        }
        let statement = connection.get_database_backend().build(&query);
        for row in connection.query_all_raw(statement).await.map_err(failed)? {
            let list: i32 = row.try_get("", LIST).map_err(failed)?;
            let rows = usize::try_from(list).ok().and_then(|list| read.get_mut(list));
            rows.ok_or_else(|| StoreError::Bug(format!("there is no list {list}")))?.push(model::<E>(&row)?);
        }
    }
    Ok(read)
}

/// Several limited lists as one query, each row with the number of its list.
pub(crate) fn together<E: EntityTrait>(lists: impl Iterator<Item = Select<E>>) -> Option<SelectStatement> {
    let numbered = |(number, list): (usize, Select<E>)| {
        let mut list = list.into_query();
        list.expr_as(Expr::cust(number.to_string()), Alias::new(LIST));
        // Only a subquery may have a limit of its own on both databases.
        let mut query = Query::select();
        query.column(Asterisk).from_subquery(list, Alias::new("list"));
        query
    };
    lists.enumerate().map(numbered).reduce(|mut query, list| {
        query.union(UnionType::All, list);
        query
    })
}

fn model<E: EntityTrait>(row: &QueryResult) -> Result<E::Model, StoreError> {
    E::Model::from_query_result(row, "").map_err(|error| {
        if fault::is_undecodable(&error) {
            corrupt(E::default().table_name(), &key_of::<E>(row), error.to_string())
        } else {
            fault::from_db(&error)
        }
    })
}

/// The row's primary key, as far as it can be read.
fn key_of<E: EntityTrait>(row: &QueryResult) -> String {
    let parts = E::PrimaryKey::iter().map(|key| {
        let column = key.into_column();
        let name = column.as_str();
        let uuid = row.try_get::<Uuid>("", name).map(|id| id.to_string());
        let number = || row.try_get::<i64>("", name).map(|id| id.to_string());
        let small = || row.try_get::<i32>("", name).map(|id| id.to_string());
        uuid.or_else(|_| number()).or_else(|_| small()).unwrap_or_else(|_| "?".to_owned())
    });
    parts.collect::<Vec<_>>().join("/")
}
