//! The API's reads: each sees one tenant, and on PostgreSQL the database itself sees to that.

mod artifacts;
mod endpoints;
mod events;
mod executions;
mod files;
pub(crate) mod literal;
mod models;
mod page;
mod sagas;
mod steps;
mod triggers;
mod webhooks;
mod workflows;

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cogwheel_engine::ports::{
    DeliveryFilter, DeliveryView, EventFilter, Reads, RecordedEvent, StoreError, WebhookReads, WebhookView,
};
use cogwheel_engine::views::{
    ArtifactView, CompensationView, DeadLetterView, EndpointView, ExecutionFilter, ExecutionView, FileFilter, FileView,
    FireFilter, FireView, LogView, Page, PageRequest, SagaFilter, SagaTimeoutView, SagaView, ScheduleView, StepView,
    TriggerFilter, VersionView, WatchView, WorkflowFilter, WorkflowView,
};
use cogwheel_engine::{
    DeliveryId, EndpointId, FileId, ScheduleId, TenantId, VersionId, WatchId, WebhookId, WorkflowId,
};
use cogwheel_machine::ExecutionId;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseExecutor, DatabaseTransaction, DbBackend, Statement, TransactionTrait,
    Value,
};
use uuid::Uuid;

use crate::fault;
use crate::store::{Inner, SqlStore};

/// The lists themselves, for whoever explains their plans.
pub(crate) mod plans {
    pub(crate) use super::executions::{
        select as executions, select_of_status as executions_of_status, select_of_workflow as executions_of_workflow,
    };
    pub(crate) use super::files::{select as files, select_of_status as files_of_status};
    pub(crate) use super::models::together;
    pub(crate) use super::page::by_time as page_by_time;
    pub(crate) use super::triggers::{select_fires as fires, select_fires_of as fires_of};
    pub(crate) use super::workflows::filtered as workflows;
}

/// Where a read's statements go.
enum ReadTx<'s> {
    /// SQLite has no policies: each query names the tenant.
    Pool(&'s DatabaseConnection),
    /// A transaction in which row-level security lets one tenant's rows through.
    Tenant(DatabaseTransaction),
}

impl ReadTx<'_> {
    fn executor(&self) -> DatabaseExecutor<'_> {
        match self {
            Self::Pool(pool) => DatabaseExecutor::Connection(pool),
            Self::Tenant(tx) => DatabaseExecutor::Transaction(tx),
        }
    }

    /// Ends the read with what it found.
    async fn done<T>(self, found: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Self::Tenant(tx) = self {
            tx.commit().await.map_err(|error| fault::from_db(&error))?;
        }
        found
    }
}

impl SqlStore {
    async fn reading(&self, tenant: TenantId) -> Result<ReadTx<'_>, StoreError> {
        match self.inner() {
            Inner::Sqlite { readers, .. } => Ok(ReadTx::Pool(readers)),
            Inner::Postgres { app, .. } => {
                let failed = |error: sea_orm::DbErr| fault::from_db(&error);
                let tx = app.begin().await.map_err(failed)?;
                let scope = "select set_config('cogwheel.tenant_id', $1, true)";
                let tenant = Value::from(tenant.0.to_string());
                tx.query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, scope, [tenant]))
                    .await
                    .map_err(failed)?;
                Ok(ReadTx::Tenant(tx))
            }
        }
    }
}

/// Runs one query function in a read of `tenant`.
macro_rules! read {
    ($store:ident, $module:ident::$query:ident($tenant:ident $(, $argument:expr)*)) => {{
        let tx = $store.reading($tenant).await?;
        let found = $module::$query(&tx.executor(), $tenant $(, $argument)*).await;
        tx.done(found).await
    }};
}

#[async_trait]
impl Reads for SqlStore {
    async fn workflow_by_name(&self, tenant: TenantId, name: &str) -> Result<Option<WorkflowView>, StoreError> {
        read!(self, workflows::by_name(tenant, name))
    }

    async fn workflows_by_id(&self, tenant: TenantId, ids: &[WorkflowId]) -> Result<Vec<WorkflowView>, StoreError> {
        read!(self, workflows::by_id(tenant, ids))
    }

