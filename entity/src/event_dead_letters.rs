//! Events a consumer gave up on, for replay or dismissal.

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::declared::{Declared, Words};

/// Words of `event_dead_letters.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum DeadLetterStatus {
    Open,
    Replayed,
    Discarded,
}

/// Events a consumer gave up on, for replay or dismissal.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event_dead_letters")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub event_consumer_id: Uuid,
    /// Retention waits for the decision.
    pub event_id: Uuid,
    #[sea_orm(default_value = "open")]
    pub status: DeadLetterStatus,
    pub attempts: i32,
    #[sea_orm(column_type = "JsonBinary")]
    pub error: Json,
    pub resolved_at: Option<DateTimeUtc>,
    pub resolved_by_user_id: Option<Uuid>,
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
    #[sea_orm(
        belongs_to = "super::event_consumers::Entity",
        from = "Column::EventConsumerId",
        to = "super::event_consumers::Column::Id",
        on_delete = "Cascade"
    )]
    EventConsumer,
    #[sea_orm(
        belongs_to = "super::event_store::Entity",
        from = "Column::EventId",
        to = "super::event_store::Column::Id",
        on_delete = "Restrict"
    )]
    Event,
    #[sea_orm(
        belongs_to = "super::users::Entity",
        from = "Column::ResolvedByUserId",
        to = "super::users::Column::Id",
        on_delete = "SetNull"
    )]
    ResolvedByUser,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Std;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<DeadLetterStatus>(Column::Status)
            .indexes([
                unique("uq_event_dead_letters_event", "event_consumer_id, event_id"),
                index("idx_event_dead_letters_tenant_id", "tenant_id, status, created_at").serves("open ones"),
            ])
            .key_indexes(["event_id", "resolved_by_user_id"])
    }
}
