//! Watches and the ledger of their files: what each is to do and how it does, decisions, and what is done afterwards.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use cogwheel_definition::{After, FileSource, FileTrigger, Poll};
use cogwheel_engine::ports::{
    AFTER_PAUSES, AfterEnd, AfterPlan, EndedAfter, FileDecision, HandledFile, PendingAfter, SeenVersion, StoreError,
    WatchFolders, WatchHealth,
};
use cogwheel_engine::{FileId, TenantId, WatchId};
use cogwheel_entity::file_watches::{self, ActiveMode, AfterAction, ObserveMode, WatchSource};
use sea_orm::{ActiveEnum, ActiveValue::Set, ColumnTrait, DbBackend, EntityTrait, QueryFilter, Value};
use serde_json::{Value as Json, json};

use super::execute;
use crate::rows::{Stored, corrupt, decision_reason};
use crate::tx::{Ask, Row, WriteTx, raw};
use crate::values::{instant_text, storable, storable_text};

/// The newest version of each path; a path whose newest is its end is no more. What the trigger did not ask for counts.
pub(crate) const HANDLED: &str = "select file_path, file_size, modified_at, device_identity, inode_identity from (
        select file_path, file_size, modified_at, device_identity, inode_identity, change_kind,
            row_number() over (partition by path_hash order by first_seen_at desc, id desc) as place
        from files where file_watch_id = $1 and fingerprint is not null and modified_at is not null
          and (status <> 'skipped' or decision_reason in ('duplicate_version', 'filtered_pattern', 'filtered_mime', 'filtered_size'))
    ) versions where place = 1 and change_kind <> 'deleted'";

/// Files of ended executions; one that has a target is somebody's work, unless that was left long ago. What was tried in
/// vain waits for its pause, which is longer after each try.
pub(crate) const PENDING: &str = "select f.id, f.tenant_id, f.file_watch_id, f.file_path, f.file_size, f.modified_at,
        f.device_identity, f.inode_identity, f.file_hash, f.status, f.after_target, f.retry_count, f.updated_at, w.location,
        w.after_success, w.after_success_target, w.after_failure, w.after_failure_target, w.watch_events, w.is_recursive
    from files f join file_watches w on w.id = f.file_watch_id
    where f.after_state = 'pending' and f.status in ('processed', 'failed')
      and (f.after_target is null or f.updated_at <= $1)
      and (f.retry_count = 0 or f.retry_count = 1 and f.updated_at <= $2 or f.retry_count = 2 and f.updated_at <= $3
        or f.retry_count = 3 and f.updated_at <= $4 or f.retry_count = 4 and f.updated_at <= $5
        or f.retry_count = 5 and f.updated_at <= $6 or f.retry_count >= 6 and f.updated_at <= $7)
    limit 128";

/// What a watch is to do, as columns.
pub(super) fn columns(
    trigger: &FileTrigger,
    folders: Option<&WatchFolders>,
    at: DateTime<Utc>,
) -> file_watches::ActiveModel {
    let (mode, interval) = match trigger.poll {
        Poll::Auto => (ObserveMode::Auto, None),
        Poll::Never => (ObserveMode::Events, None),
        Poll::Every(interval) => (ObserveMode::Poll, i32::try_from(interval.as_secs()).ok()),
    };
    let action = |after: &After| match after {
        After::Keep => AfterAction::Keep,
        After::Delete => AfterAction::Delete,
        After::Move(_) => AfterAction::Move,
    };
    file_watches::ActiveModel {
        location: Set(folders.map(|folders| folders.watched.clone())),
        include_patterns: Set(json!(trigger.include)),
        exclude_patterns: Set(json!(trigger.ignore)),
        watch_source: Set(match trigger.source {
            FileSource::Directory(_) => WatchSource::Directory,
            FileSource::Upload => WatchSource::Upload,
        }),
        mime_types: Set(json!(trigger.content.mime)),
        min_size: Set(trigger.content.min_size.and_then(|size| i64::try_from(size).ok())),
        max_size: Set(trigger.content.max_size.and_then(|size| i64::try_from(size).ok())),
        is_recursive: Set(trigger.recursive),
        watch_events: Set(json!(trigger.events.words())),
        observe_mode: Set(mode),
        settle_ms: Set(i32::try_from(trigger.settle.as_millis()).unwrap_or(i32::MAX)),
        scan_interval_seconds: interval.map_or(sea_orm::ActiveValue::NotSet, |seconds| Set(seconds.max(1))),
        done_marker: Set(trigger.done_marker.as_ref().map(cogwheel_definition::DoneMarker::text)),
        batch_max_files: Set(trigger.batch.map_or(1, |batch| i32::try_from(batch.max_files).unwrap_or(i32::MAX))),
        batch_window_ms: Set(trigger
            .batch
            .map_or(0, |batch| i32::try_from(batch.max_wait.as_millis()).unwrap_or(i32::MAX))),
        after_success: Set(action(&trigger.after_success)),
        after_success_target: Set(folders.and_then(|folders| folders.success.clone())),
        after_failure: Set(action(&trigger.after_failure)),
        after_failure_target: Set(folders.and_then(|folders| folders.failure.clone())),
        is_enabled: Set(true),
        updated_at: Set(at),
        ..Default::default()
    }
}

