//! A migrated database with an open store, and short words for what tests put into it.

use std::fmt::Write;

use chrono::{DateTime, TimeDelta, Utc};
use cogwheel_definition::{After, FileEvent, FileTrigger, Overflow, Overlap, Priority};
use cogwheel_engine::ports::{
    Claim, Claimed, ConcurrencySlot, Due, DueOutcome, FileVersion, Head, NewNode, NewRow, Record, SaveWorkflow,
    SavedTriggers, ScheduleTick, Start, StartFrom, Started, StepRow, Store, StoredLog, TriggerType, WatchFolders,
    WorkflowRecord,
};
use cogwheel_engine::ports::{LogLevel, LogStream, StepEffect};
use cogwheel_engine::{FileId, NodeId, ScheduleId, TenantId, WatchId};
use cogwheel_machine::{ExecutionId, ExecutionStatus, Layer, SignalName, StepState, StepStatus};
use cogwheel_store::{ConnectOptions, Database, SqlStore};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, QueryResult, Statement, TransactionTrait as _,
};
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::databases::{Copy, Template};

/// A definition without triggers.
pub(super) const PLAIN: &str = "name: plain\nsteps:\n  - id: one\n    uses: log\n    with: { message: hello }\n";

/// A definition with a schedule and a watch.
pub(super) const TRIGGERED: &str = "name: triggered\ntimeout: 90s\nlabels: { team: data }\non:\n  schedule:\n    - cron: \"*/5 * * * *\"\n      id: often\n  file:\n    - path: inbox\n      id: inbox\n      match: \"*.csv\"\n      settle: 250ms\nsteps:\n  - id: one\n    run: \"true\"\n    retry: 4\n";

pub(super) struct World {
    template: Template,
    copy: Copy,
    pub(super) store: SqlStore,
    pub(super) tenant: TenantId,
    pub(super) node: NodeId,
}

/// What holds the reading of events back until it ends.
pub(super) struct OldTransaction {
    db: DatabaseConnection,
    tx: DatabaseTransaction,
}

impl OldTransaction {
    pub(super) async fn end(self) {
        self.tx.rollback().await.unwrap();
        self.db.close().await.unwrap();
    }
}

/// A fixed instant plus seconds.
pub(super) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

pub(super) fn url_of(copy: &Copy) -> String {
    copy.url().trim_end_matches("?mode=rwc").to_owned()
}

impl World {
    pub(super) async fn sqlite() -> Self {
        Self::of(Template::sqlite().await).await
    }

    pub(super) async fn postgres() -> Self {
        Self::of(Template::postgres().await).await
    }

    async fn of(template: Template) -> Self {
        let copy = template.copy().await;
        let database = Database::connect(&url_of(&copy), ConnectOptions::default()).await.unwrap();
        let store = database.open().await.unwrap();
        let tenant = store.default_tenant().await.unwrap();
        let node = NodeId(Uuid::now_v7());
        let world = Self { template, copy, store, tenant, node };
        world.join(node).await;
        world
    }

    pub(super) fn url(&self) -> String {
        url_of(&self.copy)
    }

    pub(super) async fn join(&self, id: NodeId) {
        let node = NewNode {
            id,
            name: "here".to_owned(),
            address: Some("127.0.0.1:8080".to_owned()),
            engine_version: "0.0.0".to_owned(),
            schema_fingerprint: "f".repeat(64),
            capacity: 8,
            lease: None,
            replaces: None,
            started_at: at(0),
        };
        self.store.join(node).await.unwrap();
    }

    /// A node that takes over what all others left, as a server does when it starts.
    pub(super) async fn next_node(&self) -> NodeId {
        let next = NodeId(Uuid::now_v7());
        self.join(next).await;
        self.store.sweep(next, at(40)).await.unwrap();
        next
    }

    /// What the node gets out of the pool.
    pub(super) async fn claim(&self, node: NodeId, limit: usize, when: DateTime<Utc>) -> Claimed {
        self.store.claim(Claim { node, limit, runs: None, at: when }).await.unwrap()
    }

