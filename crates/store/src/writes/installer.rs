//! Rows that an installation has from its first start on.

use chrono::{DateTime, Utc};
use cogwheel_engine::TenantId;
use cogwheel_engine::ports::StoreError;
use cogwheel_entity::tenants;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use super::{execute, rows};
use crate::tx::WriteTx;
use crate::values::new_id;

const DEFAULT: &str = "default";
const SYSTEM: &str = "system";

/// The default tenant; makes it and the system tenant where they are missing, also beside another process that does.
pub(crate) async fn default_tenant(tx: &mut dyn WriteTx, at: DateTime<Utc>) -> Result<TenantId, StoreError> {
    if let Some(tenant) = find(tx).await? {
        return Ok(tenant);
    }
    for (slug, name) in [(SYSTEM, "System"), (DEFAULT, "Default")] {
        let tenant = tenants::ActiveModel {
            id: Set(new_id(at)),
            slug: Set(slug.to_owned()),
            name: Set(name.to_owned()),
            status: Set(tenants::TenantStatus::Active),
            is_system: Set(slug == SYSTEM),
            created_at: Set(at),
            updated_at: Set(at),
            ..Default::default()
        };
        let insert = tenants::Entity::insert(tenant).on_conflict(OnConflict::new().do_nothing().to_owned());
        execute(tx, insert).await?;
    }
    find(tx).await?.ok_or_else(|| StoreError::Bug("the default tenant could not be made".to_owned()))
}

async fn find(tx: &mut dyn WriteTx) -> Result<Option<TenantId>, StoreError> {
    let query =
        tenants::Entity::find().select_only().column(tenants::Column::Id).filter(tenants::Column::Slug.eq(DEFAULT));
    rows(tx, query).await?.first().map(|row| row.get("id").map(TenantId)).transpose()
}
