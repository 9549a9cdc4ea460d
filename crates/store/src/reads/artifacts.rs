//! Files that steps left, which are reached through their step.

use std::collections::{HashMap, HashSet};

use cogwheel_engine::TenantId;
use cogwheel_engine::ports::StoreError;
use cogwheel_engine::views::ArtifactView;
use cogwheel_entity::artifacts::{ArtifactKind, Column, Entity, Model};
use cogwheel_machine::ExecutionId;
use sea_orm::{ColumnTrait, DatabaseExecutor, EntityTrait, QueryFilter, QueryOrder, Select, prelude::Uuid};

use super::{literal, models};

/// The files of each step, by name.
pub(super) async fn of_steps(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    steps: &[(ExecutionId, i32)],
) -> Result<HashMap<(ExecutionId, i32), Vec<ArtifactView>>, StoreError> {
    let executions: HashSet<Uuid> = steps.iter().map(|(execution, _)| execution.0).collect();
    let found = files_of(tenant)
        .filter(Column::ExecutionId.is_in(executions))
        .filter(Column::StepOrdinal.is_in(steps.iter().map(|(_, ordinal)| *ordinal)))
        .order_by_asc(Column::Name);
    let asked: HashSet<&(ExecutionId, i32)> = steps.iter().collect();
    let mut of_steps: HashMap<_, Vec<_>> = HashMap::new();
    for row in models::all(connection, found).await? {
        let view = view(row);
        let step = (view.execution, view.step_ordinal.unwrap_or(-1));
        if asked.contains(&step) {
            of_steps.entry(step).or_default().push(view);
        }
    }
    Ok(of_steps)
}

pub(super) async fn by_id(
    connection: &DatabaseExecutor<'_>,
    tenant: TenantId,
    ids: &[Uuid],
) -> Result<Vec<ArtifactView>, StoreError> {
    let found = files_of(tenant).filter(Column::Id.is_in(ids.iter().copied()));
    Ok(models::all(connection, found).await?.into_iter().map(view).collect())
}

/// Outputs that were too large for their rows are shown where they were put out.
fn files_of(tenant: TenantId) -> Select<Entity> {
    Entity::find()
        .filter(Column::TenantId.eq(tenant.0))
        .filter(literal::one_of(Column::ArtifactKind, vec![ArtifactKind::Artifact]))
}

fn view(row: Model) -> ArtifactView {
    ArtifactView {
        id: row.id,
        execution: ExecutionId(row.execution_id),
        step_ordinal: row.step_ordinal,
        name: row.name,
        storage_key: row.storage_key,
        mime_type: row.mime_type,
        size: row.file_size,
        sha256: row.file_hash,
        created_at: row.created_at,
    }
}
