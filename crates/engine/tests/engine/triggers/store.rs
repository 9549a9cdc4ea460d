//! A store in memory that keeps the promises triggers rely on, and lets tests wait for what is in it.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cogwheel_definition::{FileTrigger, Overlap};
use cogwheel_engine::ports::{
    AskInbox, CancelAnswer, CancelRequest, Claim, Claimed, CountedCalls, Due, DueOutcome, EndedAfter, EventWaiters,
    FileDecision, FileVersion, Inbox, Lease, NewNode, NewRow, NewSignal, Notice, PauseSchedule, PauseWorkflow, Record,
    SaveWorkflow, ScheduleRecord, ScheduleTick, SignalAnswer, SkipReason, Start, StartFrom, Started, Store, StoreError,
    StoredExecution, Swept, UndoAnswer, UndoRequest, UnwindAnswer, UnwindRequest, WatchFolders, WatchHealth,
    WatchRecord, WorkflowRecord,
};
use cogwheel_engine::{
    ExecutionId, ExecutionStatus, FileId, NodeId, ScheduleId, TenantId, VersionId, WatchId, WorkflowId,
};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use crate::event_log::unread_event_log;

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// What is stored.
#[derive(Default)]
pub(crate) struct Tables {
    pub(crate) workflows: HashMap<String, WorkflowRecord>,
    pub(crate) sources: HashMap<VersionId, String>,
    /// The texts that were asked for.
    pub(crate) sources_read: Vec<VersionId>,
    pub(crate) schedules: HashMap<(String, String), ScheduleRecord>,
    pub(crate) watches: HashMap<(String, String), WatchId>,
    pub(crate) starts: Vec<NewRow>,
    pub(crate) started: HashSet<ExecutionId>,
    pub(crate) fires: Vec<(ScheduleId, Due)>,
    pub(crate) files: Vec<FileVersion>,
    /// The versions that are in the ledger, whatever was decided.
    pub(crate) versions: HashSet<(WatchId, String)>,
    /// Which execution took a file in.
    pub(crate) took: HashMap<FileId, ExecutionId>,
    /// Files that start nothing.
    pub(crate) decisions: Vec<FileDecision>,
    /// How executions ended.
    pub(crate) ends: HashMap<ExecutionId, ExecutionStatus>,
    /// What each watch does with files, and its folder.
    pub(crate) afters: HashMap<WatchId, (WatchFolders, FileTrigger)>,
    /// What was going to be done, and what was.
    pub(crate) planned: HashMap<FileId, Option<String>>,
    pub(crate) ended: HashMap<FileId, EndedAfter>,
    /// What could not be done: how often it was tried, when it is tried again, and why.
    pub(crate) postponed: HashMap<FileId, (i32, DateTime<Utc>, String)>,
    pub(crate) health: Vec<WatchHealth>,
    pub(crate) saves: usize,
    pub(crate) live: HashSet<ExecutionId>,
    /// Which executions each schedule started.
    pub(crate) started_by: HashMap<ExecutionId, ScheduleId>,
    /// While set, starts find no database.
    pub(crate) is_away: bool,
    /// How many did.
    pub(crate) refused: usize,
    /// While set, the next start is recorded and its answer gets lost.
    pub(crate) loses_answers: bool,
    /// To tell what other nodes tell, once somebody listens.
    pub(crate) teller: Option<mpsc::Sender<Notice>>,
}

pub(crate) struct MemoryStore {
    tables: Mutex<Tables>,
    changed: watch::Sender<()>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self { tables: Mutex::default(), changed: watch::Sender::new(()) }
    }
}

impl MemoryStore {
    pub(crate) fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().expect("no test panics while it holds the tables")
    }

    /// Changes the tables, and tells those who wait.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Tables) -> T) -> T {
        let answer = change(&mut self.tables());
        self.changed.send_replace(());
        answer
    }

    /// Waits until the tables hold the answer.
    pub(crate) async fn until<T>(&self, what: &str, ask: impl Fn(&Tables) -> Option<T>) -> T {
        self.until_within(PATIENCE, what, ask).await
    }

    /// As [`Self::until`], for what takes its time.
    pub(crate) async fn until_within<T>(
        &self,
        patience: Duration,
        what: &str,
        ask: impl Fn(&Tables) -> Option<T>,
    ) -> T {
        let mut changes = self.changed.subscribe();
        let waiting = async {
            loop {
                if let Some(answer) = ask(&self.tables()) {
                    return answer;
                }
                changes.changed().await.expect("the store lives");
            }
        };
        let answer = tokio::time::timeout(patience, waiting).await;
        answer.unwrap_or_else(|_| panic!("waited in vain for {what}"))
    }
}

impl Tables {
    /// The text of a workflow's active version.
    pub(crate) fn source(&self, workflow: &str) -> Option<&String> {
        self.workflows.get(workflow).and_then(|record| self.sources.get(&record.version_id))
    }

