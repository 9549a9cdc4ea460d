//! Requests to cancel an execution, kept until its owner has ended it.

use cogwheel_engine::ports::{CancelAnswer, CancelRequest, StoreError};
use cogwheel_machine::ExecutionStatus;
use sea_orm::Value;
use serde_json::json;

use super::audit::{self, Act};
use crate::rows::Stored;
use crate::tx::{FOR_UPDATE, WriteTx, locked, raw};
use crate::values::storable_text;

const REQUEST: &str = "update workflow_executions set cancel_requested_at = $1, cancel_reason = $2, updated_at = $1,
    next_wake_at = case when owner_node_id is null then $1 else next_wake_at end
    where id = $3 and tenant_id = $4 and cancel_requested_at is null
    and status in ('queued', 'running', 'waiting', 'compensating')";
const READ_STATUS: &str = "select status from workflow_executions where id = $1 and tenant_id = $2";

pub(crate) async fn request(tx: &mut dyn WriteTx, request: CancelRequest) -> Result<CancelAnswer, StoreError> {
    let (id, tenant) = (Value::from(request.execution.0), Value::from(request.tenant.0));
    let reason = Value::from(request.reason.as_deref().map(storable_text));
    let values = [Value::from(request.at), reason, id.clone(), tenant.clone()];
    let is_first = tx.execute(raw(tx, REQUEST, values)).await? > 0;
    if !is_first {
        let read = format!("{READ_STATUS}{}", locked(tx, FOR_UPDATE));
        let rows = tx.query(raw(tx, &read, [id, tenant])).await?;
        let Some(row) = rows.first() else { return Ok(CancelAnswer::Unknown) };
        let status = ExecutionStatus::from_word(&row.get("status")?, "workflow_executions", request.execution)?;
        if status.is_terminal() {
            return Ok(CancelAnswer::Ended(status));
        }
    }
    // What is live and was not changed has been asked for before. Asking again is an act too: it stops what runs by then.
    if request.is_audited {
        let act = Act {
            tenant: request.tenant,
            action: "execution.cancel",
            table: "workflow_executions",
            record: request.execution.to_string(),
            reason: request.reason.as_deref(),
            change: if is_first { json!({ "cancel_requested_at": request.at }) } else { json!({}) },
            at: request.at,
        };
        let admin = audit::admin(tx, request.at).await?;
        audit::write(tx, admin, act).await?;
    }
    Ok(CancelAnswer::Requested)
}
