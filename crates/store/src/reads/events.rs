//! Events, and those that consumers gave up on.

use async_trait::async_trait;
use cogwheel_engine::TenantId;
use cogwheel_engine::ports::{EventFilter, RecordedEvent, StoreError};
use cogwheel_engine::views::DeadLetterView;
use sea_orm::{ConnectionTrait, DatabaseExecutor, DbBackend, Statement, Value};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::events::read;
use crate::fault;
use crate::tx::{Ask, Row};

/// By the index of the tenant's open letters.
pub(crate) const DEAD_LETTERS: &str = "select d.event_id, e.event_type, e.event_data, d.error, d.created_at
    from event_dead_letters d join event_store e on e.id = d.event_id
    where d.tenant_id = $1 and d.status = 'open' order by d.created_at desc, d.id desc limit $2";

/// A read's connection, asked as a transaction is.
struct Executing<'e, 'c>(&'e DatabaseExecutor<'c>);

#[async_trait]
impl Ask for Executing<'_, '_> {
    fn backend(&self) -> DbBackend {
        self.0.get_database_backend()
    }

    async fn query(&mut self, statement: Statement) -> Result<Vec<Row>, StoreError> {
        let rows = self.0.query_all_raw(statement).await.map_err(fault::reading("event_store"))?;
        Ok(rows.into_iter().map(Row::Sqlx).collect())
    }
}

pub(super) async fn list(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    filter: &EventFilter,
    after_position: i64,
    most: u32,
) -> Result<Vec<RecordedEvent>, StoreError> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    read::list(&mut Executing(connection), tenant, filter, after_position, most).await
}

pub(super) async fn one(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    id: Uuid,
) -> Result<Option<RecordedEvent>, StoreError> {
    read::one(&mut Executing(connection), tenant, id).await
}

pub(super) async fn dead_letters(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    most: u32,
) -> Result<Vec<DeadLetterView>, StoreError> {
    let values = [Value::from(tenant.0), Value::from(i64::from(most))];
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), DEAD_LETTERS, values);
    let rows = connection.query_all_raw(statement).await.map_err(fault::reading("event_dead_letters"))?;
    let view = |row: &sea_orm::QueryResult| {
        let error: Json = row.try_get("", "error")?;
        let reasons = error["reasons"].as_array().into_iter().flatten();
        Ok(DeadLetterView {
            event: row.try_get("", "event_id")?,
            event_type: row.try_get("", "event_type")?,
            data: row.try_get("", "event_data")?,
            reasons: reasons.filter_map(|reason| reason.as_str().map(str::to_owned)).collect(),
            created_at: row.try_get("", "created_at")?,
        })
    };
    rows.iter().map(view).collect::<Result<_, _>>().map_err(fault::reading("event_dead_letters"))
}
