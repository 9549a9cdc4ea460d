//! Keeps the rows of schedules and watches in line with the active definition.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use cogwheel_engine::ports::{SaveWorkflow, ScheduleRecord, StoreError, WatchRecord};
use cogwheel_engine::{ScheduleId, WatchId};
use cogwheel_entity::{file_watches, schedules};
use sea_orm::{ActiveEnum, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QuerySelect, Value};
use serde_json::json;
use uuid::Uuid;

use super::{execute, files, rows};
use crate::rows::corrupt;
use crate::tx::{Row, WriteTx, raw};
use crate::values::{new_id, storable};

/// A stored schedule, as far as it decides what a new definition changes.
struct KnownSchedule {
    id: Uuid,
    cron: Option<String>,
    timezone: String,
    is_enabled: bool,
    since: DateTime<Utc>,
    last_due_at: Option<DateTime<Utc>>,
    next_due_at: Option<DateTime<Utc>>,
}

/// A stored watch, likewise.
struct KnownWatch {
    id: Uuid,
    location: Option<String>,
    is_enabled: bool,
}

/// Inserts, changes, switches on and switches off, so that exactly the definition's triggers are enabled.
pub(crate) async fn align(
    tx: &mut dyn WriteTx,
    workflow: Uuid,
    save: &SaveWorkflow,
) -> Result<(Vec<ScheduleRecord>, Vec<WatchRecord>), StoreError> {
    Ok((align_schedules(tx, workflow, save).await?, align_watches(tx, workflow, save).await?))
}

/// Switches all triggers of a workflow off; their rows stay for their ledgers.
pub(crate) async fn switch_off(tx: &mut dyn WriteTx, workflow: Uuid, at: DateTime<Utc>) -> Result<(), StoreError> {
    let schedules =
        schedules::Entity::update_many().set(schedule_off(at)).filter(schedules::Column::WorkflowId.eq(workflow));
    execute(tx, schedules).await?;
    let watches =
        file_watches::Entity::update_many().set(watch_off(at)).filter(file_watches::Column::WorkflowId.eq(workflow));
    execute(tx, watches).await.map(drop)
}

fn schedule_off(at: DateTime<Utc>) -> schedules::ActiveModel {
    schedules::ActiveModel {
        is_enabled: Set(false),
        next_due_at: Set(None),
        next_fire_at: Set(None),
        updated_at: Set(at),
        ..Default::default()
    }
}

fn watch_off(at: DateTime<Utc>) -> file_watches::ActiveModel {
    file_watches::ActiveModel { is_enabled: Set(false), updated_at: Set(at), ..Default::default() }
}

async fn align_schedules(
    tx: &mut dyn WriteTx,
    workflow: Uuid,
    save: &SaveWorkflow,
) -> Result<Vec<ScheduleRecord>, StoreError> {
    let mut known = known_schedules(tx, workflow).await?;
    let mut records = Vec::new();
    for trigger in &save.workflow.triggers.schedules {
        let coming = save.triggers.next_due.iter().find(|(key, _)| *key == trigger.key).and_then(|(_, due)| *due);
        let before = known.remove(&trigger.key);
        let goes_on = before.as_ref().filter(|known| {
            known.is_enabled
                && known.cron.as_deref() == Some(trigger.cron.as_str())
                && known.timezone == trigger.timezone.name()
        });
        // An unchanged schedule keeps its place, so that what fell due while nobody was there is still found.
        let (since, last_due_at, next_due_at) = match goes_on {
            Some(known) => {
                let last_due_at = known.last_due_at.filter(|last| *last >= known.since);
                (known.since, last_due_at, known.next_due_at.or(coming))
            }
            None => (save.at, None, coming),
        };
        let id = before.as_ref().map_or_else(|| new_id(save.at), |known| known.id);
        let row = schedules::ActiveModel {
            cron_schedule: Set(Some(trigger.cron.clone())),
            timezone: Set(trigger.timezone.name().to_owned()),
            catch_up: Set(word(trigger.catch_up.as_str(), "schedules", id)?),
            catch_up_window_seconds: Set(trigger.catch_up_window.map(|window| seconds(window).max(1))),
            overlap_policy: Set(word(trigger.overlap.as_str(), "schedules", id)?),
            input_data: Set(storable(&json!(trigger.inputs))),
            is_enabled: Set(true),
            starts_at: Set(Some(since)),
            next_due_at: Set(next_due_at),
            next_fire_at: Set(next_due_at),
            updated_at: Set(save.at),
            ..Default::default()
        };
        if before.is_some() {
            let update = schedules::Entity::update_many().set(row).filter(schedules::Column::Id.eq(id));
            execute(tx, update).await?;
        } else {
            let row = schedules::ActiveModel {
                id: Set(id),
                tenant_id: Set(save.tenant.0),
                workflow_id: Set(workflow),
                trigger_key: Set(trigger.key.clone()),
                schedule_kind: Set(schedules::ScheduleKind::Cron),
                created_at: Set(save.at),
                ..row
            };
            execute(tx, schedules::Entity::insert(row)).await?;
        }
        let trigger_key = trigger.key.clone();
        records.push(ScheduleRecord { id: ScheduleId(id), trigger_key, last_due_at, next_due_at, since });
    }
    for gone in known.into_values().filter(|known| known.is_enabled) {
        let update =
            schedules::Entity::update_many().set(schedule_off(save.at)).filter(schedules::Column::Id.eq(gone.id));
        execute(tx, update).await?;
    }
    Ok(records)
}

