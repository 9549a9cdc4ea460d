//! The engine's port on both databases.

mod event_log;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cogwheel_engine::clock::{Clock, SystemClock};
use cogwheel_engine::ports::{
    AfterPlan, AskInbox, CancelAnswer, CancelRequest, Claim, Claimed, CountedCalls, DataKey, DeletedSecret, EndedAfter,
    EventWaiters, FileDecision, FileLedger, HandledFile, Inbox, Lease, NewNode, NewSignal, NewUpload, Notice,
    PauseSchedule, PauseWorkflow, PendingAfter, PutSecret, Record, RecordedUpload, SaveWorkflow, ScheduleTick,
    SecretStore, SignalAnswer, Start, Started, Store, StoreError, StoredExecution, StoredSecret, Swept, TenantUploads,
    UndoAnswer, UndoRequest, UnwindAnswer, UnwindRequest, WatchHealth, WorkflowRecord, WrappedKey,
};
use cogwheel_engine::{FileId, NodeId, ScheduleId, TenantId, VersionId, WatchId, WorkflowId};
use cogwheel_machine::ExecutionId;
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement, Value};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::fault;
use crate::journal::{Journal, JournalStats};
use crate::notices::Notices;
use crate::tx::Reading;
use crate::writes::pool::{self, Misread};
use crate::writes::{
    cancel, endpoints, event_waits, files, installer, nodes, restore, sagas, schedules, secrets, signals, uploads,
    workflows as saving,
};

/// The store of one open database. Clones share it.
#[derive(Clone)]
pub struct SqlStore {
    inner: Arc<Inner>,
    misread: Misread,
    notices: Arc<Notices>,
}

/// The connections of an open database.
pub(crate) enum Inner {
    /// Readers and the journal's thread.
    Sqlite { readers: DatabaseConnection, journal: Journal },
    /// The connection of the journal's writer, pools of the engine's and the API's role, and the journal's tasks.
    Postgres { writer: DatabaseConnection, engine: DatabaseConnection, app: DatabaseConnection, journal: Journal },
}

impl fmt::Debug for SqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let backend = match *self.inner {
            Inner::Sqlite { .. } => "SQLite",
            Inner::Postgres { .. } => "PostgreSQL",
        };
        f.debug_tuple("SqlStore").field(&backend).finish()
    }
}

impl SqlStore {
    pub(crate) fn new(inner: Inner, notices: Notices) -> Self {
        Self { inner: Arc::new(inner), misread: Misread::default(), notices: Arc::new(notices) }
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    pub(crate) fn journal(&self) -> &Journal {
        match self.inner() {
            Inner::Sqlite { journal, .. } | Inner::Postgres { journal, .. } => journal,
        }
    }

    /// A connection that reads the rows of all tenants.
    pub(crate) fn engine(&self) -> &DatabaseConnection {
        match self.inner() {
            Inner::Sqlite { readers, .. } => readers,
            Inner::Postgres { engine, .. } => engine,
        }
    }

    /// How much the journal has committed, and in how many transactions.
    pub fn journal_stats(&self) -> JournalStats {
        self.journal().stats()
    }

    /// Writes what waits and closes all connections. Later calls are refused.
    pub async fn close(&self) {
        self.notices.close();
        self.journal().close().await;
        let pools: &[&DatabaseConnection] = match self.inner() {
            Inner::Sqlite { readers, .. } => &[readers],
            Inner::Postgres { writer, engine, app, .. } => &[writer, engine, app],
        };
        for pool in pools {
            if let Err(error) = pool.close_by_ref().await {
                tracing::warn!(%error, "a connection pool did not close in order");
            }
        }
    }
}

#[async_trait]
impl Store for SqlStore {
    async fn default_tenant(&self) -> Result<TenantId, StoreError> {
        let at = SystemClock.now();
        self.journal().write(Box::new(move |tx| Box::pin(installer::default_tenant(tx, at)))).await
    }

    async fn join(&self, node: NewNode) -> Result<(), StoreError> {
        self.journal().write(Box::new(move |tx| Box::pin(nodes::join(tx, node)))).await
    }

    async fn renew_lease(&self, node: NodeId, at: DateTime<Utc>, until: DateTime<Utc>) -> Result<Lease, StoreError> {
        self.journal().write(Box::new(move |tx| Box::pin(nodes::renew(tx, node, at, until)))).await
    }

    async fn sweep(&self, node: NodeId, at: DateTime<Utc>) -> Result<Swept, StoreError> {
        self.journal().write(Box::new(move |tx| Box::pin(nodes::sweep(tx, node, at)))).await
    }

    async fn claim(&self, claim: Claim) -> Result<Claimed, StoreError> {
        let misread = self.misread.clone();
        self.journal().write(Box::new(move |tx| Box::pin(async move { pool::claim(tx, claim, &misread).await }))).await
    }

