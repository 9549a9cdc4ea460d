//! Saving and removing definitions, and reading what the engine knows of them.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use cogwheel_engine::events::EventType;
use cogwheel_engine::ports::{
    Actor, EVENT_TRIGGERS, EndpointRecord, PauseWorkflow, SaveWorkflow, ScheduleRecord, StoreError, WatchRecord,
    WorkflowRecord,
};
use cogwheel_engine::{EndpointId, ScheduleId, TenantId, VersionId, WatchId, WorkflowId};
use cogwheel_entity::{workflow_versions, workflows};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveEnum, ActiveValue::Set, ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Value,
};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::lifecycle::ChangedWorkflow;
use super::{endpoints, events, execute, rows, triggers};
use crate::rows::corrupt;
use crate::tx::{Ask, Row, WriteTx, any_of, ids, raw};
use crate::values::{new_id, storable};

/// The workflow's row as it stood before.
struct Before {
    id: Uuid,
    /// Whether it may be started: switched on and active.
    is_enabled: bool,
    is_deleted: bool,
    /// Whether events start it.
    has_events: bool,
    origin_path: Option<String>,
}

/// The active version's row as it stood before.
struct ActiveVersion {
    id: Uuid,
    version: i32,
    checksum: String,
}

/// See [`cogwheel_engine::ports::Store::save_workflow`].
pub(crate) async fn save(tx: &mut dyn WriteTx, save: SaveWorkflow) -> Result<WorkflowRecord, StoreError> {
    let before = find(tx, &save).await?;
    let (id, is_enabled) = match &before {
        Some(before) => (before.id, before.is_enabled),
        None => (insert(tx, &save).await?, true),
    };
    let active = if before.is_some() { active_version(tx, id).await? } else { None };
    let unchanged = active.filter(|active| active.checksum == save.checksum);
    let is_stale = |before: &Before| before.is_deleted || unchanged.is_none() || before.origin_path != save.origin_path;
    if before.as_ref().is_some_and(is_stale) {
        update(tx, id, &save).await?;
    }
    let (version_id, version) = match &unchanged {
        Some(active) => (active.id, active.version),
        None => add_version(tx, id, &save).await?,
    };
    if unchanged.is_none() {
        let text = json!({ "version": version, "checksum": save.checksum });
        let saved = if before.is_some() { EventType::WorkflowUpdated } else { EventType::WorkflowCreated };
        let workflow = changed(&save, id);
        let changes = [(saved, json!({ "version": version })), (EventType::WorkflowVersionActivated, text)];
        workflow.tell(tx, changes).await?;
    }
    let (schedules, watches) = triggers::align(tx, id, &save).await?;
    let endpoints = endpoints::align(tx, id, &save).await?;
    let has_events = !save.workflow.triggers.events.is_empty();
    if has_events && !before.is_some_and(|before| before.has_events && !before.is_deleted) {
        let others = raw(tx, OTHERS_WITH_EVENTS, [Value::from(id)]);
        events::listen(tx, EVENT_TRIGGERS, others, save.at).await?;
    }
    Ok(WorkflowRecord {
        id: WorkflowId(id),
        tenant: save.tenant,
        name: save.workflow.name,
        origin_path: save.origin_path,
        version_id: VersionId(version_id),
        version,
        checksum: save.checksum,
        is_enabled,
        schedules,
        watches,
        endpoints,
        has_events,
    })
}

/// Another workflow that events start.
const OTHERS_WITH_EVENTS: &str =
    "select 1 as found from workflows where event_trigger_count > 0 and deleted_at is null and id <> $1 limit 1";

fn changed(save: &SaveWorkflow, id: Uuid) -> ChangedWorkflow<'_> {
    ChangedWorkflow {
        tenant: save.tenant,
        id: WorkflowId(id),
        name: &save.workflow.name,
        actor: Actor::Engine,
        at: save.at,
    }
}

/// Marks a workflow deleted and switches its triggers off.
pub(crate) async fn remove(tx: &mut dyn WriteTx, workflow: WorkflowId, at: DateTime<Utc>) -> Result<(), StoreError> {
    let delete = workflows::Entity::update_many()
        .col_expr(workflows::Column::DeletedAt, Expr::value(at))
        .col_expr(workflows::Column::UpdatedAt, Expr::value(at))
        .filter(workflows::Column::Id.eq(workflow.0))
        .filter(workflows::Column::DeletedAt.is_null());
    if execute(tx, delete).await? > 0 {
        tell(tx, workflow, Actor::Engine, EventType::WorkflowDeleted, at).await?;
    }
    triggers::switch_off(tx, workflow.0, at).await?;
    endpoints::remove(tx, workflow.0).await
}