    /// Another store on the same database, as another server has it.
    pub(super) async fn second_store(&self) -> SqlStore {
        Database::connect(&self.url(), ConnectOptions::default()).await.unwrap().open().await.unwrap()
    }

    /// On PostgreSQL, a transaction that is older than any that comes now, as somebody else may have one open.
    pub(super) async fn old_transaction(&self) -> Option<OldTransaction> {
        if self.is_sqlite() {
            return None;
        }
        let db = self.copy.open().await;
        let tx = db.begin().await.unwrap();
        tx.execute_unprepared("select pg_current_xact_id()").await.unwrap();
        Some(OldTransaction { db, tx })
    }

    /// Closes the store and removes the database.
    pub(super) async fn end(self) {
        self.store.close().await;
    }

    /// A connection with all rights.
    pub(super) async fn open(&self) -> DatabaseConnection {
        self.copy.open().await
    }

    /// Changes rows past the triggers, as somebody does who has the database.
    pub(super) async fn tamper(&self, sql: &str) {
        if !self.is_sqlite() {
            return self.copy.execute(sql).await.unwrap();
        }
        let db = self.copy.open().await;
        let triggers = "select name, sql from sqlite_schema where type = 'trigger' and tbl_name = 'event_store'";
        let triggers = db.query_all_raw(Statement::from_string(db.get_database_backend(), triggers)).await.unwrap();
        for trigger in &triggers {
            let name: String = trigger.try_get("", "name").unwrap();
            db.execute_unprepared(&format!("drop trigger {name}")).await.unwrap();
        }
        db.execute_unprepared(sql).await.unwrap();
        for trigger in &triggers {
            let sql: String = trigger.try_get("", "sql").unwrap();
            db.execute_unprepared(&sql).await.unwrap();
        }
        db.close().await.unwrap();
    }

    /// Runs SQL as somebody who is not the store.
    pub(super) async fn rows(&self, sql: &str) -> Vec<QueryResult> {
        let db = self.copy.open().await;
        let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap();
        db.close().await.unwrap();
        rows
    }

    pub(super) async fn number(&self, sql: &str) -> i64 {
        self.rows(sql).await[0].try_get_by_index(0).unwrap()
    }

    pub(super) async fn execute(&self, sql: &str) {
        let db = self.copy.open().await;
        db.execute_unprepared(sql).await.unwrap();
        db.close().await.unwrap();
    }

    /// Runs SQL whose result no constraint of the schema would let through.
    pub(super) async fn plant(&self, sql: &str) {
        if !self.is_sqlite() {
            let checks = "do $$ declare c record; begin
                for c in select conrelid::regclass as rel, conname from pg_constraint
                    where contype = 'c' and connamespace = current_schema()::regnamespace and coninhcount = 0
                loop execute format('alter table %s drop constraint %I', c.rel, c.conname); end loop;
            end $$";
            self.execute(checks).await;
        }
        self.copy.execute(sql).await.unwrap();
    }

    pub(super) fn is_sqlite(&self) -> bool {
        self.template.backend() == cogwheel_schema::Backend::Sqlite
    }

    /// A UUID as a literal of this database.
    pub(super) fn literal(&self, id: Uuid) -> String {
        if self.is_sqlite() { format!("x'{}'", id.simple()) } else { format!("'{id}'") }
    }

    pub(super) fn save_of(&self, source: &str, when: DateTime<Utc>) -> SaveWorkflow {
        let workflow = cogwheel_definition::parse(source.as_bytes(), "fallback").unwrap();
        let watched = workflow.triggers.files.iter().filter(|file| file.source.folder().is_some());
        let triggers = SavedTriggers {
            next_due: workflow.triggers.schedules.iter().map(|s| (s.key.clone(), Some(at(300)))).collect(),
            locations: watched.map(|file| (file.key.clone(), folders(file))).collect(),
        };
        SaveWorkflow {
            tenant: self.tenant,
            origin_path: Some(format!("{}.yaml", workflow.name)),
            workflow,
            checksum: sha256(source),
            source: source.to_owned(),
            triggers,
            at: when,
        }
    }