    async fn leave(&self, node: NodeId, at: DateTime<Utc>) -> Result<(), StoreError> {
        self.journal().write(Box::new(move |tx| Box::pin(nodes::leave(tx, node, at)))).await
    }

    async fn notify(&self, notice: Notice) -> Result<(), StoreError> {
        self.notices.send(self.engine(), notice).await
    }

    async fn listen(&self) -> Result<mpsc::Receiver<Notice>, StoreError> {
        self.notices.listen().await
    }

    async fn send_signal(&self, signal: NewSignal) -> Result<SignalAnswer, StoreError> {
        let signal = Arc::new(signal);
        let sent = Arc::clone(&signal);
        let answer =
            self.journal().write(Box::new(move |tx| Box::pin(async move { signals::send(tx, &sent).await }))).await?;
        if !matches!((&answer, self.inner()), (SignalAnswer::Kept(_), Inner::Postgres { .. })) {
            return Ok(answer);
        }
        // A wait that another node was recording just now did not see the signal and was not seen.
        self.journal()
            .write(Box::new(move |tx| Box::pin(async move { signals::wake(tx, &signal).await })))
            .await
            .map(SignalAnswer::Kept)
    }

    async fn inbox(&self, ask: AskInbox) -> Result<Inbox, StoreError> {
        if let Some(inbox) = signals::look(&mut Reading(self.engine()), &ask).await? {
            return Ok(inbox);
        }
        self.journal().write(Box::new(move |tx| Box::pin(async move { signals::open(tx, &ask).await }))).await
    }

    async fn wake_event_waiters(&self, of: EventWaiters, at: DateTime<Utc>) -> Result<Vec<ExecutionId>, StoreError> {
        let answered = event_waits::answered(&mut Reading(self.engine()), &of).await?;
        if answered.is_empty() {
            return Ok(Vec::new());
        }
        self.journal().write(Box::new(move |tx| Box::pin(signals::wake_live(tx, answered, at)))).await
    }

    async fn execution(&self, tenant: TenantId, id: ExecutionId) -> Result<Option<StoredExecution>, StoreError> {
        restore::one(&mut Reading(self.engine()), tenant, id).await
    }

    async fn pause_workflow(&self, pause: PauseWorkflow) -> Result<bool, StoreError> {
        self.journal().write(Box::new(move |tx| Box::pin(saving::pause(tx, pause)))).await
    }

    async fn wake(&self, execution: ExecutionId, at: DateTime<Utc>) -> Result<(), StoreError> {
        self.journal().write(Box::new(move |tx| Box::pin(pool::wake(tx, execution, at)))).await
    }

    async fn workflows(&self, tenant: TenantId) -> Result<Vec<WorkflowRecord>, StoreError> {
        match self.inner() {
            // Its driver hands over a hundred thousand rows in a fraction of the readers' time and memory.
            Inner::Sqlite { journal, .. } => {
                journal.write(Box::new(move |tx| Box::pin(saving::all(tx.asking(), tenant)))).await
            }
            Inner::Postgres { engine, .. } => saving::all(&mut Reading(engine), tenant).await,
        }
    }

    async fn workflow_sources(&self, versions: &[VersionId]) -> Result<HashMap<VersionId, String>, StoreError> {
        saving::sources(&mut Reading(self.engine()), versions).await
    }

    async fn save_workflow(&self, save: SaveWorkflow) -> Result<WorkflowRecord, StoreError> {
        self.journal().write(Box::new(move |tx| Box::pin(saving::save(tx, save)))).await
    }

    async fn remove_workflow(&self, workflow: WorkflowId, at: DateTime<Utc>) -> Result<(), StoreError> {
        self.journal().write(Box::new(move |tx| Box::pin(saving::remove(tx, workflow, at)))).await
    }

    async fn start(&self, start: Start) -> Result<Started, StoreError> {
        self.journal().start(start).await
    }

    async fn request_cancel(&self, request: CancelRequest) -> Result<CancelAnswer, StoreError> {
        self.journal().write(Box::new(move |tx| Box::pin(cancel::request(tx, request)))).await
    }

    async fn request_unwind(&self, request: UnwindRequest) -> Result<UnwindAnswer, StoreError> {
        self.journal()
            .write(Box::new(move |tx| Box::pin(async move { sagas::request_unwind(tx, &request).await })))
            .await
    }

    async fn decide_undo(&self, request: UndoRequest) -> Result<UndoAnswer, StoreError> {
        self.journal().write(Box::new(move |tx| Box::pin(async move { sagas::decide_undo(tx, &request).await }))).await
    }

    async fn record(&self, record: Record) -> Result<(), StoreError> {
        self.journal().record(record).await
    }

    async fn tick(&self, tick: ScheduleTick) -> Result<(), StoreError> {
        self.journal().tick(tick).await
    }