    fn record(&mut self, tick: &ScheduleTick) {
        for due in &tick.due {
            self.fires.push((tick.schedule, due.clone()));
        }
        let schedules = self.schedules.values_mut().chain(self.workflows.values_mut().flat_map(|w| &mut w.schedules));
        for schedule in schedules.filter(|schedule| schedule.id == tick.schedule) {
            if tick.is_backfill {
                continue;
            }
            schedule.last_due_at = schedule.last_due_at.max(tick.due.last().map(|due| due.due_at));
            schedule.next_due_at = tick.next_due_at;
        }
    }

    fn is_busy(&self, schedule: ScheduleId) -> bool {
        self.live.iter().any(|execution| self.started_by.get(execution) == Some(&schedule))
    }

    fn was_fired(&self, tick: &ScheduleTick) -> bool {
        tick.due.last().is_some_and(|last| {
            self.fires.iter().any(|(schedule, due)| *schedule == tick.schedule && due.due_at == last.due_at)
        })
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn default_tenant(&self) -> Result<TenantId, StoreError> {
        Ok(TenantId(Uuid::from_u128(1)))
    }

    async fn join(&self, _: NewNode) -> Result<(), StoreError> {
        Ok(())
    }

    async fn leave(&self, _: NodeId, _: DateTime<Utc>) -> Result<(), StoreError> {
        Ok(())
    }

    async fn renew_lease(&self, _: NodeId, _: DateTime<Utc>, _: DateTime<Utc>) -> Result<Lease, StoreError> {
        Ok(Lease::Kept)
    }

    async fn sweep(&self, _: NodeId, _: DateTime<Utc>) -> Result<Swept, StoreError> {
        Ok(Swept::default())
    }

    async fn claim(&self, _: Claim) -> Result<Claimed, StoreError> {
        Ok(Claimed::default())
    }

    async fn notify(&self, _: Notice) -> Result<(), StoreError> {
        Ok(())
    }

    async fn listen(&self) -> Result<mpsc::Receiver<Notice>, StoreError> {
        let (teller, notices) = mpsc::channel(1);
        self.change(|tables| tables.teller = Some(teller));
        Ok(notices)
    }

    async fn send_signal(&self, _: NewSignal) -> Result<SignalAnswer, StoreError> {
        unreachable!("no test sends signals here")
    }

    async fn inbox(&self, _: AskInbox) -> Result<Inbox, StoreError> {
        Ok(Inbox::default())
    }

    async fn wake_event_waiters(&self, _: EventWaiters, _: DateTime<Utc>) -> Result<Vec<ExecutionId>, StoreError> {
        Ok(Vec::new())
    }

    async fn execution(&self, _: TenantId, _: ExecutionId) -> Result<Option<StoredExecution>, StoreError> {
        Ok(None)
    }

    async fn pause_workflow(&self, pause: PauseWorkflow) -> Result<bool, StoreError> {
        Ok(self.change(|tables| {
            let known = tables.workflows.values_mut().find(|workflow| workflow.id == pause.workflow);
            known.map(|workflow| workflow.is_enabled = !pause.paused).is_some()
        }))
    }

    async fn wake(&self, _: ExecutionId, _: DateTime<Utc>) -> Result<(), StoreError> {
        Ok(())
    }

    async fn workflows(&self, _: TenantId) -> Result<Vec<WorkflowRecord>, StoreError> {
        Ok(self.tables().workflows.values().cloned().collect())
    }

    async fn workflow_sources(&self, versions: &[VersionId]) -> Result<HashMap<VersionId, String>, StoreError> {
        Ok(self.change(|tables| {
            tables.sources_read.extend(versions);
            versions.iter().filter_map(|id| Some((*id, tables.sources.get(id)?.clone()))).collect()
        }))
    }

    async fn save_workflow(&self, save: SaveWorkflow) -> Result<WorkflowRecord, StoreError> {
        Ok(self.change(|tables| {
            tables.saves += 1;
            let name = save.workflow.name.clone();
            let schedules = save.triggers.next_due.into_iter().map(|(key, next)| {
                let new = || ScheduleRecord {
                    id: ScheduleId(Uuid::now_v7()),
                    trigger_key: key.clone(),
                    last_due_at: None,
                    next_due_at: None,
                    since: save.at,
                    is_paused: false,
                };
                let schedule = tables.schedules.entry((name.clone(), key.clone())).or_insert_with(new);
                schedule.next_due_at = next;
                schedule.clone()
            });
            let schedules = schedules.collect();
            let triggers = save.workflow.triggers.files;
            let watches = save.triggers.locations.into_iter().map(|(key, folders)| {
                let id = *tables.watches.entry((name.clone(), key.clone())).or_insert_with(|| WatchId(Uuid::now_v7()));
                let trigger = triggers.iter().find(|trigger| trigger.key == key).expect("it is in the text").clone();
                tables.afters.insert(id, (folders, trigger));
                WatchRecord { id, trigger_key: key }
            });
            let watches = watches.collect();
            let old = tables.workflows.get(&name);
            let record = WorkflowRecord {
                endpoints: Vec::new(),
                has_events: false,
                id: old.map_or_else(|| WorkflowId(Uuid::now_v7()), |old| old.id),
                tenant: save.tenant,
                name: name.clone(),
                origin_path: save.origin_path,
                version_id: VersionId(Uuid::now_v7()),
                version: old.map_or(1, |old| old.version + i32::from(old.checksum != save.checksum)),
                checksum: save.checksum,
                is_enabled: true,
                schedules,
                watches,
            };
            tables.sources.insert(record.version_id, save.source);
            tables.workflows.insert(name, record.clone());
            record
        }))
    }

    async fn remove_workflow(&self, workflow: WorkflowId, _: DateTime<Utc>) -> Result<(), StoreError> {
        self.change(|tables| tables.workflows.retain(|_, record| record.id != workflow));
        Ok(())
    }

    async fn start(&self, start: Start) -> Result<Started, StoreError> {
        self.change(|tables| {
            if tables.is_away {
                tables.refused += 1;
                return Err(StoreError::Unavailable("away".to_owned()));
            }
            if !tables.started.insert(start.row.id) {
                return Ok(Started::Accepted);
            }
            let is_known = match &start.from {
                StartFrom::Request | StartFrom::Upload(_) => false,
                StartFrom::Schedule(tick) => tables.was_fired(tick),
                StartFrom::Files(files) => {
                    files.iter().any(|file| tables.versions.contains(&(file.watch, file.fingerprint.clone())))
                }
            };
            if is_known {
                tables.started.remove(&start.row.id);
                return Ok(Started::Duplicate { execution: None });
            }
            match start.from {
                StartFrom::Request | StartFrom::Upload(_) => {}
                StartFrom::Schedule(tick) => {
                    assert_eq!(tick.due.last().map(|due| &due.outcome), Some(&DueOutcome::Fired));
                    if tick.overlap == Overlap::Skip && tables.is_busy(tick.schedule) {
                        tables.record(&tick.passed_over(SkipReason::Overlap));
                        return Ok(Started::PassedOver);
                    }
                    tables.started_by.insert(start.row.id, tick.schedule);
                    tables.record(&tick);
                }
                StartFrom::Files(files) => {
                    for file in &files {
                        tables.versions.insert((file.watch, file.fingerprint.clone()));
                        tables.took.insert(file.id, start.row.id);
                    }
                    tables.files.extend(files);
                }
            }
            let head = start.first.as_ref().and_then(|first| first.head.as_ref());
            let end = head.filter(|head| head.completed_at.is_some());
            tables.ends.extend(end.map(|head| (start.row.id, head.status)));
            if head.is_none_or(|head| head.completed_at.is_none()) {
                tables.live.insert(start.row.id);
            }
            tables.starts.push(start.row);
            if std::mem::take(&mut tables.loses_answers) {
                return Err(StoreError::Unanswered("gone".to_owned()));
            }
            Ok(Started::Accepted)
        })
    }

    async fn request_unwind(&self, _: UnwindRequest) -> Result<UnwindAnswer, StoreError> {
        unreachable!("nothing is undone here")
    }

    async fn decide_undo(&self, _: UndoRequest) -> Result<UndoAnswer, StoreError> {
        unreachable!("nothing is undone here")
    }

    async fn request_cancel(&self, request: CancelRequest) -> Result<CancelAnswer, StoreError> {
        let live = self.change(|tables| tables.live.contains(&request.execution));
        Ok(if live { CancelAnswer::Requested } else { CancelAnswer::Unknown })
    }

    async fn record(&self, record: Record) -> Result<(), StoreError> {
        self.change(|tables| {
            if let Some(head) = record.head.filter(|head| head.completed_at.is_some()) {
                tables.live.remove(&record.execution);
                tables.ends.insert(record.execution, head.status);
            }
        });
        Ok(())
    }

    async fn tick(&self, tick: ScheduleTick) -> Result<(), StoreError> {
        assert!(tick.due.iter().all(|due| due.outcome != DueOutcome::Fired) && tick.due.len() <= 501);
        self.change(|tables| tables.record(&tick));
        Ok(())
    }

    async fn pause_schedule(&self, pause: PauseSchedule) -> Result<bool, StoreError> {
        Ok(self.change(|tables| {
            let schedules = tables.workflows.values_mut().flat_map(|workflow| &mut workflow.schedules);
            let known = schedules.into_iter().find(|schedule| schedule.id == pause.schedule);
            known.map(|schedule| schedule.is_paused = pause.paused).is_some()
        }))
    }

    async fn last_due_at(&self, schedule: ScheduleId) -> Result<Option<DateTime<Utc>>, StoreError> {
        let tables = self.tables();
        let mut schedules = tables.workflows.values().flat_map(|workflow| &workflow.schedules);
        Ok(schedules.find(|known| known.id == schedule).and_then(|known| known.last_due_at))
    }

    async fn schedule_is_busy(&self, schedule: ScheduleId) -> Result<bool, StoreError> {
        Ok(self.tables().is_busy(schedule))
    }

    async fn count_calls(&self, _: &[CountedCalls]) -> Result<(), StoreError> {
        Ok(())
    }
}

unread_event_log!(MemoryStore);