    pub(super) async fn save(&self, source: &str, when: DateTime<Utc>) -> WorkflowRecord {
        self.store.save_workflow(self.save_of(source, when)).await.unwrap()
    }

    /// The engine's view of all workflows.
    pub(super) async fn workflows(&self) -> Vec<WorkflowRecord> {
        Store::workflows(&self.store, self.tenant).await.unwrap()
    }

    /// A start that nothing but a request set off.
    pub(super) fn request(&self, workflow: &WorkflowRecord, when: DateTime<Utc>) -> Start {
        let id = Uuid::now_v7();
        let row = NewRow {
            id: ExecutionId(id),
            tenant: workflow.tenant,
            workflow: workflow.id,
            version: workflow.version_id,
            trigger_type: TriggerType::Manual,
            trigger_key: None,
            trigger: json!({ "type": "manual" }),
            inputs: json!({ "name": "wörld" }),
            correlation_id: id,
            idempotency_key: None,
            owner: Some(self.node),
            priority: Priority::Normal,
            concurrency: None,
            queue_deadline_at: None,
            parent: None,
            rerun: None,
            created_at: when,
        };
        Start { row, from: StartFrom::Request, kept: Vec::new(), first: None }
    }

    /// A start that begins in the pool.
    pub(super) fn pooled(&self, workflow: &WorkflowRecord) -> Start {
        let mut start = self.request(workflow, at(1));
        start.row.owner = None;
        start
    }

    /// A start whose key limits how many may be live.
    pub(super) fn keyed(&self, workflow: &WorkflowRecord, key: &str, limit: i32, overflow: Overflow) -> Start {
        let mut start = self.pooled(workflow);
        start.row.concurrency = Some(ConcurrencySlot { key: key.to_owned(), limit, overflow });
        start
    }

    pub(super) async fn started(&self, workflow: &WorkflowRecord) -> Start {
        let start = self.request(workflow, at(1));
        assert_eq!(self.store.start(start.clone()).await.unwrap(), Started::Accepted);
        start
    }

    pub(super) fn by_schedule(&self, workflow: &WorkflowRecord, due: i64) -> Start {
        let mut start = self.request(workflow, at(due));
        start.row.trigger_type = TriggerType::Schedule;
        start.row.trigger_key = Some("often".to_owned());
        start.from = StartFrom::Schedule(self.tick(workflow.schedules[0].id, &[(due, DueOutcome::Fired)]));
        start
    }

    pub(super) fn tick(&self, schedule: ScheduleId, due: &[(i64, DueOutcome)]) -> ScheduleTick {
        let due: Vec<Due> = due
            .iter()
            .map(|(due, outcome)| Due { due_at: at(*due), is_catch_up: false, outcome: outcome.clone() })
            .collect();
        let last = due.last().map_or_else(|| at(0), |due| due.due_at);
        let next_due_at = Some(last + TimeDelta::minutes(5));
        ScheduleTick {
            schedule,
            tenant: self.tenant,
            due,
            next_due_at,
            next_fire_at: next_due_at,
            overlap: Overlap::Allow,
            is_backfill: false,
            at: last + TimeDelta::milliseconds(12),
        }
    }

    pub(super) fn by_file(&self, workflow: &WorkflowRecord, path: &str, content: &str) -> Start {
        let mut start = self.request(workflow, at(10));
        start.row.trigger_type = TriggerType::File;
        start.row.trigger_key = Some("inbox".to_owned());
        start.from = StartFrom::Files(vec![self.version(workflow, path, content)]);
        start
    }

    pub(super) fn version(&self, workflow: &WorkflowRecord, path: &str, content: &str) -> FileVersion {
        FileVersion {
            id: FileId(Uuid::now_v7()),
            tenant: self.tenant,
            watch: workflow.watches.first().map_or(WatchId(Uuid::nil()), |watch| watch.id),
            event: FileEvent::Created,
            filename: path.rsplit('/').next().unwrap_or_default().to_owned(),
            path: path.to_owned(),
            path_hash: sha256(path),
            size: i64::try_from(content.len()).unwrap(),
            media_type: Some("text/csv".to_owned()),
            sha256: Some(sha256(content)),
            modified_at: at(5) + TimeDelta::nanoseconds(123_456_789),
            device: "8:1".to_owned(),
            inode: "42".to_owned(),
            fingerprint: sha256(&format!("{path}\n{content}")),
            has_after: false,
            first_seen_at: at(8),
            settled_at: at(9),
        }
    }