/// Moves a workflow between active and paused; one that is neither stays as it is. `false` when there is none.
pub(crate) async fn pause(tx: &mut dyn WriteTx, pause: PauseWorkflow) -> Result<bool, StoreError> {
    let (from, to) = if pause.paused {
        (workflows::WorkflowStatus::Active, workflows::WorkflowStatus::Paused)
    } else {
        (workflows::WorkflowStatus::Paused, workflows::WorkflowStatus::Active)
    };
    let standing = Condition::all()
        .add(workflows::Column::Id.eq(pause.workflow.0))
        .add(workflows::Column::TenantId.eq(pause.tenant.0))
        .add(workflows::Column::DeletedAt.is_null());
    let update = workflows::Entity::update_many()
        .set(workflows::ActiveModel { status: Set(to), updated_at: Set(pause.at), ..Default::default() })
        .filter(standing.clone())
        .filter(workflows::Column::Status.eq(from));
    if execute(tx, update).await? > 0 {
        let event_type = if pause.paused { EventType::WorkflowDisabled } else { EventType::WorkflowEnabled };
        tell(tx, pause.workflow, pause.actor, event_type, pause.at).await?;
        return Ok(true);
    }
    let known = workflows::Entity::find().select_only().column(workflows::Column::Id).filter(standing);
    Ok(!rows(tx, known).await?.is_empty())
}

/// Tells what became of a workflow that is only known by its id.
async fn tell(
    tx: &mut dyn WriteTx,
    id: WorkflowId,
    actor: Actor,
    event_type: EventType,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let named = tx.query(raw(tx, "select tenant_id, name from workflows where id = $1", [Value::from(id.0)])).await?;
    let Some(row) = named.first() else { return Ok(()) };
    let name: String = row.get("name")?;
    let changed = ChangedWorkflow { tenant: TenantId(row.get("tenant_id")?), id, name: &name, actor, at };
    changed.tell(tx, [(event_type, json!({}))]).await
}

/// Where a workflow is started is decided by these columns alone; its text may be as long as it likes.
const ALL: &str = "select w.id, w.name, w.origin_path, w.is_enabled and w.status = 'active' as may_start,
        w.event_trigger_count, v.id as version_id, v.version, v.checksum
    from workflows w left join workflow_versions v on v.workflow_id = w.id and v.is_active = true
    where w.tenant_id = $1 and w.deleted_at is null";

const SCHEDULES: &str =
    "select id, workflow_id, trigger_key, last_due_at, next_due_at, paused_at is not null as is_paused,
        coalesce(starts_at, created_at) as since
    from schedules where tenant_id = $1 and is_enabled = true order by id";

const WATCHES: &str =
    "select id, workflow_id, trigger_key from file_watches where tenant_id = $1 and is_enabled = true order by id";

const ENDPOINTS: &str =
    "select id, workflow_id, trigger_key from inbound_endpoints where tenant_id = $1 and is_enabled = true order by id";

