//! What is asked of sagas from outside, and what their rows tell whoever goes on with them.

use chrono::{DateTime, Utc};
use cogwheel_engine::TenantId;
use cogwheel_engine::events::EventType;
use cogwheel_engine::history::{Decided, DecidedFacts, UnwindAskedFor};
use cogwheel_engine::ports::{
    Actor, AskInbox, NewEvent, SagaInbox, StoreError, Stream, UndoAnswer, UndoRequest, UnwindAnswer, UnwindAsked,
    UnwindRequest,
};
use cogwheel_machine::{
    Cause, CauseKind, ExecutionId, ExecutionStatus, RecordedSaga, Resolution, UndoDecision, UndoStatus, UnwoundBy,
};
use sea_orm::Value;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::audit::{self, Act};
use crate::events::Event;
use crate::rows::{Stored, corrupt};
use crate::tx::{Ask, FOR_UPDATE, Row, WriteTx, locked, raw};
use crate::values::{new_id, storable, storable_text};

const TABLE: &str = "saga_instances";
const UNDOS: &str = "saga_compensations";

const FIND: &str = "select e.status, e.workflow_id from workflow_executions e where e.id = $1 and e.tenant_id = $2";
const ASK: &str = "update saga_instances set unwind_requested_at = $1, unwind_requested_as = $2, unwind_reason = $3,
    updated_at = $1 where execution_id = $4 and unwind_requested_at is null";
const WAKE: &str = "update workflow_executions set next_wake_at = $1, updated_at = $1
    where id = $2 and owner_node_id is null and completed_at is null";
/// A completed execution is live again, in the pool, under an epoch of its own.
const REVIVE: &str = "update workflow_executions set status = 'compensating', completed_at = null,
    execution_time_ms = null, deadline_at = null, error = $1, next_wake_at = $2, lease_epoch = lease_epoch + 1,
    updated_at = $2 where id = $3 and status = 'completed'";
const REVIVE_SAGA: &str = "update saga_instances set status = 'compensating', completed_at = null,
    cause = coalesce(cause, $1), cause_detail = coalesce(cause_detail, $2), unwind_number = unwind_number + 1,
    version = version + 1, updated_at = $3 where execution_id = $4";
/// It counts anew once it has ended.
const COUNT_BACK: &str = "update workflows set total_executions = total_executions - 1,
    successful_executions = successful_executions - 1, updated_at = $1 where id = $2";
const FIND_UNDO: &str = "select c.id, c.status, c.unwind_number, c.step_ordinal, c.operator_retries, g.on_undo_failure
    from saga_instances g
    left join saga_compensations c on c.saga_id = g.id and c.unwind_number = g.unwind_number and c.step_id = $1
    where g.execution_id = $2";
const DECIDE: &str = "update saga_compensations set status = $1, resolution = $2, resolution_reason = $3,
    resolved_by_user_id = $4, resolved_at = $5, operator_retries = operator_retries + $6, next_attempt_at = null,
    updated_at = $5 where id = $7";
const DECISIONS: &str = "select c.id, c.step_ordinal, c.resolution, c.resolution_reason, c.resolved_by_user_id,
        c.resolved_at, c.operator_retries
    from saga_compensations c join saga_instances g on g.id = c.saga_id and g.unwind_number = c.unwind_number
    where g.execution_id = $1 and c.resolution is not null order by c.step_ordinal";
const ASKED: &str = "select unwind_requested_as, unwind_reason from saga_instances
    where execution_id = $1 and unwind_requested_at is not null";

