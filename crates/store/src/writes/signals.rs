//! What comes for executions from outside: signals, which are kept until taken, and the ends of children.

use chrono::{DateTime, Utc};
use cogwheel_engine::ports::{
    AskInbox, AwaitedSignal, EndedChild, Inbox, NewSignal, SignalAnswer, StoreError, TakenSignal,
};
use cogwheel_machine::{CancelRequested, ExecutionId, ExecutionStatus};
use sea_orm::{DbBackend, Value};
use uuid::Uuid;

use super::{event_waits, restore, sagas};
use crate::rows::Stored;
use crate::tx::{Ask, FOR_UPDATE, Row, SKIP_LOCKED, WriteTx, any_of, ids, locked, raw};
use crate::values::{storable, storable_text};

const FIND_KNOWN: &str = "select id from signals where id = $1
    union all select id from signals where tenant_id = $2 and signal_name = $3 and idempotency_key = $4";
const FIND_EXECUTION: &str = "select status from workflow_executions where id = $1 and tenant_id = $2";
const INSERT: &str = "insert into signals (id, tenant_id, signal_name, correlation_key, execution_id, status, payload,
        idempotency_key, received_at, expires_at, created_at, updated_at)
    values ($1, $2, $3, $4, $5, 'pending', $6, $7, $8, $9, $8, $8) on conflict do nothing";
/// Steps of one execution, or of any of the tenant, that wait for a signal.
const WAITING_IN: &str = "select execution_id from step_executions
    where tenant_id = $1 and wait_signal_name = $2 and status = 'waiting' and wait_signal_name is not null
      and execution_id = $3";
pub(crate) const WAITING_FOR: &str = "select execution_id from step_executions
    where tenant_id = $1 and wait_signal_name = $2 and status = 'waiting' and wait_signal_name is not null
      and wait_correlation_key = $3";

const TAKEN: &str = "select payload, received_at from signals
    where execution_id = $1 and signal_name = $2 and step_ordinal = $3 and status = 'consumed' limit 1";
/// Signals that came for a step and are not taken: to the execution, and to the correlation.
pub(crate) const PENDING_IN: &str = "select id, payload, received_at, expires_at from signals
    where execution_id = $1 and signal_name = $2 and status = 'pending'";
pub(crate) const PENDING_FOR: &str = "select id, payload, received_at, expires_at from signals
    where tenant_id = $1 and signal_name = $2 and correlation_key = $3 and status = 'pending' and execution_id is null";
const CONSUME: &str = "update signals set status = 'consumed', consumed_at = $1, execution_id = $2, step_ordinal = $3,
    updated_at = $1 where id = $4 and status = 'pending'";
const EXPIRE: &str = "update signals set status = 'expired', updated_at = $1 where id = $2 and status = 'pending'";
const READ_CANCEL: &str =
    "select cancel_requested_at, cancel_reason from workflow_executions where id = $1 and tenant_id = $2";

/// A signal that nobody has taken.
struct Pending {
    id: Uuid,
    signal: TakenSignal,
    expires_at: Option<DateTime<Utc>>,
}

/// Keeps a signal and wakes those that wait for it.
pub(crate) async fn send(tx: &mut dyn WriteTx, signal: &NewSignal) -> Result<SignalAnswer, StoreError> {
    let (tenant, name) = (Value::from(signal.tenant.0), Value::from(storable_text(&signal.name)));
    let key = Value::from(signal.idempotency_key.as_deref().map(storable_text));
    let known = [Value::from(signal.id), tenant.clone(), name.clone(), key.clone()];
    if !tx.query(raw(tx, FIND_KNOWN, known)).await?.is_empty() {
        return Ok(SignalAnswer::Duplicate);
    }
    if let Some(execution) = signal.execution {
        // It must not end between this look and the signal's commit, or nobody would let the signal expire.
        let find = format!("{FIND_EXECUTION}{}", locked(tx, FOR_UPDATE));
        let rows = tx.query(raw(tx, &find, [Value::from(execution.0), tenant.clone()])).await?;
        let Some(row) = rows.first() else { return Ok(SignalAnswer::UnknownExecution) };
        let status = ExecutionStatus::from_word(&row.get("status")?, "workflow_executions", execution)?;
        if status.is_terminal() {
            return Ok(SignalAnswer::Ended(status));
        }
    }
    let correlation = Value::from(signal.correlation.as_deref().map(storable_text));
    let values = [
        Value::from(signal.id),
        tenant,
        name,
        correlation,
        Value::from(signal.execution.map(|execution| execution.0)),
        Value::from(storable(&signal.payload)),
        key,
        Value::from(signal.at),
        Value::from(signal.expires_at),
    ];
    if tx.execute(raw(tx, INSERT, values)).await? == 0 {
        return Ok(SignalAnswer::Duplicate);
    }
    wake(tx, signal).await.map(SignalAnswer::Kept)
}