/// See [`cogwheel_engine::ports::Store::workflows`].
pub(crate) async fn all(ask: &mut dyn Ask, tenant: TenantId) -> Result<Vec<WorkflowRecord>, StoreError> {
    let mut schedules: HashMap<Uuid, Vec<ScheduleRecord>> = HashMap::new();
    for row in ask.query(raw(ask, SCHEDULES, [Value::from(tenant.0)])).await? {
        let since = row.get("since")?;
        let last_due_at: Option<DateTime<Utc>> = row.get("last_due_at")?;
        schedules.entry(row.get("workflow_id")?).or_default().push(ScheduleRecord {
            id: ScheduleId(row.get("id")?),
            trigger_key: row.get("trigger_key")?,
            // What was decided before its ledger began anew says nothing about it.
            last_due_at: last_due_at.filter(|last| *last >= since),
            next_due_at: row.get("next_due_at")?,
            since,
            is_paused: row.get("is_paused")?,
        });
    }
    let mut watches: HashMap<Uuid, Vec<WatchRecord>> = HashMap::new();
    for row in ask.query(raw(ask, WATCHES, [Value::from(tenant.0)])).await? {
        let watch = WatchRecord { id: WatchId(row.get("id")?), trigger_key: row.get("trigger_key")? };
        watches.entry(row.get("workflow_id")?).or_default().push(watch);
    }
    let mut endpoints: HashMap<Uuid, Vec<EndpointRecord>> = HashMap::new();
    for row in ask.query(raw(ask, ENDPOINTS, [Value::from(tenant.0)])).await? {
        let endpoint = EndpointRecord { id: EndpointId(row.get("id")?), trigger_key: row.get("trigger_key")? };
        endpoints.entry(row.get("workflow_id")?).or_default().push(endpoint);
    }
    let read = |row: &Row| {
        let id: Uuid = row.get("id")?;
        let version: Option<Uuid> = row.get("version_id")?;
        let version = version.ok_or_else(|| corrupt("workflows", &id, "it has no active version"))?;
        Ok(WorkflowRecord {
            id: WorkflowId(id),
            tenant,
            name: row.get("name")?,
            origin_path: row.get("origin_path")?,
            version_id: VersionId(version),
            version: row.get("version")?,
            checksum: row.get("checksum")?,
            is_enabled: row.get("may_start")?,
            schedules: schedules.remove(&id).unwrap_or_default(),
            watches: watches.remove(&id).unwrap_or_default(),
            endpoints: endpoints.remove(&id).unwrap_or_default(),
            has_events: row.get::<i32>("event_trigger_count")? > 0,
        })
    };
    ask.query(raw(ask, ALL, [Value::from(tenant.0)])).await?.iter().map(read).collect()
}

/// See [`cogwheel_engine::ports::Store::workflow_sources`].
pub(crate) async fn sources(
    ask: &mut dyn Ask,
    versions: &[VersionId],
) -> Result<HashMap<VersionId, String>, StoreError> {
    let sql = format!("select id, source_text from workflow_versions where id in {}", any_of(ask.backend(), 1));
    let versions = ids(ask, versions.iter().map(|version| version.0));
    let rows = ask.query(raw(ask, &sql, [versions])).await?;
    rows.iter().map(|row| Ok((VersionId(row.get("id")?), row.get("source_text")?))).collect()
}

/// The live workflow of that name, else the one of that name and origin that was deleted last.
async fn find(tx: &mut dyn WriteTx, save: &SaveWorkflow) -> Result<Option<Before>, StoreError> {
    let named = || {
        workflows::Entity::find()
            .select_only()
            .columns([
                workflows::Column::Id,
                workflows::Column::IsEnabled,
                workflows::Column::Status,
                workflows::Column::DeletedAt,
                workflows::Column::EventTriggerCount,
                workflows::Column::OriginPath,
            ])
            .filter(workflows::Column::TenantId.eq(save.tenant.0))
            .filter(workflows::Column::Name.eq(save.workflow.name.as_str()))
    };
    let read = |row: &Row| -> Result<Before, StoreError> {
        let deleted_at: Option<DateTime<Utc>> = row.get("deleted_at")?;
        let is_active = row.get::<String>("status")? == workflows::WorkflowStatus::Active.to_value();
        let is_enabled = is_active && row.get("is_enabled")?;
        Ok(Before {
            id: row.get("id")?,
            is_enabled,
            is_deleted: deleted_at.is_some(),
            has_events: row.get::<i32>("event_trigger_count")? > 0,
            origin_path: row.get("origin_path")?,
        })
    };
    if let Some(row) = rows(tx, named().filter(workflows::Column::DeletedAt.is_null())).await?.first() {
        return read(row).map(Some);
    }
    let Some(path) = &save.origin_path else { return Ok(None) };
    let deleted = named()
        .filter(workflows::Column::Origin.eq(workflows::WorkflowOrigin::Directory))
        .filter(workflows::Column::OriginPath.eq(path.as_str()))
        .order_by_desc(workflows::Column::DeletedAt)
        .limit(1);
    rows(tx, deleted).await?.first().map(read).transpose()
}

async fn insert(tx: &mut dyn WriteTx, save: &SaveWorkflow) -> Result<Uuid, StoreError> {
    let id = new_id(save.at);
    let row = workflows::ActiveModel {
        id: Set(id),
        tenant_id: Set(save.tenant.0),
        status: Set(workflows::WorkflowStatus::Active),
        created_at: Set(save.at),
        ..described(save)
    };
    execute(tx, workflows::Entity::insert(row)).await?;
    Ok(id)
}

