//! Keeps the rows of schedules in line with the active definition, and switches single ones off and on.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use cogwheel_definition::ScheduleTrigger;
use cogwheel_definition::schedule::Timing;
use cogwheel_engine::ScheduleId;
use cogwheel_engine::ports::{PauseSchedule, SaveWorkflow, ScheduleRecord, StoreError};
use cogwheel_entity::schedules;
use sea_orm::{ActiveEnum, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, Value};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::execute;
use crate::rows::corrupt;
use crate::tx::{Ask, Row, WriteTx, raw};
use crate::values::{new_id, storable};

/// A stored schedule, as far as it decides what a new definition changes.
struct Known {
    id: Uuid,
    instants: Instants,
    is_enabled: bool,
    is_paused: bool,
    since: DateTime<Utc>,
    last_due_at: Option<DateTime<Utc>>,
    next_due_at: Option<DateTime<Utc>>,
}

/// The columns that decide which instants are due.
#[derive(PartialEq)]
struct Instants {
    cron: Option<String>,
    interval_seconds: Option<i64>,
    timezone: String,
    gap: String,
    overlap: String,
    /// What else the timing says, but for the excluded dates.
    details: Option<Json>,
}

impl Instants {
    fn of(timing: &Timing) -> Self {
        Self {
            cron: timing.expression().map(str::to_owned),
            interval_seconds: timing.interval().map(seconds),
            timezone: timing.timezone.name().to_owned(),
            gap: timing.dst.gap.as_str().to_owned(),
            overlap: timing.dst.overlap.as_str().to_owned(),
            details: without_dates(timing.details()),
        }
    }
}

/// Excluded dates decide what starts, not what is due.
fn without_dates(details: Option<Json>) -> Option<Json> {
    let Some(Json::Object(mut details)) = details else { return None };
    details.remove("exclude");
    (!details.is_empty()).then_some(Json::Object(details))
}

/// Inserts, changes, switches on and switches off, so that exactly the definition's schedules are enabled.
pub(super) async fn align(
    tx: &mut dyn WriteTx,
    workflow: Uuid,
    save: &SaveWorkflow,
) -> Result<Vec<ScheduleRecord>, StoreError> {
    let mut known = known(tx, workflow).await?;
    let mut records = Vec::new();
    for trigger in &save.workflow.triggers.schedules {
        let coming = save.triggers.next_due.iter().find(|(key, _)| *key == trigger.key).and_then(|(_, due)| *due);
        let before = known.remove(&trigger.key);
        let goes_on =
            before.as_ref().filter(|known| known.is_enabled && known.instants == Instants::of(&trigger.timing));
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
            starts_at: Set(Some(since)),
            next_due_at: Set(next_due_at),
            next_fire_at: Set(next_due_at.map(|due| trigger.put_off(&save.workflow.name, due))),
            updated_at: Set(save.at),
            ..row(trigger, id)?
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
                created_at: Set(save.at),
                ..row
            };
            execute(tx, schedules::Entity::insert(row)).await?;
        }
        let trigger_key = trigger.key.clone();
        let is_paused = before.is_some_and(|known| known.is_paused);
        records.push(ScheduleRecord { id: ScheduleId(id), trigger_key, last_due_at, next_due_at, since, is_paused });
    }
    for gone in known.into_values().filter(|known| known.is_enabled) {
        let update = schedules::Entity::update_many().set(off(save.at)).filter(schedules::Column::Id.eq(gone.id));
        execute(tx, update).await?;
    }
    Ok(records)
}