    async fn pause_schedule(&self, pause: PauseSchedule) -> Result<bool, StoreError> {
        self.journal().write(Box::new(move |tx| Box::pin(schedules::pause(tx, pause)))).await
    }

    async fn last_due_at(&self, schedule: ScheduleId) -> Result<Option<DateTime<Utc>>, StoreError> {
        schedules::last_due_at(&mut Reading(self.engine()), schedule).await
    }

    async fn schedule_is_busy(&self, schedule: ScheduleId) -> Result<bool, StoreError> {
        let rows = ask(self.engine(), &format!("{LIVE_OF_SCHEDULE} limit 1"), schedule.0).await?;
        Ok(!rows.is_empty())
    }

    async fn count_calls(&self, calls: &[CountedCalls]) -> Result<(), StoreError> {
        let calls = calls.to_vec();
        self.journal().write(Box::new(move |tx| Box::pin(async move { endpoints::count(tx, &calls).await }))).await
    }
}

#[async_trait]
impl FileLedger for SqlStore {
    async fn handled_files(&self, watch: WatchId) -> Result<Vec<HandledFile>, StoreError> {
        files::handled(&mut Reading(self.engine()), watch).await
    }

    async fn known_versions(&self, watch: WatchId, fingerprints: &[String]) -> Result<HashSet<String>, StoreError> {
        files::known(&mut Reading(self.engine()), watch, fingerprints).await
    }

    async fn record_decisions(&self, decisions: Vec<FileDecision>) -> Result<(), StoreError> {
        self.journal().write(Box::new(move |tx| Box::pin(async move { files::decide(tx, &decisions).await }))).await
    }

    async fn set_watch_health(&self, watch: WatchId, health: WatchHealth) -> Result<(), StoreError> {
        let at = SystemClock.now();
        self.journal().write(Box::new(move |tx| Box::pin(files::set_health(tx, watch, health, at)))).await
    }

    async fn pending_afters(&self, before: DateTime<Utc>, now: DateTime<Utc>) -> Result<Vec<PendingAfter>, StoreError> {
        files::pending(&mut Reading(self.engine()), before, now).await
    }

    async fn plan_afters(&self, plans: Vec<AfterPlan>) -> Result<HashSet<FileId>, StoreError> {
        self.journal().write(Box::new(move |tx| Box::pin(async move { files::plan(tx, &plans).await }))).await
    }

    async fn end_afters(&self, ended: Vec<EndedAfter>) -> Result<(), StoreError> {
        self.journal().write(Box::new(move |tx| Box::pin(async move { files::end(tx, &ended).await }))).await
    }

    async fn record_upload(&self, upload: NewUpload) -> Result<RecordedUpload, StoreError> {
        self.journal().upload(upload).await
    }

    async fn tenant_uploads(&self, tenant: TenantId) -> Result<TenantUploads, StoreError> {
        uploads::of_tenant(&mut Reading(self.engine()), tenant).await
    }
}

#[async_trait]
impl SecretStore for SqlStore {
    async fn data_key(&self, tenant: TenantId) -> Result<Option<DataKey>, StoreError> {
        secrets::data_key(&mut Reading(self.engine()), tenant).await
    }

    async fn add_data_key(&self, tenant: TenantId, key: WrappedKey, at: DateTime<Utc>) -> Result<DataKey, StoreError> {
        self.journal().write(Box::new(move |tx| Box::pin(secrets::add_data_key(tx, tenant, key, at)))).await
    }

    async fn secret(&self, tenant: TenantId, name: &str) -> Result<Option<StoredSecret>, StoreError> {
        secrets::one(&mut Reading(self.engine()), tenant, name).await
    }

    async fn secrets(&self, tenant: TenantId) -> Result<Vec<StoredSecret>, StoreError> {
        secrets::all(&mut Reading(self.engine()), tenant).await
    }

    async fn put_secret(&self, put: PutSecret) -> Result<(), StoreError> {
        self.journal().write(Box::new(move |tx| Box::pin(secrets::put(tx, put)))).await
    }

    async fn delete_secret(&self, tenant: TenantId, name: &str) -> Result<DeletedSecret, StoreError> {
        let name = name.to_owned();
        self.journal()
            .write(Box::new(move |tx| Box::pin(async move { secrets::delete(tx, tenant, &name).await })))
            .await
    }
}

/// The live executions that a schedule started, by the index that holds nothing else: history does not make it slower.
pub(crate) const LIVE_OF_SCHEDULE: &str = "select e.id from schedules s
    join workflow_executions e on e.workflow_id = s.workflow_id and e.trigger_key = s.trigger_key
    where s.id = $1 and e.trigger_type = 'schedule' and e.completed_at is null";

async fn ask(connection: &DatabaseConnection, sql: &str, id: Uuid) -> Result<Vec<sea_orm::QueryResult>, StoreError> {
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), sql, [Value::from(id)]);
    connection.query_all_raw(statement).await.map_err(|error| fault::from_db(&error))
}