/// Records that everything an execution did is to be undone.
pub(crate) async fn request_unwind(tx: &mut dyn WriteTx, request: &UnwindRequest) -> Result<UnwindAnswer, StoreError> {
    let (id, at) = (Value::from(request.execution.0), Value::from(request.at));
    let find = format!("{FIND}{}", locked(tx, FOR_UPDATE));
    let rows = tx.query(raw(tx, &find, [id.clone(), Value::from(request.tenant.0)])).await?;
    let Some(row) = rows.first() else { return Ok(UnwindAnswer::Unknown) };
    let status = ExecutionStatus::from_word(&row.get("status")?, "workflow_executions", request.execution)?;
    let has_completed = status == ExecutionStatus::Completed;
    if has_completed != (request.expected == ExecutionStatus::Completed) || status.is_terminal() && !has_completed {
        return Ok(UnwindAnswer::Moved);
    }
    let asked_as = match request.by {
        UnwoundBy::Operator => CauseKind::Operator,
        UnwoundBy::Parent => CauseKind::Parent,
    };
    let reason = request.reason.as_deref().map(storable_text);
    let values = [at.clone(), Value::from(asked_as.word()), Value::from(reason), id.clone()];
    let is_first = tx.execute(raw(tx, ASK, values)).await? > 0;
    if has_completed {
        let error = storable(&serde_json::to_value(&request.cause.error).unwrap_or_default());
        let kind = Value::from(request.cause.kind.word());
        tx.execute(raw(tx, REVIVE, [Value::from(error.clone()), at.clone(), id.clone()])).await?;
        let revived = [kind, Value::from(error), at.clone(), id.clone()];
        if tx.execute(raw(tx, REVIVE_SAGA, revived)).await? == 0 {
            return Err(corrupt(TABLE, &request.execution, "the execution has completed and has no row here"));
        }
        let workflow: Uuid = row.get("workflow_id")?;
        tx.execute(raw(tx, COUNT_BACK, [at, Value::from(workflow)])).await?;
    } else {
        tx.execute(raw(tx, WAKE, [at, id])).await?;
    }
    if is_first || has_completed {
        let revived = has_completed.then(|| request.cause.clone());
        let asked = UnwindAskedFor { requested_as: asked_as, reason: request.reason.clone(), revived };
        let is_operator = request.by == UnwoundBy::Operator;
        let actor = if is_operator { Actor::Admin } else { Actor::Engine };
        let execution = request.execution;
        if let Some(saga) = SagaName::of(tx, execution).await? {
            let data = asked.data(&saga.workflow, &execution.to_string());
            let told = (EventType::SagaUnwindRequested, data, actor);
            saga.tell(tx, request.tenant, execution, told, request.at).await?;
        }
    }
    if let Some(told) = request.told.as_ref().filter(|_| has_completed) {
        let stream = Stream::execution(request.execution);
        tx.append(vec![Event::new(request.tenant, &stream, told, request.at)]).await?;
    }
    if request.is_audited {
        let asked_as = is_first.then(|| asked_as.word());
        let act = Act {
            tenant: request.tenant,
            action: "saga.compensate",
            table: TABLE,
            record: request.execution.to_string(),
            reason: request.reason.as_deref(),
            change: json!({ "unwind_requested_as": asked_as, "execution_was": status.word() }),
            at: request.at,
        };
        let admin = audit::admin(tx, request.at).await?;
        audit::write(tx, admin, act).await?;
    }
    Ok(UnwindAnswer::Requested)
}

/// Records what an operator decided about an undo that failed.
pub(crate) async fn decide_undo(tx: &mut dyn WriteTx, request: &UndoRequest) -> Result<UndoAnswer, StoreError> {
    let (id, at) = (Value::from(request.execution.0), Value::from(request.at));
    let find = format!("{FIND}{}", locked(tx, FOR_UPDATE));
    let rows = tx.query(raw(tx, &find, [id.clone(), Value::from(request.tenant.0)])).await?;
    let Some(row) = rows.first() else { return Ok(UndoAnswer::Unknown) };
    let execution = ExecutionStatus::from_word(&row.get("status")?, "workflow_executions", request.execution)?;
    let step_key = storable_text(&request.step_key);
    let rows = tx.query(raw(tx, FIND_UNDO, [Value::from(step_key.clone()), id.clone()])).await?;
    let Some(row) = rows.first() else {
        // What has not begun has no row here yet, whatever it is.
        let has_begun = execution != ExecutionStatus::Queued;
        return Ok(if has_begun { UndoAnswer::NoSaga } else { UndoAnswer::NotPaused });
    };
    let Some(undo) = row.get::<Option<Uuid>>("id")? else { return Ok(UndoAnswer::NoSuchUndo) };
    let status = UndoStatus::from_word(&row.get("status")?, UNDOS, undo)?;
    let follows: String = row.get("on_undo_failure")?;
    if execution != ExecutionStatus::Compensating || follows != "pause" {
        return Ok(UndoAnswer::NotPaused);
    }
    if status != UndoStatus::Failed {
        return Ok(UndoAnswer::NotFailed(status));
    }
    let (status, action) = match request.decision {
        UndoDecision::Retry => (UndoStatus::Pending, "saga.retry"),
        UndoDecision::Skip => (UndoStatus::Skipped, "saga.skip"),
        UndoDecision::Force => (UndoStatus::Completed, "saga.force"),
    };
    let retries = i32::from(request.decision == UndoDecision::Retry);
    let (unwind_number, step_ordinal, before): (i32, i32, i32) =
        (row.get("unwind_number")?, row.get("step_ordinal")?, row.get("operator_retries")?);
    let admin = audit::admin(tx, request.at).await?;
    let values = [
        Value::from(status.word()),
        Value::from(request.decision.word()),
        Value::from(storable_text(&request.reason)),
        Value::from(admin),
        at.clone(),
        Value::from(retries),
        Value::from(undo),
    ];
    tx.execute(raw(tx, DECIDE, values)).await?;
    tx.execute(raw(tx, WAKE, [at, id])).await?;
    let resolution = Resolution {
        decision: request.decision,
        reason: request.reason.clone(),
        by: Some(admin),
        at: request.at,
        retries: u32::try_from(before + retries).unwrap_or_default(),
    };
    let unwind_number = u32::try_from(unwind_number).unwrap_or_default();
    let facts = DecidedFacts { unwind_number, step_ordinal, status, resolution };
    if let Some(saga) = SagaName::of(tx, request.execution).await? {
        let execution = request.execution.to_string();
        let decided = Decided { workflow: &saga.workflow, execution: &execution, step_key: &step_key, facts };
        let told = (EventType::CompensationResolved, decided.data(), Actor::Admin);
        saga.tell(tx, request.tenant, request.execution, told, request.at).await?;
    }
    let act = Act {
        tenant: request.tenant,
        action,
        table: UNDOS,
        record: undo.to_string(),
        reason: Some(&request.reason),
        change: json!({
            "execution_id": request.execution.to_string(),
            "step_id": step_key,
            "resolution": request.decision.word(),
        }),
        at: request.at,
    };
    audit::write(tx, admin, act).await?;
    Ok(UndoAnswer::Recorded)
}

