//! Steps that wait for an event: they find it among the events, and take it once.
//!
//! What such a step took is kept as a signal that is taken, so that it is found again after a crash. A signal's key names
//! execution and event: an event answers one wait of an execution, and another execution that waits for it hears it, too.

use cogwheel_engine::ports::{AwaitedSignal, EventWait, EventWaiters, RecordedEvent, StoreError, TakenSignal};
use cogwheel_machine::{EVENT_SIGNAL, ExecutionId};
use sea_orm::{DbBackend, Value};
use uuid::Uuid;

use crate::events::read;
use crate::tx::{Ask, WriteTx, raw};
use crate::values::{new_id, storable, storable_text};

const INSERT: &str = "insert into signals (id, tenant_id, signal_name, correlation_key, execution_id, status, payload,
        idempotency_key, received_at, consumed_at, step_ordinal, created_at, updated_at)
    values ($1, $2, $3, $4, $5, 'consumed', $6, $7, $8, $9, $10, $9, $9) on conflict do nothing";

/// The first event that came since the execution began and that none of its steps took. It is read as it is committed:
/// whoever waits for one event need not know what may still come before it.
const FOUND: &str = "correlation_id = $1 and tenant_id = $2 and event_type in (select value from TYPES)
      and ($4 = '' or SUBJECT = $5)
      and created_at >= (select e.created_at from workflow_executions e where e.id = $6)
      and not exists (select 1 from signals s where s.tenant_id = $2 and s.signal_name = 'event'
          and s.idempotency_key = cast($7 as text) || cast(event_store.position as text))
    order by position limit 1";

/// Executions with a step for which such an event is there; `MANY` narrows them down to correlations.
const ANSWERED: &str = "select distinct s.execution_id
    from step_executions s join workflow_executions e on e.id = s.execution_id
    where s.wait_signal_name = 'event' and s.status = 'waiting' and s.wait_signal_name is not null
      and e.completed_at is null MANY
      and exists (select 1 from event_store v
          where v.correlation_id = CORRELATION and v.tenant_id = s.tenant_id and v.created_at >= e.created_at
            and LISTED
            and (SUBJECT_OF_WAIT is null or SUBJECT_OF_WAIT = SUBJECT_OF_EVENT)
            and not exists (select 1 from signals t where t.tenant_id = s.tenant_id and t.signal_name = 'event'
                and t.idempotency_key = EXECUTION || '/' || cast(v.position as text)))";

/// The condition that such an event fulfils.
pub(crate) fn found(backend: DbBackend) -> String {
    let (types, subject) = match backend {
        DbBackend::Sqlite => ("json_each($3)", "cast(event_data ->> 'subject' as text)"),
        _ => ("json_array_elements_text($3::json) as t(value)", "(event_data ->> 'subject')"),
    };
    FOUND.replace("TYPES", types).replace("SUBJECT", subject)
}

/// What an execution's marks of taken events begin with.
fn mark(execution: ExecutionId) -> String {
    format!("{}/", execution.0.simple())
}

/// The event that a step could take.
pub(super) async fn pending(
    ask: &mut dyn Ask,
    (tenant, execution): (Uuid, ExecutionId),
    wait: &AwaitedSignal,
    event: &EventWait,
) -> Result<Option<RecordedEvent>, StoreError> {
    let Some(correlation) = wait.correlation.as_deref().and_then(|text| text.parse::<Uuid>().ok()) else {
        return Ok(None);
    };
    let condition = found(ask.backend());
    let wanted = event.subject.as_deref().map(storable_text);
    let values = [
        Value::from(correlation),
        Value::from(tenant),
        Value::from(serde_json::json!(event.types).to_string()),
        Value::from(if wanted.is_some() { "given" } else { "" }),
        Value::from(wanted.unwrap_or_default()),
        Value::from(execution.0),
        Value::from(mark(execution)),
    ];
    read::first(ask, &condition, values).await
}

/// Takes the event that came for a step.
pub(super) async fn take(
    tx: &mut dyn WriteTx,
    place: (Uuid, ExecutionId),
    wait: &AwaitedSignal,
    event: &EventWait,
    at: chrono::DateTime<chrono::Utc>,
) -> Result<Option<TakenSignal>, StoreError> {
    let Some(found) = pending(tx.asking(), place, wait, event).await? else { return Ok(None) };
    let (tenant, execution) = place;
    let payload = storable(&found.seen());
    let values = [
        Value::from(new_id(at)),
        Value::from(tenant),
        Value::from(EVENT_SIGNAL),
        Value::from(wait.correlation.clone()),
        Value::from(execution.0),
        Value::from(payload.clone()),
        Value::from(format!("{}{}", mark(execution), found.place.position)),
        Value::from(found.at),
        Value::from(at),
        Value::from(wait.ordinal),
    ];
    if tx.execute(raw(tx, INSERT, values)).await? == 0 {
        return Ok(None);
    }
    Ok(Some(TakenSignal { ordinal: wait.ordinal, payload, received_at: found.at }))
}

/// The executions for which an event has come.
pub(crate) async fn answered(ask: &mut dyn Ask, of: &EventWaiters) -> Result<Vec<Uuid>, StoreError> {
    let sql = answered_sql(ask.backend(), matches!(of, EventWaiters::Of { .. }));
    let values = match of {
        EventWaiters::All => Vec::new(),
        EventWaiters::Of { tenant, correlations } => {
            let texts: Vec<String> = correlations.iter().map(Uuid::to_string).collect();
            vec![Value::from(tenant.0), Value::from(serde_json::json!(texts).to_string())]
        }
    };
    let rows = ask.query(raw(ask, &sql, values)).await?;
    rows.iter().map(|row| row.get("execution_id")).collect()
}

/// The query for them; narrow, by a tenant and correlations.
pub(crate) fn answered_sql(backend: DbBackend, is_narrow: bool) -> String {
    let is_sqlite = backend == DbBackend::Sqlite;
    let many = match (is_narrow, is_sqlite) {
        (false, _) => "",
        (true, true) => "and s.tenant_id = $1 and s.wait_correlation_key in (select value from json_each($2))",
        (true, false) => {
            "and s.tenant_id = $1 and s.wait_correlation_key in (select json_array_elements_text($2::json))"
        }
    };
    // A signal may have the same name, and any correlation.
    let (correlation, listed, of_wait, of_event, execution) = if is_sqlite {
        (
            "unhex(replace(s.wait_correlation_key, '-', ''))",
            "(v.event_type in (select value from json_each(s.input_data, '$.event'))
                or v.event_type in (select value from json_each(s.input_data, '$.failure')))",
            "(s.input_data ->> 'subject')",
            "cast(v.event_data ->> 'subject' as text)",
            "lower(hex(e.id))",
        )
    } else {
        (
            "case when s.wait_correlation_key ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' \
                then s.wait_correlation_key::uuid end",
            "(jsonb_exists(s.input_data -> 'event', v.event_type) or jsonb_exists(s.input_data -> 'failure', v.event_type))",
            "(s.input_data ->> 'subject')",
            "(v.event_data ->> 'subject')",
            "replace(e.id::text, '-', '')",
        )
    };
    ANSWERED
        .replace("MANY", many)
        .replace("CORRELATION", correlation)
        .replace("LISTED", listed)
        .replace("SUBJECT_OF_WAIT", of_wait)
        .replace("SUBJECT_OF_EVENT", of_event)
        .replace("EXECUTION", execution)
}
