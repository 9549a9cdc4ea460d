//! A server that dies at a write of choice: from then on its store answers nothing, as if its process were gone.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cogwheel_engine::ports::{
    AfterPlan, AppendError, AppendEvents, Appended, AskInbox, CancelAnswer, CancelRequest, Claim, Claimed, Consumer,
    CountedCalls, DeadLetter, EndedAfter, EventLog, EventPage, EventWaiters, FileDecision, FileLedger, HandledFile,
    Inbox, Lease, NewNode, NewSignal, NewSnapshot, NewUpload, Notice, PauseSchedule, PauseWorkflow, PendingAfter,
    Place, Record, RecordedEvent, RecordedUpload, ReplayEvents, Replayed, SaveWorkflow, ScheduleTick, SignalAnswer,
    Start, Started, Store, StoreError, StoredExecution, StoredSnapshot, Swept, TenantUploads, UndoAnswer, UndoRequest,
    UnwindAnswer, UnwindRequest, WatchHealth, WorkflowRecord,
};
use cogwheel_engine::{FileId, NodeId, ScheduleId, TenantId, VersionId, WatchId, WorkflowId};
use cogwheel_machine::ExecutionId;
use cogwheel_store::SqlStore;
use tokio::sync::{Notify, mpsc};

/// On which side of a write the server dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Before,
    After,
}

/// The store of such a server.
pub(super) struct Crashing {
    inner: Arc<SqlStore>,
    /// The write at which it dies, from 1; never where there is none.
    at: Option<(Side, usize)>,
    writes: AtomicUsize,
    is_dead: AtomicBool,
    died: Notify,
}

impl Crashing {
    pub(super) fn new(inner: &Arc<SqlStore>, at: Option<(Side, usize)>) -> Arc<Self> {
        let inner = Arc::clone(inner);
        Arc::new(Self { inner, at, writes: AtomicUsize::new(0), is_dead: AtomicBool::new(false), died: Notify::new() })
    }

    /// Until it has died.
    pub(super) async fn died(&self) {
        self.died.notified().await;
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.is_dead.load(Ordering::SeqCst) { Err(dead()) } else { Ok(()) }
    }

    /// Does a write that counts, unless it is the one before which the server dies.
    async fn count<T>(&self, write: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        self.check()?;
        let number = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        if self.at == Some((Side::Before, number)) {
            return Err(self.die());
        }
        let written = write.await;
        if self.at == Some((Side::After, number)) {
            return Err(self.die());
        }
        written
    }

    fn die(&self) -> StoreError {
        self.is_dead.store(true, Ordering::SeqCst);
        self.died.notify_one();
        dead()
    }
}

fn dead() -> StoreError {
    StoreError::Unavailable("the process is gone".to_owned())
}

macro_rules! forwarded {
    ($port:ident {
        $(fn $name:ident($($given:ident: $kind:ty),*) -> $answer:ty;)*
        $(counted fn $counted:ident($what:ident: $written:ty) -> $outcome:ty;)*
    }) => {
        #[async_trait]
        impl $port for Crashing {
            $(async fn $name(&self, $($given: $kind),*) -> $answer {
                self.check()?;
                self.inner.$name($($given),*).await
            })*

            $(async fn $counted(&self, $what: $written) -> $outcome {
                self.count(self.inner.$counted($what)).await
            })*
        }
    };
}

