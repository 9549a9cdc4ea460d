//! Keeps the rows of triggers in line with the active definition.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use cogwheel_definition::FileSource;
use cogwheel_engine::WatchId;
use cogwheel_engine::ports::{SaveWorkflow, ScheduleRecord, StoreError, WatchRecord};
use cogwheel_entity::file_watches::{self, WatchHealth};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use uuid::Uuid;

use super::{execute, files, rows, schedules};
use crate::tx::{Row, WriteTx};
use crate::values::new_id;

/// A stored watch, as far as it decides what a new definition changes.
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
    Ok((schedules::align(tx, workflow, save).await?, align_watches(tx, workflow, save).await?))
}

/// Switches all triggers of a workflow off; their rows stay for their ledgers.
pub(crate) async fn switch_off(tx: &mut dyn WriteTx, workflow: Uuid, at: DateTime<Utc>) -> Result<(), StoreError> {
    schedules::switch_off(tx, workflow, at).await?;
    let watches =
        file_watches::Entity::update_many().set(watch_off(at)).filter(file_watches::Column::WorkflowId.eq(workflow));
    execute(tx, watches).await.map(drop)
}

fn watch_off(at: DateTime<Utc>) -> file_watches::ActiveModel {
    file_watches::ActiveModel { is_enabled: Set(false), updated_at: Set(at), ..Default::default() }
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
        if !goes_on || folders.is_none() {
            // Uploads come by themselves: there is nothing that could not be seen.
            let of_uploads = trigger.source == FileSource::Upload;
            let health = if of_uploads { WatchHealth::Healthy } else { WatchHealth::Starting };
            row.health = Set(health);
            row.health_detail = Set(None);
            row.active_mode = Set(None);
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
