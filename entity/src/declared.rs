//! The declared schema, read off the entities' metadata and what they declare beside it.

use cogwheel_schema::{ColumnDef, ColumnType, ForeignKeyDef, OnDelete, Shape, TableDef};
use sea_orm::entity::prelude::{
    ColumnTrait, EntityTrait, ForeignKeyAction, IdenStatic as _, PrimaryKeyToColumn as _, RelationDef,
    RelationTrait as _, StringLen, Value,
};
use sea_orm::sea_query::{ColumnType as Sql, Expr, TableRef};
use sea_orm::{ActiveEnum, Identity, Iterable as _};

/// What an entity says about its table beyond columns and keys.
pub trait Declared: EntityTrait {
    /// The columns the table has without repeating them.
    const SHAPE: Shape;

    /// Completes a table that has its columns and keys.
    fn declare(table: TableDef) -> TableDef;
}

/// Vocabularies of columns; to SeaORM they are plain text.
pub trait Words: Sized {
    /// The column holds a word of `A`.
    #[must_use]
    fn words<A: ActiveEnum<Value = String>>(self, column: impl ColumnTrait) -> Self;

    /// The column is the generated position of the word in `source`, which is declared before.
    #[must_use]
    fn rank(self, column: impl ColumnTrait, source: impl ColumnTrait) -> Self;
}

impl Words for TableDef {
    fn words<A: ActiveEnum<Value = String>>(self, column: impl ColumnTrait) -> Self {
        retyped(self, column.as_str(), &ColumnType::Enum(A::values()))
    }

    fn rank(self, column: impl ColumnTrait, source: impl ColumnTrait) -> Self {
        let source = source.as_str().to_owned();
        let words = self.columns.iter().find(|known| known.name == source).map(|known| &known.column_type);
        let Some(ColumnType::Enum(words)) = words else { unreachable!("{source} is declared with its words first") };
        let words = words.clone();
        retyped(self, column.as_str(), &ColumnType::Rank { source, words })
    }
}

fn retyped(mut table: TableDef, name: &str, column_type: &ColumnType) -> TableDef {
    for column in table.columns.iter_mut().filter(|column| column.name == name) {
        column.column_type = column_type.clone();
    }
    table
}

/// Every table, in an order in which each key's target comes before its user.
pub fn declared_schema() -> Vec<TableDef> {
    vec![
        table_def::<crate::migration_log::Entity>(),
        table_def::<crate::tenants::Entity>(),
        table_def::<crate::users::Entity>(),
        table_def::<crate::user_identities::Entity>(),
        table_def::<crate::user_sessions::Entity>(),
        table_def::<crate::roles::Entity>(),
        table_def::<crate::memberships::Entity>(),
        table_def::<crate::encryption_keys::Entity>(),
        table_def::<crate::api_keys::Entity>(),
        table_def::<crate::audit_log::Entity>(),
        table_def::<crate::api_usage_logs::Entity>(),
        table_def::<crate::usage_records::Entity>(),
        table_def::<crate::rate_limit_windows::Entity>(),
        table_def::<crate::nodes::Entity>(),
        table_def::<crate::leases::Entity>(),
        table_def::<crate::organizations::Entity>(),
        table_def::<crate::branches::Entity>(),
        table_def::<crate::departments::Entity>(),
        table_def::<crate::projects::Entity>(),
        table_def::<crate::teams::Entity>(),
        table_def::<crate::team_members::Entity>(),
        table_def::<crate::user_assignments::Entity>(),
        table_def::<crate::workflow_templates::Entity>(),
        table_def::<crate::workflows::Entity>(),
        table_def::<crate::workflow_versions::Entity>(),
        table_def::<crate::variables::Entity>(),
        table_def::<crate::secrets::Entity>(),
        table_def::<crate::schedules::Entity>(),
        table_def::<crate::file_watches::Entity>(),
        table_def::<crate::workflow_executions::Entity>(),
        table_def::<crate::schedule_fires::Entity>(),
        table_def::<crate::step_executions::Entity>(),
        table_def::<crate::execution_logs::Entity>(),
        table_def::<crate::signals::Entity>(),
        table_def::<crate::artifacts::Entity>(),
        table_def::<crate::files::Entity>(),
        table_def::<crate::execution_files::Entity>(),
        table_def::<crate::resource_grants::Entity>(),
        table_def::<crate::event_store::Entity>(),
        table_def::<crate::event_consumers::Entity>(),
        table_def::<crate::event_dead_letters::Entity>(),
        table_def::<crate::saga_instances::Entity>(),
        table_def::<crate::saga_timeouts::Entity>(),
        table_def::<crate::saga_compensations::Entity>(),
        table_def::<crate::saga_snapshots::Entity>(),
        table_def::<crate::engine_rubrics::Entity>(),
        table_def::<crate::agents::Entity>(),
        table_def::<crate::job_flows::Entity>(),
        table_def::<crate::agent_executions::Entity>(),
        table_def::<crate::hitl_approvals::Entity>(),
        table_def::<crate::hitl_approval_votes::Entity>(),
        table_def::<crate::webhooks::Entity>(),
        table_def::<crate::webhook_deliveries::Entity>(),
        table_def::<crate::inbound_endpoints::Entity>(),
        table_def::<crate::notifications::Entity>(),
    ]
}