/// The columns that say what the definition says.
fn row(trigger: &ScheduleTrigger, id: Uuid) -> Result<schedules::ActiveModel, StoreError> {
    let timing = &trigger.timing;
    let kind =
        if timing.interval().is_some() { schedules::ScheduleKind::Interval } else { schedules::ScheduleKind::Cron };
    Ok(schedules::ActiveModel {
        schedule_kind: Set(kind),
        cron_schedule: Set(timing.expression().map(str::to_owned)),
        interval_seconds: Set(timing.interval().map(seconds)),
        timezone: Set(timing.timezone.name().to_owned()),
        dst_gap_policy: Set(word(timing.dst.gap.as_str(), id)?),
        dst_overlap_policy: Set(word(timing.dst.overlap.as_str(), id)?),
        calendar: Set(timing.details().map(|details| storable(&details))),
        catch_up: Set(word(trigger.catch_up.as_str(), id)?),
        catch_up_window_seconds: Set(trigger.catch_up_window.map(|window| seconds(window).max(1))),
        overlap_policy: Set(word(trigger.overlap.as_str(), id)?),
        jitter_ms: Set(i32::try_from(trigger.jitter.as_millis()).unwrap_or(i32::MAX)),
        input_data: Set(storable(&json!(trigger.inputs))),
        is_enabled: Set(true),
        ..Default::default()
    })
}

/// Switches all schedules of a workflow off; their rows stay for their ledgers.
pub(super) async fn switch_off(tx: &mut dyn WriteTx, workflow: Uuid, at: DateTime<Utc>) -> Result<(), StoreError> {
    let update = schedules::Entity::update_many().set(off(at)).filter(schedules::Column::WorkflowId.eq(workflow));
    execute(tx, update).await.map(drop)
}

/// Switches one schedule off or on for its due instants. `false` when its workflow has no such schedule.
pub(crate) async fn pause(tx: &mut dyn WriteTx, pause: PauseSchedule) -> Result<bool, StoreError> {
    let update = schedules::Entity::update_many()
        .set(schedules::ActiveModel {
            paused_at: Set(pause.paused.then_some(pause.at)),
            updated_at: Set(pause.at),
            ..Default::default()
        })
        .filter(schedules::Column::Id.eq(pause.schedule.0))
        .filter(schedules::Column::TenantId.eq(pause.tenant.0))
        .filter(schedules::Column::IsEnabled.eq(true));
    Ok(execute(tx, update).await? > 0)
}

/// See [`cogwheel_engine::ports::Store::last_due_at`].
pub(crate) async fn last_due_at(ask: &mut dyn Ask, schedule: ScheduleId) -> Result<Option<DateTime<Utc>>, StoreError> {
    const LAST: &str = "select last_due_at from schedules
        where id = $1 and last_due_at >= coalesce(starts_at, created_at)";
    let rows = ask.query(raw(ask, LAST, [Value::from(schedule.0)])).await?;
    rows.first().map(|row| row.get("last_due_at")).transpose()
}

fn off(at: DateTime<Utc>) -> schedules::ActiveModel {
    schedules::ActiveModel {
        is_enabled: Set(false),
        next_due_at: Set(None),
        next_fire_at: Set(None),
        updated_at: Set(at),
        ..Default::default()
    }
}

async fn known(tx: &mut dyn WriteTx, workflow: Uuid) -> Result<HashMap<String, Known>, StoreError> {
    const KNOWN: &str = "select id, trigger_key, cron_schedule, interval_seconds, timezone, dst_gap_policy,
        dst_overlap_policy, calendar, is_enabled, paused_at is not null as is_paused, coalesce(starts_at, created_at) as since,
        last_due_at, next_due_at from schedules where workflow_id = $1";
    let read = |row: &Row| {
        let known = Known {
            id: row.get("id")?,
            instants: Instants {
                cron: row.get("cron_schedule")?,
                interval_seconds: row.get("interval_seconds")?,
                timezone: row.get("timezone")?,
                gap: row.get("dst_gap_policy")?,
                overlap: row.get("dst_overlap_policy")?,
                details: without_dates(row.get("calendar")?),
            },
            is_enabled: row.get("is_enabled")?,
            is_paused: row.get("is_paused")?,
            since: row.get("since")?,
            last_due_at: row.get("last_due_at")?,
            next_due_at: row.get("next_due_at")?,
        };
        Ok((row.get("trigger_key")?, known))
    };
    tx.query(raw(tx, KNOWN, [Value::from(workflow)])).await?.iter().map(read).collect()
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// A word of the language that the schema has as well.
fn word<W: ActiveEnum<Value = String>>(word: &str, id: Uuid) -> Result<W, StoreError> {
    let unknown = |_| corrupt("schedules", &id, format!("`{word}` is not a word it can store"));
    W::try_from_value(&word.to_owned()).map_err(unknown)
}
