//! Secrets as they were locked away, and the keys they were locked with.

use chrono::{DateTime, Utc};
use cogwheel_engine::ports::{DataKey, DeletedSecret, PutSecret, StoreError, StoredSecret, WrappedKey};
use cogwheel_engine::{TenantId, secret_variable};
use cogwheel_entity::{encryption_keys, secrets};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, Value};
use uuid::Uuid;

use super::execute;
use crate::tx::{Ask, Row, WriteTx, raw};
use crate::values::{new_id, storable_text};

const SECRETS: &str = "select s.name, s.description, s.ciphertext, s.secret_version, s.rotated_at, s.created_at,
        k.wrapped_key, k.master_key_ref
    from secrets s left join encryption_keys k on k.id = s.encryption_key_id
    where s.tenant_id = $1 and s.workflow_id is null";

/// See [`cogwheel_engine::ports::SecretStore::data_key`].
pub(crate) async fn data_key(ask: &mut dyn Ask, tenant: TenantId) -> Result<Option<DataKey>, StoreError> {
    const ACTIVE: &str =
        "select id, wrapped_key, master_key_ref from encryption_keys where tenant_id = $1 and status = 'active'";
    let read = |row: &Row| {
        let wrapped = WrappedKey { bytes: row.get("wrapped_key")?, master_key: row.get("master_key_ref")? };
        Ok(DataKey { id: row.get("id")?, wrapped })
    };
    ask.query(raw(ask, ACTIVE, [Value::from(tenant.0)])).await?.first().map(read).transpose()
}

/// See [`cogwheel_engine::ports::SecretStore::add_data_key`].
pub(crate) async fn add_data_key(
    tx: &mut dyn WriteTx,
    tenant: TenantId,
    key: WrappedKey,
    at: DateTime<Utc>,
) -> Result<DataKey, StoreError> {
    if let Some(known) = data_key(tx.asking(), tenant).await? {
        return Ok(known);
    }
    let id = new_id(at);
    let row = encryption_keys::ActiveModel {
        id: Set(id),
        tenant_id: Set(tenant.0),
        wrapped_key: Set(key.bytes.clone()),
        master_key_ref: Set(key.master_key.clone()),
        activated_at: Set(at),
        created_at: Set(at),
        updated_at: Set(at),
        ..Default::default()
    };
    execute(tx, encryption_keys::Entity::insert(row)).await?;
    Ok(DataKey { id, wrapped: key })
}

/// See [`cogwheel_engine::ports::SecretStore::secret`].
pub(crate) async fn one(ask: &mut dyn Ask, tenant: TenantId, name: &str) -> Result<Option<StoredSecret>, StoreError> {
    let sql = format!("{SECRETS} and s.name = $2");
    let found = ask.query(raw(ask, &sql, [Value::from(tenant.0), Value::from(name)])).await?;
    found.first().map(stored).transpose()
}

/// See [`cogwheel_engine::ports::SecretStore::secrets`].
pub(crate) async fn all(ask: &mut dyn Ask, tenant: TenantId) -> Result<Vec<StoredSecret>, StoreError> {
    let sql = format!("{SECRETS} order by s.name");
    ask.query(raw(ask, &sql, [Value::from(tenant.0)])).await?.iter().map(stored).collect()
}

/// See [`cogwheel_engine::ports::SecretStore::put_secret`].
pub(crate) async fn put(tx: &mut dyn WriteTx, put: PutSecret) -> Result<(), StoreError> {
    let mut row = secrets::ActiveModel {
        provider: Set(secrets::SecretProvider::Internal),
        external_ref: Set(None),
        ciphertext: Set(Some(put.sealed)),
        encryption_key_id: Set(Some(put.key)),
        secret_version: Set(put.replaces.unwrap_or(0) + 1),
        rotated_at: Set(Some(put.at)),
        updated_at: Set(put.at),
        ..Default::default()
    };
    if let Some(description) = &put.description {
        row.description = Set(Some(storable_text(description)));
    }
    let Some(version) = put.replaces else {
        if one(tx.asking(), put.tenant, &put.name).await?.is_some() {
            return Err(StoreError::Conflict(format!("the secret `{}` was set meanwhile", put.name)));
        }
        let row = secrets::ActiveModel {
            id: Set(new_id(put.at)),
            tenant_id: Set(put.tenant.0),
            name: Set(put.name),
            created_at: Set(put.at),
            ..row
        };
        return execute(tx, secrets::Entity::insert(row)).await.map(drop);
    };
    let update = secrets::Entity::update_many()
        .set(row)
        .filter(secrets::Column::TenantId.eq(put.tenant.0))
        .filter(secrets::Column::Name.eq(put.name.as_str()))
        .filter(secrets::Column::WorkflowId.is_null())
        .filter(secrets::Column::SecretVersion.eq(version));
    if execute(tx, update).await? == 0 {
        return Err(StoreError::Conflict(format!("the secret `{}` was set meanwhile", put.name)));
    }
    Ok(())
}

/// See [`cogwheel_engine::ports::SecretStore::delete_secret`].
pub(crate) async fn delete(tx: &mut dyn WriteTx, tenant: TenantId, name: &str) -> Result<DeletedSecret, StoreError> {
    const FIND: &str = "select s.id, exists (select 1 from inbound_endpoints e where e.secret_id = s.id) as is_used
        from secrets s where s.tenant_id = $1 and s.name = $2 and s.workflow_id is null";
    let found = tx.query(raw(tx, FIND, [Value::from(tenant.0), Value::from(name)])).await?;
    let Some(row) = found.first() else { return Ok(DeletedSecret::Unknown) };
    if row.get("is_used")? {
        return Ok(DeletedSecret::InUse);
    }
    let id: Uuid = row.get("id")?;
    execute(tx, secrets::Entity::delete_many().filter(secrets::Column::Id.eq(id))).await?;
    Ok(DeletedSecret::Deleted)
}

/// The row of a secret that something names; one that nobody has set is looked for in the server's environment.
pub(crate) async fn named(
    tx: &mut dyn WriteTx,
    tenant: TenantId,
    name: &str,
    at: DateTime<Utc>,
) -> Result<Uuid, StoreError> {
    const FIND: &str = "select id from secrets where tenant_id = $1 and name = $2 and workflow_id is null";
    if let Some(row) = tx.query(raw(tx, FIND, [Value::from(tenant.0), Value::from(name)])).await?.first() {
        return row.get("id");
    }
    let id = new_id(at);
    let row = secrets::ActiveModel {
        id: Set(id),
        tenant_id: Set(tenant.0),
        name: Set(name.to_owned()),
        provider: Set(secrets::SecretProvider::Environment),
        external_ref: Set(Some(secret_variable(name))),
        secret_version: Set(0),
        created_at: Set(at),
        updated_at: Set(at),
        ..Default::default()
    };
    execute(tx, secrets::Entity::insert(row)).await?;
    Ok(id)
}

fn stored(row: &Row) -> Result<StoredSecret, StoreError> {
    let ciphertext: Option<Vec<u8>> = row.get("ciphertext")?;
    let sealed = match ciphertext {
        Some(sealed) => {
            Some((sealed, WrappedKey { bytes: row.get("wrapped_key")?, master_key: row.get("master_key_ref")? }))
        }
        None => None,
    };
    Ok(StoredSecret {
        name: row.get("name")?,
        description: row.get("description")?,
        sealed,
        version: row.get("secret_version")?,
        rotated_at: row.get("rotated_at")?,
        created_at: row.get("created_at")?,
    })
}
