//! Who was asked and what each answered: one row per entitled person, written when the question
//! opens (teams are expanded then; a person who has left is refused at decision time).

use cogwheel_schema::{
    Shape, TableDef,
    build::{index, unique},
};
use sea_orm::entity::prelude::*;

use crate::declared::{Declared, Words};

/// Words of `hitl_approval_votes.verdict`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum Verdict {
    Approved,
    Rejected,
}

/// Who was asked and what each answered: one row per entitled person, written when the question
/// opens (teams are expanded then; a person who has left is refused at decision time).
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "hitl_approval_votes")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub approval_id: Uuid,
    /// Decision.
    pub user_id: Uuid,
    pub via_team_id: Option<Uuid>,
    pub verdict: Option<Verdict>,
    #[sea_orm(column_type = "Text")]
    pub comment: Option<String>,
    pub voted_at: Option<DateTimeUtc>,
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
        belongs_to = "super::hitl_approvals::Entity",
        from = "Column::ApprovalId",
        to = "super::hitl_approvals::Column::Id",
        on_delete = "Cascade"
    )]
    Approval,
    #[sea_orm(
        belongs_to = "super::users::Entity",
        from = "Column::UserId",
        to = "super::users::Column::Id",
        on_delete = "Restrict"
    )]
    User,
    #[sea_orm(
        belongs_to = "super::teams::Entity",
        from = "Column::ViaTeamId",
        to = "super::teams::Column::Id",
        on_delete = "SetNull"
    )]
    ViaTeam,
}

impl ActiveModelBehavior for ActiveModel {}

impl Declared for Entity {
    const SHAPE: Shape = Shape::Std;

    fn declare(table: TableDef) -> TableDef {
        table
            .words::<Verdict>(Column::Verdict)
            .indexes([
                unique("uq_hitl_approval_votes_approval_id_user_id", "approval_id, user_id")
                    .serves("one vote per person"),
                index("idx_hitl_approval_votes_open", "user_id, approval_id")
                    .partial("verdict is null")
                    .serves("what waits for me, where several are asked"),
                index("idx_hitl_approval_votes_tenant_id", "tenant_id, created_at"),
            ])
            .key_indexes(["user_id", "via_team_id"])
            .check("ck_hitl_approval_votes_voted", "(verdict is null) = (voted_at is null)")
    }
}