/// Records how a watch is doing.
pub(crate) async fn set_health(
    tx: &mut dyn WriteTx,
    watch: WatchId,
    health: WatchHealth,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let state = match (health.healthy, &health.problem) {
        (true, None) => file_watches::WatchHealth::Healthy,
        (true, Some(_)) => file_watches::WatchHealth::Degraded,
        (false, _) => file_watches::WatchHealth::Failed,
    };
    let mode = health.has_events.map(|events| if events { ActiveMode::Events } else { ActiveMode::Poll });
    let mut row = file_watches::ActiveModel {
        health: Set(state),
        health_detail: Set(Some(storable(&health.detail()))),
        active_mode: Set(mode),
        filesystem_type: Set(health.filesystem.map(|name| name.chars().take(50).collect())),
        updated_at: Set(at),
        ..Default::default()
    };
    if health.last_scan_at.is_some() {
        row.last_scan_at = Set(health.last_scan_at);
    }
    let update = file_watches::Entity::update_many().set(row).filter(file_watches::Column::Id.eq(watch.0));
    execute(tx, update).await.map(drop)
}

/// The newest version of each file of a watch.
pub(crate) async fn handled(ask: &mut dyn Ask, watch: WatchId) -> Result<Vec<HandledFile>, StoreError> {
    let rows = ask.query(raw(ask, HANDLED, [Value::from(watch.0)])).await?;
    let read = |row: &Row| {
        Ok(HandledFile {
            path: row.get("file_path")?,
            size: row.get("file_size")?,
            modified_at: row.get("modified_at")?,
            device: row.get("device_identity")?,
            inode: row.get("inode_identity")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Which of the fingerprints the ledger of a watch holds.
pub(crate) async fn known(
    ask: &mut dyn Ask,
    watch: WatchId,
    fingerprints: &[String],
) -> Result<HashSet<String>, StoreError> {
    let sql = match ask.backend() {
        DbBackend::Sqlite => {
            "select fingerprint from files where file_watch_id = $1
            and fingerprint in (select value from json_each($2))"
        }
        _ => {
            "select fingerprint from files where file_watch_id = $1
            and fingerprint in (select json_array_elements_text($2::json))"
        }
    };
    let values = [Value::from(watch.0), Value::from(json!(fingerprints).to_string())];
    let rows = ask.query(raw(ask, sql, values)).await?;
    rows.iter().map(|row| row.get::<String>("fingerprint").map(|text| text.trim_end().to_owned())).collect()
}

/// Records files that start nothing.
pub(crate) async fn decide(tx: &mut dyn WriteTx, decisions: &[FileDecision]) -> Result<(), StoreError> {
    if decisions.is_empty() {
        return Ok(());
    }
    let rows = decisions.iter().map(decision_row).collect();
    let fields = [
        ("id", "uuid"),
        ("tenant_id", "uuid"),
        ("file_watch_id", "uuid"),
        ("change_kind", "text"),
        ("filename", "text"),
        ("file_path", "text"),
        ("path_hash", "text"),
        ("file_size", "bigint"),
        ("file_hash", "text"),
        ("modified_at", "timestamptz"),
        ("device_identity", "text"),
        ("inode_identity", "text"),
        ("fingerprint", "text"),
        ("decision_reason", "text"),
        ("error", "jsonb"),
        ("first_seen_at", "timestamptz"),
        ("created_at", "timestamptz"),
    ];
    let columns = fields.map(|(name, _)| name).join(", ");
    let sql = format!(
        "insert into files ({columns}, original_filename, file_source, status, updated_at)
         select {columns}, filename, 'watch', 'skipped', created_at from {} where true
         on conflict (file_watch_id, fingerprint) where file_watch_id is not null do nothing",
        rows_of(tx.backend(), &fields)
    );
    tx.execute(raw(tx, &sql, [Value::from(Json::Array(rows).to_string())])).await.map(drop)
}

fn decision_row(decision: &FileDecision) -> Json {
    let seen = decision.seen.as_ref();
    let detail = storable_text(&decision.detail);
    json!({
        "id": decision.id.0,
        "tenant_id": decision.tenant.0,
        "file_watch_id": decision.watch.0,
        "change_kind": decision.event.word(),
        "filename": storable_text(&decision.filename),
        "file_path": storable_text(&decision.path),
        "path_hash": decision.path_hash,
        "file_size": seen.map_or(0, |seen| seen.size),
        "file_hash": seen.and_then(|seen| seen.sha256.as_ref()),
        "modified_at": seen.map(|seen| instant_text(seen.modified_at)),
        "device_identity": seen.map(|seen| &seen.device),
        "inode_identity": seen.map(|seen| &seen.inode),
        "fingerprint": decision.fingerprint,
        "decision_reason": decision_reason(decision.reason).to_value(),
        "error": { "kind": decision_reason(decision.reason).to_value(), "message": detail },
        "first_seen_at": instant_text(decision.first_seen_at),
        "created_at": instant_text(decision.decided_at),
    })
}

/// The rows of the JSON array in `$1`, as a table `r`.
fn rows_of(backend: DbBackend, fields: &[(&str, &str)]) -> String {
    let of = |(name, kind): &(&str, &str)| match (backend, *kind) {
        (DbBackend::Sqlite, "uuid") => format!("unhex(replace(value ->> '{name}', '-', '')) as {name}"),
        (DbBackend::Sqlite, "jsonb") => format!("nullif(value -> '{name}', 'null') as {name}"),
        (DbBackend::Sqlite, _) => format!("value ->> '{name}' as {name}"),
        (_, kind) => format!("{name} {kind}"),
    };
    let fields = fields.iter().map(of).collect::<Vec<_>>().join(", ");
    match backend {
        DbBackend::Sqlite => format!("(select {fields} from json_each($1)) as r"),
        _ => format!("json_to_recordset($1::json) as r({fields})"),
    }
}

/// Some of the files with which something remains to be done.
pub(crate) async fn pending(
    ask: &mut dyn Ask,
    before: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Vec<PendingAfter>, StoreError> {
    let [first, second, third, fourth, fifth, sixth] = AFTER_PAUSES.map(|pause| Value::from(now - pause));
    let values = [Value::from(before), first, second, third, fourth, fifth, sixth];
    let rows = ask.query(raw(ask, PENDING, values)).await?;
    rows.iter().map(pending_after).collect()
}

fn pending_after(row: &Row) -> Result<PendingAfter, StoreError> {
    let id: uuid::Uuid = row.get("id")?;
    let status: String = row.get("status")?;
    let when = if status == "processed" { "success" } else { "failure" };
    let word: String = row.get(&format!("after_{when}"))?;
    let folder: Option<String> = row.get(&format!("after_{when}_target"))?;
    let action = match AfterAction::try_from_value(&word) {
        Ok(AfterAction::Keep) => After::Keep,
        Ok(AfterAction::Delete) => After::Delete,
        Ok(AfterAction::Move) => {
            After::Move(folder.ok_or_else(|| corrupt("file_watches", &id, "a move needs a folder"))?)
        }
        Err(_) => return Err(corrupt("file_watches", &id, format!("`{word}` is nothing that can be done"))),
    };
    let events: Json = row.get("watch_events")?;
    let text = |column: &str| row.get::<Option<String>>(column).map(Option::unwrap_or_default);
    Ok(PendingAfter {
        id: FileId(id),
        tenant: TenantId(row.get("tenant_id")?),
        watch: WatchId(row.get("file_watch_id")?),
        path: text("file_path")?,
        version: SeenVersion {
            size: row.get("file_size")?,
            modified_at: row.get::<Option<_>>("modified_at")?.unwrap_or_default(),
            device: text("device_identity")?,
            inode: text("inode_identity")?,
            sha256: row.get::<Option<String>>("file_hash")?,
        },
        action,
        planned: row.get("after_target")?,
        tries: row.get("retry_count")?,
        folder: text("location")?,
        is_recursive: row.get("is_recursive")?,
        tells_deletions: events.as_array().is_some_and(|events| events.iter().any(|event| event == "deleted")),
        updated_at: row.get("updated_at")?,
    })
}

/// Records what is going to be done; answers for which files nobody else does it.
pub(crate) async fn plan(tx: &mut dyn WriteTx, plans: &[AfterPlan]) -> Result<HashSet<FileId>, StoreError> {
    let fields = [("id", "uuid"), ("seen_at", "timestamptz"), ("after_target", "text"), ("at", "timestamptz")];
    let rows: Vec<Json> = plans
        .iter()
        .map(|plan| {
            json!({ "id": plan.id.0, "seen_at": instant_text(plan.seen_at), "after_target": plan.target,
                "at": instant_text(plan.at) })
        })
        .collect();
    let sql = format!(
        "update files set after_target = r.after_target, updated_at = r.at from {}
         where files.id = r.id and files.after_state = 'pending' and files.updated_at = r.seen_at returning files.id as id",
        rows_of(tx.backend(), &fields)
    );
    let planned = tx.query(raw(tx, &sql, [Value::from(Json::Array(rows).to_string())])).await?;
    let planned: HashSet<FileId> = planned.iter().map(|row| row.get("id").map(FileId)).collect::<Result<_, _>>()?;
    let own: Vec<FileDecision> =
        plans.iter().filter(|plan| planned.contains(&plan.id)).flat_map(|plan| plan.own.clone()).collect();
    decide(tx, &own).await?;
    Ok(planned)
}

/// Records what was done. What is postponed keeps its target, at which the next try has to look; what is done after all
/// loses the reason why it was not.
pub(crate) async fn end(tx: &mut dyn WriteTx, ended: &[EndedAfter]) -> Result<(), StoreError> {
    let fields =
        [("id", "uuid"), ("after_state", "text"), ("after_target", "text"), ("error", "jsonb"), ("at", "timestamptz")];
    let rows: Vec<Json> = ended
        .iter()
        .map(|ended| {
            let (state, target, why) = match &ended.end {
                AfterEnd::Done(target) => ("done", target.as_ref(), None),
                AfterEnd::Failed(why) => ("failed", None, Some(why)),
                AfterEnd::Postponed(why) => ("pending", None, Some(why)),
            };
            let error = why.map(|why| json!({ "kind": "after", "message": storable_text(why) }));
            json!({ "id": ended.id.0, "after_state": state, "after_target": target, "error": error,
                "at": instant_text(ended.at) })
        })
        .collect();
    let sql = format!(
        "update files set after_state = r.after_state,
            after_target = case when r.after_state = 'pending' then files.after_target else r.after_target end,
            retry_count = files.retry_count + case when r.after_state = 'pending' then 1 else 0 end,
            error = case when r.error is null and files.retry_count > 0 then null else coalesce(r.error, files.error) end,
            updated_at = r.at from {}
         where files.id = r.id and files.after_state = 'pending'",
        rows_of(tx.backend(), &fields)
    );
    tx.execute(raw(tx, &sql, [Value::from(Json::Array(rows).to_string())])).await.map(drop)
}