    /// A record that changes nothing yet.
    pub(super) fn record_of(&self, start: &Start, epoch: i64) -> Record {
        Record {
            execution: start.row.id,
            tenant: self.tenant,
            workflow: start.row.workflow,
            epoch,
            head: None,
            steps: Vec::new(),
            saga: None,
            logs: Vec::new(),
            events: Vec::new(),
            artifacts: Vec::new(),
            parent: None,
            at: at(20),
        }
    }

    pub(super) fn running(&self, start: &Start, epoch: i64) -> Record {
        let head = Head {
            status: ExecutionStatus::Running,
            owner: Some(self.node),
            started_at: Some(at(11)),
            deadline_at: Some(at(311)),
            next_wake_at: Some(at(311)),
            completed_at: None,
            result: None,
            error: None,
        };
        Record { head: Some(head), ..self.record_of(start, epoch) }
    }

    /// Let go of: it waits, and nobody owns it any more.
    pub(super) fn let_go(&self, start: &Start, epoch: i64, next_wake_at: Option<DateTime<Utc>>) -> Record {
        let record = self.running(start, epoch);
        let head = record.head.map(|head| Head { status: ExecutionStatus::Waiting, owner: None, next_wake_at, ..head });
        Record { head, ..record }
    }

    pub(super) fn ended(&self, start: &Start, epoch: i64, status: ExecutionStatus) -> Record {
        let record = self.running(start, epoch);
        let head = record.head.map(|head| Head {
            status,
            completed_at: Some(at(14)),
            result: (status == ExecutionStatus::Completed).then(|| json!({ "rows": 3 })),
            ..head
        });
        Record { head, ..record }
    }
}

/// A step that completed.
pub(super) fn step(ordinal: i32, status: StepStatus) -> StepRow {
    let state = StepState {
        ordinal,
        key: format!("step-{ordinal}"),
        parent: None,
        step: 0,
        layer: Layer::Action,
        status,
        attempt: 1,
        history: Vec::new(),
        input: Some(json!({ "n": ordinal })),
        output: status.is_terminal().then(|| json!({ "out": "ünïcode" })),
        error: None,
        started_at: Some(at(12)),
        wake_at: None,
        timeout_at: (!status.is_terminal()).then(|| at(312)),
        signal: None,
        completed_at: status.is_terminal().then(|| at(13)),
    };
    StepRow { name: format!("Step {ordinal}"), step_type: "set", effect: StepEffect::None, state, offloaded: None }
}

/// A step that waits for a signal.
pub(super) fn waiting_for(ordinal: i32, name: &str, correlation: Option<&str>) -> StepRow {
    let mut waiting = step(ordinal, StepStatus::Waiting);
    waiting.state.timeout_at = None;
    waiting.state.signal = Some(SignalName { name: name.to_owned(), correlation: correlation.map(str::to_owned) });
    waiting
}

pub(super) fn line(sequence: i64, step_ordinal: Option<i32>, message: &str) -> StoredLog {
    StoredLog {
        sequence,
        step_ordinal,
        attempt: step_ordinal.map(|_| 1),
        level: LogLevel::Info,
        stream: LogStream::Stdout,
        message: message.to_owned(),
        at: at(12),
    }
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

/// The absolute folders of a watch.
fn folders(file: &FileTrigger) -> WatchFolders {
    let moved = |after: &After| match after {
        After::Move(folder) => Some(format!("/data/{folder}")),
        After::Keep | After::Delete => None,
    };
    WatchFolders {
        watched: "/data/inbox".to_owned(),
        success: moved(&file.after_success),
        failure: moved(&file.after_failure),
    }
}
