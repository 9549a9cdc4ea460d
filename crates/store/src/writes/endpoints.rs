//! Keeps the rows of addresses for calls in line with the active definition, and counts their calls.

use std::collections::HashMap;

use cogwheel_definition::{Signature, WebhookTrigger};
use cogwheel_engine::EndpointId;
use cogwheel_engine::ports::{CountedCalls, EndpointRecord, SaveWorkflow, StoreError};
use cogwheel_entity::inbound_endpoints;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, Value};
use serde_json::json;
use uuid::Uuid;

use super::{execute, secrets};
use crate::tx::{Row, WriteTx, raw};
use crate::values::new_id;

/// Inserts, changes and removes, so that exactly the definition's addresses are there.
pub(crate) async fn align(
    tx: &mut dyn WriteTx,
    workflow: Uuid,
    save: &SaveWorkflow,
) -> Result<Vec<EndpointRecord>, StoreError> {
    const ASIDE: &str =
        "update inbound_endpoints set endpoint_path = '~' || trigger_key || '~' || $1 where workflow_id = $2";
    let mut known = known(tx, workflow).await?;
    let mut records = Vec::new();
    let triggers = &save.workflow.triggers.webhooks;
    for trigger in triggers {
        check_path(tx, workflow, save, trigger).await?;
    }
    // Two of them may have changed paths with each other, and no path may be there twice in between.
    known.retain(|key, _| triggers.iter().any(|trigger| trigger.key == *key));
    let stays: Vec<Uuid> = known.values().copied().collect();
    let gone = inbound_endpoints::Entity::delete_many()
        .filter(inbound_endpoints::Column::WorkflowId.eq(workflow))
        .filter(inbound_endpoints::Column::Id.is_not_in(stays));
    execute(tx, gone).await?;
    tx.execute(raw(tx, ASIDE, [Value::from(workflow.to_string()), Value::from(workflow)])).await?;
    for trigger in triggers {
        let secret = match &trigger.secret {
            Some(name) => Some(secrets::named(tx, save.tenant, name, save.at).await?),
            None => None,
        };
        let before = known.get(&trigger.key).copied();
        let id = before.unwrap_or_else(|| new_id(save.at));
        let row = inbound_endpoints::ActiveModel {
            endpoint_path: Set(trigger.path.clone()),
            http_methods: Set(json!(trigger.methods.iter().map(|method| method.as_str()).collect::<Vec<_>>())),
            signature_mode: Set(match trigger.signature {
                Signature::Any | Signature::Standard => inbound_endpoints::SignatureMode::StandardWebhooks,
                Signature::Github => inbound_endpoints::SignatureMode::HubSha256,
                Signature::Bearer => inbound_endpoints::SignatureMode::Bearer,
                Signature::None => inbound_endpoints::SignatureMode::None,
            }),
            secret_id: Set(secret),
            tolerance_seconds: Set(i32::try_from(trigger.tolerance.as_secs().max(1)).unwrap_or(i32::MAX)),
            response_mode: Set(if trigger.reply.is_some() {
                inbound_endpoints::ResponseMode::Reply
            } else {
                inbound_endpoints::ResponseMode::Accepted
            }),
            is_enabled: Set(true),
            updated_at: Set(save.at),
            ..Default::default()
        };
        if before.is_some() {
            let update = inbound_endpoints::Entity::update_many().set(row).filter(inbound_endpoints::Column::Id.eq(id));
            execute(tx, update).await?;
        } else {
            let row = inbound_endpoints::ActiveModel {
                id: Set(id),
                tenant_id: Set(save.tenant.0),
                workflow_id: Set(workflow),
                trigger_key: Set(trigger.key.clone()),
                created_at: Set(save.at),
                ..row
            };
            execute(tx, inbound_endpoints::Entity::insert(row)).await?;
        }
        records.push(EndpointRecord { id: EndpointId(id), trigger_key: trigger.key.clone() });
    }
    Ok(records)
}

/// Forgets the addresses of a workflow that is gone: others may have them.
pub(crate) async fn remove(tx: &mut dyn WriteTx, workflow: Uuid) -> Result<(), StoreError> {
    let gone = inbound_endpoints::Entity::delete_many().filter(inbound_endpoints::Column::WorkflowId.eq(workflow));
    execute(tx, gone).await.map(drop)
}

/// Adds to what is counted of the calls of addresses.
pub(crate) async fn count(tx: &mut dyn WriteTx, calls: &[CountedCalls]) -> Result<(), StoreError> {
    const COUNT: &str =
        "update inbound_endpoints set total_calls = total_calls + $1, rejected_calls = rejected_calls + $2,
        last_called_at = $3, updated_at = $3 where id = $4";
    // In one order, so that two servers that count at the same time do not wait for each other.
    let mut calls = calls.to_vec();
    calls.sort_unstable_by_key(|calls| calls.endpoint);
    for CountedCalls { endpoint, total, rejected, last_at } in calls {
        let values = [Value::from(total), Value::from(rejected), Value::from(last_at), Value::from(endpoint.0)];
        tx.execute(raw(tx, COUNT, values)).await?;
    }
    Ok(())
}

/// One workflow of a tenant has a path.
async fn check_path(
    tx: &mut dyn WriteTx,
    workflow: Uuid,
    save: &SaveWorkflow,
    trigger: &WebhookTrigger,
) -> Result<(), StoreError> {
    const OWNER: &str = "select w.name from inbound_endpoints e join workflows w on w.id = e.workflow_id
        where e.tenant_id = $1 and e.endpoint_path = $2 and e.workflow_id <> $3";
    let path = &trigger.path;
    let is_own_twice = save.workflow.triggers.webhooks.iter().filter(|other| other.path == *path).count() > 1;
    if is_own_twice {
        return Err(StoreError::Conflict(format!("two of its webhooks have the path `{path}`")));
    }
    let values = [Value::from(save.tenant.0), Value::from(path.as_str()), Value::from(workflow)];
    let owners = tx.query(raw(tx, OWNER, values)).await?;
    match owners.first() {
        None => Ok(()),
        Some(owner) => {
            let owner: String = owner.get("name")?;
            Err(StoreError::Conflict(format!("the path `{path}` of its webhook belongs to the workflow `{owner}`")))
        }
    }
}

async fn known(tx: &mut dyn WriteTx, workflow: Uuid) -> Result<HashMap<String, Uuid>, StoreError> {
    const KNOWN: &str = "select id, trigger_key from inbound_endpoints where workflow_id = $1";
    let read = |row: &Row| Ok((row.get("trigger_key")?, row.get("id")?));
    tx.query(raw(tx, KNOWN, [Value::from(workflow)])).await?.iter().map(read).collect()
}