/// Whether anything came that a step could take.
async fn has_pending(ask: &mut dyn Ask, question: &AskInbox, wait: &AwaitedSignal) -> Result<bool, StoreError> {
    match &wait.event {
        Some(event) => {
            let place = (question.tenant.0, question.execution);
            Ok(event_waits::pending(ask, place, wait, event).await?.is_some())
        }
        None => Ok(!pending(ask, question, wait, "").await?.is_empty()),
    }
}

/// Makes those that wait for a signal due where nobody owns them, and tells all of them.
pub(crate) async fn wake(tx: &mut dyn WriteTx, signal: &NewSignal) -> Result<Vec<ExecutionId>, StoreError> {
    let (tenant, name) = (Value::from(signal.tenant.0), Value::from(storable_text(&signal.name)));
    let (waiting, third) = match (signal.execution, &signal.correlation) {
        (Some(execution), _) => (WAITING_IN, Value::from(execution.0)),
        (None, Some(correlation)) => (WAITING_FOR, Value::from(storable_text(correlation))),
        (None, None) => return Ok(Vec::new()),
    };
    let rows = tx.query(raw(tx, waiting, [tenant, name, third])).await?;
    let waiting: Vec<Uuid> = rows.iter().map(|row| row.get("execution_id")).collect::<Result<_, _>>()?;
    wake_live(tx, waiting, signal.at).await
}

/// Makes executions due where nobody owns them, and tells which of them are live.
pub(crate) async fn wake_live(
    tx: &mut dyn WriteTx,
    waiting: Vec<Uuid>,
    at: DateTime<Utc>,
) -> Result<Vec<ExecutionId>, StoreError> {
    if waiting.is_empty() {
        return Ok(Vec::new());
    }
    // Whoever lets go of one at this moment either has done so or will see the signal.
    let live = format!(
        "select id from workflow_executions where completed_at is null and id in {} order by id{}",
        any_of(tx.backend(), 1),
        locked(tx, FOR_UPDATE)
    );
    let rows = tx.query(raw(tx, &live, [ids(tx, waiting)])).await?;
    let live: Vec<Uuid> = rows.iter().map(|row| row.get("id")).collect::<Result<_, _>>()?;
    let wake = format!(
        "update workflow_executions set next_wake_at = $1, updated_at = $1
         where owner_node_id is null and completed_at is null and id in {}",
        any_of(tx.backend(), 2)
    );
    tx.execute(raw(tx, &wake, [Value::from(at), ids(tx, live.iter().copied())])).await?;
    Ok(live.into_iter().map(ExecutionId).collect())
}

/// What came for an execution, if no signal has to be marked as taken for the answer.
pub(crate) async fn look(ask: &mut dyn Ask, question: &AskInbox) -> Result<Option<Inbox>, StoreError> {
    let mut signals = Vec::new();
    for wait in &question.waits {
        match taken(ask, question, wait).await? {
            Some(signal) => signals.push(signal),
            None if !has_pending(ask, question, wait).await? => {}
            None => return Ok(None),
        }
    }
    let (cancel, children) = (cancel(ask, question).await?, children(ask, question).await?);
    Ok(Some(Inbox { cancel, signals, children, saga: sagas::inbox(ask, question).await? }))
}

/// What came for an execution; takes the signals that its steps wait for.
pub(crate) async fn open(tx: &mut dyn WriteTx, question: &AskInbox) -> Result<Inbox, StoreError> {
    let mut signals = Vec::new();
    for wait in &question.waits {
        let known = taken(tx.asking(), question, wait).await?;
        signals.extend(match known {
            Some(signal) => Some(signal),
            None => take(tx, question, wait).await?,
        });
    }
    let (cancel, children) = (cancel(tx.asking(), question).await?, children(tx.asking(), question).await?);
    Ok(Inbox { cancel, signals, children, saga: sagas::inbox(tx.asking(), question).await? })
}

/// The signal that a step took before.
async fn taken(
    ask: &mut dyn Ask,
    question: &AskInbox,
    wait: &AwaitedSignal,
) -> Result<Option<TakenSignal>, StoreError> {
    let values = [Value::from(question.execution.0), Value::from(storable_text(&wait.name)), Value::from(wait.ordinal)];
    let rows = ask.query(raw(ask, TAKEN, values)).await?;
    rows.first().map(|row| signal(row, wait)).transpose()
}