async fn align_watches(
    tx: &mut dyn WriteTx,
    workflow: Uuid,
    save: &SaveWorkflow,
) -> Result<Vec<WatchRecord>, StoreError> {
    let mut known = known_watches(tx, workflow).await?;
    let mut records = Vec::new();
    for trigger in &save.workflow.triggers.files {
        let folders = save.triggers.locations.iter().find(|(key, _)| *key == trigger.key).map(|(_, folders)| folders);
        let before = known.remove(&trigger.key);
        let id = before.as_ref().map_or_else(|| new_id(save.at), |known| known.id);
        let location = folders.map(|folders| &folders.watched);
        let goes_on = before.as_ref().is_some_and(|known| known.is_enabled && known.location.as_ref() == location);
        let mut row = files::columns(trigger, folders, save.at);
        if !goes_on {
            row.health = Set(file_watches::WatchHealth::Starting);
            row.health_detail = Set(None);
        }
        if before.is_some() {
            let update = file_watches::Entity::update_many().set(row).filter(file_watches::Column::Id.eq(id));
            execute(tx, update).await?;
        } else {
            let row = file_watches::ActiveModel {
                id: Set(id),
                tenant_id: Set(save.tenant.0),
                workflow_id: Set(workflow),
                trigger_key: Set(trigger.key.clone()),
                watch_source: Set(file_watches::WatchSource::Directory),
                created_at: Set(save.at),
                ..row
            };
            execute(tx, file_watches::Entity::insert(row)).await?;
        }
        records.push(WatchRecord { id: WatchId(id), trigger_key: trigger.key.clone() });
    }
    for gone in known.into_values().filter(|known| known.is_enabled) {
        let update =
            file_watches::Entity::update_many().set(watch_off(save.at)).filter(file_watches::Column::Id.eq(gone.id));
        execute(tx, update).await?;
    }
    Ok(records)
}

async fn known_schedules(tx: &mut dyn WriteTx, workflow: Uuid) -> Result<HashMap<String, KnownSchedule>, StoreError> {
    const KNOWN: &str =
        "select id, trigger_key, cron_schedule, timezone, is_enabled, coalesce(starts_at, created_at) as since,
        last_due_at, next_due_at from schedules where workflow_id = $1";
    let read = |row: &Row| {
        let known = KnownSchedule {
            id: row.get("id")?,
            cron: row.get("cron_schedule")?,
            timezone: row.get("timezone")?,
            is_enabled: row.get("is_enabled")?,
            since: row.get("since")?,
            last_due_at: row.get("last_due_at")?,
            next_due_at: row.get("next_due_at")?,
        };
        Ok((row.get("trigger_key")?, known))
    };
    tx.query(raw(tx, KNOWN, [Value::from(workflow)])).await?.iter().map(read).collect()
}

async fn known_watches(tx: &mut dyn WriteTx, workflow: Uuid) -> Result<HashMap<String, KnownWatch>, StoreError> {
    let query = file_watches::Entity::find()
        .select_only()
        .columns([
            file_watches::Column::Id,
            file_watches::Column::TriggerKey,
            file_watches::Column::Location,
            file_watches::Column::IsEnabled,
        ])
        .filter(file_watches::Column::WorkflowId.eq(workflow));
    let read = |row: &Row| {
        let known =
            KnownWatch { id: row.get("id")?, location: row.get("location")?, is_enabled: row.get("is_enabled")? };
        Ok((row.get("trigger_key")?, known))
    };
    rows(tx, query).await?.iter().map(read).collect()
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// A word of the language that the schema has as well.
fn word<W: ActiveEnum<Value = String>>(word: &str, table: &'static str, id: Uuid) -> Result<W, StoreError> {
    W::try_from_value(&word.to_owned()).map_err(|_| corrupt(table, &id, format!("`{word}` is not a word it can store")))
}