forwarded! {
    Store {
        fn default_tenant() -> Result<TenantId, StoreError>;
        fn join(node: NewNode) -> Result<(), StoreError>;
        fn renew_lease(node: NodeId, at: DateTime<Utc>, until: DateTime<Utc>) -> Result<Lease, StoreError>;
        fn sweep(node: NodeId, at: DateTime<Utc>) -> Result<Swept, StoreError>;
        fn claim(claim: Claim) -> Result<Claimed, StoreError>;
        fn leave(node: NodeId, at: DateTime<Utc>) -> Result<(), StoreError>;
        fn notify(notice: Notice) -> Result<(), StoreError>;
        fn listen() -> Result<mpsc::Receiver<Notice>, StoreError>;
        fn send_signal(signal: NewSignal) -> Result<SignalAnswer, StoreError>;
        fn inbox(question: AskInbox) -> Result<Inbox, StoreError>;
        fn wake_event_waiters(of: EventWaiters, at: DateTime<Utc>) -> Result<Vec<ExecutionId>, StoreError>;
        fn execution(tenant: TenantId, id: ExecutionId) -> Result<Option<StoredExecution>, StoreError>;
        fn pause_workflow(pause: PauseWorkflow) -> Result<bool, StoreError>;
        fn wake(execution: ExecutionId, at: DateTime<Utc>) -> Result<(), StoreError>;
        fn workflows(tenant: TenantId) -> Result<Vec<WorkflowRecord>, StoreError>;
        fn workflow_sources(versions: &[VersionId]) -> Result<HashMap<VersionId, String>, StoreError>;
        fn save_workflow(save: SaveWorkflow) -> Result<WorkflowRecord, StoreError>;
        fn remove_workflow(workflow: WorkflowId, at: DateTime<Utc>) -> Result<(), StoreError>;
        fn request_cancel(request: CancelRequest) -> Result<CancelAnswer, StoreError>;
        fn request_unwind(request: UnwindRequest) -> Result<UnwindAnswer, StoreError>;
        fn decide_undo(request: UndoRequest) -> Result<UndoAnswer, StoreError>;
        fn tick(tick: ScheduleTick) -> Result<(), StoreError>;
        fn pause_schedule(pause: PauseSchedule) -> Result<bool, StoreError>;
        fn last_due_at(schedule: ScheduleId) -> Result<Option<DateTime<Utc>>, StoreError>;
        fn schedule_is_busy(schedule: ScheduleId) -> Result<bool, StoreError>;
        fn count_calls(calls: &[CountedCalls]) -> Result<(), StoreError>;
        counted fn start(start: Start) -> Result<Started, StoreError>;
        counted fn record(record: Record) -> Result<(), StoreError>;
    }
}

forwarded! {
    FileLedger {
        fn handled_files(watch: WatchId) -> Result<Vec<HandledFile>, StoreError>;
        fn known_versions(watch: WatchId, fingerprints: &[String]) -> Result<HashSet<String>, StoreError>;
        fn record_decisions(decisions: Vec<FileDecision>) -> Result<(), StoreError>;
        fn set_watch_health(watch: WatchId, health: WatchHealth) -> Result<(), StoreError>;
        fn pending_afters(before: DateTime<Utc>, now: DateTime<Utc>) -> Result<Vec<PendingAfter>, StoreError>;
        fn plan_afters(plans: Vec<AfterPlan>) -> Result<HashSet<FileId>, StoreError>;
        fn end_afters(ended: Vec<EndedAfter>) -> Result<(), StoreError>;
        fn record_upload(upload: NewUpload) -> Result<RecordedUpload, StoreError>;
        fn tenant_uploads(tenant: TenantId) -> Result<TenantUploads, StoreError>;
    }
}

forwarded! {
    EventLog {
        fn append_events(append: AppendEvents) -> Result<Appended, AppendError>;
        fn stream_events(tenant: TenantId, stream: &str, after: i64, most: usize) -> Result<Vec<RecordedEvent>, StoreError>;
        fn snapshot(tenant: TenantId, execution: ExecutionId, up_to: i64) -> Result<Option<StoredSnapshot>, StoreError>;
        fn keep_snapshot(snapshot: NewSnapshot) -> Result<(), StoreError>;
        fn event_consumer(name: &str, at: DateTime<Utc>) -> Result<Consumer, StoreError>;
        fn events_after(place: Place, most: usize) -> Result<EventPage, StoreError>;
        fn move_consumer(consumer: Consumer, at: DateTime<Utc>) -> Result<bool, StoreError>;
        fn bury(letter: DeadLetter) -> Result<(), StoreError>;
        fn replay_events(replay: ReplayEvents) -> Result<Option<Replayed>, StoreError>;
    }
}