    async fn workflows(
        &self,
        tenant: TenantId,
        filter: &WorkflowFilter,
        page: PageRequest,
    ) -> Result<Page<WorkflowView>, StoreError> {
        read!(self, workflows::list(tenant, filter, page))
    }

    async fn count_workflows(&self, tenant: TenantId, filter: &WorkflowFilter) -> Result<u64, StoreError> {
        read!(self, workflows::count(tenant, filter))
    }

    async fn versions_by_id(&self, tenant: TenantId, ids: &[VersionId]) -> Result<Vec<VersionView>, StoreError> {
        read!(self, workflows::versions_by_id(tenant, ids))
    }

    async fn executions_by_id(&self, tenant: TenantId, ids: &[ExecutionId]) -> Result<Vec<ExecutionView>, StoreError> {
        read!(self, executions::by_id(tenant, ids))
    }

    async fn executions(
        &self,
        tenant: TenantId,
        filter: &ExecutionFilter,
        page: PageRequest,
    ) -> Result<Page<ExecutionView>, StoreError> {
        read!(self, executions::list(tenant, filter, page))
    }

    async fn count_executions(&self, tenant: TenantId, filter: &ExecutionFilter) -> Result<u64, StoreError> {
        read!(self, executions::count(tenant, filter))
    }

    async fn executions_of_workflows(
        &self,
        tenant: TenantId,
        workflows: &[WorkflowId],
        page: PageRequest,
    ) -> Result<HashMap<WorkflowId, Page<ExecutionView>>, StoreError> {
        read!(self, executions::of_workflows(tenant, workflows, page))
    }

    async fn count_executions_of_workflows(
        &self,
        tenant: TenantId,
        workflows: &[WorkflowId],
    ) -> Result<HashMap<WorkflowId, u64>, StoreError> {
        read!(self, executions::count_of_workflows(tenant, workflows))
    }

    async fn children_of_executions(
        &self,
        tenant: TenantId,
        executions: &[ExecutionId],
        page: PageRequest,
    ) -> Result<HashMap<ExecutionId, Page<ExecutionView>>, StoreError> {
        read!(self, executions::children(tenant, executions, page))
    }

    async fn count_children_of_executions(
        &self,
        tenant: TenantId,
        executions: &[ExecutionId],
    ) -> Result<HashMap<ExecutionId, u64>, StoreError> {
        read!(self, executions::count_children(tenant, executions))
    }

    async fn newest_changes(
        &self,
        tenant: TenantId,
        executions: &[ExecutionId],
    ) -> Result<HashMap<ExecutionId, DateTime<Utc>>, StoreError> {
        read!(self, executions::newest_changes(tenant, executions))
    }

    async fn steps(
        &self,
        tenant: TenantId,
        executions: &[ExecutionId],
        page: PageRequest<i32>,
    ) -> Result<HashMap<ExecutionId, Page<StepView>>, StoreError> {
        read!(self, steps::pages(tenant, executions, page))
    }

    async fn count_steps(
        &self,
        tenant: TenantId,
        executions: &[ExecutionId],
    ) -> Result<HashMap<ExecutionId, u64>, StoreError> {
        read!(self, steps::counts(tenant, executions))
    }

    async fn steps_by_id(&self, tenant: TenantId, ids: &[(ExecutionId, i32)]) -> Result<Vec<StepView>, StoreError> {
        read!(self, steps::by_id(tenant, ids))
    }

    async fn logs_of(
        &self,
        tenant: TenantId,
        logs: &[(ExecutionId, Option<i32>)],
        page: PageRequest<i64>,
    ) -> Result<HashMap<(ExecutionId, Option<i32>), Page<LogView>>, StoreError> {
        read!(self, steps::logs(tenant, logs, page))
    }

    async fn count_logs_of(
        &self,
        tenant: TenantId,
        logs: &[(ExecutionId, Option<i32>)],
    ) -> Result<HashMap<(ExecutionId, Option<i32>), u64>, StoreError> {
        read!(self, steps::count_logs(tenant, logs))
    }

    async fn artifacts_of_steps(
        &self,
        tenant: TenantId,
        steps: &[(ExecutionId, i32)],
    ) -> Result<HashMap<(ExecutionId, i32), Vec<ArtifactView>>, StoreError> {
        read!(self, artifacts::of_steps(tenant, steps))
    }