async fn update(tx: &mut dyn WriteTx, id: Uuid, save: &SaveWorkflow) -> Result<(), StoreError> {
    let update = workflows::Entity::update_many()
        .set(workflows::ActiveModel { deleted_at: Set(None), ..described(save) })
        .filter(workflows::Column::Id.eq(id));
    execute(tx, update).await.map(drop)
}

/// The columns that follow from the definition.
fn described(save: &SaveWorkflow) -> workflows::ActiveModel {
    let workflow = &save.workflow;
    let origin =
        if save.origin_path.is_some() { workflows::WorkflowOrigin::Directory } else { workflows::WorkflowOrigin::Api };
    workflows::ActiveModel {
        name: Set(workflow.name.clone()),
        description: Set(workflow.description.clone()),
        labels: Set(storable(&json!(workflow.labels))),
        origin: Set(origin),
        origin_path: Set(save.origin_path.clone()),
        is_scheduled: Set(!workflow.triggers.schedules.is_empty()),
        event_trigger_count: Set(i32::try_from(workflow.triggers.events.len()).unwrap_or(i32::MAX)),
        trigger_on_file_upload: Set(!workflow.triggers.files.is_empty()),
        max_retries: Set(most_retries(save)),
        timeout_seconds: Set(whole_seconds(workflow.timeout)),
        updated_at: Set(save.at),
        ..Default::default()
    }
}

/// The most retries that a workflow's row tells of: a step that is tried until it succeeds stands there with these.
const MOST_RETRIES: i32 = 100;

/// How often the step that is tried again most often may be.
fn most_retries(save: &SaveWorkflow) -> i32 {
    let retries = save.workflow.steps.iter().filter_map(|step| step.retry.as_ref()).map(|retry| retry.attempts - 1);
    retries.max().map_or(0, |most| i32::try_from(most).unwrap_or(MOST_RETRIES).min(MOST_RETRIES))
}

/// Whole seconds, rounded up: a limit may be kept too long, never too short.
fn whole_seconds(duration: Duration) -> i32 {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i32::try_from(seconds.max(1)).unwrap_or(i32::MAX)
}

async fn active_version(tx: &mut dyn WriteTx, workflow: Uuid) -> Result<Option<ActiveVersion>, StoreError> {
    const ACTIVE: &str =
        "select id, version, checksum from workflow_versions where workflow_id = $1 and is_active = true";
    let found = tx.query(raw(tx, ACTIVE, [Value::from(workflow)])).await?;
    found
        .first()
        .map(|row| {
            Ok(ActiveVersion { id: row.get("id")?, version: row.get("version")?, checksum: row.get("checksum")? })
        })
        .transpose()
}

/// Adds the text as the next version and makes it the active one.
async fn add_version(tx: &mut dyn WriteTx, workflow: Uuid, save: &SaveWorkflow) -> Result<(Uuid, i32), StoreError> {
    const RETIRE: &str =
        "update workflow_versions set is_active = $1, updated_at = $2 where workflow_id = $3 and is_active = true";
    const LAST: &str = "select max(version) as version from workflow_versions where workflow_id = $1";
    tx.execute(raw(tx, RETIRE, [Value::from(false), Value::from(save.at), Value::from(workflow)])).await?;
    let last = tx.query(raw(tx, LAST, [Value::from(workflow)])).await?;
    let last: Option<i32> = last.first().map(|row| row.get("version")).transpose()?.flatten();
    let (id, version) = (new_id(save.at), last.unwrap_or(0) + 1);
    let definition = storable(&save.workflow.to_json());
    let language_version = definition.get("language_version").and_then(Json::as_str).unwrap_or_default().to_owned();
    let row = workflow_versions::ActiveModel {
        id: Set(id),
        tenant_id: Set(save.tenant.0),
        workflow_id: Set(workflow),
        version: Set(version),
        source_format: Set(workflow_versions::SourceFormat::Yaml),
        source_text: Set(save.source.clone()),
        definition: Set(definition),
        checksum: Set(save.checksum.clone()),
        language_version: Set(language_version),
        step_count: Set(i32::try_from(save.workflow.steps.len()).unwrap_or(i32::MAX)),
        is_active: Set(true),
        activated_at: Set(Some(save.at)),
        created_at: Set(save.at),
        updated_at: Set(save.at),
        ..Default::default()
    };
    execute(tx, workflow_versions::Entity::insert(row)).await?;
    Ok((id, version))
}