fn signal(row: &Row, wait: &AwaitedSignal) -> Result<TakenSignal, StoreError> {
    Ok(TakenSignal { ordinal: wait.ordinal, payload: row.get("payload")?, received_at: row.get("received_at")? })
}

/// The signals that a step could take, oldest first; those that nobody may take any more are among them.
async fn pending(
    ask: &mut dyn Ask,
    question: &AskInbox,
    wait: &AwaitedSignal,
    lock: &str,
) -> Result<Vec<Pending>, StoreError> {
    const OLDEST: &str = " order by received_at, id limit 100";
    let name = Value::from(storable_text(&wait.name));
    let addressed = [Value::from(question.execution.0), name.clone()];
    let mut rows = ask.query(raw(ask, &format!("{PENDING_IN}{OLDEST}{lock}"), addressed)).await?;
    if let Some(correlation) = &wait.correlation {
        let correlated = [Value::from(question.tenant.0), name, Value::from(storable_text(correlation))];
        rows.extend(ask.query(raw(ask, &format!("{PENDING_FOR}{OLDEST}{lock}"), correlated)).await?);
    }
    let read =
        |row: &Row| Ok(Pending { id: row.get("id")?, signal: signal(row, wait)?, expires_at: row.get("expires_at")? });
    let mut pending = rows.iter().map(read).collect::<Result<Vec<_>, StoreError>>()?;
    pending.sort_by_key(|pending| (pending.signal.received_at, pending.id));
    Ok(pending)
}

/// Takes the oldest signal that came for a step; lets those before it expire whose time is over.
async fn take(
    tx: &mut dyn WriteTx,
    question: &AskInbox,
    wait: &AwaitedSignal,
) -> Result<Option<TakenSignal>, StoreError> {
    if let Some(event) = &wait.event {
        return event_waits::take(tx, (question.tenant.0, question.execution), wait, event, question.at).await;
    }
    let lock = locked(tx, SKIP_LOCKED);
    for pending in pending(tx.asking(), question, wait, lock).await? {
        let id = Value::from(pending.id);
        if pending.expires_at.is_some_and(|expires_at| expires_at <= question.at) {
            tx.execute(raw(tx, EXPIRE, [Value::from(question.at), id])).await?;
            continue;
        }
        let (execution, ordinal) = (Value::from(question.execution.0), Value::from(wait.ordinal));
        tx.execute(raw(tx, CONSUME, [Value::from(question.at), execution, ordinal, id])).await?;
        return Ok(Some(pending.signal));
    }
    Ok(None)
}

async fn cancel(ask: &mut dyn Ask, question: &AskInbox) -> Result<Option<CancelRequested>, StoreError> {
    let values = [Value::from(question.execution.0), Value::from(question.tenant.0)];
    let rows = ask.query(raw(ask, READ_CANCEL, values)).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let requested: Option<DateTime<Utc>> = row.get("cancel_requested_at")?;
    requested.map(|_| Ok(CancelRequested { reason: row.get("cancel_reason")? })).transpose()
}

/// The ended executions that steps started.
async fn children(ask: &mut dyn Ask, question: &AskInbox) -> Result<Vec<EndedChild>, StoreError> {
    if question.children.is_empty() {
        return Ok(Vec::new());
    }
    let (list, ordinals) = match ask.backend() {
        DbBackend::Sqlite => {
            ("(select value from json_each($3))", Value::from(serde_json::json!(question.children).to_string()))
        }
        _ => ("(select unnest($3::int[]))", Value::from(question.children.clone())),
    };
    let sql = format!(
        "select parent_step_ordinal, id, status, result_data, error from workflow_executions
         where parent_execution_id = $1 and tenant_id = $2 and completed_at is not null
           and parent_step_ordinal in {list} order by parent_step_ordinal, id"
    );
    let values = [Value::from(question.execution.0), Value::from(question.tenant.0), ordinals];
    let read = |row: &Row| {
        let id: Uuid = row.get("id")?;
        Ok(EndedChild {
            ordinal: row.get("parent_step_ordinal")?,
            execution: ExecutionId(id),
            status: ExecutionStatus::from_word(&row.get("status")?, "workflow_executions", id)?,
            result: row.get("result_data")?,
            error: restore::failure(row, "workflow_executions", &id)?,
        })
    };
    ask.query(raw(ask, &sql, values)).await?.iter().map(read).collect()
}