    async fn artifacts_by_id(&self, tenant: TenantId, ids: &[Uuid]) -> Result<Vec<ArtifactView>, StoreError> {
        read!(self, artifacts::by_id(tenant, ids))
    }

    async fn files_by_id(&self, tenant: TenantId, ids: &[FileId]) -> Result<Vec<FileView>, StoreError> {
        read!(self, files::by_id(tenant, ids))
    }

    async fn files(
        &self,
        tenant: TenantId,
        filter: &FileFilter,
        page: PageRequest,
    ) -> Result<Page<FileView>, StoreError> {
        read!(self, files::list(tenant, filter, page))
    }

    async fn count_files(&self, tenant: TenantId, filter: &FileFilter) -> Result<u64, StoreError> {
        read!(self, files::count(tenant, filter))
    }

    async fn files_of_executions(
        &self,
        tenant: TenantId,
        executions: &[ExecutionId],
    ) -> Result<HashMap<ExecutionId, Vec<FileView>>, StoreError> {
        read!(self, files::of_executions(tenant, executions))
    }

    async fn executions_of_files(
        &self,
        tenant: TenantId,
        files: &[FileId],
    ) -> Result<HashMap<FileId, Vec<ExecutionView>>, StoreError> {
        read!(self, executions::of_files(tenant, files))
    }

    async fn schedules_by_id(&self, tenant: TenantId, ids: &[ScheduleId]) -> Result<Vec<ScheduleView>, StoreError> {
        read!(self, triggers::schedules_by_id(tenant, ids))
    }

    async fn schedules(
        &self,
        tenant: TenantId,
        filter: &TriggerFilter,
        page: PageRequest,
    ) -> Result<Page<ScheduleView>, StoreError> {
        read!(self, triggers::schedules(tenant, filter, page))
    }

    async fn count_schedules(&self, tenant: TenantId, filter: &TriggerFilter) -> Result<u64, StoreError> {
        read!(self, triggers::count_schedules(tenant, filter))
    }

    async fn schedules_of_workflows(
        &self,
        tenant: TenantId,
        workflows: &[WorkflowId],
    ) -> Result<HashMap<WorkflowId, Vec<ScheduleView>>, StoreError> {
        read!(self, triggers::schedules_of(tenant, workflows))
    }

    async fn fires_by_id(&self, tenant: TenantId, ids: &[Uuid]) -> Result<Vec<FireView>, StoreError> {
        read!(self, triggers::fires_by_id(tenant, ids))
    }

    async fn sagas_of_executions(
        &self,
        tenant: TenantId,
        executions: &[ExecutionId],
    ) -> Result<Vec<SagaView>, StoreError> {
        read!(self, sagas::of_executions(tenant, executions))
    }

    async fn sagas(
        &self,
        tenant: TenantId,
        filter: &SagaFilter,
        page: PageRequest,
    ) -> Result<Page<SagaView>, StoreError> {
        read!(self, sagas::list(tenant, filter, page))
    }

    async fn count_sagas(&self, tenant: TenantId, filter: &SagaFilter) -> Result<u64, StoreError> {
        read!(self, sagas::count(tenant, filter))
    }

    async fn compensations(
        &self,
        tenant: TenantId,
        executions: &[ExecutionId],
    ) -> Result<HashMap<ExecutionId, Vec<CompensationView>>, StoreError> {
        read!(self, sagas::compensations(tenant, executions))
    }

    async fn saga_timeouts(
        &self,
        tenant: TenantId,
        executions: &[ExecutionId],
    ) -> Result<HashMap<ExecutionId, Vec<SagaTimeoutView>>, StoreError> {
        read!(self, sagas::timeouts(tenant, executions))
    }

    async fn fires(
        &self,
        tenant: TenantId,
        filter: &FireFilter,
        page: PageRequest,
    ) -> Result<Page<FireView>, StoreError> {
        read!(self, triggers::fires(tenant, filter, page))
    }

    async fn count_fires(&self, tenant: TenantId, filter: &FireFilter) -> Result<u64, StoreError> {
        read!(self, triggers::count_fires(tenant, filter))
    }