/// What events about a saga name, beside its execution.
struct SagaName {
    workflow: String,
    correlation_id: Uuid,
}

impl SagaName {
    async fn of(tx: &mut dyn WriteTx, execution: ExecutionId) -> Result<Option<Self>, StoreError> {
        const NAME: &str = "select saga_type, correlation_id from saga_instances where execution_id = $1";
        let rows = tx.query(raw(tx, NAME, [Value::from(execution.0)])).await?;
        let read = |row: &Row| Ok(Self { workflow: row.get("saga_type")?, correlation_id: row.get("correlation_id")? });
        rows.first().map(read).transpose()
    }

    /// Appends to the execution's stream what came from outside.
    async fn tell(
        self,
        tx: &mut dyn WriteTx,
        tenant: TenantId,
        execution: ExecutionId,
        (event_type, data, actor): (EventType, Json, Actor),
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let correlation_id = Some(self.correlation_id);
        let event = NewEvent { id: new_id(at), event_type, data, actor, depth: 0, correlation_id, causation_id: None };
        tx.append(vec![Event::new(tenant, &Stream::execution(execution), &event, at)]).await.map(drop)
    }
}

/// What was asked of an execution as a saga; nothing is read where it is none.
pub(super) async fn inbox(ask: &mut dyn Ask, question: &AskInbox) -> Result<SagaInbox, StoreError> {
    if !question.is_saga {
        return Ok(SagaInbox::default());
    }
    let rows = ask.query(raw(ask, ASKED, [Value::from(question.execution.0)])).await?;
    let unwind = rows.first().map(|row| asked(row, question.execution)).transpose()?;
    Ok(SagaInbox { unwind, decisions: decisions(ask, question.execution).await? })
}

fn asked(row: &Row, execution: ExecutionId) -> Result<UnwindAsked, StoreError> {
    let by: String = row.get("unwind_requested_as")?;
    let by = match CauseKind::from_word(&by, TABLE, execution)? {
        CauseKind::Parent => UnwoundBy::Parent,
        CauseKind::Operator => UnwoundBy::Operator,
        other => return Err(corrupt(TABLE, &execution, format!("`{}` asks for nothing", other.as_str()))),
    };
    Ok(UnwindAsked { by, reason: row.get("unwind_reason")? })
}

/// What operators decided last about the undos of an execution, by the ordinal of the step.
pub(super) async fn decisions(ask: &mut dyn Ask, execution: ExecutionId) -> Result<Vec<(i32, Resolution)>, StoreError> {
    let rows = ask.query(raw(ask, DECISIONS, [Value::from(execution.0)])).await?;
    rows.iter().map(|row| Ok((row.get("step_ordinal")?, resolution(row)?))).collect()
}

fn resolution(row: &Row) -> Result<Resolution, StoreError> {
    let id: Uuid = row.get("id")?;
    let retries: i32 = row.get("operator_retries")?;
    let at: Option<DateTime<Utc>> = row.get("resolved_at")?;
    Ok(Resolution {
        decision: UndoDecision::from_word(&row.get("resolution")?, UNDOS, id)?,
        reason: row.get::<Option<String>>("resolution_reason")?.unwrap_or_default(),
        by: row.get("resolved_by_user_id")?,
        at: at.ok_or_else(|| corrupt(UNDOS, &id, "a decision without its time"))?,
        retries: u32::try_from(retries).unwrap_or_default(),
    })
}

/// What the row of an execution, joined with that of its saga, tells of it; without decisions.
pub(super) fn recorded(row: &Row, id: Uuid) -> Result<Option<RecordedSaga>, StoreError> {
    if row.get::<Option<Uuid>>("saga_id")?.is_none() {
        return Ok(None);
    }
    let kind: Option<String> = row.get("cause")?;
    let detail: Option<Json> = row.get("cause_detail")?;
    let cause = match (kind, detail) {
        (Some(kind), Some(detail)) => {
            let error = serde_json::from_value(detail).map_err(|error| corrupt(TABLE, &id, error.to_string()))?;
            Some(Cause { kind: CauseKind::from_word(&kind, TABLE, id)?, error })
        }
        _ => None,
    };
    let unwind_number: Option<i32> = row.get("unwind_number")?;
    let unwind_number = unwind_number.and_then(|number| u32::try_from(number).ok()).unwrap_or_default();
    Ok(Some(RecordedSaga { cause, unwind_number, ..RecordedSaga::default() }))
}
