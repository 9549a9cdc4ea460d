//! Rebuilds each saga from its events alone and holds its rows and its snapshots against that.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use cogwheel_engine::TenantId;
use cogwheel_engine::history::{ExecutionState, TimeoutStatus, unpack};
use cogwheel_engine::ports::{StoreError, Stream};
use cogwheel_entity::{saga_compensations, saga_instances, saga_timeouts, step_executions};
use cogwheel_machine::ExecutionId;
use sea_orm::{
    ActiveEnum, ColumnTrait, DatabaseConnection, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Value,
};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::events::read;
use crate::fault;
use crate::rows::{Stored, on_undo_failure, timeout_type};
use crate::tx::{Ask as _, Reading, raw};
use crate::values::storable;
use crate::verify::report::{Finding, Part};

/// The table whose rows are rebuilt.
pub(super) const TABLE: &str = "saga_instances";

/// Sagas, and events of one, that are read at once.
const PAGE: u16 = 500;

/// How often a saga is looked at anew that gets on meanwhile.
const LOOKS: usize = 5;

/// What there is of a saga: rows by what tells them apart, as one name and a JSON object each.
type Rows = BTreeMap<(&'static str, String), Json>;

/// Goes through all sagas of which events are recorded.
pub(super) async fn check(db: &DatabaseConnection) -> Result<Vec<Finding>, StoreError> {
    let mut findings = Vec::new();
    let mut after = Uuid::nil();
    loop {
        let sagas = saga_instances::Entity::find()
            .filter(saga_instances::Column::Id.gt(after))
            .order_by_asc(saga_instances::Column::Id)
            .limit(u64::from(PAGE))
            .all(db)
            .await
            .map_err(fault::reading(TABLE))?;
        for saga in &sagas {
            after = saga.id;
            for problem in problems(db, saga).await? {
                let message = format!("the saga {}: {problem}", saga.id);
                findings.push(Finding::new(Part::Data, "projection", TABLE, &saga.id.to_string(), message));
            }
        }
        if sagas.len() < usize::from(PAGE) {
            return Ok(findings);
        }
    }
}

/// Whatever of a saga its events do not tell. One that gets on meanwhile is looked at anew.
async fn problems(db: &DatabaseConnection, saga: &saga_instances::Model) -> Result<Vec<String>, StoreError> {
    let mut problems = Vec::new();
    for _ in 0..LOOKS {
        let before = last_version(db, saga.id).await?;
        let stored = stored(db, saga.id).await?;
        let (rebuilt, damaged) = match rebuilt(db, saga).await? {
            Ok(found) => found,
            Err(problem) => return Ok(vec![problem]),
        };
        // Recorded by a release that kept no events of it, or its events went with age.
        let Some(rebuilt) = rebuilt else { return Ok(damaged) };
        problems = damaged;
        problems.extend(differences(&stored, &rebuilt));
        if problems.is_empty() || before == last_version(db, saga.id).await? {
            break;
        }
    }
    Ok(problems)
}

/// The rows as the events tell them, and what is wrong with the snapshots; or the event that cannot be understood.
async fn rebuilt(
    db: &DatabaseConnection,
    saga: &saga_instances::Model,
) -> Result<Result<(Option<Rows>, Vec<String>), String>, StoreError> {
    let mut snapshots = snapshots(db, saga.id).await?;
    let stream = Stream::execution(ExecutionId(saga.execution_id));
    let (mut state, mut problems) = (ExecutionState::default(), Vec::new());
    loop {
        let tenant = TenantId(saga.tenant_id);
        let page = read::stream(&mut Reading(db), tenant, stream.name(), state.version, usize::from(PAGE)).await?;
        for event in &page {
            if let Err(error) = state.apply(event) {
                return Ok(Err(format!("its events cannot be used: {error}")));
            }
            if let Some(snapshot) = snapshots.remove(&event.version) {
                problems.extend(snapshot.problem(&state));
            }
        }
        if page.len() < usize::from(PAGE) {
            break;
        }
    }
    if state.version > 0 {
        let beyond =
            snapshots.into_keys().map(|version| format!("a snapshot holds the event {version}, which is not there"));
        problems.extend(beyond);
    }
    let parent = saga.parent_saga_id.is_some();
    Ok(Ok((state.saga.is_some().then(|| of_state(&state, parent)), problems)))
}

/// A kept state, unread.
struct Kept {
    version: i64,
    data: String,
    checksum: String,
}

impl Kept {
    fn problem(&self, state: &ExecutionState) -> Option<String> {
        match unpack(&self.data, &self.checksum) {
            Err(fault) => Some(format!("its snapshot {} is damaged: {fault}", self.version)),
            Ok(kept) if kept != *state => Some(format!("its snapshot {} is not what its events tell", self.version)),
            Ok(_) => None,
        }
    }
}

async fn snapshots(db: &DatabaseConnection, saga: Uuid) -> Result<BTreeMap<i64, Kept>, StoreError> {
    let data = if db.get_database_backend() == DbBackend::Sqlite { "snapshot_data" } else { "snapshot_data #>> '{}'" };
    let sql =
        format!("select version, stream_version, {data} as data, checksum from saga_snapshots where saga_id = $1");
    let mut asking = Reading(db);
    let statement = raw(&asking, &sql, [Value::from(saga)]);
    let rows = asking.query(statement).await?;
    let read = |row: &crate::tx::Row| {
        let kept = Kept { version: row.get("version")?, data: row.get("data")?, checksum: row.get("checksum")? };
        Ok((row.get("stream_version")?, kept))
    };
    rows.iter().map(read).collect()
}

async fn last_version(db: &DatabaseConnection, saga: Uuid) -> Result<i64, StoreError> {
    const LAST: &str = "select coalesce(max(version), 0) as version from event_store where stream_id = $1";
    let stream = Stream::execution(ExecutionId(saga));
    let mut asking = Reading(db);
    let statement = raw(&asking, LAST, [Value::from(stream.name())]);
    asking.query(statement).await?.first().map_or(Ok(0), |row| row.get("version"))
}

async fn stored(db: &DatabaseConnection, saga: Uuid) -> Result<Rows, StoreError> {
    let mut rows = Rows::new();
    let found = saga_instances::Entity::find_by_id(saga).one(db).await.map_err(fault::reading(TABLE))?;
    if let Some(row) = found {
        let columns = json!({
            "saga_type": row.saga_type,
            "status": row.status.to_value(),
            "cause": row.cause.map(|cause| cause.to_value()),
            "cause_detail": row.cause_detail,
            "on_undo_failure": row.on_undo_failure.to_value(),
            "current_step": row.current_step,
            "total_steps": row.total_steps,
            "steps": row.steps,
            "version": row.version,
            "unwind_number": row.unwind_number,
            "correlation_id": row.correlation_id,
            "parent_saga_id": row.parent_saga_id,
            "timeout_at": micros(row.timeout_at),
            "started_at": micros(row.started_at),
            "completed_at": micros(row.completed_at),
            "unwind_requested_as": row.unwind_requested_as,
            "unwind_requested": row.unwind_requested_at.is_some(),
            "unwind_reason": row.unwind_reason,
        });
        rows.insert(("saga_instances", String::new()), columns);
    }
    let found = saga_compensations::Entity::find()
        .filter(saga_compensations::Column::SagaId.eq(saga))
        .all(db)
        .await
        .map_err(fault::reading("saga_compensations"))?;
    for row in found {
        let columns = json!({
            "step_id": row.step_id,
            "unwind_order": row.unwind_order,
            "command": row.command,
            "status": row.status.to_value(),
            "retry_count": row.retry_count,
            "max_retries": row.max_retries,
            "next_attempt_at": micros(row.next_attempt_at),
            "started_at": micros(row.started_at),
            "completed_at": micros(row.completed_at),
            "error": row.error,
            "resolution": row.resolution.map(|resolution| resolution.to_value()),
            "resolution_reason": row.resolution_reason,
            "resolved_by_user_id": row.resolved_by_user_id,
            "resolved_at": micros(row.resolved_at),
            "operator_retries": row.operator_retries,
        });
        rows.insert(("saga_compensations", format!("{}/{}", row.unwind_number, row.step_ordinal)), columns);
    }
    let found = saga_timeouts::Entity::find()
        .filter(saga_timeouts::Column::SagaId.eq(saga))
        .all(db)
        .await
        .map_err(fault::reading("saga_timeouts"))?;
    for row in found {
        let columns = json!({
            "step_id": row.step_id,
            "timeout_type": row.timeout_type.to_value(),
            "timeout_at": micros(Some(row.timeout_at)),
            "status": row.status.to_value(),
            "fired_at": micros(row.fired_at),
        });
        rows.insert(("saga_timeouts", row.id.to_string()), columns);
    }
    let found = step_executions::Entity::find()
        .select_only()
        .columns([
            step_executions::Column::Ordinal,
            step_executions::Column::StepKey,
            step_executions::Column::ParentOrdinal,
            step_executions::Column::Status,
            step_executions::Column::Attempt,
        ])
        .filter(step_executions::Column::ExecutionId.eq(saga))
        // What has not begun is told once it begins.
        .filter(step_executions::Column::Status.ne(step_executions::StepStatus::Pending))
        .into_tuple::<(i32, String, Option<i32>, step_executions::StepStatus, i32)>()
        .all(db)
        .await
        .map_err(fault::reading("step_executions"))?;
    for (ordinal, key, parent, status, attempt) in found {
        let columns = json!({ "step_key": key, "parent": parent, "status": status.to_value(), "attempt": attempt });
        rows.insert(("step_executions", ordinal.to_string()), columns);
    }
    Ok(rows)
}

fn of_state(state: &ExecutionState, has_parent: bool) -> Rows {
    let mut rows = Rows::new();
    if let Some(saga) = &state.saga {
        let asked = state.unwind_asked.as_ref();
        let columns = json!({
            "saga_type": saga.saga_type,
            "status": saga.status.word(),
            "cause": saga.cause.as_ref().map(|cause| cause.kind.word()),
            "cause_detail": saga.cause.as_ref().map(|cause| storable(&json!(cause.error))),
            "on_undo_failure": on_undo_failure(saga.on_undo_failure).to_value(),
            "current_step": saga.current_step,
            "total_steps": saga.total_steps,
            "steps": saga.steps,
            "version": state.saga_version,
            "unwind_number": saga.unwind_number,
            "correlation_id": saga.correlation_id,
            // A parent that is no saga has no row to name.
            "parent_saga_id": saga.parent.filter(|_| has_parent).map(|parent| parent.0),
            "timeout_at": micros(saga.deadline_at),
            "started_at": micros(saga.started_at),
            "completed_at": micros(saga.completed_at),
            "unwind_requested_as": asked.map(|asked| asked.requested_as.word()),
            "unwind_requested": asked.is_some(),
            "unwind_reason": asked.and_then(|asked| asked.reason.as_deref()),
        });
        rows.insert(("saga_instances", String::new()), columns);
    }
    for ((unwinding, ordinal), undo) in &state.undos {
        let decided = undo.resolution.as_ref();
        let columns = json!({
            "step_id": undo.step_key,
            "unwind_order": undo.unwind_order,
            "command": undo.command,
            "status": undo.status.word(),
            "retry_count": undo.retry_count,
            "max_retries": undo.max_retries,
            "next_attempt_at": micros(undo.next_attempt_at),
            "started_at": micros(undo.started_at),
            "completed_at": micros(undo.completed_at),
            "error": undo.error,
            "resolution": decided.map(|decided| decided.decision.word()),
            "resolution_reason": decided.map(|decided| &decided.reason),
            "resolved_by_user_id": decided.and_then(|decided| decided.by),
            "resolved_at": micros(decided.map(|decided| decided.at)),
            "operator_retries": decided.map_or(0, |decided| decided.retries),
        });
        rows.insert(("saga_compensations", format!("{unwinding}/{ordinal}")), columns);
    }
    for (id, timeout) in &state.timeouts {
        let status = match timeout.status {
            TimeoutStatus::Pending => saga_timeouts::TimeoutStatus::Pending,
            TimeoutStatus::Fired => saga_timeouts::TimeoutStatus::Fired,
            TimeoutStatus::Cancelled => saga_timeouts::TimeoutStatus::Cancelled,
        };
        let columns = json!({
            "step_id": timeout.step_key,
            "timeout_type": timeout_type(timeout.kind).to_value(),
            "timeout_at": micros(Some(timeout.timeout_at)),
            "status": status.to_value(),
            "fired_at": micros(timeout.fired_at),
        });
        rows.insert(("saga_timeouts", id.to_string()), columns);
    }
    for (ordinal, step) in &state.steps {
        let columns = json!({
            "step_key": step.key,
            "parent": step.parent,
            "status": step.status.word(),
            "attempt": step.attempt,
        });
        rows.insert(("step_executions", ordinal.to_string()), columns);
    }
    rows
}

fn micros(at: Option<DateTime<Utc>>) -> Option<i64> {
    at.map(|at| at.timestamp_micros())
}

/// What is not the same in both, a line for each row.
fn differences(stored: &Rows, rebuilt: &Rows) -> Vec<String> {
    let mut found = Vec::new();
    for ((table, id), columns) in stored {
        let Some(told) = rebuilt.get(&(*table, id.clone())) else {
            found.push(format!("{} is not told of by its events", named(table, id)));
            continue;
        };
        let columns = columns.as_object().into_iter().flatten();
        for (name, value) in columns.filter(|(name, value)| told[name.as_str()] != **value) {
            found.push(format!("{name} of {} is {value}, its events say {}", named(table, id), told[name.as_str()]));
        }
    }
    let missing = rebuilt.keys().filter(|row| !stored.contains_key(*row));
    found.extend(missing.map(|(table, id)| format!("{} is missing, which its events tell of", named(table, id))));
    found
}

/// A row in words; of a saga's own there is one.
fn named(table: &str, id: &str) -> String {
    if id.is_empty() { format!("its row of {table}") } else { format!("row {id} of {table}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_is_named() {
        let row = |status: &str| json!({ "status": status, "attempt": 1 });
        let stored = Rows::from([(("a", "1".to_owned()), row("failed")), (("a", "2".to_owned()), row("running"))]);
        let rebuilt = Rows::from([(("a", "1".to_owned()), row("completed")), (("b", "3".to_owned()), row("running"))]);
        assert_eq!(differences(&stored, &stored), Vec::<String>::new());
        assert_eq!(
            differences(&stored, &rebuilt),
            [
                "status of row 1 of a is \"failed\", its events say \"completed\"",
                "row 2 of a is not told of by its events",
                "row 3 of b is missing, which its events tell of",
            ]
        );
    }
}