    async fn fires_of_schedules(
        &self,
        tenant: TenantId,
        schedules: &[ScheduleId],
        page: PageRequest,
    ) -> Result<HashMap<ScheduleId, Page<FireView>>, StoreError> {
        read!(self, triggers::fires_of(tenant, schedules, page))
    }

    async fn count_fires_of_schedules(
        &self,
        tenant: TenantId,
        schedules: &[ScheduleId],
    ) -> Result<HashMap<ScheduleId, u64>, StoreError> {
        read!(self, triggers::count_fires_of(tenant, schedules))
    }

    async fn watches_by_id(&self, tenant: TenantId, ids: &[WatchId]) -> Result<Vec<WatchView>, StoreError> {
        read!(self, triggers::watches_by_id(tenant, ids))
    }

    async fn watches(
        &self,
        tenant: TenantId,
        filter: &TriggerFilter,
        page: PageRequest,
    ) -> Result<Page<WatchView>, StoreError> {
        read!(self, triggers::watches(tenant, filter, page))
    }

    async fn count_watches(&self, tenant: TenantId, filter: &TriggerFilter) -> Result<u64, StoreError> {
        read!(self, triggers::count_watches(tenant, filter))
    }

    async fn watches_of_workflows(
        &self,
        tenant: TenantId,
        workflows: &[WorkflowId],
    ) -> Result<HashMap<WorkflowId, Vec<WatchView>>, StoreError> {
        read!(self, triggers::watches_of(tenant, workflows))
    }

    async fn endpoints_by_id(&self, tenant: TenantId, ids: &[EndpointId]) -> Result<Vec<EndpointView>, StoreError> {
        read!(self, endpoints::by_id(tenant, ids))
    }

    async fn endpoints(
        &self,
        tenant: TenantId,
        filter: &TriggerFilter,
        page: PageRequest,
    ) -> Result<Page<EndpointView>, StoreError> {
        read!(self, endpoints::list(tenant, filter, page))
    }

    async fn count_endpoints(&self, tenant: TenantId, filter: &TriggerFilter) -> Result<u64, StoreError> {
        read!(self, endpoints::count(tenant, filter))
    }

    async fn dead_letters(&self, tenant: TenantId, most: u32) -> Result<Vec<DeadLetterView>, StoreError> {
        read!(self, events::dead_letters(tenant, most))
    }

    async fn events(
        &self,
        tenant: TenantId,
        filter: &EventFilter,
        after_position: i64,
        most: u32,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        read!(self, events::list(tenant, filter, after_position, most))
    }

    async fn event(&self, tenant: TenantId, id: Uuid) -> Result<Option<RecordedEvent>, StoreError> {
        read!(self, events::one(tenant, id))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let connection = match self.inner() {
            Inner::Sqlite { readers, .. } => readers,
            Inner::Postgres { app, .. } => app,
        };
        let question = Statement::from_string(connection.get_database_backend(), "select 1");
        connection.query_one_raw(question).await.map(drop).map_err(|error| fault::from_db(&error))
    }
}

#[async_trait]
impl WebhookReads for SqlStore {
    async fn webhooks_by_id(&self, tenant: TenantId, ids: &[WebhookId]) -> Result<Vec<WebhookView>, StoreError> {
        read!(self, webhooks::by_id(tenant, ids))
    }

    async fn webhooks(&self, tenant: TenantId, page: PageRequest) -> Result<Page<WebhookView>, StoreError> {
        read!(self, webhooks::list(tenant, page))
    }

    async fn count_webhooks(&self, tenant: TenantId) -> Result<u64, StoreError> {
        read!(self, webhooks::count(tenant))
    }

    async fn deliveries_by_id(&self, tenant: TenantId, ids: &[DeliveryId]) -> Result<Vec<DeliveryView>, StoreError> {
        read!(self, webhooks::deliveries_by_id(tenant, ids))
    }

    async fn deliveries(
        &self,
        tenant: TenantId,
        filter: &DeliveryFilter,
        page: PageRequest,
    ) -> Result<Page<DeliveryView>, StoreError> {
        read!(self, webhooks::deliveries(tenant, filter, page))
    }

    async fn count_deliveries(&self, tenant: TenantId, filter: &DeliveryFilter) -> Result<u64, StoreError> {
        read!(self, webhooks::count_deliveries(tenant, filter))
    }
}
