//! Append-only facts: per stream with optimistic concurrency, and in one global order; also the
//! outbox.

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::declared::Declared;

/// Append-only facts: per stream with optimistic concurrency, and in one global order; also the
/// outbox.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event_store")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    /// `<aggregate_type>-<aggregate_id>`.
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub stream_id: String,
    /// 1, 2, 3 … inside the stream.
    pub version: i64,
    /// Grows over the whole store.
    pub position: i64,
    #[sea_orm(column_type = "String(StringLen::N(100))")]
    pub event_type: String,
    #[sea_orm(default_value = 1)]
    pub schema_version: i16,
    #[sea_orm(column_type = "String(StringLen::N(50))")]
    pub aggregate_type: String,
    pub aggregate_id: Option<Uuid>,
    #[sea_orm(column_type = "JsonBinary")]
    pub event_data: Json,
    /// Actor, client, node.
    #[sea_orm(column_type = "JsonBinary", default_value = "{}")]
    pub event_metadata: Json,
    pub correlation_id: Option<Uuid>,
    pub causation_id: Option<Uuid>,
    /// SHA-256 of the event and of the hash before it in its stream, in hex.
    #[sea_orm(column_type = "Char(Some(64))", default_value = "")]
    pub hash: String,
    #[sea_orm(default_value = "now")]
    pub created_at: DateTimeUtc,
    #[sea_orm(default_value = "now")]
    pub updated_at: DateTimeUtc,
}

/// The rows this one points at.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::tenants::Entity",
        from = "Column::TenantId",
        to = "super::tenants::Column::Id",
        on_delete = "Restrict"
    )]
    Tenant,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Std;

    fn declare(table: TableDef) -> TableDef {
        table
            .indexes([
                unique("uq_event_store_stream_id_version", "stream_id, version")
                    .serves("append with expected version; read a stream"),
                unique("uq_event_store_position", "position").serves("global read"),
                index("idx_event_store_tenant_id", "tenant_id, position").serves("live feed of a tenant"),
                index("idx_event_store_event_type", "event_type, position").serves("read one kind"),
                index("idx_event_store_correlation_id", "correlation_id, position")
                    .partial("correlation_id is not null")
                    .serves("trace"),
            ])
            .check("ck_event_store_version", "version >= 1")
            .immutable()
            .identity("position")
            .transaction_id("recorded_xid", "idx_event_store_recorded_xid", "position")
            .keep("event-retention")
    }
}