/// The table of one entity.
pub fn table_def<E: Declared>() -> TableDef {
    let entity = E::default();
    let mut table = TableDef::empty(entity.table_name(), E::SHAPE);
    table.columns = E::Column::iter().map(column_def).collect();
    table.primary_key = E::PrimaryKey::iter().map(|key| key.into_column().as_str().to_owned()).collect();
    table.foreign_keys = E::Relation::iter().map(|relation| foreign_key(&relation.def())).collect();
    E::declare(table)
}

fn column_def(column: impl ColumnTrait) -> ColumnDef {
    let def = column.def();
    let name = column.as_str().to_owned();
    let column_type = logical_type(def.get_column_type()).unwrap_or_else(|| unreachable!("{name} has no logical type"));
    let default = def.get_column_default().and_then(default_word);
    ColumnDef { name, column_type, nullable: def.is_null(), default }
}

fn logical_type(sql: &Sql) -> Option<ColumnType> {
    Some(match sql {
        Sql::Uuid => ColumnType::Uuid,
        Sql::TimestampWithTimeZone => ColumnType::Instant,
        Sql::Date => ColumnType::Date,
        Sql::String(StringLen::N(length)) => ColumnType::Varchar(u16::try_from(*length).ok()?),
        Sql::Char(Some(length)) => ColumnType::Char(u16::try_from(*length).ok()?),
        Sql::Text => ColumnType::Text,
        Sql::SmallInteger => ColumnType::SmallInt,
        Sql::Integer => ColumnType::Int,
        Sql::BigInteger => ColumnType::BigInt,
        Sql::Boolean => ColumnType::Bool,
        Sql::JsonBinary => ColumnType::Json,
        Sql::VarBinary(_) => ColumnType::Bytes,
        Sql::Decimal(Some((19, 4))) => ColumnType::Money,
        Sql::Decimal(Some((precision, scale))) => {
            ColumnType::Decimal(u8::try_from(*precision).ok()?, u8::try_from(*scale).ok()?)
        }
        _ => return None,
    })
}

fn default_word(default: &Expr) -> Option<String> {
    match default {
        Expr::Value(Value::String(text)) => text.as_ref().map(ToString::to_string),
        Expr::Value(Value::Bool(value)) => value.map(|value| value.to_string()),
        Expr::Value(Value::Int(value)) => value.map(|value| value.to_string()),
        _ => unreachable!("entities write defaults as strings, booleans and integers"),
    }
}

fn foreign_key(relation: &RelationDef) -> ForeignKeyDef {
    let Identity::Unary(column) = &relation.from_col else { unreachable!("keys have one column") };
    let TableRef::Table(target, _) = &relation.to_tbl else { unreachable!("keys point at tables") };
    let on_delete = match relation.on_delete {
        Some(ForeignKeyAction::Cascade) => OnDelete::Cascade,
        Some(ForeignKeyAction::SetNull) => OnDelete::SetNull,
        _ => OnDelete::Restrict,
    };
    ForeignKeyDef { column: column.to_string(), target: target.1.to_string(), on_delete }
}

#[cfg(test)]
mod tests;
