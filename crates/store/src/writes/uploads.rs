//! What a tenant may upload.

use cogwheel_engine::TenantId;
use cogwheel_engine::ports::{StoreError, TenantUploads};
use sea_orm::Value;
use serde_json::Value as Json;

use crate::rows::corrupt;
use crate::tx::{Ask, raw};

/// The keys of `tenants.limits`.
const MAX_BYTES: &str = "upload_max_bytes";
const TYPES: &str = "upload_types";

/// The tenant's own limits. What cannot be understood is an error: a limit must not be lifted by a slip of the pen.
pub(crate) async fn of_tenant(ask: &mut dyn Ask, tenant: TenantId) -> Result<TenantUploads, StoreError> {
    let rows = ask.query(raw(ask, "select limits from tenants where id = $1", [Value::from(tenant.0)])).await?;
    let Some(row) = rows.first() else { return Ok(TenantUploads::default()) };
    let limits: Json = row.get("limits")?;
    let wrong = |key: &str, what: &str| corrupt("tenants", &tenant, format!("`limits.{key}` must be {what}"));
    let max_size = match &limits[MAX_BYTES] {
        Json::Null => None,
        bytes => Some(bytes.as_u64().ok_or_else(|| wrong(MAX_BYTES, "a number of bytes"))?),
    };
    let allowed_types = match &limits[TYPES] {
        Json::Null => None,
        types => Some(media_types(types).ok_or_else(|| wrong(TYPES, "a list of media types"))?),
    };
    Ok(TenantUploads { max_size, allowed_types })
}

fn media_types(types: &Json) -> Option<Vec<String>> {
    types.as_array()?.iter().map(|one| cogwheel_definition::parse_media_type(one.as_str()?)).collect()
}
